//! Tests of managed nodes on the pages, in the API and in the results of `once`.

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::exporter::{ACCOUNT, Exporter, NOW, fake_aws, one_target};
use crate::once::{self, output_of};

const WITH_NODES: &str = "eu-west-1";
const WITHOUT_NODES: &str = "eu-west-2";
const DENIED: &str = "eu-west-3";

/// A fake AWS with an old sync in each of three regions: one with nodes, one without, and one in which the
/// lookup is denied.
async fn fleet() -> FakeAws {
    let aws = fake_aws().await;
    for region in [WITH_NODES, WITHOUT_NODES, DENIED] {
        let old = json!({
            "SyncName": "inventory", "LastStatus": "Successful", "LastSyncTime": NOW - 40 * 86_400,
            "LastSuccessfulSyncTime": NOW - 40 * 86_400,
        });
        aws.world().put_item(ACCOUNT, region, SyncKind::ToDestination, old);
    }
    aws.world().set_managed_nodes(ACCOUNT, WITH_NODES, 3);
    let denied = FaultRule::new(Fault::Deny).operation("DescribeInstanceInformation").region(DENIED);
    aws.world().set_faults(vec![denied]);
    aws
}

/// The configuration with managed-node lookups, and an expectation of the sync of the unified console.
fn config() -> String {
    let regions = format!("regions: [{WITH_NODES}, {WITHOUT_NODES}, {DENIED}]");
    one_target().replace("regions: [eu-west-1]", &regions)
        + "managed_nodes: {enabled: true}\nexpectations: [{name: console, preset: unified-console}]\n"
}

/// An exporter whose managed-node lookups have all ended.
pub(crate) async fn start() -> (FakeAws, Exporter) {
    let aws = fleet().await;
    let exporter = Exporter::start(&aws, &config()).await;
    let has_looked = async || {
        let counts = &document(&exporter).await["summary"]["managed_nodes"];
        (*counts == json!({"present": 1, "absent": 1, "pending": 0, "unknown": 1})).then_some(())
    };
    exporter.wait_for("all managed-node lookups", has_looked).await;
    (aws, exporter)
}

async fn document(exporter: &Exporter) -> Value {
    serde_json::from_str(&exporter.get("/api/v1/status").await.body).unwrap()
}

#[tokio::test]
async fn pages_and_api_show_the_results_of_lookups() {
    let (_aws, exporter) = start().await;
    let document = document(&exporter).await;
    let targets = document["targets"].as_array().unwrap();
    let facts: Vec<[&Value; 3]> = targets
        .iter()
        .map(|target| [&target["aws_region"], &target["managed_nodes"]["state"], &target["health"]])
        .collect();
    assert_eq!(
        json!(facts),
        json!([
            [WITH_NODES, "present", "stale"],
            [WITHOUT_NODES, "absent", "healthy"],
            [DENIED, "unknown", "stale"],
        ])
    );
    assert_eq!(targets[0]["managed_nodes"]["checked_at"], "2025-11-22T08:26:40Z");
    let (reason, message) = (&targets[2]["managed_nodes"]["reason"], &targets[2]["managed_nodes"]["message"]);
    assert_eq!(reason, "access_denied");
    assert!(message.as_str().unwrap().contains("AccessDenied"), "{message}");
    let kinds: Vec<&Value> = targets.iter().map(|target| &target["concerns"][0]["kind"]).collect();
    assert_eq!(json!(kinds), json!(["unified_console_sync_missing", null, null]));

    let page = exporter.get("/").await.body;
    for part in [
        "none in 1</a>",
        "Managed nodes unknown",
        "#ssmsyncmanagednodesunknown",
        "#ssmsyncunifiedconsolesyncmissing",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let list = exporter.get(&format!("/?region={WITHOUT_NODES}")).await.body;
    assert!(list.contains("no managed nodes here, so the limit of 2d does not apply"), "{list}");
    let sync =
        format!("/sync?account={ACCOUNT}&region={WITHOUT_NODES}&type=SyncToDestination&name=inventory");
    let sync = exporter.get(&sync).await.body;
    assert!(sync.contains("<dt>In this account and region</dt><dd>none</dd>"), "{sync}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_writes_the_results_of_lookups() {
    let setup = once::Setup::with_config(fleet().await, &config());
    let mut once = setup.once();
    once.args(["--format", "table"]);
    let (_, table, _) = output_of(once).await;
    for part in [
        "\n  eu-west-1\n    ○ stale",
        "\n  eu-west-2 (no managed nodes here)\n    ✓ healthy",
        "\n  eu-west-3 (managed nodes are unknown: access_denied)\n    ○ stale",
        "1 target: managed nodes, but not the required sync AWS-QuickSetup-ManagedNode",
        "1 target: managed nodes are unknown: access_denied: ",
        "\nmanaged nodes: present in 1 target, none in 1, unknown in 1\n",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let mut once = setup.once();
    once.args(["--format", "json"]);
    let document: Value = serde_json::from_str(&output_of(once).await.1).unwrap();
    let counts = json!({"present": 1, "absent": 1, "pending": 0, "unknown": 1});
    assert_eq!(document["summary"]["managed_nodes"], counts);
}
