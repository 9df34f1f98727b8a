//! Counts panics and dropped log lines, for the metrics about the exporter itself.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of a [`Log`](super::Log).
#[derive(Debug, Default)]
pub struct LogCounters {
    panics: AtomicU64,
    dropped_lines: AtomicU64,
}

impl LogCounters {
    /// How many panics there have been.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// How many log lines were dropped.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        self.dropped_lines.load(Ordering::Relaxed)
    }

    pub(crate) fn count_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_dropped_lines(&self, number: u64) {
        self.dropped_lines.fetch_add(number, Ordering::Relaxed);
    }
}
