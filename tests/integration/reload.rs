//! Another configuration while it runs: what changes, what stays, and what a bad
//! one does.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::json;
use tokio::task::JoinSet;

use crate::exporter::{
    ACCOUNT, Exporter, REGION, ROLE, Scrape, Setup, fake_aws, one_target, put, settings_for, up,
};
use crate::http;
use crate::process::{ExporterProcess, program};

const SUCCESSFUL: &str = "ssm_sync_exporter_config_last_reload_successful";

async fn reloadable(aws: &FakeAws, config: &str) -> Exporter {
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let exporter = Exporter::start_with(aws, config, &setup).await;
    exporter.wait_until_ready().await;
    exporter
}

/// A configuration whose targets are not collected again during a test.
fn rarely() -> String {
    one_target().replace("interval: 1s", "interval: 1h")
}

fn collections(scrape: &Scrape, region: &str) -> String {
    scrape.samples(&format!(
        "ssm_sync_exporter_target_collections_total{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{region}\"}}"
    ))
}

#[tokio::test]
async fn new_targets_start_gone_ones_stop_and_the_others_do_not_notice() {
    let aws = fake_aws().await;
    put(&aws, SyncKind::ToDestination, json!({"SyncName": "inventory", "LastStatus": "Failed"}));
    let exporter = reloadable(&aws, &rarely()).await;
    let before = exporter.scrape().await;
    assert_eq!(exporter.reload(&rarely().replace(REGION, "eu-west-1, us-east-1")).await.body, "reloaded\n");
    let both = exporter.scrape_until(&up(ACCOUNT, "us-east-1", 1)).await;
    for family in ["aws_ssm_resource_data_sync_last_status", "ssm_sync_exporter_target_last_collection"] {
        for line in before.samples(family).lines() {
            assert!(both.has(line), "{line}\n{}", both.0);
        }
    }
    assert_eq!(collections(&both, REGION), collections(&before, REGION));
    assert_eq!(aws.world().calls_of(ACCOUNT, REGION, "ListResourceDataSync"), 2, "once for each type");
    assert_eq!(aws.world().calls("AssumeRole"), 1, "the credentials are the same");

    assert_eq!(exporter.reload(&rarely().replace(REGION, "us-east-1")).await.status, 200);
    exporter.scrape_until("ssm_sync_exporter_targets 1").await;
    let after = exporter.scrape().await;
    assert!(!after.0.contains("aws_region=\"eu-west-1\""), "{}", after.0);
    assert_eq!(collections(&after, "us-east-1"), collections(&both, "us-east-1"));
    assert_eq!(aws.world().calls("AssumeRole"), 1);
}

#[tokio::test]
async fn the_order_of_regions_moves_no_target() {
    // Regression: the first region tells where to ask for credentials, and another one
    // meant that all targets were new.
    let aws = fake_aws().await;
    let two = |regions| rarely().replace(REGION, regions);
    let exporter = reloadable(&aws, &two("eu-west-1, us-east-1")).await;
    for regions in ["us-east-1, eu-west-1", "us-east-2, us-east-1, eu-west-1"] {
        assert_eq!(exporter.reload(&two(regions)).await.status, 200);
    }
    exporter.scrape_until(&up(ACCOUNT, "us-east-2", 1)).await;
    for region in ["eu-west-1", "us-east-1", "us-east-2"] {
        assert_eq!(aws.world().calls_of(ACCOUNT, region, "ListResourceDataSync"), 2, "{region}");
    }
    assert_eq!(aws.world().calls("AssumeRole"), 1);
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_why() {
    let aws = fake_aws().await;
    let exporter = reloadable(&aws, &rarely()).await;
    let before = exporter.scrape().await;
    for (bad, why) in [
        (rarely().replace("1h", "soon"), "config.yaml:1:11: interval: `soon` is not a valid duration"),
        (rarely().replace("timeout", "timeuot"), "unknown key; did you mean `timeout`?"),
        // Found only when all is put together.
        (rarely().replace(REGION, "cn-north-1"), "cn-north-1 is in the partition aws-cn"),
    ] {
        exporter.set_clock(60);
        let refused = exporter.reload(&bad).await;
        assert_eq!(refused.status, 500);
        assert!(refused.body.contains(why), "{}", refused.body);
        assert_eq!(refused.body.lines().count(), 1, "{}", refused.body);
        let after = exporter.scrape().await;
        assert!(after.has(&format!("{SUCCESSFUL} 0")));
        let loaded = "ssm_sync_exporter_config_last_reload_success_timestamp_seconds";
        assert_eq!(after.samples(loaded), before.samples(loaded));
        assert_eq!(collections(&after, REGION), collections(&before, REGION));
    }
    assert_eq!(exporter.reload(&rarely()).await.status, 200);
    let mended = exporter.scrape().await;
    assert!(mended.has(&format!("{SUCCESSFUL} 1")));
    assert_eq!(
        mended.values("ssm_sync_exporter_config_last_reload_success_timestamp_seconds"),
        [(crate::exporter::NOW + 60) as f64]
    );
}

#[tokio::test]
async fn what_is_shown_follows_at_once() {
    let aws = fake_aws().await;
    put(&aws, SyncKind::ToDestination, json!({"SyncName": "inventory", "LastStatus": "Failed"}));
    let exporter = reloadable(&aws, &rarely()).await;
    let quota = |number: u32| {
        format!(
            "aws_ssm_resource_data_sync_quota{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\",\
             sync_type=\"SyncToDestination\"}} {number}"
        )
    };
    assert!(exporter.scrape().await.has(&quota(5)));
    let other = rarely()
        + "quota: {SyncToDestination: 7}\nmetrics: {disable: [aws_ssm_resource_data_sync_last_status]}\n";
    assert_eq!(exporter.reload(&other).await.status, 200);
    let after = exporter.scrape().await;
    assert!(after.has(&quota(7)), "{}", after.0);
    assert_eq!(after.samples("aws_ssm_resource_data_sync_last_status"), "");
    assert_ne!(after.samples("aws_ssm_resource_data_sync_info"), "");
}

#[tokio::test]
async fn how_long_stale_syncs_are_shown_follows_at_once() {
    let aws = fake_aws().await;
    put(&aws, SyncKind::ToDestination, json!({"SyncName": "inventory", "LastStatus": "Failed"}));
    let often = one_target() + "stale_after: 30m\n";
    let exporter = reloadable(&aws, &often).await;
    aws.world().set_faults(vec![FaultRule::new(Fault::Deny)]);
    exporter.scrape_until(&up(ACCOUNT, REGION, 0)).await;
    exporter.set_clock(600);
    assert_ne!(exporter.scrape().await.samples("aws_ssm_resource_data_sync_info"), "");
    assert_eq!(exporter.reload(&often.replace("30m", "5m")).await.status, 200);
    assert_eq!(exporter.scrape().await.samples("aws_ssm_resource_data_sync_info"), "");
    assert_eq!(exporter.reload(&often).await.status, 200);
    assert_ne!(exporter.scrape().await.samples("aws_ssm_resource_data_sync_info"), "");
}

#[tokio::test]
async fn a_target_that_is_reached_in_another_way_is_collected_at_once_and_keeps_its_data() {
    let aws = fake_aws().await;
    aws.world().add_denied_role(ACCOUNT, "Denied");
    put(&aws, SyncKind::ToDestination, json!({"SyncName": "inventory", "LastStatus": "Failed"}));
    let exporter = reloadable(&aws, &rarely()).await;
    assert_eq!(exporter.reload(&rarely().replace(ROLE, "Denied")).await.status, 200);
    let denied = exporter.scrape_until(&up(ACCOUNT, REGION, 0)).await;
    assert_ne!(denied.samples("aws_ssm_resource_data_sync_info"), "", "its last good syncs stay");
    assert_eq!(denied.values("ssm_sync_exporter_target_collections_total"), [2.0]);
    assert_eq!(exporter.reload(&rarely()).await.status, 200);
    exporter.scrape_until(&up(ACCOUNT, REGION, 1)).await;
}

#[tokio::test]
async fn nobody_reloads_over_http_unless_that_is_enabled() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &rarely()).await;
    let refused = exporter.reload(&rarely()).await;
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (403, "reloading over HTTP is not enabled; start with --web.enable-lifecycle, or send SIGHUP\n")
    );
    let get = exporter.get("/-/reload").await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
}

#[tokio::test]
async fn many_who_ask_at_once_are_all_answered() {
    let aws = fake_aws().await;
    let exporter = reloadable(&aws, &rarely()).await;
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        asking.spawn(http::request(exporter.address, "POST", "/-/reload"));
    }
    for answer in asking.join_all().await {
        assert_eq!((answer.status, answer.body.as_str()), (200, "reloaded\n"));
    }
    assert_eq!(aws.world().calls("AssumeRole"), 1);
    assert_eq!(exporter.scrape().await.values("ssm_sync_exporter_target_collections_total"), [1.0]);
}

/// The program with a configuration of one target.
fn running(aws: &FakeAws, directory: &std::path::Path) -> (ExporterProcess, std::path::PathBuf) {
    let file = directory.join("config.yaml");
    std::fs::write(&file, format!("{}{}", rarely(), settings_for(aws, directory))).unwrap();
    (ExporterProcess::start(program().arg("--config.file").arg(&file)), file)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_reloads_and_is_logged() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let (running, file) = running(&aws, directory.path());
    running.metrics_containing(&up(ACCOUNT, REGION, 1)).await;
    let good = std::fs::read_to_string(&file).unwrap();

    std::fs::write(&file, good.replace(REGION, "us-east-1")).unwrap();
    running.send_signal("HUP");
    running.metrics_containing(&up(ACCOUNT, "us-east-1", 1)).await;
    std::fs::write(&file, "interval: soon\n").unwrap();
    running.send_signal("HUP");
    running.metrics_containing(&format!("{SUCCESSFUL} 0")).await;
    std::fs::write(&file, good).unwrap();
    running.send_signal("HUP");
    running.metrics_containing(&up(ACCOUNT, REGION, 1)).await;

    std::fs::remove_file(&file).unwrap();
    running.send_signal("HUP");
    running.metrics_containing(&format!("{SUCCESSFUL} 0")).await;
    let (status, _, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0));
    let said = |what: &str| log.lines().filter(|line| line.contains(what)).collect::<Vec<_>>();
    assert_eq!(said("configuration reloaded").len(), 2, "{log}");
    let refused = said("configuration reload failed");
    assert_eq!(refused.len(), 2, "{log}");
    assert!(refused[0].contains("config.yaml:1:11: interval: `soon`"), "{log}");
    assert!(refused[1].contains("No such file or directory"), "{log}");
    assert!(log.contains("level=info message=\"collection summary\" targets=1 up=1 down=0"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_read_to_its_end_holds_up_nothing() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let (running, file) = running(&aws, directory.path());
    running.metrics_containing(&up(ACCOUNT, REGION, 1)).await;
    // Nobody will ever write into it.
    std::fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    running.send_signal("HUP");
    running.send_signal("HUP");
    assert_eq!(http::request(running.address, "GET", "/metrics").await.status, 200);
    let (status, took, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(8) && !log.contains("shutdown timed out"), "{took:?} {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_is_told() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, format!("{}{}", rarely(), settings_for(&aws, directory.path()))).unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).expect("it is told within half a minute");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    // Signs of life come in between.
    let told_but_of_life = || loop {
        let told = told();
        if told != "WATCHDOG=1\n" {
            return told;
        }
    };
    let running = ExporterProcess::start(
        program()
            .arg("--config.file")
            .arg(&file)
            .envs([("NOTIFY_SOCKET", path.as_os_str()), ("WATCHDOG_USEC", "4000000".as_ref())]),
    );
    assert_eq!(told_but_of_life(), "READY=1\n");
    assert_eq!([told(), told()], ["WATCHDOG=1\n", "WATCHDOG=1\n"]);
    running.send_signal("HUP");
    let reloading = told_but_of_life();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(told_but_of_life(), "READY=1\n");
    let (status, _, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(told_but_of_life(), "STOPPING=1\n");
}
