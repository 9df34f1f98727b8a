//! Replaces names in the configuration of a recording.

use serde_json::Value;

use super::tokens::is_word_character;
use super::vocabulary::PatternPart;
use super::{Pseudonyms, SECRET};

/// The keys whose values are amounts, regions or words that the configuration defines.
const DEFINED: [&str; 26] = [
    "interval",
    "timeout",
    "concurrency",
    "stale_after",
    "ready_after",
    "refresh_interval",
    "quota",
    "max_success_age",
    "max_run_time",
    "managed_nodes",
    "regions",
    "sync_types",
    "managed_by",
    "presence",
    "preset",
    "metrics",
    "use_fips",
    "use_dualstack",
    "session_policy",
    "sts_region",
    "SyncType",
    "SyncFormat",
    "SourceType",
    "OrganizationSourceType",
    "DestinationDataSharingType",
    "SourceRegions",
];

/// Sync `Region` is not among them, because it may be a pattern or a placeholder as well.
const REGION: &str = "Region";

impl Pseudonyms {
    /// The configuration with pseudonyms and without secrets. What its patterns select is treated so
    /// that they select the same afterwards.
    pub(in super::super) fn configuration(&mut self, configuration: &Value) -> Value {
        self.learn_patterns("", configuration);
        self.with_pseudonyms("", configuration)
    }

    fn with_pseudonyms(&mut self, key: &str, value: &Value) -> Value {
        match value {
            Value::String(_) if key == "external_id" => SECRET.into(),
            _ if DEFINED.contains(&key) => value.clone(),
            Value::String(text) if key == REGION && !text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                text.clone().into()
            }
            Value::String(text) => self.name(text).into(),
            Value::Array(values) => values.iter().map(|value| self.with_pseudonyms(key, value)).collect(),
            Value::Object(values) => values
                .iter()
                .map(|(key, value)| (key.clone(), self.with_pseudonyms(key, value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn learn_patterns(&mut self, key: &str, value: &Value) {
        match value {
            _ if DEFINED.contains(&key) => {}
            Value::String(text) => {
                for part in parts_of_words(text) {
                    self.vocabulary.add_pattern(part);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.learn_patterns(key, value)),
            Value::Object(values) => values.iter().for_each(|(key, value)| self.learn_patterns(key, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// The words in a pattern that a wildcard continues.
fn parts_of_words(pattern: &str) -> Vec<PatternPart> {
    let is_wildcard = |character: char| matches!(character, '*' | '?');
    let mut parts = Vec::new();
    let mut position = 0;
    while let Some(start) = pattern[position..].find(is_word_character).map(|offset| position + offset) {
        let rest = &pattern[start..];
        position = start + rest.find(|character| !is_word_character(character)).unwrap_or(rest.len());
        let has_wildcard_before = pattern[..start].ends_with(is_wildcard);
        let has_wildcard_after = pattern[position..].starts_with(is_wildcard);
        if has_wildcard_before || has_wildcard_after {
            let text = pattern[start..position].to_ascii_lowercase();
            parts.push(PatternPart { text, has_wildcard_before, has_wildcard_after, is_public: false });
        }
    }
    parts
}
