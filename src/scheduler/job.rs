//! The next collection of a target.

use std::sync::Arc;

use tokio::time::Instant;

use super::timing::{FailureStreak, Timing};
use crate::model::Reason;
use crate::snapshot::Slot;

/// The next collection of a target: delayed, ready or in flight.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) slot: Arc<Slot>,
    /// When the collection is, or was, to start.
    pub(super) due: Instant,
    /// When the target's last collection started; before the first, when the target was
    /// added.
    pub(super) last_started: Instant,
    /// The regular collections of the target that should have started after this time
    /// count as overruns. `None` for the time at which this collection starts, because
    /// the first collection and one after a back-off are not at a regular time.
    pub(super) overruns_from: Option<Instant>,
    /// Whether the last collection timed out or lost its connection.
    pub(super) timed_out: bool,
}

impl Job {
    /// The first collection of a target, which is due immediately.
    pub(super) fn first(slot: Arc<Slot>) -> Self {
        let now = Instant::now();
        Self { slot, due: now, last_started: now, overruns_from: None, timed_out: false }
    }

    /// The collection after this one, and the number of regular collections that were
    /// missed meanwhile.
    pub(super) fn next(self, timing: &Timing) -> (Self, u64) {
        let target = self.slot.target();
        let failures = FailureStreak::of(&self.slot.state());
        let regular = timing.next_regular(&target, self.last_started);
        let overruns = timing.overruns(&target, self.overruns_from.unwrap_or(self.last_started), regular);
        let due = timing.with_backoff(&target, regular, failures);
        let overruns_from = (due == regular).then_some(due);
        let timed_out =
            failures.is_some_and(|failures| matches!(failures.reason, Reason::Timeout | Reason::Connection));
        (Self { due, overruns_from, timed_out, ..self }, overruns)
    }
}
