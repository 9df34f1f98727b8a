//! Alerts on expectations in a real Prometheus.

use std::collections::BTreeSet;
use std::time::Duration;

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::list;
use super::accelerated_config;
use crate::exporter::{ACCOUNT, Exporter, NOW, REGION, ROLE, Setup, fake_aws, one_target, put_sync};
use crate::prometheus::Prometheus;

/// An account whose role cannot be assumed.
const DENIED: &str = "444455556666";

/// The names and the accounts of the alerts on expectations that fire.
async fn firing(prometheus: &Prometheus) -> BTreeSet<String> {
    let answer = prometheus.api("/api/v1/alerts").await;
    let firing = list(&answer["data"]["alerts"]).iter().filter(|alert| alert["state"] == "firing");
    let text = |alert: &Value, label: &str| alert["labels"][label].as_str().unwrap_or_default().to_owned();
    firing
        .filter(|alert| alert["labels"]["expectation"].is_string())
        .map(|alert| format!("{} {}", text(alert, "alertname"), text(alert, "aws_account_id")))
        .map(|alert| alert.trim().to_owned())
        .collect()
}

/// Waits until exactly these alerts fire.
async fn wait_for_alerts(prometheus: &Prometheus, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let firing = firing(prometheus).await;
        if firing == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{firing:?} instead of {expected:?}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// A configuration of two accounts, of which one lacks a sync and the other cannot be polled, and of an
/// expectation about `selected`.
fn config(selected: &str) -> String {
    format!(
        "{}  - name: sandbox\n    profile: hub\n    assume_roles: [{{arn: 'arn:aws:iam::{DENIED}:role/{ROLE}'}}]\n\
         expectations:\n  \
         - {{name: inventory, request: {{SyncName: inventory, SyncType: SyncToDestination}}}}\n  \
         - {{name: selected, accounts: [{selected}], request: {{SyncName: patches, SyncType: SyncToDestination}}}}\n",
        one_target()
    )
}

fn states(name: &str, counts: &[(&str, u8)]) -> Vec<String> {
    let line = |(state, count): &(&str, u8)| {
        format!("ssm_sync_exporter_expectation_targets{{expectation=\"{name}\",state=\"{state}\"}} {count}")
    };
    counts.iter().map(line).collect()
}

async fn scrape_has_states(exporter: &Exporter, name: &str, counts: &[(&str, u8)]) {
    for line in states(name, counts) {
        exporter.scrape_until(&line).await;
    }
}

fn patches() -> Value {
    json!({"SyncName": "patches", "LastStatus": "Successful", "LastSuccessfulSyncTime": NOW})
}

async fn start(aws: &FakeAws, config: &str) -> (Exporter, Prometheus) {
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let exporter = Exporter::start_with(aws, config, &setup).await;
    exporter.wait_until_ready().await;
    let (directory, config) = accelerated_config(&exporter.address.to_string());
    let alerts = directory.path().join("alerts.yml");
    // Otherwise alerts would keep firing for that long.
    let rules = std::fs::read_to_string(&alerts).unwrap().replace("[10m]", "[3s]");
    std::fs::write(&alerts, rules.replace("keep_firing_for: 15m", "keep_firing_for: 3s")).unwrap();
    (exporter, Prometheus::with_config(directory, &config).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn a_denied_account_lacks_no_sync_and_a_misspelt_selector_matches_nothing() {
    let aws = fake_aws().await;
    aws.world().add_denied_role(DENIED, ROLE);
    put_sync(&aws, SyncKind::ToDestination, patches());
    let (exporter, prometheus) = start(&aws, &config("producton")).await;
    scrape_has_states(&exporter, "inventory", &[("missing", 1), ("unknown", 1)]).await;
    let missing = format!("SsmSyncMissing {ACCOUNT}");
    wait_for_alerts(&prometheus, &[&missing, "SsmSyncExpectationMatchesNothing"]).await;

    // The name is corrected.
    assert_eq!(exporter.reload(&config("production")).await.status, 200);
    wait_for_alerts(&prometheus, &[&missing]).await;

    // The account that lacks the sync is denied as well. It is unknown after `stale_after`.
    let denied = FaultRule::new(Fault::Deny).account(ACCOUNT).operation("ListResourceDataSync");
    aws.world().set_faults(vec![denied]);
    let down = crate::exporter::up(ACCOUNT, REGION, 0);
    exporter.scrape_until(&down).await;
    exporter.set_clock(1801);
    scrape_has_states(&exporter, "inventory", &[("missing", 0), ("unknown", 2)]).await;
    wait_for_alerts(&prometheus, &[]).await;
    let still_down = prometheus.query("ssm_sync_exporter_target_up == 0").await;
    assert_eq!(still_down.len(), 2);
}
