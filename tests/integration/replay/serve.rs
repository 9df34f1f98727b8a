//! The daemon and `doctor` with a recording.

use std::path::Path;
use std::process::Command;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{ACCOUNT, Handmade, NOW};
use crate::http;
use crate::process::{ExporterProcess, program, run, run_check};

/// The command `serve` with a recording and a configuration file.
fn serve(recording: &Path, config: &Path) -> Command {
    let mut serve = program();
    serve
        .args(["serve", "--web.enable-lifecycle", "--replay"])
        .arg(recording)
        .arg("--config.file")
        .arg(config);
    serve
}

/// The syncs of the recordings of this test: one that succeeded an hour before.
fn items() -> Value {
    json!([{"SyncName": "inventory", "LastStatus": "Successful", "LastSuccessfulSyncTime": NOW - 3600}])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_serves_a_recording_at_its_time_and_reloads() {
    let recording = Handmade::with_items(&items());
    let config = recording.directory.path().join("config.yaml");
    std::fs::write(&config, "interval: 1s\nregions: [us-east-1]\n").unwrap();
    let exporter = ExporterProcess::start(&mut serve(&recording.file(), &config));
    let labels = format!("aws_account_id=\"{ACCOUNT}\",aws_region=\"eu-west-1\"");
    // The second round has the same answers.
    let metrics = exporter
        .metrics_when("several collections", |metrics| {
            let counter = format!("ssm_sync_exporter_target_collections_total{{{labels}}} ");
            let collections = metrics.lines().find_map(|line| line.strip_prefix(&counter));
            collections.is_some_and(|collections| collections.parse::<f64>().unwrap() >= 3.0)
        })
        .await;
    let sync = format!("{{{labels},sync_type=\"SyncToDestination\",sync_name=\"inventory\"}}");
    for line in [
        format!("ssm_sync_exporter_target_up{{{labels}}} 1"),
        format!("aws_ssm_resource_data_sync_last_successful_sync_age_seconds{sync} 3600"),
        format!("ssm_sync_exporter_target_last_success_timestamp_seconds{{{labels}}} {NOW}"),
        format!("ssm_sync_exporter_config_last_reload_success_timestamp_seconds {NOW}"),
    ] {
        let normalized = |text: &str| text.replace("1.7638e+09", &NOW.to_string());
        assert!(metrics.lines().any(|found| normalized(found) == line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("us-east-1"), "the recording says what is polled: {metrics}");

    let document = http::request(exporter.address, "GET", "/api/v1/status").await.body;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["generated_at"], "2025-11-22T08:26:40Z");
    assert_eq!(document["targets"][0]["syncs"][0]["health"], "healthy");
    let sync_page = format!("/sync?account={ACCOUNT}&region=eu-west-1&type=SyncToDestination&name=inventory");
    for path in ["/", &sync_page] {
        let page = http::request(exporter.address, "GET", path).await.body;
        assert!(page.contains("<title>Replay · "), "{path}: {page}");
        let notice = "<strong>Replay of a recording</strong> of \
                      <time datetime=\"2025-11-22T08:26:40Z\">2025-11-22 08:26:40 UTC</time>: nothing is sent to AWS";
        assert!(page.contains(notice), "{path}: {page}");
    }

    // A reload reads the configuration file again. The recording is not read again.
    std::fs::write(recording.file(), "replaced").unwrap();
    std::fs::write(&config, "interval: 1s\nhealth: {max_success_age: 30m}\naccounts: nonsense\n").unwrap();
    let reloaded = http::request(exporter.address, "POST", "/-/reload").await;
    assert_eq!(reloaded.status, 200, "{}", reloaded.body);
    let stale = "sync_type=\"SyncToDestination\",health=\"stale\",managed_by=\"customer\"} 1";
    exporter.metrics_containing(stale).await;
    // SIGHUP does the same.
    std::fs::write(&config, "interval: 1s\n").unwrap();
    exporter.send_signal("HUP");
    exporter.metrics_containing(&stale.replace("stale", "healthy")).await;

    let (status, _, log) = exporter.stop("TERM");
    assert_eq!(status.code(), Some(0));
    for text in [
        "replaying a recording, nothing is sent to AWS",
        "recorded_at=2025-11-22T08:26:40Z",
        "`regions` of ",
        "`accounts` of ",
        "is ignored: the recording says what is polled",
    ] {
        assert!(log.contains(text), "{text}: {log}");
    }
}

#[test]
fn a_key_of_the_file_replaces_that_of_the_recording_except_what_is_polled() {
    let mut recording = Handmade::with_items(&items());
    let configuration = json!({
        "regions": ["eu-west-1"], "timeout": "20s", "quota": {"SyncFromSource": 2},
        "health": {"max_success_age": "30m", "rules": [{"sync_names": ["inventory"], "max_success_age": "10m"}]},
        "expectations": [{"name": "recorded", "request": {"SyncName": "missing", "SyncType": "SyncFromSource"}}],
    });
    recording.lines[0] = super::header(&configuration).to_string();
    let file = recording.file();
    let config = recording.directory.path().join("config.yaml");
    let document = |config_text: Option<&str>, environment: &[(&str, &str)]| -> (Value, String) {
        let mut once = program();
        once.args(["once", "--format", "json", "--replay"]).arg(&file).envs(environment.iter().copied());
        if let Some(text) = config_text {
            std::fs::write(&config, text).unwrap();
            once.arg("--config.file").arg(&config);
        }
        let (status, out, err) = run(&mut once);
        assert_eq!(status, Some(0), "{err}");
        (serde_json::from_str(&out).unwrap(), err)
    };
    let max_success_age =
        |document: &Value| document["targets"][0]["syncs"][0]["max_success_age_seconds"].clone();

    let (recorded, log) = document(None, &[]);
    assert_eq!(
        (max_success_age(&recorded), &recorded["targets"][0]["health"]),
        (json!(600), &json!("stale"))
    );
    assert_eq!(recorded["targets"][0]["expectations"][0]["name"], "recorded", "{recorded:#}");
    assert!(!log.contains("is ignored"), "{log}");
    // The rules are part of the key `health`.
    let (replaced, log) =
        document(Some("health: {max_success_age: 2h}\ntimeout: 1ms\naws: {endpoint_url: nonsense}\n"), &[]);
    assert_eq!(
        (max_success_age(&replaced), &replaced["targets"][0]["health"]),
        (json!(7200), &json!("healthy"))
    );
    assert_eq!(replaced["targets"][0]["expectations"][0]["name"], "recorded");
    assert_eq!(log.matches("is ignored: the recording says what is polled").count(), 2, "{log}");
    let (replaced, log) = document(
        None,
        &[
            ("SSM_SYNC_EXPORTER_HEALTH__MAX_RUN_TIME", "1h"),
            ("SSM_SYNC_EXPORTER_REGIONS", "[us-east-1]"),
            ("SSM_SYNC_EXPORTER_AWS__STS_REGION", "nonsense"),
        ],
    );
    // A variable adds to the recording as to a file.
    let sync = &replaced["targets"][0]["syncs"][0];
    assert_eq!(
        (&sync["max_success_age_seconds"], &sync["max_run_time_seconds"]),
        (&json!(600), &json!(3600))
    );
    assert!(log.contains("the environment variable SSM_SYNC_EXPORTER_REGIONS is ignored"), "{log}");
    assert!(log.contains("the environment variable SSM_SYNC_EXPORTER_AWS__STS_REGION is ignored"), "{log}");

    // The place of an error is that of the setting.
    for (text, place) in [("health: {max_success_age: x}\n", &config), ("interval: 5m\n", &file)] {
        std::fs::write(&config, text).unwrap();
        let mut once = program();
        once.args(["once", "--replay"]).arg(&file).arg("--config.file").arg(&config);
        if place == &file {
            let configuration = json!({"regions": ["eu-west-1"], "health": {"max_success_age": "x"}});
            let mut recording = Handmade::with_items(&items());
            recording.lines[0] = super::header(&configuration).to_string();
            std::fs::write(&file, recording.lines.join("\n")).unwrap();
        }
        let (status, _, err) = run(&mut once);
        assert_eq!(status, Some(2), "{err}");
        assert!(err.starts_with(&format!("ssm-sync-exporter: {}:1:", place.display())), "{err}");
    }
}

#[test]
fn a_recording_can_be_checked_and_diagnosed() {
    let recording = Handmade::with_items(&items());
    let file = recording.file();
    let mut check = program();
    check.args(["--config.check", "--replay"]).arg(&file);
    assert_eq!(run_check(&mut check), (Some(0), "the configuration is valid\n".to_owned(), String::new()));
    let mut doctor = program();
    doctor.args(["doctor", "--format", "json", "--replay"]).arg(&file);
    let (status, out, err) = run(&mut doctor);
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("ssm.eu-west-1.amazonaws.com:443"), "the recorded endpoint: {out}");
}

#[test]
fn flags_that_contradict_a_recording_are_rejected() {
    let recording = Handmade::of_one_target();
    for flags in [
        ["--record", "x"].as_slice(),
        &["--shard.total", "2", "--shard.index", "0"],
        &["--shard.total", "2", "--shard.from-hostname"],
    ] {
        let mut once = program();
        once.arg("once").args(flags).arg("--replay").arg(recording.file());
        let (status, _, err) = run(&mut once);
        assert_eq!(status, Some(2), "{err}");
        assert!(err.contains("cannot be used with") && err.lines().count() == 1, "{err}");
    }
    // A replay would have the targets of another shard.
    let mut record = program();
    record.args(["once", "--record", "x", "--shard.total", "2", "--shard.index", "0"]);
    let (status, _, err) = run(&mut record);
    assert_eq!(status, Some(2), "{err}");
    assert!(
        err.starts_with("ssm-sync-exporter: --record of one of several shards requires --record.raw"),
        "{err}"
    );
}
