//! Tests that a response of AWS affects only the target that it is for, whatever its headers
//! say.

use std::time::Duration;

use fake_aws::{FakeAws, Fault, FaultRule, World};
use futures_util::future::join_all;
use pretty_assertions::{assert_eq, assert_ne};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::exporter::{ACCOUNT, Exporter, HUB, REGION, ROLE, Scrape, aws_settings, fake_aws, one_target, up};
use crate::process::{ExporterProcess, program};

const REGIONS: [&str; 4] = ["eu-west-1", "eu-west-2", "us-east-1", "us-east-2"];
const HOUR: i32 = 3600;

/// Long enough that credentials do not look expired if the clock of the host is an hour ahead.
const LIFETIME: Duration = Duration::from_hours(12);

/// A configuration with one account in all of [`REGIONS`].
fn four_targets() -> String {
    one_target().replace(&format!("[{REGION}]"), &format!("[{}]", REGIONS.join(", ")))
}

/// Makes the service check the times of signatures by the host's clock.
fn check_signing_time() -> FaultRule {
    FaultRule::new(Fault::ClockAhead(0))
}

/// A `Date` header for each of `dates`.
fn dates(dates: &[&str]) -> Fault {
    Fault::Headers(dates.iter().map(|date| ("date".to_owned(), Some((*date).to_owned()))).collect())
}

fn response(status: u16, body: &str) -> Fault {
    Fault::Response { status, body: body.to_owned() }
}

/// A response that rejects the time of a signature.
fn signature_expired() -> Fault {
    response(
        400,
        r#"{"__type": "InvalidSignatureException", "message": "Signature expired: 20261122T120000Z is now earlier than 20261122T130000Z"}"#,
    )
}

async fn collect_three_times(exporter: &Exporter) -> Scrape {
    exporter.scrape_after_next_collection().await;
    exporter.scrape_after_next_collection().await
}

/// Checks that all collections of the four targets succeeded with a single `AssumeRole`, and that no request
/// failed.
async fn check_all_up(aws: &FakeAws, exporter: &Exporter) {
    let scrape = check_collections(aws, exporter).await;
    assert_eq!(scrape.samples("ssm_sync_exporter_api_request_failures_total"), "");
}

async fn check_collections(aws: &FakeAws, exporter: &Exporter) -> Scrape {
    let scrape = collect_three_times(exporter).await;
    assert_eq!(scrape.samples("ssm_sync_exporter_target_collection_failures_total"), "");
    assert_eq!(scrape.sum("ssm_sync_exporter_target_up"), 4.0);
    assert_eq!(aws.world().calls("AssumeRole"), 1);
    scrape
}

/// The SDK took the date of every response as the time, also for the regions that share its
/// client. They were down most of the time, and the credentials were thrown away each time.
#[tokio::test]
async fn a_wrong_date_in_one_region_affects_no_region() {
    join_all([3600, -3600, 900_000].map(async |seconds| {
        let aws = fake_aws().await;
        let wrong = FaultRule::new(Fault::DateOffBy(seconds)).region("us-east-2");
        aws.world().set_faults(vec![wrong.operation("ListResourceDataSync"), check_signing_time()]);
        let exporter = Exporter::start_ready(&aws, &four_targets()).await;
        check_all_up(&aws, &exporter).await;
    }))
    .await;
}

/// A date of 9999 made every later call of the client panic.
#[tokio::test]
async fn an_implausible_date_is_ignored() {
    let dates_to_ignore = [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Sun, 06 Nov 1994 08:49:37. GMT",
        "99999999999999999999",
        "",
    ];
    join_all(dates_to_ignore.map(async |date| {
        let aws = fake_aws().await;
        // The responses of STS, too.
        let assume_role = FaultRule::new(dates(&[date])).operation("AssumeRole");
        let wrong = FaultRule::new(dates(&[date])).region("us-east-2");
        aws.world().set_faults(vec![assume_role, wrong, check_signing_time()]);
        let exporter = Exporter::start_ready(&aws, &four_targets()).await;
        check_all_up(&aws, &exporter).await;
    }))
    .await;
}

#[tokio::test]
async fn a_rejected_signature_affects_one_target_and_keeps_the_credentials() {
    let faults = [
        signature_expired().and(Fault::without_header("date")),
        // Believed, but wrong: only this target signs by it.
        signature_expired().and(Fault::DateOffBy(3600)),
        signature_expired().and(Fault::DateOffBy(-900_000)),
        signature_expired().and(dates(&["Sun, 22 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 13:00:00 GMT"])),
        signature_expired().and(dates(&["Fri, 31 Dec 9999 23:59:59 GMT"])),
        signature_expired().and(dates(&["Mon, 01 Jan 0001 00:00:00 GMT"])),
        signature_expired().and(dates(&["Sun, 06 Nov 1994 08:49:37. GMT"])),
        response(403, r#"{"__type": "SignatureDoesNotMatch", "message": "The signature does not match"}"#),
        response(400, r#"{"__type": "RequestExpired"}"#),
        response(400, r#"{"__type": "IncompleteSignature"}"#),
    ];
    join_all(faults.map(async |fault| {
        let aws = fake_aws().await;
        let rejects = FaultRule::new(fault.clone()).region("us-east-2").operation("ListResourceDataSync");
        aws.world().set_faults(vec![rejects, check_signing_time()]);
        let exporter = Exporter::start_ready(&aws, &four_targets()).await;
        let scrape = collect_three_times(&exporter).await;
        let failures = scrape.samples("ssm_sync_exporter_target_collection_failures_total");
        let expected = format!(
            "ssm_sync_exporter_target_collection_failures_total{{aws_account_id=\"{ACCOUNT}\",aws_region=\"us-east-2\",reason=\"credentials\"}} "
        );
        assert!(failures.lines().count() == 1 && failures.starts_with(&expected), "{fault:?}: {failures}");
        assert_eq!(scrape.sum("ssm_sync_exporter_target_up"), 3.0, "{fault:?}");
        assert_eq!(aws.world().calls("AssumeRole"), 1, "{fault:?}");

        // The target recovers when AWS accepts its signatures.
        aws.world().set_faults(vec![check_signing_time()]);
        exporter.scrape_until(&up(ACCOUNT, "us-east-2", 1)).await;
        assert_eq!(aws.world().calls("AssumeRole"), 1, "{fault:?}");
    }))
    .await;
}

/// A managed-node lookup shares the client and the credentials of its target's collections.
#[tokio::test]
async fn no_answer_to_a_managed_node_lookup_affects_a_collection() {
    let config = four_targets() + "managed_nodes: {enabled: true, interval: 1s}\n";
    let faults = [
        (Fault::DateOffBy(3600), None),
        (dates(&["Fri, 31 Dec 9999 23:59:59 GMT"]), None),
        (signature_expired().and(Fault::DateOffBy(3600)), Some("credentials")),
        (signature_expired().and(Fault::without_header("date")), Some("credentials")),
        (response(403, r#"{"__type": "SignatureDoesNotMatch", "message": "x"}"#), Some("credentials")),
    ];
    join_all(faults.map(async |(fault, reason)| {
        let aws = fake_aws().await;
        let lookup =
            FaultRule::new(fault.clone()).region("us-east-2").operation("DescribeInstanceInformation");
        aws.world().set_faults(vec![lookup, check_signing_time()]);
        let exporter = Exporter::start_ready(&aws, &config).await;
        let scrape = check_collections(&aws, &exporter).await;
        let failing = scrape.samples("ssm_sync_exporter_managed_nodes_down_reason");
        match reason {
            Some(reason) => {
                assert!(failing.contains(&format!("reason=\"{reason}\"")), "{fault:?}: {failing}");
            }
            None => assert_eq!(failing, "", "{fault:?}"),
        }
        let answered = if reason.is_some() { 3 } else { 4 };
        assert_eq!(scrape.values("aws_ssm_managed_nodes_present"), vec![0.0; answered], "{fault:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_wrong_host_clock_takes_one_failed_request_for_each_target() {
    join_all([HOUR, -HOUR].map(async |seconds| {
        let aws = fake_aws().await;
        aws.world().set_session_lifetime(Some(LIFETIME));
        aws.world().set_faults(vec![FaultRule::new(Fault::ClockAhead(seconds))]);
        let exporter = Exporter::start_ready(&aws, &four_targets()).await;
        let scrape = collect_three_times(&exporter).await;
        let failed_requests = "ssm_sync_exporter_api_request_failures_total{code=\"SignatureDoesNotMatch\",operation=\"AssumeRole\",service=\"STS\"} 1\n\
             ssm_sync_exporter_api_request_failures_total{code=\"InvalidSignatureException\",operation=\"ListResourceDataSync\",service=\"SSM\"} 4\n";
        let check = |scrape: &Scrape, failed_requests: &str| {
            assert_eq!(scrape.samples("ssm_sync_exporter_target_collection_failures_total"), "");
            assert_eq!(scrape.sum("ssm_sync_exporter_target_up"), 4.0);
            let mut lines: Vec<String> = scrape
                .samples("ssm_sync_exporter_api_request_failures_total")
                .lines()
                .map(|line| format!("{line}\n"))
                .collect();
            lines.sort_by_key(|line| line.contains("SSM"));
            assert_eq!(lines.concat(), failed_requests);
        };
        check(&scrape, failed_requests);
        assert_eq!(aws.world().calls("AssumeRole"), 2, "the attempts of one call");

        // The clock of the host is corrected.
        aws.world().set_faults(vec![check_signing_time()]);
        let scrape = collect_three_times(&exporter).await;
        check(&scrape, &failed_requests.replace("} 4", "} 8"));
        assert_eq!(aws.world().calls("AssumeRole"), 2);
    }))
    .await;
}

#[tokio::test]
async fn discovery_works_with_a_wrong_host_clock() {
    join_all([HOUR, -HOUR].map(async |seconds| {
        let aws = fake_aws().await;
        aws.world().set_session_lifetime(Some(LIFETIME));
        aws.world().set_faults(vec![FaultRule::new(Fault::ClockAhead(seconds))]);
        let config = one_target().replace(&format!("[{REGION}]"), "['eu-west-*']");
        let exporter = Exporter::start_ready(&aws, &config).await;
        let scrape = exporter.scrape_until(&up(ACCOUNT, "eu-west-3", 1)).await;
        assert!(scrape.has("ssm_sync_exporter_discovery_failures_total{kind=\"regions\"} 0"), "{}", scrape.0);
        assert_eq!(aws.world().calls("AssumeRole"), 2, "the attempts of one call");
    }))
    .await;
}

/// The SDK itself assumes the role of such a profile.
#[tokio::test]
async fn a_profile_with_a_role_works_with_a_wrong_host_clock() {
    let aws = fake_aws().await;
    aws.world().set_session_lifetime(Some(LIFETIME));
    aws.world().set_faults(vec![FaultRule::new(Fault::ClockAhead(HOUR))]);
    let directory = tempfile::tempdir().unwrap();
    let settings = aws_settings(&aws, directory.path());
    let profile = format!(
        "[profile member]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/{ROLE}\nsource_profile = hub\nregion = {REGION}\n"
    );
    std::fs::write(directory.path().join("config"), profile).unwrap();
    let config = format!(
        "interval: 1s\ntimeout: 16s\nregions: [{REGION}]\naccounts: [{{id: '{ACCOUNT}', profile: member}}]\n"
    );
    // The SDK takes the endpoint of its own STS client from the environment only.
    let running =
        ExporterProcess::start(program().env("AWS_ENDPOINT_URL", aws.url()).arg("--config.file").arg({
            let file = directory.path().join("config.yaml");
            std::fs::write(&file, config + &settings).unwrap();
            file
        }));
    running.metrics_containing(&up(ACCOUNT, REGION, 1)).await;
    assert_eq!(aws.world().calls("AssumeRole"), 2, "the attempts of one call");
    running.stop("TERM");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_host_clock_is_logged_once() {
    let aws = fake_aws().await;
    aws.world().set_session_lifetime(Some(LIFETIME));
    aws.world().set_faults(vec![FaultRule::new(Fault::ClockAhead(-HOUR))]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, four_targets() + &aws_settings(&aws, directory.path())).unwrap();
    let running =
        ExporterProcess::start(program().arg("--config.file").arg(&file).args(["--log.format", "json"]));
    let collected = |metrics: &str| {
        let collections = Scrape(metrics.to_owned()).values("ssm_sync_exporter_target_collections_total");
        collections.len() == 4 && collections.iter().all(|number| *number >= 3.0)
    };
    let metrics = running.metrics_when("three collections of all targets", collected).await;
    assert_eq!(Scrape(metrics).sum("ssm_sync_exporter_target_up"), 4.0);
    let (_, _, log) = running.stop("TERM");
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("\"level\":\"warn\"")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(
        warnings[0].contains(
            "\"message\":\"the clock of the host differs from the clock of AWS\",\"host_is_ahead\":true"
        ),
        "{log}"
    );
}

/// The credentials were obtained again, as if STS had rejected them.
#[tokio::test]
async fn a_signature_that_sts_rejects_keeps_the_base_credentials() {
    let aws = fake_aws().await;
    let mut config = format!("interval: 1s\ntimeout: 16s\nregions: [{REGION}]\naccounts:\n");
    aws.world().add_role(HUB, "Jump", None);
    for account in ["100000000001", "100000000002", "100000000003"] {
        aws.world().add_role(account, ROLE, None);
        let chain = format!(
            "  - profile: hub\n    assume_roles:\n      - arn: arn:aws:iam::{HUB}:role/Jump\n      - arn: arn:aws:iam::{account}:role/{ROLE}\n"
        );
        config += &chain;
    }
    // The second call and its check are made with the credentials of the jump role.
    let body = "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature expired: x</Message></Error></ErrorResponse>";
    let rejects = |operation| FaultRule::new(response(403, body)).account(HUB).operation(operation);
    let jump_role = FaultRule::new(Fault::ClockAhead(0)).operation("AssumeRole").times(1);
    aws.world().set_faults(vec![jump_role, rejects("AssumeRole"), rejects("GetCallerIdentity")]);
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = exporter.scrape().await;
    let reasons = scrape.samples("ssm_sync_exporter_target_down_reason");
    assert_eq!(reasons.matches("reason=\"credentials\"").count(), 3, "{reasons}");
    assert_eq!(aws.world().assumed_roles().len(), 1);

    aws.world().set_faults(Vec::new());
    exporter
        .wait_for("recovery", async || {
            (exporter.scrape().await.sum("ssm_sync_exporter_target_up") == 3.0).then_some(())
        })
        .await;
    let jumps = aws.world().assumed_roles().iter().filter(|assumed| assumed.role.ends_with("/Jump")).count();
    assert_eq!(jumps, 1, "the credentials of the jump role were kept");
}

/// The SDK waited up to 20 seconds before each retry, so the collection timed out.
#[tokio::test]
async fn a_throttled_target_ignores_the_delay_that_the_response_asks_for() {
    join_all(["3600000", "18446744073709551615", "-1", "soon", ""].map(async |value| {
        let aws = fake_aws().await;
        let headers = ["x-amz-retry-after", "retry-after"];
        let headers = headers.map(|name| (name.to_owned(), Some(value.to_owned())));
        let throttle = Fault::Throttle.and(Fault::Headers(headers.into()));
        aws.world()
            .set_faults(vec![FaultRule::new(throttle).region("us-east-2").operation("ListResourceDataSync")]);
        let exporter = Exporter::start_ready(&aws, &four_targets().replace("1s", "1h")).await;
        let scrape = exporter.scrape().await;
        let failures = scrape.samples("ssm_sync_exporter_target_collection_failures_total");
        assert!(failures.contains("aws_region=\"us-east-2\",reason=\"throttled\"} 1"), "{value}: {failures}");
        assert_eq!(aws.world().calls_of(ACCOUNT, "us-east-2", "ListResourceDataSync"), 3, "all attempts");
        assert_eq!(scrape.sum("ssm_sync_exporter_target_up"), 3.0, "{value}");
    }))
    .await;
}

/// A body of 1,500 MiB took 1.9 GB of memory.
#[tokio::test]
async fn a_response_that_is_too_long_names_the_limit() {
    let aws = fake_aws().await;
    let endless = Fault::Padding { bytes: u64::MAX, chunked: true };
    aws.world()
        .set_faults(vec![FaultRule::new(endless).region("us-east-2").operation("ListResourceDataSync")]);
    let exporter = Exporter::start_ready(&aws, &four_targets().replace("1s", "1h")).await;
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.sum("ssm_sync_exporter_target_up"), 3.0);
    assert_eq!(
        scrape.samples("ssm_sync_exporter_api_request_failures_total"),
        "ssm_sync_exporter_api_request_failures_total{code=\"invalid_response\",operation=\"ListResourceDataSync\",service=\"SSM\"} 1\n",
        "not retried"
    );
    let page = exporter.get("/").await.body;
    assert!(page.contains("the body of the response is longer than the limit of 8 MiB"), "{page}");
}

/// The SDK's own requests for credentials pass through the same HTTP client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_with_credentials_that_is_too_long_is_invalid() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/credentials", listener.local_addr().unwrap());
    let mut command = program();
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url).env("AWS_REGION", REGION);
    let running = ExporterProcess::start(&mut command);
    let endless = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
            let head =
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head).await.unwrap();
            let chunk = [b"1000\r\n".as_slice(), &[b' '; 0x1000], b"\r\n"].concat();
            while stream.write_all(&chunk).await.is_ok() {}
        }
    };
    tokio::select! {
        metrics = running.metrics_containing("reason=\"invalid_response\"") => {
            assert!(metrics.contains("ssm_sync_exporter_target_up{aws_account_id=\"unknown\",aws_region=\"eu-west-1\"} 0"));
        }
        () = endless => {}
    }
    let (_, _, log) = running.stop("TERM");
    assert!(log.contains("longer than the limit of 8 MiB"), "{log}");
}

/// Calls to STS shared the SDK's limit on retries, so that failures for one account used up the
/// retries of all others.
#[tokio::test]
async fn failures_to_assume_roles_do_not_use_up_the_retries_of_other_roles() {
    let aws = FakeAws::start(World::new(), "127.0.0.1:0").await.unwrap();
    aws.world().add_account(HUB);
    let mut config = format!("interval: 1h\ntimeout: 2m\nregions: [{REGION}]\naccounts:\n");
    // By default, the SDK allows for 100 retries that fail.
    for number in 0..130 {
        let account = format!("100000000{number:03}");
        aws.world().add_role(&account, ROLE, None);
        let role = format!("arn:aws:iam::{account}:role/{ROLE}");
        let entry = format!("  - {{profile: hub, assume_roles: [{{arn: '{role}'}}]}}\n");
        config += &entry;
    }
    aws.world().set_faults(vec![FaultRule::new(Fault::Throttle).operation("AssumeRole")]);
    let exporter = Exporter::start_ready(&aws, &config).await;
    assert_eq!(exporter.scrape().await.sum("ssm_sync_exporter_target_consecutive_failures"), 130.0);
    assert_eq!(aws.world().calls("AssumeRole"), 130 * 3);
}
