//! The names of flags and commands, and how else they may be spelled or called.

use super::texts;
use crate::suggestion::squash;

/// Names of flags of other programs, squashed, and the flags that do the same here.
pub(super) const OTHER_FLAGS: [(&str, &[&str]); 8] = [
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

/// Other names of commands, squashed.
pub(super) const OTHER_COMMANDS: [(&str, &[&str]); 8] = [
    ("serve", &["run", "start", "server", "daemon"]),
    ("once", &["oneshot", "poll", "collect", "scrape"]),
    ("doctor", &["diagnose", "debug", "troubleshoot"]),
    ("config check", &["check", "checkconfig", "validate", "verify", "lint", "configvalidate", "configtest"]),
    ("config schema", &["schema", "jsonschema"]),
    ("config defaults", &["defaults", "default", "configdefault", "init", "configinit"]),
    ("completions", &["completion", "complete", "autocomplete"]),
    ("man", &["manual", "manpage"]),
];

/// The commands that an unknown one may be meant to be. `config` alone is none of them.
pub(super) fn commands() -> impl Iterator<Item = &'static str> {
    texts::COMMANDS.iter().map(|text| text.name).filter(|name| *name != "config").chain(["help"])
}

pub(super) fn known_flags(parser: &clap::Command) -> impl Iterator<Item = &str> {
    parser.get_arguments().filter_map(clap::Arg::get_long).chain(["help", "version"])
}

/// The flag, with its dashes, that is spelled like `given`, apart from what separates its words, or that
/// has this name in other programs.
pub(super) fn same_flag(given: &str, parser: &clap::Command) -> Option<String> {
    let squashed = squash(given);
    let is_other_name = |(_, names): &&(&str, &[&str])| names.contains(&squashed.as_str());
    // `--listen-address` is the end of `--web.listen-address`.
    let is_end = |known: &&str| known.split_once('.').is_some_and(|(_, end)| squash(end) == squashed);
    known_flags(parser)
        .find(|known| squash(known) == squashed)
        .or_else(|| OTHER_FLAGS.iter().find(is_other_name).map(|(flag, _)| *flag))
        .or_else(|| known_flags(parser).find(is_end))
        .map(|flag| format!("--{flag}"))
}

/// The command that is spelled like `given`, apart from the characters between its words, or that has
/// this name elsewhere.
pub(super) fn command_like(given: &str) -> Option<&'static str> {
    let squashed = squash(given);
    let other = || OTHER_COMMANDS.iter().find(|(_, names)| names.contains(&squashed.as_str()));
    let same = commands().find(|command| squash(command) == squashed);
    same.or_else(|| other().map(|(command, _)| *command))
}
