//! Every query of the dashboards, with the variables filled in as Grafana does, asked
//! of a real Prometheus that scrapes the demo.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Dashboard, dashboards, list, named};
use crate::http;
use crate::program::ExporterProcess;
use crate::prometheus::Prometheus;
use crate::tools;

/// What is chosen of each variable.
type Chosen = BTreeMap<&'static str, Vec<&'static str>>;

const ALL: &str = "$__all";

fn chosen(choices: &[(&'static str, &[&'static str])]) -> Chosen {
    choices.iter().map(|(name, values)| (*name, values.to_vec())).collect()
}

/// Everything, and all accounts that are in trouble, chosen one by one.
fn of_the_fleet() -> Vec<Chosen> {
    let accounts: [&[&str]; 2] =
        [&[ALL], &["222233334444", "333344445555", "444455556666", "555566667777", "666677778888"]];
    let regions: [&[&str]; 2] = [&[ALL], &["eu-central-1", "eu-west-1", "us-east-1"]];
    let types: [&[&str]; 2] = [&[ALL], &["SyncFromSource", "SyncToDestination"]];
    let cases = accounts.into_iter().zip(regions).zip(types);
    let cases = cases.map(|((accounts, regions), types)| {
        chosen(&[
            ("account", accounts),
            ("region", regions),
            ("type", types),
            ("stale", &["172800"]),
            ("limit", &["50"]),
        ])
    });
    cases.collect()
}

/// A failed sync, two with a source of which one has a fault, one with a key, and one of
/// a target that is down.
fn of_syncs() -> Vec<Chosen> {
    let cases = [
        ("222233334444", "SyncToDestination", "patch-compliance"),
        ("111122223333", "SyncFromSource", "AWS-QuickSetup-SSM-explorer"),
        ("444455556666", "SyncFromSource", "closed-units"),
        ("666677778888", "SyncToDestination", "inventory"),
        ("555566667777", "SyncToDestination", "org-inventory"),
    ];
    let cases = cases.map(|(account, sync_type, sync)| {
        chosen(&[
            ("account", &[account]),
            ("region", &["eu-west-1"]),
            ("type", &[sync_type]),
            ("sync", &[sync]),
            ("stale", &["172800"]),
        ])
    });
    cases.into()
}

/// The text with the variables in it replaced, as Grafana's Prometheus data source does.
fn filled(text: &str, dashboard: &Dashboard, chosen: &Chosen) -> String {
    let mut filled = text.replace("$__rate_interval", "1m").replace("$__range", "1h");
    for variable in dashboard.variables() {
        let name = variable["name"].as_str().unwrap();
        let Some(values) = chosen.get(name) else { continue };
        let value = if values == &[ALL] {
            variable["allValue"].as_str().unwrap().to_owned()
        } else if variable["multi"] == true {
            match values.iter().map(|value| in_regex(value)).collect::<Vec<_>>().as_slice() {
                [one] => one.clone(),
                several => format!("({})", several.join("|")),
            }
        } else {
            values[0].replace('\\', "\\\\").replace('\'', "\\\\'")
        };
        filled = filled.replace(&format!("${name}"), &value);
    }
    assert!(named(&filled).is_empty(), "a variable is left: {filled}");
    filled
}

/// The value in a regular expression in a string.
fn in_regex(value: &str) -> String {
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

/// A Prometheus that scrapes the demo twice, as if two exporters polled the same.
struct Asked {
    demo: ExporterProcess,
    prometheus: Prometheus,
}

impl Asked {
    async fn start() -> Self {
        let demo = ExporterProcess::demo();
        let jobs = ["one", "other"].map(|job| {
            format!("  - job_name: {job}\n    static_configs: [{{targets: ['{}']}}]\n", demo.address)
        });
        let text = format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n{}", jobs.concat());
        let prometheus = Prometheus::with_config(tempfile::tempdir().unwrap(), &text).await;
        // Enough for rates, and until all has failed that fails.
        prometheus.query("count_over_time(ssm_sync_exporter_build_info[5m]) > 5").await;
        prometheus.query("ssm_sync_exporter_target_collection_failures_total > 1").await;
        Self { demo, prometheus }
    }

    /// What Prometheus says, which has to be without any reservation.
    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let encoded = |text: &str| {
            let bytes: Vec<_> = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            bytes.concat()
        };
        let parameters: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let answer = self.prometheus.api(&format!("/api/v1/{path}?{}", parameters.join("&"))).await;
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        for reservation in ["warnings", "infos"] {
            assert_eq!(answer[reservation], Value::Null, "{answer}");
        }
        answer["data"].clone()
    }

    async fn instant(&self, expression: &str) -> Vec<Value> {
        list(&self.ask("query", &[("query", expression)]).await["result"]).to_vec()
    }

    async fn range(&self, expression: &str) -> Vec<Value> {
        let now = self.ask("query", &[("query", "time()")]).await["result"][1].as_str().unwrap().to_owned();
        let start = (now.parse::<f64>().unwrap() - 60.0).to_string();
        let parameters = [("query", expression), ("start", &start), ("end", &now), ("step", "1")];
        list(&self.ask("query_range", &parameters).await["result"]).to_vec()
    }
}

/// The series that have a value that is a number.
fn with_data(series: Vec<Value>) -> Vec<Value> {
    let is_number = |sample: &Value| sample[1].as_str().is_some_and(|value| value != "NaN");
    let has_data =
        |series: &Value| is_number(&series["value"]) || list(&series["values"]).iter().any(is_number);
    series.into_iter().filter(has_data).collect()
}

fn labels(series: &Value) -> impl Iterator<Item = (&str, &str)> {
    series["metric"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
}

/// What the queries of a panel have brought: the series by query.
type Brought = BTreeMap<String, Vec<Value>>;

async fn answers(asked: &Asked, dashboard: &Dashboard, panel: &Value, chosen: &Chosen) -> Brought {
    let mut brought = Brought::new();
    for target in list(&panel["targets"]) {
        let expression = filled(target["expr"].as_str().unwrap(), dashboard, chosen);
        let series = if target["instant"] == true {
            asked.instant(&expression).await
        } else {
            assert_eq!(target["range"], true, "{target}");
            asked.range(&expression).await
        };
        let other = brought.insert(target["refId"].as_str().unwrap().to_owned(), with_data(series));
        assert_eq!(other, None, "two queries of {} have the same name", panel["title"]);
    }
    brought
}

/// What the queries bring in all the cases together, once each brings something.
async fn all_answers(
    asked: &Asked,
    dashboard: &Dashboard,
    panel: &Value,
    cases: &[Chosen],
    each: bool,
) -> Brought {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut all = Brought::new();
        let mut empty = Vec::new();
        for case in cases {
            for (query, series) in answers(asked, dashboard, panel, case).await {
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

/// The names of what a panel shows, after its transformations: all that overrides,
/// links and sorting may name.
fn shown(panel: &Value, brought: &Brought) -> BTreeSet<String> {
    let title = &panel["title"];
    let targets = list(&panel["targets"]);
    let tables = targets.iter().filter(|target| target["format"] == "table").count();
    assert!(tables == 0 || tables == targets.len(), "{title}: a table and something else");
    let mut names = BTreeSet::new();
    for target in targets {
        let query = target["refId"].as_str().unwrap();
        let series = &brought[query];
        if tables > 0 {
            names.insert("Time".to_owned());
            names.insert(if tables > 1 { format!("Value #{query}") } else { "Value".to_owned() });
            names.extend(series.iter().flat_map(labels).map(|(name, _)| name.to_owned()));
        } else {
            let legend = target["legendFormat"].as_str().unwrap();
            names.extend(series.iter().map(|series| of_legend(legend, series)));
        }
    }
    assert!(!names.contains("__name__"), "{title}: rows of different metrics would not be merged");
    for step in list(&panel["transformations"]) {
        let options = &step["options"];
        let field = |key: &str| {
            let name = options[key].as_str().unwrap();
            assert!(names.contains(name), "{title}: {key} is {name}, which no query brings: {names:?}");
            name
        };
        match step["id"].as_str().unwrap() {
            "merge" => {}
            "organize" => {
                let keys = |key: &str| options[key].as_object().unwrap().keys();
                for name in keys("excludeByName").chain(keys("indexByName")).chain(keys("renameByName")) {
                    assert!(names.contains(name), "{title}: no query brings {name}: {names:?}");
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
                let columns = brought.values().flatten().flat_map(labels).filter(|(name, _)| *name == column);
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
            other => panic!("{title}: what does {other} bring?"),
        }
    }
    names
}

/// The legend of a series, which has all the labels that are in it.
fn of_legend(legend: &str, series: &Value) -> String {
    let mut pieces = legend.split("{{");
    let mut filled = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap();
        let value = series["metric"][name].as_str();
        filled += value.unwrap_or_else(|| panic!("{legend} names {name}, which is not in {series}"));
        filled += rest;
    }
    filled
}

/// The names that overrides, sorting and links of a panel use.
fn used(panel: &Value) -> Vec<&str> {
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
async fn every_query_brings_what_its_panel_shows() {
    let asked = Asked::start().await;
    for (dashboard, cases, each) in dashboards()
        .into_iter()
        .zip([of_the_fleet(), of_syncs()])
        .zip([true, false])
        .map(|((d, c), e)| (d, c, e))
    {
        for panel in dashboard.panels() {
            let brought = all_answers(&asked, &dashboard, panel, &cases, each).await;
            let shown = shown(panel, &brought);
            for name in used(panel) {
                assert!(shown.contains(name), "{}: nothing is called {name}: {shown:?}", panel["title"]);
            }
            for target in list(&panel["targets"]) {
                let expression = target["expr"].as_str().unwrap();
                let of_series = brought[target["refId"].as_str().unwrap()].iter().flat_map(labels);
                let names: BTreeSet<&str> = of_series.map(|(name, _)| name).collect();
                let limited = expression.contains("topk($limit, ") || expression.starts_with("topk(1000,");
                assert!(
                    limited || !names.contains("aws_account_id"),
                    "too many in a large fleet: {expression}"
                );
            }
        }
        for annotation in dashboard.annotations() {
            let expression = annotation["expr"].as_str().unwrap();
            let series = asked.range(&filled(expression, &dashboard, &cases[0])).await;
            assert!(!series.is_empty(), "{expression}");
            for series in series {
                of_legend(annotation["textFormat"].as_str().unwrap(), &series);
            }
        }
    }
}

/// The demo is scraped twice, and counts once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn what_two_exporters_show_is_counted_once() {
    let asked = Asked::start().await;
    let [fleet, _] = dashboards();
    for (title, expected) in [
        ("Failed syncs", "1"),
        ("Source faults", "1"),
        ("Stale syncs", "1"),
        ("Cannot be polled", "3"),
        ("Not yet collected", "0"),
        ("Quota used up", "1"),
        ("Syncs", "22"),
        ("Targets", "16"),
    ] {
        let panel = fleet.panels().find(|panel| panel["title"] == title && panel["type"] == "stat").unwrap();
        let brought = answers(&asked, &fleet, panel, &of_the_fleet()[0]).await;
        assert_eq!(brought["A"][0]["value"][1], expected, "{title}");
    }
    let grid = fleet.panels().find(|panel| panel["title"] == "Accounts and regions").unwrap();
    let brought = answers(&asked, &fleet, grid, &of_the_fleet()[0]).await;
    let words = &grid["fieldConfig"]["defaults"]["mappings"][0]["options"];
    let cells: BTreeMap<_, _> = brought["A"]
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
        ("666677778888 eu-west-1", "Well"),
        ("sandbox 555566667777 us-east-1", "Cannot be polled"),
        ("security 333344445555 eu-central-1", "Stale"),
        ("staging 222233334444 eu-west-1", "Failed"),
    ] {
        assert_eq!(cells[cell], word, "{cells:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn variables_offer_what_there_is() {
    let asked = Asked::start().await;
    for (dashboard, case) in dashboards().iter().zip([&of_the_fleet()[1], &of_syncs()[0]]) {
        for variable in dashboard.variables().iter().filter(|variable| variable["type"] == "query") {
            let name = variable["name"].as_str().unwrap();
            let query = filled(variable["query"]["query"].as_str().unwrap(), dashboard, case);
            let offered = offers(&asked, &query, variable["regex"].as_str().unwrap()).await;
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
                // One that cannot be polled has no syncs to be looked at.
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

/// What a variable offers: the values by what is shown for them.
async fn offers(asked: &Asked, query: &str, regex: &str) -> BTreeMap<String, String> {
    let argument = |of: &str| query.strip_prefix(of)?.strip_suffix(')').map(str::to_owned);
    if let Some(argument) = argument("label_values(") {
        let (selector, label) = argument.rsplit_once(", ").unwrap();
        let values = asked.ask(&format!("label/{label}/values"), &[("match[]", selector)]).await;
        assert_eq!(regex, "");
        return list(&values)
            .iter()
            .map(|value| value.as_str().unwrap().to_owned())
            .map(|v| (v.clone(), v))
            .collect();
    }
    let series = asked.instant(&argument("query_result(").unwrap()).await;
    // As Grafana writes a series before it looks for the groups `text` and `value`.
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
    assert!(output.status.success(), "{regex} does not fit {lines:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn every_metric_is_one_that_the_exporter_has() {
    let asked = Asked::start().await;
    let metrics = http::request(asked.demo.address, "GET", "/metrics").await.body;
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
