//! The pages in a real browser: filters, search, paging, both themes, that hostile texts are not
//! executed, and how the status page looks in each state of the fleet and of the exporter.

use std::path::Path;

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::expectation_pages;
use crate::exporter::{
    ACCOUNT, Exporter, NOW, ROLE, Setup, fake_aws, fake_organization, one_target, put_sync,
};
use crate::status::{managed_nodes, start_with_problems};
use crate::sync_page;
use crate::tools::{browser_test, written};

/// Two regions of one account.
fn two_targets() -> String {
    one_target().replace("interval: 1s", "interval: 1h").replace("[eu-west-1]", "[eu-west-1, ap-southeast-2]")
}

fn of_organization() -> String {
    format!(
        "interval: 1h\ntimeout: 16s\nregions: [eu-west-1]\norganization:\n  profile: hub\n  member_role: \
         'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n"
    )
}

fn healthy(name: &str) -> Value {
    json!({"SyncName": name, "LastStatus": "Successful", "LastSyncTime": NOW - 600, "LastSuccessfulSyncTime": NOW - 600})
}

async fn aws_with_syncs(number: usize) -> FakeAws {
    let aws = fake_aws().await;
    for index in 0..number {
        put_sync(&aws, SyncKind::ToDestination, healthy(&format!("inventory-{index}")));
    }
    aws
}

/// A fake AWS in which requests of this operation never succeed.
async fn aws_with_fault(operation: &str, fault: Fault) -> FakeAws {
    let aws = fake_aws().await;
    aws.world().set_faults(vec![FaultRule::new(fault).operation(operation)]);
    aws
}

/// 1,000 accounts in 17 regions, of which the first have been collected. Each has five syncs.
async fn start_large() -> (FakeAws, Exporter) {
    let aws = fake_organization().await;
    for number in 0..1_000 {
        let id = format!("{:012}", 700_000_000_000_u64 + number);
        aws.world().add_member(&id, &format!("workload-{number:04}-with-a-long-name-production"), "r-fake");
        aws.world().add_role(&id, ROLE, None);
    }
    let mut syncs: Vec<Value> = (0..4).map(|number| healthy(&format!("org-inventory-{number}"))).collect();
    syncs.push(json!({
        "SyncName": "InspectorResourceDataSync-do-not-delete", "LastStatus": "Failed", "LastSyncTime": NOW - 60,
        "LastSyncStatusMessage": "The bucket policy does not allow ssm.amazonaws.com to call s3:PutObject",
    }));
    aws.world().set_default_syncs(SyncKind::ToDestination, syncs);
    let regions = "ap-northeast-1, ap-northeast-2, ap-northeast-3, ap-south-1, ap-southeast-1, ap-southeast-2, \
                   ca-central-1, eu-central-1, eu-north-1, eu-west-1, eu-west-2, eu-west-3, sa-east-1, us-east-1, \
                   us-east-2, us-west-1, us-west-2";
    // So that the rest of the test has the processor for itself.
    let slow = FaultRule::new(Fault::Delay(1_000)).operation("ListResourceDataSync");
    aws.world().set_faults(vec![slow]);
    let config = of_organization().replace("[eu-west-1]", &format!("[{regions}]"));
    let exporter = Exporter::start(&aws, &config).await;
    let is_collected = async || {
        let page = exporter.get("/").await.body;
        (page.contains("of 17,034 targets") && page.contains(" syncs failed")).then_some(())
    };
    exporter.wait_for("the first targets of 17,034", is_collected).await;
    (aws, exporter)
}

/// An exporter for each state that `status.mjs` knows.
async fn start_states() -> Vec<(&'static str, FakeAws, Exporter)> {
    let mut states = Vec::new();
    for (name, aws) in [
        ("well", aws_with_syncs(1).await),
        ("quota", aws_with_syncs(5).await),
        ("empty", aws_with_syncs(0).await),
        ("unreachable", aws_with_fault("ListResourceDataSync", Fault::Deny).await),
    ] {
        let exporter = Exporter::start_ready(&aws, &two_targets()).await;
        states.push((name, aws, exporter));
    }
    let (aws, exporter) = expectation_pages::start().await;
    states.push(("unexpected", aws, exporter));
    let (aws, exporter) = managed_nodes::start().await;
    states.push(("nodes", aws, exporter));
    let aws = aws_with_fault("ListResourceDataSync", Fault::Stall).await;
    let exporter = Exporter::start(&aws, &two_targets().replace("timeout: 16s", "timeout: 10m")).await;
    states.push(("starting", aws, exporter));

    let (aws, exporter) = start_large().await;
    states.push(("large", aws, exporter));

    let aws = fake_organization().await;
    put_sync(&aws, SyncKind::ToDestination, healthy("inventory"));
    aws.world().set_faults(vec![FaultRule::new(Fault::Deny).operation("ListAccounts")]);
    let account = format!(
        "accounts:\n  - profile: hub\n    assume_roles: [{{arn: 'arn:aws:iam::{ACCOUNT}:role/{ROLE}'}}]\n"
    );
    let exporter = Exporter::start(&aws, &format!("{}{account}", of_organization())).await;
    let is_shown = async || {
        let page = exporter.get("/").await.body;
        (page.contains("Organization not listed") && page.contains("No problems so far")).then_some(())
    };
    exporter.wait_for("the organization that cannot be listed", is_shown).await;
    states.push(("unlisted", aws, exporter));

    let aws = aws_with_syncs(1).await;
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let exporter = Exporter::start_with(&aws, &two_targets(), &setup).await;
    exporter.wait_until_ready().await;
    assert_eq!(exporter.reload("intervall: 1h\n").await.status, 500);
    states.push(("reload", aws, exporter));
    states
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and Node, which tests/run installs"]
async fn the_status_page_works_in_a_browser() {
    let (_aws, exporter) = start_with_problems(119).await;
    let states = start_states().await;
    let url = format!("http://{}/", exporter.address);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/status.mjs");
    let mut node = browser_test();
    // 119 failed syncs and a stale one.
    node.arg(script).args([&url, "prod", "eu-west-1", "120"]);
    for (name, _, exporter) in &states {
        node.arg(format!("{name}=http://{}/", exporter.address));
    }
    let output = spawn_blocking(move || node.output().unwrap()).await.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        stdout.lines().last(),
        Some(
            "checked: filter, paging, search, filter without script, paging without script, search without script, themes, \
             refresh, hostile texts, widths, state well, state quota, state empty, state unreachable, state unexpected, \
             state nodes, state starting, state large, state unlisted, state reload"
        ),
        "{}",
        written(&output)
    );
    assert!(output.status.success(), "{}", written(&output));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and Node, which tests/run installs"]
async fn the_page_about_one_sync_works_in_a_browser() {
    let (_aws, exporter, _) = sync_page::start().await;
    let path = sync_page::path("SyncToDestination", sync_page::HOSTILE_NAME);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/sync.mjs");
    let mut node = browser_test();
    node.arg(script).arg(format!("http://{}{path}", exporter.address));
    let output = spawn_blocking(move || node.output().unwrap()).await.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        stdout.lines().last(),
        Some("checked: hostile texts, copy, without script, theme and refresh, widths"),
        "{}",
        written(&output)
    );
    assert!(output.status.success(), "{}", written(&output));
}
