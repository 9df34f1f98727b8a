//! The commands, and which flags each of them has.

use clap_complete::Shell;

/// What to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Command {
    /// Poll AWS and serve the metrics.
    #[default]
    Serve,
    /// Poll every target once, write the result and exit.
    Once,
    /// Take every step of a poll once, and say what fails.
    Doctor,
    /// Check the configuration.
    ConfigCheck,
    /// Print the JSON Schema of the configuration.
    ConfigSchema,
    /// Print the default configuration.
    ConfigDefaults,
    /// Print the completions for a shell.
    Completions(Shell),
    /// Print the manual page.
    Man,
}

/// The commands with flags of their own, in the order in which errors name them.
pub(super) const WITH_FLAGS: [Command; 4] =
    [Command::Serve, Command::Once, Command::Doctor, Command::ConfigCheck];

impl Command {
    /// The name on the command line, without the shell of `completions`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Once => "once",
            Self::Doctor => "doctor",
            Self::ConfigCheck => "config check",
            Self::ConfigSchema => "config schema",
            Self::ConfigDefaults => "config defaults",
            Self::Completions(_) => "completions",
            Self::Man => "man",
        }
    }

    /// Whether the flag, without its dashes, is of use for the command.
    pub(super) fn has(self, flag: &str) -> bool {
        match flag {
            "config.check" => matches!(self, Self::Serve | Self::Once | Self::Doctor),
            "web.config.file" => matches!(self, Self::Serve | Self::ConfigCheck),
            "output" | "format" => matches!(self, Self::Once | Self::Doctor),
            "fail-on" | "record" | "record.raw" => self == Self::Once,
            "account" | "region" | "concurrency" => self == Self::Doctor,
            "help" | "version" => true,
            _ if flag.starts_with("web.") => self == Self::Serve,
            _ => WITH_FLAGS.contains(&self),
        }
    }

    /// Whether the command has the flag, or ignores it so that it can be run with the flags of `serve`.
    pub(super) fn accepts(self, flag: &str) -> bool {
        let ignores_flags_of_serve = WITH_FLAGS.contains(&self);
        self.has(flag) || (ignores_flags_of_serve && Self::Serve.has(flag))
    }
}
