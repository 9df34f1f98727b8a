//! Errors in the arguments: one line that says what is wrong and what would be right.

use clap::error::{ContextKind, ContextValue};

use super::command::WITH_FLAGS;
use crate::printable::{escape_control_characters, excerpt};

/// An error in the arguments, in one line. Of arguments, it repeats only the beginning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

impl UsageError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The flag, without its dashes, belongs to other commands.
    pub(super) fn of_other_command(flag: &str) -> Self {
        let commands: Vec<String> = WITH_FLAGS
            .iter()
            .filter(|command| command.has(flag))
            .map(|command| format!("`{}`", command.name()))
            .collect();
        let commands = match commands.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            _ => commands.join(""),
        };
        Self(format!("--{flag} requires the command {commands}"))
    }

    /// Formats an error of clap as one line: the message and a hint, without the usage.
    pub(super) fn from_clap(mut error: clap::Error) -> Self {
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
        Self(match tip {
            Some(tip) => format!("{message}; {tip}"),
            None => format!("{message}; see --help"),
        })
    }
}
