//! Tests of where credentials and the default region come from.

use std::time::Duration;

use fake_aws::{SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::exporter::{ACCOUNT, HUB, fake_aws, up};
use crate::process::{ExporterProcess, program, with_ambient_credentials};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_configuration_the_ambient_account_is_polled_in_its_default_region() {
    let aws = fake_aws().await;
    aws.world().put_item(
        HUB,
        "eu-north-1",
        SyncKind::ToDestination,
        json!({"SyncName": "ours", "LastStatus": "Failed"}),
    );
    let mut command = program();
    let running =
        ExporterProcess::start(with_ambient_credentials(&mut command, &aws).env("AWS_REGION", "eu-north-1"));
    let labels = format!("aws_account_id=\"{HUB}\",aws_region=\"eu-north-1\"");
    let metrics = running.metrics_containing(&format!("ssm_sync_exporter_target_up{{{labels}}} 1")).await;
    assert!(metrics.contains(&format!(
        "aws_ssm_resource_data_sync_last_status{{{labels},sync_type=\"SyncToDestination\",sync_name=\"ours\",status=\"Failed\"}} 1"
    )));
    let (status, took, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(10));
    for line in log.lines() {
        assert!(line.starts_with("ts=") && line.contains(" level=info "), "{line}");
    }
    assert!(log.contains("signal=SIGTERM"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_profile_sets_account_and_region() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let text = format!(
        "[profile dev]\nregion = ap-south-1\naws_access_key_id = {}\naws_secret_access_key = x\n",
        World::access_key(HUB)
    );
    std::fs::write(&file, text).unwrap();
    let mut command = program();
    command.env("AWS_CONFIG_FILE", &file).env("AWS_PROFILE", "dev").env("AWS_ENDPOINT_URL", aws.url());
    let running = ExporterProcess::start(&mut command);
    running.metrics_containing(&up(HUB, "ap-south-1", 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_profile_overrides_credentials_in_the_environment() {
    // The SDK's default chain uses the environment first, which would report the syncs of the wrong
    // account.
    let aws = fake_aws().await;
    aws.world().add_account(ACCOUNT);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    let text = format!(
        "[other]\nregion = eu-west-3\naws_access_key_id = {}\naws_secret_access_key = x\n",
        World::access_key(ACCOUNT)
    );
    std::fs::write(&file, text).unwrap();
    let mut command = program();
    with_ambient_credentials(&mut command, &aws)
        .env("AWS_SHARED_CREDENTIALS_FILE", &file)
        .env("AWS_REGION", "eu-north-1")
        .env("SSM_SYNC_EXPORTER_ACCOUNTS", "[{profile: other}]");
    let running = ExporterProcess::start(&mut command);
    running.metrics_containing(&up(ACCOUNT, "eu-west-3", 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_that_is_fixed_later_is_used() {
    // The SDK's own provider would read the file only once.
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    std::fs::write(&file, "").unwrap();
    let mut command = program();
    command
        .env("AWS_SHARED_CREDENTIALS_FILE", &file)
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("SSM_SYNC_EXPORTER_INTERVAL", "1s")
        .env("SSM_SYNC_EXPORTER_ACCOUNTS", "[{profile: late, regions: [eu-west-1]}]");
    let running = ExporterProcess::start(&mut command);
    running.metrics_containing("reason=\"credentials\"").await;
    let text = format!("[late]\naws_access_key_id = {}\naws_secret_access_key = x\n", World::access_key(HUB));
    std::fs::write(&file, text).unwrap();
    running.metrics_containing(&up(HUB, "eu-west-1", 1)).await;
}
