//! Tests that no body of a response ends the process or makes it panic: bodies that are nested
//! deeply, numbers beyond every range, and texts that are hardly JSON or XML.

use fake_aws::{Fault, FaultRule, SyncKind};
use futures_util::StreamExt as _;
use futures_util::stream;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::exporter::{ACCOUNT, Exporter, HUB, REGION, ROLE, fake_aws, fake_organization, one_target, up};

/// Enough to overflow the stack of a parser that recurses.
const DEPTH: usize = 300_000;

/// How many exporters run concurrently.
const CONCURRENCY: usize = 8;

const NEIGHBOUR: &str = "us-east-1";

/// A text with `open` and `close` around `middle`, [`DEPTH`] times.
fn nested(open: &str, middle: &str, close: &str) -> String {
    open.repeat(DEPTH) + middle + &close.repeat(DEPTH)
}

/// Deeply nested JSON: in the place of a whole body, of an unknown field, and of the field `known`.
fn nested_json(known: &str) -> Vec<String> {
    let values =
        [nested("[", "", "]"), nested("{\"a\":", "1", "}"), "[".repeat(DEPTH), "{\"a\":[".repeat(DEPTH)];
    let in_places = |value: &String| {
        [value.clone(), format!("{{\"unknown\": {value}}}"), format!("{{\"{known}\": {value}}}")]
    };
    values.iter().flat_map(in_places).collect()
}

/// Deeply nested XML: in the place of a whole body, and within an element `known` of a response.
fn nested_xml(known: &str) -> Vec<String> {
    let values =
        [nested("<a>", "", "</a>"), "<a>".repeat(DEPTH), "</a>".repeat(DEPTH), nested("<a b='", "", "'/>")];
    let in_places = |value: &String| {
        [value.clone(), format!("<{known}Response><{known}Result>{value}</{known}Result></{known}Response>")]
    };
    values.iter().flat_map(in_places).collect()
}

async fn assert_no_panic(exporter: &Exporter, case: &str) {
    let scrape = exporter.scrape().await;
    assert!(scrape.has("ssm_sync_exporter_panics_total 0"), "{case}: {}", scrape.0);
    assert_eq!(exporter.get("/").await.status, 200, "{case}");
}

/// The beginning of a body, to name it in a message.
fn beginning(body: &str) -> String {
    body.chars().take(80).collect()
}

/// Answers the list of syncs in one of two regions with each of `bodies`. Checks that the other
/// region is not affected.
async fn check_syncs(bodies: impl IntoIterator<Item = (u16, String)>) {
    stream::iter(bodies)
        .for_each_concurrent(CONCURRENCY, async |(status, body)| {
            let case = format!("{status} {}", beginning(&body));
            let aws = fake_aws().await;
            aws.world().set_default_syncs(SyncKind::ToDestination, vec![json!({"SyncName": "a"})]);
            let fault = FaultRule::new(Fault::Response { status, body }).operation("ListResourceDataSync");
            aws.world().set_faults(vec![fault.region(REGION)]);
            let config = one_target().replace(&format!("[{REGION}]"), &format!("[{REGION}, {NEIGHBOUR}]"));
            let exporter =
                Exporter::start_ready(&aws, &config.replace("16s", "2m").replace("1s", "1h")).await;
            assert_no_panic(&exporter, &case).await;
            let scrape = exporter.scrape().await;
            assert!(scrape.has(&up(ACCOUNT, NEIGHBOUR, 1)), "{case}");
            if scrape.has(&up(ACCOUNT, REGION, 0)) {
                let reasons = scrape.samples("ssm_sync_exporter_target_down_reason");
                let expected = if status == 200 { "invalid_response" } else { "other" };
                let is_expected = reasons.contains(expected) || reasons.contains("invalid_response");
                assert!(is_expected, "{case}: {reasons}");
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deeply_nested_lists_of_syncs_are_invalid() {
    check_syncs(nested_json("ResourceDataSyncItems").into_iter().map(|body| (200, body))).await;
    check_syncs(nested_json("message").into_iter().map(|body| (400, body))).await;
    check_syncs(nested_json("__type").into_iter().map(|body| (400, body))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_millions_of_empty_items_is_invalid() {
    // Regression: the SDK made gigabytes of a list of 8 MiB.
    let list = |name: &str| format!("{{\"{name}\": [{}{{}}]}}", "{},".repeat(2_700_000));
    let texts = format!(
        "{{\"ResourceDataSyncItems\": [{{\"SyncSource\": {{\"SourceRegions\": [{}\"\"]}}}}]}}",
        "\"\",".repeat(2_700_000)
    );
    check_syncs([(200, list("ResourceDataSyncItems")), (200, texts)]).await;
    let aws = fake_aws().await;
    let body = list("ResourceDataSyncItems");
    let fault = FaultRule::new(Fault::Response { status: 200, body }).operation("ListResourceDataSync");
    aws.world().set_faults(vec![fault]);
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    let page = exporter.get("/").await.body;
    assert!(page.contains("has more than 200000 values, the limit of the exporter"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_number_is_a_time_or_invalid() {
    let numbers = [
        "1e308",
        "-1e308",
        "1e400",
        "-1e400",
        "1e-400",
        "-0",
        "-0.0",
        "NaN",
        "Infinity",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "253402300800",
        "-62135596801",
        "1e18",
        "9.3e18",
        "00",
        "1e",
        "\"NaN\"",
        "\"Infinity\"",
        "\"-Infinity\"",
        "\"1e308\"",
        "null",
        "[]",
        "{}",
    ];
    let digits =
        ["1".repeat(100_000), format!("0.{}1", "0".repeat(100_000)), format!("1e{}", "9".repeat(1000))];
    let numbers = numbers.iter().map(|&number| number.to_owned()).chain(digits);
    check_syncs(numbers.map(|number| {
        let times = ["LastSyncTime", "LastSuccessfulSyncTime", "SyncCreatedTime", "SyncLastModifiedTime"];
        let times = times.map(|name| format!("\"{name}\": {number}")).join(", ");
        (200, format!("{{\"ResourceDataSyncItems\": [{{\"SyncName\": \"b\", \"LastStatus\": \"Failed\", {times}}}]}}"))
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_is_hardly_json_is_invalid() {
    let bodies = [
        "\u{feff}{\"ResourceDataSyncItems\": []}",
        "{\"ResourceDataSyncItems\": [], \"ResourceDataSyncItems\": [{\"SyncName\": \"b\"}]}",
        "{\"ResourceDataSyncItems\": [{\"SyncName\": \"b\", \"SyncName\": \"c\"}]}",
        "{\"ResourceDataSyncItems\": [{\"SyncName\": \"\\ud800\"}]}",
        "{\"ResourceDataSyncItems\": [{\"SyncName\": \"\\ud800\\u0041\"}]}",
        "{\"ResourceDataSyncItems\": [{\"SyncName\": \"\\u00\"}]}",
        "{\"ResourceDataSyncItems\": [null, null]}",
        "{\"ResourceDataSyncItems\": [{\"SyncName\": \"b\"}]} {\"ResourceDataSyncItems\": []}",
        "{\"ResourceDataSyncItems\": [{\"SyncName\": \"b\\u0000\\r\\n\\u001b[31m\\u202e\"}]}",
        "{\"ResourceDataSyncItems\": [{\"SyncName\": \"b\", \"SyncSource\": []}]}",
        "{\"ResourceDataSyncItems\": {}}",
        "[]",
        "null",
        "\"",
        "{",
        "}",
        "0",
        "\u{0}",
        " ",
    ];
    check_syncs(bodies.into_iter().map(|body| (200, body.to_owned()))).await;
    let errors = [
        "{\"__type\": \"\", \"message\": \"\"}",
        "{\"__type\": null, \"message\": null}",
        "{\"__type\": \"a#b:c\"}",
    ];
    check_syncs(bodies.into_iter().chain(errors).map(|body| (400, body.to_owned()))).await;
}

/// Answers `operation` with each of `bodies`, as success and as error, while a configured account
/// is polled that needs no answer of this operation.
async fn check_operation(operation: &str, bodies: Vec<String>) {
    let cases = bodies.into_iter().flat_map(|body| [200, 400].map(|status| (status, body.clone())));
    stream::iter(cases)
        .for_each_concurrent(CONCURRENCY, async |(status, body)| {
            let case = format!("{operation} {status} {}", beginning(&body));
            let aws = fake_organization().await;
            let config = format!(
                "interval: 1h\ntimeout: 2m\nmanaged_nodes: {{enabled: true}}\nregions: ['eu-west-*']\naccounts: [{{profile: hub, id: '{HUB}', regions: [{REGION}]}}]\n\
                 organization:\n  profile: hub\n  member_role: \
                 'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n"
            );
            aws.world()
                .set_faults(vec![FaultRule::new(Fault::Response { status, body }).operation(operation)]);
            let exporter = Exporter::start(&aws, &config).await;
            exporter.scrape_until(&up(HUB, REGION, 1)).await;
            let ended = format!("ssm_sync_exporter_api_requests_total{{operation=\"{operation}\"");
            exporter
                .wait_for("the end of the call", async || {
                    (!exporter.scrape().await.samples(&ended).is_empty()).then_some(())
                })
                .await;
            assert_no_panic(&exporter, &case).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deeply_nested_answers_to_other_calls_are_invalid() {
    check_operation("ListAccounts", nested_json("Accounts")).await;
    check_operation("ListRegions", nested_json("Regions")).await;
    check_operation("AssumeRole", nested_xml("AssumeRole")).await;
    check_operation("GetCallerIdentity", nested_xml("GetCallerIdentity")).await;
    check_operation("DescribeInstanceInformation", nested_json("InstanceInformationList")).await;
}
