//! The command line: commands, flags, their defaults and the rules between them.
//!
//! A flag may come before or after the command, so one flat parser reads the arguments.
//! [`tree`] arranges the same flags below the commands that have them. Help, completions and the
//! manual page are made from that tree.

mod arguments;
mod command;
mod completions;
mod error;
mod flag_hints;
mod flags;
mod man;
mod names;
mod texts;
mod tree;
mod word_hints;

use std::ffi::OsString;
use std::path::Path;

use clap::FromArgMatches as _;
use clap::parser::ValueSource;

use crate::config::Config;
use crate::doctor;
use crate::fleet::{InvalidShard, Narrowing, Shard};
use crate::logging::Verbosity;
use crate::once;
use arguments::Arguments;
pub use command::Command;
pub use completions::completions;
pub use error::UsageError;
pub use flags::Cli;
pub use man::man_page;

/// What the arguments ask for.
#[derive(Debug)]
pub enum Parsed {
    /// To run a command.
    Run(Box<Cli>),
    /// To print help or the version, with ANSI styles.
    Print(String),
}

/// `--fail-on violations` without an expectation that could be violated.
#[derive(Debug, thiserror::Error)]
#[error("--fail-on violations requires `expectations` in the configuration")]
pub struct NoExpectationsError;

/// `--shard` flags that do not select a shard.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// The index is out of range, or the host name does not end in an index.
    #[error(transparent)]
    Invalid(#[from] InvalidShard),
    /// `--shard.total` was given without an index.
    #[error("--shard.total requires --shard.index or --shard.from-hostname")]
    NoIndex,
}

impl Cli {
    /// Parses the arguments after the name of the program.
    ///
    /// # Errors
    /// The first error in the arguments, such as a flag that the command does not have.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, UsageError> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let mut parser = flags::parser();
        let Arguments { words, words_after, request } = Arguments::scan(&arguments, &parser)?;
        if let Some(request) = request {
            // `config help` is `config --help`.
            let topic: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "help").collect();
            // Other words after a flag may be the values of flags.
            let longer: Vec<&str> =
                topic.iter().copied().chain(words_after.iter().map(String::as_str)).collect();
            let printed = tree::print(&longer, request).or_else(|| tree::print(&topic, request));
            return printed.map(Parsed::Print).ok_or_else(|| word_hints::unknown(&topic));
        }
        let matches = parser
            .try_get_matches_from_mut(arguments)
            .map_err(|error| flag_hints::rejected(error, &parser))?;
        let mut cli =
            Self::from_arg_matches(&matches).map_err(|error| flag_hints::rejected(error, &parser))?;
        cli.command = word_hints::command(&words)?;
        let is_given = |flag: &&clap::Arg| {
            matches.value_source(flag.get_id().as_str()) == Some(ValueSource::CommandLine)
        };
        for flag in parser.get_arguments().filter(is_given).filter_map(clap::Arg::get_long) {
            if !cli.command.accepts(flag) {
                return Err(UsageError::of_other_command(flag));
            }
        }
        cli.check_values()?;
        Ok(Parsed::Run(Box::new(cli)))
    }

    /// Checks the rules between the command and the values of its flags.
    fn check_values(&self) -> Result<(), UsageError> {
        if self.command == Command::Doctor {
            self.format_of_doctor()?;
        }
        let is_one_of_many = self.shard_total.is_some_and(|total| total.get() > 1);
        // The account ids decide which shard a target belongs to, and pseudonyms change them.
        if self.record.is_some() && !self.record_raw && is_one_of_many {
            return Err(UsageError::new(
                "--record of one of several shards requires --record.raw, because the shard of a target depends on its \
                 account id; otherwise leave out --shard.total",
            ));
        }
        Ok(())
    }

    /// The format of `doctor`.
    ///
    /// # Errors
    /// It is a format of `once` that `doctor` does not have.
    pub fn format_of_doctor(&self) -> Result<doctor::Format, UsageError> {
        match self.format {
            None | Some(once::Format::Table) => Ok(doctor::Format::Table),
            Some(once::Format::Json) => Ok(doctor::Format::Json),
            Some(other) => {
                let other = flags::name(&other);
                Err(UsageError::new(format!("--format of `doctor` is `table` or `json`, not `{other}`")))
            }
        }
    }

    /// The accounts and regions that `doctor` looks at.
    #[must_use]
    pub fn narrowing(&self) -> Narrowing {
        Narrowing { accounts: self.accounts.clone(), regions: self.regions.clone() }
    }

    /// The lowest severity to log. `doctor` says itself what fails.
    #[must_use]
    pub fn log_level(&self) -> Verbosity {
        let default = if self.command == Command::Doctor { Verbosity::Error } else { Verbosity::Info };
        self.log_level.unwrap_or(default)
    }

    /// The file of `--web.config.file`. An empty value counts as absent, as in the exporter-toolkit.
    #[must_use]
    pub fn web_config_file(&self) -> Option<&Path> {
        self.web_config_file.as_deref().filter(|file| !file.as_os_str().is_empty())
    }

    /// Checks that the configuration has what the flags refer to.
    ///
    /// # Errors
    /// `--fail-on violations` was given, and there are no expectations.
    pub fn check_expectations(&self, config: &Config) -> Result<(), NoExpectationsError> {
        match self.fail_on {
            Some(once::FailOn::Violations) if !config.has_expectations() => Err(NoExpectationsError),
            _ => Ok(()),
        }
    }

    /// The shard that the flags select on the host called `hostname`.
    ///
    /// # Errors
    /// See [`ShardError`].
    pub fn shard(&self, hostname: &str) -> Result<Shard, ShardError> {
        match (self.shard_total, self.shard_index) {
            (None, _) => Ok(Shard::default()),
            (Some(total), Some(index)) => Ok(Shard::new(index, total)?),
            (Some(total), None) if self.shard_from_hostname => Ok(Shard::from_hostname(hostname, total)?),
            (Some(_), None) => Err(ShardError::NoIndex),
        }
    }
}

#[cfg(test)]
mod tests;
