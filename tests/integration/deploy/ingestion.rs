//! The pages and files of `deploy/ingestion`, with the programs that they are for.
//!
//! The tests do not run programs that they cannot install, such as Grafana Alloy. They compare the files
//! of such a program with its reference and with a scrape.

mod amazon_managed_prometheus;
mod cloudwatch_agent;
mod datadog;
mod not_run;
mod remote_write;
mod textfile;
mod victoriametrics;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::rules::{RULES, accelerated, rule_file};
use super::{list, text};
use crate::process::ExporterProcess;
use crate::{http, tools};

/// The summaries of the alerts that fire for the demo.
const DEMO_ALERTS: [&str; 10] = [
    "Managed nodes cannot be looked up in 1 account: access_denied",
    "Sync AWS-QuickSetup-SSM-explorer can cause unexpected costs (future_regions) in production, 111122223333, eu-west-1",
    "Sync InspectorResourceDataSync-do-not-delete is stale in security, 333344445555, eu-central-1",
    "Sync closed-units cannot read its source (InvalidOrganizationalUnit) in data, 444455556666, eu-west-1",
    "Sync license-manager-sync is stuck in data, 444455556666, us-east-1",
    "Sync org-inventory is missing in 666677778888, eu-west-1",
    "Sync org-inventory is not as expected in security, 333344445555, us-east-1",
    "Sync patch-compliance failed in staging, 222233334444, eu-west-1",
    "The SyncToDestination quota is used up in 666677778888, eu-west-1",
    "sandbox, 555566667777 cannot be polled in 3 regions: assume_role_denied",
];

fn page(name: &str) -> String {
    format!("deploy/ingestion/{name}/README.md")
}

/// The code blocks of a page in `language`.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let page = text(page);
    let parts = page.split("```").skip(1).step_by(2);
    parts.filter_map(|part| part.strip_prefix(&format!("{language}\n")).map(ToOwned::to_owned)).collect()
}

/// The arguments of a program in the command that a page shows.
fn arguments(page: &str, program: &str) -> Vec<String> {
    let commands = blocks(page, "sh").concat().replace("\\\n", " ");
    let command = commands.lines().find_map(|line| line.strip_prefix(program)?.strip_prefix(' '));
    let command = command.unwrap_or_else(|| panic!("{page} has no command {program}"));
    command.split_whitespace().map(ToOwned::to_owned).collect()
}

/// Replaces each of the texts, which must occur.
fn replaced(text: &str, replacements: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in replacements {
        assert!(text.contains(from), "{from} is not in {text}");
        text = text.replace(from, to);
    }
    text
}

/// An address that was free a moment ago, for programs that do not tell which port they got.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts a program whose output goes to a file.
fn start(command: &mut Command, log: &Path) -> tools::KillOnDrop {
    let log = std::fs::File::create(log).unwrap();
    tools::KillOnDrop(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
}

/// Waits until something listens on an address.
async fn wait_for(address: SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while tokio::net::TcpStream::connect(address).await.is_err() {
        assert!(Instant::now() < deadline, "nothing listens on {address}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Starts the demo, and waits until its metrics show every problem.
async fn demo_with_all_problems() -> ExporterProcess {
    let demo = ExporterProcess::demo();
    demo.metrics_when("the problems of the demo", |metrics| {
        metrics.matches("ssm_sync_exporter_target_down_reason{").count() == 3
            && metrics.matches("aws_ssm_resource_data_sync_problem{").count() == 4
            && metrics.matches("ssm_sync_exporter_expectation_violation{").count() == 3
            && metrics.matches("ssm_sync_exporter_managed_nodes_down_reason{").count() == 3
    })
    .await;
    demo
}

/// Writes the accelerated recording rules and alerts to a directory.
fn write_rules(directory: &Path) {
    for name in RULES {
        std::fs::write(directory.join(name), accelerated(&rule_file(name))).unwrap();
    }
}

/// The answer of an API of Prometheus, or null if there is none yet.
async fn api(address: SocketAddr, path: &str) -> Value {
    if tokio::net::TcpStream::connect(address).await.is_err() {
        return Value::Null;
    }
    let response = http::request(address, "GET", path).await;
    if response.status == 200 { serde_json::from_str(&response.body).unwrap() } else { Value::Null }
}

/// The summaries of the alerts that fire, according to a Prometheus or a vmalert.
async fn firing(evaluator: SocketAddr) -> BTreeSet<String> {
    let answer = api(evaluator, "/api/v1/alerts").await;
    let alerts = list(&answer["data"]["alerts"]).iter().filter(|alert| alert["state"] == "firing");
    alerts.map(|alert| alert["annotations"]["summary"].as_str().unwrap().to_owned()).collect()
}

/// Waits until exactly these alerts fire.
async fn wait_until_firing(evaluator: SocketAddr, expected: &[&str], log: &Path) {
    let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let firing = firing(evaluator).await;
        if firing == expected {
            return;
        }
        if Instant::now() > deadline {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            panic!("these alerts fire: {firing:#?}\n{log}");
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until the alerts of the demo fire, stops it, and waits until only the alerts about the exporter
/// itself do. So its series end, and are not just forgotten after a while.
async fn alerts_fire_and_end_with_the_exporter(evaluator: SocketAddr, demo: ExporterProcess, log: &Path) {
    wait_until_firing(evaluator, &DEMO_ALERTS, log).await;
    let instance = format!("ssm-sync-exporter at {} is down", demo.address);
    let _stopped = demo.stop("TERM");
    wait_until_firing(evaluator, &[&instance, "ssm-sync-exporter is down"], log).await;
}

/// All rules that a Prometheus or a vmalert evaluates.
async fn evaluated_rules(evaluator: SocketAddr) -> Vec<Value> {
    let answer = api(evaluator, "/api/v1/rules").await;
    list(&answer["data"]["groups"]).iter().flat_map(|group| list(&group["rules"]).to_vec()).collect()
}

/// The overview has a row for each page, and says the same about what is tested.
#[test]
fn the_overview_leads_to_every_page_and_says_which_are_untested() {
    let overview = text("deploy/ingestion/README.md");
    let directories = std::fs::read_dir(super::place("deploy/ingestion")).unwrap();
    let mut pages = 0;
    for entry in directories.map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name().into_string().unwrap();
        let row = overview.lines().find(|line| line.contains(&format!("]({name}/README.md) |")));
        let row = row.unwrap_or_else(|| panic!("no row for {name}"));
        let page = text(&self::page(&name));
        let tested = page.rsplit("\n\n").next().unwrap();
        assert_eq!(row.contains("untested"), tested.starts_with("Not run: "), "{row}\n{tested}");
        assert!(tested.starts_with("Not run: ") || tested.starts_with("Tested with "), "{tested}");
        pages += 1;
    }
    assert_eq!(pages, 8);
}
