//! The JSON Schema of the configuration file.

/// The JSON Schema of the configuration file.
#[must_use]
pub fn schema() -> serde_json::Value {
    serde_json::json!({"$schema": "https://json-schema.org/draft/2020-12/schema"})
}
