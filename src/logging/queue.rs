//! The lines that are waiting to be written. Adding a line never waits.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How many lines may wait.
pub(super) const MAX_LINES: usize = 4096;

/// How many bytes the waiting lines may have in all.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// How many lines and bytes essential lines may take in addition.
const RESERVED_LINES: usize = 64;
const RESERVED_BYTES: usize = 64 * 1024;

/// How many bytes are written with one system call, unless a single line is longer. The kernel
/// does not interleave writes of this size to a pipe with those of other processes.
const MAX_BATCH_BYTES: usize = 4096;

/// Whether a line may use the reserved space of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Importance {
    Ordinary,
    /// A panic, or the reason why the process ends.
    Essential,
}

/// The number of a line in the order in which lines were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LineNumber(u64);

/// The queue is full, so the line was dropped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dropped;

/// A bounded queue of lines with one reader, the writer thread.
#[derive(Debug, Default)]
pub(super) struct LineQueue {
    state: Mutex<State>,
    /// Wakes the writer thread when there is something to write.
    filled: Condvar,
    /// Wakes the threads that wait until a line is written, or the queue is empty.
    written: Condvar,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is independent of the others")]
struct State {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Whether lines are being dropped. They are until the queue is half empty, so that a slow
    /// reader sees a few long gaps and not many short ones.
    is_overflowing: bool,
    /// How many lines were dropped after the last line in the queue.
    dropped: u64,
    /// How many lines have been added and how many of them are done, written or lost.
    added: u64,
    done: u64,
    /// Whether the writer thread is writing a batch.
    is_writing: bool,
    /// Whether a wait for a line has timed out, and nothing has been written since.
    is_stalled: bool,
    is_closed: bool,
}

#[derive(Debug)]
struct Line {
    text: String,
    /// How many lines were dropped between the previous line and this one.
    dropped_before: u64,
}

/// Lines to be written together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// How many lines were dropped before the first line.
    pub(super) dropped_before: u64,
    /// Whole lines. Empty if there is nothing to write except that lines were dropped.
    pub(super) text: String,
    lines: u64,
}

impl LineQueue {
    /// Adds a line, which ends in a line feed.
    pub(super) fn push(&self, text: String, importance: Importance) -> Result<LineNumber, Dropped> {
        let mut state = self.state.lock();
        let pushed = state.push(text, importance);
        self.filled.notify_one();
        pushed
    }

    /// Waits for lines and takes them from the queue. `None` once the queue is closed and empty.
    /// The caller must call [`finish`](Self::finish) with the batch.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut state = self.state.lock();
        self.filled
            .wait_while(&mut state, |state| state.lines.is_empty() && state.dropped == 0 && !state.is_closed);
        let batch = state.take()?;
        state.is_writing = true;
        Some(batch)
    }

    /// How many lines have been added so far, without those that were dropped.
    #[cfg(test)]
    pub(super) fn added(&self) -> u64 {
        self.state.lock().added
    }

    /// Records that a batch has been written, or that it was lost.
    pub(super) fn finish(&self, batch: &Batch) {
        let mut state = self.state.lock();
        state.done += batch.lines;
        state.is_writing = false;
        state.is_stalled = false;
        self.written.notify_all();
    }

    /// Waits until a line is done. Does not wait if an earlier wait has timed out and nothing has
    /// been written since.
    pub(super) fn wait_for_line(&self, number: LineNumber, timeout: Duration) {
        let mut state = self.state.lock();
        if state.is_stalled {
            return;
        }
        let waited = self.written.wait_while_for(&mut state, |state| state.done < number.0, timeout);
        state.is_stalled = waited.timed_out();
    }

    /// Ends the writer thread once the queue is empty.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.filled.notify_one();
    }

    /// Closes the queue and waits until it is empty.
    pub(super) fn drain(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        self.close();
        let mut state = self.state.lock();
        let is_busy = |state: &mut State| !state.lines.is_empty() || state.dropped > 0 || state.is_writing;
        self.written.wait_while_until(&mut state, is_busy, deadline);
    }
}

impl State {
    fn push(&mut self, text: String, importance: Importance) -> Result<LineNumber, Dropped> {
        let is_full = |max_lines, max_bytes| {
            self.lines.len() >= max_lines || self.bytes.saturating_add(text.len()) > max_bytes
        };
        let is_dropped = match importance {
            Importance::Ordinary => {
                let is_half_full = self.lines.len() > MAX_LINES / 2 || self.bytes > MAX_BYTES / 2;
                self.is_overflowing = is_full(MAX_LINES, MAX_BYTES) || (self.is_overflowing && is_half_full);
                self.is_overflowing
            }
            Importance::Essential => is_full(MAX_LINES + RESERVED_LINES, MAX_BYTES + RESERVED_BYTES),
        };
        if is_dropped {
            self.dropped += 1;
            return Err(Dropped);
        }
        self.bytes += text.len();
        self.lines.push_back(Line { text, dropped_before: std::mem::take(&mut self.dropped) });
        self.added += 1;
        Ok(LineNumber(self.added))
    }

    fn take(&mut self) -> Option<Batch> {
        let Some(Line { text, dropped_before }) = self.lines.pop_front() else {
            let dropped_before = std::mem::take(&mut self.dropped);
            return (dropped_before > 0).then(|| Batch { dropped_before, ..Batch::default() });
        };
        self.bytes -= text.len();
        let mut batch = Batch { dropped_before, text, lines: 1 };
        let fits = |batch: &Batch, line: &Line| {
            line.dropped_before == 0 && batch.text.len() + line.text.len() <= MAX_BATCH_BYTES
        };
        while let Some(line) = self.lines.pop_front_if(|line| fits(&batch, line)) {
            self.bytes -= line.text.len();
            batch.text.push_str(&line.text);
            batch.lines += 1;
        }
        Some(batch)
    }
}
