//! Where configuration comes from: a file and the environment, laid over each
//! other by figment. Each layer can tell where a value of it stood.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::error::{ConfigError, Place};
use super::key_path::KeyPath;
use super::yaml::{Node, Position};

/// An environment variable of ours.
struct Variable {
    name: String,
    /// The keys it stands for.
    keys: Vec<String>,
}

/// What the names of our environment variables begin with.
pub(super) const ENV_PREFIX: &str = "SSM_SYNC_EXPORTER_";

/// All layers, the later over the earlier ones.
pub(super) struct Layers {
    figment: Figment,
    file: Option<FileLayer>,
    /// Those that are set.
    variables: Vec<Variable>,
}

impl Layers {
    /// Reads the file, if one is given, and picks our variables out of
    /// `environment`.
    pub(super) fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        Self::over(file.map(FileLayer::read).transpose()?, environment)
    }

    /// Takes the text of a file that has been read already, and nothing beside it.
    /// The example is one of what may stand in it.
    pub(super) fn of_text(path: &Path, text: &str, example: &str) -> Result<Self, ConfigError> {
        Self::over(Some(FileLayer::parse(path, text, example)?), [])
    }

    fn over(
        file: Option<FileLayer>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let (environment, variables) = EnvironmentLayer::pick(environment)?;
        let mut figment = Figment::new();
        if let Some(file) = &file {
            figment = figment.merge(file.clone());
        }
        Ok(Self { figment: figment.merge(environment), file, variables })
    }

    /// All values, merged.
    pub(super) fn merged(&self) -> Result<Value, ConfigError> {
        self.figment
            .extract()
            .map_err(|error| ConfigError::Invalid { place: Place::Nowhere, message: error.to_string() })
    }

    /// Where the value at `path` came from.
    pub(super) fn place(&self, path: &KeyPath) -> Place {
        self.find(path, Node::locate)
    }

    /// Where the key at the end of `path` came from.
    pub(super) fn place_of_key(&self, path: &KeyPath) -> Place {
        self.find(path, Node::locate_key)
    }

    fn find(&self, path: &KeyPath, locate: fn(&Node, &KeyPath) -> Position) -> Place {
        let keys = path.leading_keys();
        let from_environment = self
            .figment
            .find_metadata(&keys.join("."))
            .is_some_and(|metadata| metadata.name == EnvironmentLayer::NAME);
        // A variable may hold the whole of what a key of it belongs to.
        let variable =
            || self.variables.iter().find(|variable| keys.iter().zip(&variable.keys).all(|(a, b)| a == b));
        match (&self.file, from_environment.then(variable).flatten()) {
            (_, Some(variable)) => Place::Environment { variable: variable.name.clone() },
            (Some(file), None) => Place::in_file(&file.path, locate(&file.document, path)),
            (None, None) => Place::Nowhere,
        }
    }
}

/// A YAML file.
#[derive(Clone)]
struct FileLayer {
    path: Arc<PathBuf>,
    document: Arc<Node>,
}

impl FileLayer {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_path_buf(), source })?;
        Self::parse(path, &text, "interval: 5m")
    }

    fn parse(path: &Path, text: &str, example: &str) -> Result<Self, ConfigError> {
        let document = Node::parse(text).map_err(|error| ConfigError::Invalid {
            place: Place::in_file(path, error.position),
            message: error.message,
        })?;
        if document.to_dict().is_none() {
            return Err(ConfigError::Invalid {
                place: Place::in_file(path, document.locate(&KeyPath::default())),
                message: format!("the file has to hold keys and values, such as `{example}`"),
            });
        }
        Ok(Self { path: Arc::new(path.to_path_buf()), document: Arc::new(document) })
    }
}

impl Provider for FileLayer {
    fn metadata(&self) -> Metadata {
        Metadata::named("configuration file")
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.document.to_dict().unwrap_or_default()))
    }
}

/// Variables such as `SSM_SYNC_EXPORTER_AWS__USE_FIPS=true`. A list or mapping
/// is written as in YAML, `[eu-west-1, us-east-1]`; an empty variable counts
/// as not set.
struct EnvironmentLayer(Dict);

impl EnvironmentLayer {
    const NAME: &str = "environment";

    fn pick(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Vec<Variable>), ConfigError> {
        let mut ours = Vec::new();
        for (name, text) in environment {
            let lossy = name.to_string_lossy();
            let Some(name) =
                lossy.strip_prefix(ENV_PREFIX).filter(|name| !text.is_empty() && !is_service_link(name))
            else {
                continue;
            };
            let text = text.into_string().map_err(|_| ConfigError::Invalid {
                place: Place::Environment { variable: lossy.to_string() },
                message: "the value is not UTF-8".to_owned(),
            })?;
            ours.push((name.to_owned(), text));
        }
        // The order of the environment is not ours to rely on.
        ours.sort();
        let (mut dict, mut variables) = (Dict::new(), Vec::new());
        for (name, text) in ours {
            let keys: Vec<String> = name.split("__").map(key_of_variable).collect();
            let value = read(&name, &text)?;
            if !insert(&mut dict, &keys, value) {
                return Err(ConfigError::Invalid {
                    place: Place::Environment { variable: format!("{ENV_PREFIX}{name}") },
                    message: "another variable sets the whole of what this one sets a part of".to_owned(),
                });
            }
            variables.push(Variable { name: format!("{ENV_PREFIX}{name}"), keys });
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

/// Kubernetes puts variables such as `SSM_SYNC_EXPORTER_SERVICE_HOST` and
/// `SSM_SYNC_EXPORTER_METRICS_PORT_10144_TCP` into every pod beside Services
/// called `ssm-sync-exporter` and `ssm-sync-exporter-metrics`. They are not
/// meant for us, and no key of ours looks like them.
fn is_service_link(name: &str) -> bool {
    let parts: Vec<&str> = name.split('_').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.ends_with(&["PORT"])
        || parts.windows(2).any(|pair| matches!(pair, ["SERVICE", "HOST" | "PORT"]))
        || parts
            .windows(3)
            .any(|three| matches!(three, ["PORT", number, "TCP" | "UDP" | "SCTP"] if is_number(number)))
}

/// The key that a part of a variable's name stands for: the same in lower
/// case, but for the sync types, which the file spells as AWS does.
fn key_of_variable(part: &str) -> String {
    match part {
        "SYNCTODESTINATION" => "SyncToDestination".to_owned(),
        "SYNCFROMSOURCE" => "SyncFromSource".to_owned(),
        other => other.to_lowercase(),
    }
}

fn read(name: &str, text: &str) -> Result<Value, ConfigError> {
    // Only what is clearly meant as YAML is read as such: an ARN or a `*` would
    // turn into something else, or into an error.
    if !text.starts_with(['[', '{']) {
        return Ok(Value::from(text));
    }
    let node = Node::parse(text).map_err(|error| ConfigError::Invalid {
        place: Place::Environment { variable: format!("{ENV_PREFIX}{name}") },
        message: format!("column {}: {}", error.position.column, error.message),
    })?;
    Ok(node.to_value())
}

/// Puts `value` where `keys` lead; `false` if something else stands there.
fn insert(dict: &mut Dict, keys: &[String], value: Value) -> bool {
    match keys {
        [] => false,
        [key] => dict.insert(key.clone(), value).is_none(),
        [key, rest @ ..] => match dict.entry(key.clone()).or_insert_with(|| Value::from(Dict::new())) {
            Value::Dict(_, below) => insert(below, rest, value),
            _ => false,
        },
    }
}
