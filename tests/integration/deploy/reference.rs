//! The metric reference in `deploy/prometheus/README.md`, compared with a scrape and with
//! the rules.

use std::collections::{BTreeMap, BTreeSet};

use pretty_assertions::assert_eq;

use super::{list, text, yaml};
use crate::prometheus::exporter_with_everything;

const REFERENCE: &str = "deploy/prometheus/README.md";

/// What the reference and a scrape both say about a metric family.
#[derive(Debug, Default, PartialEq)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

/// The cells of a table row.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

/// The texts in backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The rows below the header with these columns, each with the labels that the paragraph
/// above its table names for every series.
fn rows<'a>(reference: &'a str, columns: &[&str]) -> Vec<(BTreeSet<String>, Vec<&'a str>)> {
    let mut rows = Vec::new();
    let mut common = BTreeSet::new();
    let mut inside = false;
    for line in reference.lines() {
        if line.starts_with('#') {
            common.clear();
        } else if let Some(labels) = line.strip_prefix("Labels of every series: ") {
            common = quoted(labels);
        }
        match cells(line) {
            None => inside = false,
            Some(cells) if cells == columns => inside = true,
            Some(cells) if inside && !cells[0].starts_with('-') => rows.push((common.clone(), cells)),
            Some(_) => {}
        }
    }
    rows
}

fn documented() -> BTreeMap<String, Family> {
    let reference = text(REFERENCE);
    let mut families = BTreeMap::new();
    for (mut labels, row) in rows(&reference, &["Metric", "Type", "Unit", "Labels", "Description"]) {
        let [name, kind, _, extra, help] = row[..] else { panic!("{row:?}") };
        labels.extend(quoted(extra));
        let family = Family { kind: kind.to_owned(), help: help.to_owned(), labels };
        let other = families.insert(name.trim_matches('`').to_owned(), family);
        assert_eq!(other, None, "{name} is documented twice");
    }
    families
}

/// The names of the labels of a sample in the text format.
fn label_names(sample: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = sample.split_once('{').map_or("", |(_, rest)| rest);
    while let Some((name, value)) = rest.split_once("=\"") {
        names.push(name);
        let mut escaped = false;
        let closes = |c: char| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        };
        let end = value.find(closes).unwrap();
        let Some(next) = value[end + 1..].strip_prefix(',') else { break };
        rest = next;
    }
    names
}

/// The families of a scrape, each with the labels of all of its samples.
fn exposed(scrape: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    // Only a line feed ends a line: a label may contain a carriage return.
    for line in scrape.split_terminator('\n') {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            name.clone_into(&mut current);
            help.clone_into(&mut families.entry(current.clone()).or_default().help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            name.clone_into(&mut current);
            kind.clone_into(&mut families.entry(current.clone()).or_default().kind);
        } else {
            assert!(line.starts_with(&current), "a sample of {current}: {line}");
            let names = label_names(line).into_iter().filter(|name| *name != "le").map(str::to_owned);
            families.get_mut(&current).unwrap().labels.extend(names);
        }
    }
    families
}

#[tokio::test]
async fn the_reference_describes_exactly_the_exposed_metrics() {
    let (_aws, exporter) = exporter_with_everything("1h").await;
    let (exposed, documented) = (exposed(&exporter.scrape().await.0), documented());
    let names = |families: &BTreeMap<String, Family>| families.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&documented), names(&exposed));
    for (name, family) in &documented {
        assert_eq!(family, &exposed[name], "{name} in {REFERENCE}");
    }
}

#[test]
fn the_reference_lists_every_alert_with_its_severity() {
    let alerts = yaml("deploy/prometheus/alerts.yml");
    let severities: BTreeMap<String, String> = list(&alerts["groups"])
        .iter()
        .flat_map(|group| list(&group["rules"]))
        .map(|rule| (&rule["alert"], &rule["labels"]["severity"]))
        .map(|(name, severity)| (name.as_str().unwrap().to_owned(), severity.as_str().unwrap().to_owned()))
        .collect();
    let reference = text(REFERENCE);
    let mut documented = BTreeMap::new();
    for (_, row) in rows(&reference, &["Alert", "Fires when", "Severity", "Runbook"]) {
        let [alert, _, severity, runbook] = row[..] else { panic!("{row:?}") };
        let alert = alert.trim_matches('`');
        let link = format!("](../runbook.md#{})", alert.to_lowercase());
        assert!(runbook.ends_with(&link), "{alert}: {runbook}");
        documented.insert(alert.to_owned(), severity.to_owned());
    }
    assert_eq!(documented, severities);
}

#[test]
fn the_reference_lists_every_recording_rule() {
    let rules = yaml("deploy/prometheus/recording-rules.yml");
    let recorded: Vec<&str> = list(&rules["groups"])
        .iter()
        .flat_map(|group| list(&group["rules"]))
        .map(|rule| rule["record"].as_str().unwrap())
        .collect();
    let reference = text(REFERENCE);
    let documented: Vec<&str> =
        rows(&reference, &["Rule", "Value"]).iter().map(|(_, row)| row[0].trim_matches('`')).collect();
    assert_eq!(documented, recorded);
}
