//! Names, namespaces and labels of the objects, and the selectors that rely on them.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::chart::{CHART, NAMESPACE, Rendered, documents, matches, string, value_file, value_sets, values};
use crate::deploy::{place, succeed};
use crate::tools;

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn object_names_are_unique_and_all_objects_belong_to_the_release() {
    for name in value_sets() {
        let rendered = Rendered::of(&name);
        let values = values(&name);
        let namespace = values["namespaceOverride"].as_str().unwrap_or(NAMESPACE);
        let part_of = values["nameOverride"].as_str().unwrap_or("ssm-sync-exporter");
        let mut seen = BTreeSet::new();
        for object in &rendered.objects {
            let metadata = &object["metadata"];
            let id = format!("{} {}", object["kind"], metadata["name"]);
            // Objects for Prometheus and Grafana may be in their namespaces.
            let own = match string(&object["kind"]) {
                "ServiceMonitor" => &values["serviceMonitor"]["namespace"],
                "PodMonitor" => &values["podMonitor"]["namespace"],
                "PrometheusRule" => &values["prometheusRule"]["namespace"],
                "AlertmanagerConfig" => &values["alertmanagerConfig"]["namespace"],
                "ConfigMap" if id.contains("-alertmanager-templates") => {
                    &values["alertmanagerConfig"]["namespace"]
                }
                "ConfigMap" if id.contains("-dashboard-") => &values["dashboards"]["namespace"],
                _ => &Value::Null,
            };
            assert_eq!(metadata["namespace"], own.as_str().unwrap_or(namespace), "{name}: {id}");
            assert_eq!(metadata["labels"]["app.kubernetes.io/name"], part_of, "{name}: {id}");
            assert_eq!(metadata["labels"]["app.kubernetes.io/managed-by"], "Helm", "{name}: {id}");
            assert!(seen.insert(id.clone()), "{name}: {id} is rendered twice");
        }
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn selectors_match_the_pods_and_the_service() {
    for name in value_sets() {
        let rendered = Rendered::of(&name);
        let workload = rendered.workload();
        let labels = &workload["spec"]["template"]["metadata"]["labels"];
        let service = rendered.service();
        let mut selectors = vec![&workload["spec"]["selector"]["matchLabels"]];
        selectors.extend(rendered.all("Service").iter().map(|service| &service["spec"]["selector"]));
        selectors.extend(
            rendered.all("NetworkPolicy").iter().map(|policy| &policy["spec"]["podSelector"]["matchLabels"]),
        );
        selectors.extend(
            rendered
                .all("PodDisruptionBudget")
                .iter()
                .map(|budget| &budget["spec"]["selector"]["matchLabels"]),
        );
        if let Some(constraints) = rendered.pod()["topologySpreadConstraints"].as_array() {
            selectors
                .extend(constraints.iter().map(|constraint| &constraint["labelSelector"]["matchLabels"]));
        }
        for selector in selectors {
            assert!(matches(selector, labels), "{name}: {selector} of {labels}");
        }
        for monitor in rendered.all("ServiceMonitor") {
            let selector = &monitor["spec"]["selector"]["matchLabels"];
            assert!(matches(selector, &service["metadata"]["labels"]), "{name}: {selector}");
        }
        for monitor in rendered.all("PodMonitor") {
            assert!(matches(&monitor["spec"]["selector"]["matchLabels"], labels), "{name}");
        }
        let account = string(&rendered.pod()["serviceAccountName"]).to_owned();
        match rendered.all("ServiceAccount")[..] {
            [made] => assert_eq!(made["metadata"]["name"], account, "{name}"),
            _ => assert_eq!((name.as_str(), account.as_str()), ("certificates", "monitoring")),
        }
    }
}

/// A selector of a workload cannot be changed, so an upgrade with other labels would fail.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn common_labels_are_on_every_object_and_pod_and_in_no_selector() {
    let label = "example.org/cost-center";
    for name in value_sets() {
        let without = Rendered::with(&name, &["--set", "commonLabels=null"]);
        let with = Rendered::with(&name, &["--set-string", "commonLabels.example\\.org/cost-center=0815"]);
        assert_eq!(without.objects.len(), with.objects.len());
        for (before, after) in without.objects.iter().zip(&with.objects) {
            let id = format!("{name}: {} {}", after["kind"], after["metadata"]["name"]);
            // Further objects are rendered as the user wrote them.
            if ["Role", "RoleBinding", "BackendTLSPolicy"].contains(&string(&after["kind"])) {
                assert_eq!(before, after, "{id}");
                continue;
            }
            let mut expected = before.clone();
            expected["metadata"]["labels"][label] = json!("0815");
            if before["spec"]["template"].is_object() {
                expected["spec"]["template"]["metadata"]["labels"][label] = json!("0815");
            }
            assert_eq!(*after, expected, "{id}");
        }
    }
}

/// Selectors rely on the chart's labels.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn user_labels_do_not_override_the_labels_of_the_chart() {
    let label = "app\\.kubernetes\\.io/name=mine";
    let set = ["commonLabels", "podLabels", "service.labels", "serviceMonitor.labels", "workloadLabels"]
        .map(|key| format!("{key}.{label}"))
        .join(",");
    assert_eq!(Rendered::with("web", &["--set", &set]).objects, Rendered::of("web").objects);
}

/// References between objects follow the name and the namespace of the values.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn an_overridden_name_and_namespace_are_used_everywhere() {
    let arguments = ["--set", "nameOverride=gov,namespaceOverride=exporters,serviceMonitor.enabled=true"];
    for name in ["organization", "pod-identity", "sharded", "tls", "rate-limit"] {
        let mut helm = tools::helm();
        helm.args(["template", "x", "--namespace", NAMESPACE]).arg(place(CHART));
        let output = succeed(helm.arg("--values").arg(value_file(name)).args(arguments));
        let yaml = String::from_utf8(output.stdout).unwrap();
        // The rules and the dashboards name the exporter, and are no references.
        let own = yaml.lines().filter(|line| !line.contains("\\\"") && !line.starts_with("      "));
        for line in own {
            assert!(!line.contains("x-ssm-sync-exporter"), "{name}: {line}");
            assert!(!line.contains(&format!(": \"{NAMESPACE}\"")), "{name}: {line}");
        }
        for object in documents(&yaml, &[]) {
            let metadata = &object["metadata"];
            assert_eq!(metadata["namespace"], "exporters", "{name}: {}", object["kind"]);
            let account = object["kind"] == "ServiceAccount" && name == "pod-identity";
            assert!(account || string(&metadata["name"]).starts_with("x-gov"), "{name}: {metadata}");
        }
    }
    let rendered = Rendered::with("tls", &arguments);
    let endpoint = &rendered.the("ServiceMonitor")["spec"]["endpoints"][0];
    assert_eq!(endpoint["tlsConfig"]["serverName"], "ssm-sync-exporter-gov.exporters.svc");
    // The job name does not follow, because rules and dashboards expect it.
    assert_eq!(endpoint["relabelings"], json!([{"targetLabel": "job", "replacement": "ssm-sync-exporter"}]));
    let rendered =
        Rendered::with("sharded", &[&arguments[..], &["--set", "serviceMonitor.jobLabel=example"]].concat());
    let spec = &rendered.the("ServiceMonitor")["spec"];
    assert_eq!((&spec["jobLabel"], &spec["endpoints"][0]["relabelings"]), (&json!("example"), &Value::Null));
    assert_eq!(rendered.workload()["spec"]["serviceName"], rendered.service()["metadata"]["name"]);
}

/// The operator searches the namespace of a monitor, unless the monitor names another.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_monitor_in_another_namespace_selects_the_namespace_of_the_pods() {
    for (name, kind, namespace) in [
        ("renamed", "PodMonitor", Some("exporters")),
        ("host-network", "ServiceMonitor", Some(NAMESPACE)),
        ("web", "ServiceMonitor", None),
    ] {
        let rendered = Rendered::of(name);
        let selector = &rendered.the(kind)["spec"]["namespaceSelector"];
        let expected = namespace.map_or(Value::Null, |namespace| json!({"matchNames": [namespace]}));
        assert_eq!(*selector, expected, "{name}");
    }
    let same = Rendered::with("web", &["--set", &format!("serviceMonitor.namespace={NAMESPACE}")]);
    assert_eq!(same.objects, Rendered::of("web").objects);
}

/// A `StatefulSet` uses its name, a hyphen and a hash of ten characters as a label value, of at
/// most 63.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn names_are_short_enough_for_labels() {
    let long = "r".repeat(53);
    let mut helm = tools::helm();
    let output = succeed(
        helm.args(["template", &long]).arg(place(CHART)).args(["--set", "image.repository=x,shards=12"]),
    );
    for object in documents(&String::from_utf8(output.stdout).unwrap(), &[]) {
        let name = string(&object["metadata"]["name"]);
        assert!(name.len() + 11 <= 63 && !name.ends_with('-'), "{name}");
    }
}

/// Without quotes, YAML would parse these names as numbers or booleans.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn names_that_look_like_numbers_or_booleans_are_quoted() {
    for release in ["123", "on", "1e3"] {
        for more in ["", ",fullnameOverride=on,web.tlsSecret=0123"] {
            for name in ["organization", "sharded", "tls", "pod-identity"] {
                let mut helm = tools::helm();
                helm.args(["template", release, "--namespace", "007"]).arg(place(CHART));
                helm.arg("--values")
                    .arg(value_file(name))
                    .args(["--set-string", &format!("image.tag=x{more}")]);
                let yaml = String::from_utf8(succeed(&mut helm).stdout).unwrap();
                for line in yaml.lines() {
                    let value = line.split_once(": ").map_or("", |(_, value)| value);
                    assert!(!["123", "on", "1e3", "007", "0123"].contains(&value), "{release}: {line}");
                }
                let objects = documents(&yaml, &[]);
                for object in &objects {
                    let metadata = &object["metadata"];
                    assert_eq!(metadata["namespace"], "007", "{}", object["kind"]);
                    assert_eq!(metadata["labels"]["app.kubernetes.io/instance"], release);
                }
            }
        }
    }
}
