//! Errors in a configuration. Each is one line without control characters: the place, the
//! key, what is wrong and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::error::{Actual, Kind};

use super::key_path::{KeyPath, Segment};
use super::yaml::Position;
use crate::printable::{escape_control_characters, excerpt, path_excerpt};
use crate::suggestion::nearest;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path_excerpt(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// An environment variable with the prefix of the exporter names no key.
    #[error("{}", escape_control_characters(&format!("environment variable {}: {message}", excerpt(variable))))]
    UnknownVariable {
        /// The name of the variable.
        variable: String,
        /// What was probably meant.
        message: String,
    },
    /// A setting is invalid.
    #[error("{}", escape_control_characters(&format!("{place}{message}")))]
    Invalid {
        /// Where the setting is.
        place: Place,
        /// The key, what is wrong and what would be right.
        message: String,
    },
}

/// Where a setting is.
#[derive(Clone, Debug)]
pub enum Place {
    /// In the file; line and column count from 1.
    #[expect(missing_docs, reason = "the names say it")]
    File { path: PathBuf, line: usize, column: usize },
    /// In an environment variable.
    #[expect(missing_docs, reason = "the name says it")]
    Environment { variable: String },
    /// Nowhere: neither the file nor a variable has the setting.
    Absent,
}

impl Place {
    pub(super) fn in_file(path: &Path, position: Position) -> Self {
        Self::File { path: path.to_path_buf(), line: position.line, column: position.column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}: ", path_excerpt(path)),
            Self::Environment { variable } => write!(f, "environment variable {}: ", excerpt(variable)),
            Self::Absent => Ok(()),
        }
    }
}

/// A deserialization error, in terms of YAML instead of Rust types.
pub(super) struct DeserializeError {
    pub(super) path: KeyPath,
    pub(super) message: String,
    /// Whether the key itself is wrong and not its value.
    pub(super) is_about_key: bool,
    /// Whether the value is a mapping and must not be one.
    pub(super) is_no_mapping: bool,
}

impl DeserializeError {
    pub(super) fn new(path: KeyPath, error: &figment::Error) -> Self {
        let message = match &error.kind {
            Kind::UnknownField(found, known) => {
                // The path may or may not include the unknown key itself.
                let path = match path.segments().last() {
                    Some(Segment::Key(last)) if last == found => path,
                    _ => path.join(found.as_str()),
                };
                let message = format!("unknown key; {}", suggestion(found, known));
                return Self { path, message, is_about_key: true, is_no_mapping: false };
            }
            Kind::MissingField(name) => format!("the key `{name}` is missing{}", missing_key_hint(name)),
            Kind::InvalidType(found, expected) => {
                format!("found {}, expected {}", kind_of_value(found), describe_expected(expected))
            }
            Kind::Message(message) => message.clone(),
            other => other.to_string(),
        };
        let is_no_mapping = matches!(error.kind, Kind::InvalidType(Actual::Map, _));
        Self { path, message, is_about_key: false, is_no_mapping }
    }
}

/// The kind of a value, for an error message. The value itself is not shown, because it may
/// be a secret.
fn kind_of_value(found: &Actual) -> &'static str {
    match found {
        Actual::Unit | Actual::Option => "nothing",
        Actual::Seq => "a list",
        Actual::Map => "a mapping",
        Actual::Str(_) => "a string",
        _ => "a value of another kind",
    }
}

/// What a setting should be, in terms of YAML, for a type as serde names it. The only plain
/// map in both configurations is that of the users.
fn describe_expected(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list, such as `[a, b]`",
        "struct RawTls" => "a mapping with at least `cert_file` and `key_file`",
        "struct RawOrganization" => "a mapping with at least `member_role`",
        "struct RawExpectation" => "a mapping with at least `name` and `request`",
        "struct RawRequest" => {
            "a mapping with the parameters of CreateResourceDataSync, such as `SyncName: org-inventory`"
        }
        "struct RawOrganizationalUnit" => "a mapping such as `OrganizationalUnitId: ou-abcd-11111111`",
        "struct RawManagedNodes" | "struct RawManagedNodesOfEntry" => "a mapping such as `{enabled: true}`",
        "a map" => {
            "a mapping of user names to bcrypt password hashes, or `{}` to allow requests without a password"
        }
        expected if expected.starts_with("struct ") => "a mapping",
        expected => expected,
    }
}

/// How to add a missing key, to append to the error.
fn missing_key_hint(key: &str) -> &'static str {
    match key {
        "arn" => "; add it, for example `arn: arn:aws:iam::111122223333:role/SsmSyncExporter`",
        "name" => "; add it, for example `name: org-inventory`",
        "OrganizationalUnitId" => "; add it, for example `OrganizationalUnitId: ou-abcd-11111111`",
        "member_role" => {
            "; add it, for example `member_role: \"arn:{partition}:iam::{account_id}:role/SsmSyncExporter\"`"
        }
        _ => "",
    }
}

fn suggestion(found: &str, known: &[&str]) -> String {
    match nearest(found, known.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("expected one of {}", known.join(", ")),
    }
}
