//! The flags, as clap parses them.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Arg, Args, ValueEnum, ValueHint};

use super::command::Command;
use super::texts::PROGRAM;
use crate::app::DEFAULT_MAX_REQUESTS;
use crate::fleet::RegionName;
use crate::logging::{Format, Verbosity};
use crate::once;
use crate::web::{ListenAddress, TelemetryPath};

const CONFIGURATION: &str = "Configuration";
const WEB: &str = "Web server (serve)";
const SHARDS: &str = "Shards";
const RESULTS: &str = "Results (once, doctor)";
const SELECTION: &str = "Selection (doctor)";
const RECORDINGS: &str = "Recordings";
const LOG: &str = "Log";

/// The headings that name commands, and how they are without them.
pub(super) const HEADINGS: [(&str, &str); 3] =
    [(WEB, "Web server"), (RESULTS, "Results"), (SELECTION, "Selection")];

/// The command and its flags.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent flag")]
pub struct Cli {
    /// What to run.
    #[arg(skip)]
    pub command: Command,

    /// Configuration file in YAML
    ///
    /// Without it, environment variables and defaults apply.
    #[arg(long = "config.file", value_name = "FILE", help_heading = CONFIGURATION, value_hint = ValueHint::FilePath)]
    pub config_file: Option<PathBuf>,

    /// Do what `config check` does, then exit
    #[arg(long = "config.check", help_heading = CONFIGURATION)]
    pub check_config: bool,

    /// Address to listen on; may be repeated
    ///
    /// Without HOST, the exporter listens on all interfaces.
    #[arg(
        long = "web.listen-address",
        value_name = "HOST:PORT",
        default_value = ":10144",
        help_heading = WEB,
        value_hint = ValueHint::Other
    )]
    pub listen_addresses: Vec<ListenAddress>,

    /// Path of the metrics
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics",
        help_heading = WEB,
        value_hint = ValueHint::Other
    )]
    pub telemetry_path: TelemetryPath,

    /// File with TLS settings, users and limits
    ///
    /// It has the format of the Prometheus exporter-toolkit, as for `node_exporter`.
    #[arg(
        long = "web.config.file",
        value_name = "FILE",
        value_parser = OsStringValueParser::new().map(PathBuf::from),
        help_heading = WEB,
        value_hint = ValueHint::FilePath
    )]
    pub(super) web_config_file: Option<PathBuf>,

    /// Listen on the sockets of a systemd socket unit
    ///
    /// They replace --web.listen-address.
    #[arg(long = "web.systemd-socket", help_heading = WEB)]
    pub use_systemd_socket: bool,

    /// Maximum number of concurrent scrapes; 0 for no limit
    #[arg(
        long = "web.max-requests",
        value_name = "NUMBER",
        default_value_t = DEFAULT_MAX_REQUESTS,
        help_heading = WEB,
        value_hint = ValueHint::Other
    )]
    pub max_requests: usize,

    /// Enable `POST /-/reload`, which reloads as SIGHUP does
    #[arg(long = "web.enable-lifecycle", help_heading = WEB)]
    pub enable_lifecycle: bool,

    /// Index of this shard, from 0; requires --shard.total
    #[arg(
        long = "shard.index",
        value_name = "NUMBER",
        requires = "shard_total",
        conflicts_with = "shard_from_hostname",
        help_heading = SHARDS,
        value_hint = ValueHint::Other
    )]
    pub shard_index: Option<u32>,

    /// Number of exporters that share the targets [default: 1]
    #[arg(
        long = "shard.total",
        value_name = "NUMBER",
        value_parser = at_least_1::<NonZeroU32>,
        help_heading = SHARDS,
        value_hint = ValueHint::Other
    )]
    pub shard_total: Option<NonZeroU32>,

    /// Take the index of this shard from the end of the host name
    ///
    /// For example, it is 2 for `exporter-2` in a Kubernetes StatefulSet. Requires --shard.total.
    #[arg(long = "shard.from-hostname", requires = "shard_total", help_heading = SHARDS)]
    pub shard_from_hostname: bool,

    /// File to write, replaced atomically; `-` for stdout [default: -]
    #[arg(long, value_name = "FILE", help_heading = RESULTS, value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Format of the results; `doctor` has `table` (its default) and `json` [default: prometheus]
    #[arg(long, value_name = "FORMAT", help_heading = RESULTS)]
    pub format: Option<once::Format>,

    /// What makes `once` end with status 1 [default: targets]
    #[arg(long, value_name = "WHAT", help_heading = RESULTS)]
    pub fail_on: Option<once::FailOn>,

    /// Account to look at, by id or exact name; may be repeated
    ///
    /// By default, `doctor` looks at all accounts.
    #[arg(
        long = "account",
        value_name = "ID_OR_NAME",
        help_heading = SELECTION,
        value_hint = ValueHint::Other
    )]
    pub accounts: Vec<String>,

    /// Region to look at; may be repeated
    ///
    /// By default, `doctor` looks at all regions.
    #[arg(long = "region", value_name = "NAME", help_heading = SELECTION, value_hint = ValueHint::Other)]
    pub regions: Vec<RegionName>,

    /// How many collections run concurrently
    ///
    /// It replaces `concurrency` of the configuration.
    #[arg(
        long,
        value_name = "NUMBER",
        value_parser = at_least_1::<NonZeroUsize>,
        help_heading = SELECTION,
        value_hint = ValueHint::Other
    )]
    pub concurrency: Option<NonZeroUsize>,

    /// File in which `once` records what AWS answers, for bug reports
    ///
    /// Names are replaced by pseudonyms.
    #[arg(long, value_name = "FILE", help_heading = RECORDINGS, value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,

    /// Leave the names in the file of --record as they are
    ///
    /// Secrets are replaced nevertheless.
    #[arg(long = "record.raw", requires = "record", help_heading = RECORDINGS)]
    pub record_raw: bool,

    /// Recording that answers in place of AWS
    ///
    /// Everything is as it was at the time of the recording, and nothing is sent.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["record", "shard_index", "shard_total", "shard_from_hostname"],
        help_heading = RECORDINGS,
        value_hint = ValueHint::FilePath
    )]
    pub replay: Option<PathBuf>,

    /// Lowest severity to log, error for `doctor` [default: info]
    #[arg(long = "log.level", value_name = "LEVEL", help_heading = LOG)]
    pub(super) log_level: Option<Verbosity>,

    /// Format of log lines
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt", help_heading = LOG)]
    pub log_format: Format,
}

/// The parser of the arguments after the name of the program.
pub(super) fn parser() -> clap::Command {
    let words = Arg::new("words").num_args(0..).value_parser(OsStringValueParser::new());
    let parser = clap::Command::new(PROGRAM).no_binary_name(true).disable_help_flag(true).arg(words);
    Cli::augment_args(parser)
}

/// The name of a value on the command line.
pub(super) fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn at_least_1<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "expected a whole number of at least 1".to_owned())
}
