//! Log lines on stderr, in logfmt or JSON.
//!
//! ```text
//! events ┐
//!        ├─▶ format ─▶ queue ─▶ writer ─▶ stderr
//! panics ┘
//! ```
//!
//! Both formats have the same fields with the same values, in the same order: `ts` (RFC
//! 3339, UTC, milliseconds), `level` (lower case), `message`, then the fields of the event.
//! JSON keeps the type of a number or a boolean. In logfmt, a value has quotes only if it
//! needs them.
//!
//! Only one thread writes to stderr, because a write can block for as long as the reader of
//! a pipe or a terminal pauses. Everything that logs adds lines to a bounded queue and never
//! waits. Lines that do not fit are dropped and counted. Once the reader continues, a line
//! says how many are missing.

#[cfg(test)]
pub(crate) mod captured;
mod counters;
mod format;
mod panics;
mod queue;
mod writer;

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::clock::Clock;
use crate::printable::escape_control_characters;
pub use counters::LogCounters;
use format::Entry;
pub use format::Format;
use queue::{Dropped, Importance, LineNumber, LineQueue};
use writer::LineWriter;

/// How long a panic waits until it has been logged. The process may abort afterwards.
const PANIC_TIMEOUT: Duration = Duration::from_millis(100);

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

/// The log of the process. Clones are handles to the same log.
///
/// Lines are kept until [`start`](Self::start) says where to write them.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    queue: LineQueue,
    counters: Arc<LogCounters>,
    format: OnceLock<Format>,
    clock: Clock,
    is_started: AtomicBool,
}

impl Log {
    /// A log whose lines have the time of `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Shared {
            queue: LineQueue::default(),
            counters: Arc::default(),
            format: OnceLock::new(),
            clock,
            is_started: AtomicBool::new(false),
        }))
    }

    /// The counters of panics and dropped lines.
    #[must_use]
    pub fn counters(&self) -> Arc<LogCounters> {
        Arc::clone(&self.0.counters)
    }

    /// Sets the format, which is logfmt until then. Only the first call has an effect.
    pub fn set_format(&self, format: Format) {
        let _already_set = self.0.format.set(format);
    }

    /// Logs each panic as one line, instead of Rust's several lines, and counts it.
    pub fn install_panic_hook(&self) {
        let log = self.clone();
        std::panic::set_hook(Box::new(move |info| {
            log.0.counters.count_panic();
            let line = log.format(panics::entry(info));
            if let Ok(number) = log.push(line, Importance::Essential)
                && log.0.is_started.load(Ordering::Acquire)
            {
                log.0.queue.wait_for_line(number, PANIC_TIMEOUT);
            }
        }));
    }

    /// Starts the thread that writes the lines to `sink`, which is stderr or writes to stderr
    /// without garbling a progress bar that is shown there. The thread ends after
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn start(&self, sink: impl Write + Send + 'static) -> io::Result<()> {
        let (log, writer) = (self.clone(), LineWriter::new(Box::new(sink)));
        std::thread::Builder::new().name("log".to_owned()).spawn(move || log.write_lines(writer))?;
        self.0.is_started.store(true, Ordering::Release);
        Ok(())
    }

    /// Logs the events of the whole process.
    ///
    /// # Errors
    /// The process already has a subscriber.
    pub fn subscribe(&self, verbosity: Verbosity) -> Result<(), TryInitError> {
        self.subscriber(verbosity).try_init()
    }

    /// Writes a line that is not in the log format, such as the reason why the process ends.
    pub fn print(&self, line: &str) {
        let line = escape_control_characters(line);
        // The line is counted if it is dropped.
        let _outcome = self.push(format!("{line}\n"), Importance::Essential);
    }

    /// Waits until all lines are written, but no longer than `timeout`. Starts to write to
    /// stderr if [`start`](Self::start) has not been called.
    pub fn finish(&self, timeout: Duration) {
        if !self.0.is_started.load(Ordering::Acquire) && self.start(io::stderr()).is_err() {
            // Without a thread there is no timeout, but the reason why the process ends is not
            // lost.
            self.0.queue.close();
            return self.write_lines(LineWriter::new(Box::new(io::stderr())));
        }
        self.0.queue.drain(timeout);
    }

    fn subscriber(&self, verbosity: Verbosity) -> impl Subscriber + Send + Sync + 'static {
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
        tracing_subscriber::registry().with(filter).with(EventLayer(self.clone()))
    }

    fn format(&self, entry: Entry) -> String {
        entry.format(self.0.format.get().copied().unwrap_or_default(), &self.0.clock)
    }

    fn push(&self, line: String, importance: Importance) -> Result<LineNumber, Dropped> {
        let pushed = self.0.queue.push(line, importance);
        if pushed.is_err() {
            self.0.counters.count_dropped_lines(1);
        }
        pushed
    }

    /// Writes the lines of the queue until it is closed.
    fn write_lines(&self, mut writer: LineWriter) {
        let mut unreported = 0;
        while let Some(batch) = self.0.queue.take() {
            unreported += batch.dropped_before;
            if unreported > 0 {
                let fields = vec![("lines", unreported.into())];
                let report = Entry::new(Level::WARN, "log lines dropped", fields);
                if writer.write(&self.format(report)) == 0 {
                    unreported = 0;
                }
            }
            let lost = writer.write(&batch.text);
            self.0.counters.count_dropped_lines(lost);
            unreported += lost;
            self.0.queue.finish(&batch);
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("counters", &self.0.counters).finish_non_exhaustive()
    }
}

/// Adds the events of the process to a log.
struct EventLayer(Log);

impl<S: Subscriber> Layer<S> for EventLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let line = self.0.format(event.into());
        // The line is counted if it is dropped.
        let _outcome = self.0.push(line, Importance::Ordinary);
    }
}

#[cfg(test)]
mod tests;
