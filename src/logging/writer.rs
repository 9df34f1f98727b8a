//! The thread that writes the lines of the queue to stderr.

use std::io::{self, ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How long to wait if stderr is in non-blocking mode and its reader is slow. Programs that share
/// a terminal with the exporter can set that mode.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// Writes lines, and remembers whether the last one is complete.
pub(super) struct LineWriter {
    sink: Box<dyn Write + Send>,
    /// Whether the last line was written only in part.
    is_mid_line: bool,
}

impl LineWriter {
    pub(super) fn new(sink: Box<dyn Write + Send>) -> Self {
        Self { sink, is_mid_line: false }
    }

    /// Writes whole lines, and waits for the reader if it is slow. Returns how many lines are
    /// lost because of an error.
    pub(super) fn write(&mut self, lines: &str) -> u64 {
        if self.is_mid_line && self.write_some(b"\n") == 1 {
            self.is_mid_line = false;
        }
        let written = self.write_some(lines.as_bytes());
        let (complete, lost) = lines.as_bytes().split_at(written);
        if let Some(last) = complete.last() {
            self.is_mid_line = *last != b'\n';
        }
        lost.split_inclusive(|byte| *byte == b'\n').count() as u64
    }

    /// Returns how many bytes were written before an error, or all.
    fn write_some(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            let rest = &bytes[written..];
            match catch_unwind(AssertUnwindSafe(|| self.sink.write(rest))) {
                Ok(Ok(0)) => break,
                Ok(Ok(length)) => written += length,
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(RETRY_DELAY),
                Ok(Err(_)) => break,
                // Without another sink, logging this panic would panic again, and so on.
                Err(_panic) => self.sink = Box::new(io::stderr()),
            }
        }
        written
    }
}
