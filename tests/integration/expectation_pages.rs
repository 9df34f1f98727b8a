//! The pages about expectations over HTTP: violations with what was wanted and found, the page of a sync
//! that is missing, and that nothing becomes markup.

use fake_aws::{FakeAws, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::exporter::{ACCOUNT, Exporter, NOW, Setup, fake_aws, one_target, put_sync};
use crate::sync_page::{commands, path};

/// The bucket of a sync that differs, which would be markup if it were not escaped.
const HOSTILE_BUCKET: &str = "<img src=x onerror=window.pwned=1>";

const EXPECTATIONS: &str = "expectations:
  - name: org-inventory
    request:
      SyncName: org-inventory
      S3Destination: {BucketName: 'org-{region}', Prefix: null, Region: eu-west-1, SyncFormat: JsonSerDe}
  - name: explorer
    regions: [eu-west-1]
    request:
      SyncName: explorer
      SyncType: SyncFromSource
      SyncSource: {SourceRegions: [eu-west-1, us-east-1], EnableAllOpsDataSources: false}
  - {name: no-legacy, presence: forbidden, request: {SyncName: 'legacy-*'}}
  - {name: misspelt, accounts: [prodution], request: {SyncName: x}}
";

fn to_bucket(name: &str, bucket: &str) -> Value {
    json!({
        "SyncName": name, "LastStatus": "Successful", "LastSyncTime": NOW - 600, "LastSuccessfulSyncTime": NOW - 600,
        "S3Destination": {"BucketName": bucket, "Region": "eu-west-1", "SyncFormat": "JsonSerDe"},
    })
}

/// Starts an exporter of two targets: in eu-west-1, two syncs differ and one is forbidden; in
/// us-east-1, a sync is missing.
pub(crate) async fn start() -> (FakeAws, Exporter) {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, to_bucket("org-inventory", HOSTILE_BUCKET));
    put_sync(&aws, SyncKind::ToDestination, to_bucket("legacy-1", "old"));
    let source = json!({
        "SourceType": "SingleAccountMultiRegions", "SourceRegions": ["us-east-1"], "IncludeFutureRegions": false,
        "EnableAllOpsDataSources": true,
    });
    put_sync(&aws, SyncKind::FromSource, json!({"SyncName": "explorer", "SyncSource": source}));
    let config =
        one_target().replace("interval: 1s", "interval: 1h").replace("[eu-west-1]", "[eu-west-1, us-east-1]")
            + EXPECTATIONS;
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let exporter = Exporter::start_with(&aws, &config, &setup).await;
    exporter.wait_until_ready().await;
    (aws, exporter)
}

/// The commands of the pages about syncs that violate an expectation.
pub(crate) async fn all_commands() -> Vec<String> {
    let (_aws, exporter) = start().await;
    let mut all = Vec::new();
    for path in [
        path("SyncToDestination", "org-inventory"),
        path("SyncToDestination", "legacy-1"),
        path("SyncFromSource", "explorer"),
        path("SyncToDestination", "org-inventory").replace("eu-west-1", "us-east-1"),
    ] {
        all.extend(commands(&exporter.get(&path).await.body));
    }
    all
}

#[tokio::test]
async fn the_status_page_lists_violations_and_expectations() {
    let (_aws, exporter) = start().await;
    let page = exporter.get("/").await.body;
    for part in [
        "<title>(3) Expectation without targets · SSM Sync Exporter</title>",
        "2 targets are not as expected.",
        "<dt>Bucket</dt><dd><span>wanted <code><bdi>org-eu-west-1</bdi></code></span>\
         <span>found <code><bdi>&lt;img src=x onerror=window.pwned=1&gt;</bdi></code></span></dd>",
        "<dt>Source regions</dt><dd><span>wanted <code><bdi>eu-west-1, us-east-1</bdi></code></span>\
         <span>found <code><bdi>us-east-1</bdi></code></span></dd>",
        "<dt>Enable all OpsData sources</dt><dd><span>wanted <code><bdi>false</bdi></code></span>",
        "This sync must not exist.",
        "There is no such sync.",
        "About no target: its accounts, units or regions are probably misspelt.",
    ] {
        assert!(page.contains(part), "{part}:\n{page}");
    }
    assert!(!page.contains("<img"), "{page}");
    let only = exporter.get("/?status=not_as_expected&expectation=explorer").await.body;
    assert!(only.contains("Not as expected <span class=\"total\">1</span>"), "{only}");
    assert!(!only.contains("There is no such sync."), "{only}");
}

#[tokio::test]
async fn a_missing_sync_has_a_page_with_the_command_that_creates_it() {
    let (aws, exporter) = start().await;
    let path = path("SyncToDestination", "org-inventory").replace("eu-west-1", "us-east-1");
    let page = exporter.get(&path).await;
    assert_eq!(page.status, 404);
    assert!(page.body.contains("This sync is required and does not exist"), "{}", page.body);
    let [create] = &commands(&page.body)[..] else { panic!("{}", page.body) };
    let (_, request) = create.split_once("--cli-input-json '").unwrap();
    let mut item: Value = serde_json::from_str(request.strip_suffix('\'').unwrap()).unwrap();
    assert_eq!(
        item,
        json!({
            "SyncName": "org-inventory", "SyncType": "SyncToDestination",
            "S3Destination": {"BucketName": "org-us-east-1", "Region": "eu-west-1", "SyncFormat": "JsonSerDe"},
        })
    );
    // What the command creates is as expected.
    item["LastStatus"] = "Successful".into();
    aws.world().put_item(ACCOUNT, "us-east-1", SyncKind::ToDestination, item);
    let config = one_target().replace("[eu-west-1]", "[eu-west-1, us-east-1]");
    assert_eq!(exporter.reload(&(config + EXPECTATIONS)).await.status, 200);
    let is_met = async || {
        let page = exporter.get(&path).await;
        (page.status == 200 && page.body.contains("This sync is required. This sync is as described."))
            .then_some(())
    };
    exporter.wait_for("the sync to be collected", is_met).await;
}

#[tokio::test]
async fn a_reload_judges_what_was_collected_by_the_new_expectations() {
    let (aws, exporter) = start().await;
    let calls = aws.world().calls("ListResourceDataSync");
    let config =
        one_target().replace("interval: 1s", "interval: 1h").replace("[eu-west-1]", "[eu-west-1, us-east-1]");
    let met = "expectations:\n  - {name: met, regions: [eu-west-1], request: {SyncName: org-inventory}}\n";
    assert_eq!(exporter.reload(&(config + met)).await.status, 200);
    let page = exporter.get("/").await.body;
    assert!(page.contains("No problems: 3 syncs in 2 targets."), "{page}");
    assert_eq!(exporter.get("/?expectation=explorer").await.status, 200, "the filter is ignored");
    assert_eq!(aws.world().calls("ListResourceDataSync"), calls);
}
