//! Prometheus in agent mode, and a second Prometheus that receives what it writes.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use super::{
    alerts_fire_and_end_with_the_exporter, arguments, evaluated_rules, free_address, page, replaced, start,
    write_rules,
};
use crate::deploy::{place, succeed, text};
use crate::process::ExporterProcess;
use crate::prometheus::Prometheus;
use crate::tools;

const CONFIG: &str = "deploy/ingestion/prometheus-agent/prometheus.yml";

/// A Prometheus that receives remote write and evaluates these files of its directory.
pub(super) async fn receiver(directory: TempDir, rules: &[&str]) -> Prometheus {
    let config = format!("global: {{evaluation_interval: 1s}}\nrule_files: [{}]\n", rules.join(", "));
    Prometheus::with_flags(directory, &config, &["--web.enable-remote-write-receiver"]).await
}

/// Starts an agent with the arguments of a page. `config` is the text of its configuration.
pub(super) fn agent(
    page: &str,
    config: &str,
    directory: &Path,
    environment: &[(&str, &str)],
) -> tools::KillOnDrop {
    let file = directory.join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let storage = directory.join("storage");
    let arguments = arguments(page, "prometheus").join("\n");
    let arguments = replaced(
        &arguments,
        &[
            ("=prometheus.yml", &format!("={}", file.display())),
            ("/var/lib/prometheus-agent", storage.to_str().unwrap()),
        ],
    );
    let mut prometheus = tools::prometheus();
    prometheus.args(arguments.lines()).arg(format!("--web.listen-address={}", free_address()));
    prometheus.envs(environment.iter().copied());
    start(&mut prometheus, &directory.join("log"))
}

/// The configuration of an agent, with short intervals, for this exporter and this receiver.
pub(super) fn accelerated_config(
    file: &str,
    url: &str,
    exporter: SocketAddr,
    receiver: SocketAddr,
) -> String {
    let receiver = format!("http://{receiver}/api/v1/write");
    let exporter = exporter.to_string();
    replaced(&text(file), &[("localhost:10144", &exporter), (url, &receiver), (": 1m", ": 1s")])
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn promtool_accepts_the_configuration_of_the_agent_and_rejects_that_of_the_server() {
    let check = |file: &str| {
        let mut check = tools::promtool();
        check.args(["check", "config", "--agent"]).arg(place(file));
        check
    };
    succeed(&mut check(CONFIG));
    let rejected = check("deploy/prometheus/scrape.yml").output().unwrap();
    let written = tools::written(&rejected);
    assert!(written.contains("alerting is not allowed in agent mode"), "{written}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn alerts_fire_where_the_agent_writes_to() {
    let demo = ExporterProcess::demo();
    let rules = tempfile::tempdir().unwrap();
    write_rules(rules.path());
    let receiver = receiver(rules, &["recording-rules.yml", "alerts.yml"]).await;
    let directory = tempfile::tempdir().unwrap();
    let config =
        accelerated_config(CONFIG, "https://prometheus.example/api/v1/write", demo.address, receiver.address);
    let _agent = agent(&page("prometheus-agent"), &config, directory.path(), &[]);
    alerts_fire_and_end_with_the_exporter(receiver.address, demo, &directory.path().join("log")).await;
    for rule in evaluated_rules(receiver.address).await {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}

/// The default of Mimir.
#[test]
fn no_group_has_more_rules_than_mimir_allows() {
    for file in ["recording-rules.yml", "alerts.yml"] {
        let rules = crate::deploy::yaml(&format!("deploy/prometheus/{file}"));
        for group in crate::deploy::list(&rules["groups"]) {
            assert!(crate::deploy::list(&group["rules"]).len() <= 20, "{}", group["name"]);
        }
    }
}
