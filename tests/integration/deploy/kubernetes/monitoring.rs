//! The objects for the Prometheus operator and for Grafana.

use std::path::Path;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::chart::{CHART, NAMESPACE, Rendered, documents, helm_template, list, matches, string, template};
use crate::deploy::{place, succeed, text};
use crate::tools;

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_service_monitor_has_the_job_labels_and_intervals_of_the_values() {
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

/// The groups of the `PrometheusRule`, checked with promtool.
fn rules(rendered: &Rendered) -> Vec<Value> {
    let rule = rendered.the("PrometheusRule");
    let file = tempfile::NamedTempFile::new().unwrap();
    // promtool reads YAML, and JSON is valid YAML.
    std::fs::write(file.path(), rule["spec"].to_string()).unwrap();
    succeed(tools::promtool().args(["check", "rules", "--lint=all", "--lint-fatal"]).arg(file.path()));
    list(&rule["spec"]["groups"]).to_vec()
}

/// The rule groups in `deploy/prometheus`.
fn source_groups() -> Vec<Value> {
    let groups =
        |file: &str| list(&documents(&text(&format!("deploy/prometheus/{file}")), &[])[0]["groups"]).to_vec();
    [groups("recording-rules.yml"), groups("alerts.yml")].concat()
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_prometheus_rule_has_the_rules_of_deploy_prometheus() {
    assert_eq!(rules(&Rendered::of("organization")), source_groups());
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn alerts_have_the_labels_of_the_values_and_the_namespace_that_the_operator_routes() {
    let key = "alertmanagerConfig.slack.apiURL";
    let set = format!("alertmanagerConfig.enabled=true,{key}.name=slack,{key}.key=url");
    let own = format!("{{{{ with $labels.namespace }}}}{{{{ . }}}}{{{{ else }}}}{NAMESPACE}{{{{ end }}}}");
    let everything = Rendered::of("everything");
    assert_eq!(everything.the("PrometheusRule")["metadata"]["labels"]["release"], "kube-prometheus-stack");
    let organization = Rendered::with("organization", &["--set", &set]);
    for (rendered, labels) in [
        // An alert with the label of the exporter's namespace would not reach a route in another one.
        (everything, json!({"team": "platform", "namespace": "alerting"})),
        (organization, json!({"namespace": own})),
    ] {
        let mut expected = source_groups();
        for rule in expected.iter_mut().flat_map(|group| group["rules"].as_array_mut().unwrap()) {
            if rule["alert"].is_string() {
                rule["labels"].as_object_mut().unwrap().extend(labels.as_object().unwrap().clone());
            }
        }
        assert_eq!(rules(&rendered), expected);
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_disabled_alert_is_left_out() {
    let names = |groups: Vec<Value>| -> Vec<String> {
        let rules = groups.iter().flat_map(|group| list(&group["rules"]).to_vec());
        rules.filter_map(|rule| rule["alert"].as_str().map(str::to_owned)).collect()
    };
    let mut expected = names(source_groups());
    let disabled = expected[0].clone();
    let set = format!("prometheusRule.disabledAlerts={{{disabled}}}");
    expected.retain(|name| *name != disabled);
    assert_eq!(names(rules(&Rendered::with("organization", &["--set", &set]))), expected);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_dashboards_are_those_of_deploy_grafana() {
    for (name, labels) in [
        ("organization", json!({"grafana_dashboard": "1"})),
        ("everything", json!({"grafana_dashboard": "1", "team": "platform"})),
    ] {
        let rendered = Rendered::of(name);
        let mut found = Vec::new();
        for map in rendered.all("ConfigMap") {
            let data = map["data"].as_object().unwrap();
            if data.contains_key("config.yaml") || data.contains_key("ssm-sync.tmpl") {
                assert!(
                    !matches(&labels, &map["metadata"]["labels"]),
                    "the sidecar must load nothing but dashboards"
                );
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

/// A dashboard without a symbolic link would be missing from the chart unnoticed.
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

/// Rules and dashboards contain templates of Prometheus and Grafana, which Helm must not render.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn templates_in_rules_are_not_rendered_by_helm() {
    // Helm wraps long lines differently, so compare without white space.
    let count_templates =
        |text: &str| text.split_whitespace().collect::<String>().matches("{{$labels.").count();
    let alerts = count_templates(&text("deploy/prometheus/alerts.yml"));
    assert!(alerts > 10, "the alerts have no templates to test with");
    assert_eq!(count_templates(&template(&place(CHART), "organization", &[])), alerts);
}

/// Tools that do not follow symbolic links drop them or replace them by text files with the link's
/// path.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn missing_symbolic_links_are_reported() {
    for as_text in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let chart = directory.path();
        copy(&place(CHART), chart, as_text);
        for (enabled, file) in [
            ("prometheusRule", "rules/recording-rules.yml"),
            ("dashboards", "dashboards/fleet.json"),
            ("alertmanagerConfig", "alertmanager/alertmanager.yml"),
        ] {
            let mut helm = helm_template(chart);
            helm.args(["--set", &format!("image.repository=x,{enabled}.enabled=true")]);
            let output = helm.output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            let file = if as_text || enabled != "dashboards" { file } else { "dashboards" };
            assert!(!output.status.success(), "the missing {file} is not reported");
            let first = stderr.lines().next().unwrap();
            assert!(first.contains(&format!("{file} is missing from the chart or not usable: ")), "{stderr}");
            assert!(
                first.ends_with(
                    "use an archive built by `helm package` in a checkout of the whole repository"
                ),
                "{stderr}"
            );
        }
        // The chart works without them if both are disabled.
        succeed(helm_template(chart).args(["--set", "image.repository=x"]));
    }
}

/// Copies a directory without its symbolic links, or with text files that contain the links'
/// targets.
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
            let link_target = std::fs::read_link(entry.path()).unwrap();
            std::fs::write(target, link_target.to_str().unwrap()).unwrap();
        }
    }
}
