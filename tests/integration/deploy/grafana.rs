//! Dashboards: whether they say what they show and hang together. `answers` asks
//! their queries of a real Prometheus. No Grafana is at hand for tests, so nothing here
//! is drawn.

mod answers;

use std::collections::{BTreeMap, BTreeSet};

use pretty_assertions::assert_eq;
use serde_json::Value;

use super::{list, place, succeed, text, yaml};
use crate::tools;

/// What Grafana fills in by itself.
const BUILT_IN: [&str; 2] = ["__range", "__rate_interval"];

struct Dashboard {
    file: &'static str,
    json: Value,
}

fn dashboards() -> [Dashboard; 2] {
    ["deploy/grafana/fleet.json", "deploy/grafana/sync.json"].map(|file| {
        let json = serde_json::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        Dashboard { file, json }
    })
}

impl Dashboard {
    fn uid(&self) -> &str {
        self.json["uid"].as_str().unwrap()
    }

    /// All panels but the headings of rows.
    fn panels(&self) -> impl Iterator<Item = &Value> {
        list(&self.json["panels"]).iter().filter(|panel| panel["type"] != "row")
    }

    fn variables(&self) -> &[Value] {
        list(&self.json["templating"]["list"])
    }

    fn annotations(&self) -> &[Value] {
        list(&self.json["annotations"]["list"])
    }

    fn variable_names(&self) -> BTreeSet<&str> {
        self.variables().iter().map(|variable| variable["name"].as_str().unwrap()).collect()
    }

    /// The address of every link, of the page or of a cell.
    fn addresses(&self) -> Vec<&str> {
        let cells = self.panels().flat_map(|panel| list(&panel["fieldConfig"]["overrides"]));
        let cells = cells.flat_map(|of| list(&of["properties"])).filter(|property| property["id"] == "links");
        let links = cells.flat_map(|property| list(&property["value"])).chain(list(&self.json["links"]));
        links.map(|link| link["url"].as_str().unwrap()).collect()
    }
}

/// The variables that a text names, as `$name` or `${name}` or `${name:format}`; `$1` is
/// none.
fn named(text: &str) -> Vec<&str> {
    let pieces = text.split('$').skip(1);
    let names = pieces.map(|piece| {
        let piece = piece.strip_prefix('{').unwrap_or(piece);
        let end = piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &piece[..end.unwrap_or(piece.len())]
    });
    names.filter(|name| !name.starts_with(|c: char| c.is_ascii_digit())).collect()
}

#[test]
fn every_panel_says_what_it_shows() {
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            let title = panel["title"].as_str().unwrap();
            let about = format!("{}: {title}", dashboard.file);
            assert!(!title.is_empty(), "{about}");
            assert!(panel["description"].as_str().unwrap().len() > 50, "{about}: too short a description");
            let defaults = &panel["fieldConfig"]["defaults"];
            for key in ["unit", "noValue"] {
                assert!(defaults[key].as_str().is_some_and(|text| !text.is_empty()), "{about}: no {key}");
            }
            assert!(!list(&defaults["thresholds"]["steps"]).is_empty(), "{about}: no thresholds");
            if panel["type"] == "table" {
                // Anything else would write account ids as numbers.
                let unit = &defaults["unit"];
                let of_values = list(&panel["transformations"])
                    .iter()
                    .any(|step| step["id"] != "organize" && step["id"] != "merge");
                assert!(unit == "string" || of_values, "{about}: {unit}");
            }
        }
    }
}

/// Colour alone says nothing to those who cannot see it.
#[test]
fn what_is_coloured_is_said_in_words() {
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
fn every_panel_has_an_id_and_a_place_of_its_own() {
    for dashboard in dashboards() {
        let mut ids = BTreeSet::new();
        let mut taken = BTreeMap::new();
        for panel in list(&dashboard.json["panels"]) {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}: {} twice", dashboard.file, panel["id"]);
            let at = |key| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("w") > 0 && at("h") > 0 && at("x") + at("w") <= 24, "{}", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    let other = taken.insert((x, y), &panel["title"]);
                    assert_eq!(other, None, "{} is there, too: {}", panel["title"], dashboard.file);
                }
            }
        }
    }
}

#[test]
fn links_lead_to_the_other_page_and_keep_what_was_chosen() {
    let dashboards = dashboards();
    for dashboard in &dashboards {
        let mut reached = BTreeSet::new();
        for address in dashboard.addresses() {
            let path = address.strip_prefix("/d/").unwrap_or_else(|| panic!("{address} leads elsewhere"));
            let (uid, query) = path.split_once('?').unwrap_or((path, ""));
            let target = dashboards.iter().find(|target| target.uid() == uid);
            let target = target.unwrap_or_else(|| panic!("no dashboard has the uid of {address}"));
            reached.insert(uid);
            for part in query.split('&').filter(|part| !part.is_empty()) {
                let name = match part.strip_prefix("var-") {
                    Some(variable) => variable.split_once('=').unwrap().0,
                    None => named(part)[0],
                };
                assert!(
                    name == "__url_time_range" || target.variable_names().contains(name),
                    "{uid} has no variable {name}: {address}"
                );
            }
        }
        for other in dashboards.iter().map(Dashboard::uid).filter(|uid| *uid != dashboard.uid()) {
            assert!(reached.contains(other), "no link of {} leads to {other}", dashboard.file);
        }
        for link in list(&dashboard.json["links"]) {
            assert_eq!(link["keepTime"], true, "{link}");
            let address = link["url"].as_str().unwrap();
            assert!(link["includeVars"] == true || address.contains("${datasource:queryparam}"), "{link}");
        }
        let cells = dashboard.addresses().into_iter().filter(|address| address.contains("__data"));
        for address in cells {
            assert!(
                address.contains("${datasource:queryparam}") && address.contains("${__url_time_range}"),
                "{address}"
            );
        }
    }
}

#[test]
fn every_query_asks_the_chosen_data_source_and_names_known_variables() {
    for dashboard in dashboards() {
        let known = dashboard.variable_names();
        let queries = dashboard.panels().flat_map(|panel| list(&panel["targets"]));
        let asking = dashboard.variables().iter().filter(|variable| variable["type"] == "query");
        let asked = queries.chain(dashboard.panels()).chain(dashboard.annotations()).chain(asking);
        for asked in asked {
            assert_eq!(asked["datasource"]["uid"], "${datasource}", "{}: {asked}", dashboard.file);
            for text in [&asked["expr"], &asked["query"]["query"], &asked["legendFormat"]] {
                for name in named(text.as_str().unwrap_or_default()) {
                    assert!(known.contains(name) || BUILT_IN.contains(&name), "{}: ${name}", dashboard.file);
                }
            }
        }
        for name in known.iter().filter(|name| **name != "datasource") {
            let text = text(dashboard.file);
            let queries = text.lines().filter(|line| line.contains("\"expr\""));
            assert!(
                queries.flat_map(named).any(|used| used == *name),
                "{}: nothing uses ${name}",
                dashboard.file
            );
        }
    }
}

#[test]
fn provisioning_names_the_source_and_the_place_of_the_dashboards() {
    let read = |file: &str| yaml(&format!("deploy/grafana/provisioning/{file}"));
    let sources = read("datasources/prometheus.yaml");
    let source = &sources["datasources"][0];
    for dashboard in dashboards() {
        let chosen = &dashboard.variables()[0];
        assert_eq!((&chosen["name"], &chosen["type"]), (&"datasource".into(), &"datasource".into()));
        assert_eq!(chosen["query"], source["type"], "{}", dashboard.file);
    }
    assert_eq!((&sources["apiVersion"], &source["url"]), (&1.into(), &"$PROMETHEUS_URL".into()));
    let providers = read("dashboards/ssm-sync-exporter.yaml");
    let provider = &providers["providers"][0];
    assert_eq!((&providers["apiVersion"], &provider["type"]), (&1.into(), &"file".into()));
    assert_eq!(provider["options"]["path"], "/var/lib/grafana/dashboards");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_official_models_know_every_key() {
    let mut python = tools::python();
    python
        .arg(place("tests/python/grafana_models.py"))
        .args(dashboards().map(|dashboard| place(dashboard.file)));
    let output = succeed(&mut python);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2 dashboards\n", "{}", tools::written(&output));
}
