//! Evaluates the policies that apply to a call, and words the errors of denied calls as AWS does.

use serde_json::Value;

use crate::policy::{Context, Decision, Policy, Request};
use crate::service::Service;
use crate::sts::Parameters;
use crate::world::{Caller, ManagedPolicy, Permissions, World};
use crate::{iam, organizations};

/// A call that policies may deny.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) caller: &'a Caller,
    /// Such as `ssm:ListResourceDataSync`.
    pub(crate) action: String,
    /// The ARN of the resource, or `*`.
    pub(crate) resource: String,
    /// The account that has the resource.
    pub(crate) resource_account: String,
    pub(crate) region: &'a str,
    /// The condition keys that only this operation has.
    pub(crate) context: Context,
}

impl<'a> Call<'a> {
    /// A call of `operation`. `request` is the body of a JSON request.
    pub(crate) fn of(
        world: &World,
        service: Service,
        operation: &str,
        caller: &'a Caller,
        region: &'a str,
        parameters: &Parameters,
        request: Option<&Value>,
    ) -> Self {
        let account = caller.account.as_str();
        let text = |name: &str| request?.get(name)?.as_str();
        let mut context = Context::default();
        let resource = match service {
            Service::Ssm => {
                if let Some(sync_type) = text("SyncType") {
                    context.add("ssm:SyncType", sync_type);
                }
                let name = text("SyncName").map(|name| format!("resource-data-sync/{name}"));
                let (partition, name) = (partition_of(region), name.unwrap_or_else(|| "*".to_owned()));
                format!("arn:{partition}:ssm:{region}:{account}:{name}")
            }
            Service::Account => format!("arn:{}:account::{account}:account", partition_of(region)),
            Service::Organizations => organizations::resource(world, text("ParentId")),
            Service::Iam => iam::resource(world, account, parameters),
            Service::Sts => parameters.get("RoleArn").cloned().unwrap_or_else(|| "*".to_owned()),
        };
        let action = format!("{}:{operation}", service.name());
        let resource_account = match service {
            Service::Organizations => world.with_organization(|organization| {
                organization.map(|organization| organization.management.clone())
            }),
            _ => None,
        };
        let resource_account = resource_account.unwrap_or_else(|| account.to_owned());
        Self { caller, action, resource, resource_account, region, context }
    }
}

fn partition_of(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// The policies of a type that are attached to a root, unit or account of the organization.
#[derive(Debug)]
pub(crate) struct AttachedPolicies<'a> {
    /// Whether the service control policy `FullAWSAccess` is attached, which allows everything.
    pub(crate) full_access: bool,
    pub(crate) policies: &'a [ManagedPolicy],
}

/// The policy of the resource of a call.
#[derive(Debug)]
pub(crate) struct ResourcePolicy<'a> {
    pub(crate) is_trust: bool,
    /// `None` if the resource, or its policy, does not exist.
    pub(crate) policy: Option<&'a Policy>,
}

/// The policies that apply to a call.
#[derive(Debug)]
pub(crate) struct Policies<'a> {
    /// The resource control policies of the account that has the resource.
    pub(crate) resource_control: Vec<&'a ManagedPolicy>,
    /// The service control policies of the caller's account, from the root to the account.
    pub(crate) service_control: Vec<AttachedPolicies<'a>>,
    /// The policy of the VPC endpoint that the call goes through.
    pub(crate) endpoint: Option<&'a Policy>,
    /// `None` if the call does not need one.
    pub(crate) resource: Option<ResourcePolicy<'a>>,
    /// `None` is an identity that may do everything.
    pub(crate) permissions: Option<&'a Permissions>,
    pub(crate) session: Option<&'a Policy>,
}

/// Why a call is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// AWS does not say why.
    Unstated,
    /// No policy of this type allows the call.
    Implicit(PolicyType),
    /// A policy of this type denies the call. Its ARN, if the error contains it.
    Explicit(PolicyType, Option<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyType {
    ResourceControl,
    ServiceControl,
    VpcEndpoint,
    Resource,
    Trust,
    Identity,
    Boundary,
    Session,
}

impl PolicyType {
    fn name(self) -> &'static str {
        match self {
            Self::ResourceControl => "resource control policy",
            Self::ServiceControl => "service control policy",
            Self::VpcEndpoint => "VPC endpoint policy",
            Self::Resource => "resource-based policy",
            Self::Trust => "role trust policy",
            Self::Identity => "identity-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
        }
    }

    fn article(self) -> &'static str {
        match self {
            Self::Identity => "an",
            Self::Trust => "the",
            _ => "a",
        }
    }
}

impl Denial {
    /// The message of the error.
    pub(crate) fn message(&self, call: &Call<'_>) -> String {
        let Call { caller, action, resource, .. } = call;
        let start = format!("User: {} is not authorized to perform: {action}", caller.arn);
        let why = match self {
            Self::Unstated => return format!("{start} on resource: {resource}"),
            Self::Implicit(of) => format!("because no {} allows the {action} action", of.name()),
            Self::Explicit(of, arn) => {
                let arn = arn.as_ref().map(|arn| format!(": {arn}")).unwrap_or_default();
                format!("with an explicit deny in {} {}{arn}", of.article(), of.name())
            }
        };
        // As AWS documents it, without the resource.
        if let Self::Implicit(PolicyType::Trust) | Self::Explicit(PolicyType::Trust, _) = self {
            return format!("{start} {why}");
        }
        format!("{start} on resource: {resource} {why}")
    }
}

impl Policies<'_> {
    /// Why the policies deny a call. `None` if they allow it. If several types of policies deny it, AWS
    /// names one of them: statements that deny before those that are missing, and each in the order of
    /// its documentation.
    pub(crate) fn denial(&self, request: &Request<'_>, is_same_account: bool) -> Option<Denial> {
        self.explicit_denial(request).or_else(|| self.implicit_denial(request, is_same_account))
    }

    fn explicit_denial(&self, request: &Request<'_>) -> Option<Denial> {
        let denies = |policy: &Policy| policy.decide(request) == Decision::Denied;
        let managed = |of, policy: &ManagedPolicy| {
            let arn = policy.is_named.then(|| policy.arn.clone());
            denies(&policy.policy).then_some(Denial::Explicit(of, arn))
        };
        let other = |of, policy: Option<&Policy>| {
            policy.filter(|policy| denies(policy)).map(|_| Denial::Explicit(of, None))
        };
        let resource_control =
            self.resource_control.iter().find_map(|policy| managed(PolicyType::ResourceControl, policy));
        let service_control = || {
            let mut policies = self.service_control.iter().flat_map(|level| level.policies);
            policies.find_map(|policy| managed(PolicyType::ServiceControl, policy))
        };
        let resource = || {
            let resource = self.resource.as_ref()?;
            other(resource.policy_type(), resource.policy)
        };
        let identity = || {
            let mut policies = self.permissions?.policies.values();
            policies.find_map(|policy| other(PolicyType::Identity, Some(policy)))
        };
        let boundary = || managed(PolicyType::Boundary, self.permissions?.boundary.as_ref()?);
        resource_control
            .or_else(service_control)
            .or_else(|| other(PolicyType::VpcEndpoint, self.endpoint))
            .or_else(resource)
            .or_else(identity)
            .or_else(boundary)
            .or_else(|| other(PolicyType::Session, self.session))
    }

    fn implicit_denial(&self, request: &Request<'_>, is_same_account: bool) -> Option<Denial> {
        let allows = |policy: &Policy| {
            matches!(policy.decide(request), Decision::Allowed | Decision::AllowedToAccount)
        };
        let is_allowed_by = |level: &AttachedPolicies<'_>| {
            level.full_access || level.policies.iter().any(|managed| allows(&managed.policy))
        };
        if !self.service_control.iter().all(is_allowed_by) {
            return Some(Denial::Implicit(PolicyType::ServiceControl));
        }
        if self.endpoint.is_some_and(|policy| !allows(policy)) {
            return Some(Denial::Implicit(PolicyType::VpcEndpoint));
        }
        let by_resource = self
            .resource
            .as_ref()
            .map(|resource| resource.policy.map_or(Decision::NotAllowed, |policy| policy.decide(request)));
        // Within an account, the policy of a resource that names the caller is enough.
        let needs_identity = !(is_same_account && by_resource == Some(Decision::Allowed));
        if let Some(permissions) = self.permissions {
            if needs_identity && !permissions.full_access && !permissions.policies.values().any(allows) {
                return Some(Denial::Implicit(PolicyType::Identity));
            }
            if permissions.boundary.as_ref().is_some_and(|boundary| !allows(&boundary.policy)) {
                return Some(Denial::Implicit(PolicyType::Boundary));
            }
        }
        if self.session.is_some_and(|policy| !allows(policy)) {
            return Some(Denial::Implicit(PolicyType::Session));
        }
        let resource = self.resource.as_ref().filter(|_| by_resource == Some(Decision::NotAllowed))?;
        // AWS tells the callers of other accounts nothing about a role, not even whether it exists.
        let is_unstated = resource.is_trust && (!is_same_account || resource.policy.is_none());
        Some(if is_unstated { Denial::Unstated } else { Denial::Implicit(resource.policy_type()) })
    }
}

impl ResourcePolicy<'_> {
    fn policy_type(&self) -> PolicyType {
        if self.is_trust { PolicyType::Trust } else { PolicyType::Resource }
    }
}

#[cfg(test)]
mod tests;
