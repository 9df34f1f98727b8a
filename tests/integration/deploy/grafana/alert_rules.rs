//! The alert rules for Grafana, which are generated from those for Prometheus.

use std::collections::BTreeSet;
use std::time::Duration;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::rules::{DEMO_ALERTS, rules, unit_tests};
use super::{list, place, succeed, text};
use crate::process::ExporterProcess;
use crate::prometheus::Prometheus;
use crate::tools;

const RULES: &str = "deploy/grafana/alerting/ssm-sync-alerts.yaml";

/// The rules of the file as groups of rules for Prometheus, and the settings of the contact points.
fn provisioned() -> Value {
    let mut script = tools::python();
    script
        .arg(place("tests/python/grafana_alert_rules.py"))
        .arg(place(RULES))
        .arg(place("deploy/grafana/alerting/notifications.yaml"));
    serde_json::from_slice(&succeed(&mut script).stdout).unwrap()
}

fn as_prometheus_rules() -> Value {
    json!({"groups": provisioned()["groups"]})
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_alert_rules_are_those_that_the_program_generates() {
    let output = succeed(tools::python().arg(place("deploy/grafana/alerting/generate.py")));
    assert_eq!(text(RULES), String::from_utf8(output.stdout).unwrap());
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn grafana_has_every_alert_of_prometheus_without_recording_rules() {
    let converted = as_prometheus_rules();
    let converted = list(&converted["groups"]).iter().flat_map(|group| list(&group["rules"]).to_vec());
    let without_expression = |rules: Vec<Value>| -> Vec<Value> {
        let mut rules = rules;
        for rule in &mut rules {
            rule.as_object_mut().unwrap().remove("expr");
        }
        rules
    };
    assert_eq!(without_expression(converted.collect()), without_expression(rules("alerts.yml")));
    let generated = text(RULES);
    for rule in rules("recording-rules.yml") {
        let name = rule["record"].as_str().unwrap();
        assert!(!generated.contains(name), "{name}");
    }
}

/// Grafana replaces `$number` in the settings of a contact point by an environment variable, so the text
/// was not a template any more.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_texts_of_the_contact_points_are_templates_after_grafana_has_replaced_variables() {
    let settings = provisioned()["settings"].take();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data.json");
    let render = |status: &str, summaries: &[&str], text: &Value| {
        let alert = |summary| json!({"status": status, "annotations": {"summary": summary}});
        let alerts: Vec<Value> = summaries.iter().map(alert).collect();
        let common = json!({"status": status, "alerts": alerts, "commonLabels": {"alertname": "SsmSyncFailed"},
            "commonAnnotations": {"runbook_url": "https://runbook.example"}, "externalURL": "https://grafana.example"});
        std::fs::write(&data, common.to_string()).unwrap();
        let mut amtool = tools::amtool();
        amtool.args(["template", "render", "--template.glob=/dev/null"]);
        amtool.arg(format!("--template.data={}", data.display()));
        amtool.arg(format!("--template.text={}", text.as_str().unwrap()));
        String::from_utf8(succeed(&mut amtool).stdout).unwrap()
    };
    let one = ["Sync <!channel> & co failed"];
    let six = ["1", "2", "3", "4", "5", "6"];
    let (slack, pagerduty) =
        (&settings["ssm-sync-slack-critical"], &settings["ssm-sync-pagerduty"]["summary"]);
    assert_eq!(render("resolved", &one, &slack["title"]), "Resolved: Sync &lt;!channel&gt; &amp; co failed");
    assert_eq!(render("firing", &six, &slack["title"]), "6 alerts SsmSyncFailed");
    let text = render("firing", &one, &slack["text"]);
    assert_eq!(text, "• Sync &lt;!channel&gt; &amp; co failed\nhttps://runbook.example");
    let text = render("firing", &six, &slack["text"]);
    assert_eq!(text, "• 1\n• 2\n• 3\n• 4\n• 5\nand 1 more\nhttps://runbook.example");
    assert_eq!(render("firing", &one, pagerduty), one[0]);
    assert_eq!(render("firing", &six, pagerduty), "6 alerts SsmSyncFailed");
}

/// Whether a time of a unit test, in minutes or hours, is at most six hours.
fn is_early(check: &Value) -> bool {
    let time = check["eval_time"].as_str().unwrap();
    let (number, minutes) = time.strip_suffix('h').map_or((&time[..time.len() - 1], 1), |hours| (hours, 60));
    number.parse::<u32>().unwrap_or_else(|error| panic!("{time}: {error}")) * minutes <= 360
}

/// The tests of the rules for Prometheus, without recording rules.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_alert_rules_pass_the_unit_tests_of_those_for_prometheus() {
    // The time at which a sync was last listed replaces that at which it was first missing, so the
    // alert fires a few minutes earlier and has another time in its description.
    let without_time = |text: &str| {
        let parts = text.split(", as of ").enumerate();
        let parts = parts.map(|(n, part)| if n == 0 { part } else { part.split_once(',').unwrap().1 });
        parts.collect::<Vec<_>>().join(",")
    };
    let groups: Value = serde_json::from_str(&without_time(&as_prometheus_rules().to_string())).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut promtool = tools::promtool();
    promtool.args(["test", "rules"]);
    for (number, file) in unit_tests().iter().enumerate() {
        let source = without_time(&text(file));
        // Other alerts would take most of the time, above all the query over three days.
        let mut rules = groups.clone();
        for group in rules["groups"].as_array_mut().unwrap() {
            let tested =
                |rule: &Value| source.contains(&format!("alertname: {}", rule["alert"].as_str().unwrap()));
            group["rules"].as_array_mut().unwrap().retain(tested);
        }
        std::fs::write(directory.path().join(format!("{number}.yml")), rules.to_string()).unwrap();

        let mut tests: Value = serde_saphyr::from_str(&source).unwrap();
        assert_eq!(tests["rule_files"], json!(["../recording-rules.yml", "../alerts.yml"]), "{file}");
        tests["rule_files"] = json!([format!("{number}.yml")]);
        if file.contains("vanished") {
            for test in tests["tests"].as_array_mut().unwrap() {
                let checks = test["alert_rule_test"].as_array_mut().unwrap();
                checks.retain(|check| is_early(check) && check["eval_time"] != "111m");
            }
        }
        let path = directory.path().join(format!("{number}.test.yml"));
        std::fs::write(&path, tests.to_string()).unwrap();
        promtool.arg(path);
    }
    succeed(&mut promtool);
}

/// Grafana evaluates the queries one by one, as instant queries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_queries_find_the_faults_of_the_demo_and_no_others() {
    let demo = ExporterProcess::demo();
    let config = json!({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "ssm-sync-exporter", "static_configs": [{"targets": [demo.address.to_string()]}]}],
    });
    let prometheus = Prometheus::with_config(tempfile::tempdir().unwrap(), &config.to_string()).await;
    let groups = as_prometheus_rules();
    let rules: Vec<&Value> = list(&groups["groups"]).iter().flat_map(|group| list(&group["rules"])).collect();
    let expected = BTreeSet::from(DEMO_ALERTS);
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let mut firing = BTreeSet::new();
        for rule in &rules {
            // Prometheus aligns the steps of subqueries, so the first of a minute is up to a minute away.
            let expression = rule["expr"].as_str().unwrap().replace(":1m]", ":1s]");
            let encoded: Vec<String> = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let answer = prometheus.api(&format!("/api/v1/query?query={}", encoded.concat())).await;
            assert_eq!((&answer["status"], &answer["warnings"]), (&json!("success"), &Value::Null), "{rule}");
            assert_eq!(answer["data"]["resultType"], "vector", "{rule}");
            for series in list(&answer["data"]["result"]) {
                let value: f64 = series["value"][1].as_str().unwrap().parse().unwrap();
                assert!(value > -1.0, "Grafana would not fire for {series}");
                firing.insert(rule["alert"].as_str().unwrap());
            }
        }
        // Other alerts may be pending during startup.
        if firing == expected {
            break;
        }
        assert!(Instant::now() < deadline, "{firing:?}");
        sleep(Duration::from_millis(200)).await;
    }
}
