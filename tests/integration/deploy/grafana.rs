//! The Grafana dashboards as JSON: descriptions, layout, links, variables and provisioning.
//!
//! `answers` runs their queries in a real Prometheus, `alert_rules` is about the alert rules, and
//! `pictures` checks that the pictures of the dashboards are not outdated. The tests have no Grafana, so
//! no test renders a panel.

mod alert_rules;
mod answers;
mod pictures;

use std::collections::{BTreeMap, BTreeSet};

use pretty_assertions::assert_eq;
use serde_json::Value;

use super::{list, place, succeed, text, yaml};
use crate::tools;

/// Variables that Grafana defines.
const BUILT_IN: [&str; 2] = ["__range", "__rate_interval"];

/// Where the runbook is published.
const RUNBOOK: &str = "https://github.com/ssm-sync-exporter/ssm-sync-exporter/blob/main/deploy/runbook.md";

pub(super) struct Dashboard {
    file: &'static str,
    json: Value,
}

pub(super) fn dashboards() -> [Dashboard; 2] {
    ["deploy/grafana/fleet.json", "deploy/grafana/sync.json"].map(|file| {
        let json = serde_json::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        Dashboard { file, json }
    })
}

impl Dashboard {
    fn uid(&self) -> &str {
        self.json["uid"].as_str().unwrap()
    }

    /// All panels except rows.
    pub(super) fn panels(&self) -> impl Iterator<Item = &Value> {
        list(&self.json["panels"]).iter().filter(|panel| panel["type"] != "row")
    }

    pub(super) fn variables(&self) -> &[Value] {
        list(&self.json["templating"]["list"])
    }

    fn annotations(&self) -> &[Value] {
        list(&self.json["annotations"]["list"])
    }

    fn variable_names(&self) -> BTreeSet<&str> {
        self.variables().iter().map(|variable| variable["name"].as_str().unwrap()).collect()
    }

    /// The URL of every link of the dashboard, of a value or of a table cell.
    fn addresses(&self) -> Vec<&str> {
        let cells = self.panels().flat_map(|panel| list(&panel["fieldConfig"]["overrides"]));
        let cells = cells.flat_map(|of| list(&of["properties"])).filter(|property| property["id"] == "links");
        let values = self.panels().flat_map(|panel| list(&panel["fieldConfig"]["defaults"]["links"]));
        let links = cells.flat_map(|property| list(&property["value"])).chain(values);
        links.chain(list(&self.json["links"])).map(|link| link["url"].as_str().unwrap()).collect()
    }
}

/// The variables that a text uses as `$name`, `${name}` or `${name:format}`. `$1` is a regex
/// group, not a variable.
fn used_variables(text: &str) -> Vec<&str> {
    let pieces = text.split('$').skip(1);
    let names = pieces.map(|piece| {
        let piece = piece.strip_prefix('{').unwrap_or(piece);
        let end = piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &piece[..end.unwrap_or(piece.len())]
    });
    names.filter(|name| !name.starts_with(|c: char| c.is_ascii_digit())).collect()
}

#[test]
fn every_panel_has_a_title_a_description_a_unit_and_a_text_for_no_data() {
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            let title = panel["title"].as_str().unwrap();
            let panel_name = format!("{}: {title}", dashboard.file);
            assert!(!title.is_empty(), "{panel_name}");
            assert!(
                panel["description"].as_str().unwrap().len() > 50,
                "{panel_name}: the description is too short"
            );
            let defaults = &panel["fieldConfig"]["defaults"];
            for key in ["unit", "noValue"] {
                assert!(
                    defaults[key].as_str().is_some_and(|text| !text.is_empty()),
                    "{panel_name}: no {key}"
                );
            }
            assert!(!list(&defaults["thresholds"]["steps"]).is_empty(), "{panel_name}: no thresholds");
            if panel["type"] == "table" {
                // With any other unit, Grafana formats account ids as numbers.
                let unit = &defaults["unit"];
                let of_values = list(&panel["transformations"])
                    .iter()
                    .any(|step| step["id"] != "organize" && step["id"] != "merge");
                assert!(unit == "string" || of_values, "{panel_name}: {unit}");
            }
        }
    }
}

/// Readers who cannot distinguish colours need the words.
#[test]
fn every_coloured_value_has_a_word_and_every_word_one_colour() {
    let mut words = BTreeMap::new();
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            let own = list(&panel["fieldConfig"]["defaults"]["mappings"]);
            let overrides =
                list(&panel["fieldConfig"]["overrides"]).iter().flat_map(|of| list(&of["properties"]));
            let overrides = overrides.filter(|property| property["id"] == "mappings");
            let mappings = own.iter().chain(overrides.flat_map(|property| list(&property["value"])));
            for mapping in mappings.filter(|mapping| mapping["type"] == "value") {
                for (value, shown) in mapping["options"].as_object().unwrap() {
                    let word = shown["text"].as_str().unwrap();
                    assert!(!word.is_empty(), "{}: {value}", panel["title"]);
                    if let Some(colour) = shown["color"].as_str() {
                        words.entry(word.to_owned()).or_insert_with(BTreeSet::new).insert(colour.to_owned());
                    }
                }
            }
        }
    }
    assert_eq!(words["Failed"], BTreeSet::from(["red".to_owned()]));
    for (word, colours) in words {
        assert_eq!(colours.len(), 1, "{word} has several colours: {colours:?}");
    }
}

#[test]
fn panels_have_unique_ids_and_do_not_overlap() {
    for dashboard in dashboards() {
        let mut ids = BTreeSet::new();
        let mut taken = BTreeMap::new();
        for panel in list(&dashboard.json["panels"]) {
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{}: duplicate id {}",
                dashboard.file,
                panel["id"]
            );
            let at = |key| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("w") > 0 && at("h") > 0 && at("x") + at("w") <= 24, "{}", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    let other = taken.insert((x, y), &panel["title"]);
                    assert_eq!(other, None, "{} overlaps: {}", panel["title"], dashboard.file);
                }
            }
        }
    }
}

#[test]
fn links_open_the_other_dashboard_and_keep_the_selection() {
    let dashboards = dashboards();
    for dashboard in &dashboards {
        let mut reached = BTreeSet::new();
        for address in dashboard.addresses().into_iter().filter(|address| !address.starts_with(RUNBOOK)) {
            let path =
                address.strip_prefix("/d/").unwrap_or_else(|| panic!("{address} is no link to a dashboard"));
            let (uid, query) = path.split_once('?').unwrap_or((path, ""));
            let target = dashboards.iter().find(|target| target.uid() == uid);
            let target = target.unwrap_or_else(|| panic!("no dashboard has the uid of {address}"));
            reached.insert(uid);
            for part in query.split('&').filter(|part| !part.is_empty()) {
                let name = match part.strip_prefix("var-") {
                    Some(variable) => variable.split_once('=').unwrap().0,
                    None => used_variables(part)[0],
                };
                assert!(
                    name == "__url_time_range" || target.variable_names().contains(name),
                    "{uid} has no variable {name}: {address}"
                );
            }
        }
        for other in dashboards.iter().map(Dashboard::uid).filter(|uid| *uid != dashboard.uid()) {
            assert!(reached.contains(other), "{} has no link to {other}", dashboard.file);
        }
        for link in list(&dashboard.json["links"]) {
            assert_eq!(link["keepTime"], true, "{link}");
            let address = link["url"].as_str().unwrap();
            assert!(link["includeVars"] == true || address.contains("${datasource:queryparam}"), "{link}");
        }
        let cells = dashboard.addresses().into_iter().filter(|address| address.contains("__data"));
        for address in cells.filter(|address| !address.starts_with(RUNBOOK)) {
            assert!(
                address.contains("${datasource:queryparam}") && address.contains("${__url_time_range}"),
                "{address}"
            );
        }
    }
}

#[test]
fn every_query_uses_the_selected_data_source_and_defined_variables() {
    for dashboard in dashboards() {
        let defined = dashboard.variable_names();
        let targets = dashboard.panels().flat_map(|panel| list(&panel["targets"]));
        let variables = dashboard.variables().iter().filter(|variable| variable["type"] == "query");
        let queries = targets.chain(dashboard.panels()).chain(dashboard.annotations()).chain(variables);
        for query in queries {
            assert_eq!(query["datasource"]["uid"], "${datasource}", "{}: {query}", dashboard.file);
            for text in [&query["expr"], &query["query"]["query"], &query["legendFormat"]] {
                for name in used_variables(text.as_str().unwrap_or_default()) {
                    assert!(
                        defined.contains(name) || BUILT_IN.contains(&name),
                        "{}: ${name}",
                        dashboard.file
                    );
                }
            }
        }
        for name in defined.iter().filter(|name| **name != "datasource") {
            let text = text(dashboard.file);
            let queries = text.lines().filter(|line| line.contains("\"expr\""));
            assert!(
                queries.flat_map(used_variables).any(|used| used == *name),
                "{}: no query uses ${name}",
                dashboard.file
            );
        }
    }
}

#[test]
fn provisioning_defines_the_data_source_and_the_directory_of_the_dashboards() {
    let read = |file: &str| yaml(&format!("deploy/grafana/provisioning/{file}"));
    let sources = read("datasources/prometheus.yaml");
    let source = &sources["datasources"][0];
    for dashboard in dashboards() {
        let variable = &dashboard.variables()[0];
        assert_eq!((&variable["name"], &variable["type"]), (&"datasource".into(), &"datasource".into()));
        assert_eq!(variable["query"], source["type"], "{}", dashboard.file);
    }
    assert_eq!((&sources["apiVersion"], &source["url"]), (&1.into(), &"$PROMETHEUS_URL".into()));
    let providers = read("dashboards/ssm-sync-exporter.yaml");
    let provider = &providers["providers"][0];
    assert_eq!((&providers["apiVersion"], &provider["type"]), (&1.into(), &"file".into()));
    assert_eq!(provider["options"]["path"], "/var/lib/grafana/dashboards");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_grafana_models_know_every_key() {
    let mut python = tools::python();
    python
        .arg(place("tests/python/grafana_models.py"))
        .args(dashboards().map(|dashboard| place(dashboard.file)));
    let output = succeed(&mut python);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2 dashboards\n", "{}", tools::written(&output));
}
