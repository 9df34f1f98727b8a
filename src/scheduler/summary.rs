//! The summary of collections that the scheduler logs at regular intervals.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::health;
use crate::model::UnixSeconds;
use crate::snapshot::{Store, TargetState};

/// The minimum time between two summaries, in case the interval is shorter.
const MIN_SPACING: Duration = Duration::from_mins(1);

/// Counts the collections since the last summary.
#[derive(Debug)]
pub(super) struct Summary {
    since: Instant,
    is_first: bool,
    succeeded: u64,
    failed: u64,
}

impl Summary {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), is_first: true, succeeded: 0, failed: 0 }
    }

    /// Counts a collection that has ended. `state` is the state of its target after it.
    pub(super) fn count(&mut self, state: &TargetState) {
        if state.consecutive_failures == 0 {
            self.succeeded += 1;
        } else {
            self.failed += 1;
        }
    }

    /// When to log the next summary: the first when every target has been collected, but
    /// after an interval at the latest, and the others an interval apart. Whether every
    /// target has been collected is checked only while the scheduler `is_idle`, because the
    /// check reads all targets.
    pub(super) fn due(&self, interval: Duration, is_idle: bool, store: &Store) -> Instant {
        let check_targets = self.is_first && is_idle && self.succeeded + self.failed > 0;
        if check_targets && store.pending() == 0 && store.uncollected() == 0 {
            return self.since;
        }
        self.since + interval.max(MIN_SPACING)
    }

    /// Logs the summary and starts counting from zero.
    pub(super) fn log_and_reset(&mut self, store: &Store, now: UnixSeconds) {
        let (mut up, mut down, mut syncs, mut failed_syncs) = (0_u64, 0_u64, 0, 0);
        for slot in store.slots().iter() {
            let view = store.view(slot, now);
            match view.up() {
                Some(true) => up += 1,
                Some(false) => down += 1,
                None => {}
            }
            let counts = health::count_syncs(view.syncs().unwrap_or_default(), now);
            syncs += counts.total();
            failed_syncs += counts.failed_syncs();
        }
        let targets = store.len();
        let (collections, failed_collections) = (self.succeeded + self.failed, self.failed);
        let seconds = self.since.elapsed().as_secs();
        info!(
            targets,
            up, down, syncs, failed_syncs, collections, failed_collections, seconds, "collection summary"
        );
        *self = Self { is_first: false, ..Self::new() };
    }
}
