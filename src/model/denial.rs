//! What AWS says about a call that it denied.

/// A denied call, as far as the message of the error tells. Every text is from AWS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Denial {
    /// The ARN of the caller.
    pub principal: Option<String>,
    /// The action, such as `ssm:ListResourceDataSync`.
    pub action: Option<String>,
    /// The ARN of the resource, such as that of the role to assume.
    pub resource: Option<String>,
    /// Which kind of policy denies the call.
    pub kind: DenialKind,
    /// Whether a statement denies the call, as opposed to none that allows it.
    pub is_explicit: bool,
    /// The ARN of the policy that denies the call. AWS names it only to callers in the same account or
    /// organization.
    pub policy_arn: Option<String>,
}

/// The kind of policy that denies a call.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum DenialKind {
    /// The message does not say. AWS says nothing about a role that does not exist, that does not
    /// trust the caller, or that expects another external id.
    Unstated,
    /// A policy of the caller.
    IdentityPolicy,
    /// The trust policy of the role to assume.
    TrustPolicy,
    /// A service control policy of the organization.
    ServiceControlPolicy,
    /// A resource control policy of the organization.
    ResourceControlPolicy,
    /// The permissions boundary of the caller.
    PermissionsBoundary,
    /// The policy that the session of the caller was created with.
    SessionPolicy,
    /// A policy of the resource.
    ResourcePolicy,
    /// The policy of the VPC endpoint that the call went through.
    VpcEndpointPolicy,
}

impl Denial {
    /// Reads the message of an error that denies access. `None` if it does not say who is denied what.
    pub(crate) fn parse(_message: &str) -> Option<Self> {
        None
    }
}
