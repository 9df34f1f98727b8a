//! Grafana Alloy and the OpenTelemetry Collector, which are in none of the registries that the tests use.

use std::collections::BTreeMap;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::page;
use crate::deploy::{list, place, succeed, text, yaml};
use crate::tools;

const ALLOY: &str = "deploy/ingestion/grafana-alloy/config.alloy";
const COLLECTOR: &str = "deploy/ingestion/opentelemetry-collector/config.yaml";

/// The arguments and blocks of Alloy that the configuration may use, from Alloy's reference, and those of
/// them that are required.
const ALLOY_REFERENCE: [(&str, &[&str], &[&str]); 4] = [
    (
        "prometheus.scrape",
        &[
            "targets",
            "forward_to",
            "job_name",
            "scrape_interval",
            "scrape_timeout",
            "scheme",
            "tls_config",
            "basic_auth",
        ],
        &["targets", "forward_to"],
    ),
    ("prometheus.remote_write", &["endpoint", "external_labels"], &[]),
    ("prometheus.remote_write.endpoint", &["url", "basic_auth", "sigv4", "headers"], &["url"]),
    ("prometheus.remote_write.endpoint.basic_auth", &["username", "password", "password_file"], &[]),
];

/// Checks the arguments of a block, and of the blocks in it.
fn check_arguments(name: &str, block: &Value) {
    let reference = ALLOY_REFERENCE.iter().find(|(block, _, _)| *block == name);
    let (_, known, required) = reference.unwrap_or_else(|| panic!("{name} is not in the reference"));
    let arguments = block.as_object().unwrap();
    for argument in arguments.keys() {
        assert!(known.contains(&argument.as_str()), "{name} has no {argument}");
    }
    for argument in *required {
        assert!(arguments.contains_key(*argument), "{name} requires {argument}");
    }
    for (argument, value) in arguments {
        // A block is a list with its body.
        if let [body @ Value::Object(_)] = list(value)
            && argument != "targets"
        {
            check_arguments(&format!("{name}.{argument}"), body);
        }
    }
}

/// Alloy's syntax is that of HCL, except for the dots in the names of components and for its comments.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_configuration_of_alloy_has_components_and_arguments_that_exist() {
    let output = succeed(tools::python().arg(place("tests/python/alloy_config.py")).arg(place(ALLOY)));
    let components: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        components.keys().collect::<Vec<_>>(),
        ["prometheus.remote_write.default", "prometheus.scrape.ssm_sync_exporter"]
    );
    for (component, body) in &components {
        check_arguments(component.rsplit_once('.').unwrap().0, body);
    }
    let scrape = &components["prometheus.scrape.ssm_sync_exporter"];
    assert_eq!(scrape["job_name"], yaml("deploy/prometheus/scrape.yml")["scrape_configs"][0]["job_name"]);
    assert_eq!(scrape["targets"], json!([{"__address__": "localhost:10144"}]));
    assert_eq!(scrape["forward_to"], json!(["${prometheus.remote_write.default.receiver}"]));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_receiver_of_the_collector_has_a_configuration_of_prometheus() {
    let config = yaml(COLLECTOR)["receivers"]["prometheus"]["config"].clone();
    // The collector reads $$ as $, and a single $ as a variable.
    let text = serde_json::to_string(&config).unwrap().replace("$$", "");
    assert!(!text.contains('$'), "{text}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("prometheus.yml");
    std::fs::write(&file, text).unwrap();
    succeed(tools::promtool().args(["check", "config", "--agent"]).arg(file));
    assert_eq!(config["scrape_configs"], yaml("deploy/prometheus/scrape.yml")["scrape_configs"]);
}

#[test]
fn the_pipeline_of_the_collector_uses_each_configured_component() {
    let config = yaml(COLLECTOR);
    let pipelines = config["service"]["pipelines"].as_object().unwrap();
    assert_eq!(pipelines.keys().collect::<Vec<_>>(), ["metrics"]);
    for kind in ["receivers", "processors", "exporters"] {
        let configured: Vec<&String> = config[kind].as_object().unwrap().keys().collect();
        let used = list(&pipelines["metrics"][kind]).iter().map(|name| name.as_str().unwrap());
        assert_eq!(configured, used.collect::<Vec<_>>(), "{kind}");
    }
    let exporter: Vec<&String> =
        config["exporters"]["prometheusremotewrite"].as_object().unwrap().keys().collect();
    assert_eq!(exporter, ["add_metric_suffixes", "endpoint", "target_info"]);
    for page in ["grafana-alloy", "opentelemetry-collector"].map(page) {
        assert!(text(&page).contains("\nNot run: "), "{page} has to say that it is untested");
    }
}
