//! Captures the log in unit tests.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::{Log, Verbosity};
use crate::clock::Clock;

/// What has been written to a log.
#[derive(Clone, Debug, Default)]
pub(crate) struct CapturedLog(Arc<Mutex<Vec<u8>>>);

impl CapturedLog {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for CapturedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Captures what the current thread logs.
pub(crate) struct ThreadLog {
    log: Log,
    captured: CapturedLog,
    _subscribed: DefaultGuard,
}

impl ThreadLog {
    pub(crate) fn start() -> Self {
        let (log, captured) = (Log::new(Clock::system()), CapturedLog::default());
        log.start(captured.clone()).unwrap();
        let subscribed = tracing::subscriber::set_default(log.subscriber(Verbosity::Debug));
        Self { log, captured, _subscribed: subscribed }
    }

    /// The log so far.
    pub(crate) fn finish(self) -> String {
        self.log.finish(Duration::from_mins(1));
        self.captured.text()
    }
}

/// The lines that a module has logged on this thread, such as `WARN target is failing account=1`.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    module: &'static str,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Lines {
    /// Collects the lines of `module` until the guard is dropped.
    pub(crate) fn of(module: &'static str) -> (Self, DefaultGuard) {
        let lines = Self { module, lines: Arc::default() };
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
        (lines, guard)
    }

    /// The lines since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target().contains(self.module) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let Fields { message, others } = fields;
            self.lines.lock().unwrap().push(format!("{} {message}{others}", event.metadata().level()));
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.others, " {field}={value}").unwrap();
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            write!(self.others, " {field}={value:?}").unwrap();
        }
    }
}
