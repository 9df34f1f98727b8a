//! What is to be recorded, between the tasks that call AWS and the thread that writes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// The maximum number of bytes that wait to be written, unless a single entry is larger.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// How long a task waits for room. A disk that takes longer for as much as this would hold up all
/// collections.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// A bounded queue with one reader.
///
/// Adding to a full queue blocks the thread, although the thread may be one of the async runtime: no
/// line may be missing, and an abandoned request is reported from a destructor, which cannot await. The
/// reader only writes to the page cache, which takes less time than receiving the bytes did. If the disk
/// is so slow that this is not so, the recording fails and the run continues.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    max_wait: Duration,
}

#[derive(Debug)]
struct State<T> {
    entries: VecDeque<(T, usize)>,
    bytes: usize,
    end: Option<End>,
}

/// Why nothing can be added any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Everything has been added.
    Complete,
    /// The recording was given up.
    Aborted,
    /// The reader was too slow.
    Overloaded,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let state = State { entries: VecDeque::new(), bytes: 0, end: None };
        Self { state: Mutex::new(state), changed: Condvar::new(), max_wait: MAX_WAIT }
    }

    /// Adds an entry of `bytes`, unless the queue has ended.
    pub(super) fn push(&self, entry: T, bytes: usize) {
        let mut state = self.state.lock();
        let deadline = Instant::now() + self.max_wait;
        while state.end.is_none() && !state.entries.is_empty() && state.bytes + bytes > MAX_BYTES {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                self.end_with(&mut state, End::Overloaded);
            }
        }
        if state.end.is_none() {
            state.entries.push_back((entry, bytes));
            state.bytes += bytes;
            self.changed.notify_all();
        }
    }

    /// Ends the queue, unless it has ended. Entries that have been added before are still read if it is
    /// [`Complete`](End::Complete).
    pub(super) fn end(&self, end: End) {
        self.end_with(&mut self.state.lock(), end);
    }

    fn end_with(&self, state: &mut State<T>, end: End) {
        state.end.get_or_insert(end);
        if state.end != Some(End::Complete) {
            state.entries.clear();
        }
        self.changed.notify_all();
    }

    /// The next entry, as soon as there is one. How the queue ended if there are no more.
    pub(super) fn pop(&self) -> Result<T, End> {
        let mut state = self.state.lock();
        loop {
            if let Some((entry, bytes)) = state.entries.pop_front() {
                state.bytes -= bytes;
                self.changed.notify_all();
                return Ok(entry);
            }
            if let Some(end) = state.end {
                return Err(end);
            }
            self.changed.wait(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(max_wait: Duration) -> Queue<u32> {
        Queue { max_wait, ..Queue::new() }
    }

    #[test]
    fn entries_are_read_in_their_order_until_the_queue_is_complete() {
        let queue = queue(MAX_WAIT);
        queue.push(1, 10);
        queue.push(2, MAX_BYTES - 10);
        assert_eq!(queue.pop(), Ok(1));
        queue.push(3, 10);
        queue.end(End::Complete);
        queue.push(4, 0);
        // It has ended already.
        queue.end(End::Overloaded);
        assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Ok(2), Ok(3), Err(End::Complete)]);
    }

    #[test]
    fn a_full_queue_waits_for_its_reader() {
        let queue = queue(Duration::from_mins(1));
        queue.push(1, MAX_BYTES * 2);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| queue.push(2, 1));
            assert_eq!(queue.pop(), Ok(1));
            writer.join().unwrap();
        });
        assert_eq!(queue.pop(), Ok(2));
    }

    #[test]
    fn a_queue_that_is_not_read_ends_and_frees_its_entries() {
        let queue = queue(Duration::from_millis(1));
        queue.push(1, MAX_BYTES);
        queue.push(2, 1);
        queue.push(3, 1);
        queue.end(End::Complete);
        assert_eq!(queue.pop(), Err(End::Overloaded));
    }
}
