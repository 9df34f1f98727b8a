//! Tests the effects of failing calls to AWS: the reasons that are reported, and that other
//! targets are not affected.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use fake_aws::{Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::json;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use crate::exporter::{ACCOUNT, Exporter, HUB, REGION, ROLE, Scrape, fake_aws, one_target, put_sync, up};

/// The limit of a response body in bytes.
const MAX_BODY: u64 = 8 * 1024 * 1024;

const OTHER_REGION: &str = "us-east-1";

const DIRECTIONS: [&str; 5] = ["central", "east", "north", "south", "west"];

/// Injects `fault` into listing the syncs of one of two targets. Checks that it fails with
/// `reason`, that its requests fail with `code`, that the other target is not affected, and
/// that the target recovers.
async fn check_fault(fault: Fault, reason: &'static str, code: Option<&'static str>) {
    // Only a request that stalls has to run into the timeout.
    let timeout = if matches!(fault, Fault::Stall | Fault::Dribble(_)) { "16s" } else { "2m" };
    let aws = fake_aws().await;
    aws.world().put_item(ACCOUNT, OTHER_REGION, SyncKind::ToDestination, json!({"SyncName": "elsewhere"}));
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "here"}));
    aws.world()
        .set_faults(vec![FaultRule::new(fault.clone()).region(REGION).operation("ListResourceDataSync")]);
    let config = one_target().replace(&format!("[{REGION}]"), &format!("[{REGION}, {OTHER_REGION}]"));
    let exporter = Exporter::start_ready(&aws, &config.replace("16s", timeout)).await;
    let scrape = exporter.scrape().await;
    let labels = format!("aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\"");

    assert!(scrape.has(&up(ACCOUNT, REGION, 0)), "{fault:?}");
    let reasons = scrape.samples("ssm_sync_exporter_target_collection_failures_total");
    let expected =
        format!("ssm_sync_exporter_target_collection_failures_total{{{labels},reason=\"{reason}\"}} ");
    assert!(reasons.lines().count() == 1 && reasons.starts_with(&expected), "{fault:?}: {reasons}");
    let failures = scrape.samples("ssm_sync_exporter_api_request_failures_total");
    match code {
        Some(code) => assert!(failures.contains(&format!("{{code=\"{code}\",")), "{fault:?}: {failures}"),
        None => assert_eq!(failures, "", "{fault:?}"),
    }
    // The faulty target has no syncs, the other has all of them.
    assert!(!scrape.0.contains("sync_name=\"here\""));
    assert!(scrape.has(&up(ACCOUNT, OTHER_REGION, 1)), "{fault:?}");
    assert!(scrape.0.contains("sync_name=\"elsewhere\""));

    // The target recovers when the fault ends.
    aws.world().set_faults(Vec::new());
    let scrape = exporter.scrape_until(&up(ACCOUNT, REGION, 1)).await;
    assert!(scrape.0.contains("sync_name=\"here\""), "{fault:?}");
}

#[tokio::test]
async fn every_fault_has_its_reason_and_affects_no_other_target() {
    let response = |status, body: &str| Fault::Response { status, body: body.to_owned() };
    let padding = |bytes, chunked| Fault::Padding { bytes, chunked };
    let faults = [
        (Fault::Throttle, "throttled", Some("ThrottlingException")),
        (Fault::Deny, "access_denied", Some("AccessDeniedException")),
        (Fault::DenyByScp, "scp_denied", Some("AccessDeniedException")),
        (Fault::ExpiredToken, "credentials", Some("ExpiredTokenException")),
        (Fault::ServerError, "server_error", Some("InternalServerError")),
        (Fault::Stall, "timeout", Some("timeout")),
        (Fault::Dribble(1000), "timeout", Some("timeout")),
        (Fault::TruncatedBody, "connection", Some("connection")),
        (Fault::RepeatToken, "pagination", None),
        (Fault::EndlessPages, "pagination", None),
        // Invalid responses, from empty to almost valid.
        (response(200, ""), "invalid_response", None),
        (response(200, "<html>Welcome to the airport</html>"), "invalid_response", Some("invalid_response")),
        (
            response(200, "{\"ResourceDataSyncItems\": [{\"SyncNa"),
            "invalid_response",
            Some("invalid_response"),
        ),
        (response(200, "{}"), "invalid_response", None),
        (response(200, "[]"), "invalid_response", Some("invalid_response")),
        (response(200, r#"{"ResourceDataSyncItems": {}}"#), "invalid_response", Some("invalid_response")),
        (
            response(200, r#"{"ResourceDataSyncItems": [], "NextToken": 5}"#),
            "invalid_response",
            Some("invalid_response"),
        ),
        (padding(MAX_BODY, true), "invalid_response", Some("invalid_response")),
        (padding(MAX_BODY, false), "invalid_response", Some("invalid_response")),
        (Fault::ServerError.and(padding(MAX_BODY, true)), "invalid_response", Some("invalid_response")),
        // More headers than hyper accepts.
        (Fault::ManyHeaders(200), "invalid_response", Some("invalid_response")),
        (response(403, "<html>Forbidden by proxy</html>"), "invalid_response", Some("403")),
        (response(502, "<html>Bad gateway</html>"), "server_error", Some("502")),
        (response(429, "{}"), "throttled", Some("429")),
        (response(400, r#"{"__type": "SomethingNew"}"#), "other", Some("SomethingNew")),
    ];
    // The faults run concurrently, because most of the time is spent in the SDK's back-off.
    LocalSet::new()
        .run_until(async {
            let mut running = JoinSet::new();
            for (fault, reason, code) in faults {
                running.spawn_local(check_fault(fault, reason, code));
            }
            running.join_all().await;
        })
        .await;
}

/// The values of the label `code` of all failed requests, with the number of requests.
fn failed_requests_by_code(scrape: &Scrape) -> BTreeMap<String, f64> {
    let samples = scrape.samples("ssm_sync_exporter_api_request_failures_total");
    let parse = |line: &str| {
        let (series, number) = line.rsplit_once(' ').unwrap();
        let code = series.split("code=\"").nth(1).unwrap().split('"').next().unwrap();
        (code.to_owned(), number.parse().unwrap())
    };
    samples.lines().map(parse).collect()
}

#[tokio::test]
async fn made_up_error_codes_add_few_series_and_are_all_counted() {
    // Regression: every error code that a response made up added a series.
    let aws = fake_aws().await;
    let made_up = |number: usize| match number % 4 {
        0 => Fault::Response { status: u16::try_from(420 + number).unwrap(), body: "{}".to_owned() },
        _ => Fault::Response { status: 400, body: json!({"__type": format!("Code{number}")}).to_string() },
    };
    let rules = |range: Range<usize>| {
        let rule = |number| FaultRule::new(made_up(number)).operation("ListResourceDataSync").times(1);
        range.map(rule).collect::<Vec<_>>()
    };
    let regions: Vec<String> =
        (0..50).map(|number| format!("eu-{}-{}", DIRECTIONS[number / 10], number % 10)).collect();
    aws.world().set_faults(rules(0..100));
    let config = one_target().replace("[eu-west-1]", &format!("[{}]", regions.join(", ")));
    let exporter = Exporter::start_ready(&aws, &config.replace("16s", "2m")).await;
    let all_answered = async || {
        let codes = failed_requests_by_code(&exporter.scrape().await);
        (codes.values().sum::<f64>() >= 100.0).then_some(codes)
    };
    let codes = exporter.wait_for("100 failed requests", all_answered).await;
    // Two of the HTTP statuses are usual. On a slow machine, requests may time out.
    let known = ["500", "504", "other", "timeout", "abandoned"];
    let unknown = codes.iter().filter(|(code, _)| !known.contains(&code.as_str()));
    assert_eq!(unknown.map(|(_, number)| number).sum::<f64>(), 64.0, "each once: {codes:?}");
    assert!(codes["other"] >= 1.0, "counted although they have no series of their own: {codes:?}");

    // Codes that AWS documents always have a series of their own.
    aws.world().set_faults(vec![FaultRule::new(Fault::Throttle).operation("ListResourceDataSync")]);
    let throttled = async || {
        failed_requests_by_code(&exporter.scrape().await).contains_key("ThrottlingException").then_some(())
    };
    exporter.wait_for("throttled requests", throttled).await;
}

#[tokio::test]
async fn a_region_that_the_account_has_not_enabled_keeps_the_credentials() {
    let aws = fake_aws().await;
    aws.world().set_faults(vec![
        FaultRule::new(Fault::RegionDisabled).region("me-south-1").operation("ListResourceDataSync"),
    ]);
    let exporter =
        Exporter::start_ready(&aws, &one_target().replace("[eu-west-1]", "[eu-west-1, me-south-1]")).await;
    // SSM responds as if the access key were unknown, but accepts it in the other region.
    let line = |reason: &str, number: u32| {
        format!(
            "ssm_sync_exporter_target_collection_failures_total{{aws_account_id=\"{ACCOUNT}\",aws_region=\"me-south-1\",reason=\"{reason}\"}} {number}"
        )
    };
    exporter.scrape_until(&line("region_disabled", 1)).await;
    let assumed = aws.world().calls("AssumeRole");
    let scrape = exporter.scrape_until(&line("region_disabled", 3)).await;
    assert_eq!(aws.world().calls("AssumeRole"), assumed, "the credentials are valid and kept");
    assert!(scrape.has(&up(ACCOUNT, "eu-west-1", 1)));
}

#[tokio::test]
async fn a_failure_to_assume_a_role_is_shared_by_all_regions() {
    let aws = fake_aws().await;
    aws.world().set_faults(vec![FaultRule::new(Fault::Stall).operation("AssumeRole")]);
    let regions = "[eu-west-1, eu-west-2, eu-west-3, us-east-1, us-east-2, us-west-1]";
    let config = one_target().replace("[eu-west-1]", regions).replace("1s", "1h");
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.sum("ssm_sync_exporter_target_consecutive_failures"), 6.0);
    let reasons = scrape.samples("ssm_sync_exporter_target_collection_failures_total");
    assert_eq!(reasons.matches("reason=\"timeout\"").count(), 6, "all for the same reason: {reasons}");
    assert_eq!(aws.world().calls("AssumeRole"), 3, "the attempts of one call");
    assert!(scrape.has("ssm_sync_exporter_api_requests_total{operation=\"AssumeRole\",service=\"STS\"} 3"));
}

#[tokio::test]
async fn role_chains_share_their_common_roles() {
    let aws = fake_aws().await;
    aws.world().add_role(HUB, "Jump", None);
    let members = ["222233334444", "333344445555", "444455556666"];
    let mut config = format!("regions: [{REGION}]\naccounts:\n");
    for member in members {
        aws.world().add_role(member, ROLE, None);
        config += "  - profile: hub\n    assume_roles:\n";
        let chain = format!(
            "      - arn: arn:aws:iam::{HUB}:role/Jump\n      - arn: arn:aws:iam::{member}:role/{ROLE}\n"
        );
        config += &chain;
    }
    let exporter = Exporter::start_ready(&aws, &config).await;
    assert_eq!(exporter.scrape().await.sum("ssm_sync_exporter_target_up"), 3.0);
    assert_eq!(aws.world().calls("AssumeRole"), 1 + 3);
}

#[tokio::test]
async fn abandoned_requests_are_counted() {
    let aws = fake_aws().await;
    // No page exceeds the timeout of an attempt, but all pages together exceed the timeout
    // of the collection.
    let slow = Fault::EndlessSlowPages(500);
    aws.world().set_faults(vec![FaultRule::new(slow).operation("ListResourceDataSync")]);
    let exporter = Exporter::start_ready(&aws, &one_target().replace("1s", "1h")).await;
    let scrape = exporter.scrape().await;
    let listed = aws.world().calls("ListResourceDataSync");
    assert!(listed > 2);
    assert_eq!(
        scrape.samples("ssm_sync_exporter_api_requests_total{operation=\"L"),
        format!(
            "ssm_sync_exporter_api_requests_total{{operation=\"ListResourceDataSync\",service=\"SSM\"}} {listed}\n"
        )
    );
    assert_eq!(
        scrape.samples("ssm_sync_exporter_api_request_failures_total"),
        "ssm_sync_exporter_api_request_failures_total{code=\"abandoned\",operation=\"ListResourceDataSync\",service=\"SSM\"} 1\n"
    );
    assert!(scrape.0.contains("reason=\"timeout\""), "{}", scrape.0);
}

#[tokio::test]
async fn a_secret_that_an_error_repeats_is_redacted() {
    let aws = fake_aws().await;
    aws.world().add_role("222233334444", ROLE, Some("xid-of-members"));
    let error = Fault::Deny.and(Fault::text("Message", "xid-of-members is not trusted"));
    aws.world().set_faults(vec![FaultRule::new(error).operation("AssumeRole")]);
    let config = format!(
        "accounts:\n  - {{profile: hub, assume_roles: [{{arn: 'arn:aws:iam::222233334444:role/{ROLE}', external_id: \
         xid-of-members}}]}}\n"
    );
    let exporter = Exporter::start_ready(&aws, &format!("regions: [{REGION}]\n{config}")).await;
    let page = exporter.get("/").await.body;
    assert!(page.contains("AccessDenied: (redacted) is not trusted"), "{page}");
    assert!(!page.contains("xid-of-members"), "{page}");
}

#[tokio::test]
async fn a_denied_role_and_a_wrong_external_id_are_reported() {
    let aws = fake_aws().await;
    aws.world().add_role("222233334444", ROLE, Some("right-id"));
    aws.world().add_role("333344445555", ROLE, Some("right-id"));
    aws.world().add_denied_role("444455556666", ROLE);
    let config = format!(
        "regions: [{REGION}]
accounts:
  - {{profile: hub, assume_roles: [{{arn: 'arn:aws:iam::222233334444:role/{ROLE}', external_id: right-id}}]}}
  - {{profile: hub, assume_roles: [{{arn: 'arn:aws:iam::333344445555:role/{ROLE}', external_id: wrong-id}}]}}
  - {{profile: hub, assume_roles: [{{arn: 'arn:aws:iam::444455556666:role/{ROLE}'}}]}}
"
    );
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = exporter.scrape().await;
    assert_eq!(
        scrape.samples("ssm_sync_exporter_target_up"),
        "ssm_sync_exporter_target_up{aws_account_id=\"222233334444\",aws_region=\"eu-west-1\"} 1\n\
         ssm_sync_exporter_target_up{aws_account_id=\"333344445555\",aws_region=\"eu-west-1\"} 0\n\
         ssm_sync_exporter_target_up{aws_account_id=\"444455556666\",aws_region=\"eu-west-1\"} 0\n"
    );
    for account in ["333344445555", "444455556666"] {
        assert!(scrape.has(&format!(
            "ssm_sync_exporter_target_collection_failures_total{{aws_account_id=\"{account}\",aws_region=\"eu-west-1\",reason=\"assume_role_denied\"}} 1"
        )));
    }
    assert!(!scrape.0.contains("right-id") && !scrape.0.contains("wrong-id"));
}

#[tokio::test]
async fn a_chain_of_roles_is_assumed_in_order() {
    let aws = fake_aws().await;
    aws.world().add_role(HUB, "Jump", None);
    let config = format!(
        "regions: [{REGION}]
accounts:
  - profile: hub
    assume_roles:
      - arn: arn:aws:iam::{HUB}:role/Jump
      - arn: arn:aws:iam::{ACCOUNT}:role/{ROLE}
"
    );
    let exporter = Exporter::start_ready(&aws, &config).await;
    assert_eq!(exporter.scrape().await.sum("ssm_sync_exporter_target_up"), 1.0);
    assert_eq!(aws.world().calls_of(HUB, REGION, "AssumeRole"), 2);
    assert_eq!(aws.world().calls_of(ACCOUNT, REGION, "ListResourceDataSync"), 2);
}

#[tokio::test]
async fn unknown_keys_missing_profiles_and_unreachable_endpoints_have_their_reasons() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let credentials = directory.path().join("credentials");
    std::fs::write(&credentials, "[bad]\naws_access_key_id = AKIAWRONG\naws_secret_access_key = x\n")
        .unwrap();
    let base = format!("regions: [{REGION}]\naccounts: [{{id: '{ACCOUNT}', profile: PROFILE}}]\n");
    let reason = async |profile: &str, endpoint: &str| {
        let config = format!(
            "{}aws: {{endpoint_url: '{endpoint}', shared_credentials_file: '{}', shared_config_file: '{}'}}\n",
            base.replace("PROFILE", profile),
            credentials.display(),
            credentials.display(),
        );
        let exporter = Exporter::start_with_exact_config(&config).await;
        exporter.wait_until_ready().await;
        let failures = exporter.scrape().await.samples("ssm_sync_exporter_target_collection_failures_total");
        failures.split("reason=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    assert_eq!(reason("bad", &aws.url()).await, "credentials");
    assert_eq!(reason("missing", &aws.url()).await, "credentials");
    // The listener is dropped, so nothing listens on its port.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(reason("bad", &format!("http://{closed}")).await, "connection");
}

#[tokio::test]
async fn each_page_takes_one_call() {
    let aws = fake_aws().await;
    for number in 0..7 {
        put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": format!("sync-{number}")}));
    }
    aws.world().set_faults(vec![FaultRule::new(Fault::PageSize(3))]);
    let exporter = Exporter::start_ready(&aws, &one_target().replace("1s", "1h")).await;
    assert_eq!(exporter.scrape().await.sum("aws_ssm_resource_data_syncs"), 7.0);
    assert_eq!(aws.world().calls("ListResourceDataSync"), 3 + 1, "three pages of one type, one of the other");
}

#[tokio::test]
async fn a_role_is_assumed_once_for_all_regions_and_collections() {
    let aws = fake_aws().await;
    let regions = "[eu-west-1, eu-west-2, eu-west-3, us-east-1, us-east-2]";
    let exporter = Exporter::start_ready(&aws, &one_target().replace("[eu-west-1]", regions)).await;
    exporter.scrape_after_next_collection().await;
    assert_eq!(aws.world().calls("AssumeRole"), 1);
}

#[tokio::test]
async fn a_role_is_assumed_again_before_its_credentials_expire() {
    let aws = fake_aws().await;
    aws.world().set_session_lifetime(Some(Duration::from_secs(8)));
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    while aws.world().calls("AssumeRole") < 3 {
        exporter.scrape_after_next_collection().await;
    }
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.samples("ssm_sync_exporter_target_collection_failures_total"), "");
}

#[tokio::test]
async fn a_scrape_does_not_wait_for_aws() {
    let aws = fake_aws().await;
    aws.world().set_faults(vec![FaultRule::new(Fault::Stall)]);
    let exporter = Exporter::start(&aws, &one_target()).await;
    let before = Instant::now();
    let scrape = exporter.scrape().await;
    assert!(before.elapsed() < Duration::from_secs(5), "the collection takes longer");
    assert!(scrape.0.contains("ssm_sync_exporter_target_info{"), "targets are known from the start");
    assert_eq!(
        scrape.samples("ssm_sync_exporter_target_up"),
        "",
        "absent until the first collection has ended"
    );
    assert!(scrape.has("ssm_sync_exporter_collections_in_flight 1"));
}

/// The seconds by which the clock of this host is ahead of AWS's.
async fn check_assumed_once(host_ahead: i32) {
    let aws = fake_aws().await;
    aws.world().set_clock_offset(-host_ahead);
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    for _ in 0..2 {
        exporter.scrape_after_next_collection().await;
    }
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.samples("ssm_sync_exporter_target_collection_failures_total"), "", "{host_ahead}");
    assert_eq!(aws.world().assumed_roles().len(), 1, "{host_ahead}");
}

#[tokio::test]
async fn a_wrong_host_clock_does_not_assume_roles_more_often() {
    // If the host was an hour ahead, the credentials of a role seemed to have expired at
    // once, and the role was assumed for every collection.
    for host_ahead in [3600, 3590, 86400, -3600, -86400] {
        check_assumed_once(host_ahead).await;
    }
}

#[tokio::test]
async fn credentials_that_expire_too_soon_are_not_obtained_for_every_collection() {
    for lifetime in [Duration::ZERO, Duration::from_secs(1)] {
        let aws = fake_aws().await;
        aws.world().set_session_lifetime(Some(lifetime));
        let exporter = Exporter::start_ready(&aws, &one_target()).await;
        for _ in 0..2 {
            exporter.scrape_after_next_collection().await;
        }
        let (assumed, collected) = (
            aws.world().calls("AssumeRole"),
            exporter.scrape().await.sum("ssm_sync_exporter_target_collections_total"),
        );
        assert!(collected >= 5.0, "{collected}");
        // After the first rejection, the back-off is five seconds, then ten.
        assert!(assumed <= 2, "{lifetime:?}: {assumed} roles assumed in {collected} collections");
        if lifetime.is_zero() {
            let page = exporter.get("/").await.body;
            assert!(page.contains("is expired"), "{page}");
            assert!(exporter.scrape().await.0.contains("reason=\"credentials\""));
        }
    }
}
