//! Why a step on the way to the syncs of an account failed.
//!
//! [`cause_guide`](super::cause_guide) says what each cause means, and
//! [`remedy::access`](super::remedy) what to do about a failure, with its own values.

use crate::fleet::RoleArn;
use crate::model::{DenialKind, Failure, FailureScope, Reason};

/// The action that managed-node lookups need.
pub(super) const LIST_MANAGED_NODES: &str = "ssm:DescribeInstanceInformation";

/// What the exporter did when the failure occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckedStep<'a> {
    /// Obtaining the first credentials, from a profile or the default chain.
    Credentials,
    AssumeRole {
        role_arn: &'a RoleArn,
        /// Whether the request had an external id.
        external_id_configured: bool,
    },
    /// Listing the accounts of the organization.
    ListAccounts,
    /// Listing the organizational units, or the accounts of one.
    ListUnits,
    ListRegions,
    ListSyncs,
    /// A managed-node lookup.
    ListManagedNodes,
}

impl CheckedStep<'_> {
    /// The action that the step needs to be allowed.
    pub(super) fn action(self) -> Option<&'static str> {
        Some(match self {
            Self::Credentials => return None,
            Self::AssumeRole { .. } => "sts:AssumeRole",
            Self::ListAccounts => "organizations:ListAccounts",
            Self::ListUnits => "organizations:ListOrganizationalUnitsForParent",
            Self::ListRegions => "account:ListRegions",
            Self::ListSyncs => "ssm:ListResourceDataSync",
            Self::ListManagedNodes => LIST_MANAGED_NODES,
        })
    }

    fn is_about_organization(self) -> bool {
        matches!(self, Self::ListAccounts | Self::ListUnits)
    }
}

/// A kind of cause. In snake case, each is the name of a section of the runbook and a value in the JSON
/// of the diagnosis. Denied calls come first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum AccessCauseKind {
    /// The role does not exist, does not trust the caller, or expects another external id.
    TrustPolicy,
    /// A statement in the trust policy of the role denies assuming it.
    TrustPolicyDeny,
    /// The role does not trust the web identity.
    WebIdentity,
    /// The caller is the root user of an account.
    RootUser,
    /// No policy of the caller allows the call.
    IdentityPolicy,
    /// A policy of the caller denies the call.
    IdentityPolicyDeny,
    PermissionsBoundary,
    SessionPolicy,
    ResourcePolicy,
    VpcEndpointPolicy,
    ResourceControlPolicy,
    /// The account may not list the organization.
    OrganizationAccess,
    /// The call is denied, and AWS does not say by which policy.
    AccessDenied,
    ServiceControlPolicy,
    RegionDisabled,
    /// The region of the STS endpoint is not enabled in the account of the role.
    StsRegionDisabled,
    /// There are no credentials.
    Credentials,
    /// AWS does not accept the credentials.
    RejectedCredentials,
    /// AWS does not accept the signature, for example because the host's clock is wrong.
    InvalidSignature,
    /// The credentials belong to another account than the configured one.
    WrongAccount,
    Throttled,
    Timeout,
    Connection,
    ServerError,
    /// A proxy or another server answered with an HTML page.
    HtmlPage,
    InvalidResponse,
    Pagination,
    Other,
}

/// The error codes about signatures and their times.
const SIGNATURE_CODES: [&str; 6] = [
    "IncompleteSignature",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

impl AccessCauseKind {
    /// Every kind, in the order of the runbook.
    #[cfg(test)]
    pub(crate) const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The name in the runbook and in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }

    /// The kind of cause of failures of which no more is known than their reason.
    pub(crate) fn of_reason(reason: Reason) -> Self {
        match reason {
            Reason::AssumeRoleDenied => Self::TrustPolicy,
            Reason::AccessDenied => Self::AccessDenied,
            Reason::ScpDenied => Self::ServiceControlPolicy,
            Reason::Credentials => Self::Credentials,
            Reason::RegionDisabled => Self::RegionDisabled,
            Reason::Throttled => Self::Throttled,
            Reason::Timeout => Self::Timeout,
            Reason::Connection => Self::Connection,
            Reason::ServerError => Self::ServerError,
            Reason::InvalidResponse => Self::InvalidResponse,
            Reason::Pagination => Self::Pagination,
            Reason::Other => Self::Other,
        }
    }

    /// The kind of cause of a failure of `step`.
    pub(crate) fn of_step(failure: &Failure, step: CheckedStep<'_>) -> Self {
        let assumes_role = matches!(step, CheckedStep::AssumeRole { .. } | CheckedStep::Credentials);
        match Self::of_failure(failure) {
            Self::RegionDisabled if assumes_role => Self::StsRegionDisabled,
            // Organizations denies its calls by the same words to accounts that may not make them.
            Self::AccessDenied | Self::ResourcePolicy
                if step.is_about_organization() && !is_explicit_denial(failure) =>
            {
                Self::OrganizationAccess
            }
            kind => kind,
        }
    }

    /// The kind of cause of a failure, whatever the exporter did.
    pub(crate) fn of_failure(failure: &Failure) -> Self {
        let has_code = |codes: &[&str]| codes.iter().any(|code| failure.message.contains(code));
        match failure.reason {
            Reason::AssumeRoleDenied | Reason::AccessDenied | Reason::ScpDenied => Self::of_denial(failure),
            Reason::Credentials if failure.is_wrong_account => Self::WrongAccount,
            Reason::Credentials if failure.rejects_credentials => Self::RejectedCredentials,
            Reason::Credentials if has_code(&SIGNATURE_CODES) => Self::InvalidSignature,
            Reason::RegionDisabled if failure.scope == FailureScope::Credentials => Self::StsRegionDisabled,
            Reason::InvalidResponse | Reason::ServerError | Reason::Throttled
                if failure.message.contains("HTML page") =>
            {
                Self::HtmlPage
            }
            reason => Self::of_reason(reason),
        }
    }

    fn of_denial(failure: &Failure) -> Self {
        if failure.message.contains("Roles may not be assumed by root accounts") {
            return Self::RootUser;
        }
        let Some(denial) = failure.denial.as_deref() else { return Self::of_reason(failure.reason) };
        let action = denial.action.as_deref().unwrap_or_default();
        if action.eq_ignore_ascii_case("sts:AssumeRoleWithWebIdentity") {
            return Self::WebIdentity;
        }
        match (denial.kind, denial.is_explicit) {
            (DenialKind::Unstated, _) if failure.reason == Reason::ScpDenied => Self::ServiceControlPolicy,
            (DenialKind::Unstated, false) if action.starts_with("sts:") => Self::TrustPolicy,
            (DenialKind::Unstated, _) => Self::AccessDenied,
            (DenialKind::TrustPolicy, false) => Self::TrustPolicy,
            (DenialKind::TrustPolicy, true) => Self::TrustPolicyDeny,
            (DenialKind::IdentityPolicy, false) => Self::IdentityPolicy,
            (DenialKind::IdentityPolicy, true) => Self::IdentityPolicyDeny,
            (DenialKind::PermissionsBoundary, _) => Self::PermissionsBoundary,
            (DenialKind::SessionPolicy, _) => Self::SessionPolicy,
            (DenialKind::ResourcePolicy, _) => Self::ResourcePolicy,
            (DenialKind::VpcEndpointPolicy, _) => Self::VpcEndpointPolicy,
            (DenialKind::ServiceControlPolicy, _) => Self::ServiceControlPolicy,
            (DenialKind::ResourceControlPolicy, _) => Self::ResourceControlPolicy,
        }
    }
}

fn is_explicit_denial(failure: &Failure) -> bool {
    failure.denial.as_ref().is_some_and(|denial| denial.is_explicit)
}
