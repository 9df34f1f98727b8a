//! Why the exporter cannot get to the syncs of accounts, and what to do about it, with the values of the
//! failures: the statement that is lacking, and the command that adds it.
//!
//! A policy of the organization gets no statement and no command, only its owner: a person decides whether
//! the exporter is exempt from it. External ids never appear.

mod commands;
mod deployment;
mod principal;
mod statement;

use std::collections::HashSet;

use principal::{Principal, PrincipalKind, RoleName};
use statement::Statement;

use super::command;
use crate::failure_log;
use crate::fleet::RoleArn;
use crate::health::access::LIST_MANAGED_NODES;
use crate::health::{AccessCauseKind, CauseGuide, CheckedStep};
use crate::model::Failure;
use crate::printable::excerpt;

/// The first thing to do if a role cannot be assumed without an external id.
const SET_EXTERNAL_ID: &str = "If the trust policy asks for an external id (`sts:ExternalId`), first set `external_id` of the role in \
    the configuration.";

/// What else to do about a denied managed-node lookup.
const DISABLE_LOOKUPS: &str = "Only managed-node lookups need this call. To do without them, set `managed_nodes.enabled` to `false` in the \
    configuration.";

/// What failures have in common that one change repairs, in any number of accounts and regions. It has
/// therefore no account of the fleet in it, no region and no request id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AccessCause {
    pub(crate) kind: AccessCauseKind,
    /// The action that is denied.
    pub(crate) action: Option<String>,
    /// Who is denied the call: `role` or `user` with its name.
    pub(crate) caller: Option<String>,
    /// The role that cannot be assumed: its ARN with `*` as the account.
    pub(crate) role: Option<String>,
    /// The policy that denies the call: its ARN, with `ACCOUNT_ID` instead of an account of the fleet.
    pub(crate) policy: Option<String>,
    /// Whether a statement denies the call, as opposed to none that allows it.
    pub(crate) is_explicit: bool,
    /// Whether the role was to be assumed with an external id. `None` if that is not known, because an AWS
    /// profile selects the role, or if it does not matter.
    pub(crate) external_id: Option<bool>,
    /// The error without its details, if it says no more than its text.
    pub(crate) error: Option<String>,
}

/// A failure with a cause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessExample<'a> {
    pub(crate) failure: &'a Failure,
    pub(crate) step: CheckedStep<'a>,
    /// The role whose credentials the failed call was made with, if the exporter assumed one. AWS names
    /// callers without the path of their role.
    pub(crate) caller: Option<&'a RoleArn>,
}

/// What to do about a cause. In texts, names between backticks are code. Names and ARNs are from the
/// configuration and from AWS; all are printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccessAdvice {
    /// Names the cause in a few words, without a full stop.
    pub(crate) title: String,
    /// Says what is wrong, in full sentences.
    pub(crate) explanation: String,
    /// Says what to do, in full sentences.
    pub(crate) remedy: String,
    /// The beginning of `remedy`, if it has to be done before the statement is added.
    pub(crate) first_step: Option<&'static str>,
    /// The policy statement that is lacking, in JSON on a single line. `EXTERNAL_ID`, `ACCOUNT_ID` and
    /// `ARN_OF_THE_CALLER` in it are placeholders.
    pub(crate) statement: Option<String>,
    /// Commands for a POSIX shell, one a line, that add the statement, or show what has to be changed.
    pub(crate) command: Option<String>,
    /// The parameters of the templates and Terraform modules in `deploy/aws` that the cause depends on.
    pub(crate) deployment_parameter: Option<String>,
    /// The ARN of the policy that denies the call, if AWS names it. `ACCOUNT_ID` stands for the account if
    /// there is such a policy in several accounts.
    pub(crate) policy_arn: Option<String>,
    /// Who may change the policy of the organization that denies the call.
    pub(crate) owner: Option<String>,
    /// The section of the runbook about the cause.
    pub(crate) runbook_url: String,
}

impl AccessCause {
    pub(crate) fn of(failure: &Failure, step: CheckedStep<'_>) -> Self {
        let kind = AccessCauseKind::of_step(failure, step);
        let denial = failure.denial.as_deref();
        let text = || failure_log::without_details(&failure.message, &[]);
        let mut cause = Self {
            kind,
            action: None,
            caller: None,
            role: None,
            policy: None,
            is_explicit: false,
            external_id: None,
            error: denial.is_none().then(text),
        };
        if !kind.is_denial() {
            return cause;
        }
        let action = denial.and_then(|denial| denial.action.as_deref()).or(step.action());
        cause.action = action.map(ToOwned::to_owned);
        if let Some(denial) = denial {
            let principal = denial.principal.as_deref().and_then(Principal::parse);
            cause.caller = principal.map(|principal| principal.describe());
            cause.policy = denial.policy_arn.as_deref().map(policy_without_account);
            cause.is_explicit = denial.is_explicit;
        }
        if action.is_some_and(|action| action.starts_with("sts:")) {
            let of_denial = || denial?.resource.as_deref()?.parse::<RoleArn>().ok();
            cause.role = match step {
                CheckedStep::AssumeRole { role_arn, .. } => Some(role_pattern(role_arn)),
                _ => of_denial().as_ref().map(role_pattern),
            };
            cause.external_id = match step {
                CheckedStep::AssumeRole { external_id_configured, .. }
                    if kind == AccessCauseKind::TrustPolicy =>
                {
                    Some(external_id_configured)
                }
                _ => None,
            };
        }
        cause
    }

    /// What to do about the cause. The failures are all that have it, so that the advice is about all of
    /// their accounts.
    pub(crate) fn advice(&self, failures: &[AccessExample<'_>]) -> AccessAdvice {
        let guide = CauseGuide::of_access(self.kind);
        let callers = callers(failures);
        let statement = self.statement(&callers);
        let policy_arn = self.policy_arn(failures);
        let command = commands::for_cause(self, &callers, policy_arn, statement.as_ref());
        let first_step = self.lacks_external_id().then_some(SET_EXTERNAL_ID);
        let mut remedy = first_step.map(|step| format!("{step} ")).unwrap_or_default();
        remedy.push_str(guide.remedy);
        if statement.is_some() {
            for sentence in self.instructions(&callers, failures, command.is_some()) {
                remedy.push(' ');
                remedy.push_str(&sentence);
            }
        }
        if self.action.as_deref() == Some(LIST_MANAGED_NODES) {
            remedy.push(' ');
            remedy.push_str(DISABLE_LOOKUPS);
        }
        AccessAdvice {
            title: self.title(&guide),
            explanation: self.explanation(&guide),
            remedy,
            first_step,
            statement: statement.as_ref().and_then(command::compact_json),
            command,
            deployment_parameter: deployment::parameter(self).map(ToOwned::to_owned),
            policy_arn: policy_arn.map(ToOwned::to_owned),
            owner: self.owner(),
            runbook_url: guide.runbook_url(),
        }
    }

    fn title(&self, guide: &CauseGuide) -> String {
        match (self.role_name(), &self.action) {
            (Some(role), _) if self.kind == AccessCauseKind::TrustPolicy => {
                let external_id = if self.lacks_external_id() { " without an external id" } else { "" };
                format!("{}{external_id}: {role}", guide.title)
            }
            (_, Some(action)) => format!("{}: {action}", guide.title),
            _ => guide.title.to_owned(),
        }
    }

    /// What causes with the same title may differ in: a text for each property, always in the same order.
    pub(crate) fn distinctions(&self) -> [String; 6] {
        let caller = self.caller.as_ref().map(|caller| format!("to the {}", caller.replace('`', "")));
        let policy = self.policy.as_ref().and_then(|arn| Some(format!("by {}", arn.rsplit('/').next()?)));
        let denial = if self.is_explicit { "explicitly denied" } else { "not allowed" };
        [
            (self.role.clone(), "another role"),
            (self.action.clone(), "another call"),
            (caller, "to a caller that AWS does not name"),
            (Some(denial.to_owned()), ""),
            (policy, "by a policy that AWS does not name"),
            (self.error.clone(), "with another message"),
        ]
        .map(|(known, otherwise)| excerpt(known.as_deref().unwrap_or(otherwise)))
    }

    /// Whether the role was to be assumed without an external id, which its trust policy may require.
    fn lacks_external_id(&self) -> bool {
        self.external_id == Some(false)
    }

    fn explanation(&self, guide: &CauseGuide) -> String {
        let Some(action) = &self.action else { return guide.explanation.to_owned() };
        let role = self.role_name().map(|role| format!(" on the role `{role}`")).unwrap_or_default();
        let caller = self.caller.as_ref().map(|caller| format!(" to the {caller}")).unwrap_or_default();
        format!("AWS denies `{action}`{role}{caller}. {}", guide.explanation)
    }

    /// How to add the statement, in sentences.
    fn instructions(
        &self,
        callers: &[Principal],
        failures: &[AccessExample<'_>],
        has_command: bool,
    ) -> Vec<String> {
        let mut sentences = Vec::new();
        let role_of_caller = callers.first().and_then(|caller| match &caller.kind {
            PrincipalKind::Role(role) => Some(role),
            _ => None,
        });
        if self.kind == AccessCauseKind::TrustPolicy {
            if has_command {
                sentences.push(
                    "Add the statement to `Statement` in the existing trust policy, because the last command replaces the \
                     whole policy; the first command saves it to a file."
                        .to_owned(),
                );
            }
            // A proxy may answer in place of AWS, and name somebody else.
            if !callers.is_empty() && failures.iter().any(|failure| failure.caller.is_none()) {
                sentences.push(
                    "The principal in the statement is from the error message: compare it with `aws sts get-caller-identity` \
                     on the host of the exporter."
                        .to_owned(),
                );
            }
            if self.external_id == Some(true) {
                sentences.push(
                    "Replace `EXTERNAL_ID` with `external_id` of the configuration, which is a secret and not shown."
                        .to_owned(),
                );
            }
            if role_of_caller.is_some_and(|role| role.path.is_none() && !role.is_of_identity_center()) {
                sentences.push(
                    "AWS names the caller without the path of its role: if the role has one, add it to the ARN.".to_owned(),
                );
            }
            if has_command {
                let roles = failures.iter().filter_map(|failure| match failure.step {
                    CheckedStep::AssumeRole { role_arn, .. } => Some(role_arn.account()),
                    _ => None,
                });
                sentences.push(match only(roles) {
                    Some(account) => format!("Run the commands in the account {account}."),
                    None => "Run the commands in each account.".to_owned(),
                });
            }
        } else if self.wants_identity_policy() {
            if let Some(role) = role_of_caller.filter(|role| role.is_of_identity_center()) {
                let role = &role.name;
                sentences.push(format!(
                    "IAM Identity Center manages the role `{role}`: add the statement to its permission set."
                ));
            } else if has_command {
                sentences.push(match only(callers.iter().map(|caller| &caller.account)) {
                    Some(account) => format!("Run the command in the account {account}."),
                    None => "Run the command in each account.".to_owned(),
                });
            }
        }
        sentences
    }

    /// Whether a policy of the caller has to allow the call.
    fn wants_identity_policy(&self) -> bool {
        !self.is_explicit
            && matches!(self.kind, AccessCauseKind::IdentityPolicy | AccessCauseKind::AccessDenied)
    }

    fn statement(&self, callers: &[Principal]) -> Option<Statement> {
        if self.is_explicit {
            return None;
        }
        let actions = self.lacking_actions()?;
        match self.kind {
            AccessCauseKind::TrustPolicy => {
                Some(Statement::of_trust(actions, callers, self.external_id == Some(true)))
            }
            AccessCauseKind::IdentityPolicy
            | AccessCauseKind::PermissionsBoundary
            | AccessCauseKind::SessionPolicy
            | AccessCauseKind::OrganizationAccess
            | AccessCauseKind::AccessDenied => {
                let resource = self.role.clone().unwrap_or_else(|| "*".to_owned());
                Some(Statement::of_identity(actions, resource))
            }
            AccessCauseKind::VpcEndpointPolicy => Some(Statement::of_endpoint(actions)),
            _ => None,
        }
    }

    /// The actions that have to be allowed: with the denied one, those that the exporter would be denied
    /// next. `None` for an action that the exporter does not need: a proxy may answer in place of AWS.
    fn lacking_actions(&self) -> Option<Vec<String>> {
        const LISTING_ORGANIZATION: [&str; 3] = [
            "organizations:ListAccounts",
            "organizations:ListAccountsForParent",
            "organizations:ListOrganizationalUnitsForParent",
        ];
        let actions: &[&str] = match self.action.as_deref()? {
            "sts:AssumeRole" => &["sts:AssumeRole"],
            "sts:TagSession" => &["sts:AssumeRole", "sts:TagSession"],
            "ssm:ListResourceDataSync" => &["ssm:ListResourceDataSync"],
            LIST_MANAGED_NODES => &[LIST_MANAGED_NODES],
            "account:ListRegions" => &["account:ListRegions"],
            action if LISTING_ORGANIZATION.contains(&action) => &LISTING_ORGANIZATION,
            _ => return None,
        };
        Some(actions.iter().map(|action| (*action).to_owned()).collect())
    }

    /// The name of the role that cannot be assumed.
    fn role_name(&self) -> Option<&str> {
        self.role.as_deref()?.rsplit('/').next()
    }

    /// The ARN of the policy that denies the calls, if it is the same one.
    fn policy_arn<'a>(&'a self, failures: &[AccessExample<'a>]) -> Option<&'a str> {
        let arns =
            failures.iter().filter_map(|failure| failure.failure.denial.as_deref()?.policy_arn.as_deref());
        only(arns).or(self.policy.as_deref())
    }

    /// Who owns the policy of the organization. Its ARN has the management account and the organization:
    /// `arn:aws:organizations::ACCOUNT:policy/ORGANIZATION/service_control_policy/ID`.
    fn owner(&self) -> Option<String> {
        let is_of_organization = matches!(
            self.kind,
            AccessCauseKind::ServiceControlPolicy | AccessCauseKind::ResourceControlPolicy
        );
        is_of_organization.then_some(())?;
        let from_arn = || {
            let mut parts = self.policy.as_deref()?.splitn(6, ':').skip(4);
            let (account, resource) = (parts.next()?, parts.next()?);
            let organization = resource.strip_prefix("policy/")?.split('/').next()?;
            Some(format!("the management account {account} of the organization {organization}"))
        };
        let account = from_arn().unwrap_or_else(|| "the management account of the organization".to_owned());
        Some(format!("{account}, or a delegated administrator for policies"))
    }
}

impl AccessCauseKind {
    /// Whether AWS denied a call.
    pub(crate) fn is_denial(self) -> bool {
        self <= Self::ServiceControlPolicy
    }
}

/// The callers of the failed calls, each once: the role that the exporter assumed, or else the caller that
/// the message names.
fn callers(failures: &[AccessExample<'_>]) -> Vec<Principal> {
    let callers = failures.iter().filter_map(|failure| {
        let denied = failure.failure.denial.as_deref().and_then(|denial| denial.principal.as_deref());
        // A proxy may answer in place of AWS, and must not choose whom to trust.
        failure.caller.map(Principal::of_role).or_else(|| denied.and_then(Principal::parse))
    });
    let mut seen = HashSet::new();
    callers.filter(|caller| seen.insert(caller.clone())).collect()
}

/// The value that all values are equal to.
fn only<T: PartialEq>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

/// The ARN of the role in any account.
fn role_pattern(arn: &RoleArn) -> String {
    format!("arn:{}:iam::*:role{}", arn.partition(), RoleName::of(arn).with_path())
}

/// The ARN of the policy, without its account if that may be an account of the fleet.
fn policy_without_account(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        [arn, partition, "iam", region, account, policy] if *account != "aws" => {
            [arn, partition, "iam", region, statement::ACCOUNT_ID, policy].join(":")
        }
        _ => arn.to_owned(),
    }
}

#[cfg(test)]
mod tests;
