//! Whether the exporter has collected enough to be scraped. `web` serves the result as
//! `/-/ready`, and one-shot mode waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::millis;
use crate::snapshot::Store;

/// Decides when the exporter is ready: as soon as discovery has resolved all targets and
/// the first collection of each has ended, successfully or not, but no later than the
/// timeout. Once ready, the exporter stays ready.
#[derive(Debug)]
pub(crate) struct Readiness {
    store: Arc<Store>,
    started: Instant,
    timeout_millis: AtomicU64,
    ready: AtomicBool,
}

/// Why the exporter is not ready yet.
#[derive(Debug, PartialEq, Eq)]
pub struct NotReady {
    /// The number of targets whose first collection has not ended.
    pub uncollected: usize,
    /// The number of all targets, collected or not.
    pub targets: usize,
    /// The number of discovery lookups that have not had a result yet, each of which may
    /// add targets.
    pub pending_lookups: usize,
}

impl Readiness {
    /// The `timeout` starts now.
    pub(crate) fn new(store: Arc<Store>, timeout: Duration) -> Self {
        Self {
            store,
            started: Instant::now(),
            timeout_millis: AtomicU64::new(millis(timeout)),
            ready: AtomicBool::new(false),
        }
    }

    /// Changes the timeout, which is still measured from the call to [`new`](Self::new).
    pub(crate) fn set_timeout(&self, timeout: Duration) {
        self.timeout_millis.store(millis(timeout), Ordering::Relaxed);
    }

    pub(crate) fn has_timed_out(&self) -> bool {
        millis(self.started.elapsed()) >= self.timeout_millis.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self) -> Result<(), NotReady> {
        if self.ready.load(Ordering::Relaxed) {
            return Ok(());
        }
        // `pending_lookups` is read first: a lookup that finishes between the two reads has
        // by then added its targets, so they are counted as uncollected.
        let (pending_lookups, uncollected) = (self.store.pending_lookups(), self.store.uncollected());
        if (uncollected > 0 || pending_lookups > 0) && !self.has_timed_out() {
            return Err(NotReady { uncollected, targets: self.store.len(), pending_lookups });
        }
        self.ready.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Account, Target, TargetList};
    use crate::model::{Failure, Reason};
    use crate::snapshot::{Report, Slot};

    fn targets(regions: &[&str]) -> Vec<Target> {
        let account = Arc::new(Account::default());
        let target =
            |region: &&str| Target { account: Arc::clone(&account), region: region.parse().unwrap() };
        regions.iter().map(target).collect()
    }

    fn readiness(pending_lookups: usize) -> (Arc<Store>, Vec<Arc<Slot>>, Readiness) {
        let store = Arc::new(Store::new(Duration::from_mins(30)));
        let slots = store.set_targets(&TargetList {
            targets: targets(&["eu-west-1", "us-east-1"]),
            pending_lookups,
            ..TargetList::default()
        });
        (Arc::clone(&store), slots, Readiness::new(store, Duration::from_mins(10)))
    }

    fn failed() -> Report {
        let outcome = Err(Failure::new(Reason::Other, ""));
        Report { account: None, ended: 0.0, took: Duration::ZERO, outcome, invalid_items: None }
    }

    #[tokio::test(start_paused = true)]
    async fn the_exporter_is_ready_once_every_target_has_been_collected_successfully_or_not() {
        let (store, slots, readiness) = readiness(0);
        assert_eq!(readiness.check(), Err(NotReady { uncollected: 2, targets: 2, pending_lookups: 0 }));
        store.record(&slots[0], Report { outcome: Ok(Vec::new()), ..failed() });
        assert_eq!(readiness.check(), Err(NotReady { uncollected: 1, targets: 2, pending_lookups: 0 }));
        store.record(&slots[1], failed());
        assert_eq!(readiness.check(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_exporter_is_not_ready_while_a_lookup_may_add_targets() {
        let (store, slots, readiness) = readiness(1);
        for slot in &slots {
            store.record(slot, failed());
        }
        assert_eq!(readiness.check(), Err(NotReady { uncollected: 0, targets: 2, pending_lookups: 1 }));
        let new = store.set_targets(&TargetList {
            targets: targets(&["eu-west-1", "us-east-1", "sa-east-1"]),
            pending_lookups: 0,
            ..TargetList::default()
        });
        assert_eq!(readiness.check(), Err(NotReady { uncollected: 1, targets: 3, pending_lookups: 0 }));
        store.record(&new[0], failed());
        assert_eq!(readiness.check(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_exporter_is_ready_after_the_timeout_even_if_targets_are_missing() {
        let (_store, _slots, readiness) = readiness(1);
        tokio::time::advance(Duration::from_mins(10) - Duration::from_millis(1)).await;
        assert!(readiness.check().is_err());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(readiness.check(), Ok(()));
    }
}
