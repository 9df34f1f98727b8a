//! Tracks whether the client of a response reads it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A client that reads less than [`MIN_PROGRESS`] in this time counts as reading nothing.
pub(in crate::web) const STALLED_AFTER: Duration = Duration::from_secs(2);

/// The same for the first [`MIN_PROGRESS`] of a response. The buffers of the kernel, or the window
/// that an HTTP/2 client grants for every stream, take these from all clients that read at all.
const STALLED_FROM_START_AFTER: Duration = Duration::from_millis(500);

/// Without a minimum, a client could keep its place by reading a few bytes at a time.
const MIN_PROGRESS: usize = 8 * 1024;

/// The progress of one response. It counts what has been passed to the socket, or to TLS.
#[derive(Debug, Default)]
pub(in crate::web) struct Progress(Mutex<Option<Sending>>);

#[derive(Debug)]
struct Sending {
    /// When the response began, or the last [`MIN_PROGRESS`] bytes were complete.
    since: Instant,
    /// The bytes sent since then.
    bytes: usize,
    stalls_after: Duration,
}

impl Progress {
    /// Called when the response is ready to be sent. A response that is still being prepared
    /// does not stall.
    pub(in crate::web) fn begin(&self) {
        *self.0.lock() =
            Some(Sending { since: Instant::now(), bytes: 0, stalls_after: STALLED_FROM_START_AFTER });
    }

    pub(in crate::web) fn sent(&self, bytes: usize) {
        if let Some(sending) = &mut *self.0.lock() {
            sending.bytes += bytes;
            if sending.bytes >= MIN_PROGRESS {
                *sending = Sending { since: Instant::now(), bytes: 0, stalls_after: STALLED_AFTER };
            }
        }
    }

    /// When the response stalled. `None` if it makes progress.
    pub(in crate::web) fn stalled_since(&self, now: Instant) -> Option<Instant> {
        let sending = self.0.lock();
        let sending = sending.as_ref()?;
        (now - sending.since >= sending.stalls_after).then_some(sending.since)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Whether a response stalls that sends `bytes` in every tenth of a second, after its start.
    async fn stalls_at(bytes: usize) -> bool {
        let progress = Progress::default();
        progress.begin();
        progress.sent(MIN_PROGRESS);
        for _ in 0..100 {
            advance(Duration::from_millis(100)).await;
            progress.sent(bytes);
            if progress.stalled_since(Instant::now()).is_some() {
                return true;
            }
        }
        false
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_bytes_at_a_time_are_no_progress() {
        assert!(stalls_at(0).await);
        assert!(stalls_at(1).await);
        assert!(stalls_at(300).await);
        assert!(!stalls_at(500).await);
        assert!(!stalls_at(100_000).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_stalls_only_once_it_is_ready() {
        let progress = Progress::default();
        advance(Duration::from_mins(1)).await;
        assert_eq!(progress.stalled_since(Instant::now()), None);
        let begun = Instant::now();
        progress.begin();
        advance(STALLED_FROM_START_AFTER / 2).await;
        assert_eq!(progress.stalled_since(Instant::now()), None);
        advance(STALLED_FROM_START_AFTER / 2).await;
        assert_eq!(progress.stalled_since(Instant::now()), Some(begun));
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_has_started_stalls_later() {
        let progress = Progress::default();
        progress.begin();
        progress.sent(MIN_PROGRESS - 1);
        advance(STALLED_FROM_START_AFTER).await;
        assert!(progress.stalled_since(Instant::now()).is_some());
        progress.sent(1);
        advance(STALLED_AFTER * 9 / 10).await;
        assert!(progress.stalled_since(Instant::now()).is_none());
        advance(STALLED_AFTER / 10).await;
        assert!(progress.stalled_since(Instant::now()).is_some());
    }
}
