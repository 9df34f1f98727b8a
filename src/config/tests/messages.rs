//! Tests that an error is one short line of printable characters, whatever the configuration
//! contains and however large it is.

use serde_json::Value;

use super::*;
use crate::config::WebConfig;
use crate::error_chain::with_causes;
use crate::printable::{excerpt, is_printable};

/// What terminals and logs must not get: line ends, control sequences, and text that is shown in
/// another order than it has.
const UNPRINTABLE: &str = "\n\u{1b}[31m\r\u{9b}2J\u{202e}\u{2028}\u{feff}\0\u{7f}\u{85}";

/// No error is longer, apart from the path of the file.
const MAX_ERROR: usize = 1200;

fn assert_is_one_short_line(message: &str, what: &str) {
    let what = excerpt(what);
    assert!(message.chars().all(is_printable), "{what}: {message:?}");
    assert!(message.len() <= MAX_ERROR, "{what}: {} bytes: {message:?}", message.len());
}

/// The values in which one scalar or key of `value` is replaced by `text`, each with the path to it.
fn replacements(value: &Value, text: &str) -> Vec<(String, Value)> {
    match value {
        Value::Object(entries) => entries
            .iter()
            .flat_map(|(key, inner)| {
                let renamed = {
                    let mut entries = entries.clone();
                    let inner = entries.remove(key).unwrap();
                    entries.insert(text.to_owned(), inner);
                    (format!("key {key}"), Value::Object(entries))
                };
                let inside = replacements(inner, text).into_iter().map(|(path, inner)| {
                    let mut entries = entries.clone();
                    entries.insert(key.clone(), inner);
                    (format!("{key}.{path}"), Value::Object(entries))
                });
                inside.chain([renamed]).collect::<Vec<_>>()
            })
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(index, inner)| {
                replacements(inner, text).into_iter().map(move |(path, inner)| {
                    let mut items = items.clone();
                    items[index] = inner;
                    (format!("{index}.{path}"), Value::Array(items))
                })
            })
            .collect(),
        _ => vec![(String::new(), Value::String(text.to_owned()))],
    }
}

fn texts() -> [String; 4] {
    [
        UNPRINTABLE.to_owned(),
        format!("eu-west-1{UNPRINTABLE}"),
        "x".repeat(20_000),
        format!("/{}", UNPRINTABLE.repeat(2_000)),
    ]
}

fn fixture(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn an_error_is_one_short_line_wherever_the_configuration_has_unprintable_text() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    let mut errors = 0;
    for example in ["config/full.yaml", "config/organization.yaml"] {
        let settings: Value = serde_saphyr::from_str(&fixture(example)).unwrap();
        for text in texts() {
            for (path, settings) in replacements(&settings, &text) {
                // JSON is YAML.
                std::fs::write(&file, settings.to_string()).unwrap();
                match checked(Some(&file), Vec::new()) {
                    Ok(config) => {
                        config.warnings.iter().for_each(|warning| assert_is_one_short_line(warning, &path));
                    }
                    Err(error) => {
                        errors += 1;
                        assert_is_one_short_line(&error, &path);
                    }
                }
            }
        }
    }
    assert!(errors > 100, "{errors}");
}

#[test]
fn an_error_is_one_short_line_wherever_the_web_configuration_has_unprintable_text() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yaml");
    let mut errors = 0;
    for example in ["every_key", "users", "some_cipher_suites", "no_rate_limit"] {
        let settings: Value =
            serde_saphyr::from_str(&fixture(&format!("tests/fixtures/web/good/{example}.yaml"))).unwrap();
        for text in texts() {
            for (path, settings) in replacements(&settings, &text) {
                std::fs::write(&file, settings.to_string()).unwrap();
                match WebConfig::load(&file) {
                    Ok(config) => {
                        config.warnings.iter().for_each(|warning| assert_is_one_short_line(warning, &path));
                    }
                    Err(error) => {
                        errors += 1;
                        assert_is_one_short_line(&with_causes(&error), &path);
                    }
                }
            }
        }
    }
    assert!(errors > 100, "{errors}");
}

#[test]
fn an_error_is_one_short_line_wherever_a_request_has_unprintable_text() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, "expectations: [{name: a, request_file: a.json}]").unwrap();
    let request = serde_json::json!({
        "SyncName": "a",
        "SyncType": "SyncToDestination",
        "S3Destination": {"BucketName": "b", "SyncFormat": "JsonSerDe", "Region": "eu-west-1", "AWSKMSKeyARN": "c"},
    });
    for text in texts() {
        for (path, request) in replacements(&request, &text) {
            let json = request.to_string();
            for json in [json.clone(), json.replace("\":", "\" "), text.clone()] {
                std::fs::write(directory.path().join("a.json"), json).unwrap();
                if let Err(error) = checked(Some(&file), Vec::new()) {
                    assert_is_one_short_line(&error, &path);
                }
            }
        }
    }
}

#[test]
fn an_error_is_one_short_line_whatever_yaml_the_file_has() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    for text in texts() {
        for yaml in [
            "TEXT",
            "interval: TEXT",
            "TEXT: 5m",
            "'TEXT': 5m",
            "\"TEXT\": 5m",
            "interval: !TEXT 5m",
            "interval: &TEXT 5x",
            "interval: *TEXT",
            "%TEXT\n---\n",
            "interval: |\n  TEXT",
            "[TEXT",
            "{TEXT",
            "regions: [TEXT",
            "- TEXT",
            "? TEXT",
            "<<: TEXT",
            "interval: !!TEXT 5m",
            "# TEXT",
        ] {
            let yaml = yaml.replace("TEXT", &text);
            for yaml in [yaml.clone(), yaml.replace(['\n', '\0'], "")] {
                std::fs::write(&file, &yaml).unwrap();
                if let Err(error) = checked(Some(&file), Vec::new()) {
                    assert_is_one_short_line(&error, &yaml);
                }
            }
        }
    }
}

#[test]
fn an_error_is_one_short_line_whatever_a_variable_is_called_and_contains() {
    for text in texts() {
        for name in ["INTERVAL", "REGIONS", "AWS__ENDPOINT_URL", "TEXT", "TEXT__TEXT", "ACCOUNTS"] {
            for value in ["TEXT", "[TEXT]", "{TEXT: 1}", "[{name: TEXT}]", "[", "{endpoint_url: TEXT}"] {
                let (name, value) = (name.replace("TEXT", &text), value.replace("TEXT", &text));
                let variable = format!("SSM_SYNC_EXPORTER_{name}");
                let Err(error) = from_environment(&[(&variable, &value)]) else { continue };
                assert_is_one_short_line(&error, &variable);
            }
        }
    }
}

#[test]
fn an_error_is_one_short_line_whatever_the_path_is() {
    let directory = tempfile::tempdir().unwrap();
    for text in texts() {
        let path = directory.path().join(&text);
        for error in [Config::load(Some(&path), []).unwrap_err(), WebConfig::load(&path).unwrap_err()] {
            assert_is_one_short_line(&with_causes(&error), &text);
        }
    }
    let name = UNPRINTABLE.replace('\0', "");
    let file = directory.path().join(&name);
    std::fs::write(&file, "tls_server_config: {cert_file: a}").unwrap();
    for error in [Config::load(Some(&file), []).unwrap_err(), WebConfig::load(&file).unwrap_err()] {
        assert_is_one_short_line(&with_causes(&error), &name);
    }
}

#[test]
fn a_variable_with_thousands_of_levels_is_rejected() {
    // Regression: the stack overflowed.
    for (name, depth) in [("A".to_owned(), 5_000), ("AWS".to_owned(), 33), (String::new(), 40_000)] {
        let variable = format!("SSM_SYNC_EXPORTER_{}", vec![name; depth].join("__"));
        let error = from_environment(&[(&variable, "1")]).unwrap_err();
        assert_is_one_short_line(&error, &variable);
        assert!(error.ends_with("…: `__` separates more than 32 levels; no key is that deep"), "{error}");
    }
    let error = from_environment(&[("SSM_SYNC_EXPORTER_AWS__A__B", "1")]).unwrap_err();
    assert!(error.contains("aws.a: unknown key"), "{error}");
}
