//! Tests that AWS responses beyond a limit are rejected as a whole, with the limit in the message,
//! and affect no other target.

use std::time::Duration;

use fake_aws::{Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::exporter::{
    ACCOUNT, Exporter, REGION, ROLE, aws_settings, fake_aws, fake_organization, one_target, up,
};
use crate::process::{ExporterProcess, program};

const OTHER_REGION: &str = "us-east-1";

/// A text longer than any line or page that the tests accept.
fn huge_text() -> String {
    "x".repeat(1_000_000)
}

/// Replaces the responses to an operation by `body`.
fn answer(operation: &str, body: &Value) -> FaultRule {
    raw_answer(operation, body.to_string())
}

fn raw_answer(operation: &str, body: String) -> FaultRule {
    FaultRule::new(Fault::Response { status: 200, body }).operation(operation)
}

/// Waits until the status page contains `text`, and checks that the page is short.
async fn assert_page_shows(exporter: &Exporter, text: &str) {
    let shown = async || {
        let page = exporter.get("/").await.body;
        assert!(page.len() < 200_000, "{} bytes", page.len());
        page.contains(text).then_some(())
    };
    exporter.wait_for(text, shown).await;
}

/// Responds to the list of syncs in one region with `items`. Checks that the target is down with
/// `message`, and that the other region is not affected.
async fn assert_syncs_are_rejected(items: Value, message: &str) {
    let aws = fake_aws().await;
    aws.world().set_default_syncs(SyncKind::ToDestination, vec![json!({"SyncName": "neighbour"})]);
    let body = json!({"ResourceDataSyncItems": items});
    aws.world().set_faults(vec![answer("ListResourceDataSync", &body).region(REGION)]);
    let config = one_target().replace(&format!("[{REGION}]"), &format!("[{REGION}, {OTHER_REGION}]"));
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = exporter.scrape().await;
    assert!(scrape.has(&up(ACCOUNT, REGION, 0)) && scrape.has(&up(ACCOUNT, OTHER_REGION, 1)), "{message}");
    assert!(scrape.0.contains("sync_name=\"neighbour\""));
    assert!(scrape.0.contains("reason=\"invalid_response\""));
    assert!(scrape.0.len() < 100_000, "{} bytes", scrape.0.len());
    assert_page_shows(&exporter, message).await;
}

#[tokio::test]
async fn too_many_syncs_in_a_target_are_rejected() {
    // Regression: 300,000 syncs in one target made an exposition of 295 MB.
    let syncs: Value = (0..20_000).map(|number| json!({"SyncName": format!("sync-{number}")})).collect();
    assert_syncs_are_rejected(syncs, "more than 2000 syncs").await;
}

#[tokio::test]
async fn as_many_syncs_as_the_limit_allows_are_served() {
    let aws = fake_aws().await;
    let syncs = (0..2000).map(|number| json!({"SyncName": format!("sync-{number}")})).collect();
    aws.world().set_default_syncs(SyncKind::ToDestination, syncs);
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    assert_eq!(exporter.scrape().await.sum("aws_ssm_resource_data_syncs"), 2000.0);
}

#[tokio::test]
async fn too_long_texts_and_lists_of_a_sync_are_rejected() {
    for (sync, message) in [
        (json!({"SyncName": huge_text()}), "the name of a sync has more than 2048 characters"),
        (
            json!({"SyncName": "a", "LastSyncStatusMessage": huge_text()}),
            "the status message of a sync has more than 2048 characters",
        ),
        (
            json!({"SyncName": "a", "SyncSource": {"SourceType": "x", "SourceRegions": vec!["eu-west-1"; 100_000]}}),
            "more than 1000 source regions in a sync",
        ),
    ] {
        assert_syncs_are_rejected(json!([sync]), message).await;
    }
}

#[tokio::test]
async fn a_too_long_page_token_is_rejected() {
    let aws = fake_aws().await;
    let body = json!({"ResourceDataSyncItems": [], "NextToken": huge_text()});
    aws.world().set_faults(vec![answer("ListResourceDataSync", &body)]);
    let exporter = Exporter::start_ready(&aws, &one_target().replace("interval: 1s", "interval: 1h")).await;
    assert_page_shows(&exporter, "the page token has more than 2048 characters").await;
    assert_eq!(aws.world().calls("ListResourceDataSync"), 1, "the token is not sent back");
}

/// `number` region names that are well-formed and distinct.
fn made_up_regions(number: usize) -> Vec<String> {
    let letters = || 'a'..='z';
    letters()
        .flat_map(|a| letters().flat_map(move |b| letters().map(move |c| format!("{a}{b}{c}"))))
        .flat_map(|area| (1..=9).map(move |index| format!("{area}-west-{index}")))
        .take(number)
        .collect()
}

#[tokio::test]
async fn a_made_up_list_of_regions_adds_no_targets() {
    let aws = fake_aws().await;
    let regions: Value = made_up_regions(50_000)
        .into_iter()
        .map(|name| json!({"RegionName": name, "RegionOptStatus": "ENABLED"}))
        .collect();
    aws.world().set_faults(vec![answer("ListRegions", &json!({"Regions": regions}))]);
    let exporter = Exporter::start_ready(&aws, &one_target().replace("[eu-west-1]", "['*']")).await;
    let scrape = exporter.scrape().await;
    assert!(scrape.has("ssm_sync_exporter_targets 17"), "the regions that are always enabled");
    assert!(scrape.has("ssm_sync_exporter_discovery_failing_lookups{kind=\"regions\"} 1"));
}

fn organization_config() -> String {
    format!(
        "interval: 1s\nregions: [{REGION}]\norganization:\n  profile: hub\n  member_role: \
         'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n  refresh_interval: 1s\n"
    )
}

/// Checks that the accounts of an organization are kept when it is later listed with `accounts`.
async fn assert_accounts_are_rejected(accounts: Value, message: &str) {
    let aws = fake_organization().await;
    let exporter = Exporter::start_ready(&aws, &organization_config()).await;
    exporter.scrape_until(&up(ACCOUNT, REGION, 1)).await;
    aws.world().set_faults(vec![answer("ListAccounts", &json!({"Accounts": accounts}))]);
    assert_page_shows(&exporter, message).await;
    let scrape = exporter.scrape().await;
    assert!(scrape.has("ssm_sync_exporter_targets 2"), "{message}");
    assert!(scrape.0.contains("account_name=\"production\""));
}

#[tokio::test]
async fn too_long_texts_of_an_account_are_rejected() {
    // Regression: a name of 2 MB made a page of 16 MB, an id of 3 MB a log line of 3 MB.
    let account = |id: &str, name: &str| json!([{"Id": id, "Name": name, "State": "ACTIVE"}]);
    for (accounts, message) in [
        (account(ACCOUNT, &huge_text()), "the name of an account has more than 2048 characters"),
        (account(&huge_text(), "a"), "the id of an account has more than 2048 characters"),
        // A shorter id is quoted in part.
        (account(&"x".repeat(2000), "a"), "the organization has an account with an invalid id"),
    ] {
        assert_accounts_are_rejected(accounts, message).await;
    }
}

#[tokio::test]
async fn too_many_accounts_are_rejected() {
    let accounts: Value =
        (0..50_001_u64).map(|number| json!({"Id": format!("{number:012}"), "State": "ACTIVE"})).collect();
    assert_accounts_are_rejected(accounts, "more than 50000 accounts in the organization").await;
}

#[tokio::test]
async fn invalid_and_too_deeply_nested_organizational_units_are_rejected() {
    let config = organization_config() + "  organizational_units: [r-fake]\n";
    let aws = fake_organization().await;
    for depth in 1..=11 {
        let parent = if depth == 1 { "r-fake".to_owned() } else { format!("ou-fake-{:08}", depth - 1) };
        aws.world().add_unit(&format!("ou-fake-{depth:08}"), &parent);
    }
    let exporter = Exporter::start(&aws, &config).await;
    assert_page_shows(&exporter, "more than 10 levels of organizational units").await;
    for (id, message) in [
        (huge_text(), "the id of an organizational unit has more than 2048 characters"),
        ("elsewhere".to_owned(), "is not the id of an organizational unit"),
    ] {
        let body = json!({"OrganizationalUnits": [{"Id": id}]});
        aws.world().set_faults(vec![answer("ListOrganizationalUnitsForParent", &body)]);
        assert_page_shows(&exporter, message).await;
    }
    let units: Value = (0..10_001).map(|number| json!({"Id": format!("ou-fake-{number:08}")})).collect();
    aws.world()
        .set_faults(vec![answer("ListOrganizationalUnitsForParent", &json!({"OrganizationalUnits": units}))]);
    assert_page_shows(&exporter, "more than 10000 organizational units in the organization").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_response_makes_a_long_log_line() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let huge = huge_text();
    let identity = |id: &str| {
        format!(
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>{id}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        )
    };
    let error = json!({"__type": &huge, "message": &huge}).to_string();
    let regions = json!({"Regions": vec![json!({"RegionName": "x".repeat(2000)}); 1000]});
    aws.world().set_faults(vec![
        raw_answer("GetCallerIdentity", identity(&huge)),
        FaultRule::new(Fault::Response { status: 400, body: error }).operation("ListResourceDataSync"),
        answer("ListRegions", &regions),
    ]);
    let file = directory.path().join("config.yaml");
    let config = format!(
        "interval: 1s\nregions: ['*']\naccounts:\n  - {{profile: hub}}\n  - {{profile: hub, assume_roles: \
         [{{arn: 'arn:aws:iam::{ACCOUNT}:role/{ROLE}'}}]}}\n{}",
        aws_settings(&aws, directory.path())
    );
    std::fs::write(&file, config).unwrap();
    let running =
        ExporterProcess::start(program().args(["--log.level", "debug", "--config.file"]).arg(&file));
    running.metrics_containing("reason=\"invalid_response\"").await;
    running.metrics_containing("reason=\"other\"").await;
    let metrics = running.metrics_containing(&format!("aws_account_id=\"{ACCOUNT}\"")).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (_, _, log) = running.stop("TERM");
    for (what, text) in [("the log", &log), ("the metrics", &metrics)] {
        let longest = text.lines().map(str::len).max().unwrap();
        assert!(longest < 2000, "a line of {longest} bytes in {what}");
    }
}
