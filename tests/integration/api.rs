//! `GET /api/v1/status` over HTTP: its headers, its pages, its errors, and clients that do not read it.

mod curl;
pub(crate) mod schema;

use std::time::Duration;

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::exporter::{ACCOUNT, Exporter, NOW, REGION, Setup, fake_aws, one_target, put_sync};
use crate::exposition::s3_sync;
use crate::http;
use crate::web_security::http2::{DATA, HEADERS, Http2};
use crate::web_security::{SecuredExporter, TLS};

const PATH: &str = "/api/v1/status";

const HOUR: u64 = 3600;

const DENIED_REGION: &str = "us-east-1";
const HANGING_REGION: &str = "ap-south-1";

/// A sync whose quota is nearly used up is in this region.
const BUSY_REGION: &str = "eu-central-1";

/// A region without syncs.
const EMPTY_REGION: &str = "eu-north-1";

/// A configuration of one account in all of these regions.
fn config() -> String {
    let regions = [REGION, BUSY_REGION, EMPTY_REGION, DENIED_REGION, HANGING_REGION].join(", ");
    one_target()
        .replace("interval: 1s", "interval: 1h")
        .replace(&format!("[{REGION}]"), &format!("[{regions}]"))
        + EXPECTATIONS
}

/// Expectations that are met, violated and unknown somewhere in [`varied_fleet`].
const EXPECTATIONS: &str = "expectations:
  - {name: inventory, regions: [eu-west-1, ap-south-1], request: {SyncName: org-inventory, S3Destination: {BucketName: 'org-{region}', Prefix: 'all/of it'}}}
  - {name: no-stale, presence: forbidden, request: {SyncName: stale}}
  - {name: buckets, presence: allowed, request: {S3Destination: {Prefix: null}}}
";

/// Targets of every kind, with syncs of every health.
async fn varied_fleet() -> FakeAws {
    let aws = fake_aws().await;
    let sync = |name: &str, status: &str, last: u64, success: u64| json!({"SyncName": name, "LastStatus": status, "LastSyncTime": last, "LastSuccessfulSyncTime": success});
    for item in [
        s3_sync(),
        sync("stale", "Successful", NOW - 49 * HOUR, NOW - 49 * HOUR),
        sync("stuck", "InProgress", NOW - 3 * HOUR, NOW - 4 * HOUR),
        sync("running", "InProgress", NOW - HOUR, NOW - 4 * HOUR),
        sync("healthy", "Successful", NOW - HOUR, NOW - HOUR),
    ] {
        put_sync(&aws, SyncKind::ToDestination, item);
    }
    let explorer = json!({
        "SyncName": "AWS-QuickSetup-explorer", "SyncType": "SyncFromSource", "SyncSource": {
            "SourceType": "AwsOrganizations", "SourceRegions": ["eu-west-1", "us-east-1"],
            "AwsOrganizationsSource": {
                "OrganizationSourceType": "OrganizationalUnits",
                "OrganizationalUnits": [{"OrganizationalUnitId": "ou-abcd-11111111"}],
            },
            "IncludeFutureRegions": true, "EnableAllOpsDataSources": true, "State": "NoPermissions",
        },
    });
    put_sync(&aws, SyncKind::FromSource, explorer);
    for number in 0..4 {
        let item = json!({"SyncName": format!("sync-{number}"), "LastStatus": "Successful"});
        aws.world().put_item(ACCOUNT, BUSY_REGION, SyncKind::ToDestination, item);
    }
    let list = "ListResourceDataSync";
    aws.world().set_faults(vec![
        FaultRule::new(Fault::Deny).region(DENIED_REGION).operation(list),
        FaultRule::new(Fault::Stall).region(HANGING_REGION).operation(list),
    ]);
    aws
}

/// An exporter that has collected everything of [`varied_fleet`] that can be.
async fn exporter_of(aws: &FakeAws) -> Exporter {
    let exporter = Exporter::start_with(aws, &config(), &Setup { lifecycle: true, ..Setup::default() }).await;
    let is_collected =
        async || (get(&exporter, "").await["summary"]["targets_not_collected"] == 1).then_some(());
    exporter.wait_for("all collections but one", is_collected).await;
    exporter
}

async fn get(exporter: &Exporter, query: &str) -> Value {
    let response = exporter.get(&format!("{PATH}{query}")).await;
    assert_eq!(response.status, 200, "{query}: {}", response.body);
    serde_json::from_str(&response.body).unwrap()
}

#[tokio::test]
async fn every_target_has_the_verdict_of_the_metrics() {
    let aws = varied_fleet().await;
    let exporter = exporter_of(&aws).await;
    let document = get(&exporter, "").await;
    let summary = &document["summary"];
    assert_eq!(
        summary["targets_by_health"],
        json!({
            "down": 1, "failed": 1, "source_fault": 0, "stale": 0, "stuck": 0, "in_progress": 0, "healthy": 1,
            "not_collected": 1, "no_syncs": 1
        })
    );
    let by_health =
        json!({"failed": 1, "source_fault": 1, "stale": 1, "stuck": 1, "in_progress": 1, "healthy": 5});
    assert_eq!(summary["syncs_by_health"], by_health);
    assert_eq!(
        summary["concerns"],
        json!({
            "quota_used": 1, "quota_nearly_used": 1, "inspector_sync_blocked": 1, "unified_console_sync_missing": 0,
            "all_ops_data_sources": 1, "future_regions": 1
        })
    );
    assert_eq!(
        (&summary["config_last_reload_successful"], &summary["discovery"]),
        (&json!(true), &json!({"pending_lookups": 0, "failing_region_lookups": 0}))
    );
    let targets = document["targets"].as_array().unwrap();
    let regions: Vec<&str> = targets.iter().map(|target| target["aws_region"].as_str().unwrap()).collect();
    assert_eq!(regions, [HANGING_REGION, BUSY_REGION, EMPTY_REGION, REGION, DENIED_REGION]);
    assert_eq!(
        targets[3]["concerns"],
        json!([
            {"kind": "quota_used", "sync_type": "SyncToDestination", "used": 5, "quota": 5},
            {"kind": "inspector_sync_blocked", "sync_type": "SyncToDestination", "used": 5, "quota": 5},
            {"kind": "all_ops_data_sources", "sync_type": "SyncFromSource", "sync_name": "AWS-QuickSetup-explorer"},
            {"kind": "future_regions", "sync_type": "SyncFromSource", "sync_name": "AWS-QuickSetup-explorer"},
        ])
    );
    // The same problems as in the metrics, with their causes.
    let mut problems = Vec::new();
    for target in targets {
        for sync in target["syncs"].as_array().into_iter().flatten() {
            if !["healthy", "in_progress"].contains(&sync["health"].as_str().unwrap()) {
                let cause = sync.get("cause").map(|cause| format!(",cause={cause}"));
                problems.push(format!(
                    "sync_name={},problem={}{}",
                    sync["sync_name"],
                    sync["health"],
                    cause.unwrap_or_default()
                ));
            }
        }
    }
    let scrape = exporter.scrape().await;
    let samples = scrape.samples("aws_ssm_resource_data_sync_problem{");
    assert_eq!(samples.lines().count(), problems.len(), "{samples}");
    for problem in problems {
        assert!(samples.contains(&problem), "{problem}: {samples}");
    }
}

#[tokio::test]
async fn headers_allow_clients_to_revalidate_and_forbid_everything_else() {
    let aws = varied_fleet().await;
    let exporter = exporter_of(&aws).await;
    let first = exporter.get(PATH).await;
    let tag = first.header("etag").unwrap();
    assert!(tag.starts_with("W/\"") && tag.ends_with('"'), "{tag}");
    let common = [
        ("etag", Some(tag)),
        ("cache-control", Some("no-cache")),
        ("vary", Some("Accept-Encoding")),
        ("content-security-policy", Some("default-src 'none'; frame-ancestors 'none'")),
        ("x-content-type-options", Some("nosniff")),
        ("cross-origin-resource-policy", Some("same-origin")),
        ("access-control-allow-origin", None),
        ("link", None),
    ];
    let has_common_headers = |response: &http::Response| {
        for (name, value) in common {
            assert_eq!(response.header(name), value, "{name}");
        }
    };
    has_common_headers(&first);
    assert_eq!(first.header("content-type"), Some("application/json; charset=utf-8"));

    exporter.set_clock(1);
    for value in [tag, "*", "\"other\", \"a,b\"", &format!("\"other\", {tag}"), &tag[2..]] {
        let response = exporter.get_with(PATH, &[("If-None-Match", value)]).await;
        let is_match = value.contains(&tag[2..]) || value == "*";
        assert_eq!(response.status, if is_match { 304 } else { 200 }, "{value}");
        assert_eq!(response.body.is_empty(), is_match, "{value}");
        has_common_headers(&response);
    }
    for coding in ["gzip", "zstd"] {
        let response = exporter.get_with(PATH, &[("Accept-Encoding", coding)]).await;
        has_common_headers(&response);
        assert_eq!(response.header("content-encoding"), Some(coding));
        assert!(response.bytes.len() < first.bytes.len() / 2, "{} bytes", response.bytes.len());
        let headers = [("Accept-Encoding", coding), ("If-None-Match", tag)];
        assert_eq!(exporter.get_with(PATH, &headers).await.status, 304);
    }
    let head = http::request(exporter.address, "HEAD", PATH).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    has_common_headers(&head);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let response = http::request(exporter.address, method, PATH).await;
        assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    assert_eq!(exporter.get(&format!("{PATH}/")).await.status, 404);

    let page = exporter.get(&format!("{PATH}?limit=2&status=trouble")).await;
    let link = page.header("link");
    assert_eq!(link, None, "two targets are in trouble");
    let page = exporter.get(&format!("{PATH}?limit=1&status=trouble")).await;
    let next = format!("?status=trouble&limit=1&after={ACCOUNT}%2F{REGION}");
    assert_eq!(page.header("link"), Some(&*format!("<{next}>; rel=\"next\"")));
    let document: Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!((document["next"].as_str(), &document["summary"]["targets"]), (Some(&*next), &json!(2)));
    let last = get(&exporter, &next).await;
    assert_eq!((&last["targets"][0]["aws_region"], last.get("next")), (&json!(DENIED_REGION), None));
}

#[tokio::test]
async fn a_rejected_query_gets_one_line_without_control_characters() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    for (query, line) in [
        ("?acount=prod", "unknown parameter `acount`; did you mean `account`?\n"),
        (
            "?status=%3Cscript%3E%0a%1b[2J",
            "`status=<script>\\n\\u{1b}[2J`: expected a known status; known are trouble, down, failed, source_fault, stale, stuck, in_progress, healthy, not_collected, no_syncs, not_as_expected, quota_used, quota_nearly_used, inspector_sync_blocked, unified_console_sync_missing, all_ops_data_sources, future_regions, no_managed_nodes, managed_nodes_unknown\n",
        ),
        ("?limit=99999999999999999999", "`limit=99999999999999999999`: expected a number from 1 to 5000\n"),
        ("?after=%ff%00", "`after=\u{fffd}\\0`: expected the value in the URL of the next page\n"),
    ] {
        let response = exporter.get(&format!("{PATH}{query}")).await;
        assert_eq!((response.status, response.body.as_str()), (400, line));
        assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_failed_reload_is_reported_until_the_next_one_succeeds() {
    let aws = fake_aws().await;
    let exporter =
        Exporter::start_with(&aws, &one_target(), &Setup { lifecycle: true, ..Setup::default() }).await;
    let succeeded = async || get(&exporter, "").await["summary"]["config_last_reload_successful"].clone();
    assert_eq!(succeeded().await, json!(true));
    assert_eq!(exporter.reload("nonsense: 1\n").await.status, 500);
    assert_eq!(succeeded().await, json!(false));
    assert_eq!(exporter.reload(&one_target()).await.status, 200);
    assert_eq!(succeeded().await, json!(true));
}

#[tokio::test]
async fn texts_from_aws_stay_texts() {
    let aws = fake_aws().await;
    let hostile = "</script><script>\"'\\\u{0}\u{1b}[2J\u{2028}\u{202e}\u{fffd}\n";
    let item = json!({
        "SyncName": hostile, "LastStatus": hostile, "LastSyncStatusMessage": hostile,
        "S3Destination": {"BucketName": hostile, "Prefix": hostile, "Region": hostile, "SyncFormat": hostile},
    });
    put_sync(&aws, SyncKind::ToDestination, item);
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    let response = exporter.get(PATH).await;
    let document: Value = serde_json::from_str(&response.body).unwrap();
    let sync = &document["targets"][0]["syncs"][0];
    for text in [
        &sync["sync_name"],
        &sync["last_status"],
        &sync["last_status_message"],
        &sync["destination"]["bucket_prefix"],
    ] {
        assert_eq!(text, hostile);
    }
    assert!(!response.body.trim_end().contains(|character: char| character.is_ascii_control()));
}

#[tokio::test]
async fn the_telemetry_path_takes_precedence() {
    let aws = fake_aws().await;
    let setup = Setup { telemetry_path: PATH, ..Setup::default() };
    let exporter = Exporter::start_with(&aws, &one_target(), &setup).await;
    assert!(exporter.get(PATH).await.body.starts_with("# HELP "));
}

/// Sends a request, and reads only the first line of the response.
async fn hang(exporter: &Exporter) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // A small buffer, so that the kernel does not receive the whole body.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(exporter.address).await.unwrap();
    stream.write_all(format!("GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut first = [0; 17];
    timeout(Duration::from_secs(30), stream.read_exact(&mut first)).await.unwrap().unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK\r\n");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_read_make_room_for_others() {
    let aws = fake_aws().await;
    let sync = |number| json!({"SyncName": format!("sync-{number:05}"), "LastStatus": "Failed", "LastSyncStatusMessage": "x".repeat(1500)});
    aws.world().set_default_syncs(SyncKind::ToDestination, (0..1000).map(sync).collect());
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    let mut hanging = Vec::new();
    // All places that one address may have.
    for _ in 0..12 {
        hanging.push(hang(&exporter).await);
    }
    for path in [PATH, "/", "/metrics"] {
        assert_eq!(exporter.get(path).await.status, 200, "{path}");
    }
    let mut rest = Vec::new();
    let read = timeout(Duration::from_mins(1), hanging[0].read_to_end(&mut rest)).await.unwrap();
    assert!(read.is_err() || !rest.ends_with(b"0\r\n\r\n"), "the oldest response was cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_has_the_same_responses() {
    let secured = SecuredExporter::start(TLS).await;
    let mut client = Http2::connect(secured.exporter.address, &secured.files, 1 << 20).await;
    // Stream 3 is a HEAD request.
    for (stream, method) in [(1, "GET"), (3, "HEAD")] {
        client.request(stream, method, PATH, &[]).await.unwrap();
        let (mut body, mut has_headers) = (Vec::new(), false);
        loop {
            let frame = client.frame().await.unwrap();
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                HEADERS => has_headers = true,
                DATA => body.extend_from_slice(&frame.payload),
                _ => {}
            }
            if frame.flags & 1 == 1 {
                break;
            }
        }
        assert!(has_headers);
        if method == "GET" {
            let document: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(document["summary"]["targets"], 1);
        } else {
            assert_eq!(body, b"");
        }
    }
}
