//! Log lines on stderr, in logfmt or JSON.
//!
//! Both formats have the same fields with the same values, in the same order: `ts` (RFC
//! 3339, UTC, milliseconds), `level` (lower case), `message`, then the fields of the event.
//! JSON keeps the type of a number or a boolean. In logfmt, a value has quotes only if it
//! needs them.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{DefaultFields, FormatEvent, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::clock::Clock;

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `ts=… level=info message=… key=value`
    Logfmt,
    /// One JSON object per line
    Json,
}

/// The lowest severity that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Verbosity {
    /// Every collection and every request
    Debug,
    /// Start, shutdown, reloads and targets that fail or recover
    Info,
    /// Problems that may need attention
    Warn,
    /// Problems that need attention
    Error,
}

/// Sets up logging for the whole process. `writer` writes to stderr and must not garble a
/// progress bar that is shown there.
///
/// # Errors
/// Logging has been set up before.
pub fn init<W>(format: Format, verbosity: Verbosity, writer: W) -> Result<(), TryInitError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    subscriber(format, verbosity, writer, Clock::system()).try_init()
}

fn subscriber<W>(
    format: Format,
    verbosity: Verbosity,
    writer: W,
    clock: Clock,
) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = match verbosity {
        Verbosity::Debug => Level::DEBUG,
        Verbosity::Info => Level::INFO,
        Verbosity::Warn => Level::WARN,
        Verbosity::Error => Level::ERROR,
    };
    // Of the events of libraries, only those of level `error` are logged, whatever the flag
    // says. Events of lower levels can contain whole requests with secrets, and they are not
    // needed: libraries return their errors to the exporter, which logs each one in context.
    let filter = Targets::new().with_target("ssm_sync_exporter", level).with_default(LevelFilter::ERROR);
    let layer = tracing_subscriber::fmt::layer()
        .fmt_fields(DefaultFields::new())
        .event_format(LineFormatter { format, clock })
        .with_writer(writer);
    tracing_subscriber::registry().with(filter).with(layer)
}

/// Formats each event as one line.
struct LineFormatter {
    format: Format,
    clock: Clock,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, DefaultFields> for LineFormatter {
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let head = [("ts", timestamp(&self.clock)), ("level", level), ("message", fields.message)];
        let head = head.into_iter().map(|(name, text)| (name, Value::String(text)));
        let all = head.chain(fields.others);
        match self.format {
            Format::Logfmt => write_logfmt(&mut writer, all)?,
            Format::Json => write_json(&mut writer, all)?,
        }
        writeln!(writer)
    }
}

fn timestamp(clock: &Clock) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the Unix time fits")]
    let milliseconds = (clock.now() * 1000.0) as i64;
    format!("{:.3}", Timestamp::from_millisecond(milliseconds).unwrap_or_default())
}

fn write_logfmt<'a>(writer: &mut Writer<'_>, fields: impl Iterator<Item = (&'a str, Value)>) -> fmt::Result {
    for (index, (name, value)) in fields.enumerate() {
        if index > 0 {
            writer.write_char(' ')?;
        }
        write!(writer, "{name}=")?;
        match value {
            Value::String(text) if is_plain(&text) => writer.write_str(&text)?,
            // logfmt quotes and escapes as JSON does.
            value => write_json_value(writer, &value)?,
        }
    }
    Ok(())
}

/// Writes a value in JSON. Also escapes DEL and the C1 control characters, which JSON
/// allows but which can control a terminal.
fn write_json_value(writer: &mut Writer<'_>, value: &Value) -> fmt::Result {
    for character in value.to_string().chars() {
        match character {
            '\u{7f}'..='\u{9f}' => write!(writer, "\\u{:04x}", u32::from(character))?,
            _ => writer.write_char(character)?,
        }
    }
    Ok(())
}

/// Whether a logfmt value needs no quotes.
fn is_plain(text: &str) -> bool {
    let needs_quotes = |character: char| {
        character.is_whitespace() || character.is_control() || matches!(character, '"' | '=' | '\\')
    };
    !text.is_empty() && !text.contains(needs_quotes)
}

fn write_json<'a>(writer: &mut Writer<'_>, fields: impl Iterator<Item = (&'a str, Value)>) -> fmt::Result {
    writer.write_char('{')?;
    for (index, (name, value)) in fields.enumerate() {
        if index > 0 {
            writer.write_char(',')?;
        }
        write!(writer, "{}:", Value::from(name))?;
        write_json_value(writer, &value)?;
    }
    writer.write_char('}')
}

/// Collects the fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.others.push((field.name(), value.into()));
    }
}

impl Visit for Fields {
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use pretty_assertions::assert_eq;
    use serde_json::json;
    use tracing::{info, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct CapturedLog(Arc<Mutex<Vec<u8>>>);

    impl io::Write for CapturedLog {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The log of `events` at a fixed time.
    fn logged(format: Format, events: impl FnOnce()) -> String {
        let captured = CapturedLog::default();
        let writer = captured.clone();
        let clock = Clock::new(|| 1_790_000_000.25);
        let subscriber = subscriber(format, Verbosity::Info, move || writer.clone(), clock);
        tracing::subscriber::with_default(subscriber, events);
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    fn log_event_with_every_kind_of_field() {
        let absent: Option<u32> = None;
        warn!(
            target = "111122223333/eu-west-1",
            reason = "access denied",
            quoted = "a \"b\"\n",
            empty = "",
            failures = 3,
            ratio = 0.5,
            logged = true,
            error = %io::Error::other("x=y"),
            debugged = ?Some("z"),
            absent,
            "target is down"
        );
    }

    #[test]
    fn both_formats_have_the_same_fields() {
        assert_eq!(
            logged(Format::Logfmt, log_event_with_every_kind_of_field),
            "ts=2026-09-21T14:13:20.250Z level=warn message=\"target is down\" target=111122223333/eu-west-1 \
             reason=\"access denied\" quoted=\"a \\\"b\\\"\\n\" empty=\"\" failures=3 ratio=0.5 logged=true \
             error=\"x=y\" debugged=\"Some(\\\"z\\\")\"\n"
        );
        let line = logged(Format::Json, log_event_with_every_kind_of_field);
        assert_eq!(
            serde_json::from_str::<Value>(&line).unwrap(),
            json!({
                "ts": "2026-09-21T14:13:20.250Z",
                "level": "warn",
                "message": "target is down",
                "target": "111122223333/eu-west-1",
                "reason": "access denied",
                "quoted": "a \"b\"\n",
                "empty": "",
                "failures": 3,
                "ratio": 0.5,
                "logged": true,
                "error": "x=y",
                "debugged": "Some(\"z\")",
            })
        );
        assert!(
            line.starts_with(
                r#"{"ts":"2026-09-21T14:13:20.250Z","level":"warn","message":"target is down","#
            )
        );
    }

    #[test]
    fn a_value_cannot_add_a_line_or_control_the_terminal() {
        for format in [Format::Logfmt, Format::Json] {
            let log = logged(format, || {
                info!(name = "x\nts=2026 level=error \u{1b}[31m\u{9b}31m", "first\nsecond");
            });
            assert_eq!(log.lines().count(), 1, "{log}");
            assert!(!log.trim_end().contains(char::is_control), "{log}");
        }
    }
}
