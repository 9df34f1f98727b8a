//! Failures of collections and of discovery lookups.

use strum::{Display, EnumCount, EnumString, IntoStaticStr, VariantArray};

use super::Denial;
use super::limits::MAX_MESSAGE_CHARS;
use crate::printable::{redact_url_users, shorten_middle};

/// Why a collection or a discovery lookup failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason, from a closed list.
    pub reason: Reason,
    /// The error from AWS, the network or the SDK, for people to read: a single line of limited
    /// length. It contains no secrets.
    pub message: String,
    /// Whether the credentials belong to a different account than the configured one, or
    /// than in earlier collections. The syncs collected so far must then no longer be
    /// served.
    pub is_wrong_account: bool,
    /// Whether AWS does not accept the credentials of the call, so that new ones are needed.
    /// An error about a signature does not mean that.
    pub rejects_credentials: bool,
    /// How far the cause reaches: to the call that failed, or to everything that shares its
    /// credentials.
    pub scope: FailureScope,
    /// What AWS said if it denied the call, read from the whole message of the error.
    pub denial: Option<Box<Denial>>,
}

impl Failure {
    /// A failure of one call for `reason`, described by `message`.
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: single_line(&message.into()),
            is_wrong_account: false,
            rejects_credentials: false,
            scope: FailureScope::Call,
            denial: None,
        }
    }

    /// This failure, with `context` before its message.
    pub(crate) fn in_context(self, context: &str) -> Self {
        Self { message: single_line(&format!("{context}: {}", self.message)), ..self }
    }

    /// A failure because the credentials belong to a different account than the configured
    /// one, or than in earlier collections.
    pub(crate) fn wrong_account(message: impl Into<String>) -> Self {
        Self { is_wrong_account: true, ..Self::new(Reason::Credentials, message) }
    }

    /// This failure, marked as a failure to obtain shared credentials.
    pub(crate) fn with_credentials_scope(self) -> Self {
        Self { scope: FailureScope::Credentials, ..self }
    }
}

/// Replaces control characters with spaces, redacts the users of URLs and shortens the text in its
/// middle. The text may be from AWS, or from a proxy that answers in its place.
fn single_line(text: &str) -> String {
    let without_controls = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = redact_url_users(text).chars().map(without_controls).collect();
    shorten_middle(&line, MAX_MESSAGE_CHARS)
}

/// How far the cause of a failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureScope {
    /// A single call failed, for a target or a discovery lookup.
    Call,
    /// Credentials could not be obtained, so no call was made. All targets that share the
    /// credentials fail alike, and the credential store logs the failure once for all of
    /// them.
    Credentials,
}

/// The closed list of reasons for a failure. In snake case, each is a value of the `reason`
/// label, so renaming a variant breaks users' queries.
#[derive(
    Clone,
    Copy,
    Debug,
    Display,
    EnumCount,
    EnumString,
    IntoStaticStr,
    VariantArray,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// A role could not be assumed.
    AssumeRoleDenied,
    /// The credentials are valid, but do not allow the call.
    AccessDenied,
    /// A service control policy of the organization denies the call.
    ScpDenied,
    /// No credentials could be obtained, or AWS rejected them.
    Credentials,
    /// The region is not enabled in the account.
    RegionDisabled,
    /// AWS throttled the request.
    Throttled,
    /// AWS did not answer in time.
    Timeout,
    /// The connection could not be established, or was lost.
    Connection,
    /// AWS answered with a server error (5xx).
    ServerError,
    /// The response does not have the form that the API documents.
    InvalidResponse,
    /// A paginated listing repeats itself or has too many pages, or AWS rejects its own
    /// page token.
    Pagination,
    /// Anything else.
    Other,
}

impl Reason {
    /// All reasons, in the order of the public contract.
    pub(crate) const ALL: &'static [Self] = Self::VARIANTS;

    /// The label value.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_the_label_values_of_the_contract() {
        let labels: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(
            labels.join(" "),
            "assume_role_denied access_denied scp_denied credentials region_disabled throttled timeout \
             connection server_error invalid_response pagination other"
        );
    }

    #[test]
    fn a_message_is_a_single_line_of_limited_length() {
        // Regression: an invalid account id of 3 MB became a log line of 3 MB.
        let long = format!("a\nb{}end", "ü".repeat(MAX_MESSAGE_CHARS));
        let failure = Failure::new(Reason::Other, long.clone());
        assert!(failure.message.starts_with("a bü"), "{failure:?}");
        assert_eq!(failure.message.chars().count(), MAX_MESSAGE_CHARS);
        // Regression: the end of a message was lost, and with it the cause.
        assert!(failure.message.ends_with("üend") && failure.message.contains("ü…ü"), "{failure:?}");
        assert_eq!(Failure::wrong_account(long).message, failure.message);
        let in_context = failure.in_context("context");
        assert!(in_context.message.starts_with("context: a b"), "{in_context:?}");
        assert!(in_context.message.ends_with("üend"), "{in_context:?}");
        assert_eq!(in_context.message.chars().count(), MAX_MESSAGE_CHARS);
    }

    #[test]
    fn a_message_never_has_the_user_of_a_url() {
        let message = "cannot use http://user:s3cr3t@169.254.170.2/x";
        let expected = "cannot use http://(redacted)@169.254.170.2/x";
        assert_eq!(Failure::new(Reason::Other, message).message, expected);
    }
}
