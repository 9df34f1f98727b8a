//! Captures the log in unit tests.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::subscriber::DefaultGuard;

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
