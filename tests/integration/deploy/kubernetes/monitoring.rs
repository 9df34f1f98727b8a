//! What is there for the Prometheus operator and for Grafana.

use std::path::Path;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::chart::{CHART, Rendered, documents, helm_template, list, matches, string, template};
use crate::deploy::{place, succeed, text};
use crate::tools;

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_job_and_the_times_of_the_scrape_are_those_that_are_asked_for() {
    let rendered = Rendered::of("everything");
    let monitor = rendered.the("ServiceMonitor");
    let job = string(&monitor["spec"]["jobLabel"]);
    assert_eq!(rendered.the("Service")["metadata"]["labels"][job], "ssm-sync-exporter");
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!((&endpoint["interval"], &endpoint["scrapeTimeout"]), (&json!("1m"), &json!("20s")));
    assert_eq!(endpoint["relabelings"], json!([{"targetLabel": "cluster", "replacement": "production"}]));
    assert_eq!(monitor["metadata"]["labels"]["release"], "kube-prometheus-stack");
    let endpoint = Rendered::of("organization").the("ServiceMonitor")["spec"]["endpoints"][0].clone();
    assert_eq!((&endpoint["interval"], &endpoint["scrapeTimeout"]), (&Value::Null, &Value::Null));
}

/// What promtool says about the groups of a rule, and the groups.
fn rules(rendered: &Rendered) -> Vec<Value> {
    let rule = rendered.the("PrometheusRule");
    let file = tempfile::NamedTempFile::new().unwrap();
    // JSON is YAML.
    std::fs::write(file.path(), rule["spec"].to_string()).unwrap();
    succeed(tools::promtool().args(["check", "rules", "--lint=all", "--lint-fatal"]).arg(file.path()));
    list(&rule["spec"]["groups"]).to_vec()
}

/// The groups of what is kept for Prometheus without Kubernetes.
fn sources() -> Vec<Value> {
    let groups =
        |file: &str| list(&documents(&text(&format!("deploy/prometheus/{file}")), &[])[0]["groups"]).to_vec();
    [groups("recording-rules.yml"), groups("alerts.yml")].concat()
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn rules_are_those_that_are_kept_for_prometheus() {
    assert_eq!(rules(&Rendered::of("organization")), sources());
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn alerts_get_labels_and_syncs_get_thresholds() {
    let rendered = Rendered::of("everything");
    assert_eq!(rendered.the("PrometheusRule")["metadata"]["labels"]["release"], "kube-prometheus-stack");
    let mut groups = rules(&rendered);
    let thresholds = groups.pop().unwrap();
    assert_eq!(
        thresholds,
        json!({"name": "ssm-sync-thresholds", "rules": [
            {
                "record": "ssm_sync:max_success_age_seconds:exception",
                "expr": "691200 + 0 * max by (aws_account_id, aws_region, sync_type, sync_name) (aws_ssm_resource_data_sync_info{sync_name=\"weekly-archive\"})",
                "labels": {"exception": "archive"},
            },
            {
                "record": "ssm_sync:max_success_age_seconds:exception",
                "expr": "2592000 + 0 * max by (aws_account_id, aws_region, sync_type, sync_name) (aws_ssm_resource_data_sync_info{aws_account_id=~\"11112222[0-9]{4}\",sync_type=\"SyncToDestination\"})",
                "labels": {"exception": "idle-accounts"},
            },
        ]})
    );
    let mut expected = sources();
    for rule in expected.iter_mut().flat_map(|group| group["rules"].as_array_mut().unwrap()) {
        if rule["alert"].is_string() {
            rule["labels"]["team"] = json!("platform");
        }
    }
    assert_eq!(groups, expected);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn an_alert_can_be_left_out() {
    let names = |groups: Vec<Value>| -> Vec<String> {
        let rules = groups.iter().flat_map(|group| list(&group["rules"]).to_vec());
        rules.filter_map(|rule| rule["alert"].as_str().map(str::to_owned)).collect()
    };
    let mut expected = names(sources());
    let left_out = expected[0].clone();
    let set = format!("prometheusRule.disabledAlerts={{{left_out}}}");
    expected.retain(|name| *name != left_out);
    assert_eq!(names(rules(&Rendered::with("organization", &["--set", &set]))), expected);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn dashboards_are_those_that_are_kept_for_grafana() {
    for (name, labels) in [
        ("organization", json!({"grafana_dashboard": "1"})),
        ("everything", json!({"grafana_dashboard": "1", "team": "platform"})),
    ] {
        let rendered = Rendered::of(name);
        let mut found = Vec::new();
        for map in rendered.all("ConfigMap") {
            let data = map["data"].as_object().unwrap();
            if data.contains_key("config.yaml") {
                assert!(!matches(&labels, &map["metadata"]["labels"]), "the sidecar is not to load it");
                continue;
            }
            assert!(matches(&labels, &map["metadata"]["labels"]), "{name}: {}", map["metadata"]);
            for (file, dashboard) in data {
                let source = format!("deploy/grafana/{}", file.strip_prefix("ssm-sync-").unwrap());
                assert_eq!(string(dashboard).trim_end(), text(&source).trim_end(), "{name}: {file}");
                let dashboard: Value = serde_json::from_str(string(dashboard)).unwrap();
                found.push(dashboard["uid"].clone());
            }
        }
        assert_eq!(found, ["ssm-sync-fleet", "ssm-sync-detail"], "{name}");
    }
}

/// A file that is not linked would not be in the chart, and nobody would miss it.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn every_dashboard_is_in_the_chart() {
    let names = |directory: &str| {
        let entries = std::fs::read_dir(place(directory)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> =
            names.filter(|name| name.rsplit_once('.').is_some_and(|(_, kind)| kind == "json")).collect();
        names.sort();
        names
    };
    assert_eq!(names(&format!("{CHART}/dashboards")), names("deploy/grafana"));
}

/// Braces in rules and dashboards are Prometheus's and Grafana's, and not Helm's.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn helm_leaves_templates_of_others_alone() {
    // Helm folds long lines anew.
    let named = |text: &str| text.split_whitespace().collect::<String>().matches("{{$labels.").count();
    let alerts = named(&text("deploy/prometheus/alerts.yml"));
    assert!(alerts > 10, "nothing to leave alone");
    assert_eq!(named(&template(&place(CHART), "organization", &[])), alerts);
}

/// Where links are not followed they are left out, or texts that hold a path.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn rules_and_dashboards_do_not_vanish_with_the_links() {
    for as_text in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let chart = directory.path();
        copy(&place(CHART), chart, as_text);
        for (enabled, file) in
            [("prometheusRule", "rules/recording-rules.yml"), ("dashboards", "dashboards/fleet.json")]
        {
            let mut applier = helm_template(chart);
            applier.args(["--set", &format!("image.repository=x,{enabled}.enabled=true")]);
            let output = applier.output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            let file = if as_text || enabled == "prometheusRule" { file } else { "dashboards" };
            assert!(!output.status.success(), "{file} is not missed");
            let first = said.lines().next().unwrap();
            assert!(first.contains(&format!("{file}: there is nothing of use in the chart. ")), "{said}");
            assert!(
                first.ends_with("take the chart as `applier package` makes it of the whole repository"),
                "{said}"
            );
        }
        // Who wants neither needs neither.
        succeed(helm_template(chart).args(["--set", "image.repository=x"]));
    }
}

/// Copies a directory without its links, or with where they lead as text.
fn copy(from: &Path, to: &Path, links_as_text: bool) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target, links_as_text);
        } else if !kind.is_symlink() {
            std::fs::copy(entry.path(), target).unwrap();
        } else if links_as_text {
            let leads_to = std::fs::read_link(entry.path()).unwrap();
            std::fs::write(target, leads_to.to_str().unwrap()).unwrap();
        }
    }
}
