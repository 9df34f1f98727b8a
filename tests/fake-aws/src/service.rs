//! The services, and the words in which each refuses a call.

use crate::fault::Fault;
use crate::reply::ApiError;
use crate::world::{Caller, Unknown};

/// A service that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Ssm,
    Sts,
    Organizations,
    Account,
}

impl Service {
    /// The service of that name, which is the one in signatures, in actions of
    /// policies and in endpoints.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Ssm, Self::Sts, Self::Organizations, Self::Account];
        all.into_iter().find(|service| service.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ssm => "ssm",
            Self::Sts => "sts",
            Self::Organizations => "organizations",
            Self::Account => "account",
        }
    }

    /// What a caller gets to hear who is not known.
    pub(crate) fn refusal(self, unknown: &Unknown) -> ApiError {
        let invalid = "The security token included in the request is invalid.";
        let expired = "The security token included in the request is expired";
        match (unknown, self) {
            (Unknown::Key, Self::Sts) => ApiError::new("InvalidClientTokenId", invalid).status(403),
            (Unknown::Key, _) => {
                ApiError::new("UnrecognizedClientException", invalid).status(self.forbidden())
            }
            (Unknown::Expired, Self::Sts) => ApiError::new("ExpiredToken", expired).status(403),
            (Unknown::Expired, _) => ApiError::new("ExpiredTokenException", expired).status(self.forbidden()),
        }
    }

    /// What a caller gets to hear who may not call `operation`.
    pub(crate) fn denial(self, caller: &Caller, operation: &str, why: &str) -> ApiError {
        let message =
            format!("User: {} is not authorized to perform: {}:{operation} {why}", caller.arn, self.name());
        let code = if self == Self::Sts { "AccessDenied" } else { "AccessDeniedException" };
        ApiError::new(code, message).status(self.forbidden())
    }

    /// What a caller gets to hear whose session policy does not allow
    /// `operation`. Nobody can be kept from asking who they are.
    pub(crate) fn policy_denial(self, caller: &Caller, operation: &str) -> Option<ApiError> {
        let policy = caller.policy.as_ref().filter(|_| operation != "GetCallerIdentity")?;
        let why = policy.objection(&format!("{}:{operation}", self.name()))?;
        Some(self.denial(caller, operation, &why))
    }

    /// The error that a fault stands for, if it stands for one.
    pub(crate) fn error_of(self, fault: &Fault, caller: &Caller, operation: &str) -> Option<ApiError> {
        match fault {
            Fault::Throttle => Some(self.throttle()),
            Fault::Deny => {
                Some(self.denial(caller, operation, "because no identity-based policy allows the action"))
            }
            Fault::DenyByScp => {
                Some(self.denial(caller, operation, "with an explicit deny in a service control policy"))
            }
            Fault::ExpiredToken => Some(self.refusal(&Unknown::Expired)),
            Fault::RegionDisabled if self == Self::Sts => {
                let message = "STS is not activated in this region for account. Your account administrator can activate STS in this region using the IAM Console.";
                Some(ApiError::new("RegionDisabledException", message).status(403))
            }
            // A region that an account has not enabled does not know its keys.
            Fault::RegionDisabled => Some(self.refusal(&Unknown::Key)),
            Fault::ServerError => Some(self.server_error()),
            Fault::Stall
            | Fault::Delay(_)
            | Fault::Cut
            | Fault::Answer { .. }
            | Fault::PageSize(_)
            | Fault::RepeatToken
            | Fault::EndlessPages
            | Fault::EndlessSlowPages(_) => None,
        }
    }

    fn throttle(self) -> ApiError {
        match self {
            Self::Sts => ApiError::new("Throttling", "Rate exceeded"),
            Self::Ssm => ApiError::new("ThrottlingException", "Rate exceeded"),
            Self::Organizations => ApiError::new("TooManyRequestsException", "Rate exceeded"),
            Self::Account => ApiError::new("TooManyRequestsException", "Rate exceeded").status(429),
        }
    }

    fn server_error(self) -> ApiError {
        let code = match self {
            Self::Ssm | Self::Sts => "InternalServerError",
            Self::Organizations => "ServiceException",
            Self::Account => "InternalServerException",
        };
        ApiError::new(code, "An internal error occurred").status(500)
    }

    /// The status of a refusal. The protocol JSON 1.1 does not tell it from
    /// other errors.
    fn forbidden(self) -> u16 {
        match self {
            Self::Ssm | Self::Organizations => 400,
            Self::Sts | Self::Account => 403,
        }
    }
}
