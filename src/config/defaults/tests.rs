use pretty_assertions::assert_eq;

use super::*;
use crate::config::schema::schema;
use crate::config::{Config, SdkDefaults};

fn loaded(text: &str) -> Config {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, text).unwrap();
    Config::load(Some(&file), []).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Every setting of a configuration, without where it was read.
fn settings(config: &Config) -> String {
    let sources = config.account_sources(&SdkDefaults::default()).unwrap();
    let Config { interval, timeout, concurrency, stale_after, ready_after, health, refresh_interval, .. } =
        config;
    let Config { disabled_families, sparse_states, aws, warnings, .. } = config;
    format!(
        "{interval:?} {timeout:?} {concurrency} {stale_after:?} {ready_after:?} {health:?} {refresh_interval:?}\n\
         {disabled_families:?} {sparse_states} {aws:?} {warnings:?}\n{sources:#?}"
    )
}

/// The text with the keys that have no default.
fn uncommented() -> String {
    let is_example = |line: &str| line.trim_start().starts_with("# ");
    let text = defaults();
    let text = text.strip_prefix(HEADER).unwrap();
    let line = |line: &str| if is_example(line) { line.replacen("# ", "", 1) } else { line.to_owned() };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn the_file_with_all_defaults_is_equal_to_no_file() {
    assert_eq!(settings(&loaded(&defaults())), settings(&Config::load(None, []).unwrap()));
}

#[test]
fn the_file_without_comment_signs_is_valid() {
    // The files do not exist.
    let text = uncommented();
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains(": /etc/")).collect();
    let config = loaded(&lines.join("\n"));
    config.account_sources(&SdkDefaults::default()).unwrap();
    assert!(config.has_expectations() && config.organization.is_some());
    let value: Value = serde_saphyr::from_str(&uncommented()).unwrap();
    let validator = jsonschema::draft7::new(&schema()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn the_file_has_every_key() {
    fn keys(schema: &Value, all: &mut BTreeSet<String>) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            all.insert(key.clone());
            keys(property, all);
            keys(&property["items"], all);
        }
    }
    let mut all = BTreeSet::new();
    keys(&schema(), &mut all);
    assert!(all.len() > 50, "{all:?}");
    let text = defaults();
    let is_key = |key: &str| {
        text.lines().any(|line| line.trim_start_matches(['#', ' ', '-']).starts_with(&format!("{key}:")))
    };
    all.retain(|key| !is_key(key));
    assert_eq!(all, BTreeSet::new());
}

#[test]
fn the_file_fits_a_terminal() {
    for line in defaults().lines() {
        assert!(line.len() <= 100 && line.trim_end() == line, "{line:?}");
    }
}
