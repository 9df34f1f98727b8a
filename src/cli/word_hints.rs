//! The words of a command, and which command was probably meant in place of an unknown one.

use clap::ValueEnum;
use clap_complete::Shell;

use super::error::UsageError;
use super::flag_hints::{meant_flag, squash};
use super::flags;
use super::{Command, tree};
use crate::printable::excerpt;
use crate::suggestion::nearest;

/// Other names of commands, squashed.
const OTHER_NAMES: [(&str, &[&str]); 8] = [
    ("serve", &["run", "start", "server", "daemon"]),
    ("once", &["oneshot", "poll", "collect", "scrape"]),
    ("doctor", &["diagnose", "debug", "troubleshoot"]),
    ("config check", &["check", "checkconfig", "validate", "verify", "lint", "configvalidate", "configtest"]),
    ("config schema", &["schema", "jsonschema"]),
    ("config defaults", &["defaults", "default", "configdefault", "init", "configinit"]),
    ("completions", &["completion", "complete", "autocomplete"]),
    ("man", &["manual", "manpage"]),
];

/// The command that the words name.
///
/// # Errors
/// The words name no command, or more than a command.
pub(super) fn command(words: &[String]) -> Result<Command, UsageError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] | ["serve"] => Ok(Command::Serve),
        ["once"] => Ok(Command::Once),
        ["doctor"] => Ok(Command::Doctor),
        ["config", "check"] => Ok(Command::ConfigCheck),
        ["config", "schema"] => Ok(Command::ConfigSchema),
        ["config", "defaults"] => Ok(Command::ConfigDefaults),
        ["completions", shell] => <Shell as ValueEnum>::from_str(shell, false)
            .map(Command::Completions)
            .map_err(|_| unknown_shell(shell)),
        ["man"] => Ok(Command::Man),
        _ => Err(unknown(&words)),
    }
}

/// The error for words that name no command.
pub(super) fn unknown(words: &[&str]) -> UsageError {
    let message = match *words {
        ["config"] => {
            "`config` requires one of `check`, `schema` and `defaults`; see `config --help`".to_owned()
        }
        ["completions"] => format!("`completions` requires a shell: {}", shells()),
        ["serve" | "once" | "doctor" | "man", extra, ..] => unexpected(words[0], extra),
        ["config", "check" | "schema" | "defaults", extra, ..] => {
            unexpected(&format!("{} {}", words[0], words[1]), extra)
        }
        ["completions", _, extra, ..] => unexpected(words[0], extra),
        _ => {
            let given = words.iter().take(2).copied().collect::<Vec<_>>();
            let (given, meant) = match (like(&given.join(" ")), like(words[0])) {
                (Some(meant), _) if given.len() > 1 && words[0] == "config" => (given.join(" "), Some(meant)),
                (_, Some(meant)) => (words[0].to_owned(), Some(meant)),
                (meant, None) => (words[0].to_owned(), meant.filter(|_| given.len() > 1)),
            };
            match meant {
                Some(meant) => format!("unknown command `{}`; did you mean `{meant}`?", excerpt(&given)),
                None => format!(
                    "unknown command `{}`; expected one of {}; see --help",
                    excerpt(&given),
                    tree::names().join(", ")
                ),
            }
        }
    };
    UsageError::new(message)
}

fn unexpected(command: &str, extra: &str) -> String {
    format!(
        "unexpected argument '{}' found after the command `{command}`; see `{command} --help`",
        excerpt(extra)
    )
}

fn unknown_shell(given: &str) -> UsageError {
    let names: Vec<String> = Shell::value_variants().iter().map(flags::name).collect();
    let hint = match nearest(&given.to_lowercase(), names.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("expected one of {}", shells()),
    };
    UsageError::new(format!("unknown shell `{}`; {hint}", excerpt(given)))
}

fn shells() -> String {
    let names: Vec<String> = Shell::value_variants().iter().map(flags::name).collect();
    names.join(", ")
}

/// What was probably meant by a word in the place of a command: a command, or a flag with its dashes.
fn like(given: &str) -> Option<String> {
    let parser = flags::parser();
    if is_file(given) {
        return Some(format!("--config.file={}", excerpt(given)));
    }
    if let Some(command) = command_like(given) {
        return Some(command.to_owned());
    }
    let name = given.split('=').next().unwrap_or_default();
    if ["help", "version"].contains(&name) || name.contains(['.', '-', '=']) || given.contains('=') {
        return meant_flag(name, &parser);
    }
    nearest(given, COMMANDS).map(str::to_owned)
}

const COMMANDS: [&str; 9] = [
    "serve",
    "once",
    "doctor",
    "config check",
    "config schema",
    "config defaults",
    "completions",
    "man",
    "help",
];

fn is_file(given: &str) -> bool {
    let ends_as_file = [".yaml", ".yml", ".json"].iter().any(|end| given.ends_with(end));
    ends_as_file || given.starts_with(['/', '.'])
}

/// The command that is spelled like `given`, apart from the characters between its words, or that has
/// this name elsewhere.
pub(super) fn command_like(given: &str) -> Option<&'static str> {
    let squashed = squash(given);
    let other = || OTHER_NAMES.iter().find(|(_, names)| names.contains(&squashed.as_str()));
    let same = COMMANDS.into_iter().find(|command| squash(command) == squashed);
    same.or_else(|| other().map(|(command, _)| *command))
}
