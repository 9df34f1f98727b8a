//! The unit of work of the scheduler.

use std::sync::Arc;

use tokio::time::Instant;

use super::timing::{FailureStreak, Timing};
use crate::snapshot::Slot;

/// The next collection or managed-node lookup of a target: delayed, ready or in flight.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) slot: Arc<Slot>,
    /// When the collection should start or should have started.
    pub(super) due: Instant,
    /// When the last collection of the target started. Before the first collection, this is
    /// when the target was added.
    pub(super) last_started: Instant,
    /// Regular collections that are missed after this time count as overruns. For a regular
    /// collection, the time is `due`, so that its own delay counts. `None` means that
    /// overruns count from the start of this collection: the first collection and a retry
    /// after a back-off are not due at a regular time, so their delay does not count.
    pub(super) overruns_from: Option<Instant>,
    /// Whether the last collection failed with [`Reason::Timeout`](crate::model::Reason::Timeout) or
    /// [`Reason::Connection`](crate::model::Reason::Connection).
    pub(super) timed_out: bool,
}

impl Job {
    /// The first collection of a target. It is due immediately.
    pub(super) fn first(slot: Arc<Slot>) -> Self {
        let now = Instant::now();
        Self { slot, due: now, last_started: now, overruns_from: None, timed_out: false }
    }

    /// The collection after this one, and the number of regular collections that were
    /// missed in between.
    pub(super) fn next(self, timing: &Timing) -> (Self, u64) {
        let target = self.slot.target();
        let streak = FailureStreak::of(&self.slot.state());
        let regular = timing.next_regular(&target, self.last_started);
        let overruns = timing.overruns(&target, self.overruns_from.unwrap_or(self.last_started), regular);
        let due = timing.with_backoff(&target, regular, streak);
        let overruns_from = (due == regular).then_some(due);
        let timed_out = streak.is_some_and(FailureStreak::timed_out);
        (Self { due, overruns_from, timed_out, ..self }, overruns)
    }
}
