//! Tests of the advice about managed-node lookups that are denied.

use pretty_assertions::assert_eq;

use super::*;
use crate::health::access::LIST_MANAGED_NODES;

const DISABLE: &str = "Only managed-node lookups need this call. To do without them, set `managed_nodes.enabled` to `false` in the \
    configuration.";

fn lookup(account: u64, context: &str) -> Failure {
    calling(LIST_MANAGED_NODES, account, context)
}

#[test]
fn a_lookup_that_no_policy_allows_is_added_to_the_role_or_disabled() {
    let context = "because no identity-based policy allows the ssm:DescribeInstanceInformation action";
    let failures = [lookup(111_122_223_333, context), lookup(444_455_556_666, context)];
    let (cause, advice) = advise(&failures, CheckedStep::ListManagedNodes);
    assert_eq!(cause.kind, AccessCauseKind::IdentityPolicy);
    assert_eq!(advice.title, "No policy of the caller allows the call: ssm:DescribeInstanceInformation");
    let statement = r#"{"Effect":"Allow","Action":"ssm:DescribeInstanceInformation","Resource":"*"}"#;
    assert_eq!(advice.statement.as_deref(), Some(statement));
    let command = advice.command.unwrap();
    let expected = "aws iam put-role-policy --role-name SsmSyncExporter --policy-name \
                    ssm-sync-exporter-DescribeInstanceInformation --policy-document ";
    assert!(command.starts_with(expected), "{command}");
    assert_eq!(
        advice.deployment_parameter.as_deref(),
        Some(
            "`ListManagedNodes=true` of the StackSet (`member-role.yaml`), or `list_managed_nodes = true` of the Terraform module"
        )
    );
    let remedy = &advice.remedy;
    assert!(remedy.ends_with(&format!("Run the command in each account. {DISABLE}")), "{remedy}");
}

#[test]
fn only_advice_about_lookups_says_how_to_do_without_them() {
    for context in [
        "with an explicit deny in a service control policy",
        "with an explicit deny in an identity-based policy",
        "because no VPC endpoint policy allows the ssm:DescribeInstanceInformation action",
        "because no session policy allows the ssm:DescribeInstanceInformation action",
        "",
    ] {
        let (_, advice) = advise(&[lookup(111_122_223_333, context)], CheckedStep::ListManagedNodes);
        assert!(advice.remedy.ends_with(DISABLE), "{context}: {}", advice.remedy);
        let of_syncs =
            advice_about_listing(&context.replace("DescribeInstanceInformation", "ListResourceDataSync"));
        assert!(!of_syncs.remedy.contains("managed-node"), "{context}: {}", of_syncs.remedy);
    }
    let timeout = Failure::new(Reason::Timeout, "no response from SSM");
    let (cause, advice) = advise(std::slice::from_ref(&timeout), CheckedStep::ListManagedNodes);
    assert!(!advice.remedy.contains("managed-node"), "{}", advice.remedy);
    assert_eq!(
        cause,
        AccessCause::of(&timeout, CheckedStep::ListSyncs),
        "a timeout does not depend on the action"
    );
}

#[test]
fn a_denied_lookup_and_a_denied_list_of_syncs_are_different_causes() {
    let unstated = Failure::new(Reason::AccessDenied, "AccessDeniedException: Access denied");
    let scp = Failure::new(Reason::ScpDenied, "AccessDeniedException: see the service control policy");
    for failure in [unstated, scp] {
        let of_lookup = AccessCause::of(&failure, CheckedStep::ListManagedNodes);
        assert_ne!(of_lookup, AccessCause::of(&failure, CheckedStep::ListSyncs), "{failure:?}");
        assert_eq!(of_lookup.action.as_deref(), Some(LIST_MANAGED_NODES));
    }
}
