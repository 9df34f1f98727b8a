//! Reads a file with a request in JSON: the file that is given to
//! `aws ssm create-resource-data-sync --cli-input-json`.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde_json::Value;

use crate::config::error::{ConfigError, Place};
use crate::config::layers::Layers;
use crate::config::raw::RawRequest;
use crate::config::setting::Setting;
use crate::config::yaml::Position;

/// The size of the largest file that is read. A request needs far less.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The parameters whose values are lists.
const LISTS: [&str; 2] = ["SourceRegions", "OrganizationalUnits"];

/// Reads the file at `path`, which `setting` names. Returns the request together with the settings of
/// the file, which are the places of errors about the request.
pub(super) fn read(path: &Path, setting: &Setting<'_>) -> Result<(RawRequest, Layers), ConfigError> {
    let text = read_text(path)
        .map_err(|error| setting.invalid(format!("cannot read {}: {error}", path.display())))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| not_json(path, &error))?;
    // JSON is almost YAML, but YAML does not allow tabs everywhere that JSON does. A string in JSON
    // contains no tabs.
    let layers = Layers::from_text(path, &text.replace('\t', " "), "{\"SyncName\": \"org-inventory\"}")?;
    check_values(&value, "", &Setting::root(&layers))?;
    let request = layers.deserialize("{}")?;
    Ok((request, layers))
}

fn read_text(path: &Path) -> io::Result<String> {
    // A pipe would block until another process writes to it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

fn not_json(path: &Path, error: &serde_json::Error) -> ConfigError {
    let text = error.to_string();
    let suffix = format!(" at line {} column {}", error.line(), error.column());
    let message = format!("not JSON: {}", text.strip_suffix(&suffix).unwrap_or(&text));
    let position = Position { line: error.line().max(1), column: error.column().max(1) };
    ConfigError::Invalid { place: Place::in_file(path, position), message }
}

/// Checks that the value of `key` can be sent to AWS as it is. A list, null, a wildcard or a placeholder
/// has a meaning in the configuration, but none for AWS.
fn check_values(value: &Value, key: &str, setting: &Setting<'_>) -> Result<(), ConfigError> {
    let only_in_request = |what: &dyn Display| {
        setting.invalid(format!(
            "{what}, which is sent to AWS as it is; for patterns, lists and null, use `request`"
        ))
    };
    match value {
        Value::Null => Err(only_in_request(&"found null")),
        Value::String(text) if text.is_empty() => Err(setting
            .invalid("the value is empty, as in a skeleton of the AWS CLI; fill it in or remove the key")),
        Value::String(text) if text.contains(['*', '?', '{', '}']) => {
            Err(only_in_request(&format!("found `{}`", crate::printable::excerpt(text))))
        }
        Value::Array(_) if !key.is_empty() && !LISTS.contains(&key) => Err(only_in_request(&"found a list")),
        Value::Array(values) => values
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| check_values(value, "", &setting.at(index))),
        Value::Object(values) => {
            values.iter().try_for_each(|(key, value)| check_values(value, key, &setting.at(key.as_str())))
        }
        _ => Ok(()),
    }
}
