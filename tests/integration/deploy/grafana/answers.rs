//! The queries of the dashboards, run in a real Prometheus that scrapes the demo. Variables are
//! interpolated as Grafana does.

mod managed_nodes;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::large_fleets;
use super::{Dashboard, dashboards, list, text, used_variables};
use crate::http;
use crate::process::ExporterProcess;
use crate::prometheus::Prometheus;
use crate::tools;

/// The selected values of each variable.
type Selection = BTreeMap<&'static str, Vec<&'static str>>;

const ALL: &str = "$__all";

fn selection(variables: &[(&'static str, &[&'static str])]) -> Selection {
    variables.iter().map(|(name, values)| (*name, values.to_vec())).collect()
}

/// Two selections for the fleet dashboard: everything, and the accounts with problems or cost risks by name.
fn fleet_selections() -> Vec<Selection> {
    let accounts: [&[&str]; 2] = [
        &[ALL],
        &["111122223333", "222233334444", "333344445555", "444455556666", "555566667777", "666677778888"],
    ];
    let regions: [&[&str]; 2] = [&[ALL], &["eu-central-1", "eu-west-1", "us-east-1"]];
    let types: [&[&str]; 2] = [&[ALL], &["SyncFromSource", "SyncToDestination"]];
    let cases = accounts.into_iter().zip(regions).zip(types);
    let cases = cases.map(|((accounts, regions), types)| {
        selection(&[("account", accounts), ("region", regions), ("type", types), ("limit", &["50"])])
    });
    cases.collect()
}

/// Selections for the sync dashboard: a failed sync, two syncs from a source of which one has a
/// fault, a sync with a KMS key, and a sync of a target that is down.
fn sync_selections() -> Vec<Selection> {
    let cases = [
        ("222233334444", "SyncToDestination", "patch-compliance"),
        ("111122223333", "SyncFromSource", "AWS-QuickSetup-SSM-explorer"),
        ("444455556666", "SyncFromSource", "closed-units"),
        ("666677778888", "SyncToDestination", "inventory"),
        ("555566667777", "SyncToDestination", "org-inventory"),
    ];
    let cases = cases.map(|(account, sync_type, sync)| {
        selection(&[
            ("account", &[account]),
            ("region", &["eu-west-1"]),
            ("type", &[sync_type]),
            ("sync", &[sync]),
        ])
    });
    cases.into()
}

/// Replaces the variables in the text, as Grafana's Prometheus data source does.
fn interpolated(text: &str, dashboard: &Dashboard, selected: &Selection) -> String {
    let mut result = text.replace("$__rate_interval", "1m").replace("$__range", "1h");
    for variable in dashboard.variables() {
        let name = variable["name"].as_str().unwrap();
        let Some(values) = selected.get(name) else { continue };
        let value = if values == &[ALL] {
            variable["allValue"].as_str().unwrap().to_owned()
        } else if variable["multi"] == true {
            match values.iter().map(|value| regex_escaped(value)).collect::<Vec<_>>().as_slice() {
                [one] => one.clone(),
                several => format!("({})", several.join("|")),
            }
        } else {
            values[0].replace('\\', "\\\\").replace('\'', "\\\\'")
        };
        result = result.replace(&format!("${name}"), &value);
    }
    assert!(used_variables(&result).is_empty(), "a variable is not replaced: {result}");
    result
}

/// The value, escaped for a regular expression in a `PromQL` string.
fn regex_escaped(value: &str) -> String {
    let mut escaped = String::new();
    for c in value.chars() {
        match c {
            '\\' => escaped.push_str("\\\\\\\\"),
            '$' | '^' | '*' | '{' | '}' | '[' | ']' | '+' | '?' | '.' | '(' | ')' | '|' => {
                escaped.extend(["\\\\", c.encode_utf8(&mut [0; 4])]);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// A Prometheus that scrapes the demo under two jobs, like two exporters with the same targets.
struct Scraped {
    demo: ExporterProcess,
    prometheus: Prometheus,
}

impl Scraped {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With environment variables for the demo.
    async fn start_with(environment: &[(&str, &str)]) -> Self {
        let demo = ExporterProcess::demo_with(environment);
        let jobs = ["one", "other"].map(|job| {
            format!("  - job_name: {job}\n    static_configs: [{{targets: ['{}']}}]\n", demo.address)
        });
        let text = format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n{}", jobs.concat());
        let prometheus = Prometheus::with_config(tempfile::tempdir().unwrap(), &text).await;
        // Wait for enough samples for rates, and for repeated failures.
        prometheus.query("count_over_time(ssm_sync_exporter_build_info[5m]) > 5").await;
        prometheus.query("ssm_sync_exporter_target_collection_failures_total > 1").await;
        Self { demo, prometheus }
    }

    /// The data of a successful answer. Warnings and infos are an error.
    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let encoded = |text: &str| {
            let bytes: Vec<_> = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            bytes.concat()
        };
        let parameters: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let answer = self.prometheus.api(&format!("/api/v1/{path}?{}", parameters.join("&"))).await;
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        for key in ["warnings", "infos"] {
            assert_eq!(answer[key], Value::Null, "{answer}");
        }
        answer["data"].clone()
    }

    async fn instant(&self, expression: &str) -> Vec<Value> {
        list(&self.get("query", &[("query", expression)]).await["result"]).to_vec()
    }

    async fn range(&self, expression: &str) -> Vec<Value> {
        let now = self.get("query", &[("query", "time()")]).await["result"][1].as_str().unwrap().to_owned();
        let start = (now.parse::<f64>().unwrap() - 60.0).to_string();
        let parameters = [("query", expression), ("start", &start), ("end", &now), ("step", "1")];
        list(&self.get("query_range", &parameters).await["result"]).to_vec()
    }
}

/// The series with at least one value other than NaN.
fn with_data(series: Vec<Value>) -> Vec<Value> {
    let is_number = |sample: &Value| sample[1].as_str().is_some_and(|value| value != "NaN");
    let has_data =
        |series: &Value| is_number(&series["value"]) || list(&series["values"]).iter().any(is_number);
    series.into_iter().filter(has_data).collect()
}

fn labels(series: &Value) -> impl Iterator<Item = (&str, &str)> {
    series["metric"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
}

/// The resulting series of a panel's queries, by `refId`.
type Results = BTreeMap<String, Vec<Value>>;

async fn panel_results(
    scraped: &Scraped,
    dashboard: &Dashboard,
    panel: &Value,
    selected: &Selection,
) -> Results {
    let mut results = Results::new();
    for target in list(&panel["targets"]) {
        let expression = interpolated(target["expr"].as_str().unwrap(), dashboard, selected);
        let series = if target["instant"] == true {
            scraped.instant(&expression).await
        } else {
            assert_eq!(target["range"], true, "{target}");
            scraped.range(&expression).await
        };
        let other = results.insert(target["refId"].as_str().unwrap().to_owned(), with_data(series));
        assert_eq!(other, None, "two queries of {} have the same name", panel["title"]);
    }
    results
}

/// The results of a panel over all selections, once every query returns data. With `each`,
/// every query must return data for every selection.
async fn all_results(
    scraped: &Scraped,
    dashboard: &Dashboard,
    panel: &Value,
    cases: &[Selection],
    each: bool,
) -> Results {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut all = Results::new();
        let mut empty = Vec::new();
        for case in cases {
            for (query, series) in panel_results(scraped, dashboard, panel, case).await {
                if each && series.is_empty() {
                    empty.push(format!("{query} with {case:?}"));
                }
                all.entry(query).or_default().extend(series);
            }
        }
        empty.extend(all.iter().filter(|(_, series)| series.is_empty()).map(|(query, _)| query.clone()));
        if empty.is_empty() {
            return all;
        }
        assert!(Instant::now() < deadline, "{}: {}: no data for {empty:?}", dashboard.file, panel["title"]);
        sleep(Duration::from_millis(200)).await;
    }
}

/// The names of the fields that a panel shows after its transformations. Overrides, links and
/// sorting may use only these.
fn shown_fields(panel: &Value, results: &Results) -> BTreeSet<String> {
    let title = &panel["title"];
    let targets = list(&panel["targets"]);
    let tables = targets.iter().filter(|target| target["format"] == "table").count();
    assert!(tables == 0 || tables == targets.len(), "{title}: mixes tables and other formats");
    let mut names = BTreeSet::new();
    for target in targets {
        let query = target["refId"].as_str().unwrap();
        let series = &results[query];
        if tables > 0 {
            names.insert("Time".to_owned());
            names.insert(if tables > 1 { format!("Value #{query}") } else { "Value".to_owned() });
            names.extend(series.iter().flat_map(labels).map(|(name, _)| name.to_owned()));
        } else {
            let legend = target["legendFormat"].as_str().unwrap();
            names.extend(series.iter().map(|series| legend_of(legend, series)));
        }
    }
    assert!(!names.contains("__name__"), "{title}: rows of different metrics cannot be merged");
    for step in list(&panel["transformations"]) {
        let options = &step["options"];
        let field = |key: &str| {
            let name = options[key].as_str().unwrap();
            assert!(names.contains(name), "{title}: {key} is {name}, which no query returns: {names:?}");
            name
        };
        match step["id"].as_str().unwrap() {
            "merge" => {}
            "organize" => {
                let keys = |key: &str| options[key].as_object().unwrap().keys();
                for name in keys("excludeByName").chain(keys("indexByName")).chain(keys("renameByName")) {
                    assert!(names.contains(name), "{title}: no query returns {name}: {names:?}");
                }
                let excluded = |name: &String| options["excludeByName"][name] == true;
                let renamed = |name: String| {
                    options["renameByName"][&name].as_str().map_or(name.clone(), str::to_owned)
                };
                names = names.into_iter().filter(|name| !excluded(name)).map(renamed).collect();
            }
            "groupingToMatrix" => {
                field("valueField");
                let (row, column) = (field("rowField"), field("columnField"));
                let columns = results.values().flatten().flat_map(labels).filter(|(name, _)| *name == column);
                let columns = columns.map(|(_, value)| value.to_owned());
                names = columns.chain([format!("{row}\\{column}")]).collect();
            }
            "reduce" => {
                assert_eq!(options["reducers"], json!(["lastNotNull"]), "{title}");
                names = ["Field", "Last *"].map(str::to_owned).into();
            }
            "labelsToFields" => {
                assert_eq!(options["mode"], "rows", "{title}");
                names = ["label", "value"].map(str::to_owned).into();
            }
            other => panic!("{title}: unknown transformation {other}"),
        }
    }
    names
}

/// The legend of a series. Panics if the series lacks a label of the legend.
fn legend_of(legend: &str, series: &Value) -> String {
    let mut pieces = legend.split("{{");
    let mut text = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap();
        let value = series["metric"][name].as_str();
        text += value.unwrap_or_else(|| panic!("{legend} uses {name}, which is not in {series}"));
        text += rest;
    }
    text
}

/// The names of the fields that overrides, sorting and links of a panel use.
fn used_fields(panel: &Value) -> Vec<&str> {
    let mut used: Vec<&str> =
        list(&panel["options"]["sortBy"]).iter().map(|sort| sort["displayName"].as_str().unwrap()).collect();
    for of in list(&panel["fieldConfig"]["overrides"]) {
        assert_eq!(of["matcher"]["id"], "byName", "{of}");
        used.push(of["matcher"]["options"].as_str().unwrap());
        for property in list(&of["properties"]).iter().filter(|property| property["id"] == "links") {
            for link in list(&property["value"]) {
                let names = link["url"].as_str().unwrap().split("__data.fields[\"").skip(1);
                used.extend(names.map(|name| name.split_once('"').unwrap().0));
            }
        }
    }
    used
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn every_query_returns_the_fields_that_its_panel_uses() {
    let scraped = Scraped::start().await;
    for (dashboard, cases, each) in dashboards()
        .into_iter()
        .zip([fleet_selections(), sync_selections()])
        .zip([true, false])
        .map(|((d, c), e)| (d, c, e))
    {
        for panel in dashboard.panels() {
            let results = all_results(&scraped, &dashboard, panel, &cases, each).await;
            let shown = shown_fields(panel, &results);
            for name in used_fields(panel) {
                assert!(shown.contains(name), "{}: no field is called {name}: {shown:?}", panel["title"]);
            }
            for target in list(&panel["targets"]) {
                let expression = target["expr"].as_str().unwrap();
                let of_series = results[target["refId"].as_str().unwrap()].iter().flat_map(labels);
                let names: BTreeSet<&str> = of_series.map(|(name, _)| name).collect();
                let limited = ["topk($limit,", "topk(1000,"].iter().any(|top| expression.contains(top));
                assert!(
                    limited || !names.contains("aws_account_id"),
                    "too many series in a large fleet: {expression}"
                );
            }
        }
        for annotation in dashboard.annotations() {
            let expression = annotation["expr"].as_str().unwrap();
            let series = scraped.range(&interpolated(expression, &dashboard, &cases[0])).await;
            assert!(!series.is_empty(), "{expression}");
            for series in series {
                legend_of(annotation["textFormat"].as_str().unwrap(), &series);
            }
        }
    }
}

/// What the sync dashboard shows as health of the syncs of [`sync_selections`], except the last one,
/// whose target is down.
const HEALTH_OF_SYNCS: [&str; 4] = ["Failed", "Healthy", "Source fault", "Healthy"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_configuration_for_large_fleets_takes_data_only_from_panels_that_say_so() {
    let recipe: Value = serde_saphyr::from_str(&large_fleets::recipe()).unwrap();
    let metrics = recipe["metrics"].to_string();
    let scraped = Scraped::start_with(&[("SSM_SYNC_EXPORTER_METRICS", &metrics)]).await;
    let disabled = large_fleets::disabled_families();
    let exposed = http::request(scraped.demo.address, "GET", "/metrics").await.body;
    for family in &disabled {
        assert!(!exposed.contains(&format!("# TYPE {family} ")), "{family} is not disabled");
    }
    let [fleet, sync] = dashboards();
    for (dashboard, cases, each) in [(&fleet, fleet_selections(), true), (&sync, sync_selections(), false)] {
        for panel in dashboard.panels() {
            let needs_disabled = |query: &Value| {
                let metrics = large_fleets::metrics_of(query["expr"].as_str().unwrap());
                metrics.iter().any(|metric| disabled.contains(*metric))
            };
            let mut panel = panel.clone();
            panel["targets"].as_array_mut().unwrap().retain(|query| !needs_disabled(query));
            all_results(&scraped, dashboard, &panel, &cases, each).await;
        }
    }
    let shown = |title: &str| sync.panels().find(|panel| panel["title"] == title).unwrap();
    let (health, sharing) = (shown("Health"), shown("Destination sharing"));
    let words = &health["fieldConfig"]["defaults"]["mappings"][0]["options"];
    for (case, expected) in sync_selections().iter().zip(HEALTH_OF_SYNCS) {
        let results = panel_results(&scraped, &sync, health, case).await;
        let value = results["A"][0]["value"][1].as_str().unwrap();
        assert_eq!(words[value]["text"], expected, "{case:?}");
        let results = panel_results(&scraped, &sync, sharing, case).await;
        let has_bucket = case["type"] == ["SyncToDestination"];
        let expected = if has_bucket { "Disabled or not reported" } else { "No bucket" };
        assert_eq!(results["A"][0]["metric"]["sharing_type"], expected, "{case:?}");
    }
}

/// The demo is scraped under two jobs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn targets_and_syncs_of_two_exporters_are_counted_once() {
    let scraped = Scraped::start().await;
    let [fleet, _] = dashboards();
    for (title, expected) in [
        ("Failed syncs", "1"),
        ("Source faults", "1"),
        ("Stale syncs", "1"),
        ("Stuck syncs", "1"),
        ("Targets down", "3"),
        ("Not collected yet", "0"),
        ("Quotas used up", "1"),
        ("Quotas nearly used", "0"),
        ("Cost risks", "1"),
        ("Not as expected", "2"),
        ("Syncs", "23"),
        ("Targets", "16"),
    ] {
        let panel = fleet.panels().find(|panel| panel["title"] == title && panel["type"] == "stat").unwrap();
        let results = panel_results(&scraped, &fleet, panel, &fleet_selections()[0]).await;
        assert_eq!(results["A"][0]["value"][1], expected, "{title}");
    }
    let table = |panel: &&Value| panel["title"] == "Syncs with problems" && panel["type"] == "table";
    let table = fleet.panels().find(table).unwrap();
    let runbook = text("deploy/runbook.md").to_lowercase();
    let rows = panel_results(&scraped, &fleet, table, &fleet_selections()[0]).await;
    let problems: BTreeSet<&str> = rows["A"]
        .iter()
        .map(|row| {
            let anchor = row["metric"]["runbook"].as_str().unwrap();
            assert!(runbook.contains(&format!("\n## {anchor}\n")), "the runbook has no section {anchor}");
            row["metric"]["problem"].as_str().unwrap()
        })
        .collect();
    assert_eq!(problems, BTreeSet::from(["failed", "source_fault", "stale", "stuck"]));
    let violations = fleet.panels().find(|panel| panel["title"] == "Violations").unwrap();
    let rows = panel_results(&scraped, &fleet, violations, &fleet_selections()[0]).await;
    let words = &violations["fieldConfig"]["overrides"][0]["properties"][0]["value"][0]["options"];
    let rows: BTreeSet<String> = rows["A"]
        .iter()
        .map(|row| {
            let label = |name: &str| row["metric"][name].as_str().unwrap_or_default();
            let word = words[row["value"][1].as_str().unwrap()]["text"].as_str().unwrap();
            let section = format!("ssmsync{}", word.to_lowercase());
            assert_eq!(label("runbook"), section);
            assert!(runbook.contains(&format!("\n## {section}\n")), "the runbook has no section {section}");
            format!("{word} {} {} {}", label("field"), label("account_name"), label("aws_account_id"))
        })
        .collect();
    assert_eq!(
        rows.iter().map(String::as_str).collect::<Vec<_>>(),
        [
            "Drifted bucket_name security 333344445555",
            "Drifted bucket_prefix security 333344445555",
            "Missing presence  666677778888",
        ]
    );
    let grid = fleet.panels().find(|panel| panel["title"] == "Targets by expectation").unwrap();
    let results = panel_results(&scraped, &fleet, grid, &fleet_selections()[0]).await;
    let count = |expectation: &str, state: &str| {
        let cell = results["A"]
            .iter()
            .find(|cell| cell["metric"]["expectation"] == expectation && cell["metric"]["state"] == state);
        cell.unwrap()["value"][1].as_str().unwrap().to_owned()
    };
    assert_eq!(
        ["met", "missing", "drifted", "forbidden", "unknown"].map(|state| count("org-inventory", state)),
        ["11", "1", "1", "0", "3"]
    );
    let grid = fleet.panels().find(|panel| panel["title"] == "Accounts and regions").unwrap();
    let results = panel_results(&scraped, &fleet, grid, &fleet_selections()[0]).await;
    let words = &grid["fieldConfig"]["defaults"]["mappings"][0]["options"];
    let cells: BTreeMap<_, _> = results["A"]
        .iter()
        .map(|cell| {
            let (account, region) = (&cell["metric"]["account"], &cell["metric"]["aws_region"]);
            let word = &words[cell["value"][1].as_str().unwrap()]["text"];
            (format!("{} {}", account.as_str().unwrap(), region.as_str().unwrap()), word.as_str().unwrap())
        })
        .collect();
    assert_eq!(cells.len(), 16, "{cells:?}");
    for (cell, word) in [
        ("data 444455556666 eu-west-1", "Source fault"),
        ("666677778888 eu-west-1", "Healthy"),
        ("sandbox 555566667777 us-east-1", "Down"),
        ("security 333344445555 eu-central-1", "Stale"),
        ("staging 222233334444 eu-west-1", "Failed"),
    ] {
        assert_eq!(cells[cell], word, "{cells:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn variables_offer_existing_values() {
    let scraped = Scraped::start().await;
    for (dashboard, case) in dashboards().iter().zip([&fleet_selections()[1], &sync_selections()[0]]) {
        for variable in dashboard.variables().iter().filter(|variable| variable["type"] == "query") {
            let name = variable["name"].as_str().unwrap();
            let query = interpolated(variable["query"]["query"].as_str().unwrap(), dashboard, case);
            let offered = offered_values(&scraped, &query, variable["regex"].as_str().unwrap()).await;
            for value in &case[name] {
                assert!(
                    offered.values().any(|offered| offered == value),
                    "{}: {name}: {offered:?}",
                    dashboard.file
                );
            }
            if name == "account" {
                assert_eq!(offered["staging 222233334444"], "222233334444", "{}", dashboard.file);
                assert_eq!(offered["666677778888"], "666677778888", "{}", dashboard.file);
                // The sync dashboard offers only accounts with syncs. This account cannot be
                // polled and has none.
                let lost = offered.get("sandbox 555566667777").map(String::as_str);
                assert_eq!(lost, (variable["multi"] == true).then_some("555566667777"), "{}", dashboard.file);
            }
        }
        for variable in dashboard.variables().iter().filter(|variable| variable["type"] == "custom") {
            let options: Vec<&str> =
                list(&variable["options"]).iter().map(|option| option["value"].as_str().unwrap()).collect();
            for value in &case[variable["name"].as_str().unwrap()] {
                assert!(options.contains(value), "{}: {options:?}", dashboard.file);
            }
        }
    }
}

/// The values that a variable offers, by their displayed text.
async fn offered_values(scraped: &Scraped, query: &str, regex: &str) -> BTreeMap<String, String> {
    let argument = |of: &str| query.strip_prefix(of)?.strip_suffix(')').map(str::to_owned);
    if let Some(argument) = argument("label_values(") {
        let (selector, label) = argument.rsplit_once(", ").unwrap();
        let values = scraped.get(&format!("label/{label}/values"), &[("match[]", selector)]).await;
        assert_eq!(regex, "");
        return list(&values)
            .iter()
            .map(|value| value.as_str().unwrap().to_owned())
            .map(|v| (v.clone(), v))
            .collect();
    }
    let series = scraped.instant(&argument("query_result(").unwrap()).await;
    // Grafana formats a series like this before it applies the regex with the groups `text` and
    // `value`.
    let lines: Vec<String> = series
        .iter()
        .map(|series| {
            let labels: Vec<String> =
                labels(series).map(|(name, value)| format!("{name}=\"{value}\"")).collect();
            format!("{{{}}} {} 0", labels.join(","), series["value"][1].as_str().unwrap())
        })
        .collect();
    let script = "
        const [pattern, lines] = JSON.parse(require('fs').readFileSync(0));
        const regex = new RegExp(pattern.replace(/^\\/|\\/$/g, ''));
        console.log(JSON.stringify(Object.fromEntries(lines.map((line) => {
            const { text, value } = line.match(regex).groups;
            return [text, value];
        }))));";
    let mut node = tools::node();
    node.args(["-e", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = node.spawn().unwrap();
    node.stdin.take().unwrap().write_all(json!([regex, lines]).to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{regex} does not match {lines:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn dashboards_use_only_metrics_that_the_exporter_has() {
    let scraped = Scraped::start().await;
    let metrics = http::request(scraped.demo.address, "GET", "/metrics").await.body;
    let families: BTreeSet<&str> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for dashboard in dashboards() {
        let queries =
            dashboard.panels().flat_map(|panel| list(&panel["targets"])).chain(dashboard.annotations());
        let queries = queries.map(|query| &query["expr"]);
        let queries = queries.chain(dashboard.variables().iter().map(|variable| &variable["query"]["query"]));
        for query in queries.filter_map(Value::as_str) {
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let of_ours = |word: &&str| {
                ["aws_ssm_", "ssm_sync_exporter_", "process_"].iter().any(|p| word.starts_with(p))
            };
            for metric in words.filter(of_ours) {
                let family = metric.strip_suffix("_bucket").unwrap_or(metric);
                assert!(families.contains(family), "{}: {metric} in {query}", dashboard.file);
            }
        }
    }
}
