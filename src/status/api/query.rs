//! The query of the API's URL.
//!
//! The filters are those of the page. Unlike the page, the API rejects what it does not
//! understand: a program would take the answer to a misspelt filter for the answer to its question.

use crate::expectations::Expectation;
use crate::fleet::{AccountId, AccountKey, TargetKey};
use crate::model::Reason;
use crate::printable::excerpt;
use crate::status::query::{HealthFilter, MAX_VALUE_LENGTH, PageQuery};

/// How many targets a page of the document has, unless the query says otherwise.
const DEFAULT_LIMIT: usize = 1000;

const MAX_LIMIT: usize = 5000;

const PARAMETERS: [&str; 8] = ["account", "region", "status", "reason", "expectation", "q", "limit", "after"];

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ApiQuery {
    pub(super) filter: PageQuery,
    /// How many targets the page of the document may have.
    pub(super) limit: usize,
    /// The last target of the previous page.
    pub(super) after: Option<TargetKey>,
}

/// What is wrong with a query.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum InvalidQuery {
    #[error("unknown parameter `{0}`{hint}", hint = hint(.0, &PARAMETERS))]
    UnknownParameter(String),
    #[error("`{0}` is given more than once; give it once")]
    Repeated(&'static str),
    #[error("`{0}` is too long; expected at most {MAX_VALUE_LENGTH} characters")]
    TooLong(&'static str),
    #[error("`{parameter}={value}`: expected {expected}{hint}")]
    InvalidValue { parameter: &'static str, value: String, expected: &'static str, hint: String },
}

impl ApiQuery {
    /// Parses the query of a URL. Filters without a value, and an `after` without a value, are as if
    /// left out. An expectation must be one of `expectations`.
    pub(super) fn parse(text: &str, expectations: &[Expectation]) -> Result<Self, InvalidQuery> {
        let mut query = Self { filter: PageQuery::default(), limit: DEFAULT_LIMIT, after: None };
        let mut seen = Vec::new();
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            let Some(parameter) = PARAMETERS.into_iter().find(|parameter| *parameter == key) else {
                return Err(InvalidQuery::UnknownParameter(excerpt(&key)));
            };
            if seen.contains(&parameter) {
                return Err(InvalidQuery::Repeated(parameter));
            }
            seen.push(parameter);
            if parameter != "after" && value.chars().nth(MAX_VALUE_LENGTH).is_some() {
                return Err(InvalidQuery::TooLong(parameter));
            }
            query.set(parameter, value.trim(), expectations).map_err(|expected| {
                let hint = value_hint(parameter, value.trim(), expectations);
                InvalidQuery::InvalidValue { parameter, value: excerpt(&value), expected, hint }
            })?;
        }
        Ok(query)
    }

    /// # Errors
    /// What would be right.
    fn set(
        &mut self,
        parameter: &'static str,
        value: &str,
        expectations: &[Expectation],
    ) -> Result<(), &'static str> {
        match parameter {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                self.limit = limit.ok_or("a number from 1 to 5000")?;
            }
            _ if value.is_empty() => {}
            "after" => self.after = Some(parse_cursor(value).ok_or("the value in the URL of the next page")?),
            "expectation" if !expectations.iter().any(|expectation| expectation.name == value) => {
                return Err("the name of an expectation in the configuration");
            }
            filter => return self.filter.set_filter(filter, value).unwrap_or(Ok(())),
        }
        Ok(())
    }

    /// The URL of the page after the one that ends with the target `last`, relative to the URL of
    /// this page.
    pub(super) fn next_page(&self, last: &TargetKey) -> String {
        let mut link = self.filter.first_pages().link();
        let mut query = form_urlencoded::Serializer::for_suffix(&mut link, 1);
        query.append_pair("limit", &self.limit.to_string());
        query.append_pair("after", &format!("{}/{}", last.0, last.1));
        query.finish();
        link
    }
}

/// Parses a cursor such as `111122223333/eu-west-1`. A cursor names the target as the configuration
/// does, so that it stays valid when an account id is learned, in other replicas, and after a restart.
fn parse_cursor(text: &str) -> Option<TargetKey> {
    let (account, region) = text.rsplit_once('/')?;
    let account = match account.strip_prefix("unknown") {
        Some("") => AccountKey::Profile(None),
        Some(profile) => {
            AccountKey::Profile(Some(profile.strip_prefix(" (profile ")?.strip_suffix(')')?.to_owned()))
        }
        None => AccountKey::Id(account.parse::<AccountId>().ok()?),
    };
    Some((account, region.parse().ok()?))
}

fn value_hint(parameter: &str, value: &str, expectations: &[Expectation]) -> String {
    match parameter {
        "region" => ", such as `eu-west-1`".to_owned(),
        "status" => hint(value, &HealthFilter::all().map(HealthFilter::as_str).collect::<Vec<_>>()),
        "reason" => {
            hint(value, &Reason::ALL.iter().map(|reason| Reason::as_str(*reason)).collect::<Vec<_>>())
        }
        "expectation" if expectations.is_empty() => ", and there are none".to_owned(),
        "expectation" => {
            let names = expectations.iter().map(|expectation| expectation.name.as_str());
            hint(value, &names.collect::<Vec<_>>())
        }
        _ => String::new(),
    }
}

/// The known text that resembles the rejected one, or else all of them.
fn hint(text: &str, known: &[&str]) -> String {
    let distance = |known: &&str| strsim::levenshtein(known, text);
    let nearest = known.iter().copied().min_by_key(distance).filter(|nearest| distance(nearest) <= 2);
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => format!("; known are {}", known.join(", ")),
    }
}
