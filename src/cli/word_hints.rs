//! The words of a command, and which command was probably meant in place of an unknown one.

use clap::ValueEnum;
use clap_complete::Shell;

use super::command::Command;
use super::error::UsageError;
use super::flags;
use super::names::{command_like, commands, same_flag};
use super::texts;
use crate::printable::excerpt;
use crate::suggestion::nearest;

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
        ["serve" | "once" | "doctor" | "man", extra, ..] | ["completions", _, extra, ..] => {
            unexpected(words[0], extra)
        }
        ["config", "check" | "schema" | "defaults", extra, ..] => {
            unexpected(&format!("{} {}", words[0], words[1]), extra)
        }
        ["config", given, ..] => {
            let name = format!("config {given}");
            unknown_command(&name, like_below_config(&name, given), &BELOW_CONFIG)
        }
        [given, ..] => unknown_command(given, like(given), &top_level()),
        [] => "a command is missing; see --help".to_owned(),
    };
    UsageError::new(message)
}

/// The names of the commands, without those below `config`.
fn top_level() -> Vec<&'static str> {
    texts::COMMANDS.iter().map(|text| text.name).filter(|name| !name.contains(' ')).chain(["help"]).collect()
}

fn unknown_command(given: &str, meant: Option<String>, known: &[&str]) -> String {
    let hint = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("expected one of {}; see --help", known.join(", ")),
    };
    format!("unknown command `{}`; {hint}", excerpt(given))
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
        return same_flag(name, &parser);
    }
    let below_config = || nearest(given, BELOW_CONFIG).map(|meant| format!("config {meant}"));
    nearest(given, commands()).map(str::to_owned).or_else(below_config)
}

/// The command that was probably meant by `name`, which is `config` and the word `given`.
fn like_below_config(name: &str, given: &str) -> Option<String> {
    let same =
        command_like(name).or_else(|| command_like(given)).filter(|meant| meant.starts_with("config "));
    same.map(str::to_owned).or_else(|| nearest(given, BELOW_CONFIG).map(|meant| format!("config {meant}")))
}

const BELOW_CONFIG: [&str; 3] = ["check", "schema", "defaults"];

fn is_file(given: &str) -> bool {
    let ends_as_file = [".yaml", ".yml", ".json"].iter().any(|end| given.ends_with(end));
    ends_as_file || given.starts_with(['/', '.'])
}
