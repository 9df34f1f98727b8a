//! The configuration for large fleets in `deploy/prometheus/README.md`: what it costs, and that
//! rules and dashboards do without the families that it disables.

use std::collections::BTreeSet;

use fake_aws::SyncKind;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::grafana::dashboards;
use super::{list, text, yaml};
use crate::exporter::{Exporter, NOW, fake_aws, one_target, put_sync};

const REFERENCE: &str = "deploy/prometheus/README.md";

/// The syncs of a target in a usual organization, each of another owner or bucket.
const SYNCS: [&str; 5] = [
    "org-inventory",
    "patch-compliance",
    "InspectorResourceDataSync-do-not-delete",
    "license-manager-default-sync",
    "AWS-QuickSetup-SSM-inventory",
];

/// The configuration, as the reference gives it.
pub(super) fn recipe() -> String {
    let reference = text(REFERENCE);
    let (_, section) = reference.split_once("\n## Large fleets\n").unwrap();
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let (_, configuration) = section.split_once("```yaml\n").unwrap();
    configuration.split_once("```").unwrap().0.to_owned()
}

/// The families that the configuration disables.
pub(super) fn disabled_families() -> BTreeSet<String> {
    let recipe: Value = serde_saphyr::from_str(&recipe()).unwrap();
    assert_eq!(recipe["metrics"]["sparse_states"], true);
    let names = list(&recipe["metrics"]["disable"]).iter().map(|name| name.as_str().unwrap().to_owned());
    names.collect()
}

/// The metrics that a query names.
pub(super) fn metrics_of(query: &str) -> BTreeSet<&str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    words.filter(|word| word.contains("ssm_sync") || word.starts_with("aws_ssm_")).collect()
}

#[test]
fn rules_need_no_family_that_the_configuration_disables() {
    let disabled = disabled_families();
    assert!(!disabled.is_empty());
    for file in ["alerts.yml", "recording-rules.yml"] {
        let rules = yaml(&format!("deploy/prometheus/{file}"));
        for rule in list(&rules["groups"]).iter().flat_map(|group| list(&group["rules"])) {
            for text in [Some(&rule["expr"]), Some(&rule["annotations"]["description"])].into_iter().flatten()
            {
                for metric in metrics_of(text.as_str().unwrap_or_default()) {
                    assert!(!disabled.contains(metric), "{file}: {metric} is disabled: {rule}");
                }
            }
        }
    }
}

/// A panel that shows a disabled metric has to say so, or it would look as if AWS reported nothing.
#[test]
fn only_panels_that_say_so_need_a_family_that_the_configuration_disables() {
    let disabled = disabled_families();
    let [fleet, sync] = dashboards();
    let mut shown = BTreeSet::new();
    for (dashboard, details) in [(&fleet, false), (&sync, true)] {
        for panel in dashboard.panels() {
            for query in list(&panel["targets"]) {
                let metrics = metrics_of(query["expr"].as_str().unwrap());
                let metrics: BTreeSet<_> =
                    metrics.into_iter().filter(|name| disabled.contains(*name)).collect();
                let says_so =
                    panel["fieldConfig"]["defaults"]["noValue"].as_str().unwrap().contains("isabled")
                        || query["expr"].as_str().unwrap().contains("Disabled");
                assert!(metrics.is_empty() || details && says_so, "{}: {metrics:?}", panel["title"]);
                shown.extend(metrics);
            }
        }
        for variable in dashboard.variables() {
            let query = variable["query"]["query"].as_str().unwrap_or_default();
            assert!(metrics_of(query).iter().all(|name| !disabled.contains(*name)), "{query}");
        }
    }
    assert!(!shown.is_empty());
}

/// The fleet dashboard reads all syncs at a time, which only a few sparse families allow.
#[test]
fn the_fleet_dashboard_reads_no_family_with_a_series_for_each_sync() {
    let sparse = ["problem", "cost_risk"].map(|name| format!("aws_ssm_resource_data_sync_{name}"));
    let quota = "aws_ssm_resource_data_sync_quota";
    let [fleet, _] = dashboards();
    for query in fleet.panels().flat_map(|panel| list(&panel["targets"])) {
        for metric in metrics_of(query["expr"].as_str().unwrap()) {
            let of_syncs = metric.starts_with("aws_ssm_resource_data_sync_") && metric != quota;
            assert!(!of_syncs || sparse.iter().any(|name| name == metric), "{metric}: {query}");
        }
    }
}

#[tokio::test]
async fn a_sync_costs_the_documented_number_of_series() {
    let aws = fake_aws().await;
    for name in SYNCS {
        let destination = json!({"BucketName": "bucket", "SyncFormat": "JsonSerDe", "Region": "eu-west-1"});
        let item = json!({
            "SyncName": name, "S3Destination": destination, "LastStatus": "Successful",
            "LastSyncTime": NOW - 60, "LastSuccessfulSyncTime": NOW - 60, "SyncCreatedTime": NOW - 86400,
            "SyncLastModifiedTime": NOW - 86400,
        });
        put_sync(&aws, SyncKind::ToDestination, item);
    }
    let reference = text(REFERENCE);
    for (recipe, of) in [(String::new(), "by default"), (recipe(), "with this configuration")] {
        let exporter = Exporter::start_ready(&aws, &format!("{}{recipe}", one_target())).await;
        let scrape = exporter.scrape().await;
        let of_target = scrape.series().into_iter().filter(|series| series.contains("aws_account_id="));
        let (of_syncs, of_target): (Vec<_>, Vec<_>) =
            of_target.partition(|series| series.contains("sync_name="));
        let series = of_syncs.len() + of_target.len();
        for (what, number) in [
            ("of each sync", (of_syncs.len() / SYNCS.len()).to_string()),
            ("of each target", of_target.len().to_string()),
            (
                "per sync in all",
                format!("{}.{}", series / SYNCS.len(), series % SYNCS.len() * 10 / SYNCS.len()),
            ),
        ] {
            let row = format!("| {what}, {of} | {number} |");
            assert!(reference.contains(&row), "{REFERENCE} has no row {row}");
        }
        assert!(recipe.is_empty() || series <= 8 * SYNCS.len(), "{series} series are more than 8 a sync");

        let expectation = |name: &str| {
            format!("  - {{name: {name}, request: {{SyncName: {name}, SyncType: SyncToDestination}}}}\n")
        };
        let expectations = format!("expectations:\n{}{}", expectation(SYNCS[0]), expectation(SYNCS[1]));
        let exporter = Exporter::start_ready(&aws, &format!("{}{recipe}{expectations}", one_target())).await;
        let scrape = exporter.scrape().await;
        let with_expectations =
            scrape.series().into_iter().filter(|series| series.contains("aws_account_id=")).count();
        let of_each = (with_expectations - series) / 2;
        let row = format!("| of each target, for each expectation that it meets, {of} | {of_each} |");
        assert!(reference.contains(&row), "{REFERENCE} has no row {row}");
    }
}
