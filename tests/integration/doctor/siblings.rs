//! Further faults of the same kinds: of the exporter's own role, of the organization and of regions.

use std::collections::BTreeSet;

use fake_aws::{Identity, OrganizationPolicyType};
use pretty_assertions::assert_eq;
use serde_json::json;

use super::fleet::{Fleet, HUB_ROLE, UNITS, document, member, policy, with_statement};
use crate::exporter::{HUB, ROLE};

const MEMBERS: u32 = 3;

/// A policy of the exporter's own role that lacks an action. The printed command is for that role only.
async fn assert_is_repaired_at_the_hub(fleet: &Fleet, kind: &str, accounts: usize) {
    let cause = fleet.only_cause().await;
    assert_eq!((cause.kind.as_str(), cause.accounts), (kind, accounts), "{cause:#?}");
    let command = cause.command.unwrap();
    assert!(command.starts_with(&format!("aws iam put-role-policy --role-name {HUB_ROLE} ")), "{command}");
    assert!(cause.remedy.contains(HUB), "{}", cause.remedy);
    let statement = cause.statement.unwrap();
    let only = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
    fleet.world().put_policy(HUB, &Identity::role(HUB_ROLE), "remedy", &only).unwrap();
    fleet.healthy_report().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exporters_own_role_may_not_assume_the_others() {
    let fleet = Fleet::start(MEMBERS).await;
    let listing = document("organization-policy.json");
    fleet.world().set_policies(HUB, &Identity::role(HUB_ROLE), &[("list", &listing)]).unwrap();
    // Within an account, a trust policy that names the caller is enough.
    assert_is_repaired_at_the_hub(&fleet, "identity_policy", MEMBERS as usize).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exporters_own_role_may_not_list_the_organization() {
    let fleet = Fleet::start(MEMBERS).await;
    let assuming = document("exporter-policy.json");
    fleet.world().set_policies(HUB, &Identity::role(HUB_ROLE), &[("assume", &assuming)]).unwrap();
    // Only the denial says in which account the exporter runs.
    assert_is_repaired_at_the_hub(&fleet, "identity_policy", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_role_may_not_list_the_enabled_regions() {
    let mut fleet = Fleet::start(MEMBERS).await;
    fleet.regions = vec!["eu-west-*".to_owned()];
    let account = member(1);
    let syncs = [json!({"Effect": "Allow", "Action": "ssm:ListResourceDataSync", "Resource": "*"})];
    fleet.world().set_policies(&account, &Identity::role(ROLE), &[("syncs", &policy(&syncs))]).unwrap();
    let cause = fleet.only_cause().await;
    assert_eq!((cause.kind.as_str(), cause.accounts), ("identity_policy", 1), "{cause:#?}");
    let only = format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, cause.statement.unwrap());
    fleet.world().put_policy(&account, &Identity::role(ROLE), "remedy", &only).unwrap();
    fleet.healthy_report().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_control_policies_that_list_what_is_allowed_do_not_allow_the_call() {
    let fleet = Fleet::start(MEMBERS).await;
    fleet.move_to(&member(0), UNITS[0]);
    let allowed = json!({"Effect": "Allow", "Action": ["sts:*", "s3:*"], "Resource": "*"});
    fleet.attach(UNITS[0], OrganizationPolicyType::ServiceControl, "p-allowed0", allowed, true);
    fleet.world().detach_policy(UNITS[0], OrganizationPolicyType::ServiceControl, "p-FullAWSAccess");
    let cause = fleet.only_cause().await;
    assert_eq!((cause.kind.as_str(), cause.accounts), ("service_control_policy", 1), "{cause:#?}");
    assert!(cause.statement.is_none() && cause.command.is_none() && cause.owner.is_some(), "{cause:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_denies_is_shown_and_never_overridden() {
    let fleet = Fleet::start(MEMBERS).await;
    let statements = [
        json!({"Effect": "Allow", "Action": "*", "Resource": "*"}),
        json!({"Effect": "Deny", "Action": "ssm:*", "Resource": "*"}),
    ];
    let role = Identity::role(ROLE);
    fleet.world().set_policies(&member(0), &role, &[("deny", &policy(&statements))]).unwrap();
    let cause = fleet.only_cause().await;
    assert_eq!(cause.kind, "identity_policy_deny");
    assert_eq!(cause.statement, None, "another statement would change nothing");
    for line in cause.command.unwrap().lines() {
        assert!(line.starts_with("aws iam list-") || line.starts_with("aws iam get-"), "{line}");
    }

    let fleet = Fleet::start(MEMBERS).await;
    let deny = json!({"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": {"AWS": HUB}});
    fleet.world().set_trust_policy(&member(0), ROLE, &policy(&[deny])).unwrap();
    let cause = fleet.only_cause().await;
    assert_eq!((cause.kind.as_str(), cause.statement), ("trust_policy_deny", None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_role_is_the_same_cause_as_one_that_does_not_trust_the_exporter() {
    let fleet = Fleet::start(MEMBERS).await;
    fleet.world().add_denied_role(&member(0), ROLE);
    // Accounts without the role.
    let new = [member(MEMBERS), member(MEMBERS + 1)];
    for account in &new {
        fleet.world().add_member(account, "new", "r-fake");
    }
    let cause = fleet.only_cause().await;
    assert_eq!((cause.kind.as_str(), cause.accounts), ("trust_policy", 3), "{cause:#?}");
    let examples: BTreeSet<&str> =
        cause.examples.iter().filter_map(|example| example.aws_account_id.as_deref()).collect();
    assert!(examples.is_superset(&new.each_ref().map(String::as_str).into()), "{cause:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_may_not_list_the_organization_is_told_from_a_missing_permission() {
    let mut fleet = Fleet::start(MEMBERS).await;
    let account = member(2);
    let everything = policy(&[json!({"Effect": "Allow", "Action": "*", "Resource": "*"})]);
    fleet.world().set_policies(&account, &Identity::role(ROLE), &[("all", &everything)]).unwrap();
    fleet.list_organization_in(&account);
    // The account is no administrator, and the organization has no policy about it, or another.
    for policy_of_organization in [
        None,
        Some(
            r#"{"Effect": "Allow", "Action": "organizations:DescribeOrganization", "Principal": "*", "Resource": "*"}"#,
        ),
    ] {
        let policy = policy_of_organization.map(|text| policy(&[serde_json::from_str(text).unwrap()]));
        fleet.world().set_organization_policy(policy.as_deref()).unwrap();
        let cause = fleet.only_cause().await;
        assert_eq!(cause.kind, "organization_access", "{cause:#?}");
    }
    fleet.world().add_delegated_administrator(&account);
    fleet.healthy_report().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_of_one_region_is_a_cause_in_that_region() {
    let fleet = Fleet::start(MEMBERS).await;
    let other = policy(&[
        json!({"Effect": "Allow", "Principal": "*", "Action": "ssm:GetParameter", "Resource": "*"}),
    ]);
    fleet.world().set_vpc_endpoint_policy("ssm", Some("eu-west-1"), Some(&other)).unwrap();
    let cause = fleet.only_cause().await;
    assert_eq!(cause.kind, "vpc_endpoint_policy");
    assert_eq!((cause.accounts, cause.regions), (MEMBERS as usize + 1, 1), "{cause:#?}");
    let with_remedy = with_statement(&other, &cause.statement.unwrap());
    fleet.world().set_vpc_endpoint_policy("ssm", Some("eu-west-1"), Some(&with_remedy)).unwrap();
    fleet.healthy_report().await;
}
