//! Tests of causes and advice, with the messages of AWS.

mod commands;
mod managed_nodes;
mod roles;

use super::*;
use crate::model::{Denial, Reason};

const HUB: &str = "arn:aws:sts::999900000000:assumed-role/ssm-sync-exporter/i-0abc";

fn role(account: u64) -> RoleArn {
    format!("arn:aws:iam::{account:012}:role/SsmSyncExporter").parse().unwrap()
}

/// A failure with a message of AWS.
fn denied(reason: Reason, message: &str) -> Failure {
    let denial = Denial::parse(message).map(Box::new);
    Failure { denial, ..Failure::new(reason, format!("AccessDenied: {message} (request 1)")) }
}

/// A denial of `ssm:ListResourceDataSync` to the member role of an account.
fn listing(account: u64, context: &str) -> Failure {
    calling("ssm:ListResourceDataSync", account, context)
}

/// A denial of an action to the member role of an account.
fn calling(action: &str, account: u64, context: &str) -> Failure {
    let reason = if context.contains("service control") { Reason::ScpDenied } else { Reason::AccessDenied };
    denied(
        reason,
        &format!(
            "User: arn:aws:sts::{account:012}:assumed-role/SsmSyncExporter/ssm-sync-exporter is not authorized to perform: \
             {action} on resource: arn:aws:ssm:eu-west-1:{account:012}:* {context}"
        ),
    )
}

/// A denial of assuming the member role of an account.
fn assuming(account: u64, caller: &str, context: &str) -> Failure {
    denied(
        Reason::AssumeRoleDenied,
        &format!(
            "User: {caller} is not authorized to perform: sts:AssumeRole on resource: {}{context}",
            role(account)
        ),
    )
}

/// The cause that the failures of a step share, and the advice about it.
fn advise(failures: &[Failure], step: CheckedStep<'_>) -> (AccessCause, AccessAdvice) {
    let examples: Vec<AccessExample> =
        failures.iter().map(|failure| AccessExample { failure, step, caller: None }).collect();
    let causes: std::collections::BTreeSet<AccessCause> =
        failures.iter().map(|failure| AccessCause::of(failure, step)).collect();
    assert_eq!(causes.len(), 1, "{causes:#?}");
    let cause = causes.into_iter().next().unwrap();
    let advice = cause.advice(&examples);
    (cause, advice)
}

fn advice_about_listing(context: &str) -> AccessAdvice {
    advise(&[listing(111_122_223_333, context), listing(444_455_556_666, context)], CheckedStep::ListSyncs).1
}

/// A cause of which only the action is known.
pub(super) fn cause(kind: AccessCauseKind, action: &str) -> AccessCause {
    AccessCause {
        kind,
        action: Some(action.to_owned()),
        caller: None,
        role: None,
        policy: None,
        is_explicit: false,
        external_id: None,
        error: None,
    }
}

fn json(text: Option<&str>) -> serde_json::Value {
    serde_json::from_str(text.unwrap()).unwrap()
}

#[test]
fn a_lacking_identity_policy_is_added_to_the_role_in_each_account() {
    let context = "because no identity-based policy allows the ssm:ListResourceDataSync action";
    let advice = advice_about_listing(context);
    assert_eq!(advice.title, "No policy of the caller allows the call: ssm:ListResourceDataSync");
    assert!(
        advice
            .explanation
            .starts_with("AWS denies `ssm:ListResourceDataSync` to the role `SsmSyncExporter`. A call needs"),
        "{advice:?}"
    );
    assert!(advice.remedy.ends_with("Run the command in each account."), "{advice:?}");
    let statement = r#"{"Effect":"Allow","Action":"ssm:ListResourceDataSync","Resource":"*"}"#;
    assert_eq!(advice.statement.as_deref(), Some(statement));
    assert_eq!(
        advice.command.as_deref(),
        Some(
            format!(
                "aws iam put-role-policy --role-name SsmSyncExporter --policy-name ssm-sync-exporter-ListResourceDataSync \
                 --policy-document '{{\"Version\":\"2012-10-17\",\"Statement\":[{statement}]}}'"
            )
            .as_str()
        )
    );
    assert!(advice.runbook_url.ends_with("/deploy/runbook.md#cause-identity_policy"));
    assert_eq!((advice.owner, advice.deployment_parameter), (None, None));
}

#[test]
fn a_user_gets_its_policy_by_another_command() {
    let message = "User: arn:aws-us-gov:iam::111122223333:user/ops/o'mary is not authorized to perform: account:ListRegions";
    assert_eq!(Denial::parse(message).unwrap().principal, None, "IAM has no such name");
    let message = message.replace("o'mary", "mary");
    let (_, advice) = advise(&[denied(Reason::AccessDenied, &message)], CheckedStep::ListRegions);
    let command = advice.command.unwrap();
    assert!(
        command.starts_with(
            "aws iam put-user-policy --user-name mary --policy-name ssm-sync-exporter-ListRegions --policy-document '{"
        ),
        "{command}"
    );
    assert!(advice.remedy.ends_with("Run the command in the account 111122223333."), "{}", advice.remedy);
    assert!(advice.deployment_parameter.unwrap().contains("`ListRegions=true`"));
}

#[test]
fn policies_of_an_organization_get_an_owner_and_neither_a_statement_nor_a_command() {
    let scp = "arn:aws:organizations::987654321098:policy/o-qv5af4abcd/service_control_policy/p-2kgnabcd";
    let owner = "the management account 987654321098 of the organization o-qv5af4abcd, or a delegated administrator for \
                 policies";
    let unknown_owner =
        "the management account of the organization, or a delegated administrator for policies";
    for (context, owner, arn) in [
        (format!("with an explicit deny in a service control policy: {scp}"), owner, Some(scp)),
        ("with an explicit deny in a service control policy".to_owned(), unknown_owner, None),
        (
            "because no service control policy allows the ssm:ListResourceDataSync action".to_owned(),
            unknown_owner,
            None,
        ),
        (
            format!(
                "with an explicit deny in a resource control policy: {}",
                scp.replace("service", "resource")
            ),
            owner,
            Some("policy/o-qv5af4abcd/resource_control_policy/p-2kgnabcd"),
        ),
    ] {
        let advice = advice_about_listing(&context);
        assert_eq!(advice.owner.as_deref(), Some(owner), "{context}");
        assert_eq!((&advice.statement, &advice.command, &advice.deployment_parameter), (&None, &None, &None));
        assert!(advice.remedy.contains("sk the owner of the policy"), "{}", advice.remedy);
        assert_eq!(advice.policy_arn.is_some(), arn.is_some(), "{advice:?}");
        assert!(advice.policy_arn.is_none_or(|policy| policy.contains(arn.unwrap())), "{context}");
    }
}

#[test]
fn policies_that_deny_are_shown_and_never_replaced() {
    for (context, kind, command) in [
        (
            "with an explicit deny in an identity-based policy",
            "identity_policy_deny",
            Some(
                "aws iam list-role-policies --role-name SsmSyncExporter\n\
                 aws iam list-attached-role-policies --role-name SsmSyncExporter",
            ),
        ),
        (
            "with an explicit deny in an identity-based policy: arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3",
            "identity_policy_deny",
            Some("aws iam get-policy --policy-arn arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"),
        ),
        (
            "with an explicit deny in a permissions boundary",
            "permissions_boundary",
            Some("aws iam get-role --role-name SsmSyncExporter --query Role.PermissionsBoundary"),
        ),
        ("with an explicit deny in a session policy", "session_policy", None),
        (
            "with an explicit deny in a VPC endpoint policy",
            "vpc_endpoint_policy",
            Some(
                "aws ec2 describe-vpc-endpoints --filters 'Name=service-name,Values=*.ssm' --query \
                 'VpcEndpoints[].[VpcEndpointId,PolicyDocument]'",
            ),
        ),
        ("with an explicit deny in a resource-based policy", "resource_policy", None),
        ("with an explicit deny", "access_denied", None),
    ] {
        let advice = advice_about_listing(context);
        assert!(advice.runbook_url.ends_with(&format!("#cause-{kind}")), "{context}: {advice:?}");
        assert_eq!((advice.statement, advice.command.as_deref()), (None, command), "{context}");
    }
}

#[test]
fn what_other_policies_lack_is_shown_as_a_statement() {
    let identity = r#"{"Effect":"Allow","Action":"ssm:ListResourceDataSync","Resource":"*"}"#;
    let endpoint = r#"{"Effect":"Allow","Principal":"*","Action":"ssm:ListResourceDataSync","Resource":"*"}"#;
    for (policy, kind, statement) in [
        ("permissions boundary", "permissions_boundary", identity),
        ("session policy", "session_policy", identity),
        ("VPC endpoint policy", "vpc_endpoint_policy", endpoint),
    ] {
        let advice =
            advice_about_listing(&format!("because no {policy} allows the ssm:ListResourceDataSync action"));
        assert!(advice.runbook_url.ends_with(&format!("#cause-{kind}")), "{advice:?}");
        assert_eq!(advice.statement.as_deref(), Some(statement), "{policy}");
        assert!(advice.command.is_none_or(|command| !command.contains("put-")), "{policy}");
    }
    assert!(
        advice_about_listing("with an explicit deny in a session policy")
            .remedy
            .contains("`aws.session_policy: false`")
    );
}

#[test]
fn one_policy_with_an_arn_in_each_account_is_one_cause() {
    let context =
        |account| format!("with an explicit deny in a permissions boundary: arn:aws:iam::{account}:policy/B");
    let failures = [111_122_223_333, 444_455_556_666].map(|id| listing(id, &context(id)));
    let (cause, advice) = advise(&failures, CheckedStep::ListSyncs);
    assert_eq!(cause.policy.as_deref(), Some("arn:aws:iam::ACCOUNT_ID:policy/B"));
    assert_eq!(advice.policy_arn.as_deref(), Some("arn:aws:iam::ACCOUNT_ID:policy/B"));
    let (_, one) = advise(&failures[..1], CheckedStep::ListSyncs);
    assert_eq!(one.policy_arn.as_deref(), Some("arn:aws:iam::111122223333:policy/B"));
    // Another policy is another cause.
    let other = listing(111_122_223_333, &context(111_122_223_333).replace("policy/B", "policy/C"));
    assert_ne!(AccessCause::of(&other, CheckedStep::ListSyncs), cause);
}

#[test]
fn an_account_that_may_not_list_its_organization_is_a_cause_of_its_own() {
    let organizations = "User: arn:aws:sts::111122223333:assumed-role/Lister/s is not authorized to perform: \
                         organizations:ListAccounts on resource: *";
    let messages = [
        "You don't have permissions to access this resource.".to_owned(),
        format!(
            "{organizations} because no resource-based policy allows the organizations:ListAccounts action"
        ),
        organizations.to_owned(),
    ];
    for message in messages {
        let (cause, advice) = advise(&[denied(Reason::AccessDenied, &message)], CheckedStep::ListAccounts);
        assert_eq!(cause.kind, AccessCauseKind::OrganizationAccess, "{message}");
        assert!(advice.deployment_parameter.unwrap().contains("`ListOrganization=true`"));
        let statement = json(advice.statement.as_deref());
        assert_eq!(
            statement["Action"],
            serde_json::json!([
                "organizations:ListAccounts",
                "organizations:ListAccountsForParent",
                "organizations:ListOrganizationalUnitsForParent"
            ])
        );
        assert!(advice.command.unwrap().starts_with("aws organizations describe-organization "));
    }
    let lacking = format!(
        "{organizations} because no identity-based policy allows the organizations:ListAccounts action"
    );
    let (cause, advice) = advise(&[denied(Reason::AccessDenied, &lacking)], CheckedStep::ListAccounts);
    assert_eq!(cause.kind, AccessCauseKind::IdentityPolicy);
    assert!(advice.command.unwrap().contains("--policy-name ssm-sync-exporter-ListAccounts "));
}

#[test]
fn roles_of_identity_center_get_no_command() {
    let message = "User: arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_View_0a1b/mary is not authorized to perform: \
                   ssm:ListResourceDataSync because no identity-based policy allows the ssm:ListResourceDataSync action";
    let (_, advice) = advise(&[denied(Reason::AccessDenied, message)], CheckedStep::ListSyncs);
    assert_eq!(advice.command, None);
    assert!(advice.remedy.contains("add the statement to its permission set"), "{}", advice.remedy);
}

#[test]
fn causes_without_a_denial_are_told_by_reason_and_text() {
    let of = |failure: &Failure, step| AccessCause::of(failure, step).kind.as_str();
    let role_arn = role(111_122_223_333);
    let assume = CheckedStep::AssumeRole { role_arn: &role_arn, external_id_configured: true };
    let new = Failure::new;
    let rejected = Failure { rejects_credentials: true, ..new(Reason::Credentials, "ExpiredToken: expired") };
    for (failure, step, kind) in [
        (
            new(Reason::Credentials, "no providers in chain provided credentials"),
            CheckedStep::Credentials,
            "credentials",
        ),
        (rejected, CheckedStep::ListSyncs, "rejected_credentials"),
        (new(Reason::Credentials, "SignatureDoesNotMatch: Signature expired"), assume, "invalid_signature"),
        (
            new(Reason::Credentials, "InvalidSignatureException: x"),
            CheckedStep::ListSyncs,
            "invalid_signature",
        ),
        (Failure::wrong_account("credentials belong to 1, not 2"), CheckedStep::ListSyncs, "wrong_account"),
        (new(Reason::RegionDisabled, "OptInRequired"), CheckedStep::ListSyncs, "region_disabled"),
        (new(Reason::RegionDisabled, "RegionDisabledException"), assume, "sts_region_disabled"),
        (new(Reason::Throttled, "ThrottlingException"), CheckedStep::ListSyncs, "throttled"),
        (new(Reason::Timeout, "no response from SSM at a:443 within 5s"), CheckedStep::ListSyncs, "timeout"),
        (new(Reason::Connection, "dns error"), CheckedStep::ListSyncs, "connection"),
        (
            new(Reason::ServerError, "HTTP status 502 and an HTML page from a:443"),
            CheckedStep::ListSyncs,
            "html_page",
        ),
        (
            new(Reason::InvalidResponse, "HTTP status 403 and an HTML page"),
            CheckedStep::ListSyncs,
            "html_page",
        ),
        (new(Reason::InvalidResponse, "not JSON"), CheckedStep::ListSyncs, "invalid_response"),
        (new(Reason::ServerError, "InternalServerError"), CheckedStep::ListSyncs, "server_error"),
        (new(Reason::Pagination, "a page token repeats"), CheckedStep::ListAccounts, "pagination"),
        (new(Reason::Other, "?"), CheckedStep::ListUnits, "other"),
        (new(Reason::AccessDenied, "AccessDenied: Access denied"), CheckedStep::ListSyncs, "access_denied"),
        (
            new(Reason::ScpDenied, "AccessDenied: see the service control policy"),
            CheckedStep::ListSyncs,
            "service_control_policy",
        ),
        (new(Reason::AssumeRoleDenied, "AccessDenied: Access denied"), assume, "trust_policy"),
        (
            new(Reason::AssumeRoleDenied, "AccessDenied: Roles may not be assumed by root accounts."),
            assume,
            "root_user",
        ),
        (
            denied(Reason::AssumeRoleDenied, "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
            CheckedStep::Credentials,
            "web_identity",
        ),
    ] {
        assert_eq!(of(&failure, step), kind, "{failure:?}");
    }
    // Accounts, regions, hosts and request ids do not make another cause, the text does.
    let timeout = |host: &str| {
        let message =
            format!("no response from SSM at ssm.{host}.amazonaws.com:443 within 5s (request {host})");
        AccessCause::of(&Failure::new(Reason::Timeout, message), CheckedStep::ListSyncs)
    };
    assert_eq!(timeout("eu-west-1"), timeout("us-east-1"));
    let other =
        AccessCause::of(&new(Reason::Timeout, "no response from STS at a:443"), CheckedStep::ListSyncs);
    assert_ne!(timeout("eu-west-1"), other);
    // Without a denial, the action is that of the step.
    let denied = new(Reason::AccessDenied, "AccessDenied");
    let regions = AccessCause::of(&denied, CheckedStep::ListRegions);
    assert_eq!(regions.action.as_deref(), Some("account:ListRegions"));
    assert_ne!(regions, AccessCause::of(&denied, CheckedStep::ListSyncs));
}

#[test]
fn every_cause_has_a_remedy_and_a_section_of_the_runbook() {
    for kind in AccessCauseKind::ALL {
        let cause = cause(*kind, "ssm:ListResourceDataSync");
        let advice = cause.advice(&[]);
        assert!(advice.remedy.ends_with('.') && advice.explanation.ends_with('.'), "{advice:?}");
        assert!(advice.runbook_url.ends_with(&format!("#cause-{}", kind.as_str())), "{advice:?}");
        assert_eq!(advice.owner.is_some(), kind.as_str().ends_with("control_policy"), "{advice:?}");
    }
}

#[test]
fn actions_that_the_exporter_does_not_need_are_never_allowed() {
    for action in ["iam:CreateUser", "ssm:SendCommand", "sts:AssumeRoot", "organizations:CreateAccount"] {
        let message = format!(
            "User: arn:aws:iam::111122223333:user/mary is not authorized to perform: {action} because no identity-based policy \
             allows the {action} action"
        );
        let (cause, advice) = advise(&[denied(Reason::AccessDenied, &message)], CheckedStep::ListSyncs);
        assert_eq!(cause.action.as_deref(), Some(action));
        assert_eq!((advice.statement, advice.command), (None, None));
        assert!(!advice.remedy.contains("Run the command"), "{}", advice.remedy);
    }
}
