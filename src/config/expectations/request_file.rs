//! Reads a file with a request in JSON: the file that is given to
//! `aws ssm create-resource-data-sync --cli-input-json`.

use std::path::Path;

use serde_json::Value;

use crate::config::error::{ConfigError, Place};
use crate::config::layers::{self, Layers};
use crate::config::raw::RawRequest;
use crate::config::setting::Setting;
use crate::config::yaml::Position;
use crate::file;
use crate::printable::{excerpt, path_excerpt};

/// The parameters of which AWS takes one value. In the configuration, they can be lists.
const TEXTS: [&str; 10] = [
    "SyncName",
    "SyncType",
    "BucketName",
    "Prefix",
    "SyncFormat",
    "Region",
    "AWSKMSKeyARN",
    "DestinationDataSharingType",
    "SourceType",
    "OrganizationSourceType",
];

/// Reads the file at `path`, which `setting` names. Returns the request together with the settings of
/// the file, which are the places of errors about the request.
pub(super) fn read(path: &Path, setting: &Setting<'_>) -> Result<(RawRequest, Layers), ConfigError> {
    let bytes = file::read(path, file::MAX_SMALL)
        .map_err(|error| setting.invalid(format!("cannot read {}: {error}", path_excerpt(path))))?;
    let text = layers::decode(path, bytes)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| not_json(path, &error))?;
    // JSON is almost YAML, but YAML does not allow tabs everywhere that JSON does. A string in JSON
    // contains no tabs.
    let layers = Layers::from_text(path, &text.replace('\t', " "), "{\"SyncName\": \"org-inventory\"}")?;
    check_values(&value, "", &Setting::root(&layers))?;
    let request = layers.deserialize("{}")?;
    Ok((request, layers))
}

/// Reads the file at `path`, whose content has been checked before.
pub(in crate::config) fn read_request_file(path: &Path) -> Result<Value, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let bytes = file::read(path, file::MAX_SMALL).map_err(unreadable)?;
    serde_json::from_str(&layers::decode(path, bytes)?).map_err(|error| not_json(path, &error))
}

fn not_json(path: &Path, error: &serde_json::Error) -> ConfigError {
    let text = error.to_string();
    let suffix = format!(" at line {} column {}", error.line(), error.column());
    let message = format!("not JSON: {}", text.strip_suffix(&suffix).unwrap_or(&text));
    let position = Position { line: error.line().max(1), column: error.column().max(1) };
    ConfigError::Invalid { place: Place::in_file(path, position), message }
}

/// Checks that the value of `key` can be sent to AWS. Null, wildcards, placeholders and alternatives have
/// a meaning in the configuration only.
fn check_values(value: &Value, key: &str, setting: &Setting<'_>) -> Result<(), ConfigError> {
    match value {
        Value::Null => Err(setting.invalid(
            "found null, but AWS takes a value; remove the key, or use `request` if the field has to be absent",
        )),
        Value::String(text) if text.is_empty() => Err(setting.invalid(
            "the value is empty, as in a skeleton of the AWS CLI; fill it in or remove the key",
        )),
        Value::String(text) if text.contains(['*', '?', '{', '}']) => Err(setting.invalid(format!(
            "`{}` has a wildcard or a placeholder, but AWS takes the text as it is; use `request` for patterns",
            excerpt(text)
        ))),
        Value::Array(_) if TEXTS.contains(&key) => {
            Err(setting.invalid("found a list, but AWS takes one value; use `request` for alternatives"))
        }
        Value::Number(_) | Value::Bool(_) if TEXTS.contains(&key) => {
            Err(setting.invalid(format!("found {value}, but AWS takes a string; put it in quotes")))
        }
        Value::Array(values) => values
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| check_values(value, "", &setting.at(index))),
        Value::Object(values) => {
            values.iter().try_for_each(|(key, value)| check_values(value, key, &setting.at(key.as_str())))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}
