use std::path::Path;

use jsonschema::Validator;
use pretty_assertions::assert_eq;
use serde_json::json;

use super::*;
use crate::config::{Config, SdkDefaults};

const FILE: &str = "config/ssm-sync-exporter.schema.json";

fn place(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn validator() -> Validator {
    jsonschema::draft7::new(&schema()).unwrap()
}

/// What the program says of a file.
fn loaded(text: &str) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, text).unwrap();
    let config = Config::load(Some(&file), []).map_err(|error| error.to_string())?;
    config.account_sources(&SdkDefaults::default()).map(|_| ()).map_err(|error| error.to_string())
}

/// What YAML makes of a file, as editors and check-jsonschema see it.
fn parsed(text: &str) -> Value {
    // Only the words of YAML 1.2 are booleans.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_committed_schema_is_the_one_of_the_program() {
    let committed = std::fs::read_to_string(place(FILE)).unwrap();
    let current = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    assert_eq!(committed, current, "update it: cargo run -- config schema > {FILE}");
}

#[test]
fn every_key_and_mapping_is_described_and_no_other_key_is_accepted() {
    let mut keys = 0;
    for_each_schema(&mut schema(), &mut |schema| {
        let Some(Value::Object(properties)) = schema.get("properties") else { return };
        // A condition on some keys.
        if !schema.contains_key("title") {
            return;
        }
        assert_eq!(schema.get("additionalProperties"), Some(&Value::Bool(false)), "{schema:?}");
        for (key, property) in properties {
            keys += 1;
            let description = property["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.') && !description.contains('\n'), "{key}: {property}");
            let types = &property["type"];
            let is_nested = ["object", "array"].iter().any(|name| types.to_string().contains(name));
            let has_words = property["enum"].is_array() || types.to_string().contains("boolean");
            let has_value = !property["examples"].is_null() || !property["default"].is_null();
            assert!(is_nested || has_words || has_value, "{key}: {property}");
        }
    });
    assert!(keys > 80, "{keys}");
}

#[test]
fn examples_and_defaults_fit_the_schema_that_they_are_in() {
    let mut values = 0;
    for_each_schema(&mut schema(), &mut |schema| {
        let examples = schema.get("examples").and_then(Value::as_array).into_iter().flatten();
        let all: Vec<&Value> = examples.chain(schema.get("default")).collect();
        if !all.is_empty() {
            let validator = jsonschema::draft7::new(&Value::Object(schema.clone())).unwrap();
            for value in all {
                values += 1;
                assert!(validator.is_valid(value), "{value} does not fit {schema:?}");
            }
        }
    });
    assert!(values > 80, "{values}");
}

#[test]
fn the_schema_accepts_what_the_program_accepts() {
    let validator = validator();
    for text in [
        "",
        "# only a comment\n",
        "interval:\ntimeout: ~\nquota:\nhealth: null\nmetrics:\naws:\n",
        "interval: PT5M\ntimeout: 1h 30 minutes\nstale_after: 01:30:00\nready_after: 90,5s\nrefresh_interval: pt1.5h\n",
        "health: {max_success_age: 2 weeks, max_run_time: P1DT2H}\n",
        "concurrency: 0x10\nquota: {SyncToDestination: 0o17, SyncFromSource: +3}\n",
        "concurrency: \"64\"\nquota: {SyncToDestination: \"0x1F\"}\n",
        "metrics: {sparse_states: TRUE}\naws: {use_fips: \"False\", session_policy: false}\n",
        "accounts: [{id: 111122223333, profile: a}, {id: 012345678901, profile: b}]\nregions: ['*']\n",
        "accounts: [{name: 17, profile: 1.5}, {name: true, profile: on}]\nregions: [eu-west-1]\n",
        "accounts:\n  - &a {id: \"111122223333\", profile: hub, regions: [eu-west-1]}\n  - {<<: *a, id: \"444455556666\", profile: b}\n",
        "organization: {member_role: 'arn:{partition}:iam::{account_id}:role/a{{b}}/c', external_id: 12, session_name: 34, exclude_accounts: [111122223333]}\nregions: [eu-*, us-east-?]\n",
        "health: {rules: [{accounts: [111122223333, '!x', 1.5], sync_names: [7], max_run_time: 1h, max_success_age:}]}\n",
        "managed_nodes: {enabled: TRUE, interval: PT90M}\naccounts: [{profile: a, managed_nodes: }, {profile: b, managed_nodes: {enabled: \"false\", interval: }}]\nregions: [eu-west-1]\n",
        "managed_nodes:\norganization: {member_role: 'arn:aws:iam::{account_id}:role/x', managed_nodes: {interval: 1h}}\nregions: [eu-west-1]\n",
        "health: {rules: [{sync_names: [a], ignore_managed_nodes: true}, {ignore_managed_nodes: \"false\"}]}\n",
        "expectations: [{name: 1, request: {SyncName: 5}, request_file: ~, preset: ~, presence: ~}]\nregions: ['*']\n",
        "expectations: [{name: a, request: {S3Destination: {Prefix: ~, BucketName: [a, 1, 'b*'], Region: ['eu-{region}', eu-west-1]}}}]\nregions: ['*']\n",
        "aws: {endpoint_url: 'HTTP://[::1]:4566/a#b?c', sts_region: us-gov-east-1}\n",
    ] {
        assert_eq!(loaded(text), Ok(()), "{text}");
        let value = parsed(text);
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{text}: {errors:?}");
    }
}

#[test]
fn the_schema_refuses_what_is_wrong_in_shape() {
    let validator = validator();
    for text in [
        "intervall: 5m\n",
        "interval: 5\n",
        "interval: 5 fortnights\n",
        "interval: -5m\n",
        "interval: 0h 0m\n",
        "interval: 1d\n",
        "interval: [5m]\n",
        "concurrency: 0\n",
        "concurrency: many\n",
        "quota: {SyncToDestination: -1}\n",
        "quota: {SyncFromSource: 4294967296}\n",
        "regions: eu-west-1\n",
        "regions: []\n",
        "regions:\n",
        "regions: [eu-west]\n",
        "regions: ['EU-*']\n",
        "regions: [eu-west-1, eu-west-1]\n",
        "metrics: {sparse_states: yes}\n",
        "metrics: {disable: [aws_ssm_resource_data_sync]}\n",
        "metrics: {disable: }\n",
        "accounts:\n",
        "accounts: [{id: 1111-2222-3333}]\n",
        "accounts: [{id: 1111222233334}]\n",
        "accounts: [{assume_roles: [{}]}]\n",
        "accounts: [{assume_roles: [{arn: 'arn:aws:iam::111122223333:user/x'}]}]\n",
        "organization:\n",
        "organization: {member_role: 'arn:aws:iam::111122223333:role/x'}\n",
        "health: {rules: [{accounts: ['*']}]}\n",
        "health: {rules: [{accounts: ['*'], max_run_time: }]}\n",
        "health: {rules: [{ignore_managed_nodes: }]}\n",
        "managed_nodes: true\n",
        "managed_nodes: {enabled: 1}\n",
        "managed_nodes: {interval: 6}\n",
        "accounts: [{profile: a, managed_nodes: [true]}]\n",
        "expectations: [{name: a}]\n",
        "expectations: [{name: a, preset: inspector, request: {SyncName: b}}]\n",
        "expectations: [{name: a, request: {SyncSource: {SourceRegions: [eu-west-1]}}}]\n",
        "expectations: [{name: a, request: {SyncName: ~}}]\n",
        "aws: {endpoint_url: localhost}\n",
        "aws: {endpoint_url: 'https://me:secret@host'}\n",
        "- interval\n",
        "interval\n",
    ] {
        assert!(loaded(text).is_err(), "{text}");
        assert!(!validator.is_valid(&parsed(text)), "{text}");
    }
}

/// Copies of `value` in which one value is replaced by `other`, or removed.
fn replacements(value: &Value, other: &Value) -> Vec<Value> {
    let mut all = vec![other.clone()];
    match value {
        Value::Object(keys) => {
            for (key, inner) in keys {
                let with = |replaced| {
                    let mut copy = keys.clone();
                    copy.insert(key.clone(), replaced);
                    Value::Object(copy)
                };
                all.extend(replacements(inner, other).into_iter().map(with));
                let mut without = keys.clone();
                without.remove(key);
                all.push(Value::Object(without));
            }
        }
        Value::Array(values) => {
            for (index, inner) in values.iter().enumerate() {
                let with = |replaced| {
                    let mut copy = values.clone();
                    copy[index] = replaced;
                    Value::Array(copy)
                };
                all.extend(replacements(inner, other).into_iter().map(with));
            }
        }
        _ => {}
    }
    all
}

/// Puts many values at each place of the examples, where most of them do not belong.
#[test]
fn the_schema_accepts_whatever_the_program_accepts_at_any_place_of_the_examples() {
    let validator = validator();
    let values = [
        json!(null),
        json!(true),
        json!(7),
        json!(-1),
        json!(1.5),
        json!([]),
        json!({}),
        json!(["x"]),
        json!({ "x": 1 }),
        json!(""),
        json!("x"),
        json!("*"),
        json!("7"),
        json!("true"),
        json!("30s"),
        json!("eu-west-1"),
        json!("{region}"),
        json!("111122223333"),
        json!(111_122_223_333_u64),
    ];
    let (mut accepted, mut refused, mut only_by_the_program) = (0, 0, 0);
    for example in ["config/full.yaml", "config/organization.yaml"] {
        let settings = parsed(&std::fs::read_to_string(place(example)).unwrap());
        for (offset, value) in values.iter().enumerate() {
            // Each place gets some of the values.
            for changed in replacements(&settings, value).into_iter().skip(offset % 5).step_by(5) {
                let text = changed.to_string();
                match (loaded(&text), validator.is_valid(&changed)) {
                    (Ok(()), true) => accepted += 1,
                    (Ok(()), false) => panic!("the schema refuses {text}"),
                    (Err(_), false) => refused += 1,
                    (Err(_), true) => only_by_the_program += 1,
                }
            }
        }
    }
    // Most of what the program refuses is wrong in shape.
    assert!(
        accepted > 100 && refused > 5 * only_by_the_program,
        "{accepted} {refused} {only_by_the_program}"
    );
}
