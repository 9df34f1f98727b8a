//! Commands for the AWS CLI. They change only policies of the exporter's own roles and users; for all
//! others, they show what has to be changed.

use super::principal::{Principal, PrincipalKind};
use super::statement::{Document, Statement};
use super::{AccessCause, command};
use crate::health::AccessCauseKind;
use crate::health::remedy::command::Command;

/// Lets a person add the statement between the command that saves the trust policy and the one that
/// replaces it.
const EDIT: &str = "${EDITOR:-vi} trust-policy.json";

/// The names of policies that IAM accepts are not longer.
const MAX_POLICY_NAME: usize = 128;

/// The commands for a cause, one a line. `policy` is the ARN of the policy that denies the calls.
pub(super) fn for_cause(
    cause: &AccessCause,
    callers: &[Principal],
    policy: Option<&str>,
    statement: Option<&Statement>,
) -> Option<String> {
    let caller = callers.first();
    match cause.kind {
        AccessCauseKind::TrustPolicy => replace_trust_policy(cause.role_name()?),
        AccessCauseKind::TrustPolicyDeny => {
            let command = Command::new("aws iam get-role").option("--role-name", cause.role_name()?);
            command.and("--query Role.AssumeRolePolicyDocument").text()
        }
        _ if cause.wants_identity_policy() => put_policy(cause, caller?, statement?),
        AccessCauseKind::IdentityPolicyDeny => show_policies(policy, caller),
        AccessCauseKind::PermissionsBoundary => {
            let (command, query) = match &caller?.kind {
                PrincipalKind::Role(role) => (
                    Command::new("aws iam get-role").option("--role-name", &role.name),
                    "--query Role.PermissionsBoundary",
                ),
                PrincipalKind::User { name, .. } => (
                    Command::new("aws iam get-user").option("--user-name", name),
                    "--query User.PermissionsBoundary",
                ),
                PrincipalKind::Other(_) => return None,
            };
            command.and(query).text()
        }
        AccessCauseKind::VpcEndpointPolicy => {
            let (service, _) = cause.action.as_deref()?.split_once(':')?;
            let filter = format!("Name=service-name,Values=*.{service}");
            let command = Command::new("aws ec2 describe-vpc-endpoints").option("--filters", &filter);
            command.and("--query 'VpcEndpoints[].[VpcEndpointId,PolicyDocument]'").text()
        }
        AccessCauseKind::OrganizationAccess => {
            Command::new("aws organizations describe-organization --query Organization.MasterAccountId")
                .text()
        }
        _ => None,
    }
}

fn replace_trust_policy(role: &str) -> Option<String> {
    let save = Command::new("aws iam get-role").option("--role-name", role);
    let save = save.and("--query Role.AssumeRolePolicyDocument --output json > trust-policy.json").text()?;
    let update = Command::new("aws iam update-assume-role-policy").option("--role-name", role);
    let update = update.and("--policy-document file://trust-policy.json").text()?;
    Some([save.as_str(), EDIT, update.as_str()].join("\n"))
}

/// Adds a policy of its own, so that no other is replaced.
fn put_policy(cause: &AccessCause, caller: &Principal, statement: &Statement) -> Option<String> {
    let command = match &caller.kind {
        PrincipalKind::Role(role) if role.is_of_identity_center() => return None,
        PrincipalKind::Role(role) => {
            Command::new("aws iam put-role-policy").option("--role-name", &role.name)
        }
        PrincipalKind::User { name, .. } => {
            Command::new("aws iam put-user-policy").option("--user-name", name)
        }
        PrincipalKind::Other(_) => return None,
    };
    let (_, operation) = cause.action.as_deref()?.split_once(':')?;
    let role = cause.role_name().map(|role| format!("-{role}")).unwrap_or_default();
    let mut name = format!("ssm-sync-exporter-{operation}{role}");
    name.truncate(MAX_POLICY_NAME);
    let document = command::compact_json(&Document::with(statement))?;
    command.option("--policy-name", &name).option("--policy-document", &document).text()
}

fn show_policies(policy: Option<&str>, caller: Option<&Principal>) -> Option<String> {
    // The policy of each account has an ARN of its own.
    if let Some(arn) = policy.filter(|arn| !arn.contains(super::statement::ACCOUNT_ID)) {
        return Command::new("aws iam get-policy").option("--policy-arn", arn).text();
    }
    let (inline, managed) = match &caller?.kind {
        PrincipalKind::Role(role) => (
            Command::new("aws iam list-role-policies").option("--role-name", &role.name),
            Command::new("aws iam list-attached-role-policies").option("--role-name", &role.name),
        ),
        PrincipalKind::User { name, .. } => (
            Command::new("aws iam list-user-policies").option("--user-name", name),
            Command::new("aws iam list-attached-user-policies").option("--user-name", name),
        ),
        PrincipalKind::Other(_) => return None,
    };
    Some([inline.text()?, managed.text()?].join("\n"))
}
