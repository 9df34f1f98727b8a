//! A progress bar on stderr, for commands that collect every target once.

use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;

use crate::snapshot::Store;

/// How long to wait for the bar to be removed.
const CLEAR_TIMEOUT: Duration = Duration::from_millis(500);

/// A progress bar on stderr. The bar is shown only if stderr is a terminal, and is removed on
/// drop.
///
/// A thread of its own draws the bar, because drawing blocks for as long as the terminal is
/// paused.
pub struct ProgressBar {
    bar: indicatif::ProgressBar,
    /// `None` if the bar is not shown, or no longer.
    drawing: Mutex<Option<Drawing>>,
}

/// The connection to the thread that draws. The thread ends when it is dropped.
struct Drawing {
    updates: SyncSender<Progress>,
    /// Nothing is sent. Closed after the bar has been removed.
    ended: Receiver<()>,
}

/// What the bar shows.
struct Progress {
    collected: u64,
    total: u64,
    message: String,
}

impl ProgressBar {
    /// Creates a bar that is never shown unless `enabled`.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        let target = if enabled { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self::on(target)
    }

    fn on(target: ProgressDrawTarget) -> Self {
        let bar = indicatif::ProgressBar::with_draw_target(Some(1), target);
        // The template is valid; if it were not, the bar would have the default style.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {wide_msg}") {
            bar.set_style(style);
        }
        // Without a thread to draw it, there is no bar.
        let drawing = if bar.is_hidden() { None } else { Drawing::start(bar.clone()).ok() };
        Self { bar, drawing: Mutex::new(drawing) }
    }

    /// A writer to stderr that prints log lines above the bar.
    #[must_use]
    pub fn log_writer(&self) -> LogWriter {
        LogWriter { bar: self.bar.clone() }
    }

    /// Shows how many targets of `store` have been collected, and whether more are being
    /// discovered. Must be called repeatedly, because an update is skipped if the terminal is
    /// slow.
    pub(crate) fn update(&self, store: &Store, is_discovering: bool) {
        let drawing = self.drawing.lock();
        let Some(drawing) = &*drawing else { return };
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
        let message = format!("{collected} of {total} targets collected{failures}{discovery}");
        // A bar of length 0 would be drawn full.
        let progress = Progress { collected, total: total.max(1) as u64, message };
        let _skipped = drawing.updates.try_send(progress);
    }

    /// Removes the bar permanently. If the terminal is paused, the bar remains.
    pub(crate) fn clear(&self) {
        let Some(Drawing { updates, ended }) = self.drawing.lock().take() else { return };
        drop(updates);
        // The channel is closed when the bar has been removed.
        let _ended: Result<(), RecvTimeoutError> = ended.recv_timeout(CLEAR_TIMEOUT);
    }
}

impl Drawing {
    /// Starts a thread that draws updates until it is dropped, and then removes the bar.
    fn start(bar: indicatif::ProgressBar) -> io::Result<Self> {
        let (updates, received) = sync_channel::<Progress>(1);
        let (ending, ended) = sync_channel::<()>(0);
        let draw = move || {
            for Progress { collected, total, message } in received {
                bar.set_message(message);
                bar.set_length(total);
                bar.set_position(collected);
            }
            bar.finish_and_clear();
            drop(ending);
        };
        thread::Builder::new().name("progress".to_owned()).spawn(draw)?;
        Ok(Self { updates, ended })
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for ProgressBar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressBar").finish_non_exhaustive()
    }
}

/// Writes to stderr, and hides the bar during each write.
#[derive(Clone, Debug)]
pub struct LogWriter {
    bar: indicatif::ProgressBar,
}

impl Write for LogWriter {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.bar.suspend(|| io::stderr().write(lines))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;
    use std::sync::{Arc, Mutex, mpsc};
    use std::time::Instant;

    use indicatif::TermLike;

    use super::*;

    /// A terminal that blocks the first write, until `resume` is dropped.
    #[derive(Debug)]
    struct PausedTerminal {
        is_written: Mutex<Sender<()>>,
        resume: Arc<Mutex<Receiver<()>>>,
    }

    impl PausedTerminal {
        fn block(&self) {
            let _received = self.is_written.lock().unwrap().send(());
            let _resumed = self.resume.lock().unwrap().recv();
        }
    }

    impl TermLike for PausedTerminal {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _lines: usize) -> io::Result<()> {
            self.block();
            Ok(())
        }

        fn move_cursor_down(&self, _lines: usize) -> io::Result<()> {
            self.block();
            Ok(())
        }

        fn move_cursor_right(&self, _columns: usize) -> io::Result<()> {
            self.block();
            Ok(())
        }

        fn move_cursor_left(&self, _columns: usize) -> io::Result<()> {
            self.block();
            Ok(())
        }

        fn write_line(&self, _line: &str) -> io::Result<()> {
            self.block();
            Ok(())
        }

        fn write_str(&self, _text: &str) -> io::Result<()> {
            self.block();
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.block();
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            self.block();
            Ok(())
        }
    }

    #[test]
    fn a_paused_terminal_blocks_neither_updates_nor_the_end() {
        let (sender, is_written) = mpsc::channel();
        let (resume, resumed) = mpsc::channel();
        let terminal =
            PausedTerminal { is_written: Mutex::new(sender), resume: Arc::new(Mutex::new(resumed)) };
        let progress = ProgressBar::on(ProgressDrawTarget::term_like(Box::new(terminal)));
        let store = Store::new(Duration::from_mins(30));
        progress.update(&store, true);
        is_written.recv_timeout(Duration::from_secs(10)).unwrap();
        for _ in 0..10 {
            progress.update(&store, false);
        }
        let begun = Instant::now();
        progress.clear();
        progress.update(&store, false);
        drop(progress);
        assert!(begun.elapsed() >= CLEAR_TIMEOUT, "the terminal is paused");
        drop(resume);
    }
}
