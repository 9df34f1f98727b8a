//! Alerts on old syncs in a real Prometheus: with managed nodes, without, and while that is unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fake_aws::{Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::list;
use super::accelerated_config;
use crate::exporter::{ACCOUNT, Exporter, NOW, fake_aws, one_target};
use crate::prometheus::Prometheus;

/// A region with managed nodes.
const BUSY: &str = "eu-west-1";
/// A region without.
const IDLE: &str = "eu-central-1";
/// A region without, until a node appears.
const GROWING: &str = "us-east-1";
/// A region without, until lookups are denied.
const DENIED: &str = "us-west-2";

const REGIONS: [&str; 4] = [BUSY, IDLE, GROWING, DENIED];

const HOUR: u64 = 3600;

const UNKNOWN: &str = "It is unknown whether there are managed nodes, because the managed-node lookup \
                       fails. Without managed nodes, there is no data to sync.";

/// Repeats `attempt` until it succeeds. Its errors say what was found instead.
async fn until<T>(mut attempt: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        match attempt().await {
            Ok(found) => return found,
            Err(found) => assert!(Instant::now() < deadline, "{found}"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// All alerts of this name, pending ones too.
async fn alerts(prometheus: &Prometheus, name: &str) -> Vec<Value> {
    let answer = prometheus.api("/api/v1/alerts").await;
    let alerts = list(&answer["data"]["alerts"]).iter();
    alerts.filter(|alert| alert["labels"]["alertname"] == name).cloned().collect()
}

/// Waits until the alert of this name fires in exactly these regions.
async fn fires_in(prometheus: &Prometheus, name: &str, regions: &[&str]) {
    let expected: BTreeSet<&str> = regions.iter().copied().collect();
    until(async || {
        let alerts = alerts(prometheus, name).await;
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        let firing: BTreeSet<&str> =
            firing.map(|alert| alert["labels"]["aws_region"].as_str().unwrap()).collect();
        if firing == expected { Ok(()) } else { Err(format!("{name} fires in {firing:?}, not {expected:?}")) }
    })
    .await;
}

/// Waits until `SsmSyncStale` fires in exactly these regions, and its description says for exactly those with
/// `true` that managed nodes are unknown. Returns since when the alert has been active in each region.
async fn stale_in(prometheus: &Prometheus, expected: &[(&str, bool)]) -> BTreeMap<String, String> {
    until(async || {
        let alerts = alerts(prometheus, "SsmSyncStale").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        let unknown: BTreeMap<String, bool> = firing
            .clone()
            .map(|alert| {
                let unknown = text(&alert["annotations"]["description"]).ends_with(UNKNOWN);
                assert_eq!(alert["value"], if unknown { "2e+00" } else { "1e+00" }, "{alert}");
                (text(&alert["labels"]["aws_region"]), unknown)
            })
            .collect();
        if unknown != expected.iter().map(|(region, unknown)| ((*region).to_owned(), *unknown)).collect() {
            return Err(format!("{alerts:#?}\nnot {expected:?}"));
        }
        Ok(firing.map(|alert| (text(&alert["labels"]["aws_region"]), text(&alert["activeAt"]))).collect())
    })
    .await
}

/// Waits until Prometheus has evaluated the alert of this name with all samples scraped so far.
async fn evaluated(prometheus: &Prometheus, name: &str) {
    let last_evaluation = async || {
        let answer = prometheus.api("/api/v1/rules").await;
        let rules = list(&answer["data"]["groups"]).iter().flat_map(|group| list(&group["rules"]));
        let rule = rules.into_iter().find(|rule| rule["name"] == name).unwrap();
        rule["lastEvaluation"].as_str().unwrap().to_owned()
    };
    // The evaluation that ends next may have begun before.
    for _ in 0..2 {
        let before = last_evaluation().await;
        until(async || if last_evaluation().await == before { Err(before.clone()) } else { Ok(()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn an_old_sync_is_stale_only_where_there_are_managed_nodes_or_that_is_unknown() {
    let aws = fake_aws().await;
    let world = aws.world();
    for region in REGIONS {
        let inventory = json!({
            "SyncName": "inventory", "S3Destination": {"BucketName": "inventory"}, "LastStatus": "Successful",
            "LastSyncTime": NOW - 72 * HOUR, "LastSuccessfulSyncTime": NOW - 72 * HOUR,
        });
        world.put_item(ACCOUNT, region, SyncKind::ToDestination, inventory);
        world.set_managed_nodes(ACCOUNT, region, u32::from(region == BUSY));
    }
    let config = one_target().replace("regions: [eu-west-1]", &format!("regions: [{}]", REGIONS.join(", ")))
        + "managed_nodes: {enabled: true, interval: 1s}\n\
           expectations:\n  \
           - {name: console, request: {SyncName: AWS-QuickSetup-ManagedNode, SyncType: SyncFromSource}}\n";
    let exporter = Exporter::start_ready(&aws, &config).await;
    let (directory, config) = accelerated_config(&exporter.address.to_string());
    let prometheus = Prometheus::with_config(directory, &config).await;
    let sees = async |expression: String| prometheus.query(&expression).await;

    sees(format!("aws_ssm_managed_nodes_present{{aws_region=\"{IDLE}\"}} == 0")).await;
    stale_in(&prometheus, &[(BUSY, false)]).await;
    fires_in(&prometheus, "SsmSyncMissing", &REGIONS).await;
    fires_in(&prometheus, "SsmSyncUnifiedConsoleSyncMissing", &[BUSY]).await;

    // Time without nodes does not count, so no sync is stale yet.
    world.set_managed_nodes(ACCOUNT, GROWING, 1);
    let denied = FaultRule::new(Fault::Deny).account(ACCOUNT).region(DENIED);
    world.set_faults(vec![denied.operation("DescribeInstanceInformation")]);
    sees(format!("aws_ssm_managed_nodes_present{{aws_region=\"{GROWING}\"}} == 1")).await;
    sees(format!("ssm_sync_exporter_managed_nodes_down_reason{{aws_region=\"{DENIED}\"}} == 1")).await;
    evaluated(&prometheus, "SsmSyncStale").await;
    let active = alerts(&prometheus, "SsmSyncStale").await;
    assert_eq!(active.iter().map(|alert| &alert["labels"]["aws_region"]).collect::<Vec<_>>(), [BUSY]);

    exporter.set_clock(49 * HOUR);
    let since = stale_in(&prometheus, &[(BUSY, false), (GROWING, false), (DENIED, true)]).await;
    fires_in(&prometheus, "SsmSyncUnifiedConsoleSyncMissing", &[BUSY, GROWING]).await;
    let failing =
        until(async || alerts(&prometheus, "SsmSyncManagedNodesUnknown").await.pop().ok_or_else(String::new))
            .await;
    assert_eq!(failing["labels"]["reason"], "access_denied");
    let summary = "Managed nodes cannot be looked up in 1 account: access_denied";
    assert_eq!(failing["annotations"]["summary"], summary);

    // The alert stays the same when the lookup succeeds again.
    world.set_managed_nodes(ACCOUNT, DENIED, 1);
    world.set_faults(Vec::new());
    let still = stale_in(&prometheus, &[(BUSY, false), (GROWING, false), (DENIED, false)]).await;
    assert_eq!(still, since);

    world.set_managed_nodes(ACCOUNT, GROWING, 0);
    world.set_managed_nodes(ACCOUNT, DENIED, 0);
    stale_in(&prometheus, &[(BUSY, false)]).await;
}
