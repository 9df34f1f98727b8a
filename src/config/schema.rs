//! The JSON Schema of the configuration file, from the types in [`raw`](super::raw). It is of draft 7, which
//! all editors and Helm understand.
//!
//! The schema accepts every file that the program accepts, and refuses those that are wrong in shape. What is
//! wrong only in meaning, such as an account that is listed twice, is left to `config check`.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::raw::{DEFAULTS, RawConfig};
use super::shape::{KEY_ORDER, allow_null};
use super::yaml::Document;

/// The JSON Schema of the configuration file.
///
/// ```
/// let schema = ssm_sync_exporter::config::schema();
/// assert_eq!(schema["properties"]["interval"]["default"], "5m");
/// ```
#[must_use]
pub fn schema() -> Value {
    let mut schema = annotated_schema();
    for_each_schema(&mut schema, &mut |schema| drop(schema.remove(KEY_ORDER)));
    schema
}

/// The schema, with the keys of each mapping in the order of their fields under [`KEY_ORDER`].
pub(super) fn annotated_schema() -> Value {
    let mut settings = SchemaSettings::draft07();
    // Without references, an editor shows the description of a key and not that of its type.
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<RawConfig>().to_value();
    if let Ok(defaults) = Document::parse(DEFAULTS) {
        add_defaults(&mut schema, &defaults.to_value());
    }
    for_each_schema(&mut schema, &mut |schema| {
        join_lines(schema);
        merge_null(schema);
    });
    // An empty file has all defaults.
    with_null(&mut schema);
    schema
}

/// Adds the defaults to the keys that have one: such a key may be absent or null.
fn add_defaults(schema: &mut Value, defaults: &figment::value::Value) {
    let Some(defaults) = defaults.as_dict() else {
        let is = |name: &str| schema["type"].as_array().is_some_and(|types| types.contains(&name.into()));
        let text = defaults.as_str().unwrap_or_default();
        schema["default"] = match (text.parse::<u64>(), text.parse::<bool>()) {
            (Ok(number), _) if is("integer") => number.into(),
            (_, Ok(boolean)) if is("boolean") => boolean.into(),
            _ => text.into(),
        };
        return with_null(schema);
    };
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|key| !key.as_str().is_some_and(|key| defaults.contains_key(key)));
        if required.is_empty() {
            drop(schema.as_object_mut().map(|schema| schema.remove("required")));
        }
    }
    for (key, default) in defaults {
        let property = &mut schema["properties"][key];
        add_defaults(property, default);
        with_null(property);
    }
}

fn with_null(schema: &mut Value) {
    if let Ok(with_null) = Schema::try_from(schema.take()).map(allow_null) {
        *schema = with_null.to_value();
    }
}

/// Calls `edit` with the schema and all schemas in it, the inner ones first.
fn for_each_schema(schema: &mut Value, edit: &mut impl FnMut(&mut Map<String, Value>)) {
    match schema {
        Value::Object(keys) => {
            keys.values_mut().for_each(|value| for_each_schema(value, edit));
            edit(keys);
        }
        Value::Array(values) => values.iter_mut().for_each(|value| for_each_schema(value, edit)),
        _ => {}
    }
}

/// Makes one line of a description, as it is wrapped in the source.
fn join_lines(schema: &mut Map<String, Value>) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// Writes "a schema, or null" as one schema, if that is how it was generated.
fn merge_null(schema: &mut Map<String, Value>) {
    let Some(Value::Array(alternatives)) = schema.get("anyOf") else { return };
    let [Value::Object(one), Value::Object(null)] = alternatives.as_slice() else { return };
    if null.get("type").and_then(Value::as_str) != Some("null") {
        return;
    }
    if let Ok(merged) = Schema::try_from(Value::Object(one.clone())).map(allow_null)
        && let Value::Object(merged) = merged.to_value()
    {
        schema.remove("anyOf");
        // The keywords of the field come before those of its type.
        for (keyword, value) in merged {
            schema.entry(keyword).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests;
