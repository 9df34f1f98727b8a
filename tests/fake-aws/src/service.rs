//! The supported services, and how each reports common errors.

use crate::authorization::{Call, Denial, PolicyType};
use crate::fault::Fault;
use crate::reply::ApiError;
use crate::world::CredentialError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Ssm,
    Sts,
    Organizations,
    Account,
    Iam,
}

impl Service {
    /// The service with this name, as in signatures and in the actions of policies.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Ssm, Self::Sts, Self::Organizations, Self::Account, Self::Iam];
        all.into_iter().find(|service| service.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ssm => "ssm",
            Self::Sts => "sts",
            Self::Organizations => "organizations",
            Self::Account => "account",
            Self::Iam => "iam",
        }
    }

    /// Whether requests are forms and responses are XML.
    pub(crate) fn is_query(self) -> bool {
        matches!(self, Self::Sts | Self::Iam)
    }

    /// The error for invalid credentials.
    pub(crate) fn credential_error(self, error: &CredentialError) -> ApiError {
        let invalid = "The security token included in the request is invalid.";
        let expired = "The security token included in the request is expired";
        match (error, self) {
            (CredentialError::UnknownKey, Self::Sts | Self::Iam) => {
                ApiError::new("InvalidClientTokenId", invalid).status(403)
            }
            (CredentialError::UnknownKey, _) => {
                ApiError::new("UnrecognizedClientException", invalid).status(self.access_denied_status())
            }
            (CredentialError::Expired, Self::Sts | Self::Iam) => {
                ApiError::new("ExpiredToken", expired).status(403)
            }
            (CredentialError::Expired, _) => {
                ApiError::new("ExpiredTokenException", expired).status(self.access_denied_status())
            }
        }
    }

    /// The error for a caller that may not call an operation.
    pub(crate) fn access_denied(self, message: String) -> ApiError {
        let code = if self.is_query() { "AccessDenied" } else { "AccessDeniedException" };
        ApiError::new(code, message).status(self.access_denied_status())
    }

    /// The error response to `call` that `fault` causes, or `None` if it has another effect. `number`
    /// is that of the request.
    pub(crate) fn fault_error(self, fault: &Fault, call: &Call<'_>, number: u64) -> Option<ApiError> {
        match fault {
            Fault::Throttle => Some(self.throttling_error()),
            Fault::Deny => Some(self.access_denied(Denial::Implicit(PolicyType::Identity).message(call))),
            Fault::DenyByScp => {
                Some(self.access_denied(Denial::Explicit(PolicyType::ServiceControl, None).message(call)))
            }
            Fault::ExpiredToken => Some(self.credential_error(&CredentialError::Expired)),
            Fault::RegionDisabled if self == Self::Sts => {
                let message = "STS is not activated in this region for account. Your account administrator can activate STS in this region using the IAM Console.";
                Some(ApiError::new("RegionDisabledException", message).status(403))
            }
            // A region that is not enabled rejects the account's keys as unknown.
            Fault::RegionDisabled => Some(self.credential_error(&CredentialError::UnknownKey)),
            Fault::ServerError => Some(self.server_error()),
            Fault::NewErrorCode => {
                Some(ApiError::new(format!("Fake{number}Exception"), "An error that no other response has"))
            }
            Fault::Stall
            | Fault::Delay(_)
            | Fault::TruncatedBody
            | Fault::Response { .. }
            | Fault::PageSize(_)
            | Fault::RepeatToken
            | Fault::EndlessPages
            | Fault::EndlessSlowPages(_)
            | Fault::AllTypes
            | Fault::ManyItems(_)
            | Fault::ExpiresIn(_)
            | Fault::Text { .. }
            | Fault::Headers(_)
            | Fault::DateOffBy(_)
            | Fault::ClockAhead(_)
            | Fault::ManyHeaders(_)
            | Fault::Padding { .. }
            | Fault::Dribble(_)
            | Fault::Reset
            | Fault::All(_) => None,
        }
    }

    /// The error for a signature whose time is too far from the service's.
    pub(crate) fn signing_time_error(self, message: String) -> ApiError {
        let code = if self.is_query() { "SignatureDoesNotMatch" } else { "InvalidSignatureException" };
        ApiError::new(code, message).status(self.access_denied_status())
    }

    fn throttling_error(self) -> ApiError {
        match self {
            Self::Sts | Self::Iam => ApiError::new("Throttling", "Rate exceeded"),
            Self::Ssm => ApiError::new("ThrottlingException", "Rate exceeded"),
            Self::Organizations => ApiError::new("TooManyRequestsException", "Rate exceeded"),
            Self::Account => ApiError::new("TooManyRequestsException", "Rate exceeded").status(429),
        }
    }

    fn server_error(self) -> ApiError {
        let code = match self {
            Self::Ssm | Self::Sts => "InternalServerError",
            Self::Iam => "ServiceFailure",
            Self::Organizations => "ServiceException",
            Self::Account => "InternalServerException",
        };
        ApiError::new(code, "An internal error occurred").status(500)
    }

    /// The HTTP status of a denied call. JSON 1.1 uses 400 for every client error.
    fn access_denied_status(self) -> u16 {
        match self {
            Self::Ssm | Self::Organizations => 400,
            Self::Sts | Self::Account | Self::Iam => 403,
        }
    }
}
