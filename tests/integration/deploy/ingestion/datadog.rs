//! Datadog's OpenMetrics check, run on the demo.

use std::collections::{BTreeMap, BTreeSet};

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{demo_with_all_problems, page};
use crate::deploy::{list, place, succeed, text, yaml};
use crate::tools;

const CONF: &str = "deploy/ingestion/datadog/conf.yaml";

/// What the check submits for a URL, with these options instead of those in the file.
async fn check(url: String, options: &Value) -> Value {
    let mut command = tools::datadog();
    command.arg(place("tests/python/datadog_check.py")).arg(place(CONF)).arg(url).arg(options.to_string());
    let output = tokio::task::spawn_blocking(move || succeed(&mut command)).await.unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn strings(list: &Value) -> BTreeSet<String> {
    crate::deploy::list(list).iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The samples of a metric.
fn samples<'a>(submitted: &'a Value, name: &str) -> Vec<&'a Value> {
    list(&submitted["samples"]).iter().filter(|sample| sample["name"] == name).collect()
}

/// The names of what the check submits with these options.
async fn names_with(url: &str, options: &Value) -> BTreeSet<String> {
    names(&check(url.to_owned(), options).await)
}

fn names(submitted: &Value) -> BTreeSet<String> {
    list(&submitted["samples"]).iter().map(|sample| sample["name"].as_str().unwrap().to_owned()).collect()
}

/// The names of the tags of each metric.
fn tags(submitted: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut tags: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for sample in list(&submitted["samples"]) {
        let name = sample["name"].as_str().unwrap().to_owned();
        let tag = |tag: String| tag.split_once(':').unwrap().0.to_owned();
        tags.entry(name).or_default().extend(strings(&sample["tags"]).into_iter().map(tag));
    }
    tags
}

/// The names and tags in the table of the page.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let page = text(&page("datadog"));
    let spans = |cell: &str| cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect::<Vec<_>>();
    let sync = page.split("The tags of a sync are ").nth(1).unwrap();
    let sync: Vec<String> = spans(sync.split_once(". ").unwrap().0);
    let mut documented = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `ssm_sync.")) {
        let [_, names, _, tags, _] = row.split('|').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let mut all: BTreeSet<String> = spans(tags).into_iter().collect();
        all.insert("exporter".to_owned());
        if tags.contains("those of a sync") {
            all.extend(sync.iter().cloned());
        }
        documented.extend(spans(names).into_iter().map(|name| (name, all.clone())));
    }
    documented
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_check_submits_what_the_page_lists() {
    let demo = demo_with_all_problems().await;
    let url = format!("http://{}/metrics", demo.address);
    // The check fails for tags that are reserved in Datadog, such as `service`.
    let submitted = check(url, &json!({})).await;
    assert_eq!(tags(&submitted), documented());
    assert_eq!(submitted["warnings"], json!([]));

    let failed = samples(&submitted, "ssm_sync.sync.problem")
        .into_iter()
        .find(|sample| strings(&sample["tags"]).contains("problem:failed"))
        .unwrap();
    let tags = json!([
        "account_name:staging",
        "aws_account:222233334444",
        "bucket_name:staging-patch-compliance",
        "cause:bucket_policy",
        "exporter:ssm-sync-exporter",
        "managed_by:customer",
        "problem:failed",
        "region:eu-west-1",
        "sync_name:patch-compliance",
        "sync_type:SyncToDestination",
    ]);
    assert_eq!((&failed["type"], &failed["value"], &failed["tags"]), (&json!("GAUGE"), &json!(1.0), &tags));
    let [targets] = samples(&submitted, "ssm_sync.targets")[..] else { panic!("{submitted}") };
    assert_eq!(targets["value"], json!(16.0));

    // A counter and a histogram of the same calls.
    for name in ["api.requests.count", "api.request_duration.count", "api.request_duration.sum"] {
        let samples = samples(&submitted, &format!("ssm_sync.{name}"));
        let lists = samples
            .into_iter()
            .find(|sample| strings(&sample["tags"]).contains("operation:ListResourceDataSync"))
            .unwrap();
        assert_eq!(lists["type"], "MONOTONIC_COUNT", "{name}");
        assert!(strings(&lists["tags"]).contains("aws_service:SSM"), "{lists}");
        assert!(lists["value"].as_f64().unwrap() > 0.0, "{lists}");
    }
    let [health] = list(&submitted["service_checks"]) else { panic!("{submitted}") };
    assert_eq!(health["name"], "ssm_sync.openmetrics.health");
    assert_eq!((&health["status"], &health["tags"]), (&json!(0), &json!(["exporter:ssm-sync-exporter"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_notes_of_the_page_about_the_check_are_true() {
    let demo = demo_with_all_problems().await;
    let url = format!("http://{}/metrics", demo.address);
    let submitted = check(url.clone(), &json!({})).await;

    let total = json!({"metrics": ["ssm_sync_exporter_api_requests_total", "ssm_sync_exporter_targets"]});
    assert_eq!(names_with(&url, &total).await, ["ssm_sync.ssm_sync_exporter_targets".to_owned()].into());

    let info = json!(["ssm_sync_exporter_target_info", "ssm_sync_exporter_targets"]);
    assert_eq!(names_with(&url, &json!({"metrics": info})).await.len(), 2);
    assert_eq!(names_with(&url, &json!({"metrics": info, "use_latest_spec": true})).await.len(), 1);

    let limited = check(url.clone(), &json!({"max_returned_metrics": 5})).await;
    let warning = list(&limited["warnings"])[0].as_str().unwrap();
    assert!(warning.contains("exceeded limit of 5 metrics"), "{warning}");
    assert!(names(&limited).len() < names(&submitted).len(), "{limited}");

    // The exporter can leave out what the check does not read.
    let conf = yaml(CONF);
    let families =
        list(&conf["instances"][0]["metrics"]).iter().flat_map(|entry| entry.as_object().unwrap().keys());
    let families = families.map(|family| {
        let counter = ["api_requests", "api_request_failures"].iter().any(|name| family.ends_with(name));
        format!("collect[]={family}{}", if counter { "_total" } else { "" })
    });
    let chosen = check(format!("{url}?{}", families.collect::<Vec<_>>().join("&")), &json!({})).await;
    assert_eq!(tags(&chosen), tags(&submitted));
}

/// The configuration in the annotation of a pod, for the agent's autodiscovery.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_chart_gives_its_container_the_configuration_of_the_file() {
    let chart = "deploy/kubernetes/ssm-sync-exporter";
    let mut helm = tools::helm();
    helm.args(["template", "ssm-sync-exporter", "--show-only=templates/deployment.yaml"]).arg(place(chart));
    helm.arg("--values").arg(place(&format!("{chart}/ci/minimal-values.yaml")));
    helm.arg("--values").arg(place("deploy/ingestion/datadog/chart-values.yaml"));
    let rendered = String::from_utf8(succeed(&mut helm).stdout).unwrap();
    let deployment: Value = serde_saphyr::from_str(&rendered).unwrap();
    let pod = &deployment["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    let name = format!("ad.datadoghq.com/{}.checks", container["name"].as_str().unwrap());
    let checks: Value =
        serde_json::from_str(pod["metadata"]["annotations"][&name].as_str().unwrap()).unwrap();

    let mut instance = yaml(CONF)["instances"][0].clone();
    let port = &container["ports"][0]["containerPort"];
    instance["openmetrics_endpoint"] = format!("http://%%host%%:{port}/metrics").into();
    assert_eq!(checks, json!({"openmetrics": {"instances": [instance]}}));
}

#[test]
fn the_monitors_use_metrics_and_tags_of_the_page() {
    let documented = documented();
    for file in ["sync-problem", "target-down", "expectation-violation"] {
        let monitor = text(&format!("deploy/ingestion/datadog/monitors/{file}.json"));
        let monitor: Value = serde_json::from_str(&monitor).unwrap();
        let query = monitor["query"].as_str().unwrap();
        let (metric, rest) = query.split_once(":max:").and_then(|(_, rest)| rest.split_once('{')).unwrap();
        let (_, by) = rest.split_once("by {").unwrap();
        let by: Vec<&str> = by.split_once('}').unwrap().0.split(',').collect();
        for tag in &by {
            assert!(documented[metric].contains(*tag), "{file}: {tag}");
        }
        // A variable of the text is a tag by which the query groups.
        let texts = format!("{}{}", monitor["name"], monitor["message"]);
        for rest in texts.split("{{").skip(1) {
            assert!(by.contains(&rest.split(".name}}").next().unwrap()), "{file}: {rest}");
        }
        assert_eq!(monitor["options"]["on_missing_data"], "resolve", "{file}");
    }
    let page = text(&page("datadog"));
    for entry in std::fs::read_dir(place("deploy/ingestion/datadog/monitors")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(page.contains(&format!("](monitors/{name})")), "{name}");
    }
    let monitor = text("deploy/ingestion/datadog/monitors/exporter-down.json");
    let monitor: Value = serde_json::from_str(&monitor).unwrap();
    let over = "\"ssm_sync.openmetrics.health\".over(\"exporter:ssm-sync-exporter\").";
    assert!(monitor["query"].as_str().unwrap().starts_with(over), "{monitor}");
    assert_eq!(monitor["options"]["notify_no_data"], true);
}
