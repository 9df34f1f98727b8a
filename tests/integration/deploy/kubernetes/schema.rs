//! The schema of the values, from which `values.yaml` and the table in `README.md` are written.

use std::collections::BTreeSet;
use std::io::Write as _;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::chart::{CHART, document, documents, helm_template, value_file, value_sets, values};
use super::network::validate_gateway_objects;
use super::objects::versions;
use crate::deploy::{place, succeed, text};
use crate::tools;

/// A key in the schema.
#[derive(Clone)]
struct Key {
    path: Vec<String>,
    schema: Value,
    is_required: bool,
}

impl Key {
    fn name(&self) -> String {
        self.path.join(".")
    }

    /// Whether the key has a value of its own, rather than keys below it.
    fn is_value(&self) -> bool {
        self.schema.get("default").is_some()
    }

    /// Other values than the default.
    fn changes(&self) -> Vec<Value> {
        if self.schema["type"] == "boolean" {
            return vec![json!(true), json!(false)];
        }
        let of = |name: &str| self.schema[name].as_array().cloned().unwrap_or_default();
        [of("examples"), of("enum")].concat()
    }

    /// The value of this key, if `values` set it.
    fn set_in<'a>(&self, values: &'a Value) -> Option<&'a Value> {
        self.path.iter().try_fold(values, |below, key| below.get(key))
    }

    /// Values of the chart that set this key.
    fn set_to(&self, value: Value) -> Value {
        self.path.iter().rev().fold(value, |below, key| json!({key: below}))
    }
}

/// The keys in the schema, except those that only Helm sets.
fn keys() -> Vec<Key> {
    fn add(schema: &Value, node: &Value, path: &[String], found: &mut Vec<Key>) {
        for (key, below) in node["properties"].as_object().unwrap() {
            let below = match below["$ref"].as_str() {
                Some(reference) => schema.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
                None => below,
            };
            let path = [path, std::slice::from_ref(key)].concat();
            let is_required =
                node["required"].as_array().is_some_and(|required| required.contains(&json!(key)));
            let key = Key { path: path.clone(), schema: below.clone(), is_required };
            let has_keys = below["properties"].is_object();
            if key.is_value() || has_keys {
                found.push(key.clone());
            }
            if !key.is_value() && has_keys {
                add(schema, below, &path, found);
            }
        }
    }
    let schema: Value = serde_json::from_str(&text(&format!("{CHART}/values.schema.json"))).unwrap();
    let mut found = Vec::new();
    add(&schema, &schema, &[], &mut found);
    assert!(found.len() > 100);
    found
}

/// Merges values like Helm.
fn merge(into: &mut Value, values: Value) {
    match values {
        Value::Object(values) if into.is_object() => {
            for (key, value) in values {
                merge(&mut into[key], value);
            }
        }
        value => *into = value,
    }
}

/// The YAML that the chart renders with a file in `ci` and more values, or Helm's error.
fn render(name: &str, more: &Value) -> Result<String, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(more.to_string().as_bytes()).unwrap();
    let mut helm = helm_template(&place(CHART));
    let output =
        helm.arg("--values").arg(value_file(name)).arg("--values").arg(file.path()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn values_yaml_and_the_table_of_values_are_written_from_the_schema() {
    succeed(tools::python().arg(place("tests/python/chart_values.py")).arg("--check"));
    let mut defaults = json!({});
    let readme = text(&format!("{CHART}/README.md"));
    for key in keys() {
        let description = key.schema["description"].as_str().unwrap();
        assert!(description.ends_with('.'), "{}: {description}", key.name());
        assert!(readme.contains(&format!("| `{}` | ", key.name())), "{}", key.name());
        if key.is_value() {
            let default = &key.schema["default"];
            merge(&mut defaults, key.set_to(default.clone()));
            assert!(key.changes().iter().any(|change| change != default), "{} has no example", key.name());
        }
    }
    assert_eq!(document("values.yaml"), defaults);
}

/// A value that changes nothing is a mistake in a template. Its examples are documentation, so
/// they must be valid.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn each_value_changes_the_objects_and_each_example_is_valid() {
    let sets: Vec<(String, Value, String)> = value_sets()
        .into_iter()
        .map(|name| (name.clone(), values(&name), render(&name, &json!({})).unwrap()))
        .collect();
    // The documents that a change adds, or else the errors.
    let changed = |key: &Key| -> Result<Vec<String>, Vec<String>> {
        // First the files that set the key or its section.
        let is_unset = |values: &Value| (key.set_in(values).is_none(), values.get(&key.path[0]).is_none());
        let mut sets: Vec<_> = sets.iter().collect();
        sets.sort_by_key(|(_, values, _)| is_unset(values));
        let mut errors = Vec::new();
        for (name, values, before) in sets {
            let now = key.set_in(values).unwrap_or(&key.schema["default"]);
            for change in key.changes().into_iter().filter(|change| change != now) {
                match render(name, &key.set_to(change)) {
                    Ok(after) if after != *before => {
                        let old: BTreeSet<&str> = before.split("---\n").collect();
                        let new = after.split("---\n").filter(|document| !old.contains(document));
                        return Ok(new.map(str::to_owned).collect());
                    }
                    Ok(_) => {}
                    Err(error) => errors.push(error),
                }
            }
        }
        Err(errors)
    };
    let keys: Vec<Key> = keys().into_iter().filter(Key::is_value).collect();
    let mut all = Vec::new();
    std::thread::scope(|scope| {
        let halves = [0, 1].map(|first| {
            let half: Vec<&Key> = keys.iter().skip(first).step_by(2).collect();
            scope.spawn(|| half.into_iter().map(|key| (key, changed(key))).collect::<Vec<_>>())
        });
        for half in halves {
            all.extend(half.join().unwrap());
        }
    });
    let mut added = Vec::new();
    for (key, outcome) in all {
        match outcome {
            Ok(documents) => added.extend(documents),
            // The value cannot be changed alone, but the chart reads it.
            Err(errors) => assert!(
                errors.iter().any(|error| error.contains(&key.name())),
                "{} changes nothing: {errors:?}",
                key.name()
            ),
        }
    }
    // There is no schema for the VerticalPodAutoscaler.
    added.retain(|document| !document.contains("apiVersion: autoscaling.k8s.io/"));
    let objects =
        documents(&added.join("---\n"), &versions()[1..].iter().map(String::as_str).collect::<Vec<_>>());
    let routes: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "HTTPRoute").collect();
    assert!(routes.len() >= 5);
    validate_gateway_objects(&routes).unwrap();
}

/// Helm removes a key whose value is null. A template that expects the key would fail with an error
/// about the template, or render an object that means something else.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn each_value_can_be_null_or_is_reported_as_missing() {
    // Reported by templates, because they may be empty if their feature is off.
    let needed = [
        "image.repository",
        "ingress.hosts",
        "httpRoute.parentRefs",
        "networkPolicy.pageFrom",
        "alertmanagerConfig.slack.apiURL",
        "alertmanagerConfig.email.to",
    ];
    let newest = versions()[1].clone();
    for name in ["everything", "renamed", "page", "host-network"] {
        for keep_enabled in [true, false] {
            let mut nulls = json!({});
            for key in keys().iter().filter(|key| key.is_value() && !key.is_required) {
                let is_switch = key.path.last().unwrap() == "enabled";
                let is_kept = needed.contains(&key.name().as_str()) || (keep_enabled && is_switch);
                if !is_kept {
                    merge(&mut nulls, key.set_to(Value::Null));
                }
            }
            let yaml = render(name, &nulls).unwrap_or_else(|error| panic!("{name}: {error}"));
            documents(&yaml, &[&newest]);
        }
    }
    let required: Vec<Key> = keys().into_iter().filter(|key| key.is_required).collect();
    // A key that is null hides those below it.
    let depth = required.iter().map(|key| key.path.len()).max().unwrap();
    let errors: Vec<String> = (1..=depth)
        .map(|depth| {
            let mut nulls = json!({});
            for key in required.iter().filter(|key| key.path.len() == depth) {
                merge(&mut nulls, key.set_to(Value::Null));
            }
            render("minimal", &nulls).unwrap_err()
        })
        .collect();
    for key in &required {
        let (last, above) = key.path.split_last().unwrap();
        let error = &errors[above.len()];
        let place: String = above.iter().flat_map(|key| ["/", key.as_str()]).collect();
        let mut lines =
            error.lines().filter(|line| line.contains(&format!("- at '{place}': missing propert")));
        assert!(lines.any(|line| line.contains(&format!("'{last}'"))), "{}: {error}", key.name());
    }
}

/// The tests render every file in `ci` in many ways, which tests what no file sets too little.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn each_value_is_set_by_a_file_in_ci() {
    let sets: Vec<Value> = value_sets().iter().map(|name| values(name)).collect();
    let is_set = |key: &&Key| sets.iter().any(|values| key.set_in(values).is_some());
    let missing: Vec<String> = keys().iter().filter(|key| !is_set(key)).map(Key::name).collect();
    // The only file with a PodMonitor tests the job name of another nameOverride.
    assert_eq!(missing, ["podMonitor.jobLabel"]);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_values_schema_is_valid_json_schema() {
    let mut check = tools::python_program("check-jsonschema");
    succeed(check.arg("--check-metaschema").arg(place(CHART).join("values.schema.json")));
}
