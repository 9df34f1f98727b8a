//! The status page over HTTP: its contents, its headers, and that texts from AWS never become
//! markup.

pub(crate) mod managed_nodes;

use fake_aws::{FakeAws, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::exporter::{ACCOUNT, Exporter, NOW, ROLE, Setup, fake_aws, one_target, put_sync};
use crate::http;

/// An account whose role cannot be assumed.
const DENIED_ACCOUNT: &str = "222233334444";

/// The regions of the denied account. They are too many for the columns to fit on the screen.
const DENIED_REGIONS: [&str; 20] = [
    "af-south-1",
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-south-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "me-south-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
];

/// The name of a sync that would run a script if it were not escaped.
const HOSTILE_NAME: &str = "<img src=x onerror=window.pwned=1>";
const HOSTILE_MESSAGE: &str = "<script>window.pwned=2</script> \"'& \u{202e}evil";

/// Starts an exporter for two accounts. One has `failed` failed syncs (the first with a hostile
/// name), a stale sync and a healthy one. The other is down in all of its regions.
pub(crate) async fn start_with_problems(failed: usize) -> (FakeAws, Exporter) {
    let aws = fake_aws().await;
    aws.world().add_denied_role(DENIED_ACCOUNT, ROLE);
    let ago = |seconds: u64| NOW - seconds;
    for number in 0..failed {
        let name = if number == 0 { HOSTILE_NAME.to_owned() } else { format!("failed-{number}") };
        let item = json!({
            "SyncName": name, "SyncType": "SyncToDestination", "LastStatus": "Failed", "LastSyncStatusMessage": HOSTILE_MESSAGE,
            "LastSyncTime": ago(60), "LastSuccessfulSyncTime": ago(90_000), "S3Destination": {"BucketName": "b", "Region": "eu-west-1", "SyncFormat": "JsonSerDe"},
        });
        put_sync(&aws, SyncKind::ToDestination, item);
    }
    for (name, success) in [("old", ago(9 * 86_400)), ("good", ago(600))] {
        let item = json!({"SyncName": name, "LastStatus": "Successful", "LastSyncTime": success, "LastSuccessfulSyncTime": success});
        put_sync(&aws, SyncKind::ToDestination, item);
    }
    let config = format!(
        "interval: 1h\ntimeout: 16s\nregions: [eu-west-1, us-east-1]\naccounts:\n  - name: production\n    profile: hub\n    \
         assume_roles: [{{arn: 'arn:aws:iam::{ACCOUNT}:role/{ROLE}', external_id: swordfish}}]\n  - name: denied\n    profile: \
         hub\n    assume_roles: [{{arn: 'arn:aws:iam::{DENIED_ACCOUNT}:role/{ROLE}'}}]\n    regions: [{}]\n",
        DENIED_REGIONS.join(", ")
    );
    let exporter = Exporter::start_ready(&aws, &config).await;
    (aws, exporter)
}

#[tokio::test]
async fn the_page_shows_problems_and_what_to_do_about_them() {
    let (_aws, exporter) = start_with_problems(1).await;
    let page = exporter.get("/").await.body;
    for part in [
        "1 sync failed, 1 is stale; 20 of 22 targets are down.",
        "&lt;img src=x onerror=window.pwned=1&gt;",
        "&lt;script&gt;window.pwned=2&lt;/script&gt; &quot;'&amp; \u{202e}evil",
        "<time datetime=\"2025-11-21T07:26:40Z\" title=\"2025-11-21 07:26:40 UTC\"><span class=\"ago\">1d 1h ago</span>",
        "assume_role_denied",
        "its trust policy allows the caller",
        "in 20 regions",
        "external_id: &lt;secret&gt;",
    ] {
        assert!(page.contains(part), "{part}:\n{page}");
    }
    assert!(!page.contains("swordfish"), "{page}");

    let sync_page =
        format!("./sync?account={ACCOUNT}&amp;region=eu-west-1&amp;type=SyncToDestination&amp;name=old");
    let console = "https://eu-west-1.console.aws.amazon.com/systems-manager/managed-instances/resource-data-sync?region=eu-west-1";
    for link in [sync_page.as_str(), console] {
        assert!(page.contains(&format!("href=\"{link}\"")), "{link}:\n{page}");
    }

    let found = exporter.get("/?q=OLD").await.body;
    assert!(found.contains("Matching syncs <span class=\"total\">1</span>"), "{found}");

    let filtered = exporter.get("/?account=DENIED&region=eu-west-1").await.body;
    assert!(filtered.contains("No syncs match the filter."), "{filtered}");
    assert!(filtered.contains("</code>, failed once</p>"), "{filtered}");
    assert!(!filtered.contains(&format!("account={ACCOUNT}")), "{filtered}");
    for path in [
        "/?",
        "/?status=%ff%00&region=../..&syncs=99999999999999999999",
        "/?account=%3Cscript%3E",
        "/?&&==&a=b",
    ] {
        let answer = exporter.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.contains("<script>"), "{path}");
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_other_hosts_and_runs_nothing_inline() {
    let (_aws, exporter) = start_with_problems(1).await;
    let page = exporter.get("/").await;
    let page_headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ];
    for (name, value) in page_headers {
        assert_eq!(page.header(name), Some(value));
    }
    for attribute in [" style=", " onclick=", "<style", "javascript:", "src=\"http", "src=\"//"] {
        assert!(!page.body.contains(attribute), "{attribute}");
    }
    for (kind, extension) in [
        ("text/css; charset=utf-8", "css"),
        ("text/javascript; charset=utf-8", "js"),
        ("image/svg+xml", "svg"),
    ] {
        let start = page.body.find(&format!("./-/status.{extension}?")).unwrap();
        let path = page.body[start + 1..].split('"').next().unwrap();
        let asset = exporter.get(path).await;
        assert_eq!((asset.status, asset.header("content-type")), (200, Some(kind)), "{path}");
        assert_eq!(asset.header("cache-control"), Some("max-age=31536000, immutable"));
        assert_eq!(asset.header("x-content-type-options"), Some("nosniff"));
        assert!(!asset.body.contains("http://") || extension == "svg", "{path} refers to another host");
        let response = http::request(exporter.address, "POST", path).await;
        assert_eq!(response.status, 405, "{path}");
    }
}

#[tokio::test]
async fn a_failed_reload_is_shown_with_its_message_until_the_next_success() {
    let aws = fake_aws().await;
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let exporter = Exporter::start_with(&aws, &one_target(), &setup).await;
    exporter.wait_until_ready().await;
    let response = exporter.reload("accounts: [{profile: hub, externalid: swordfish}]\n").await;
    assert_eq!(response.status, 500);
    let page = exporter.get("/").await.body;
    for part in [
        "<title>(1) Reload failed · SSM Sync Exporter</title>",
        "unknown key",
        "#ssmsyncexporterreloadfailed",
    ] {
        assert!(page.contains(part), "{part}:\n{page}");
    }
    assert!(!page.contains("swordfish"), "{page}");
    assert_eq!(exporter.reload(&one_target()).await.status, 200);
    let page = exporter.get("/").await.body;
    assert!(page.contains("<title>SSM Sync Exporter</title>") && !page.contains("unknown key"), "{page}");
}
