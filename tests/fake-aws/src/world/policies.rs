//! The policies of the organization and of VPC endpoints, and which policies apply to a call.

use std::collections::{BTreeMap, BTreeSet};

use super::{Inner, ORGANIZATION, World};
use crate::authorization::{AttachedPolicies, Call, Policies, ResourcePolicy};
use crate::policy::{Policy, PolicyKind, Request};

/// The id of the service control policy that AWS attaches to every root, unit and account, and which
/// allows everything.
const FULL_AWS_ACCESS: &str = "p-FullAWSAccess";

/// A policy with an ARN.
#[derive(Debug)]
pub(crate) struct ManagedPolicy {
    pub(crate) arn: String,
    pub(crate) policy: Policy,
    /// Whether the errors of calls that the policy explicitly denies contain its ARN.
    pub(crate) is_named: bool,
}

impl ManagedPolicy {
    /// A policy that errors name.
    pub(super) fn parse(arn: String, document: &str, kind: PolicyKind) -> Result<Self, String> {
        Ok(Self { arn, policy: Policy::parse(document, kind)?, is_named: true })
    }
}

/// The identity-based policies of a user or role, and its permissions boundary.
#[derive(Debug)]
pub(crate) struct Permissions {
    /// Whether a policy allows everything, as AWS's policy `AdministratorAccess` does.
    pub(crate) full_access: bool,
    /// The inline policies by name.
    pub(crate) policies: BTreeMap<String, Policy>,
    pub(crate) boundary: Option<ManagedPolicy>,
}

impl Default for Permissions {
    fn default() -> Self {
        Self { full_access: true, policies: BTreeMap::new(), boundary: None }
    }
}

/// The policies of a type that are attached to roots, units and accounts, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    policies: BTreeMap<String, Vec<ManagedPolicy>>,
    /// The roots, units and accounts without `FullAWSAccess`.
    without_full_access: BTreeSet<String>,
}

impl Attachments {
    fn attach(&mut self, target: &str, policy: ManagedPolicy) {
        let policies = self.policies.entry(target.to_owned()).or_default();
        policies.retain(|other| other.arn != policy.arn);
        policies.push(policy);
    }

    fn detach(&mut self, target: &str, id: &str) {
        if id == FULL_AWS_ACCESS {
            self.without_full_access.insert(target.to_owned());
        }
        if let Some(policies) = self.policies.get_mut(target) {
            policies.retain(|policy| !policy.arn.ends_with(&format!("/{id}")));
        }
    }

    fn level(&self, target: &str) -> AttachedPolicies<'_> {
        AttachedPolicies {
            full_access: !self.without_full_access.contains(target),
            policies: self.policies.get(target).map_or(&[], Vec::as_slice),
        }
    }
}

/// The policy of the VPC endpoints of a service.
#[derive(Debug)]
pub(super) struct VpcEndpoint {
    service: String,
    /// `None` for all regions.
    region: Option<String>,
    policy: Policy,
}

/// The type of a policy of the organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationPolicyType {
    /// Limits what the callers of an account may do. Does not apply to the management account.
    ServiceControl,
    /// Limits what may be done with the resources of an account: here, who may assume its roles. Does
    /// not apply to the management account.
    ResourceControl,
}

impl OrganizationPolicyType {
    fn as_str(self) -> &'static str {
        match self {
            Self::ServiceControl => "service_control_policy",
            Self::ResourceControl => "resource_control_policy",
        }
    }
}

impl World {
    /// Attaches a policy to the root `r-fake`, a unit or an account. Replaces the one with the same id,
    /// such as `p-a1b2c3d4`. If `is_named`, errors contain its ARN, as those of AWS do for callers in
    /// the organization, in the services that support it.
    ///
    /// # Errors
    /// The policy is malformed.
    ///
    /// # Panics
    /// If there is no organization.
    pub fn attach_policy(
        &self,
        target: &str,
        policy_type: OrganizationPolicyType,
        id: &str,
        document: &str,
        is_named: bool,
    ) -> Result<(), String> {
        let kind = match policy_type {
            OrganizationPolicyType::ServiceControl => PolicyKind::Identity,
            OrganizationPolicyType::ResourceControl => PolicyKind::Resource,
        };
        let policy = Policy::parse(document, kind)?;
        self.change_organization(|organization| {
            let (management, type_name) = (&organization.management, policy_type.as_str());
            let arn = format!("arn:aws:organizations::{management}:policy/{ORGANIZATION}/{type_name}/{id}");
            organization.attachments(policy_type).attach(target, ManagedPolicy { arn, policy, is_named });
        });
        Ok(())
    }

    /// Detaches a policy from the root, a unit or an account. Detaching the service control policy
    /// `p-FullAWSAccess`, which AWS attaches to each of these, leaves only what other policies allow.
    ///
    /// # Panics
    /// If there is no organization.
    pub fn detach_policy(&self, target: &str, policy_type: OrganizationPolicyType, id: &str) {
        self.change_organization(|organization| organization.attachments(policy_type).detach(target, id));
    }

    /// Sets the policy of the organization, with which members that are no administrators may be allowed
    /// to list it.
    ///
    /// # Errors
    /// The policy is malformed.
    ///
    /// # Panics
    /// If there is no organization.
    pub fn set_organization_policy(&self, document: Option<&str>) -> Result<(), String> {
        let policy = document.map(|document| Policy::parse(document, PolicyKind::Resource)).transpose()?;
        self.change_organization(|organization| organization.resource_policy = policy);
        Ok(())
    }

    /// Sets the policy of the VPC endpoints through which all callers reach a service, such as `ssm`, in
    /// one region or in all.
    ///
    /// # Errors
    /// The policy is malformed.
    pub fn set_vpc_endpoint_policy(
        &self,
        service: &str,
        region: Option<&str>,
        document: Option<&str>,
    ) -> Result<(), String> {
        let policy = document.map(|document| Policy::parse(document, PolicyKind::Resource)).transpose()?;
        let endpoints = &mut self.lock().vpc_endpoints;
        endpoints.retain(|endpoint| endpoint.service != service || endpoint.region.as_deref() != region);
        if let Some(policy) = policy {
            endpoints.push(VpcEndpoint {
                service: service.to_owned(),
                region: region.map(ToOwned::to_owned),
                policy,
            });
        }
        Ok(())
    }

    /// Why policies deny a call. `None` if they allow it.
    pub(crate) fn denial(&self, mut call: Call<'_>) -> Option<String> {
        let inner = self.lock();
        inner.add_context(&mut call);
        let request = Request {
            principal: &call.caller.principal(),
            action: &call.action,
            resource: &call.resource,
            context: &call.context,
        };
        let is_same_account = call.resource_account == call.caller.account;
        let denial = inner.policies(&call).denial(&request, is_same_account);
        denial.map(|denial| denial.message(&call))
    }
}

impl Inner {
    /// Adds the condition keys that all requests have.
    fn add_context(&self, call: &mut Call<'_>) {
        let (caller, context) = (call.caller, &mut call.context);
        context.add("aws:PrincipalAccount", &caller.account);
        context.add("aws:PrincipalArn", caller.principal().identity);
        context.add("aws:PrincipalIsAWSService", "false");
        context.add("aws:RequestedRegion", call.region);
        context.add("aws:ResourceAccount", &call.resource_account);
        for (key, account) in [
            ("aws:PrincipalOrgID", caller.account.as_str()),
            ("aws:ResourceOrgID", call.resource_account.as_str()),
        ] {
            if self.organization.as_ref().is_some_and(|organization| organization.has_member(account)) {
                context.add(key, ORGANIZATION);
            }
        }
    }

    /// The policies that apply to a call.
    fn policies<'a>(&'a self, call: &Call<'a>) -> Policies<'a> {
        let account = &call.caller.account;
        let service = call.action.split(':').next().unwrap_or_default();
        let endpoint = self.vpc_endpoints.iter().find(|endpoint| {
            endpoint.service == service && endpoint.region.as_ref().is_none_or(|region| region == call.region)
        });
        let attached = |to: &str, policy_type| {
            let organization = self.organization.as_ref();
            organization.map(|organization| organization.attached(to, policy_type)).unwrap_or_default()
        };
        let is_assume_role = call.action == "sts:AssumeRole";
        let resource_control = if is_assume_role {
            attached(&call.resource_account, OrganizationPolicyType::ResourceControl)
        } else {
            Vec::new()
        };
        let permissions = self.accounts.get(account).and_then(|account| match &call.caller.identity {
            super::Identity::User => Some(&account.user),
            super::Identity::Role(name) => account.roles.get(name).map(|role| &role.permissions),
        });
        Policies {
            resource_control: resource_control.iter().flat_map(|level| level.policies).collect(),
            service_control: attached(account, OrganizationPolicyType::ServiceControl),
            endpoint: endpoint.map(|endpoint| &endpoint.policy),
            resource: if is_assume_role { Some(self.trust(call)) } else { self.organization_policy(call) },
            permissions,
            session: call.caller.policy.as_deref(),
        }
    }

    /// The trust policy of the role that a call assumes.
    fn trust(&self, call: &Call<'_>) -> ResourcePolicy<'_> {
        let name = call.resource.split_once(":role/").map_or("", |(_, name)| name);
        let role = self.accounts.get(&call.resource_account).and_then(|account| account.roles.get(name));
        ResourcePolicy { is_trust: true, policy: role.map(|role| &role.trust) }
    }

    /// The policy of the organization, if the caller needs it.
    fn organization_policy(&self, call: &Call<'_>) -> Option<ResourcePolicy<'_>> {
        let organization = self.organization.as_ref()?;
        let policy = organization.resource_policy.as_ref()?;
        let needs_policy = call.action.starts_with("organizations:")
            && call.action != "organizations:DescribeOrganization"
            && !organization.is_administrator(&call.caller.account);
        needs_policy.then_some(ResourcePolicy { is_trust: false, policy: Some(policy) })
    }
}

impl super::Organization {
    fn attachments(&mut self, policy_type: OrganizationPolicyType) -> &mut Attachments {
        match policy_type {
            OrganizationPolicyType::ServiceControl => &mut self.service_control_policies,
            OrganizationPolicyType::ResourceControl => &mut self.resource_control_policies,
        }
    }

    /// The policies that apply to an account, from the root to the account.
    fn attached(&self, account: &str, policy_type: OrganizationPolicyType) -> Vec<AttachedPolicies<'_>> {
        let Some(member) = self.members.iter().find(|member| member.id == account) else { return Vec::new() };
        if account == self.management {
            return Vec::new();
        }
        let attachments = match policy_type {
            OrganizationPolicyType::ServiceControl => &self.service_control_policies,
            OrganizationPolicyType::ResourceControl => &self.resource_control_policies,
        };
        let targets = self.parents(member).into_iter().chain([account]);
        targets.map(|target| attachments.level(target)).collect()
    }
}
