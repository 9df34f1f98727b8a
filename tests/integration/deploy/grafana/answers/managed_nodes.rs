//! Tests of managed nodes on the dashboards.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;

use super::{Scraped, dashboards, fleet_selections, panel_results, selection};

/// A target of the demo (account and region), and the value of "Managed nodes" on the dashboard of its syncs.
const TARGETS: [(&str, &str, &str); 4] = [
    ("222233334444", "eu-west-1", "Present"),
    ("444455556666", "eu-central-1", "None"),
    ("111122223333", "eu-west-1", "Unknown"),
    ("555566667777", "eu-west-1", "Not looked up"),
];

/// The demo is scraped under two jobs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn every_target_is_counted_once_by_its_managed_nodes_and_named_if_they_are_unknown() {
    let scraped = Scraped::start().await;
    // Until every lookup has ended.
    scraped.prometheus.query("count(aws_ssm_managed_nodes_present == 1) == 18").await;
    scraped.prometheus.query("count(ssm_sync_exporter_managed_nodes_down_reason) == 6").await;
    let [fleet, sync] = dashboards();
    let all = &fleet_selections()[0];
    let panel = |title: &str| fleet.panels().find(|panel| panel["title"] == title).unwrap();

    let results = panel_results(&scraped, &fleet, panel("Accounts and regions by managed nodes"), all).await;
    let counts: Vec<&str> = results.values().map(|series| series[0]["value"][1].as_str().unwrap()).collect();
    assert_eq!(counts, ["9", "1", "3", "3"], "with nodes, without, unknown and not looked up");

    let results = panel_results(&scraped, &fleet, panel("Reasons of failing lookups"), all).await;
    assert_eq!(results["A"].len(), 1);
    assert_eq!(results["A"][0]["metric"]["reason"], "access_denied");
    assert_eq!(results["A"][0]["value"][1], "3");

    let results = panel_results(&scraped, &fleet, panel("Targets with failing lookups"), all).await;
    let rows: BTreeSet<String> = results["A"]
        .iter()
        .map(|row| {
            let label = |name: &str| row["metric"][name].as_str().unwrap();
            format!("{} {} {}", label("account_name"), label("aws_region"), label("reason"))
        })
        .collect();
    let regions = ["eu-central-1", "eu-west-1", "us-east-1"];
    assert_eq!(rows, regions.map(|region| format!("production {region} access_denied")).into());

    let panel = sync.panels().find(|panel| panel["title"] == "Managed nodes").unwrap();
    let defaults = &panel["fieldConfig"]["defaults"];
    for (account, region, expected) in TARGETS {
        let case = selection(&[
            ("account", &[account]),
            ("region", &[region]),
            ("type", &["SyncToDestination"]),
            ("sync", &["inventory"]),
        ]);
        let results = panel_results(&scraped, &sync, panel, &case).await;
        let shown = match &results["A"][..] {
            [] => &defaults["noValue"],
            [series] => &defaults["mappings"][0]["options"][series["value"][1].as_str().unwrap()]["text"],
            several => panic!("{several:?}"),
        };
        assert_eq!(shown, expected, "{account} {region}");
    }
}
