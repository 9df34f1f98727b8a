//! `check-jsonschema` and the JSON Schema of the configuration: it accepts every example, and refuses every
//! invalid fixture that is wrong in shape.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::deploy::{place, text};
use crate::tools;

const SCHEMA: &str = "config/ssm-sync-exporter.schema.json";
const BAD: &str = "tests/fixtures/config/bad";

/// The fixtures that are wrong only in meaning, by the reason why a schema cannot tell. All others are wrong
/// in shape.
const WRONG_IN_MEANING: [(&str, &[&str]); 8] = [
    (
        "a length of time, or another number, with units",
        &[
            "duration_too_long",
            "health_limit_too_long",
            "interval_too_short",
            "managed_nodes_interval_of_an_account_too_short",
            "managed_nodes_interval_too_short",
        ],
    ),
    (
        "a file that is read",
        &[
            "credentials_file_is_a_directory",
            "missing_credentials_file",
            "expectation_with_a_directory_for_a_file",
            "expectation_with_a_duplicate_key_in_a_file",
            "expectation_with_a_file_that_is_not_json",
            "expectation_with_a_key_of_another_region_in_a_file",
            "expectation_with_a_list_in_a_file",
            "expectation_with_a_missing_file",
            "expectation_with_a_misspelt_key_in_a_file",
            "expectation_with_a_placeholder_in_a_file",
            "expectation_with_a_skeleton_in_a_file",
            "expectation_with_alternatives_in_a_file",
            "expectation_with_an_empty_file",
            "expectation_with_an_unknown_key_in_a_file",
            "expectation_with_null_in_a_file",
            "expectation_with_yaml_in_a_file",
        ],
    ),
    (
        "a key that needs or excludes another one",
        &[
            "account_without_id_beside_an_organization",
            "dualstack_and_an_endpoint_url",
            "expectation_allowed_with_a_preset",
            "expectation_allowed_without_a_parameter",
            "expectation_with_a_source_without_regions",
            "expectation_with_an_organization_of_a_single_account",
            "expectation_with_units_of_the_source_beside_the_entire_organization",
            "expectation_with_units_of_the_source_without_their_type",
            "expectation_with_units_without_an_organization",
            "fips_and_an_endpoint_url",
            "health_rule_with_units_without_an_organization",
        ],
    ),
    (
        "what is polled",
        &[
            "expectation_of_a_region_that_is_not_polled",
            "expectation_of_a_region_that_is_not_polled_in_the_account",
            "expectation_of_an_account_that_is_not_polled",
            "expectation_of_an_excluded_account",
        ],
    ),
    (
        "partitions, and the endpoints that they have",
        &[
            "dualstack_in_a_partition_without_dualstack",
            "expectation_with_a_bucket_in_another_partition",
            "expectation_with_a_key_in_another_partition",
            "expectation_with_a_key_in_another_region",
            "fips_and_a_wildcard",
            "fips_in_a_region_without_fips",
            "fips_in_the_organization",
            "member_assume_role_of_another_partition",
            "member_role_of_another_partition",
            "organization_in_two_partitions",
            "role_of_another_partition",
        ],
    ),
    (
        "the account that an ARN or credentials belong to",
        &[
            "duplicate_credentials",
            "duplicate_target",
            "id_differs_from_the_account_of_the_role",
            "same_credentials_for_two_ids",
            "wildcard_and_region_overlap",
            "wildcards_overlap",
        ],
    ),
    (
        "what a service of AWS creates",
        &["expectation_of_another_manager", "expectation_with_another_type_than_that_of_its_name"],
    ),
    (
        "other entries of the list",
        &[
            "expectation_forbidden_and_required_in_a_target",
            "expectation_required_and_forbidden",
            "expectation_with_a_duplicate_name",
            "expectations_beyond_the_quota",
            "expectations_beyond_the_quota_in_a_target",
            "health_rule_after_a_rule_for_everything",
        ],
    ),
];

/// The files that do not fit the schema, or that are not YAML.
fn refused(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut check = tools::python_program("check-jsonschema");
    let output = check
        .args(["--output-format", "json", "--schemafile"])
        .arg(place(SCHEMA))
        .args(files)
        .output()
        .unwrap();
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", tools::written(&output)));
    let errors = |kind: &str| report[kind].as_array().cloned().unwrap_or_default();
    let all = errors("errors").into_iter().chain(errors("parse_errors"));
    all.map(|error| PathBuf::from(error["filename"].as_str().unwrap())).collect()
}

fn yaml_files(directory: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(place(directory)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    files
}

fn name(file: &Path) -> String {
    file.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// The blocks of YAML in a page that are main configurations, judging by their keys.
fn configurations_in(page: &str) -> Vec<String> {
    let schema: Value = serde_json::from_str(&text(SCHEMA)).unwrap();
    let keys = schema["properties"].as_object().unwrap();
    let page = text(page);
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let is_configuration = |block: &&str| {
        let value: Result<Value, _> = serde_saphyr::from_str(block);
        value.is_ok_and(|value| {
            value.as_object().is_some_and(|block| block.keys().all(|key| keys.contains_key(key)))
        })
    };
    blocks.map(|(block, _)| block).filter(is_configuration).map(ToOwned::to_owned).collect()
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_schema_of_the_configuration_is_valid_json_schema() {
    let mut check = tools::python_program("check-jsonschema");
    crate::deploy::succeed(check.arg("--check-metaschema").arg(place(SCHEMA)));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_schema_accepts_every_example() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = yaml_files("config");
    let examples = files.len();
    let mut add = |name: &str, text: &str| {
        let file = directory.path().join(format!("{}-{name}", files.len()));
        std::fs::write(&file, text).unwrap();
        files.push(file);
    };
    for page in ["README.md", "config/README.md"] {
        for block in configurations_in(page) {
            add("page.yaml", &block);
        }
    }
    for values in yaml_files("deploy/kubernetes/ssm-sync-exporter/ci") {
        let config =
            serde_saphyr::from_str::<Value>(&std::fs::read_to_string(values).unwrap()).unwrap()["config"]
                .take();
        if config.is_object() {
            add("values.yaml", &config.to_string());
        }
    }
    assert!(examples >= 4 && files.len() >= examples + 3, "{files:?}");
    assert_eq!(refused(&files), BTreeSet::new());
}

#[test]
fn the_examples_name_their_schema() {
    for file in yaml_files("config") {
        let text = std::fs::read_to_string(&file).unwrap();
        let schema = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
        assert_eq!(file.with_file_name(schema), place(SCHEMA), "{}", file.display());
    }
}

/// A new fixture that fails here is wrong in meaning only if nothing in the file by itself tells so. Then
/// add it to the list, with the reason.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_schema_refuses_every_bad_fixture_that_is_wrong_in_shape() {
    let files = yaml_files(BAD);
    let refused: BTreeSet<String> = refused(&files).iter().map(|file| name(file)).collect();
    let accepted: BTreeSet<String> =
        files.iter().map(|file| name(file)).filter(|name| !refused.contains(name)).collect();
    let in_meaning = WRONG_IN_MEANING.iter().flat_map(|(_, names)| *names);
    assert_eq!(accepted, in_meaning.map(|name| (*name).to_owned()).collect());
    assert!(refused.len() > 100, "{}", refused.len());
}
