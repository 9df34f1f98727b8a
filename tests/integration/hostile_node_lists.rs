//! Tests that an answer to a managed-node lookup affects only what is known about the nodes of its target:
//! never the target itself or another one, and without nodes that are surely absent there is no 0.

use fake_aws::{Fault, FaultRule, SyncKind};
use futures_util::StreamExt as _;
use futures_util::stream;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::exporter::{ACCOUNT, Exporter, REGION, Scrape, fake_aws, one_target, up};

const NEIGHBOUR: &str = "us-east-1";
const LOOKUP: &str = "DescribeInstanceInformation";

/// How many exporters run concurrently.
const CONCURRENCY: usize = 8;

/// What follows if the last lookup failed.
const CLOSED_LIST: [&str; 12] = [
    "assume_role_denied",
    "access_denied",
    "scp_denied",
    "credentials",
    "region_disabled",
    "throttled",
    "timeout",
    "connection",
    "server_error",
    "invalid_response",
    "pagination",
    "other",
];

fn config(intervals: &str) -> String {
    let two_targets = one_target().replace(&format!("[{REGION}]"), &format!("[{REGION}, {NEIGHBOUR}]"));
    two_targets.replace("16s", "1m").replace("interval: 1s", intervals)
}

/// Whether there are nodes in a region, `1` or `0`, or why that is unknown. Empty before the first lookup has
/// ended.
fn nodes(scrape: &Scrape, region: &str) -> String {
    let region = format!("aws_region=\"{region}\"");
    let samples = |family: &str| scrape.samples(&format!("{family}{{"));
    let present = samples("aws_ssm_managed_nodes_present");
    let present = present.lines().filter(|line| line.contains(&region));
    let failing = samples("ssm_sync_exporter_managed_nodes_down_reason");
    let failing = failing.lines().filter(|line| line.contains(&region));
    let value = |line: &str| line.rsplit(' ').next().unwrap().to_owned();
    let reason = |line: &str| line.split("reason=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    present.map(value).chain(failing.map(reason)).collect::<Vec<_>>().join(" ")
}

/// Answers lookups in one of two regions with each fault. Checks what follows from the answer, and that
/// nothing else does. With `None`, any failure may follow.
async fn check(cases: impl IntoIterator<Item = (Fault, Option<&'static str>)>) {
    stream::iter(cases)
        .for_each_concurrent(CONCURRENCY, async |(fault, expected)| {
            let case: String = format!("{fault:?}").chars().take(160).collect();
            let aws = fake_aws().await;
            let world = aws.world();
            world.set_default_syncs(SyncKind::ToDestination, vec![json!({"SyncName": "a"})]);
            world.set_managed_nodes(ACCOUNT, NEIGHBOUR, 1);
            world.set_faults(vec![FaultRule::new(fault).operation(LOOKUP).region(REGION)]);
            let intervals = "interval: 1h\nmanaged_nodes: {enabled: true, interval: 1h}";
            let exporter = Exporter::start_ready(&aws, &config(intervals)).await;
            let ended = async || {
                let scrape = exporter.scrape().await;
                let has_ended = |region| !nodes(&scrape, region).is_empty();
                (has_ended(REGION) && has_ended(NEIGHBOUR)).then_some(scrape)
            };
            let scrape = exporter.wait_for(&case, ended).await;
            let found = nodes(&scrape, REGION);
            match expected {
                Some(expected) => assert_eq!(found, expected, "{case}"),
                None => assert!(CLOSED_LIST.contains(&found.as_str()), "{case}: {found}"),
            }
            assert_eq!(nodes(&scrape, NEIGHBOUR), "1", "{case}");
            for region in [REGION, NEIGHBOUR] {
                assert!(scrape.has(&up(ACCOUNT, region, 1)), "{case}: {}", scrape.0);
            }
            assert_eq!(scrape.sum("aws_ssm_resource_data_syncs"), 2.0, "{case}");
            assert!(scrape.has("ssm_sync_exporter_panics_total 0"), "{case}");
            let longest = scrape.0.lines().map(str::len).max().unwrap();
            assert!(longest < 2000, "{case}: a line of {longest} bytes");
            let page = exporter.get("/").await;
            assert!(page.status == 200 && page.body.len() < 200_000, "{case}: {} bytes", page.body.len());
        })
        .await;
}

fn body(status: u16, body: impl Into<String>) -> Fault {
    Fault::Response { status, body: body.into() }
}

/// A list with these items and this page token.
#[expect(clippy::needless_pass_by_value, reason = "the callers have no other use for the values")]
fn list(items: Value, token: Value) -> Fault {
    body(200, json!({"InstanceInformationList": items, "NextToken": token}).to_string())
}

fn huge_text() -> String {
    "x".repeat(1_000_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_item_is_a_node() {
    let deep = format!("{{\"InstanceInformationList\": [{}{}]}}", "[".repeat(100_000), "]".repeat(100_000));
    check([
        (list(json!([null]), json!(null)), Some("1")),
        (list(json!([null, null, 5, "", []]), json!("t")), Some("1")),
        (list(json!([{"InstanceId": huge_text(), "ComputerName": [huge_text()]}]), json!("")), Some("1")),
        (list(json!([{}]), huge_text().into()), Some("1")),
        (Fault::ManyItems(2_000), Some("1")),
        (body(200, deep), Some("1")),
        (body(200, "{\"InstanceInformationList\": [\"\\ud800\"]}"), Some("1")),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_empty_last_page_says_that_there_are_no_nodes() {
    let empty = || json!([]);
    check([
        (list(empty(), json!(null)), Some("0")),
        (list(empty(), json!("")), Some("0")),
        (body(200, " {\"Other\": [{}], \"InstanceInformationList\" : [ ] }\n"), Some("0")),
        (list(empty(), json!("t")), Some("pagination")),
        (list(empty(), huge_text().into()), Some("pagination")),
        (list(empty(), json!(5)), Some("invalid_response")),
        (list(empty(), json!(["t"])), Some("invalid_response")),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_without_a_list_says_nothing_about_nodes() {
    let bodies = [
        "",
        " ",
        "{}",
        "[]",
        "null",
        "0",
        "\"",
        "{",
        "\u{0}",
        "{\"InstanceInformationList\": null}",
        "{\"InstanceInformationList\": {}}",
        "{\"InstanceInformationList\": \"\"}",
        "{\"InstanceInformationList\": 0}",
        "{\"InstanceInformationList\": [}",
        "{\"InstanceInformationList\": []",
        "{\"InstanceInformationList\": []} []",
        "{\"InstanceInformationList\": [], \"InstanceInformationList\": []}",
        "{\"instanceInformationList\": []}",
        "{\"ResourceDataSyncItems\": []}",
        "{\"Output\": {\"InstanceInformationList\": []}}",
        "[{\"InstanceInformationList\": []}]",
        "\u{feff}{\"InstanceInformationList\": []}",
        "<html><title>Blocked</title></html>",
    ];
    check(bodies.map(|text| (body(200, text), Some("invalid_response")))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_says_nothing_about_nodes() {
    let huge = huge_text();
    let errors = [
        body(400, "{\"InstanceInformationList\": []}"),
        body(404, "{\"InstanceInformationList\": []}"),
        body(400, ""),
        body(400, "{\"__type\": null, \"message\": null}"),
        body(400, json!({"__type": &huge, "message": &huge}).to_string()),
        body(418, huge),
    ];
    check(errors.map(|error| (error, None))).await;
    check([
        (Fault::Deny, Some("access_denied")),
        (Fault::DenyByScp, Some("scp_denied")),
        (Fault::ExpiredToken, Some("credentials")),
        (Fault::RegionDisabled, Some("region_disabled")),
        (Fault::Throttle.and(retry_after("3600")), Some("throttled")),
        (Fault::ServerError, Some("server_error")),
        (Fault::NewErrorCode, Some("other")),
        (Fault::TruncatedBody, Some("connection")),
        (Fault::Reset, Some("connection")),
        (Fault::ManyHeaders(200), Some("invalid_response")),
    ])
    .await;
}

fn retry_after(value: &str) -> Fault {
    let headers = ["x-amz-retry-after", "retry-after"];
    Fault::Headers(headers.map(|name| (name.to_owned(), Some(value.to_owned()))).into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_beyond_the_limits_says_nothing_about_nodes() {
    let empty_items = format!("{{\"InstanceInformationList\": [{}{{}}]}}", "{},".repeat(2_700_000));
    check([
        (Fault::ManyItems(300_000), Some("invalid_response")),
        (body(200, empty_items), Some("invalid_response")),
        (Fault::Padding { bytes: 9 * 1024 * 1024, chunked: true }, Some("invalid_response")),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_known_before_is_forgotten_with_an_answer_that_says_nothing() {
    let aws = fake_aws().await;
    let intervals = "interval: 1s\nmanaged_nodes: {enabled: true, interval: 1s}";
    let exporter = Exporter::start_ready(&aws, &config(intervals)).await;
    let until = async |region: &str, expected: &str| {
        let found = async || Some(exporter.scrape().await).filter(|scrape| nodes(scrape, region) == expected);
        exporter.wait_for(&format!("{expected} in {region}"), found).await
    };
    let checked = |scrape: &Scrape| {
        let family = "aws_ssm_managed_nodes_last_checked_timestamp_seconds{";
        let samples = scrape.samples(family);
        samples.lines().filter(|line| line.contains(REGION)).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    for (number, expected) in [(0, "0"), (1, "1")] {
        aws.world().set_faults(Vec::new());
        aws.world().set_managed_nodes(ACCOUNT, REGION, number);
        let before = until(REGION, expected).await;
        assert_eq!(checked(&before).len(), 1);
        let garbage = FaultRule::new(body(200, "{}")).operation(LOOKUP).region(REGION);
        aws.world().set_faults(vec![garbage]);
        exporter.set_clock(u64::from(number) + 100);
        let after = until(REGION, "invalid_response").await;
        assert_eq!(nodes(&after, NEIGHBOUR), "0", "the neighbour is still looked up");
        assert_eq!(checked(&after).len(), 1, "the time of the last answer stays");
    }
}
