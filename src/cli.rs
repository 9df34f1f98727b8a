//! The command line: flags, their defaults and the rules between them.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::error::{ContextKind, ContextValue};
use clap::{Parser, ValueEnum};

use crate::app::DEFAULT_MAX_REQUESTS;
use crate::build_info;
use crate::config::Config;
use crate::doctor;
use crate::fleet::{InvalidShard, Narrowing, RegionName, Shard};
use crate::logging::{Format, Verbosity};
use crate::once;
use crate::printable::{escape_control_characters, excerpt};
use crate::web::{ListenAddress, TelemetryPath};

/// Prometheus exporter for AWS Systems Manager resource data syncs.
///
/// Without a configuration, the exporter polls the account of the ambient AWS credentials in
/// their default region.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent flag")]
#[command(name = "ssm-sync-exporter", version = build_info::LONG_VERSION)]
pub struct Cli {
    /// What to run
    #[arg(value_enum, default_value = "serve", hide_default_value = true)]
    pub command: Command,

    /// Configuration file (YAML); without it, environment variables and defaults apply
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,

    /// Check the configuration and the file of --web.config.file without calling AWS, then exit
    #[arg(long = "config.check")]
    pub check_config: bool,

    /// Address to listen on; without HOST, on all interfaces; may be repeated
    #[arg(long = "web.listen-address", value_name = "HOST:PORT", default_value = ":10144")]
    pub listen_addresses: Vec<ListenAddress>,

    /// Path of the metrics
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    pub telemetry_path: TelemetryPath,

    /// File with TLS settings, users and limits, in the format of the Prometheus exporter-toolkit
    #[arg(long = "web.config.file", value_name = "FILE", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    web_config_file: Option<PathBuf>,

    /// Listen on the sockets of a systemd socket unit instead of --web.listen-address
    #[arg(long = "web.systemd-socket")]
    pub use_systemd_socket: bool,

    /// Maximum number of concurrent scrapes; 0 for no limit
    #[arg(long = "web.max-requests", value_name = "NUMBER", default_value_t = DEFAULT_MAX_REQUESTS)]
    pub max_requests: usize,

    /// Enable `POST /-/reload`, which reloads the configuration as SIGHUP does
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,

    /// Index of this shard, from 0; requires --shard.total
    #[arg(
        long = "shard.index",
        value_name = "NUMBER",
        requires = "shard_total",
        conflicts_with = "shard_from_hostname"
    )]
    pub shard_index: Option<u32>,

    /// Number of exporters that share the targets [default: 1]
    #[arg(long = "shard.total", value_name = "NUMBER", value_parser = at_least_1::<NonZeroU32>)]
    pub shard_total: Option<NonZeroU32>,

    /// Take the index of this shard from the end of the host name, such as 2 from `exporter-2` in
    /// a Kubernetes StatefulSet; requires --shard.total
    #[arg(long = "shard.from-hostname", requires = "shard_total")]
    pub shard_from_hostname: bool,

    /// File for the output of `once` or `doctor`, replaced atomically; `-` for stdout [default: -]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Format of the output of `once`, or of `doctor`, where it is `table` or `json` and `table` by default
    /// [default: prometheus]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<once::Format>,

    /// What makes `once` end with status 1 [default: targets]
    #[arg(long, value_name = "WHAT")]
    pub fail_on: Option<once::FailOn>,

    /// File in which `once` records what AWS answers, for bug reports, with pseudonyms in place of names
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// Leave the names in the file of --record as they are; secrets are replaced nevertheless
    #[arg(long = "record.raw", requires = "record")]
    pub record_raw: bool,

    /// Recording of `once --record` that answers in place of AWS, at the time of the recording; nothing is sent
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["record", "shard_index", "shard_total", "shard_from_hostname"]
    )]
    pub replay: Option<PathBuf>,

    /// Account that `doctor` looks at instead of all, by its id or its exact name; may be repeated
    #[arg(long = "account", value_name = "ID_OR_NAME")]
    pub accounts: Vec<String>,

    /// Region that `doctor` looks at instead of all; may be repeated
    #[arg(long = "region", value_name = "NAME")]
    pub regions: Vec<RegionName>,

    /// How many collections of `doctor` run concurrently, instead of `concurrency` in the configuration
    #[arg(long, value_name = "NUMBER", value_parser = at_least_1::<NonZeroUsize>)]
    pub concurrency: Option<NonZeroUsize>,

    /// Lowest severity to log; for `doctor`, the default is error [default: info]
    #[arg(long = "log.level", value_name = "LEVEL")]
    log_level: Option<Verbosity>,

    /// Format of log lines
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub log_format: Format,
}

/// A flag that the command does not have, or a value that it does not accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// The flag belongs to other commands.
    #[error("{flag} requires the command {}", names(.commands))]
    OfOtherCommand {
        /// The flag.
        flag: &'static str,
        /// The commands that have it.
        commands: &'static [Command],
    },
    /// `doctor` has fewer formats than `once`.
    #[error("--format of `doctor` is `table` or `json`, not `{}`", name(.0))]
    FormatOfDoctor(once::Format),
}

/// The name on the command line.
fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn names(commands: &[Command]) -> String {
    commands.iter().map(|command| format!("`{}`", name(command))).collect::<Vec<_>>().join(" or ")
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

fn at_least_1<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "expected a whole number of at least 1".to_owned())
}

impl Cli {
    /// Checks that the command accepts all flags.
    ///
    /// # Errors
    /// The first flag that the command does not accept.
    pub fn check_flags(&self) -> Result<(), FlagError> {
        const RESULTS: &[Command] = &[Command::Once, Command::Doctor];
        let flags: [(&'static str, bool, &'static [Command]); 7] = [
            ("--output", self.output.is_some(), RESULTS),
            ("--format", self.format.is_some(), RESULTS),
            ("--fail-on", self.fail_on.is_some(), &[Command::Once]),
            ("--record", self.record.is_some(), &[Command::Once]),
            ("--account", !self.accounts.is_empty(), &[Command::Doctor]),
            ("--region", !self.regions.is_empty(), &[Command::Doctor]),
            ("--concurrency", self.concurrency.is_some(), &[Command::Doctor]),
        ];
        for (flag, is_given, commands) in flags {
            if is_given && !commands.contains(&self.command) {
                return Err(FlagError::OfOtherCommand { flag, commands });
            }
        }
        if self.command == Command::Doctor {
            self.format_of_doctor()?;
        }
        Ok(())
    }

    /// The format of `doctor`.
    ///
    /// # Errors
    /// It is a format of `once` that `doctor` does not have.
    pub fn format_of_doctor(&self) -> Result<doctor::Format, FlagError> {
        match self.format {
            None | Some(once::Format::Table) => Ok(doctor::Format::Table),
            Some(once::Format::Json) => Ok(doctor::Format::Json),
            Some(other) => Err(FlagError::FormatOfDoctor(other)),
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

/// What to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Command {
    /// Poll AWS and serve the metrics (default)
    Serve,
    /// Poll every target once, write the result and exit; `--web.*` flags are ignored
    Once,
    /// Take every step of a poll once, and say what fails and what to do about it; `--web.*` flags are
    /// ignored
    Doctor,
}

/// Formats an error of clap as one line: the message and a hint, without the usage. Of arguments, it
/// repeats only the beginning.
#[must_use]
pub fn one_line(mut error: clap::Error) -> String {
    let shortened: Vec<_> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) if *text != excerpt(text) => Some((kind, text.clone())),
            _ => None,
        })
        .collect();
    for (kind, text) in &shortened {
        error.insert(*kind, ContextValue::String(excerpt(text)));
        // The suggestions repeat the argument.
        error.remove(ContextKind::Suggested);
    }
    let mut text = error.render().to_string();
    for (_, argument) in &shortened {
        // The reason why a value is invalid may repeat it, too.
        text = text.replace(&format!("`{argument}`"), &format!("`{}`", excerpt(argument)));
    }
    // The first paragraph is the message. A line with `tip:` is a suggestion, and the rest
    // is usage.
    let message =
        text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect::<Vec<_>>().join(" ");
    let message = message.strip_prefix("error: ").unwrap_or(&message).to_owned();
    let message = escape_control_characters(&message);
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    match tip {
        Some(tip) => format!("{message}; {tip}"),
        None => format!("{message}; see --help"),
    }
}
