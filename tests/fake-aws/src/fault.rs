//! Misbehaviour on request.

use serde::Deserialize;

/// How a call goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// `ThrottlingException`, or what the service calls it.
    Throttle,
    /// `AccessDeniedException`, or `AccessDenied` of STS.
    Deny,
    /// The same, by a service control policy.
    DenyByScp,
    /// `ExpiredTokenException`.
    ExpiredToken,
    /// The region is not enabled in the account.
    RegionDisabled,
    /// `InternalServerError`, or what the service calls it, with status 500.
    ServerError,
    /// No answer, ever.
    Stall,
    /// An answer after so many milliseconds.
    Delay(u64),
    /// The head of an answer and half of its body, then the connection ends.
    Cut,
    /// This answer instead, without any of AWS's headers.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
    /// Pages of a list that are no longer than this.
    PageSize(usize),
    /// Pages of a list that all name the same next page.
    RepeatToken,
    /// Pages of a list that always name another next page.
    EndlessPages,
    /// The same, each after so many milliseconds.
    EndlessSlowPages(u64),
}

/// Which calls go wrong, and how. What is not given matches everything.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Only calls by this account.
    #[serde(default)]
    pub account: Option<String>,
    /// Only calls to this region.
    #[serde(default)]
    pub region: Option<String>,
    /// Only this operation.
    #[serde(default)]
    pub operation: Option<String>,
    /// Only so many calls; then the rule is spent.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens to them.
    pub fault: Fault,
}

impl FaultRule {
    /// A rule for all calls.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { account: None, region: None, operation: None, times: None, fault }
    }

    /// Only calls by `account`.
    #[must_use]
    pub fn account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Only calls to `region`.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Only calls of `operation`.
    #[must_use]
    pub fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only so many calls.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    pub(crate) fn matches(&self, account: &str, region: &str, operation: &str) -> bool {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        self.times != Some(0)
            && fits(&self.account, account)
            && fits(&self.region, region)
            && fits(&self.operation, operation)
    }
}
