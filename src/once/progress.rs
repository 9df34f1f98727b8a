//! A bar on the terminal that says how far it is.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use crate::snapshot::Store;

/// A progress bar on stderr, where that is a terminal. It is gone when this is
/// dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that shows only if it is `wanted` and there is a terminal that can draw
    /// it.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        let target = if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(1), target);
        // The template is good, and without it the bar only looks otherwise.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {wide_msg}") {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// The way for log lines to stderr, which leads them past the bar.
    #[must_use]
    pub fn log_writer(&self) -> LogWriter {
        LogWriter { bar: self.bar.clone() }
    }

    /// Shows how the targets of `store` fare, and whether more are being looked
    /// for.
    pub(super) fn show(&self, store: &Store, finding: bool) {
        if self.bar.is_hidden() {
            return;
        }
        let (mut done, mut failed) = (0, 0);
        let slots = store.slots();
        for slot in slots.iter() {
            if let Some(last) = &slot.state().last {
                done += 1;
                failed += u64::from(last.failure.is_some());
            }
        }
        let number = slots.len();
        let failures = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        let stage = if finding { ", finding accounts and regions" } else { "" };
        self.bar.set_message(format!("{done} of {number} targets{failures}{stage}"));
        // A bar of no length is a full one.
        self.bar.set_length(number.max(1) as u64);
        self.bar.set_position(done);
    }

    /// Takes the bar away for good.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Writes to stderr while the bar is out of the way.
#[derive(Clone, Debug)]
pub struct LogWriter {
    bar: ProgressBar,
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
