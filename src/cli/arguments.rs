//! A first look at the arguments, before clap parses them: the words of the command, whether help is
//! asked for, and flags with a single dash, which clap would take for several short flags.

use std::ffi::OsString;

use super::error::UsageError;
use super::flag_hints;

/// What is printed in place of running a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Help,
    /// Help with a line for each flag.
    ShortHelp,
    Version,
}

/// The arguments up to the first one that asks for help or for the version.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) words: Vec<String>,
    /// The words after that one, as in `-h once`.
    pub(super) words_after: Vec<String>,
    pub(super) request: Option<Request>,
}

impl Arguments {
    /// Reads the arguments for a parser.
    ///
    /// # Errors
    /// A flag has one dash, or a dash of a word processor.
    pub(super) fn scan(arguments: &[OsString], parser: &clap::Command) -> Result<Self, UsageError> {
        let mut words = Vec::new();
        let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy()).peekable();
        while let Some(argument) = arguments.next() {
            let name = argument.split('=').next().unwrap_or_default();
            let request = match name {
                "--" => {
                    words.extend(arguments.map(String::from));
                    break;
                }
                "--help" => Request::Help,
                "-h" => Request::ShortHelp,
                "--version" | "-V" => Request::Version,
                _ => {
                    if let Some(flag) = argument.strip_prefix("--") {
                        let is_value = |next: &str| next == "-" || !next.starts_with('-');
                        if takes_next(flag, parser) {
                            arguments.next_if(|next| is_value(next));
                        }
                    } else if let Some(error) = flag_hints::wrong_dash(&argument, parser) {
                        return Err(error);
                    } else if !argument.starts_with('-') || argument == "-" {
                        words.push(argument.into_owned());
                    }
                    continue;
                }
            };
            let words_after = arguments.filter(|next| !next.starts_with('-')).map(String::from).collect();
            return Ok(Self { words, words_after, request: Some(request) });
        }
        let is_help = words.first().is_some_and(|first| first == "help") || words == ["config", "help"];
        Ok(Self { words, words_after: Vec::new(), request: is_help.then_some(Request::Help) })
    }
}

/// Whether the argument after `--` and `flag` is its value.
fn takes_next(flag: &str, parser: &clap::Command) -> bool {
    parser.get_arguments().any(|known| known.get_long() == Some(flag) && known.get_action().takes_values())
}
