//! Tests that an outage of AWS adds only a few log lines, however many targets it affects.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fake_aws::{FakeAws, World};
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::exporter::{HUB, ROLE, Scrape, aws_settings};
use crate::process::{ExporterProcess, program};

const REGIONS: &str = "eu-west-1, eu-central-1";

/// The targets of [`config_with_roles`].
const TARGETS: usize = 300;

/// Writes a configuration with a role in each of 150 accounts, which the profile `hub` may
/// assume.
fn config_with_roles(aws: &FakeAws, directory: &Path) -> PathBuf {
    let mut config =
        format!("interval: 5s\ntimeout: 30s\nconcurrency: 600\nregions: [{REGIONS}]\naccounts:\n");
    for number in 0..TARGETS / 2 {
        let account = format!("{number:012}");
        aws.world().add_role(&account, ROLE, None);
        writeln!(
            config,
            "  - {{profile: hub, assume_roles: [{{arn: 'arn:aws:iam::{account}:role/{ROLE}'}}]}}"
        )
        .unwrap();
    }
    write_config(directory, &(config + &aws_settings(aws, directory)))
}

fn write_config(directory: &Path, config: &str) -> PathBuf {
    let file = directory.join("config.yaml");
    std::fs::write(&file, config).unwrap();
    file
}

fn start(config: &Path) -> ExporterProcess {
    ExporterProcess::start(program().arg("--config.file").arg(config).args(["--log.format", "json"]))
}

async fn wait_until_all_are(running: &ExporterProcess, expected: f64, targets: usize) {
    let all_are = |metrics: &str| {
        let up = Scrape(metrics.to_owned()).values("ssm_sync_exporter_target_up");
        up.len() == targets && up.iter().all(|up| *up == expected)
    };
    running.metrics_when(&format!("{targets} targets with target_up {expected}"), all_are).await;
}

/// The lines of a level in a JSON log.
fn lines(log: &str, level: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["level"] == level).collect()
}

fn messages(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["message"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_aws_and_its_end_are_a_few_lines() {
    // Regression: 1,500 accounts made 3,196 lines within 75 seconds.
    let world = World::new();
    world.add_account(HUB);
    let aws = FakeAws::start(std::sync::Arc::clone(&world), "127.0.0.1:0").await.unwrap();
    let address = aws.url().strip_prefix("http://").unwrap().to_owned();
    let directory = tempfile::tempdir().unwrap();
    let running = start(&config_with_roles(&aws, directory.path()));
    wait_until_all_are(&running, 1.0, TARGETS).await;
    assert_eq!(messages(&lines(&running.log(), "warn")), Vec::<&str>::new());

    drop(aws);
    wait_until_all_are(&running, 0.0, TARGETS).await;
    let warnings = lines(&running.log(), "warn");
    assert_eq!(warnings[0]["message"], "target is failing", "immediately");
    for field in ["account", "region", "reason", "error"] {
        assert!(warnings[0][field].is_string(), "{warnings:?}");
    }

    let aws = FakeAws::start(world, address).await.unwrap();
    wait_until_all_are(&running, 1.0, TARGETS).await;
    let (_, _, log) = running.stop("TERM");
    drop(aws);
    // Connections that were open and new ones may fail in different ways.
    let warnings = lines(&log, "warn");
    assert!(warnings.len() <= 8, "{log}");
    let several = warnings.iter().filter(|line| line["message"] == "targets are failing");
    let targets: u64 = several.map(|line| line["targets"].as_u64().unwrap()).sum();
    assert!((TARGETS as u64 - 8..=TARGETS as u64).contains(&targets), "{log}");
    let info = lines(&log, "info");
    let recovered = messages(&info);
    assert!(recovered.contains(&"target recovered") && recovered.contains(&"all targets recovered"), "{log}");
    assert!(recovered.iter().filter(|message| message.contains("recovered")).count() <= 8, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exporter_that_starts_during_an_outage_logs_a_few_lines() {
    // Half of the profiles have credentials, but nothing listens at the endpoint. The others do
    // not exist.
    const PROFILES: usize = 120;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (credentials, empty) = (directory.path().join("credentials"), directory.path().join("config"));
    std::fs::write(&empty, "").unwrap();
    let (mut profiles, mut accounts) = (String::new(), String::new());
    for number in 0..PROFILES {
        if number % 2 == 0 {
            let key = World::access_key(&format!("{number:012}"));
            writeln!(profiles, "[p{number}]\naws_access_key_id = {key}\naws_secret_access_key = x").unwrap();
        }
        writeln!(accounts, "  - {{id: '{number:012}', profile: p{number}}}").unwrap();
    }
    std::fs::write(&credentials, profiles).unwrap();
    let config = format!(
        "interval: 5s\ntimeout: 30s\nconcurrency: 600\nregions: ['eu-west-?']\naccounts:\n{accounts}aws:\n  \
         endpoint_url: 'http://{closed}'\n  shared_config_file: '{}'\n  shared_credentials_file: '{}'\n",
        empty.display(),
        credentials.display(),
    );
    let running = start(&write_config(directory.path(), &config));
    wait_until_all_are(&running, 0.0, 3 * PROFILES).await;
    let (_, _, log) = running.stop("TERM");
    let warnings = lines(&log, "warn");
    assert!(warnings.len() <= 10, "{} warnings: {log}", warnings.len());
    for message in [
        "target is failing",
        "targets are failing",
        "cannot obtain credentials",
        "cannot obtain credentials from several sources",
        "cannot list the enabled regions of an account",
        "cannot list the enabled regions of accounts",
    ] {
        assert_eq!(messages(&warnings).iter().filter(|logged| **logged == message).count(), 1, "{log}");
    }
}
