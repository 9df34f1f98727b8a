//! Which flag was probably meant in place of an unknown one.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::error::UsageError;
use super::flags;
use super::names::{command_like, known_flags, same_flag};
use crate::config::{ConfigError, ENV_PREFIX, variable_for};
use crate::printable::excerpt;
use crate::suggestion::nearest;

/// The error if the argument looks like a flag of several letters with a single dash, as programs in Go
/// accept them, or with a dash of a word processor.
pub(super) fn wrong_dash(argument: &str, parser: &clap::Command) -> Option<UsageError> {
    let given = argument.split('=').next().unwrap_or_default();
    let name = given.strip_prefix(DASHES)?.trim_start_matches(DASHES);
    if given.starts_with('-') && name.chars().nth(1).is_none() {
        return None;
    }
    let hint = match known_flags(parser).find(|known| *known == name) {
        Some(flag) => format!("flags begin with two dashes: '--{flag}'"),
        None => hint(name, parser),
    };
    Some(UsageError::new(format!("unexpected argument '{}' found; {hint}", excerpt(given))))
}

/// A hyphen, and what word processors make of two.
const DASHES: [char; 4] = ['-', '–', '—', '−'];

impl UsageError {
    /// The error if an unknown variable has the name of a flag, such as `SSM_SYNC_EXPORTER_CONFIG_FILE`.
    #[must_use]
    pub fn of_variable(error: &ConfigError) -> Option<Self> {
        let ConfigError::UnknownVariable { variable, .. } = error else { return None };
        let name = variable.strip_prefix(ENV_PREFIX).filter(|name| variable_for(name).is_none())?;
        let flag = same_flag(name, &flags::parser())?;
        Some(Self::new(format!(
            "environment variable {}: this is a flag and no key of the configuration; use {flag}",
            excerpt(variable)
        )))
    }
}

/// The error for what clap rejects.
pub(super) fn rejected(error: clap::Error, parser: &clap::Command) -> UsageError {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) if error.kind() == ErrorKind::UnknownArgument => {
            unknown_flag(argument, parser)
        }
        _ => UsageError::from_clap(error),
    }
}

/// The error for an unknown flag, given with its dashes.
fn unknown_flag(argument: &str, parser: &clap::Command) -> UsageError {
    let name = argument.trim_start_matches('-');
    UsageError::new(format!("unexpected argument '{}' found; {}", excerpt(argument), hint(name, parser)))
}

/// What was probably meant by the name of a flag.
fn hint(name: &str, parser: &clap::Command) -> String {
    if let Some(flag) = same_flag(name, parser) {
        return format!("did you mean '{flag}'?");
    }
    if let Some(flag) = name.strip_prefix("no-").and_then(|name| same_flag(name, parser)) {
        return format!("leave out '{flag}' instead");
    }
    if let Some(command) = command_like(name) {
        return format!("did you mean the command `{command}`?");
    }
    if let Some(variable) = variable_for(name) {
        return format!("set the key in the configuration file, or by the environment variable {variable}");
    }
    match nearest(name, known_flags(parser)) {
        Some(flag) => format!("did you mean '--{flag}'?"),
        None => "see --help".to_owned(),
    }
}
