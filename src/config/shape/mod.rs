//! The shape of values, for the JSON Schema of the configuration.
//!
//! A shape never refuses a value that the program accepts. It is what an editor can tell of a value by
//! itself: rules that involve files, other keys or the size of a number stay with the program.

mod key_order;

use schemars::{Schema, json_schema};
use serde_json::{Value, json};

pub(super) use key_order::{KEY_ORDER, in_order};

/// A value that is parsed from the text of a YAML scalar.
pub(super) trait Shape {
    /// The schema of the scalar.
    fn shape() -> Schema;
}

/// A text that looks like nothing else in YAML.
pub(super) fn string(pattern: &str, example: &str) -> Schema {
    json_schema!({ "type": "string", "pattern": pattern, "examples": [example] })
}

/// A text that may look like a number or a boolean in YAML. Both are read as the text that they are
/// written as.
pub(super) fn text(pattern: &str, example: &str) -> Schema {
    json_schema!({ "type": ["string", "number", "boolean"], "pattern": pattern, "examples": [example] })
}

/// Limits the length of a text to a number of bytes. A schema counts characters, of which there are not more.
pub(super) fn limited(max_length: usize, mut text: Schema) -> Schema {
    text.insert("maxLength".to_owned(), max_length.into());
    text
}

/// One of some words.
pub(super) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Schema {
    let words: Vec<&str> = words.into_iter().collect();
    json_schema!({ "type": "string", "enum": words })
}

/// A boolean, also in quotes.
pub(super) fn boolean() -> Schema {
    json_schema!({ "type": ["boolean", "string"], "pattern": "^(true|True|TRUE|false|False|FALSE)$" })
}

/// A whole number, also in quotes.
pub(super) fn integer(minimum: u32) -> Schema {
    json_schema!({
        "type": ["integer", "string"],
        "minimum": minimum,
        "pattern": r"^(\+?[0-9]+|0o[0-7]+|0x[0-9A-Fa-f]+)$"
    })
}

/// Adds null to what a schema accepts.
pub(super) fn allow_null(mut schema: Schema) -> Schema {
    allow_type(&mut schema, "null");
    if let Some(Value::Array(words)) = schema.get_mut("enum")
        && !words.contains(&Value::Null)
    {
        words.push(Value::Null);
    }
    schema
}

/// Adds a list of what a schema accepts.
pub(super) fn allow_list(mut schema: Schema) -> Schema {
    let mut entry = schema.clone();
    entry.remove("examples");
    allow_type(&mut schema, "array");
    schema.insert("items".to_owned(), entry.to_value());
    schema.insert("minItems".to_owned(), 1.into());
    schema
}

fn allow_type(schema: &mut Schema, name: &str) {
    let name = Value::from(name);
    match schema.get_mut("type") {
        Some(Value::Array(types)) if !types.contains(&name) => types.push(name),
        Some(one @ Value::String(_)) => *one = Value::Array(vec![one.take(), name]),
        _ => {}
    }
}

/// At least one of the keys has to have a value.
pub(super) fn at_least_one_of(keys: &[&str]) -> impl Fn(&mut Schema) {
    let alternatives = with_values(keys);
    move |schema| drop(schema.insert("anyOf".to_owned(), alternatives.clone()))
}

/// Exactly one of the keys has to have a value.
pub(super) fn exactly_one_of(keys: &[&str]) -> impl Fn(&mut Schema) {
    let alternatives = with_values(keys);
    move |schema| drop(schema.insert("oneOf".to_owned(), alternatives.clone()))
}

/// A schema for each key, which accepts the mappings in which the key is not null.
fn with_values(keys: &[&str]) -> Value {
    let with_value =
        |key: &&str| json!({ "required": [key], "properties": { *key: { "not": { "type": "null" } } } });
    keys.iter().map(with_value).collect()
}

/// Implements [`JsonSchema`](schemars::JsonSchema) for generic types, whose schemas are never shared.
macro_rules! inline_schema {
    ($(impl<T: $bound:ident> $type:ident<T> { |$generator:pat_param| $schema:expr })+) => {
        $(impl<T: $bound> schemars::JsonSchema for $type<T> {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                std::any::type_name::<Self>().into()
            }

            fn json_schema($generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        })+
    };
}
pub(super) use inline_schema;
