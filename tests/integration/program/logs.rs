//! Tests of the log: a failure is logged once or a few times, and secrets never are.

use std::path::{Path, PathBuf};

use fake_aws::{FakeAws, Fault, FaultRule, World};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::exporter::{ACCOUNT, HUB, REGION, ROLE, Scrape, aws_settings, fake_aws, up};
use crate::process::{ExporterProcess, program};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_the_exporter_runs_and_reports_it() {
    let mut command = program();
    let running =
        ExporterProcess::start(command.env("AWS_REGION", REGION).args(["serve", "--log.format", "json"]));
    let metrics = running.metrics_containing("reason=\"credentials\"").await;
    assert!(
        metrics
            .contains("ssm_sync_exporter_target_up{aws_account_id=\"unknown\",aws_region=\"eu-west-1\"} 0")
    );
    let (status, _, log) = running.stop("INT");
    assert_eq!(status.code(), Some(0), "{log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let warnings: Vec<&Value> = lines.iter().filter(|line| line["level"] == "warn").collect();
    assert_eq!(warnings.len(), 1, "one warning, and none from the SDK: {log}");
    assert_eq!(warnings[0]["message"], "cannot obtain credentials");
    assert_eq!(warnings[0]["reason"], "credentials");
    assert_eq!(warnings[0]["source"], "default chain");
}

/// Writes a configuration of four accounts in three regions, with roles that the profile `hub` may
/// assume. Returns its path.
fn config_with_roles(aws: &FakeAws, directory: &Path) -> PathBuf {
    let mut config = "interval: 1s\nregions: [eu-west-1, eu-central-1, us-east-1]\naccounts:\n".to_owned();
    for account in ["100000000001", "100000000002", "100000000003", "100000000004"] {
        aws.world().add_role(account, ROLE, None);
        let role = format!("arn:aws:iam::{account}:role/{ROLE}");
        let entry = format!("  - {{profile: hub, assume_roles: [{{arn: '{role}'}}]}}\n");
        config += &entry;
    }
    let file = directory.join("config.yaml");
    std::fs::write(&file, config + &aws_settings(aws, directory)).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credentials_error_of_many_targets_is_logged_once() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = config_with_roles(&aws, directory.path());
    // AWS does not know the key of the hub, so no role can be assumed.
    let credentials = directory.path().join("credentials");
    let text = std::fs::read_to_string(&credentials).unwrap();
    std::fs::write(&credentials, text.replace(&World::access_key(HUB), "AKIAUNKNOWN")).unwrap();
    let running =
        ExporterProcess::start(program().arg("--config.file").arg(&file).args(["--log.format", "json"]));
    // Wait until every target has failed twice.
    let all_fail = |metrics: &str| {
        let failures = Scrape(metrics.to_owned()).values("ssm_sync_exporter_target_consecutive_failures");
        failures.len() == 4 * 3 && failures.iter().all(|failures| *failures >= 2.0)
    };
    let metrics = running.metrics_when("failures of all targets", all_fail).await;
    let is_reason = |line: &&str| line.starts_with("ssm_sync_exporter_target_down_reason{");
    let reasons: Vec<&str> = metrics.lines().filter(is_reason).collect();
    assert_eq!(reasons.len(), 4 * 3, "{metrics}");
    assert!(reasons.iter().all(|line| line.contains("reason=\"credentials\"")), "{reasons:?}");
    let (_, _, log) = running.stop("TERM");
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("\"level\":\"warn\"")).collect();
    assert_eq!(warnings.len(), 1, "one warning for one access key: {log}");
    assert!(warnings[0].contains("cannot obtain credentials"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_is_denied_to_all_accounts_is_logged_twice() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = config_with_roles(&aws, directory.path());
    let rule = FaultRule::new(Fault::DenyByScp).region("eu-central-1").operation("ListResourceDataSync");
    aws.world().set_faults(vec![rule]);
    let running =
        ExporterProcess::start(program().arg("--config.file").arg(&file).args(["--log.format", "json"]));
    let is_denied = |line: &&str| {
        line.starts_with("ssm_sync_exporter_target_down_reason{") && line.contains("reason=\"scp_denied\"")
    };
    let all_are_denied = |metrics: &str| metrics.lines().filter(is_denied).count() == 4;
    running.metrics_when("denied collections of all accounts", all_are_denied).await;
    let (_, _, log) = running.stop("TERM");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let warnings: Vec<_> = lines
        .iter()
        .filter(|line| line["level"] == "warn")
        .map(|line| (line["message"].as_str().unwrap(), line["region"].clone(), line["targets"].clone()))
        .collect();
    assert_eq!(
        warnings,
        [
            ("region unavailable, polling it rarely", json!("eu-central-1"), Value::Null),
            ("regions unavailable, polling them rarely", Value::Null, json!(4)),
        ],
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_role_is_logged_once_for_all_regions() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = config_with_roles(&aws, directory.path());
    aws.world().add_denied_role("100000000003", ROLE);
    let running =
        ExporterProcess::start(program().arg("--config.file").arg(&file).args(["--log.format", "json"]));
    for region in ["eu-west-1", "eu-central-1", "us-east-1"] {
        running.metrics_containing(&up("100000000003", region, 0)).await;
        running.metrics_containing(&up("100000000004", region, 1)).await;
    }
    aws.world().add_role("100000000003", ROLE, None);
    for region in ["eu-west-1", "eu-central-1", "us-east-1"] {
        running.metrics_containing(&up("100000000003", region, 1)).await;
    }
    let (_, _, log) = running.stop("TERM");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let about_credentials: Vec<&Value> = lines.iter().filter(|line| line["source"] != Value::Null).collect();
    assert_eq!(about_credentials.len(), 2, "logged when it begins and when it ends: {log}");
    assert!(
        about_credentials
            .iter()
            .all(|line| line["source"] == format!("arn:aws:iam::100000000003:role/{ROLE}")),
        "{log}"
    );
    assert_eq!(about_credentials[0]["reason"], "assume_role_denied");
    assert_eq!(about_credentials[1]["message"], "can obtain credentials again");
    assert_eq!(
        lines.iter().filter(|line| line["level"] == "warn").count(),
        1,
        "no further warning per target: {log}"
    );
    assert!(!log.contains("target recovered"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stderr_of_a_credential_process_is_not_logged() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let text = "[default]\nregion = eu-west-1\ncredential_process = /bin/sh -c \"echo vault-token-s.SECRET >&2; exit 1\"\n";
    std::fs::write(&file, text).unwrap();
    let running =
        ExporterProcess::start(program().env("AWS_CONFIG_FILE", &file).args(["--log.level", "debug"]));
    let metrics = running.metrics_containing("reason=\"credentials\"").await;
    let (_, _, log) = running.stop("TERM");
    assert!(log.contains("exited with code"), "{log}");
    assert!(!log.contains("SECRET") && !metrics.contains("SECRET"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_not_in_the_log_or_the_metrics() {
    let aws = fake_aws().await;
    aws.world().add_role("222233334444", ROLE, Some("right-external-id"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    let config = format!(
        "interval: 1s\nregions: [{REGION}]\naccounts:
  - {{profile: hub, assume_roles: [{{arn: 'arn:aws:iam::222233334444:role/{ROLE}', external_id: right-external-id}}]}}
  - {{profile: hub, assume_roles: [{{arn: 'arn:aws:iam::{ACCOUNT}:role/Missing', external_id: wrong-external-id}}]}}
"
    );
    std::fs::write(&file, config + &aws_settings(&aws, directory.path())).unwrap();
    let running =
        ExporterProcess::start(program().arg("--config.file").arg(&file).args(["--log.level", "debug"]));
    let mut metrics = running.metrics_containing("reason=\"assume_role_denied\"").await;
    metrics +=
        &running.metrics_containing("aws_account_id=\"222233334444\",aws_region=\"eu-west-1\"} 1").await;
    let (_, _, log) = running.stop("TERM");
    assert!(log.contains("level=debug"), "{log}");
    // The secret key of the hub, the external ids, and the credentials that the fake AWS issues.
    for secret in ["hub-secret", "external-id", "fake-secret", "fake-token"] {
        assert!(!log.contains(secret), "{secret}: {log}");
        assert!(!metrics.contains(secret), "{secret}: {metrics}");
    }
}
