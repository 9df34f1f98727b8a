//! Injected faults, which tests use to make calls fail.

use serde::Deserialize;

/// How a call fails.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// `ThrottlingException`, or the service's own name for it.
    Throttle,
    /// `AccessDeniedException`, or `AccessDenied` from STS.
    Deny,
    /// Like `Deny`, with the message of a service control policy.
    DenyByScp,
    /// `ExpiredTokenException`.
    ExpiredToken,
    /// The error for a region that is not enabled in the account.
    RegionDisabled,
    /// Status 500 with `InternalServerError`, or the service's own name for it.
    ServerError,
    /// Never responds.
    Stall,
    /// Delays the response by this many milliseconds.
    Delay(u64),
    /// Sends the head and half of the body, then closes the connection.
    TruncatedBody,
    /// Sends this response instead, without any of AWS's headers.
    Response {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
    /// Limits the pages of a list to this many items.
    PageSize(usize),
    /// Lists of syncs have those of both types, whichever the request asks for, as those of emulators.
    AllTypes,
    /// Every page of a list has the same next token.
    RepeatToken,
    /// Every page of a list has a new next token, so that the list never ends.
    EndlessPages,
    /// Like `EndlessPages`, with a delay of this many milliseconds before each page.
    EndlessSlowPages(u64),
    /// Status 400 with an error code that no earlier response had.
    NewErrorCode,
    /// The list is a single page with this many items. Applies to lists of syncs, managed nodes,
    /// accounts and regions.
    ManyItems(u64),
    /// The credentials of `AssumeRole` expire this many seconds from now, in the past if negative.
    /// The fake itself still accepts them.
    ExpiresIn(i64),
    /// Replaces the first value of a field in the body.
    Text {
        /// The name of the field in JSON or XML, for example `SyncName`, `__type` or `Expiration`.
        field: String,
        /// The new value as written in the body: with escapes, and within the quotes of a string.
        value: String,
        /// How often the value is repeated.
        #[serde(default = "once")]
        repeat: u64,
    },
    /// Replaces the headers of these names. A name that occurs twice is sent twice, and without a
    /// value the header is left out.
    Headers(Vec<(String, Option<String>)>),
    /// The header `Date` is off by this many seconds.
    DateOffBy(i64),
    /// The clock of the service is this many seconds ahead of the host's, or behind if negative.
    /// Requests that were signed more than five minutes from its time are rejected.
    ClockAhead(i32),
    /// Sends this many additional headers, at most 30,000.
    ManyHeaders(u16),
    /// Sends spaces after the body.
    Padding {
        /// The number of spaces.
        bytes: u64,
        /// Whether the response has no `Content-Length`.
        #[serde(default)]
        chunked: bool,
    },
    /// Sends the body one byte at a time, with a delay of this many milliseconds before each.
    Dribble(u64),
    /// Sends the head and half of the body, then resets the connection.
    Reset,
    /// All of these faults. The first that decides on the result of the call applies.
    All(Vec<Fault>),
}

fn once() -> u64 {
    1
}

impl Fault {
    /// A `Text` fault whose value is `length` letters.
    #[must_use]
    pub fn long_text(field: &str, length: u64) -> Self {
        Self::Text { field: field.to_owned(), value: "x".to_owned(), repeat: length }
    }

    /// A `Text` fault with this value.
    #[must_use]
    pub fn text(field: &str, value: &str) -> Self {
        Self::Text { field: field.to_owned(), value: value.to_owned(), repeat: 1 }
    }

    /// A `Headers` fault that sets one header.
    #[must_use]
    pub fn header(name: &str, value: &str) -> Self {
        Self::Headers(vec![(name.to_owned(), Some(value.to_owned()))])
    }

    /// A `Headers` fault that leaves out one header.
    #[must_use]
    pub fn without_header(name: &str) -> Self {
        Self::Headers(vec![(name.to_owned(), None)])
    }

    /// This fault together with `other`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (mut all, other) = (self.into_list(), other.into_list());
        all.extend(other);
        Self::All(all)
    }

    /// The faults that this one consists of.
    pub(crate) fn into_list(self) -> Vec<Self> {
        match self {
            Self::All(faults) => faults.into_iter().flat_map(Self::into_list).collect(),
            fault => vec![fault],
        }
    }
}

/// Which calls fail, and how. A field that is `None` matches every call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Name of the service: `ssm`, `sts`, `organizations`, `account` or `iam`.
    #[serde(default)]
    pub service: Option<String>,
    /// Account of the caller.
    #[serde(default)]
    pub account: Option<String>,
    /// Region of the call.
    #[serde(default)]
    pub region: Option<String>,
    /// Name of the operation.
    #[serde(default)]
    pub operation: Option<String>,
    /// Number of calls that the rule still applies to; `None` for no limit.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens to the calls.
    pub fault: Fault,
}

impl FaultRule {
    /// A rule that matches every call.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { service: None, account: None, region: None, operation: None, times: None, fault }
    }

    /// Limits the rule to calls of `service`: `ssm`, `sts`, `organizations`, `account` or `iam`.
    #[must_use]
    pub fn service(mut self, service: &str) -> Self {
        self.service = Some(service.to_owned());
        self
    }

    /// Limits the rule to calls by `account`.
    #[must_use]
    pub fn account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Limits the rule to calls to `region`.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Limits the rule to calls of `operation`.
    #[must_use]
    pub fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Limits the rule to the first `times` matching calls.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    pub(crate) fn matches(&self, service: &str, account: &str, region: &str, operation: &str) -> bool {
        let matches =
            |wanted: &Option<String>, actual: &str| wanted.as_ref().is_none_or(|wanted| wanted == actual);
        self.times != Some(0)
            && matches(&self.service, service)
            && matches(&self.account, account)
            && matches(&self.region, region)
            && matches(&self.operation, operation)
    }
}
