//! Recording rules and alerts, in promtool and in a real Prometheus.
//!
//! The cases in which each alert fires or stays silent are in `deploy/prometheus/tests`. This
//! module runs them, and checks that every alert has a case of each kind.

mod expectations;
mod managed_nodes;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirEntry;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use jiff::SignedDuration;
use pretty_assertions::assert_eq;
use serde_json::Value;
use ssm_sync_exporter::metrics::FamilyName;
use tokio::time::{Instant, sleep};

use super::{list, place, succeed, text, yaml};
use crate::process::ExporterProcess;
use crate::prometheus::Prometheus;
use crate::{http, tools};

pub(super) const RULES: [&str; 2] = ["recording-rules.yml", "alerts.yml"];

/// The alerts that fire for the demo. Others may fire during startup only.
pub(super) const DEMO_ALERTS: [&str; 10] = [
    "SsmSyncCostRisk",
    "SsmSyncDrifted",
    "SsmSyncFailed",
    "SsmSyncManagedNodesUnknown",
    "SsmSyncMissing",
    "SsmSyncQuotaUsed",
    "SsmSyncSourceFault",
    "SsmSyncStale",
    "SsmSyncStuck",
    "SsmSyncTargetDown",
];

/// The metric families with a series for each sync that rules may use. All others can be left out
/// of a large fleet.
const SYNC_FAMILIES: [&str; 3] = [
    "aws_ssm_resource_data_sync_cost_risk",
    "aws_ssm_resource_data_sync_info",
    "aws_ssm_resource_data_sync_problem",
];

fn rule_path(name: &str) -> String {
    format!("deploy/prometheus/{name}")
}

pub(super) fn rule_file(name: &str) -> String {
    text(&rule_path(name))
}

/// All rules of a file.
pub(super) fn rules(name: &str) -> Vec<Value> {
    list(&yaml(&rule_path(name))["groups"]).iter().flat_map(|group| list(&group["rules"]).to_vec()).collect()
}

/// The names of all alerts.
pub(super) fn alerts() -> BTreeSet<String> {
    rules("alerts.yml").iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect()
}

/// The files of the unit tests for promtool.
pub(super) fn unit_tests() -> Vec<String> {
    let files = std::fs::read_dir(place("deploy/prometheus/tests")).unwrap();
    let name = |entry: std::io::Result<DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let files: Vec<String> = files.map(name).collect();
    assert!(files.iter().all(|file| file.ends_with(".test.yml")), "{files:?}");
    files.iter().map(|file| rule_path(&format!("tests/{file}"))).collect()
}

/// The words of a text: letters, digits, `_` and `:`.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && !"_:".contains(character))
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn promtool_accepts_the_rules_and_the_scrape_configuration() {
    let mut check = tools::promtool();
    check.current_dir(place("deploy/prometheus"));
    succeed(check.args(["check", "rules"]).args(RULES));
    let mut check = tools::promtool();
    succeed(check.args(["check", "config"]).arg(place("deploy/prometheus/scrape.yml")));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn alerts_pass_their_unit_tests() {
    std::thread::scope(|scope| {
        for file in unit_tests() {
            scope.spawn(move || succeed(tools::promtool().args(["test", "rules"]).arg(place(&file))));
        }
    });
}

/// The number of minutes in a duration such as `1h30m`.
fn minutes(duration: &Value) -> f64 {
    let duration: SignedDuration = duration.as_str().unwrap().parse().unwrap();
    duration.as_secs_f64() / 60.0
}

#[test]
fn every_alert_has_a_test_where_it_fires_and_one_where_it_is_silent() {
    let (mut fires, mut is_silent) = (BTreeSet::new(), BTreeSet::new());
    let rules = rules("alerts.yml");
    for file in unit_tests() {
        let file = yaml(&file);
        for test in list(&file["tests"]).iter().flat_map(|test| list(&test["alert_rule_test"])) {
            let name = test["alertname"].as_str().unwrap().to_owned();
            if !list(&test["exp_alerts"]).is_empty() {
                fires.insert(name);
                continue;
            }
            // Before its `for` has passed, an alert is silent in any case.
            let rule = rules.iter().find(|rule| rule["alert"] == name.as_str()).unwrap();
            if minutes(&test["eval_time"]) > minutes(&rule["for"]) + 1.0 {
                is_silent.insert(name);
            }
        }
    }
    assert_eq!(fires, alerts());
    assert_eq!(is_silent, alerts());
}

#[test]
fn every_alert_has_a_summary_a_description_and_a_runbook_section() {
    let runbook = text("deploy/runbook.md");
    let explained: BTreeSet<String> =
        runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    assert_eq!(explained, alerts(), "the headings of the runbook are the names of the alerts");

    for rule in rules("alerts.yml") {
        let name = rule["alert"].as_str().unwrap();
        let annotations = &rule["annotations"];
        for wanted in ["summary", "description"] {
            assert!(annotations[wanted].as_str().is_some_and(|text| text.len() > 20), "{name}: {wanted}");
        }
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        // GitHub derives anchors from headings like this. An alert may link to the section about a
        // cause instead, and falls back to its own section.
        let url = annotations["runbook_url"].as_str().unwrap();
        assert!(url.contains("/deploy/runbook.md#"), "{name}: {url}");
        assert!(words(url).any(|word| word == name.to_lowercase()), "{name}: {url}");
        // A query for each alert would delay the others when many fire.
        for (annotation, text) in annotations.as_object().unwrap() {
            assert!(!words(text.as_str().unwrap()).any(|word| word == "query"), "{name}: {annotation}");
        }
        assert!(
            runbook.contains(&format!("](#{})", name.to_lowercase())),
            "the runbook's contents lack {name}"
        );
    }
}

/// The AWS CLI rejects unknown commands and options before it calls AWS.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_aws_cli_knows_the_commands_of_the_runbook() {
    let runbook = text("deploy/runbook.md").replace("\\\n", " ");
    // Commands in a block have their own lines, others are in backticks. `aws s3` has no
    // --generate-cli-skeleton.
    let commands: Vec<&str> = runbook
        .lines()
        .flat_map(|line| if line.starts_with("aws ") { vec![line] } else { line.split('`').collect() })
        .filter(|command| command.starts_with("aws ") && !command.starts_with("aws s3 "))
        .collect();
    assert!(commands.len() > 8, "{commands:?}");
    let program = tools::python_program("aws");
    // A command saves a policy to a file, and a later one reads it.
    let directory = tempfile::tempdir().unwrap();
    let stderr_of = |command: &str| {
        let mut aws = Command::new("bash");
        aws.args(["-c", &format!("\"$0\" {} --generate-cli-skeleton output", &command["aws ".len()..])]);
        aws.arg(program.get_program()).current_dir(&directory);
        for (name, value) in [("REGION", "eu-west-1"), ("TYPE", "SyncToDestination"), ("BUCKET", "b")] {
            aws.env(name, value);
        }
        aws.env("AWS_EC2_METADATA_DISABLED", "true");
        String::from_utf8(aws.output().unwrap().stderr).unwrap()
    };
    // An invalid skeleton also makes the CLI fail, but says nothing about the command.
    let rejected =
        |stderr: &str| ["Unknown options", "Invalid choice", "usage:"].iter().any(|no| stderr.contains(no));
    for command in commands {
        let stderr = stderr_of(command);
        assert!(!rejected(&stderr), "{command}: {stderr}");
    }
    assert!(rejected(&stderr_of("aws ssm list-resource-data-sync --no-such-option")));
}

#[test]
fn rules_use_only_metrics_and_records_that_exist() {
    let all: String = RULES.map(rule_file).concat();
    let recorded: BTreeSet<String> =
        rules("recording-rules.yml").iter().map(|rule| rule["record"].as_str().unwrap().to_owned()).collect();
    let mut families = 0;
    for file in RULES {
        for rule in rules(file) {
            let texts = rule["annotations"].as_object().into_iter().flat_map(BTreeMap::from_iter);
            let texts = texts.map(|(_, text)| text.as_str().unwrap()).chain(rule["expr"].as_str());
            for name in texts.flat_map(words) {
                if name.starts_with("aws_ssm_") || name.starts_with("ssm_sync_exporter_") {
                    name.parse::<FamilyName>().unwrap_or_else(|error| panic!("{error}"));
                    families += 1;
                } else if name.contains(':') && name.trim_matches(':').contains(':') {
                    assert!(recorded.contains(name), "no rule records {name}");
                }
            }
        }
    }
    assert!(families > 30, "only {families} names of families found");
    for name in recorded {
        let uses = words(&all).filter(|word| *word == name).count();
        assert!(uses > 1, "no rule uses {name}");
    }
}

#[test]
fn the_header_of_the_alerts_lists_the_metric_families_that_they_need() {
    let is_family = |word: &&str| word.starts_with("aws_ssm_") || word.starts_with("ssm_sync_exporter_");
    let mut needed = BTreeSet::new();
    for rule in ["recording-rules.yml", "alerts.yml"].into_iter().flat_map(rules) {
        needed.extend(words(rule["expr"].as_str().unwrap()).filter(is_family).map(str::to_owned));
    }
    let alerts = rule_file("alerts.yml");
    let header = alerts.lines().take_while(|line| line.starts_with('#'));
    let listed: Vec<&str> = header.filter_map(|line| line.strip_prefix("#   ")).collect();
    assert_eq!(listed, Vec::from_iter(&needed));

    let of_syncs = needed.iter().filter(|name| name.starts_with("aws_ssm_resource_data_sync_"));
    let of_syncs: Vec<&String> = of_syncs.filter(|name| !name.ends_with("_quota")).collect();
    assert_eq!(of_syncs, SYNC_FAMILIES);
}

/// A file of rules with the intervals of groups, and the `for` and `keep_firing_for` of alerts,
/// shortened to a second.
pub(super) fn accelerated(rules: &str) -> String {
    let line = |line: &str| match line.split_once(": ") {
        Some((key, _)) if ["for", "interval", "keep_firing_for"].contains(&key.trim()) => {
            format!("{key}: 1s\n")
        }
        _ => format!("{line}\n"),
    };
    rules.lines().map(line).collect()
}

/// `scrape.yml` for this address, with intervals of a second, in a directory with all rules, accelerated.
fn accelerated_config(address: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    for name in RULES {
        std::fs::write(directory.path().join(name), accelerated(&rule_file(name))).unwrap();
    }
    let config = rule_file("scrape.yml");
    for part in ["localhost:10144", ": 1m"] {
        assert!(config.contains(part), "scrape.yml lacks {part}");
    }
    (directory, config.replace("localhost:10144", address).replace(": 1m", ": 1s"))
}

/// The texts between `start` and `end` in a page.
fn between<'a>(page: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    page.split(start).skip(1).filter_map(|rest| Some(rest.split_once(end)?.0)).collect()
}

/// The sections of the runbook about alerts that the status page and the pages of syncs that it
/// links to refer to.
async fn linked_alerts(address: SocketAddr, status_page: &str) -> BTreeSet<String> {
    let mut pages = vec![status_page.to_owned()];
    for link in between(status_page, "href=\"", "\"").into_iter().filter(|link| link.contains("sync?")) {
        let path = format!("/{}", link.trim_start_matches('/').replace("&amp;", "&"));
        pages.push(http::request(address, "GET", &path).await.body);
    }
    let links = pages.iter().flat_map(|page| between(page, "/runbook.md#", "\""));
    let alerts = alerts_of_causes();
    let alert = |anchor: &str| alerts.get(anchor).cloned().unwrap_or_else(|| anchor.to_owned());
    links.map(alert).filter(|anchor| anchor.starts_with("ssmsync")).collect()
}

/// The alert of each cause, as in the headings of the runbook. Both are anchors.
fn alerts_of_causes() -> BTreeMap<String, String> {
    let runbook = std::fs::read_to_string("deploy/runbook.md").unwrap();
    let mut alert = String::new();
    let mut alerts = BTreeMap::new();
    for line in runbook.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            alert = heading.to_lowercase();
        } else if let Some(cause) = line.strip_prefix("### Cause: ") {
            alerts.insert(format!("cause-{}", cause.to_lowercase()), alert.clone());
        }
    }
    alerts
}

/// The names of the syncs that the status page lists as problems.
fn listed_problems(status_page: &str) -> BTreeSet<String> {
    let list = between(status_page, "id=\"syncs\"", "</section>");
    let rows = list.into_iter().flat_map(|list| between(list, "<th class=\"sync\"", "</th>"));
    // The header of the table has no name.
    rows.filter_map(|row| between(row, "<bdi>", "</bdi>").first().map(ToString::to_string)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_faults_of_the_demo_fire_their_alerts_and_no_others() {
    let demo = ExporterProcess::demo();
    let (directory, config) = accelerated_config(&demo.address.to_string());
    let prometheus = Prometheus::with_config(directory, &config).await;

    let summary = |alert: &Value| alert["annotations"]["summary"].clone();
    let all_regions_down = "sandbox, 555566667777 cannot be polled in 3 regions: assume_role_denied";
    let deadline = Instant::now() + Duration::from_mins(2);
    let firing = loop {
        let answer = prometheus.api("/api/v1/alerts").await;
        let mut firing: Vec<Value> = list(&answer["data"]["alerts"]).to_vec();
        firing.retain(|alert| alert["state"] == "firing");
        firing.sort_by_key(|alert| alert["labels"]["alertname"].to_string());
        let names: Vec<&Value> = firing.iter().map(|alert| &alert["labels"]["alertname"]).collect();
        // Prometheus may have scraped in the middle of the first collections, before all three
        // regions of the denied account had failed. Later evaluations update the summary.
        if names == DEMO_ALERTS && firing.last().is_some_and(|down| summary(down) == all_regions_down) {
            break firing;
        }
        assert!(Instant::now() < deadline, "{firing:#?}");
        sleep(Duration::from_millis(200)).await;
    };

    let [cost, drifted, failed, nodes_unknown, missing, quota, source, stale, stuck, down] = &firing[..]
    else {
        unreachable!()
    };
    for (label, value) in [
        ("account_name", "staging"),
        ("aws_account_id", "222233334444"),
        ("aws_region", "eu-west-1"),
        ("bucket_name", "staging-patch-compliance"),
        ("cause", "bucket_policy"),
        ("managed_by", "customer"),
        ("severity", "critical"),
        ("sync_name", "patch-compliance"),
        ("sync_type", "SyncToDestination"),
    ] {
        assert_eq!(failed["labels"][label], value, "{label}");
    }
    assert_eq!(
        failed["annotations"]["summary"],
        "Sync patch-compliance failed in staging, 222233334444, eu-west-1"
    );
    let described = failed["annotations"]["description"].as_str().unwrap();
    assert!(described.contains("to bucket staging-patch-compliance failed."), "{described}");
    let url = failed["annotations"]["runbook_url"].as_str().unwrap();
    assert!(url.ends_with("/runbook.md#cause-bucket_policy"), "{url}");
    assert_eq!(cost["labels"]["setting"], "future_regions");
    assert_eq!(summary(nodes_unknown), "Managed nodes cannot be looked up in 1 account: access_denied");
    assert_eq!(summary(missing), "Sync org-inventory is missing in 666677778888, eu-west-1");
    assert_eq!(
        summary(drifted),
        "Sync org-inventory is not as expected in security, 333344445555, us-east-1"
    );
    let described = drifted["annotations"]["description"].as_str().unwrap();
    assert!(described.starts_with("2 fields differ from the expectation org-inventory"), "{described}");
    assert_eq!(summary(quota), "The SyncToDestination quota is used up in 666677778888, eu-west-1");
    assert_eq!(source["labels"]["cause"], "InvalidOrganizationalUnit");
    assert_eq!(stale["labels"]["account_name"], "security");
    assert_eq!(stuck["labels"]["sync_name"], "license-manager-sync");
    assert_eq!(summary(down), all_regions_down);

    let loaded = prometheus.api("/api/v1/rules").await;
    let loaded: Vec<&Value> =
        list(&loaded["data"]["groups"]).iter().flat_map(|group| list(&group["rules"])).collect();
    assert_eq!(loaded.len(), RULES.iter().map(|file| rules(file).len()).sum::<usize>());
    for rule in loaded {
        assert_eq!((&rule["health"], &rule["lastError"]), (&Value::from("ok"), &Value::Null), "{rule}");
    }

    let page = http::request(demo.address, "GET", "/").await.body;
    let problems: BTreeSet<String> = [failed, source, stale, stuck]
        .map(|alert| alert["labels"]["sync_name"].as_str().unwrap().to_owned())
        .into();
    assert_eq!(listed_problems(&page), problems, "the page lists the syncs with alerts as problems");
    let shown: BTreeSet<String> = DEMO_ALERTS.into_iter().map(str::to_lowercase).collect();
    assert_eq!(linked_alerts(demo.address, &page).await, shown, "the page shows what fires");
}
