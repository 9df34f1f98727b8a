//! Pages of lists, and the tokens that lead to the next page.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::fault::Fault;

/// The page size that the request asks for, `default` if it asks for none.
///
/// # Errors
/// Returns the value of `MaxResults` if it is not in `range`.
pub(crate) fn size(request: &Value, range: RangeInclusive<usize>, default: usize) -> Result<usize, &Value> {
    match request.get("MaxResults") {
        None | Some(Value::Null) => Ok(default),
        Some(value) => {
            let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
            number.filter(|number| range.contains(number)).ok_or(value)
        }
    }
}

/// A page of a list.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    /// The name of the list, which is part of its tokens.
    list: &'a str,
    start: usize,
    size: usize,
    faults: &'a [Fault],
}

impl<'a> Page<'a> {
    /// The page that the request asks for, or `None` if the token is not one of this list.
    pub(crate) fn new(list: &'a str, size: usize, request: &Value, faults: &'a [Fault]) -> Option<Self> {
        let start = match request.get("NextToken").and_then(Value::as_str) {
            None | Some("") => 0,
            Some(token) => {
                token.strip_prefix("fake:")?.strip_prefix(list)?.strip_prefix(':')?.parse().ok()?
            }
        };
        let max = faults.iter().find_map(|fault| match fault {
            Fault::PageSize(max) => Some((*max).max(1)),
            _ => None,
        });
        Some(Self { list, start, size: max.map_or(size, |max| size.min(max)), faults })
    }

    /// The items of `all` that are on this page.
    pub(crate) fn of<T>(&self, all: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
        all.into_iter().skip(self.start).take(self.size)
    }

    /// The token of the next page of a list with `total` items, if there is one.
    pub(crate) fn next(&self, total: usize) -> Option<String> {
        let end = self.start.saturating_add(self.size);
        let endless = self.faults.iter().find_map(|fault| match fault {
            Fault::RepeatToken => Some(0),
            Fault::EndlessPages | Fault::EndlessSlowPages(_) => Some(self.start.saturating_add(1)),
            _ => None,
        });
        let next = endless.or_else(|| (end < total).then_some(end));
        next.map(|next| format!("fake:{}:{next}", self.list))
    }
}
