//! Recording rules and alerts, in a real Prometheus.
//!
//! What makes each alert fire, and what is next to it and does not, stands in
//! `deploy/prometheus/tests`, for promtool; here it is run, and here every alert must
//! have both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirEntry;
use std::process::Command;
use std::time::Duration;

use jiff::SignedDuration;
use pretty_assertions::assert_eq;
use serde_json::Value;
use ssm_sync_exporter::metrics::FamilyName;
use tokio::time::{Instant, sleep};

use super::{list, place, succeed, text, yaml};
use crate::program::ExporterProcess;
use crate::prometheus::Prometheus;
use crate::tools;

const RULES: [&str; 3] = ["recording-rules.yml", "thresholds.yml", "alerts.yml"];

fn rule_path(name: &str) -> String {
    format!("deploy/prometheus/{name}")
}

fn rule_file(name: &str) -> String {
    text(&rule_path(name))
}

/// All rules of a file.
fn rules(name: &str) -> Vec<Value> {
    list(&yaml(&rule_path(name))["groups"]).iter().flat_map(|group| list(&group["rules"]).to_vec()).collect()
}

/// The names of all alerts.
fn alerts() -> BTreeSet<String> {
    rules("alerts.yml").iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect()
}

/// The files of promtool's unit tests.
fn unit_tests() -> Vec<String> {
    let files = std::fs::read_dir(place("deploy/prometheus/tests")).unwrap();
    let name = |entry: std::io::Result<DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let files: Vec<String> = files.map(name).collect();
    assert!(files.iter().all(|file| file.ends_with(".test.yml")), "{files:?}");
    files.iter().map(|file| rule_path(&format!("tests/{file}"))).collect()
}

/// All words of a text that stand between other characters than these.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && !"_:".contains(character))
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn promtool_finds_no_fault() {
    let mut check = tools::promtool();
    check.current_dir(place("deploy/prometheus"));
    succeed(check.args(["check", "rules"]).args(RULES));
    let mut check = tools::promtool();
    succeed(check.args(["check", "config"]).arg(place("deploy/prometheus/scrape.yml")));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn alerts_fire_where_they_have_to_and_nowhere_else() {
    std::thread::scope(|scope| {
        for file in unit_tests() {
            scope.spawn(move || succeed(tools::promtool().args(["test", "rules"]).arg(place(&file))));
        }
    });
}

/// How many minutes a duration such as `1h30m` has.
fn minutes(duration: &Value) -> f64 {
    let duration: SignedDuration = duration.as_str().unwrap().parse().unwrap();
    duration.as_secs_f64() / 60.0
}

#[test]
fn every_alert_is_tested_both_ways() {
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
            // Before that it would be silent whatever is wrong.
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
fn every_alert_says_what_it_means_and_where_that_is_explained() {
    let runbook = text("deploy/runbook.md");
    let explained: BTreeSet<String> =
        runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    assert_eq!(explained, alerts(), "the runbook's headings, and no others");

    for rule in rules("alerts.yml") {
        let name = rule["alert"].as_str().unwrap();
        let annotations = &rule["annotations"];
        for wanted in ["summary", "description"] {
            assert!(annotations[wanted].as_str().is_some_and(|text| text.len() > 20), "{name}: {wanted}");
        }
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        // As GitHub makes them from headings.
        let anchor = format!("/deploy/runbook.md#{}", name.to_lowercase());
        assert!(annotations["runbook_url"].as_str().unwrap().ends_with(&anchor), "{name}");
        assert!(runbook.contains(&format!("](#{})", name.to_lowercase())), "{name} is in no list");
    }
}

/// The AWS CLI refuses what it does not know before it would call anything.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_commands_of_the_runbook_are_those_of_the_aws_cli() {
    let runbook = text("deploy/runbook.md").replace("\\\n", " ");
    // Those of a block have lines of their own, the others stand between backticks. `s3` is
    // no API, and knows no skeletons.
    let commands: Vec<&str> = runbook
        .lines()
        .flat_map(|line| if line.starts_with("aws ") { vec![line] } else { line.split('`').collect() })
        .filter(|command| command.starts_with("aws ") && !command.starts_with("aws s3 "))
        .collect();
    assert!(commands.len() > 8, "{commands:?}");
    let program = tools::python_program("aws");
    let command_of = |command: &str| {
        let mut aws = Command::new("bash");
        aws.args(["-c", &format!("\"$0\" {} --generate-cli-skeleton output", &command["aws ".len()..])]);
        aws.arg(program.get_program());
        for (name, value) in [("REGION", "eu-west-1"), ("TYPE", "SyncToDestination"), ("BUCKET", "b")] {
            aws.env(name, value);
        }
        aws.env("AWS_EC2_METADATA_DISABLED", "true");
        String::from_utf8(aws.output().unwrap().stderr).unwrap()
    };
    // A skeleton may not satisfy the rules for answers, which says nothing of the command.
    let refused =
        |said: &str| ["Unknown options", "Invalid choice", "usage:"].iter().any(|no| said.contains(no));
    for command in commands {
        let said = command_of(command);
        assert!(!refused(&said), "{command}: {said}");
    }
    assert!(refused(&command_of("aws ssm list-resource-data-sync --no-such-option")));
}

#[test]
fn rules_ask_for_what_there_is() {
    let all: String = RULES.map(rule_file).concat();
    let recorded: BTreeSet<String> = ["recording-rules.yml", "thresholds.yml"]
        .iter()
        .flat_map(|file| rules(file))
        .map(|rule| rule["record"].as_str().unwrap().to_owned())
        .collect();
    let mut asked = 0;
    for file in RULES {
        for rule in rules(file) {
            let texts = rule["annotations"].as_object().into_iter().flat_map(BTreeMap::from_iter);
            let texts = texts.map(|(_, text)| text.as_str().unwrap()).chain(rule["expr"].as_str());
            for name in texts.flat_map(words) {
                if name.starts_with("aws_ssm_") || name.starts_with("ssm_sync_exporter_") {
                    name.parse::<FamilyName>().unwrap_or_else(|error| panic!("{error}"));
                    asked += 1;
                } else if name.contains(':') && name.trim_matches(':').contains(':') {
                    assert!(recorded.contains(name), "{name} is recorded nowhere");
                }
            }
        }
    }
    assert!(asked > 30, "only {asked} names found");
    for name in recorded {
        let uses = words(&all).filter(|word| *word == name).count();
        assert!(uses > 1, "{name} is recorded, and used by nothing");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn alertmanager_takes_the_inhibitions_and_they_name_alerts() {
    let file = "deploy/prometheus/alertmanager.yml";
    succeed(tools::amtool().arg("check-config").arg(place(file)));
    let names = alerts();
    let config = yaml(file);
    let matchers = list(&config["inhibit_rules"])
        .iter()
        .flat_map(|rule| [&rule["source_matchers"], &rule["target_matchers"]])
        .flat_map(list);
    let mut inhibited = 0;
    for name in matchers.flat_map(|matcher| words(matcher.as_str().unwrap())) {
        if name.starts_with("SsmSync") {
            assert!(names.contains(name), "{name}");
            inhibited += 1;
        }
    }
    assert!(inhibited > 5, "{config}");
}

/// What `scrape.yml` is to a user, for this address, with all of the rules beside it. An
/// alert that has to hold for some time does so at once.
fn in_a_hurry(address: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    for name in RULES {
        let rules: String = rule_file(name)
            .lines()
            .map(|line| match line.split_once("for: ") {
                Some((indent, _)) if indent.trim().is_empty() => format!("{indent}for: 1s\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        std::fs::write(directory.path().join(name), rules).unwrap();
    }
    let config = rule_file("scrape.yml");
    for part in ["localhost:10144", ": 1m", "# - thresholds.yml"] {
        assert!(config.contains(part), "{part} is not there any longer");
    }
    let config =
        config.replace("localhost:10144", address).replace(": 1m", ": 1s").replace("# - thr", "- thr");
    (directory, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn what_is_wrong_in_the_demonstration_fires() {
    let demo = ExporterProcess::demo();
    let (directory, config) = in_a_hurry(&demo.address.to_string());
    let prometheus = Prometheus::with_config(directory, &config).await;

    // Nothing else, but while things start. The example of thresholds expects a sync that
    // the account beside the organization has not.
    let expected = [
        "SsmSyncFailed",
        "SsmSyncMissing",
        "SsmSyncQuotaUsed",
        "SsmSyncSourceFault",
        "SsmSyncStale",
        "SsmSyncStuck",
        "SsmSyncTargetDown",
    ];
    let deadline = Instant::now() + Duration::from_mins(2);
    let firing = loop {
        let answer = prometheus.api("/api/v1/alerts").await;
        let mut firing: Vec<Value> = list(&answer["data"]["alerts"]).to_vec();
        firing.retain(|alert| alert["state"] == "firing");
        firing.sort_by_key(|alert| alert["labels"]["alertname"].to_string());
        let names: Vec<&Value> = firing.iter().map(|alert| &alert["labels"]["alertname"]).collect();
        if names == expected {
            break firing;
        }
        assert!(Instant::now() < deadline, "{firing:#?}");
        sleep(Duration::from_millis(200)).await;
    };

    let [failed, missing, quota, source, stale, stuck, down] = &firing[..] else { unreachable!() };
    for (label, value) in [
        ("account_name", "staging"),
        ("aws_account_id", "222233334444"),
        ("aws_region", "eu-west-1"),
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
    assert!(described.contains("to bucket staging-patch-compliance."), "{described}");
    let summary = |alert: &Value| alert["annotations"]["summary"].clone();
    assert_eq!(summary(missing), "Sync org-inventory is missing in 666677778888, eu-west-1");
    assert_eq!(
        quota["annotations"]["description"],
        "No sync can be created there: a roll-out over the organization fails in this account. Who has \
         them: customer 1; inspector 1; license_manager 2; quick_setup 1;"
    );
    assert_eq!(source["labels"]["state"], "InvalidOrganizationalUnit");
    assert_eq!(stale["labels"]["account_name"], "security");
    assert_eq!(stuck["labels"]["sync_name"], "license-manager-sync");
    assert_eq!(summary(down), "sandbox, 555566667777 cannot be polled in 3 regions: assume_role_denied");

    let loaded = prometheus.api("/api/v1/rules").await;
    let loaded: Vec<&Value> =
        list(&loaded["data"]["groups"]).iter().flat_map(|group| list(&group["rules"])).collect();
    assert_eq!(loaded.len(), RULES.iter().map(|file| rules(file).len()).sum::<usize>());
    for rule in loaded {
        assert_eq!((&rule["health"], &rule["lastError"]), (&Value::from("ok"), &Value::Null), "{rule}");
    }
    // Those with a source may not have had their first success yet.
    let to_buckets = "ssm_sync:without_success_seconds{sync_type=\"SyncToDestination\"}";
    assert_eq!(prometheus.query(to_buckets).await.len(), 20);
}
