//! Tests of managed-node lookups against a fake AWS: calls, series, permissions, and the health of
//! syncs.

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::exporter::{
    ACCOUNT, Exporter, NOW, REGION, ROLE, Scrape, Setup, fake_aws, fake_organization, one_target, put_sync,
    up,
};

const OPERATION: &str = "DescribeInstanceInformation";
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// A single target with a lookup every second.
fn config(more: &str) -> String {
    format!("{}managed_nodes: {{enabled: true, interval: 1s}}\n{more}", one_target())
}

/// A fake AWS with a sync to a bucket that succeeded 30 days ago, and one from a source.
async fn idle_account() -> FakeAws {
    let aws = fake_aws().await;
    let inventory = json!({
        "SyncName": "inventory", "LastStatus": "Successful", "LastSyncTime": NOW - 30 * DAY,
        "LastSuccessfulSyncTime": NOW - 30 * DAY, "SyncCreatedTime": NOW - 90 * DAY,
        "S3Destination": {"BucketName": "org-inventory", "SyncFormat": "JsonSerDe", "Region": REGION},
    });
    put_sync(&aws, SyncKind::ToDestination, inventory);
    put_sync(&aws, SyncKind::FromSource, json!({"SyncName": "explorer", "SyncCreatedTime": NOW - 90 * DAY}));
    aws
}

fn nodes_line(value: u8) -> String {
    format!("aws_ssm_managed_nodes_present{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\"}} {value}")
}

/// Every sample about managed nodes.
fn samples(scrape: &Scrape) -> String {
    [
        "aws_ssm_managed_nodes_present{",
        "aws_ssm_managed_nodes_last_checked_timestamp_seconds{",
        "ssm_sync_exporter_managed_nodes_down_reason{",
    ]
    .map(|family| scrape.samples(family))
    .concat()
}

/// The number of syncs with this health, `None` if there are none.
fn syncs_of_health(scrape: &Scrape, health: &str) -> String {
    let samples = scrape.samples("aws_ssm_resource_data_syncs_by_health{");
    samples.lines().filter(|line| line.contains(&format!("health=\"{health}\""))).collect()
}

fn deny() -> Vec<FaultRule> {
    vec![FaultRule { operation: Some(OPERATION.to_owned()), ..FaultRule::new(Fault::Deny) }]
}

#[tokio::test]
async fn an_idle_account_is_healthy_until_the_limit_has_passed_since_a_node_appeared() {
    let aws = idle_account().await;
    let exporter = Exporter::start(&aws, &config("")).await;
    let labels = format!("{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\"}}");
    let scrape = exporter.scrape_until(&nodes_line(0)).await;
    assert_eq!(
        samples(&scrape),
        format!(
            "aws_ssm_managed_nodes_present{labels} 0\n\
             aws_ssm_managed_nodes_last_checked_timestamp_seconds{labels} {NOW}\n"
        )
    );
    assert_eq!(scrape.samples("aws_ssm_resource_data_sync_problem{"), "");
    assert!(syncs_of_health(&scrape, "healthy").contains("SyncToDestination"));

    exporter.set_clock(HOUR);
    let checked = format!("aws_ssm_managed_nodes_last_checked_timestamp_seconds{labels} {}", NOW + HOUR);
    exporter.scrape_until(&checked).await;
    aws.world().set_managed_nodes(ACCOUNT, REGION, 7);
    let scrape = exporter.scrape_until(&nodes_line(1)).await;
    assert_eq!(scrape.samples("aws_ssm_resource_data_sync_problem{"), "", "the limit is 48 hours");
    exporter.set_clock(49 * HOUR + 1);
    let problem = format!(
        "aws_ssm_resource_data_sync_problem{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\",\
         sync_type=\"SyncToDestination\",sync_name=\"inventory\",problem=\"stale\",account_name=\"production\",\
         bucket_name=\"org-inventory\",managed_by=\"customer\"}} 1"
    );
    exporter.scrape_until(&problem).await;

    aws.world().set_managed_nodes(ACCOUNT, REGION, 0);
    let scrape = exporter.scrape_until(&nodes_line(0)).await;
    assert_eq!(scrape.samples("aws_ssm_resource_data_sync_problem{"), "");
}

#[tokio::test]
async fn after_a_denied_lookup_nodes_are_unknown_and_the_target_stays_up() {
    let aws = idle_account().await;
    aws.world().set_faults(deny());
    let exporter = Exporter::start(&aws, &config("")).await;
    let labels = format!("aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\"");
    let unknown =
        format!("ssm_sync_exporter_managed_nodes_down_reason{{{labels},reason=\"access_denied\"}} 1");
    let scrape = exporter.scrape_until(&unknown).await;
    assert_eq!(samples(&scrape), format!("{unknown}\n"), "never a 0, and never checked");
    assert!(scrape.has(&up(ACCOUNT, REGION, 1)));
    assert!(syncs_of_health(&scrape, "stale").contains("SyncToDestination"));

    // The permission is granted, then removed.
    aws.world().set_faults(Vec::new());
    let scrape = exporter.scrape_until(&nodes_line(0)).await;
    assert_eq!(scrape.samples("ssm_sync_exporter_managed_nodes_down_reason{"), "");
    assert_eq!(syncs_of_health(&scrape, "stale"), "");
    aws.world().set_faults(deny());
    let scrape = exporter.scrape_until(&unknown).await;
    assert_eq!(
        samples(&scrape),
        format!("aws_ssm_managed_nodes_last_checked_timestamp_seconds{{{labels}}} {NOW}\n{unknown}\n")
    );
    assert_eq!(syncs_of_health(&scrape, "stale"), "", "there were no nodes a moment ago");
    exporter.set_clock(48 * HOUR + 1);
    let has_problem = async || (!syncs_of_health(&exporter.scrape().await, "stale").is_empty()).then_some(());
    exporter.wait_for("a stale sync", has_problem).await;
}

#[tokio::test]
async fn a_lookup_is_one_request_for_one_small_page() {
    let aws = idle_account().await;
    aws.world().set_managed_nodes(ACCOUNT, REGION, 500);
    let once = config("").replace("interval: 1s", "interval: 1h");
    let exporter = Exporter::start(&aws, &once).await;
    let scrape = exporter.scrape_until(&nodes_line(1)).await;
    assert_eq!(aws.world().calls(OPERATION), 1);
    let requests =
        "ssm_sync_exporter_api_requests_total{operation=\"DescribeInstanceInformation\",service=\"SSM\"} 1";
    assert!(scrape.has(requests), "{requests}");
}

#[tokio::test]
async fn without_the_opt_in_there_are_no_lookups_permissions_or_series() {
    let aws = idle_account().await;
    aws.world().set_managed_nodes(ACCOUNT, REGION, 1);
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    for _ in 0..3 {
        exporter.scrape_after_next_collection().await;
    }
    let scrape = exporter.scrape().await;
    assert_eq!((samples(&scrape).as_str(), aws.world().calls(OPERATION)), ("", 0));
    assert!(syncs_of_health(&scrape, "stale").contains("SyncToDestination"));
    let policies: Vec<_> = aws.world().assumed_roles().into_iter().filter_map(|role| role.policy).collect();
    assert!(
        !policies.is_empty() && policies.iter().all(|policy| !policy.contains(OPERATION)),
        "{policies:?}"
    );
    let path = format!("/sync?account={ACCOUNT}&region={REGION}&type=SyncToDestination&name=inventory");
    for path in ["/", &path] {
        assert!(!exporter.get(path).await.body.contains("managed nodes here"), "{path}");
    }
}

#[tokio::test]
async fn the_session_policy_allows_the_lookup_only_where_it_is_enabled() {
    let aws = fake_organization().await;
    let member_role = format!("'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'");
    let config = format!(
        "interval: 1s\nregions: [{REGION}]\nmanaged_nodes: {{interval: 1s}}\norganization:\n  profile: hub\n  \
         member_role: {member_role}\n  managed_nodes: {{enabled: true}}\naccounts:\n  - profile: hub\n    \
         assume_roles: [{{arn: 'arn:aws:iam::999900000000:role/{ROLE}'}}]\n"
    );
    let exporter = Exporter::start(&aws, &config).await;
    exporter.scrape_until(&nodes_line(0)).await;
    let scrape = exporter.scrape().await;
    assert_eq!(
        scrape.samples("aws_ssm_managed_nodes_present{").lines().count(),
        1,
        "only the member has lookups"
    );
    for role in aws.world().assumed_roles() {
        let is_allowed = role.policy.as_ref().unwrap().contains("\"ssm:DescribeInstanceInformation\"");
        assert_eq!(is_allowed, role.role.contains(ACCOUNT), "{role:?}");
    }
    assert_eq!(aws.world().calls_of("999900000000", REGION, OPERATION), 0);
}

#[tokio::test]
async fn a_reload_turns_lookups_on_and_off() {
    let aws = idle_account().await;
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let exporter = Exporter::start_with(&aws, &one_target(), &setup).await;
    exporter.wait_until_ready().await;
    assert_eq!(exporter.reload(&config("")).await.status, 200);
    // The new sessions are allowed to make the call.
    exporter.scrape_until(&nodes_line(0)).await;
    assert_eq!(exporter.reload(&one_target()).await.status, 200);
    let is_gone = async || samples(&exporter.scrape().await).is_empty().then_some(());
    exporter.wait_for("no series about managed nodes", is_gone).await;
    let scrape = exporter.scrape_after_next_collection().await;
    assert!(syncs_of_health(&scrape, "stale").contains("SyncToDestination"));
    let calls = aws.world().calls(OPERATION);
    for _ in 0..3 {
        exporter.scrape_after_next_collection().await;
    }
    assert_eq!(aws.world().calls(OPERATION), calls);
}

#[tokio::test]
async fn a_rule_can_judge_a_sync_by_its_age_alone() {
    let aws = idle_account().await;
    let rule = "health: {rules: [{sync_names: [inventory], ignore_managed_nodes: true}]}\n";
    let exporter = Exporter::start(&aws, &config(rule)).await;
    let scrape = exporter.scrape_until(&nodes_line(0)).await;
    assert!(syncs_of_health(&scrape, "stale").contains("SyncToDestination"));
}

#[tokio::test]
async fn the_page_says_that_there_are_no_managed_nodes() {
    let aws = idle_account().await;
    let exporter = Exporter::start(&aws, &config("")).await;
    exporter.scrape_until(&nodes_line(0)).await;
    let path = format!("/sync?account={ACCOUNT}&region={REGION}&type=SyncToDestination&name=inventory");
    let page = exporter.get(&path).await.body;
    assert!(page.contains("There are no managed nodes here, so its age does not matter."), "{page}");
}
