//! Which flag was probably meant in place of an unknown one.

use super::error::UsageError;
use super::word_hints;
use crate::printable::excerpt;
use crate::suggestion::nearest;

/// The error if the argument looks like a flag of several letters with a single dash, as programs in Go
/// accept them, or with a dash of a word processor.
pub(super) fn wrong_dash(argument: &str, parser: &clap::Command) -> Option<UsageError> {
    let given = argument.split('=').next().unwrap_or_default();
    let name = given.strip_prefix(['-', '–', '—', '−'])?.trim_start_matches(['-', '–', '—', '−']);
    let is_short_flag = given.starts_with('-') && name.chars().count() < 2;
    if is_short_flag {
        return None;
    }
    let meant = meant_flag(name, parser);
    Some(UsageError::new(match meant {
        Some(meant) => {
            format!("unexpected argument '{}' found; flags have two dashes: '{meant}'", excerpt(given))
        }
        None => format!("unexpected argument '{}' found; flags have two dashes, see --help", excerpt(given)),
    }))
}

/// The error for an unknown flag, given with its dashes.
pub(super) fn unknown_flag(argument: &str, parser: &clap::Command) -> UsageError {
    let name = argument.trim_start_matches('-');
    let hint = match meant_flag(name, parser) {
        Some(meant) => format!("did you mean '{meant}'?"),
        None => match word_hints::command_like(name) {
            Some(command) => format!("did you mean the command `{command}`?"),
            None => "see --help".to_owned(),
        },
    };
    UsageError::new(format!("unexpected argument '{}' found; {hint}", excerpt(argument)))
}

/// Names of flags of other programs, squashed, and the flags that do the same here.
const OTHER_NAMES: [(&str, &[&str]); 8] = [
    ("config.file", &["config", "configpath", "conf", "cfg", "c"]),
    ("config.check", &["check", "checkconfig", "validate", "configtest", "dryrun", "syntaxonly"]),
    (
        "web.listen-address",
        &[
            "port",
            "webport",
            "listen",
            "listenport",
            "address",
            "webaddress",
            "telemetryaddress",
            "telemetryport",
            "bind",
            "bindaddress",
            "host",
            "addr",
            "httplistenaddress",
            "metricsport",
            "p",
        ],
    ),
    ("web.telemetry-path", &["path", "metricspath", "webmetricspath", "telemetryendpoint"]),
    ("web.config.file", &["webconfig", "tlsconfig"]),
    ("log.level", &["verbose", "verbosity", "debug", "level", "quiet", "q"]),
    ("output", &["o", "out", "outputfile", "textfile"]),
    ("version", &["v"]),
];

/// The name in lower case without the characters that separate words, by which people spell flags
/// differently: `config.file`, `config-file`, `configFile`.
pub(super) fn squash(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The flag that was probably meant by `given`, with its dashes.
pub(super) fn meant_flag(given: &str, parser: &clap::Command) -> Option<String> {
    // To compare a long text takes long.
    const MAX_LEN: usize = 100;
    if given.len() > MAX_LEN {
        return None;
    }
    let own = parser.get_arguments().filter_map(clap::Arg::get_long);
    let known: Vec<&str> = own.chain(["help", "version"]).collect();
    let squashed = squash(given);
    let is_equal = |known: &&&str| squash(known) == squashed;
    let is_other_name = |(_, names): &&(&str, &[&str])| names.contains(&squashed.as_str());
    // `--listen-address` for `--web.listen-address`.
    let is_end = |known: &&&str| {
        known
            .split_once('.')
            .is_some_and(|(_, end)| squash(end) == squashed || squash(end) == format!("{squashed}s"))
    };
    let found = known
        .iter()
        .find(is_equal)
        .copied()
        .or_else(|| OTHER_NAMES.iter().find(is_other_name).map(|(flag, _)| *flag))
        .or_else(|| known.iter().find(is_end).copied())
        .or_else(|| word_hints::command_like(given).is_none().then(|| nearest(given, known)).flatten())?;
    Some(format!("--{found}"))
}
