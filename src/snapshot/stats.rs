//! Counters of the scheduler itself.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What the scheduler reports about itself. They are kept beside the targets because the
/// same parts read both.
#[derive(Debug, Default)]
pub(crate) struct SchedulerStats {
    in_flight: AtomicUsize,
    overruns: AtomicU64,
    heartbeats: AtomicU64,
}

impl SchedulerStats {
    pub(crate) fn set_in_flight(&self, number: usize) {
        self.in_flight.store(number, Ordering::Relaxed);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn add_overruns(&self, number: u64) {
        self.overruns.fetch_add(number, Ordering::Relaxed);
    }

    /// The number of regular collections that targets have missed because their last
    /// collection started or ended too late.
    pub(crate) fn overruns(&self) -> u64 {
        self.overruns.load(Ordering::Relaxed)
    }

    /// Records that the scheduler's loop is alive.
    pub(crate) fn heartbeat(&self) {
        self.heartbeats.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of heartbeats so far. It keeps growing while the scheduler is alive.
    pub(crate) fn heartbeats(&self) -> u64 {
        self.heartbeats.load(Ordering::Relaxed)
    }
}
