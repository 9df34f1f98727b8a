//! Formats log lines as logfmt or JSON.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::clock::Clock;
use crate::printable::is_printable;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `ts=… level=info message=… key=value`
    #[default]
    Logfmt,
    /// One JSON object per line
    Json,
}

/// Most lines need no more memory than this.
const TYPICAL_LEN: usize = 256;

/// What a log line says, without its time.
#[derive(Debug)]
pub(super) struct Entry {
    level: Level,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Entry {
    pub(super) fn new(level: Level, message: &str, fields: Vec<(&'static str, Value)>) -> Self {
        Self { level, message: message.to_owned(), fields }
    }

    /// The line with its line feed.
    pub(super) fn format(self, format: Format, clock: &Clock) -> String {
        let level = self.level.as_str().to_ascii_lowercase();
        let head = [("ts", timestamp(clock)), ("level", level), ("message", self.message)];
        let head = head.into_iter().map(|(name, text)| (name, Value::String(text)));
        let all = head.chain(self.fields);
        let mut line = String::with_capacity(TYPICAL_LEN);
        let written = match format {
            Format::Logfmt => write_logfmt(&mut line, all),
            Format::Json => write_json(&mut line, all),
        };
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
        line.push('\n');
        line
    }
}

impl From<&Event<'_>> for Entry {
    fn from(event: &Event<'_>) -> Self {
        let mut entry = Self::new(*event.metadata().level(), "", Vec::new());
        event.record(&mut entry);
        entry
    }
}

impl Entry {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.push((field.name(), value.into()));
    }
}

impl Visit for Entry {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.add(field, format!("{value:?}"));
        }
    }
}

fn timestamp(clock: &Clock) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the Unix time fits")]
    let milliseconds = (clock.now() * 1000.0) as i64;
    format!("{:.3}", Timestamp::from_millisecond(milliseconds).unwrap_or_default())
}

fn write_logfmt<'a>(line: &mut String, fields: impl Iterator<Item = (&'a str, Value)>) -> fmt::Result {
    for (index, (name, value)) in fields.enumerate() {
        if index > 0 {
            line.push(' ');
        }
        write!(line, "{name}=")?;
        match value {
            Value::String(text) if is_plain(&text) => line.push_str(&text),
            // logfmt quotes and escapes as JSON does.
            value => write_json_value(line, &value)?,
        }
    }
    Ok(())
}

/// Writes a value in JSON. Also escapes characters that JSON allows but that are not printable:
/// they can control a terminal, or change the order in which a line is shown.
fn write_json_value(line: &mut String, value: &Value) -> fmt::Result {
    for character in value.to_string().chars() {
        if is_printable(character) {
            line.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(line, "\\u{unit:04x}")?;
            }
        }
    }
    Ok(())
}

/// Whether a logfmt value needs no quotes.
fn is_plain(text: &str) -> bool {
    let needs_quotes = |character: char| {
        character.is_whitespace() || !is_printable(character) || matches!(character, '"' | '=' | '\\')
    };
    !text.is_empty() && !text.contains(needs_quotes)
}

fn write_json<'a>(line: &mut String, fields: impl Iterator<Item = (&'a str, Value)>) -> fmt::Result {
    line.push('{');
    for (index, (name, value)) in fields.enumerate() {
        if index > 0 {
            line.push(',');
        }
        write!(line, "{}:", Value::from(name))?;
        write_json_value(line, &value)?;
    }
    line.push('}');
    Ok(())
}
