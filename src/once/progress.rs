//! The progress bar of `once`.

use std::io::{self, Write};

use indicatif::{ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use crate::snapshot::Store;

/// A progress bar on stderr. The bar is shown only if stderr is a terminal, and is removed on
/// drop.
#[derive(Debug)]
pub struct ProgressBar {
    bar: indicatif::ProgressBar,
}

impl ProgressBar {
    /// Creates a bar that is never shown unless `enabled`.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        let target = if enabled { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = indicatif::ProgressBar::with_draw_target(Some(1), target);
        // The template is valid; if it were not, the bar would have the default style.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {wide_msg}") {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// A writer to stderr that prints log lines above the bar.
    #[must_use]
    pub fn log_writer(&self) -> LogWriter {
        LogWriter { bar: self.bar.clone() }
    }

    /// Shows how many targets of `store` have been collected, and whether more are being
    /// discovered.
    pub(super) fn update(&self, store: &Store, is_discovering: bool) {
        if self.bar.is_hidden() {
            return;
        }
        let (mut collected, mut failed) = (0, 0);
        let slots = store.slots();
        for slot in slots.iter() {
            if let Some(last) = &slot.state().last {
                collected += 1;
                failed += u64::from(last.failure.is_some());
            }
        }
        let total = slots.len();
        let failures = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        let discovery = if is_discovering { ", discovering accounts and regions" } else { "" };
        self.bar.set_message(format!("{collected} of {total} targets collected{failures}{discovery}"));
        // A bar of length 0 would be drawn full.
        self.bar.set_length(total.max(1) as u64);
        self.bar.set_position(collected);
    }

    /// Removes the bar permanently.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Writes to stderr, and hides the bar during each write.
#[derive(Clone, Debug)]
pub struct LogWriter {
    bar: indicatif::ProgressBar,
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.bar.suspend(|| io::stderr().write(line))
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        self.bar.suspend(|| io::stderr().write_all(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
