//! Reads a file of the shared AWS configuration as the AWS CLI does, line by line, and keeps
//! what it cannot read as a [`Defect`] of the section that it is in.
//!
//! The CLI uses Python's `configparser`: keys may be indented, a line continues a value only if
//! it is indented more than the key, and `:` separates like `=`. What only the AWS SDKs accept is
//! accepted as well: comments after a value, and sections and keys that occur twice.

use std::fmt;

use crate::printable::excerpt;

/// A section and everything up to the next one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    /// What is between the brackets. `None` for lines before the first section.
    pub(super) header: Option<String>,
    pub(super) line: usize,
    pub(super) entries: Vec<Entry>,
    /// Lines that cannot be read.
    pub(super) defects: Vec<Defect>,
}

/// A key and its value.
#[derive(PartialEq, Eq)]
pub(super) struct Entry {
    /// In lower case. Nothing but the characters that the SDK accepts in a key.
    pub(super) key: String,
    /// Empty if the entry has properties of its own.
    pub(super) value: String,
    /// The lines that continue the value, or the properties, as in `s3 =`.
    pub(super) continuation: Vec<String>,
    pub(super) line: usize,
    indent: usize,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value may be a secret.
        f.debug_struct("Entry").field("key", &self.key).field("line", &self.line).finish_non_exhaustive()
    }
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Defect {
    pub(super) line: usize,
    pub(super) problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("expected `key = value`")]
    NoSeparator,
    #[error("there is no key before the `=`")]
    NoKey,
    #[error("the line has no `]`; close the name of the section")]
    Unclosed,
    #[error("there is no section above this line; add one, such as `[default]`")]
    NoSection,
    #[error(
        "the line is indented more than `{key}` on line {line}, so it continues that value; indent both equally"
    )]
    Continuation { key: String, line: usize },
}

/// The sections of a file, in order. The first one has no header: it is for the lines before the
/// first header.
pub(super) fn parse(text: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    // As in Python, a lone carriage return ends a line.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    for (index, raw) in text.split('\n').enumerate() {
        let (line, content) = (index + 1, raw.trim());
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        let indent = raw.chars().take_while(|character| character.is_whitespace()).count();
        let Some(section) = sections.last_mut() else { continue };
        let continued = section.entries.last_mut().filter(|entry| indent > entry.indent);
        match (continued, content.strip_prefix('[')) {
            // The AWS CLI makes it a part of the value, so neither of the profiles is what it seems to be.
            (Some(entry), Some(header)) if !entry.is_command() && closing_bracket(header).is_some() => {
                let defect = Defect { line, problem: entry.continuation_problem() };
                section.defects.push(defect.clone());
                let mut section = new_section(header, line);
                section.defects.push(defect);
                sections.push(section);
            }
            (Some(entry), _) => section.defects.extend(entry.continue_with(content, line)),
            (None, Some(header)) => sections.push(new_section(header, line)),
            (None, None) => section.read_entry(content, line, indent),
        }
    }
    sections
}

fn new_section(text: &str, line: usize) -> Section {
    let (header, defects) = match closing_bracket(text) {
        Some(end) => (&text[..end], Vec::new()),
        None => (text, vec![Defect { line, problem: Problem::Unclosed }]),
    };
    Section { header: Some(header.trim().to_owned()), line, defects, ..Section::default() }
}

/// The position of the `]` that ends a header. One in quotes is a part of the name.
fn closing_bracket(text: &str) -> Option<usize> {
    let mut quote = None;
    let unquoted = text.char_indices().find(|&(_, character)| match quote {
        None if matches!(character, '"' | '\'') => {
            quote = Some(character);
            false
        }
        None => character == ']',
        Some(open) => {
            if character == open {
                quote = None;
            }
            false
        }
    });
    // The name of a profile may have an apostrophe.
    unquoted.map(|(position, _)| position).or_else(|| text.find(']'))
}

impl Section {
    fn read_entry(&mut self, content: &str, line: usize, indent: usize) {
        let mut defect = |problem| self.defects.push(Defect { line, problem });
        if self.header.is_none() {
            return defect(Problem::NoSection);
        }
        let Some((key, value)) = content.split_once(['=', ':']) else { return defect(Problem::NoSeparator) };
        let key = key.trim().to_ascii_lowercase();
        if key.is_empty() {
            return defect(Problem::NoKey);
        }
        let value = without_comment(value).trim().to_owned();
        self.entries.push(Entry { key, value, continuation: Vec::new(), line, indent });
    }
}

impl Entry {
    /// Adds a line to the value. Returns what is wrong with it.
    fn continue_with(&mut self, content: &str, line: usize) -> Option<Defect> {
        let content = without_comment(content).trim();
        let problem = match content.split_once('=') {
            _ if self.value.is_empty() => match content.split_once('=') {
                None => Some(Problem::NoSeparator),
                Some((key, _)) if key.trim().is_empty() => Some(Problem::NoKey),
                Some(_) => None,
            },
            Some((key, _)) if is_setting(key.trim()) && !self.is_command() => {
                Some(self.continuation_problem())
            }
            _ => None,
        };
        if problem.is_none() {
            self.continuation.push(content.to_owned());
        }
        problem.map(|problem| Defect { line, problem })
    }

    /// Whether the value is a command, which may have several lines.
    fn is_command(&self) -> bool {
        self.key == "credential_process"
    }

    fn continuation_problem(&self) -> Problem {
        Problem::Continuation { key: excerpt(&self.key), line: self.line }
    }

    /// Whether the SDK accepts the key. It ignores others, and so does the AWS CLI.
    pub(super) fn has_valid_key(&self) -> bool {
        is_identifier(&self.key)
    }
}

/// Whether a text looks like the name of a setting.
fn is_setting(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|other| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '_')
}

/// Whether the SDK accepts a text as a key or as the name of a section.
pub(super) fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-/.%@:+".contains(c))
}

/// A line without the comment that the SDK would remove: one after a space or a tab.
fn without_comment(text: &str) -> &str {
    let mut after_space = false;
    let comment = text.char_indices().find(|&(_, character)| {
        let is_comment = after_space && matches!(character, '#' | ';');
        after_space = character.is_whitespace();
        is_comment
    });
    comment.map_or(text, |(start, _)| &text[..start])
}
