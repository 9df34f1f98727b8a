//! The JSON schema of the document, compared with documents and with the reference in
//! `config/README.md`.

use std::collections::BTreeSet;

use fake_aws::{Fault, FaultRule};
use pretty_assertions::assert_eq;
use serde_json::Value;

use super::{config, exporter_of, get, varied_fleet};
use crate::deploy::text;
use crate::exporter::{Exporter, REGION, ROLE, fake_organization};
use crate::once::{self, output_of};
use crate::status::managed_nodes;

const SCHEMA: &str = "tests/schemas/status.schema.json";

fn schema() -> Value {
    serde_json::from_str(&text(SCHEMA)).unwrap()
}

/// A configuration of an organization, with a rule for a unit that does not exist.
fn organization_config() -> String {
    format!(
        "regions: [{REGION}]\norganization:\n  profile: hub\n  member_role: \
         'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\nhealth:\n  rules: [{{organizational_units: \
         [ou-fake-00000009], max_success_age: 4h}}]\n"
    )
}

/// Documents of the API and of `once` that have every key together.
async fn documents() -> Vec<(&'static str, Value)> {
    let aws = varied_fleet().await;
    let exporter = exporter_of(&aws).await;
    let mut documents =
        vec![("API", get(&exporter, "").await), ("API, a page", get(&exporter, "?limit=1").await)];
    let setup = once::Setup::with_config(aws, &config());
    let mut once = setup.once();
    once.env("SSM_SYNC_EXPORTER_READY_AFTER", "3s").args(["--format", "json"]);
    documents.push(("once", serde_json::from_str(&output_of(once).await.1).unwrap()));

    let (_aws, exporter) = managed_nodes::start().await;
    documents.push(("API, managed nodes", get(&exporter, "").await));

    let aws = fake_organization().await;
    aws.world().set_reports_paths(false);
    let exporter = Exporter::start_ready(&aws, &organization_config()).await;
    let has_failed = async || {
        let document = get(&exporter, "").await;
        document["summary"]["discovery"].get("units_failure").is_some().then_some(document)
    };
    documents.push(("API, a unit is missing", exporter.wait_for("a failed lookup", has_failed).await));

    aws.world().set_faults(vec![FaultRule::new(Fault::Deny).operation("ListAccounts")]);
    let setup = once::Setup::with_config(aws, &organization_config());
    let mut once = setup.once();
    once.env("SSM_SYNC_EXPORTER_READY_AFTER", "3s").args(["--format", "json"]);
    documents.push(("once, organization", serde_json::from_str(&output_of(once).await.1).unwrap()));
    documents
}

/// Follows a reference within the schema.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    }
}

/// The path of every property in the schema, such as `.targets[].up`.
pub(crate) fn properties_of_schema(root: &Value, path: &str, schema: &Value, found: &mut BTreeSet<String>) {
    let schema = resolve(root, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        properties_of_schema(root, &path, property, found);
        found.insert(path);
    }
    if let Some(items) = schema.get("items") {
        properties_of_schema(root, &format!("{path}[]"), items, found);
    }
}

pub(crate) fn properties_of_document(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = format!("{path}.{name}");
                properties_of_document(&path, value, found);
                found.insert(path);
            }
        }
        Value::Array(items) => {
            for item in items {
                properties_of_document(&format!("{path}[]"), item, found);
            }
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_document_matches_the_schema_and_together_they_have_every_key() {
    let schema = schema();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let mut occurring = BTreeSet::new();
    for (name, document) in documents().await {
        let errors: Vec<String> = validator.iter_errors(&document).map(|error| format!("{error}")).collect();
        assert_eq!(errors, [""; 0], "{name}: {document:#}");
        properties_of_document("", &document, &mut occurring);
    }
    let mut known = BTreeSet::new();
    properties_of_schema(&schema, "", &schema, &mut known);
    assert_eq!(known, occurring);
}

#[test]
fn the_schema_admits_no_other_keys_and_the_values_of_the_closed_lists() {
    fn check(schema: &Value) {
        if schema["type"] == "object" {
            assert_eq!(schema["additionalProperties"], false, "{schema:#}");
        }
        for part in schema.as_object().into_iter().flat_map(serde_json::Map::values) {
            check(part);
        }
    }
    let schema = schema();
    check(&schema);
    // The counts have a key for each value.
    let definitions = &schema["$defs"];
    let keys = |pointer: &str| -> BTreeSet<String> {
        definitions.pointer(pointer).unwrap()["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let values = |pointer: &str| -> BTreeSet<String> {
        let values = definitions.pointer(pointer).unwrap()["enum"].as_array().unwrap();
        values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys("/summary/properties/targets_by_health"), values("/target/properties/health"));
    for counts in ["/summary/properties/syncs_by_health", "/target/properties/syncs_by_health"] {
        assert_eq!(keys(counts), values("/sync/properties/health"));
    }
    assert_eq!(keys("/summary/properties/concerns"), values("/concern/properties/kind"));
    assert_eq!(keys("/summary/properties/managed_nodes"), values("/managed_nodes/properties/state"));
    assert_eq!(
        keys("/expectation_counts/properties/targets_by_state"),
        values("/expectation/properties/state")
    );
}

/// The type of a property as the reference names it.
fn kind(property: &Value) -> &str {
    if let Some(reference) = property["$ref"].as_str() {
        return if reference == "#/$defs/time" { "time" } else { "object" };
    }
    match property["type"].as_str().unwrap() {
        "array" if property["items"]["type"] == "string" => "strings",
        "array" => "objects",
        "object" => {
            let mut parts = property["properties"].as_object().unwrap().values();
            if parts.all(|part| part.get("description").is_none()) { "counts" } else { "object" }
        }
        kind => kind,
    }
}

#[test]
fn the_reference_describes_every_key() {
    let (schema, reference) = (schema(), text("config/README.md"));
    let section = reference.split("\n## ").find(|section| section.starts_with("JSON document\n")).unwrap();
    assert_documented(
        &schema,
        section,
        &[
            ("The document", ""),
            ("`summary`", "/$defs/summary"),
            ("`summary.discovery`", "/$defs/summary/properties/discovery"),
            ("Each of `summary.expectations`", "/$defs/expectation_counts"),
            ("A failed lookup", "/$defs/lookup_failure"),
            ("Each of `targets`", "/$defs/target"),
            ("Each of `concerns`", "/$defs/concern"),
            ("`managed_nodes` of a target", "/$defs/managed_nodes"),
            ("Each of `expectations`", "/$defs/expectation"),
            ("Each of `differences`", "/$defs/difference"),
            ("Each of `syncs`", "/$defs/sync"),
            ("`destination`", "/$defs/destination"),
            ("`source`", "/$defs/source"),
        ],
    );
}

/// Compares the tables in a section of the reference with objects of the schema, by the captions of the tables.
pub(crate) fn assert_documented(schema: &Value, section: &str, tables: &[(&str, &str)]) {
    for (caption, pointer) in tables {
        let object = schema.pointer(pointer).unwrap();
        let required: BTreeSet<&str> =
            object["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let mut expected: Vec<[String; 4]> = Vec::new();
        for (name, property) in object["properties"].as_object().unwrap() {
            let is_optional = if required.contains(&**name) { "" } else { "optional" };
            let description = property["description"].as_str().unwrap();
            expected.push([
                format!("`{name}`"),
                kind(property).to_owned(),
                description.to_owned(),
                is_optional.to_owned(),
            ]);
        }
        let (_, table) = section.split_once(&format!("**{caption}**\n\n")).unwrap();
        let rows = table.lines().take_while(|line| line.starts_with('|')).skip(2);
        let mut documented: Vec<[String; 4]> = rows
            .map(|row| {
                let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
                let [key, kind, meaning, left_out] = cells[..] else { panic!("{row}") };
                let is_optional = if left_out.is_empty() { "" } else { "optional" };
                [key, kind, meaning, is_optional].map(ToOwned::to_owned)
            })
            .collect();
        // The schema is read into maps that are sorted by key.
        expected.sort();
        documented.sort();
        assert_eq!(documented, expected, "{caption}");
    }
}
