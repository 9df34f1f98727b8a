//! Tests of managed-node lookups that policies deny. The policies of `deploy/aws` do not allow lookups by default.

use std::collections::BTreeSet;

use fake_aws::{Identity, OrganizationPolicyType};
use pretty_assertions::assert_eq;
use serde_json::json;

use super::aws_cli::run_command;
use super::fleet::{Fleet, REGIONS, UNITS, document, member, policy, with_statement};
use super::report::{Cause, Check, Report};
use crate::exporter::{HUB, ROLE};

const MEMBERS: u32 = 4;
const LISTING: &str = "ssm:ListResourceDataSync";
const LOOKUP: &str = "ssm:DescribeInstanceInformation";
const DISABLE: &str = "set `managed_nodes.enabled` to `false` in the configuration.";

async fn start() -> Fleet {
    let mut fleet = Fleet::start(MEMBERS).await;
    fleet.looks_for_nodes = true;
    fleet
}

/// The accounts of the members and of the hub.
fn accounts() -> impl Iterator<Item = String> {
    (0..MEMBERS).map(member).chain([HUB.to_owned()])
}

/// Allows lookups in every account.
fn allow_lookups(fleet: &Fleet) {
    let lookups = policy(&[json!({"Effect": "Allow", "Action": LOOKUP, "Resource": "*"})]);
    for account in accounts() {
        fleet.world().put_policy(&account, &Identity::role(ROLE), "lookups", &lookups).unwrap();
    }
}

fn apply_to_role(fleet: &Fleet, account: &str, statement: &str) {
    let only = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
    let name = if statement.contains(LOOKUP) { "lookups" } else { "lists" };
    fleet.world().put_policy(account, &Identity::role(ROLE), name, &only).unwrap();
}

/// The checks of lookups, each with its account and region.
fn lookups(report: &Report) -> Vec<(&str, &str, &Check)> {
    let lookups = report.checks.iter().filter(|check| check.step == "list_managed_nodes");
    lookups
        .map(|check| (check.aws_account_id.as_deref().unwrap(), check.aws_region.as_deref().unwrap(), check))
        .collect()
}

async fn assert_all_is_well(fleet: &Fleet) {
    let report = fleet.healthy_report().await;
    assert!(lookups(&report).iter().all(|(.., check)| check.status == "passed"), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_is_a_separate_cause_and_its_remedy_works() {
    let fleet = start().await;
    let blind = member(3);
    let other = document("policy.json").replace(LISTING, "ssm:ListDocuments");
    fleet.world().set_policies(&blind, &Identity::role(ROLE), &[("syncs", &other)]).unwrap();
    fleet.world().set_managed_nodes(&member(0), REGIONS[1], 1);

    let (status, report) = fleet.examine(&[]).await;
    assert_eq!(status, Some(1));
    assert_eq!(lookups(&report).len(), accounts().count() * REGIONS.len());
    for (account, region, check) in lookups(&report) {
        // The syncs of a target are listed first.
        let expected = if account == blind { ("not_tested", None) } else { ("failed", Some(1)) };
        assert_eq!((check.status.as_str(), check.requests), expected, "{account} {region}");
    }
    let seeing: BTreeSet<String> = accounts().filter(|account| *account != blind).collect();
    let causes = report.causes_by_accounts();
    assert_eq!(causes.len(), 2, "{causes:#?}");
    let (of_lookups, of_lists) = (&causes[&seeing], &causes[&[blind.clone()].into()]);
    for (cause, action) in [(of_lookups, LOOKUP), (of_lists, LISTING)] {
        assert_eq!(cause.kind, "identity_policy");
        assert!(cause.title.ends_with(&format!(": {action}")), "{}", cause.title);
        assert!(cause.statement.as_ref().unwrap().contains(action), "{cause:#?}");
        assert_eq!(cause.remedy.ends_with(DISABLE), action == LOOKUP, "{}", cause.remedy);
    }

    let statement = of_lookups.statement.as_ref().unwrap();
    for account in &seeing {
        apply_to_role(&fleet, account, statement);
    }
    let (_, report) = fleet.examine(&[]).await;
    for (account, region, check) in lookups(&report) {
        let has_nodes = account == member(0) && region == REGIONS[1];
        let found = if has_nodes { "managed nodes are present" } else { "no managed nodes here" };
        let found = Some(found).filter(|_| account != blind);
        assert_eq!(check.message.as_deref(), found, "{account} {region}");
    }
    apply_to_role(&fleet, &blind, of_lists.statement.as_ref().unwrap());
    let cause = fleet.only_cause().await;
    assert_eq!((cause.title.as_str(), cause.accounts), (of_lookups.title.as_str(), 1));
    apply_to_role(&fleet, &blind, cause.statement.as_ref().unwrap());
    assert_all_is_well(&fleet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_that_allow_only_lists_of_syncs_are_found() {
    use OrganizationPolicyType::ServiceControl;
    let fleet = start().await;
    allow_lookups(&fleet);
    assert_all_is_well(&fleet).await;
    let assert_is_cause = |cause: &Cause, kind: &str, accounts: usize, regions: usize| {
        assert_eq!((cause.kind.as_str(), cause.accounts, cause.regions), (kind, accounts, regions));
        assert!(cause.title.ends_with(LOOKUP) && cause.remedy.ends_with(DISABLE), "{cause:#?}");
    };

    let role = Identity::role(ROLE);
    let boundary = policy(&[json!({"Effect": "Allow", "Action": LISTING, "Resource": "*"})]);
    fleet.world().set_permissions_boundary(&member(0), &role, Some(("team", &boundary))).unwrap();
    let cause = fleet.only_cause().await;
    assert_is_cause(&cause, "permissions_boundary", 1, 2);
    let boundary = with_statement(&boundary, cause.statement.as_ref().unwrap());
    fleet.world().set_permissions_boundary(&member(0), &role, Some(("team", &boundary))).unwrap();

    let endpoint = json!({"Effect": "Allow", "Principal": "*", "Action": LISTING, "Resource": "*"});
    let endpoint = policy(&[endpoint]);
    fleet.world().set_vpc_endpoint_policy("ssm", None, Some(&endpoint)).unwrap();
    let cause = fleet.only_cause().await;
    assert_is_cause(&cause, "vpc_endpoint_policy", accounts().count(), 2);
    let endpoint = with_statement(&endpoint, cause.statement.as_ref().unwrap());
    fleet.world().set_vpc_endpoint_policy("ssm", None, Some(&endpoint)).unwrap();

    fleet.move_to(&member(1), UNITS[0]);
    let statement = json!({
        "Effect": "Deny", "Action": "ssm:Describe*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:RequestedRegion": REGIONS[0]}},
    });
    fleet.attach(UNITS[0], ServiceControl, "p-describing", statement, true);
    let cause = fleet.only_cause().await;
    assert_is_cause(&cause, "service_control_policy", 1, 1);
    assert!(cause.statement.is_none() && cause.command.is_none() && cause.owner.is_some(), "{cause:#?}");
    fleet.world().detach_policy(UNITS[0], ServiceControl, "p-describing");
    assert_all_is_well(&fleet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_printed_command_allows_lookups() {
    let fleet = start().await;
    let cause = fleet.only_cause().await;
    assert_eq!(cause.accounts, accounts().count(), "{cause:#?}");
    for account in accounts() {
        run_command(&fleet, &account, &cause).await;
    }
    assert_all_is_well(&fleet).await;
}
