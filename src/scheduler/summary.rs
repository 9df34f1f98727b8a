//! What the log is told of a round of collections.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::model::{SyncStatus, UnixSeconds};
use crate::snapshot::{Store, TargetState};

/// How long it is from one summary to the next at least, however short the
/// interval is.
const AT_LEAST: Duration = Duration::from_mins(1);

/// What has been collected since the last summary.
#[derive(Debug)]
pub(super) struct Summary {
    since: Instant,
    is_first: bool,
    good: u64,
    failed: u64,
}

impl Summary {
    /// Nothing has been collected yet.
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), is_first: true, good: 0, failed: 0 }
    }

    /// One more collection of a target has ended, which now fares like this.
    pub(super) fn count(&mut self, state: &TargetState) {
        if state.consecutive_failures == 0 {
            self.good += 1;
        } else {
            self.failed += 1;
        }
    }

    /// When the next summary is due: when all targets have had their first
    /// collection, and then once in an interval. While it `is_idle` that is looked at.
    pub(super) fn due(&self, interval: Duration, is_idle: bool, store: &Store) -> Instant {
        let is_first = self.is_first && is_idle && self.good + self.failed > 0;
        if is_first && store.pending() == 0 && store.uncollected() == 0 {
            return self.since;
        }
        self.since + interval.max(AT_LEAST)
    }

    /// Tells the log, and begins anew.
    pub(super) fn tell(&mut self, store: &Store, now: UnixSeconds) {
        let (mut up, mut down, mut syncs, mut failed_syncs) = (0_u64, 0_u64, 0, 0);
        for slot in store.slots().iter() {
            let view = store.view(slot, now);
            match view.up() {
                Some(true) => up += 1,
                Some(false) => down += 1,
                None => {}
            }
            let shown = view.syncs().unwrap_or_default();
            syncs += shown.len();
            failed_syncs += shown.iter().filter(|sync| sync.last_status == Some(SyncStatus::Failed)).count();
        }
        let (targets, collections, failed_collections) = (store.len(), self.good + self.failed, self.failed);
        let seconds = self.since.elapsed().as_secs();
        info!(
            targets,
            up, down, syncs, failed_syncs, collections, failed_collections, seconds, "a round of collections"
        );
        *self = Self { is_first: false, ..Self::new() };
    }
}
