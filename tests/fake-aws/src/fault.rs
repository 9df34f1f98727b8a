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
    /// Every page of a list has the same next token.
    RepeatToken,
    /// Every page of a list has a new next token, so that the list never ends.
    EndlessPages,
    /// Like `EndlessPages`, with a delay of this many milliseconds before each page.
    EndlessSlowPages(u64),
}

/// Which calls fail, and how. A field that is `None` matches every call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
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
        Self { account: None, region: None, operation: None, times: None, fault }
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

    pub(crate) fn matches(&self, account: &str, region: &str, operation: &str) -> bool {
        let matches =
            |wanted: &Option<String>, actual: &str| wanted.as_ref().is_none_or(|wanted| wanted == actual);
        self.times != Some(0)
            && matches(&self.account, account)
            && matches(&self.region, region)
            && matches(&self.operation, operation)
    }
}
