//! Tests of reloads, over HTTP and by SIGHUP: a new configuration applies to what it changes and
//! leaves the rest alone, and an invalid one changes nothing.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::json;
use tokio::task::JoinSet;

use crate::exporter::{
    ACCOUNT, Exporter, NOW, REGION, ROLE, Scrape, Setup, aws_settings, fake_aws, one_target, put_sync, up,
};
use crate::http;
use crate::process::{ExporterProcess, program, with_ambient_credentials};

const LAST_RELOAD_SUCCESSFUL: &str = "ssm_sync_exporter_config_last_reload_successful";
const LAST_RELOAD_TIME: &str = "ssm_sync_exporter_config_last_reload_success_timestamp_seconds";

/// An exporter with `/-/reload` enabled, after the first collection of every target.
async fn start_reloadable(aws: &FakeAws, config: &str) -> Exporter {
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let exporter = Exporter::start_with(aws, config, &setup).await;
    exporter.wait_until_ready().await;
    exporter
}

/// The configuration of a single target that is collected only once during a test.
fn collected_once() -> String {
    one_target().replace("interval: 1s", "interval: 1h")
}

/// The sample of the number of collections of a target.
fn collections(scrape: &Scrape, region: &str) -> String {
    scrape.samples(&format!(
        "ssm_sync_exporter_target_collections_total{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{region}\"}}"
    ))
}

#[tokio::test]
async fn targets_are_added_and_removed_without_affecting_the_others() {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "inventory", "LastStatus": "Failed"}));
    let exporter = start_reloadable(&aws, &collected_once()).await;
    let before = exporter.scrape().await;
    assert_eq!(
        exporter.reload(&collected_once().replace(REGION, "eu-west-1, us-east-1")).await.body,
        "reloaded\n"
    );
    let with_both = exporter.scrape_until(&up(ACCOUNT, "us-east-1", 1)).await;
    for family in ["aws_ssm_resource_data_sync_last_status", "ssm_sync_exporter_target_last_collection"] {
        for line in before.samples(family).lines() {
            assert!(with_both.has(line), "{line}\n{}", with_both.0);
        }
    }
    assert_eq!(collections(&with_both, REGION), collections(&before, REGION));
    assert_eq!(
        aws.world().calls_of(ACCOUNT, REGION, "ListResourceDataSync"),
        2,
        "one call for each sync type"
    );
    assert_eq!(aws.world().calls("AssumeRole"), 1, "the credentials are reused");

    assert_eq!(exporter.reload(&collected_once().replace(REGION, "us-east-1")).await.status, 200);
    exporter.scrape_until("ssm_sync_exporter_targets 1").await;
    let after = exporter.scrape().await;
    assert!(!after.0.contains("aws_region=\"eu-west-1\""), "{}", after.0);
    assert_eq!(collections(&after, "us-east-1"), collections(&with_both, "us-east-1"));
    assert_eq!(aws.world().calls("AssumeRole"), 1);
}

#[tokio::test]
async fn the_order_of_regions_does_not_affect_targets() {
    // Regression: credentials are requested in the first region, and when that changed, all targets
    // counted as new.
    let aws = fake_aws().await;
    let config = |regions| collected_once().replace(REGION, regions);
    let exporter = start_reloadable(&aws, &config("eu-west-1, us-east-1")).await;
    for regions in ["us-east-1, eu-west-1", "us-east-2, us-east-1, eu-west-1"] {
        assert_eq!(exporter.reload(&config(regions)).await.status, 200);
    }
    exporter.scrape_until(&up(ACCOUNT, "us-east-2", 1)).await;
    for region in ["eu-west-1", "us-east-1", "us-east-2"] {
        assert_eq!(aws.world().calls_of(ACCOUNT, region, "ListResourceDataSync"), 2, "{region}");
    }
    assert_eq!(aws.world().calls("AssumeRole"), 1);
}

#[tokio::test]
async fn an_invalid_file_is_rejected_with_its_error_and_changes_nothing() {
    let aws = fake_aws().await;
    let exporter = start_reloadable(&aws, &collected_once()).await;
    let before = exporter.scrape().await;
    for (invalid, error) in [
        (
            collected_once().replace("1h", "soon"),
            "config.yaml:1:11: interval: `soon` is not a valid duration",
        ),
        (collected_once().replace("timeout", "timeuot"), "unknown key; did you mean `timeout`?"),
        // Detected only after the file has been loaded, when the accounts are resolved.
        (collected_once().replace(REGION, "cn-north-1"), "cn-north-1 is in the partition aws-cn"),
    ] {
        exporter.set_clock(60);
        let rejected = exporter.reload(&invalid).await;
        assert_eq!(rejected.status, 500);
        assert!(rejected.body.contains(error), "{}", rejected.body);
        assert_eq!(rejected.body.lines().count(), 1, "{}", rejected.body);
        let after = exporter.scrape().await;
        assert!(after.has(&format!("{LAST_RELOAD_SUCCESSFUL} 0")));
        assert_eq!(after.samples(LAST_RELOAD_TIME), before.samples(LAST_RELOAD_TIME));
        assert_eq!(collections(&after, REGION), collections(&before, REGION));
    }
    assert_eq!(exporter.reload(&collected_once()).await.status, 200);
    let fixed = exporter.scrape().await;
    assert!(fixed.has(&format!("{LAST_RELOAD_SUCCESSFUL} 1")));
    assert_eq!(fixed.values(LAST_RELOAD_TIME), [(NOW + 60) as f64]);
}

#[tokio::test]
async fn quotas_and_disabled_metrics_apply_immediately() {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "inventory", "LastStatus": "Failed"}));
    let exporter = start_reloadable(&aws, &collected_once()).await;
    let quota =
        |number: u32| format!("aws_ssm_resource_data_sync_quota{{sync_type=\"SyncToDestination\"}} {number}");
    assert!(exporter.scrape().await.has(&quota(5)));
    let changed = collected_once()
        + "quota: {SyncToDestination: 7}\nmetrics: {disable: [aws_ssm_resource_data_sync_last_status]}\n";
    assert_eq!(exporter.reload(&changed).await.status, 200);
    let after = exporter.scrape().await;
    assert!(after.has(&quota(7)), "{}", after.0);
    assert_eq!(after.samples("aws_ssm_resource_data_sync_last_status"), "");
    assert_ne!(after.samples("aws_ssm_resource_data_sync_info"), "");
}

#[tokio::test]
async fn stale_after_applies_immediately() {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "inventory", "LastStatus": "Failed"}));
    let config = one_target() + "stale_after: 30m\n";
    let exporter = start_reloadable(&aws, &config).await;
    aws.world().set_faults(vec![FaultRule::new(Fault::Deny)]);
    exporter.scrape_until(&up(ACCOUNT, REGION, 0)).await;
    exporter.set_clock(600);
    assert_ne!(exporter.scrape().await.samples("aws_ssm_resource_data_sync_info"), "");
    assert_eq!(exporter.reload(&config.replace("30m", "5m")).await.status, 200);
    assert_eq!(exporter.scrape().await.samples("aws_ssm_resource_data_sync_info"), "");
    assert_eq!(exporter.reload(&config).await.status, 200);
    assert_ne!(exporter.scrape().await.samples("aws_ssm_resource_data_sync_info"), "");
}

#[tokio::test]
async fn a_target_with_a_changed_role_is_collected_immediately_and_keeps_its_syncs() {
    let aws = fake_aws().await;
    aws.world().add_denied_role(ACCOUNT, "Denied");
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "inventory", "LastStatus": "Failed"}));
    let exporter = start_reloadable(&aws, &collected_once()).await;
    assert_eq!(exporter.reload(&collected_once().replace(ROLE, "Denied")).await.status, 200);
    let denied = exporter.scrape_until(&up(ACCOUNT, REGION, 0)).await;
    assert_ne!(denied.samples("aws_ssm_resource_data_sync_info"), "", "the last good syncs are kept");
    assert_eq!(denied.values("ssm_sync_exporter_target_collections_total"), [2.0]);
    assert_eq!(exporter.reload(&collected_once()).await.status, 200);
    exporter.scrape_until(&up(ACCOUNT, REGION, 1)).await;
}

#[tokio::test]
async fn reloading_over_http_is_disabled_by_default() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &collected_once()).await;
    let forbidden = exporter.reload(&collected_once()).await;
    assert_eq!(
        (forbidden.status, forbidden.body.as_str()),
        (403, "reloading over HTTP is not enabled; start with --web.enable-lifecycle, or send SIGHUP\n")
    );
    let get = exporter.get("/-/reload").await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
}

#[tokio::test]
async fn concurrent_requests_for_a_reload_are_all_answered() {
    let aws = fake_aws().await;
    let exporter = start_reloadable(&aws, &collected_once()).await;
    let mut requests = JoinSet::new();
    for _ in 0..50 {
        requests.spawn(http::request(exporter.address, "POST", "/-/reload"));
    }
    for response in requests.join_all().await {
        assert_eq!((response.status, response.body.as_str()), (200, "reloaded\n"));
    }
    assert_eq!(aws.world().calls("AssumeRole"), 1);
    assert_eq!(exporter.scrape().await.values("ssm_sync_exporter_target_collections_total"), [1.0]);
}

/// Writes a configuration of one target, and returns its path.
fn write_config(aws: &FakeAws, directory: &Path) -> PathBuf {
    let file = directory.join("config.yaml");
    std::fs::write(&file, format!("{}{}", collected_once(), aws_settings(aws, directory))).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_reloads_and_is_logged() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = write_config(&aws, directory.path());
    let running = ExporterProcess::start(program().arg("--config.file").arg(&file));
    running.metrics_containing(&up(ACCOUNT, REGION, 1)).await;
    let valid = std::fs::read_to_string(&file).unwrap();

    std::fs::write(&file, valid.replace(REGION, "us-east-1")).unwrap();
    running.send_signal("HUP");
    running.metrics_containing(&up(ACCOUNT, "us-east-1", 1)).await;
    std::fs::write(&file, "interval: soon\n").unwrap();
    running.send_signal("HUP");
    running.metrics_containing(&format!("{LAST_RELOAD_SUCCESSFUL} 0")).await;
    std::fs::write(&file, valid).unwrap();
    running.send_signal("HUP");
    running.metrics_containing(&up(ACCOUNT, REGION, 1)).await;

    std::fs::remove_file(&file).unwrap();
    running.send_signal("HUP");
    running.metrics_containing(&format!("{LAST_RELOAD_SUCCESSFUL} 0")).await;
    let (status, _, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0));
    let lines_with = |text: &str| log.lines().filter(|line| line.contains(text)).collect::<Vec<_>>();
    assert_eq!(lines_with("configuration reloaded").len(), 2, "{log}");
    let failed = lines_with("configuration reload failed");
    assert_eq!(failed.len(), 2, "{log}");
    assert!(failed[0].contains("config.yaml:1:11: interval: `soon`"), "{log}");
    assert!(failed[1].contains("No such file or directory"), "{log}");
    assert!(log.contains("level=info message=\"collection summary\" targets=1 up=1 down=0"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_hangs_delays_neither_scrapes_nor_the_shutdown() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, format!("regions: [{REGION}]\n")).unwrap();
    // An instance metadata service that never responds.
    let metadata_service = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", metadata_service.local_addr().unwrap());
    let mut command = program();
    let command = with_ambient_credentials(&mut command, &aws)
        .env_remove("AWS_EC2_METADATA_DISABLED")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        .arg("--config.file")
        .arg(&file);
    let running = ExporterProcess::start(command);
    running.metrics_containing("ssm_sync_exporter_target_up{").await;
    // Without regions, the SDK asks the metadata service for the default region.
    std::fs::write(&file, "").unwrap();
    running.send_signal("HUP");
    let asked = tokio::time::timeout(Duration::from_secs(30), metadata_service.accept()).await;
    let _connection = asked.expect("the metadata service is asked").unwrap();
    running.send_signal("HUP");
    assert_eq!(http::request(running.address, "GET", "/metrics").await.status, 200);
    let (status, took, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(8) && !log.contains("shutdown timed out"), "{took:?} {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_notified_of_startup_liveness_reload_and_shutdown() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = write_config(&aws, directory.path());
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let next_notification = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).expect("a notification within 30 seconds");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    // Watchdog notifications may arrive between the others.
    let next_other_than_watchdog = || loop {
        let notification = next_notification();
        if notification != "WATCHDOG=1\n" {
            return notification;
        }
    };
    let running = ExporterProcess::start(
        program()
            .arg("--config.file")
            .arg(&file)
            .envs([("NOTIFY_SOCKET", path.as_os_str()), ("WATCHDOG_USEC", "4000000".as_ref())]),
    );
    assert_eq!(next_other_than_watchdog(), "READY=1\n");
    assert_eq!([next_notification(), next_notification()], ["WATCHDOG=1\n", "WATCHDOG=1\n"]);
    running.send_signal("HUP");
    let reloading = next_other_than_watchdog();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(next_other_than_watchdog(), "READY=1\n");
    let (status, _, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(next_other_than_watchdog(), "STOPPING=1\n");
}
