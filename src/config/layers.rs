//! The layers of a configuration: a file, overridden by environment variables. figment
//! merges the two and traces each value to its layer. Defaults then fill the gaps.
//!
//! A recording that is replayed is a layer below the file. A key at the top level of the file replaces that
//! of the recording with everything below it. The keys that say what is polled are the recording's.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use figment::value::{Dict, Empty, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::de::DeserializeOwned;

use super::encoding;
use super::error::{ConfigError, DeserializeError, Place};
use super::key_path::KeyPath;
use super::recorded::{RECORDED_KEYS, RecordedLayer};
use super::variables::{ENV_PREFIX, key_of_part, variable_for};
use super::yaml::{Document, MAX_DEPTH, Position, SyntaxError, is_null};
use crate::printable::path_excerpt;

/// An environment variable and the keys that lead to its value.
struct Variable {
    name: String,
    keys: Vec<String>,
}

/// The file and the environment variables, merged.
pub(super) struct Layers {
    figment: Figment,
    file: Option<FileLayer>,
    variables: Vec<Variable>,
    recorded: Option<RecordedLayer>,
    /// The settings that a recording takes the place of.
    ignored: Vec<String>,
}

impl Layers {
    /// The contents of a file, if there is one, and the variables of `environment` that begin
    /// with [`ENV_PREFIX`], above the settings of a recording.
    pub(super) fn read(
        file: Option<(&Path, Vec<u8>)>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        recorded: Option<RecordedLayer>,
    ) -> Result<Self, ConfigError> {
        let layer = |(path, bytes)| FileLayer::parse(path, &decode(path, bytes)?, "interval: 5m");
        Self::merge(file.map(layer).transpose()?, environment, recorded)
    }

    /// A single layer: the text of the file at `path`. If it is not a mapping, the error
    /// suggests `example`.
    pub(super) fn from_text(path: &Path, text: &str, example: &str) -> Result<Self, ConfigError> {
        Self::merge(Some(FileLayer::parse(path, text, example)?), [], None)
    }

    fn merge(
        mut file: Option<FileLayer>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        recorded: Option<RecordedLayer>,
    ) -> Result<Self, ConfigError> {
        let (mut environment, mut variables) = EnvironmentLayer::read(environment)?;
        let (mut figment, mut ignored) = (Figment::new(), Vec::new());
        if let Some(recorded) = recorded.clone() {
            let is_recorded = |key: &str| RECORDED_KEYS.contains(&key);
            if let Some(file) = &mut file {
                let keys: Vec<String> = file.data.keys().filter(|key| is_recorded(key)).cloned().collect();
                let path = path_excerpt(&file.path);
                ignored.extend(keys.iter().map(|key| format!("`{key}` of {path}")));
                file.data.retain(|key, _| !is_recorded(key));
            }
            let names = variables.iter().filter(|variable| is_recorded(&variable.keys[0]));
            ignored.extend(names.map(|variable| format!("the environment variable {}", variable.name)));
            variables.retain(|variable| !is_recorded(&variable.keys[0]));
            environment.0.retain(|key, _| !is_recorded(key));
            let in_file = |key: &str| file.as_ref().is_some_and(|file| file.data.contains_key(key));
            figment = figment.merge(recorded.without(in_file));
        }
        if let Some(file) = &file {
            figment = figment.merge(file.clone());
        }
        Ok(Self { figment: figment.merge(environment), file, variables, recorded, ignored })
    }

    /// Describes the settings of the file and the environment that a recording takes the place of.
    pub(super) fn ignored_settings(&self) -> Vec<String> {
        let warning = |setting: &String| format!("{setting} is ignored: the recording says what is polled");
        self.ignored.iter().map(warning).collect()
    }

    /// Deserializes the merged layers. Keys that no layer sets, or that are null, get their
    /// values from `defaults`, a YAML mapping.
    pub(super) fn deserialize<T: DeserializeOwned>(&self, defaults: &str) -> Result<T, ConfigError> {
        let invalid = |message: String| ConfigError::Invalid { place: Place::Absent, message };
        let mut merged: Value = self.figment.extract().map_err(|error| invalid(error.to_string()))?;
        let defaults = Document::parse(defaults).map_err(|error| invalid(error.message))?.to_value();
        apply_defaults(&mut merged, defaults);
        serde_path_to_error::deserialize(&merged).map_err(|error| {
            let DeserializeError { path, message, is_about_key, is_no_mapping } =
                DeserializeError::new(KeyPath::from(error.path()), error.inner());
            let place = if is_about_key { self.place_of_key(&path) } else { self.place(&path) };
            if is_about_key && let Some(variable) = self.variable_that_names(&path, &place) {
                let meant = variable.strip_prefix(ENV_PREFIX).and_then(variable_for);
                let message = match meant {
                    Some(meant) => format!("unknown key; did you mean `{meant}`?"),
                    None => format!("{path}: {message}"),
                };
                return ConfigError::UnknownVariable { variable: variable.to_owned(), message };
            }
            if is_no_mapping && let Some(variable) = self.variable_below(&path, &place) {
                let whole = path.leading_keys().join("__").to_uppercase();
                let message =
                    format!("`{path}` has no keys of its own; set all of it by {ENV_PREFIX}{whole}");
                return ConfigError::UnknownVariable { variable: variable.to_owned(), message };
            }
            let message = if path.segments().is_empty() { message } else { format!("{path}: {message}") };
            ConfigError::Invalid { place, message }
        })
    }

    /// The variable that sets a key below `path`, such as an entry of a list.
    fn variable_below(&self, path: &KeyPath, place: &Place) -> Option<&str> {
        let variable = self.variable_at(place)?;
        (variable.keys.len() > path.segments().len()).then_some(&variable.name)
    }

    /// The variable whose name, and not whose value, has the key at the end of `path`.
    fn variable_that_names(&self, path: &KeyPath, place: &Place) -> Option<&str> {
        let variable = self.variable_at(place)?;
        (path.segments().len() <= variable.keys.len()).then_some(&variable.name)
    }

    fn variable_at(&self, place: &Place) -> Option<&Variable> {
        let Place::Environment { variable: name } = place else { return None };
        self.variables.iter().find(|variable| variable.name == *name)
    }

    /// The place of the value at `path`.
    pub(super) fn place(&self, path: &KeyPath) -> Place {
        self.find(path, Document::locate)
    }

    /// The place of the key at the end of `path`.
    fn place_of_key(&self, path: &KeyPath) -> Place {
        self.find(path, Document::locate_key)
    }

    fn find(&self, path: &KeyPath, locate: fn(&Document, &KeyPath) -> Position) -> Place {
        let keys = path.leading_keys();
        let layer = self.figment.find_metadata(&keys.join(".")).map(|metadata| &*metadata.name);
        if let (Some(recorded), Some(RecordedLayer::NAME)) = (&self.recorded, layer) {
            return recorded.place();
        }
        let is_from_environment = layer == Some(EnvironmentLayer::NAME);
        // A variable may set a mapping that contains the value.
        let variable =
            || self.variables.iter().find(|variable| keys.iter().zip(&variable.keys).all(|(a, b)| a == b));
        match (&self.file, is_from_environment.then(variable).flatten()) {
            (_, Some(variable)) => Place::Environment { variable: variable.name.clone() },
            (Some(file), None) => Place::in_file(&file.path, locate(&file.document, path)),
            (None, None) => Place::Absent,
        }
    }
}

/// The text of the file at `path`.
pub(super) fn decode(path: &Path, bytes: Vec<u8>) -> Result<String, ConfigError> {
    encoding::decode(bytes).map_err(|error| invalid_file(path, error))
}

fn invalid_file(path: &Path, error: SyntaxError) -> ConfigError {
    ConfigError::Invalid { place: Place::in_file(path, error.position), message: error.message }
}

#[derive(Clone)]
struct FileLayer {
    path: Arc<PathBuf>,
    document: Arc<Document>,
    data: Dict,
}

impl FileLayer {
    fn parse(path: &Path, text: &str, example: &str) -> Result<Self, ConfigError> {
        let document = Document::parse(text).map_err(|error| invalid_file(path, error))?;
        let Some(data) = document.to_dict() else {
            return Err(ConfigError::Invalid {
                place: Place::in_file(path, document.locate(&KeyPath::default())),
                message: format!("the file is not a mapping; expected keys and values, such as `{example}`"),
            });
        };
        Ok(Self { path: Arc::new(path.to_path_buf()), document: Arc::new(document), data })
    }
}

impl Provider for FileLayer {
    fn metadata(&self) -> Metadata {
        Metadata::named("configuration file")
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.data.clone()))
    }
}

/// Variables such as `SSM_SYNC_EXPORTER_AWS__USE_FIPS=true`. A list or a mapping is
/// written in YAML, such as `[eu-west-1, us-east-1]`. An empty variable counts as not
/// set, and null, in any spelling of YAML, as the default.
struct EnvironmentLayer(Dict);

impl EnvironmentLayer {
    const NAME: &str = "environment";

    fn read(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Vec<Variable>), ConfigError> {
        let mut texts = Vec::new();
        for (name, text) in environment {
            let name = name.to_string_lossy();
            let Some(suffix) = name
                .strip_prefix(ENV_PREFIX)
                .filter(|suffix| !text.is_empty() && !is_service_link(suffix, &text))
            else {
                continue;
            };
            let text = text.into_string().map_err(|_| ConfigError::Invalid {
                place: Place::Environment { variable: name.to_string() },
                message: "the value is not valid UTF-8".to_owned(),
            })?;
            if suffix.is_empty() {
                return Err(ConfigError::UnknownVariable {
                    variable: name.to_string(),
                    message: "the name ends before the key; add one, such as SSM_SYNC_EXPORTER_INTERVAL"
                        .to_owned(),
                });
            }
            texts.push((suffix.to_owned(), text));
        }
        // The order of the environment is arbitrary, but the reported error should not be.
        texts.sort();
        let (mut dict, mut variables) = (Dict::new(), Vec::new());
        for (suffix, text) in texts {
            let name = format!("{ENV_PREFIX}{suffix}");
            let keys: Vec<String> = suffix.split("__").take(MAX_DEPTH + 1).map(key_of_part).collect();
            if keys.len() > MAX_DEPTH {
                return Err(ConfigError::Invalid {
                    place: Place::Environment { variable: name },
                    message: format!("`__` separates more than {MAX_DEPTH} levels; no key is that deep"),
                });
            }
            let value = parse_variable(&name, &text)?;
            if !insert(&mut dict, &keys, value) {
                return Err(ConfigError::Invalid {
                    place: Place::Environment { variable: name },
                    message:
                        "conflicts with a variable that sets the same key, its parent or a key below it; set the key in only one of them"
                            .to_owned(),
                });
            }
            variables.push(Variable { name, keys });
        }
        Ok((Self(dict), variables))
    }
}

impl Provider for EnvironmentLayer {
    fn metadata(&self) -> Metadata {
        Metadata::named(Self::NAME)
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.0.clone()))
    }
}

/// Whether the name, without [`ENV_PREFIX`], looks like one that Kubernetes sets for a
/// Service. For Services called `ssm-sync-exporter` and `ssm-sync-exporter-metrics`,
/// Kubernetes adds variables such as `SSM_SYNC_EXPORTER_SERVICE_HOST` and
/// `SSM_SYNC_EXPORTER_METRICS_PORT_10144_TCP` to every pod of their namespace. No key of
/// the configuration has such a name.
fn is_service_link(suffix: &str, text: &OsStr) -> bool {
    let parts: Vec<&str> = suffix.split('_').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    // Kubernetes sets a URL such as `tcp://10.0.0.1:10144`; a number is from someone who means the flag.
    (parts.ends_with(&["PORT"]) && text.to_string_lossy().contains("://"))
        || parts.windows(2).any(|pair| matches!(pair, ["SERVICE", "HOST" | "PORT"]))
        || parts
            .windows(3)
            .any(|three| matches!(three, ["PORT", number, "TCP" | "UDP" | "SCTP"] if is_number(number)))
}

fn parse_variable(name: &str, text: &str) -> Result<Value, ConfigError> {
    // Only lists and mappings are parsed as YAML. Other values may contain characters that are
    // special in YAML, such as the region pattern `*`.
    if !text.trim_start().starts_with(['[', '{']) {
        return Ok(if is_null(text) { Value::from(Empty::None) } else { Value::from(text) });
    }
    let document = Document::parse(text).map_err(|error| ConfigError::Invalid {
        place: Place::Environment { variable: name.to_owned() },
        message: format!("column {}: {}", error.position.column, error.message),
    })?;
    Ok(document.to_value())
}

/// Sets the value at `keys`. Returns `false` if the same key, its parent or a key below it
/// is already set.
fn insert(dict: &mut Dict, keys: &[String], value: Value) -> bool {
    match keys {
        [] => false,
        [key] => dict.insert(key.clone(), value).is_none(),
        [key, rest @ ..] => match dict.entry(key.clone()).or_insert_with(|| Value::from(Dict::new())) {
            Value::Dict(_, nested) => insert(nested, rest, value),
            _ => false,
        },
    }
}

/// Sets each key of `value` that is absent or null to its value in `defaults`.
fn apply_defaults(value: &mut Value, defaults: Value) {
    match (value, defaults) {
        (Value::Dict(_, dict), Value::Dict(_, defaults)) => {
            for (key, default) in defaults {
                apply_defaults(dict.entry(key).or_insert(Value::from(Empty::None)), default);
            }
        }
        (value @ Value::Empty(..), default) => *value = default,
        _ => {}
    }
}
