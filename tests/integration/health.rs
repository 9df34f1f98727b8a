//! The health of syncs as the configuration says: limits and rules, at the moment a verdict changes,
//! and after a reload.

use fake_aws::SyncKind;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::exporter::{Exporter, NOW, Scrape, Setup, fake_aws, one_target, put_sync};

const HOUR: u64 = 3600;

/// The configuration of a single target that is collected only once during a test.
fn config(health: &str) -> String {
    format!("{}{health}", one_target().replace("interval: 1s", "interval: 1h"))
}

/// The problem and the name of each sync with a problem.
fn problems(scrape: &Scrape) -> Vec<(String, String)> {
    let label = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let samples = scrape.samples("aws_ssm_resource_data_sync_problem{");
    samples.lines().map(|line| (label(line, ",problem"), label(line, "sync_name"))).collect()
}

fn problem(problem: &str, name: &str) -> (String, String) {
    (problem.to_owned(), name.to_owned())
}

#[tokio::test]
async fn a_verdict_names_account_bucket_cause_and_owner() {
    let aws = fake_aws().await;
    let item = json!({
        "SyncName": "inventory", "LastStatus": "Failed", "LastSyncStatusMessage": "Access Denied (KMS)",
        "S3Destination": {"BucketName": "org-inventory", "SyncFormat": "JsonSerDe", "Region": "eu-west-1"},
    });
    put_sync(&aws, SyncKind::ToDestination, item);
    let faulty = json!({
        "SyncName": "AWS-QuickSetup-explorer", "SyncType": "SyncFromSource",
        "SyncSource": {
            "SourceType": "AwsOrganizations", "SourceRegions": ["eu-west-1"], "IncludeFutureRegions": true,
            "EnableAllOpsDataSources": true, "State": "NoPermissions",
        },
    });
    put_sync(&aws, SyncKind::FromSource, faulty);
    let exporter = Exporter::start_ready(&aws, &config("")).await;
    let scrape = exporter.scrape().await;
    let target = r#"aws_account_id="111122223333",aws_region="eu-west-1""#;
    let source_sync = format!(r#"{target},sync_type="SyncFromSource",sync_name="AWS-QuickSetup-explorer""#);
    assert_eq!(
        scrape.samples("aws_ssm_resource_data_sync_problem{"),
        format!(
            "aws_ssm_resource_data_sync_problem{{{target},sync_type=\"SyncToDestination\",sync_name=\"inventory\",\
             problem=\"failed\",cause=\"kms_key\",account_name=\"production\",bucket_name=\"org-inventory\",\
             managed_by=\"customer\"}} 1\n\
             aws_ssm_resource_data_sync_problem{{{source_sync},problem=\"source_fault\",cause=\"NoPermissions\",\
             account_name=\"production\",managed_by=\"quick_setup\"}} 1\n"
        )
    );
    assert_eq!(
        scrape.samples("aws_ssm_resource_data_syncs_by_health{"),
        format!(
            "aws_ssm_resource_data_syncs_by_health{{{target},sync_type=\"SyncToDestination\",health=\"failed\",\
             managed_by=\"customer\"}} 1\n\
             aws_ssm_resource_data_syncs_by_health{{{target},sync_type=\"SyncFromSource\",health=\"source_fault\",\
             managed_by=\"quick_setup\"}} 1\n"
        )
    );
    assert_eq!(
        scrape.samples("ssm_sync_exporter_target_health{"),
        format!("ssm_sync_exporter_target_health{{{target},account_name=\"production\"}} 5\n")
    );
    assert_eq!(
        scrape.samples("aws_ssm_resource_data_sync_cost_risk{"),
        format!(
            "aws_ssm_resource_data_sync_cost_risk{{{source_sync},setting=\"all_ops_data_sources\",account_name=\"production\"}} 1\n\
             aws_ssm_resource_data_sync_cost_risk{{{source_sync},setting=\"future_regions\",account_name=\"production\"}} 1\n"
        )
    );
    assert_eq!(
        scrape.samples("aws_ssm_resource_data_sync_quota"),
        "aws_ssm_resource_data_sync_quota{sync_type=\"SyncFromSource\"} 5\n\
         aws_ssm_resource_data_sync_quota{sync_type=\"SyncToDestination\"} 5\n"
    );
}

#[tokio::test]
async fn rules_decide_and_verdicts_change_with_time_without_a_collection() {
    let aws = fake_aws().await;
    for name in ["daily", "hourly-a", "license-manager-b"] {
        let item = json!({
            "SyncName": name, "LastStatus": "Successful", "LastSyncTime": NOW - HOUR, "LastSuccessfulSyncTime": NOW - HOUR,
        });
        put_sync(&aws, SyncKind::ToDestination, item);
    }
    let running = json!({"SyncName": "running", "LastStatus": "InProgress", "LastSyncTime": NOW - HOUR});
    put_sync(&aws, SyncKind::ToDestination, running);
    let health = "health:\n  max_run_time: 3h\n  rules:\n    - {sync_names: [hourly-*], regions: [eu-*], max_success_age: 2h}\n    \
                  - {managed_by: [license_manager], accounts: [prod*], max_success_age: 30d}\n";
    let exporter = Exporter::start_ready(&aws, &config(health)).await;
    let scrape = exporter.scrape().await;
    assert_eq!(
        scrape.values("aws_ssm_resource_data_sync_max_success_age_seconds"),
        [48 * HOUR, 2 * HOUR, 720 * HOUR, 48 * HOUR].map(|seconds| seconds as f64)
    );
    for (after, expected) in [
        (HOUR, vec![]),
        (HOUR + 1, vec![problem("stale", "hourly-a")]),
        (2 * HOUR, vec![problem("stale", "hourly-a")]),
        (2 * HOUR + 1, vec![problem("stale", "hourly-a"), problem("stuck", "running")]),
        (
            47 * HOUR + 1,
            vec![problem("stale", "daily"), problem("stale", "hourly-a"), problem("stuck", "running")],
        ),
    ] {
        exporter.set_clock(after);
        assert_eq!(problems(&exporter.scrape().await), expected, "{after}");
    }
    let calls = aws.world().calls("ListResourceDataSync");
    assert_eq!(calls, 2, "one for each sync type");
}

#[tokio::test]
async fn a_reload_applies_new_limits_without_calls_to_aws() {
    let aws = fake_aws().await;
    let item = json!({"SyncName": "inventory", "LastStatus": "Successful", "LastSuccessfulSyncTime": NOW - 5 * HOUR});
    put_sync(&aws, SyncKind::ToDestination, item);
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let exporter = Exporter::start_with(&aws, &config(""), &setup).await;
    exporter.wait_until_ready().await;
    assert_eq!(problems(&exporter.scrape().await), []);
    let strict = config("health: {max_success_age: 4h}\nmetrics: {sparse_states: true}\n");
    assert_eq!(exporter.reload(&strict).await.status, 200);
    let scrape = exporter.scrape().await;
    assert_eq!(problems(&scrape), [problem("stale", "inventory")]);
    assert_eq!(scrape.values("aws_ssm_resource_data_sync_last_status"), [1.0]);
    assert_eq!(exporter.reload(&config("")).await.status, 200);
    let scrape = exporter.scrape().await;
    assert_eq!(problems(&scrape), []);
    assert_eq!(scrape.values("aws_ssm_resource_data_sync_last_status"), [1.0, 0.0, 0.0]);
    assert_eq!(aws.world().calls("ListResourceDataSync"), 2, "one for each sync type");
}
