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
    /// Whether it has been logged where it was found: it is that of all targets
    /// of an account, or of many accounts.
    pub logged: bool,
}

impl Failure {
    /// A failure with what is to be said about it.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), disowns: false, logged: false }
    }

    /// The credentials turn out to be those of another account.
    pub fn disowning(message: impl Into<String>) -> Self {
        Self { disowns: true, ..Self::new(Reason::Credentials, message) }
    }

    /// The same, which has been logged.
    #[must_use]
    pub fn logged(self) -> Self {
        Self { logged: true, ..self }
    }
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
