//! Tests of what the page contains and what a query selects.

use super::*;
use crate::model::{DataSync, Destination, SyncStatus};
use crate::status::tests::{NOW, account, failed, store, sync, target};

/// Two accounts in two regions. The first has a failed and two stale syncs, and is down
/// in us-east-1. The second is healthy, and not collected yet in us-east-1.
fn overview() -> FleetOverview {
    let (one, two) = (account(1, Some("Production")), account(2, None));
    let bad = DataSync { last_status: Some(SyncStatus::Failed), ..sync("bad", Some(NOW - 60.0)) };
    let old = sync("old", Some(NOW - 9e5));
    let older = sync("older", Some(NOW - 1e6));
    let store = store(vec![
        (target(&two, "eu-west-1"), Some(Ok(vec![sync("good", Some(NOW))]))),
        (target(&two, "us-east-1"), None),
        (target(&one, "eu-west-1"), Some(Ok(vec![sync("fine", Some(NOW)), old, bad, older]))),
        (target(&one, "us-east-1"), Some(Err(failed(Reason::ScpDenied)))),
    ]);
    FleetOverview::new(&store, &Arc::default(), NOW)
}

fn names(overview: &FleetOverview, query: &str) -> Vec<String> {
    let query = PageQuery::parse(query);
    overview.syncs(&query).iter().map(|row| row.assessed.sync.name.clone()).collect()
}

fn target_names(overview: &FleetOverview, query: &str) -> Vec<String> {
    let query = PageQuery::parse(query);
    let name = |target: &&TargetRow| format!("{} {}", &target.account[11..], target.region());
    overview.targets(&query).iter().map(name).collect()
}

#[test]
fn targets_and_syncs_are_counted_by_health() {
    let overview = overview();
    let target_counts: Vec<usize> =
        Health::ALL.iter().map(|health| overview.target_counts.get(*health)).collect();
    assert_eq!(
        target_counts,
        [1, 1, 0, 0, 0, 0, 1, 1, 0],
        "one each is down, has a failed sync, is healthy, is not collected yet"
    );
    assert_eq!(Health::SYNC_VALUES.map(|health| overview.sync_counts.get(health)), [1, 0, 2, 0, 0, 2]);
}

#[test]
fn syncs_are_sorted_by_health_and_age() {
    let overview = overview();
    assert_eq!(names(&overview, ""), ["bad", "older", "old"]);
    assert_eq!(names(&overview, "region=eu-west-1"), ["bad", "older", "old", "fine", "good"]);
}

#[test]
fn filters_by_account_region_status_and_reason() {
    let overview = overview();
    assert_eq!(names(&overview, "account=pROD&status=stale"), ["older", "old"]);
    assert_eq!(names(&overview, "account=000000000002"), ["good"]);
    assert_eq!(names(&overview, "account=absent"), [""; 0]);
    assert_eq!(names(&overview, "region=sa-east-1"), [""; 0]);
    assert_eq!(names(&overview, "status=down"), [""; 0]);
    assert_eq!(names(&overview, "reason=scp_denied"), [""; 0]);
    assert_eq!(
        target_names(&overview, "status=trouble"),
        ["1 us-east-1", "1 eu-west-1"],
        "the target that is down comes first"
    );
    // Regression: the first target was listed as well, because it has a healthy sync among others.
    assert_eq!(target_names(&overview, "status=healthy"), ["2 eu-west-1"]);
    assert_eq!(names(&overview, "status=healthy"), ["fine", "good"]);
    assert_eq!(target_names(&overview, "status=failed"), ["1 eu-west-1"]);
    assert_eq!(target_names(&overview, "status=stale"), [""; 0], "its worst sync has failed");
    assert_eq!(target_names(&overview, "status=not_collected"), ["2 us-east-1"]);
    assert_eq!(target_names(&overview, "reason=scp_denied"), ["1 us-east-1"]);
}

#[test]
fn the_search_finds_syncs_and_failures_of_targets() {
    let (one, two) = (account(1, None), account(2, None));
    let destination = Destination { bucket_name: Some("org-Éire".to_owned()), ..Destination::default() };
    let to_bucket = DataSync { destination: Some(destination), ..sync("to-bucket", Some(NOW)) };
    let message = Some("Access Denied".to_owned());
    let failed_sync = DataSync {
        last_status: Some(SyncStatus::Failed),
        last_status_message: message,
        ..sync("failing", Some(NOW))
    };
    let overview = FleetOverview::new(
        &store(vec![
            (target(&one, "eu-west-1"), Some(Ok(vec![to_bucket, failed_sync]))),
            (target(&two, "eu-west-1"), Some(Err(failed(Reason::ScpDenied)))),
        ]),
        &Arc::default(),
        NOW,
    );
    let found = |query: &str| (names(&overview, query).join(" "), target_names(&overview, query).join(" "));
    let result = |syncs: &str, targets: &str| (syncs.to_owned(), targets.to_owned());
    assert_eq!(found("q=TO-B"), result("to-bucket", "1 eu-west-1"));
    assert_eq!(found("q=org-%C3%A9IRE"), result("to-bucket", "1 eu-west-1"), "its bucket");
    assert_eq!(found("q=access+denied"), result("failing", "1 eu-west-1"), "its message");
    assert_eq!(found("q=scp_DENIED"), result("", "2 eu-west-1"), "the reason of the target");
    assert_eq!(found("q=Message+about"), result("", "2 eu-west-1"), "the message of the target");
    assert_eq!(found("q=denied&status=failed"), result("failing", "1 eu-west-1"));
    assert_eq!(found("q=to-bucket&status=failed"), result("", "1 eu-west-1"), "it has a failed sync too");
    assert_eq!(found("q=denied&account=000000000002"), result("", "2 eu-west-1"));
    assert_eq!(found("q=nowhere"), result("", ""));
    let failures = |query: &str| overview.failures(&PageQuery::parse(query)).len();
    assert_eq!((failures("q=scp"), failures("q=failing")), (1, 0));
}

#[test]
fn a_used_up_quota_is_trouble_and_selects_the_syncs_that_use_it() {
    let (full, free) = (account(1, None), account(2, None));
    let syncs = |number: usize| (0..number).map(|index| sync(&index.to_string(), Some(NOW))).collect();
    let overview = FleetOverview::new(
        &store(vec![
            (target(&full, "eu-west-1"), Some(Ok(syncs(5)))),
            (target(&free, "eu-west-1"), Some(Ok(syncs(4)))),
        ]),
        &Arc::default(),
        NOW,
    );
    assert_eq!(overview.concern_counts[&ConcernKind::QuotaUsed], 1);
    for query in ["status=quota_used", "status=trouble"] {
        assert_eq!(target_names(&overview, query), ["1 eu-west-1"], "{query}");
    }
    assert_eq!(names(&overview, "status=quota_used").len(), 5);
    assert_eq!(names(&overview, "status=trouble").len(), 0, "none of the syncs has a problem");
    assert_eq!(target_names(&overview, "status=quota_nearly_used"), ["2 eu-west-1"]);
    assert_eq!(target_names(&overview, "status=healthy").len(), 2, "all syncs of both are healthy");
}

#[test]
fn the_grid_has_all_targets_of_an_account_and_the_worst_account_first() {
    let overview = overview();
    let rows = |query: &str| {
        let query = PageQuery::parse(query);
        let grid = overview.grid(&query);
        let rows: Vec<_> =
            grid.rows.iter().map(|row| (row.account[11..].to_owned(), row.targets.len())).collect();
        (grid.regions.len(), rows)
    };
    let row = |account: &str, targets| (account.to_owned(), targets);
    assert_eq!(rows(""), (2, vec![row("1", 2), row("2", 2)]));
    assert_eq!(rows("region=us-east-1"), (1, vec![row("1", 1), row("2", 1)]));
    assert_eq!(rows("status=not_collected"), (2, vec![row("2", 2)]));
    assert_eq!(rows("status=no_syncs"), (0, Vec::new()));
}

#[test]
fn failures_are_grouped_by_region_or_account_whichever_gives_fewer_groups() {
    let accounts: Vec<_> = (1..=9).map(|number| account(number, None)).collect();
    let region_disabled = |account| (target(account, "us-east-1"), Some(Err(failed(Reason::RegionDisabled))));
    let mut targets: Vec<_> = accounts.iter().map(region_disabled).collect();
    for region in ["eu-west-1", "eu-west-2", "us-east-1"] {
        let denied = account(77, Some("denied"));
        targets.push((target(&denied, region), Some(Err(failed(Reason::AssumeRoleDenied)))));
    }
    let overview = FleetOverview::new(&store(targets), &Arc::default(), NOW);
    let query = PageQuery::default();
    let failures = overview.failures(&query);
    let summary: Vec<_> = failures
        .iter()
        .map(|failures| (failures.reason, failures.target_count, failures.groups.len()))
        .collect();
    assert_eq!(summary, [(Reason::RegionDisabled, 9, 1), (Reason::AssumeRoleDenied, 3, 1)]);
    assert_eq!(failures[0].groups[0].key, GroupKey::Region(&"us-east-1".parse().unwrap()));
    let denied = GroupKey::Account { account: "000000000077", name: Some("denied") };
    assert_eq!(failures[1].groups[0].key, denied);
    assert_eq!(overview.failures(&PageQuery::parse("status=healthy")).len(), 0);
    assert_eq!(overview.failures(&PageQuery::parse("status=down&account=denied")).len(), 1);
}

#[test]
fn an_account_without_an_id_is_found_by_its_profile() {
    let account = std::sync::Arc::new(crate::fleet::Account {
        access: crate::fleet::Access { profile: Some("Prod".to_owned()), ..Default::default() },
        ..Default::default()
    });
    let overview =
        FleetOverview::new(&store(vec![(target(&account, "eu-west-1"), None)]), &Arc::default(), NOW);
    assert_eq!(overview.targets[0].account, "unknown (profile Prod)");
    assert_eq!(overview.targets(&PageQuery::parse("account=unknown+(profile+prod)")).len(), 1);
}
