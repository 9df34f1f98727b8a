//! The health of syncs as the configuration says: limits and rules, at the moment a verdict changes,
//! and after a reload.

use fake_aws::{FakeAws, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::exporter::{
    ACCOUNT, Exporter, NOW, REGION, ROLE, Scrape, Setup, fake_aws, fake_organization, one_target, put_sync,
    up,
};

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

/// A fake AWS with an organization, whose member is in the inner of two units and has a sync.
async fn organization_with_units() -> FakeAws {
    let aws = fake_organization().await;
    let world = aws.world();
    for (unit, parent) in [
        ("ou-fake-00000001", "r-fake"),
        ("ou-fake-00000002", "ou-fake-00000001"),
        ("ou-fake-00000003", "r-fake"),
    ] {
        world.add_unit(unit, parent);
    }
    world.add_member(ACCOUNT, "production", "ou-fake-00000002");
    let item = json!({"SyncName": "inventory", "LastStatus": "Successful", "LastSuccessfulSyncTime": NOW - 5 * HOUR});
    put_sync(&aws, SyncKind::ToDestination, item);
    aws
}

/// The configuration of an organization that is listed every second, whose targets are collected
/// only once. A sync of an account in `unit` is stale after four hours.
fn organization_config(unit: &str) -> String {
    format!(
        "interval: 1h\nregions: [{REGION}]\norganization:\n  profile: hub\n  member_role: \
         'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n  refresh_interval: 1s\nhealth:\n  rules: \
         [{{organizational_units: [{unit}], max_success_age: 4h}}]\n"
    )
}

async fn wait_for_problems(exporter: &Exporter, expected: &[(String, String)]) {
    let has_problems = async || (problems(&exporter.scrape().await) == expected).then_some(());
    exporter.wait_for(&format!("{expected:?}"), has_problems).await;
}

#[tokio::test]
async fn rules_follow_accounts_from_unit_to_unit_without_a_collection() {
    for reports_paths in [true, false] {
        let aws = organization_with_units().await;
        let world = aws.world();
        world.set_reports_paths(reports_paths);
        let setup = Setup { lifecycle: true, ..Setup::default() };
        let exporter = Exporter::start_with(&aws, &organization_config("ou-fake-00000001"), &setup).await;
        exporter.wait_until_ready().await;
        let stale = [problem("stale", "inventory")];
        wait_for_problems(&exporter, &stale).await;
        world.add_member(ACCOUNT, "production", "ou-fake-00000003");
        wait_for_problems(&exporter, &[]).await;
        // The rule names the other unit.
        assert_eq!(exporter.reload(&organization_config("ou-fake-00000003")).await.status, 200);
        wait_for_problems(&exporter, &stale).await;
        assert_eq!(world.calls_of(ACCOUNT, REGION, "ListResourceDataSync"), 2, "one for each sync type");
        let walks = world.calls("ListAccountsForParent");
        assert_eq!(walks == 0, reports_paths, "{walks}");
    }
}

#[tokio::test]
async fn a_rule_with_a_unit_that_does_not_exist_costs_no_accounts() {
    let aws = organization_with_units().await;
    aws.world().set_reports_paths(false);
    let exporter = Exporter::start_ready(&aws, &organization_config("ou-fake-00000009")).await;
    exporter.scrape_until(&up(ACCOUNT, REGION, 1)).await;
    exporter.scrape_until("ssm_sync_exporter_discovery_failing_lookups{kind=\"organization\"} 1").await;
    assert_eq!(problems(&exporter.scrape().await), []);
    let page = exporter.get("/").await.body;
    assert!(page.contains("Cannot list the organizational units of the configuration"), "{page}");
    assert!(page.contains("ou-fake-00000009"), "{page}");
    // The lookup is repeated.
    aws.world().add_unit("ou-fake-00000009", "r-fake");
    aws.world().add_member(ACCOUNT, "production", "ou-fake-00000009");
    wait_for_problems(&exporter, &[problem("stale", "inventory")]).await;
    exporter.scrape_until("ssm_sync_exporter_discovery_failing_lookups{kind=\"organization\"} 0").await;
}
