//! Statistics of the scheduler itself.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Statistics of the scheduler itself. They are part of the store because they have the
/// same writer and the same readers as the targets.
#[derive(Debug, Default)]
pub(crate) struct SchedulerStats {
    /// Collections in progress.
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

    /// The number of regular collections that targets have missed because an earlier
    /// collection started or ended too late.
    pub(crate) fn overruns(&self) -> u64 {
        self.overruns.load(Ordering::Relaxed)
    }

    /// Called by the scheduler's loop while it is alive.
    pub(crate) fn heartbeat(&self) {
        self.heartbeats.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of heartbeats so far. A number that stops growing means that the scheduler
    /// is stuck.
    pub(crate) fn heartbeats(&self) -> u64 {
        self.heartbeats.load(Ordering::Relaxed)
    }
}
