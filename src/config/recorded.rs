//! The settings of a recording, a layer below the configuration file. They may be from a stranger: what
//! they name is neither opened nor connected to.

use std::path::{Path, PathBuf};

use figment::value::{Dict, Empty, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::error::{ConfigError, Place};
use super::yaml::Position;
use crate::aws::Recording;

/// The keys that always have the value of the recording, which has answers for nothing else.
pub(super) const RECORDED_KEYS: [&str; 6] =
    ["accounts", "organization", "regions", "managed_nodes", "aws", "timeout"];

/// The keys of `aws` that are about the host and its network. A recording replaces both.
const HOST_SETTINGS: [&str; 3] = ["endpoint_url", "shared_config_file", "shared_credentials_file"];

/// The settings of a recording.
#[derive(Clone)]
pub(super) struct RecordedLayer {
    path: PathBuf,
    settings: Dict,
}

impl RecordedLayer {
    pub(super) const NAME: &str = "recording";

    /// # Errors
    /// The settings name a file to read.
    pub(super) fn new(recording: &Recording) -> Result<Self, ConfigError> {
        let path = recording.path().to_owned();
        let mut settings = match to_value(recording.configuration()) {
            Value::Dict(_, settings) => settings,
            _ => Dict::new(),
        };
        if let Some(Value::Dict(_, aws)) = settings.get_mut("aws") {
            aws.retain(|key, _| !HOST_SETTINGS.contains(&key.as_str()));
        }
        if let Some(Value::Array(_, expectations)) = settings.get("expectations") {
            let names_file =
                |value: &Value| value.as_dict().is_some_and(|dict| dict.contains_key("request_file"));
            if let Some(index) = expectations.iter().position(names_file) {
                return Err(ConfigError::Invalid {
                    place: place(&path),
                    message: format!(
                        "expectations[{index}].request_file: no file is read for a recording; expected `request`"
                    ),
                });
            }
        }
        Ok(Self { path, settings })
    }

    /// Leaves out the keys that `is_replaced`, except [`RECORDED_KEYS`].
    pub(super) fn without(mut self, is_replaced: impl Fn(&str) -> bool) -> Self {
        self.settings.retain(|key, _| RECORDED_KEYS.contains(&key.as_str()) || !is_replaced(key));
        self
    }

    /// The place of all settings: the first line.
    pub(super) fn place(&self) -> Place {
        place(&self.path)
    }
}

fn place(path: &Path) -> Place {
    Place::in_file(path, Position::START)
}

impl Provider for RecordedLayer {
    fn metadata(&self) -> Metadata {
        Metadata::named(Self::NAME)
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.settings.clone()))
    }
}

/// The value for figment, in which every scalar is a string or null, as in that of a file.
fn to_value(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::from(Empty::None),
        serde_json::Value::Bool(boolean) => Value::from(boolean.to_string()),
        serde_json::Value::Number(number) => Value::from(number.to_string()),
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(values) => Value::from(values.iter().map(to_value).collect::<Vec<_>>()),
        serde_json::Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), to_value(value)));
            Value::from(entries.collect::<Dict>())
        }
    }
}
