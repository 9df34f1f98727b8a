//! Commands for the AWS CLI with values from AWS. The reader pastes them into a shell, so a value
//! must neither become a second command nor make the CLI read a file.

use serde::Serialize;

use super::Detail;
use crate::printable::is_printable;

/// A command that is being assembled.
pub(super) struct Command {
    /// `None` once a value was added that cannot be part of a command.
    text: Option<String>,
    deletes: bool,
}

/// The prefixes that make the AWS CLI replace the value of an option by the content of a file or of
/// a URL.
const REFERENCES: [&str; 4] = ["file://", "fileb://", "http://", "https://"];

impl Command {
    /// A command that begins with `text`, which is part of this program.
    pub(super) fn new(text: &'static str) -> Self {
        Self { text: Some(text.to_owned()), deletes: false }
    }

    /// A command that deletes something.
    pub(super) fn deleting(text: &'static str) -> Self {
        Self { deletes: true, ..Self::new(text) }
    }

    /// Adds an option. The value may come from AWS.
    pub(super) fn option(self, name: &'static str, value: &str) -> Self {
        let lower = value.trim_start().to_lowercase();
        if REFERENCES.iter().any(|prefix| lower.starts_with(prefix)) {
            return Self { text: None, ..self };
        }
        // The CLI takes a word that begins with a hyphen for an option.
        let separator = if value.starts_with('-') { '=' } else { ' ' };
        self.append(|| Some(format!(" {name}{separator}{}", quote(value)?)))
    }

    /// Adds an argument. The value may come from AWS, after a beginning that the caller chose.
    pub(super) fn argument(self, value: &str) -> Self {
        self.append(|| Some(format!(" {}", quote(value)?)))
    }

    /// Adds a part of the command that is part of this program.
    pub(super) fn and(self, text: &'static str) -> Self {
        self.append(|| Some(format!(" {text}")))
    }

    /// Adds the option `--cli-input-json` on a line of its own.
    pub(super) fn input(self, request: &impl Serialize) -> Self {
        self.append(|| Some(format!(" \\\n    --cli-input-json '{}'", json(request)?)))
    }

    fn append(mut self, addition: impl FnOnce() -> Option<String>) -> Self {
        self.text = self.text.and_then(|text| Some(text + &addition()?));
        self
    }

    /// The command. `None` if a value cannot be part of it.
    pub(super) fn text(self) -> Option<String> {
        self.text
    }

    /// The command, or a note that it was left out.
    pub(super) fn finish(self) -> Detail {
        match self.text {
            Some(text) => Detail::Command { text, deletes: self.deletes },
            None => Detail::OmittedCommand,
        }
    }
}

/// Quotes a word for a POSIX shell. `None` if the word has characters that a terminal does not
/// show, because the reader of the page could not see what the command does.
fn quote(word: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:-".contains(c);
    if !word.chars().all(is_printable) {
        None
    } else if !word.is_empty() && word.chars().all(is_plain) {
        Some(word.to_owned())
    } else {
        Some(format!("'{}'", word.replace('\'', r"'\''")))
    }
}

/// The value as JSON, with everything escaped that is not printable or would end a quoted word of
/// a shell. `None` does not occur for the types of this module.
pub(super) fn json(value: &impl Serialize) -> Option<String> {
    Some(escaped(&serde_json::to_string_pretty(value).ok()?))
}

/// The value as [`json`] on a single line.
pub(super) fn compact_json(value: &impl Serialize) -> Option<String> {
    Some(escaped(&serde_json::to_string(value).ok()?))
}

fn escaped(plain: &str) -> String {
    let mut escaped = String::with_capacity(plain.len());
    for character in plain.chars() {
        // Outside of strings, JSON has no such characters, except for the line ends.
        if character != '\'' && (is_printable(character) || character == '\n') {
            escaped.push(character);
        } else {
            let units = character.encode_utf16(&mut [0; 2]).to_vec();
            escaped.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::process;

    use proptest::prelude::*;

    use super::*;

    fn text(command: Command) -> Option<String> {
        match command.finish() {
            Detail::Command { text, .. } => Some(text),
            _ => None,
        }
    }

    #[test]
    fn values_are_quoted_unless_they_are_plain() {
        for (value, quoted) in [
            ("org-inventory_1.x/y:z", "org-inventory_1.x/y:z"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(reboot)", "'$(reboot)'"),
            ("`reboot`", "'`reboot`'"),
            ("a;b&c|d>e", "'a;b&c|d>e'"),
            ("it's", r"'it'\''s'"),
            ("'; reboot; '", r"''\''; reboot; '\'''"),
            ("~root", "'~root'"),
            ("=ls", "'=ls'"),
            ("naïve", "'naïve'"),
        ] {
            assert_eq!(quote(value).as_deref(), Some(quoted), "{value}");
        }
        for value in ["a\nb", "a\rreboot", "\u{1b}[2J", "a\tb", "a\u{202e}b", "\0", "a\u{200b}"] {
            assert_eq!(quote(value), None, "{value:?}");
        }
    }

    #[test]
    fn a_value_is_neither_an_option_nor_a_reference_to_a_file() {
        let command = |value| text(Command::new("aws x").option("--name", value));
        assert_eq!(command("a").as_deref(), Some("aws x --name a"));
        assert_eq!(command("--profile").as_deref(), Some("aws x --name=--profile"));
        assert_eq!(command("-'"), Some(r"aws x --name='-'\'''".to_owned()));
        for value in ["file:///etc/passwd", "FILE://x", "fileb://x", "https://example.com", "a\nb"] {
            assert_eq!(command(value), None, "{value}");
        }
        assert_eq!(text(Command::new("aws").option("--a", "b\n").option("--c", "d").and("e")), None);
    }

    #[test]
    fn json_has_no_quotes_of_a_shell_and_no_invisible_characters() {
        let hostile = "'; reboot #\n\u{7f}\u{202e}\u{1f600}\u{e0001}\"\\é";
        let text = json(&hostile).unwrap();
        assert_eq!(
            text, "\"\\u0027; reboot #\\n\\u007f\\u202e\u{1f600}\\udb40\\udc01\\\"\\\\é\"",
            "an emoji is printable"
        );
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
    }

    /// The words that a shell passes to a program.
    fn words(command: &str) -> Vec<String> {
        let output = process::Command::new("sh").args(["-c", &format!("printf '%s\\0' {command}")]).output();
        let output = String::from_utf8(output.unwrap().stdout).unwrap();
        output.split_terminator('\0').map(ToOwned::to_owned).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn a_shell_passes_a_value_on_as_it_is(value in "[ -~é]{0,40}") {
            let command = text(Command::new("aws").argument(&value).input(&value));
            let words = words(&command.unwrap());
            let input: String = serde_json::from_str(&words[3]).unwrap();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            prop_assert_eq!(&words[..3], ["aws", value.as_str(), "--cli-input-json"]);
            prop_assert_eq!((words.len(), input), (4, value));
        }
    }
}
