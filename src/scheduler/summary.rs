//! The summary of collections that the scheduler logs at regular intervals.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::health::{AssessedTarget, Health, HealthCounts, HealthPolicy};
use crate::model::UnixSeconds;
use crate::snapshot::{Store, TargetState};

/// The minimum time between two summaries, for configurations with a shorter polling
/// interval.
const MIN_SUMMARY_INTERVAL: Duration = Duration::from_mins(1);

/// Counts the collections since the last summary line, and logs the next one.
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

    /// Counts a collection that has ended. `state` is the state of its target afterwards.
    pub(super) fn count(&mut self, state: &TargetState) {
        if state.consecutive_failures == 0 {
            self.succeeded += 1;
        } else {
            self.failed += 1;
        }
    }

    /// When to log the next summary: one polling `interval`, but at least
    /// [`MIN_SUMMARY_INTERVAL`], after the previous summary. The first is due immediately (an
    /// instant in the past) once every target has been collected. Checking this visits every
    /// target, so it is done only while the scheduler `is_idle`, that is, runs no
    /// collection.
    pub(super) fn due(&self, interval: Duration, is_idle: bool, store: &Store) -> Instant {
        let may_be_early = self.is_first && is_idle && self.succeeded + self.failed > 0;
        if may_be_early && store.pending_lookups() == 0 && store.uncollected() == 0 {
            return self.since;
        }
        self.since + interval.max(MIN_SUMMARY_INTERVAL)
    }

    /// Logs the summary and starts counting from zero.
    pub(super) fn log_and_reset(&mut self, store: &Store, health: &HealthPolicy, now: UnixSeconds) {
        let (mut up, mut down, mut targets_not_as_expected) = (0_u64, 0_u64, 0_u64);
        let mut sync_counts = HealthCounts::default();
        for slot in store.slots().iter() {
            let target = AssessedTarget::of_slot(store, slot, health, now);
            match target.up() {
                Some(true) => up += 1,
                Some(false) => down += 1,
                None => {}
            }
            targets_not_as_expected += u64::from(target.is_violated());
            sync_counts.merge(&target.sync_counts());
        }
        let (syncs, failed_syncs) = (sync_counts.total(), sync_counts.failed_syncs());
        let (stale_syncs, stuck_syncs) = (sync_counts.get(Health::Stale), sync_counts.get(Health::Stuck));
        let targets = store.len();
        let (collections, failed_collections) = (self.succeeded + self.failed, self.failed);
        let seconds = self.since.elapsed().as_secs();
        info!(
            targets,
            up,
            down,
            syncs,
            failed_syncs,
            stale_syncs,
            stuck_syncs,
            targets_not_as_expected,
            collections,
            failed_collections,
            seconds,
            "collection summary"
        );
        *self = Self { is_first: false, ..Self::new() };
    }
}
