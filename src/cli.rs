//! The command line: its definition, and nothing else.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::app::DEFAULT_MAX_REQUESTS;
use crate::build_info;
use crate::fleet::{InvalidShard, Shard};
use crate::logging::{Format, Verbosity};
use crate::once;
use crate::web::{ListenAddress, TelemetryPath};

/// Prometheus exporter for AWS Systems Manager resource data syncs.
///
/// With no configuration at all it polls the account of the ambient AWS
/// credentials in their default region.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that stands by itself")]
#[command(name = "ssm-sync-exporter", version = build_info::LONG_VERSION)]
pub struct Cli {
    /// What to do.
    #[arg(value_enum, default_value = "serve", hide_default_value = true)]
    pub command: Command,

    /// Configuration file (YAML).
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,

    /// Check the configuration and exit.
    #[arg(long = "config.check")]
    pub config_check: bool,

    /// Address to listen on; may be repeated. Without a host, on all.
    #[arg(long = "web.listen-address", value_name = "HOST:PORT", default_value = ":10144")]
    pub listen_addresses: Vec<ListenAddress>,

    /// Path under which the metrics are served.
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    pub telemetry_path: TelemetryPath,

    /// Web configuration file: TLS, users and limits, in the format of the
    /// Prometheus exporter-toolkit.
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,

    /// Listen on the sockets that systemd passes on, and not on
    /// --web.listen-address.
    #[arg(long = "web.systemd-socket")]
    pub web_systemd_socket: bool,

    /// How many scrapes may be under way at once; 0 for no limit.
    #[arg(long = "web.max-requests", value_name = "NUMBER", default_value_t = DEFAULT_MAX_REQUESTS)]
    pub web_max_requests: usize,

    /// Let `POST /-/reload` load the configuration anew, as SIGHUP does.
    #[arg(long = "web.enable-lifecycle")]
    pub lifecycle: bool,

    /// Poll only the part of the targets with this number, counted from 0.
    #[arg(
        long = "shard.index",
        value_name = "NUMBER",
        requires = "shard_total",
        conflicts_with = "shard_from_hostname"
    )]
    pub shard_index: Option<u32>,

    /// How many exporters share the targets.
    #[arg(long = "shard.total", value_name = "NUMBER", value_parser = from_1)]
    pub shard_total: Option<NonZeroU32>,

    /// Take the number of the part from the end of the host's name, as pods of
    /// a Kubernetes StatefulSet have it.
    #[arg(long = "shard.from-hostname", requires = "shard_total")]
    pub shard_from_hostname: bool,

    /// Write to this file, which is replaced whole, and not to stdout, which is
    /// `-` (`once` only).
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// What to write, `prometheus` unless told otherwise (`once` only).
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<once::Format>,

    /// Log only messages of this severity or above.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    pub log_level: Verbosity,

    /// How log messages are written.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub log_format: Format,
}

/// A flag of `once` without it.
#[derive(Debug, thiserror::Error)]
#[error("{0} is for the command `once` only")]
pub struct OnceOnly(&'static str);

/// Flags that do not go together.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// A number is wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidShard),
    /// It is said how many there are, but not which one this is.
    #[error(
        "--shard.total says how many parts there are, and one of --shard.index and --shard.from-hostname has to say which"
    )]
    Which,
}

fn from_1(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| "not a whole number from 1".to_owned())
}

impl Cli {
    /// Whether the flags are those of the command.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), OnceOnly> {
        match self.command {
            Command::Serve if self.output.is_some() => Err(OnceOnly("--output")),
            Command::Serve if self.format.is_some() => Err(OnceOnly("--format")),
            Command::Serve | Command::Once => Ok(()),
        }
    }

    /// The part of the targets to poll, on the host of this name.
    ///
    /// # Errors
    /// The flags do not name one.
    pub fn shard(&self, hostname: &str) -> Result<Shard, ShardError> {
        match (self.shard_total, self.shard_index) {
            (None, _) => Ok(Shard::default()),
            (Some(total), Some(index)) => Ok(Shard::new(index, total)?),
            (Some(total), None) if self.shard_from_hostname => Ok(Shard::from_hostname(hostname, total)?),
            (Some(_), None) => Err(ShardError::Which),
        }
    }
}

/// What the exporter can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Command {
    /// Poll AWS and serve the metrics; the default.
    Serve,
    /// Poll every target once, write what is known then and exit; flags of the web
    /// do not matter.
    Once,
}

/// What clap has to say about a wrong command line, in one line.
#[must_use]
pub fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    // The first paragraph says what is wrong, a `tip` what would be right; the
    // rest repeats the usage.
    let wrong = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect::<Vec<_>>().join(" ");
    let wrong = wrong.strip_prefix("error: ").unwrap_or(&wrong).to_owned();
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    match tip {
        Some(tip) => format!("{wrong}; {tip}"),
        None => format!("{wrong}; see --help"),
    }
}
