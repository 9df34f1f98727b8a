//! Lists in pages.

use serde_json::Value;

use crate::fault::Fault;

/// How long a page is to be, which is `max` unless less is asked for; or what
/// is asked for, where that is no length.
pub(crate) fn size(request: &Value, max: usize) -> Result<usize, &Value> {
    match request.get("MaxResults") {
        None | Some(Value::Null) => Ok(max),
        Some(value) => {
            let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
            number.filter(|number| (1..=max).contains(number)).ok_or(value)
        }
    }
}

/// A page of a list.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    /// What the list is called, so that no token of another is taken.
    list: &'a str,
    from: usize,
    size: usize,
    fault: Option<&'a Fault>,
}

impl<'a> Page<'a> {
    /// The page that a request asks for, unless its token is not one of this
    /// list.
    pub(crate) fn new(list: &'a str, size: usize, request: &Value, fault: Option<&'a Fault>) -> Option<Self> {
        let from = match request.get("NextToken").and_then(Value::as_str) {
            None | Some("") => 0,
            Some(token) => {
                token.strip_prefix("fake:")?.strip_prefix(list)?.strip_prefix(':')?.parse().ok()?
            }
        };
        let size = match fault {
            Some(Fault::PageSize(most)) => size.min((*most).max(1)),
            _ => size,
        };
        Some(Self { list, from, size, fault })
    }

    /// What is on the page of `all`.
    pub(crate) fn of<T>(&self, all: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
        all.into_iter().skip(self.from).take(self.size)
    }

    /// The token of the next page, if there is one in a list of that length.
    pub(crate) fn next(&self, total: usize) -> Option<String> {
        let end = self.from.saturating_add(self.size);
        let next = match self.fault {
            Some(Fault::RepeatToken) => Some(0),
            Some(Fault::EndlessPages | Fault::EndlessSlowPages(_)) => Some(self.from.saturating_add(1)),
            _ => (end < total).then_some(end),
        };
        next.map(|next| format!("fake:{}:{next}", self.list))
    }
}
