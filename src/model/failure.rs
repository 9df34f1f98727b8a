//! Why a collection fails.

use std::fmt;

/// Why a collection failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason, from a closed list.
    pub reason: Reason,
    /// What AWS, the network or the SDK said, for people to read. Free of
    /// secrets.
    pub message: String,
    /// Whether it shows that what has been collected before belongs to another
    /// account, so that it must not be shown any longer.
    pub disowns: bool,
    /// What failed: a call for this target, or the credentials that it shares
    /// with others.
    pub scope: FailureScope,
}

impl Failure {
    /// A failure of one target, with a message for people to read.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), disowns: false, scope: FailureScope::Target }
    }

    /// The credentials turn out to be those of another account.
    pub fn disowning(message: impl Into<String>) -> Self {
        Self { disowns: true, ..Self::new(Reason::Credentials, message) }
    }

    /// The same failure, as one of obtaining shared credentials.
    #[must_use]
    pub fn of_credentials(self) -> Self {
        Self { scope: FailureScope::Credentials, ..self }
    }
}

/// How far the cause of a failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureScope {
    /// A call for one target failed.
    Target,
    /// Credentials could not be obtained, so nothing was called. All targets
    /// that share them fail alike, and the credential store logs the failure
    /// once for all of them.
    Credentials,
}

/// The closed list of reasons for a failed collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A role could not be assumed.
    AssumeRoleDenied,
    /// The credentials are good, but may not list the syncs.
    AccessDenied,
    /// A service control policy of the organization forbids it.
    ScpDenied,
    /// There are no credentials, or AWS does not take them.
    Credentials,
    /// The account has not enabled the region.
    RegionDisabled,
    /// AWS asks for fewer calls.
    Throttled,
    /// No answer in time.
    Timeout,
    /// The connection could not be made, or broke.
    Connection,
    /// AWS says that the fault is its own.
    ServerError,
    /// The answer is not what the API promises.
    InvalidResponse,
    /// The pages do not come to an end.
    Pagination,
    /// Anything else.
    Other,
}

impl Reason {
    /// All reasons, in the order of the public contract.
    pub const ALL: [Self; 12] = [
        Self::AssumeRoleDenied,
        Self::AccessDenied,
        Self::ScpDenied,
        Self::Credentials,
        Self::RegionDisabled,
        Self::Throttled,
        Self::Timeout,
        Self::Connection,
        Self::ServerError,
        Self::InvalidResponse,
        Self::Pagination,
        Self::Other,
    ];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AssumeRoleDenied => "assume_role_denied",
            Self::AccessDenied => "access_denied",
            Self::ScpDenied => "scp_denied",
            Self::Credentials => "credentials",
            Self::RegionDisabled => "region_disabled",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::ServerError => "server_error",
            Self::InvalidResponse => "invalid_response",
            Self::Pagination => "pagination",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
