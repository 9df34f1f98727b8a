//! The configuration of the `CloudWatch` agent, compared with a scrape. The agent is not run.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use pretty_assertions::assert_eq;
use serde_json::Value;

use super::{blocks, demo_with_all_problems, page, replaced};
use crate::deploy::{list, place, succeed, text, yaml};
use crate::exporter::Scrape;
use crate::http;
use crate::organization::Moto;
use crate::tools;

const AGENT: &str = "deploy/ingestion/cloudwatch-agent/amazon-cloudwatch-agent.json";
const SCRAPE: &str = "deploy/ingestion/cloudwatch-agent/prometheus.yaml";

fn prometheus_section() -> Value {
    let agent: Value = serde_json::from_str(&text(AGENT)).unwrap();
    agent["logs"]["metrics_collected"]["prometheus"].clone()
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap_or_else(|| panic!("{object}")).keys().map(String::as_str).collect()
}

fn strings(list: &Value) -> Vec<String> {
    crate::deploy::list(list).iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The families of each declaration with its dimensions. A selector is an anchored name.
fn declared() -> BTreeMap<String, Vec<String>> {
    let mut declared = BTreeMap::new();
    for declaration in list(&prometheus_section()["emf_processor"]["metric_declaration"]) {
        let [dimensions] = list(&declaration["dimensions"]) else { panic!("{declaration}") };
        for selector in strings(&declaration["metric_selectors"]) {
            let family = selector.strip_prefix('^').and_then(|selector| selector.strip_suffix('$')).unwrap();
            let before = declared.insert(family.to_owned(), strings(dimensions));
            assert_eq!(before, None, "{family} is declared twice");
        }
    }
    declared
}

/// The agent refuses unknown keys in these places.
#[test]
fn the_agent_knows_the_keys_of_the_configuration() {
    let section = prometheus_section();
    let known = ["log_group_name", "prometheus_config_path", "emf_processor"];
    assert_eq!(keys(&section), known.into());
    let processor = &section["emf_processor"];
    let known = ["metric_declaration", "metric_declaration_dedup", "metric_namespace", "metric_unit"];
    assert_eq!(keys(processor), known.into());
    for declaration in list(&processor["metric_declaration"]) {
        let known = ["dimensions", "label_matcher", "metric_selectors", "source_labels"];
        assert_eq!(keys(declaration), known.into());
        let job = &yaml(SCRAPE)["scrape_configs"][0]["job_name"];
        assert_eq!(declaration["source_labels"], serde_json::json!(["job"]));
        assert_eq!(declaration["label_matcher"], format!("^{}$", job.as_str().unwrap()));
    }
    let families = declared();
    for family in keys(&processor["metric_unit"]) {
        assert!(families.contains_key(family), "{family}");
    }
}

#[test]
fn the_metrics_of_the_page_are_those_that_are_declared() {
    let page = text(&page("cloudwatch-agent"));
    let spans = |cell: &str| cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect::<Vec<_>>();
    let mut documented = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `aws_") || line.starts_with("| `ssm_")) {
        let [_, names, dimensions, _, _] = row.split('|').collect::<Vec<_>>()[..] else { panic!("{row}") };
        documented.extend(spans(names).into_iter().map(|name| (name, spans(dimensions))));
    }
    assert_eq!(documented, declared());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_exporter_has_the_families_and_dimensions_that_the_agent_asks_for() {
    succeed(tools::promtool().args(["check", "config"]).arg(place(SCRAPE)));
    let declared = declared();
    let requested = strings(&yaml(SCRAPE)["scrape_configs"][0]["params"]["collect[]"]);
    assert_eq!(requested, declared.keys().cloned().collect::<Vec<_>>(), "else log events cost for nothing");

    let demo = demo_with_all_problems().await;
    let query: Vec<String> = requested.iter().map(|family| format!("collect[]={family}")).collect();
    let path = format!("/metrics?{}", query.join("&"));
    let response = http::request(demo.address, "GET", &path).await;
    assert_eq!(response.status, 200, "{}", response.body);
    let scrape = Scrape(response.body);
    for (family, dimensions) in declared {
        let samples = scrape.samples(&family);
        for dimension in dimensions.iter().filter(|dimension| *dimension != "job") {
            let label = format!("{dimension}=\"");
            assert!(
                !samples.is_empty() && samples.lines().all(|sample| sample.contains(&label)),
                "{samples}"
            );
        }
        // The agent drops other types.
        assert!(scrape.has(&format!("# TYPE {family} gauge")), "{family}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_alarms_of_the_page_are_created() {
    let moto = Moto::start().await;
    let blocks = blocks(&page("cloudwatch-agent"), "sh");
    let [script] = &blocks[..] else { panic!("{blocks:?}") };
    let aws = tools::python_program("aws");
    let bash = |script: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-euc", script]).env("AWS_ENDPOINT_URL", &moto.organization.url);
        bash.envs([("AWS_ACCESS_KEY_ID", "any"), ("AWS_SECRET_ACCESS_KEY", "any")]);
        bash.env("AWS_DEFAULT_REGION", "eu-west-1").env("AWS", aws.get_program());
        bash.env("TOPIC", "arn:aws:sns:eu-west-1:111122223333:alerts");
        succeed(&mut bash)
    };
    bash(&replaced(script, &[("aws cloudwatch", "\"$AWS\" cloudwatch")]));
    let alarms = bash("\"$AWS\" cloudwatch describe-alarms --query MetricAlarms --output json");
    let alarms: Value = serde_json::from_slice(&alarms.stdout).unwrap();
    let declared = declared();
    let mut watched = BTreeMap::<&str, BTreeSet<&str>>::new();
    let section = prometheus_section();
    for alarm in list(&alarms) {
        assert_eq!(alarm["Namespace"], section["emf_processor"]["metric_namespace"]);
        let [dimension] = list(&alarm["Dimensions"]) else { panic!("{alarm}") };
        let metric = alarm["MetricName"].as_str().unwrap();
        assert_eq!(declared[metric], [dimension["Name"].as_str().unwrap()], "{alarm}");
        watched.entry(metric).or_default().insert(dimension["Value"].as_str().unwrap());
        let down = metric == "ssm_sync_exporter_targets";
        assert_eq!(alarm["TreatMissingData"], if down { "breaching" } else { "notBreaching" });
    }
    let problems = ["failed", "source_fault", "stale", "stuck"];
    assert_eq!(watched["aws_ssm_resource_data_sync_problem"], problems.into());
    // A target that was down for any other reason would go unnoticed.
    let reference = text("deploy/prometheus/README.md");
    let reasons = reference.split_once("- `reason` is one of ").unwrap().1.split_once('.').unwrap().0;
    let intended = ["scp_denied", "region_disabled"];
    let reasons = reasons.split('`').skip(1).step_by(2).filter(|reason| !intended.contains(reason));
    assert_eq!(watched["ssm_sync_exporter_target_down_reason"], reasons.collect());
    let metrics = watched.into_keys().collect::<Vec<_>>();
    let others = ["ssm_sync_exporter_expectation_violation", "ssm_sync_exporter_targets"];
    assert!(others.iter().all(|metric| metrics.contains(metric)) && metrics.len() == 4, "{metrics:?}");
}
