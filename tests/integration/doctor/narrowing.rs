//! `--account` and `--region`, and the exit status.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use serde_json::Value;

use super::fleet::{Fleet, REGIONS, member};
use crate::exporter::HUB;
use crate::http;
use crate::once::output_of;

/// The accounts and regions that called SSM, and the accounts whose role was assumed.
async fn calls(fleet: &Fleet) -> (BTreeSet<(String, String)>, BTreeSet<String>) {
    let address = fleet.aws.url().strip_prefix("http://").unwrap().parse().unwrap();
    let calls = http::request(address, "GET", "/_fake/calls").await.body;
    let calls: Vec<Value> = serde_json::from_str(&calls).unwrap();
    let text = |call: &Value, name: &str| call[name].as_str().unwrap().to_owned();
    let listed = calls
        .iter()
        .filter(|call| call["operation"] == "ListResourceDataSync")
        .map(|call| (text(call, "account"), text(call, "region")))
        .collect();
    let assumed = fleet.world().assumed_roles();
    let assumed = assumed.iter().map(|assumed| assumed.role.split(':').nth(4).unwrap().to_owned());
    (listed, assumed.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_given_accounts_and_regions_are_called() {
    let fleet = Fleet::with_faults().await;
    let (healthy, other) = (member(23), member(22));
    let by_name = format!("member-{other}");
    let (status, report) =
        fleet.examine(&["--account", &healthy, "--account", &by_name, "--region", REGIONS[0]]).await;
    assert_eq!(status, Some(0), "{report:#?}");
    assert_eq!(report.summary.accounts, 2);
    let regions: BTreeSet<&str> =
        report.checks.iter().filter_map(|check| check.aws_region.as_deref()).collect();
    assert_eq!(regions, [REGIONS[0]].into());
    let (listed, assumed) = calls(&fleet).await;
    let region = REGIONS[0].to_owned();
    assert_eq!(listed, [(healthy.clone(), region.clone()), (other.clone(), region)].into());
    assert_eq!(assumed, [healthy, other].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_region_of_all_accounts() {
    let fleet = Fleet::start(3).await;
    let (status, report) = fleet.examine(&["--region", REGIONS[1]]).await;
    assert_eq!((status, report.summary.accounts), (Some(0), 4));
    let region = REGIONS[1].to_owned();
    let accounts = [HUB.to_owned(), member(0), member(1), member(2)];
    assert_eq!(calls(&fleet).await.0, accounts.map(|account| (account, region.clone())).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_says_whether_all_is_well_something_failed_or_the_usage_is_invalid() {
    let fleet = Fleet::with_faults().await;
    let (faulty, healthy) = (member(0), member(23));
    for (arguments, expected) in [
        (["--account", &healthy].as_slice(), 0),
        (&["--account", &faulty], 1),
        (&[], 1),
        (&["--account"], 2),
        (&["--region", "not a region"], 2),
        (&["--format", "openmetrics"], 2),
        (&["--fail-on", "violations"], 2),
        (&["--concurrency", "0"], 2),
        (&["--account", "123456789012"], 2),
        (&["--region", "us-east-1"], 2),
    ] {
        let mut doctor = fleet.program("doctor");
        doctor.args(arguments);
        let (status, out, err) = output_of(doctor).await;
        assert_eq!(status, Some(expected), "{arguments:?}: {out}\n{err}");
        assert_eq!(out.is_empty(), expected == 2, "{arguments:?}: {out}");
    }
}
