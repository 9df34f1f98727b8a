//! Whether the exporter has something to show.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::millis;
use crate::snapshot::Store;

/// A latch that closes when it is known what to poll and every target has had
/// its first collection, good or bad, or when there has been patience enough.
/// It never opens again.
#[derive(Debug)]
pub struct Readiness {
    store: Arc<Store>,
    started: Instant,
    /// In milliseconds.
    patience: AtomicU64,
    ready: AtomicBool,
}

/// Not every target has had its first collection yet.
#[derive(Debug, PartialEq, Eq)]
pub struct NotReady {
    /// How many have not.
    pub waiting: usize,
    /// How many there are.
    pub targets: usize,
    /// How many answers are pending that may bring more of them.
    pub pending: usize,
}

impl Readiness {
    /// A latch that waits for the targets of `store`, no longer than
    /// `patience` from now.
    #[must_use]
    pub fn new(store: Arc<Store>, patience: Duration) -> Self {
        Self {
            store,
            started: Instant::now(),
            patience: AtomicU64::new(millis(patience)),
            ready: AtomicBool::new(false),
        }
    }

    /// It waits no longer than `patience` from its beginning.
    pub fn set_timeout(&self, patience: Duration) {
        self.patience.store(millis(patience), Ordering::Relaxed);
    }

    /// Whether it has closed.
    ///
    /// # Errors
    /// How many targets are waited for, if it has not.
    pub fn check(&self) -> Result<(), NotReady> {
        if self.ready.load(Ordering::Relaxed) {
            return Ok(());
        }
        // In this order: what is pending now may be waiting then.
        let (pending, waiting) = (self.store.pending(), self.store.waiting());
        if (waiting > 0 || pending > 0)
            && millis(self.started.elapsed()) < self.patience.load(Ordering::Relaxed)
        {
            return Err(NotReady { waiting, targets: self.store.len(), pending });
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
    use crate::snapshot::Report;
    use crate::snapshot::Slot;

    fn targets(regions: &[&str]) -> Vec<Target> {
        let account = Arc::new(Account::default());
        let target =
            |region: &&str| Target { account: Arc::clone(&account), region: region.parse().unwrap() };
        regions.iter().map(target).collect()
    }

    fn readiness(pending: usize) -> (Arc<Store>, Vec<Arc<Slot>>, Readiness) {
        let store = Arc::new(Store::new(Duration::from_mins(30)));
        let slots = store.adopt(&TargetList {
            targets: targets(&["eu-west-1", "us-east-1"]),
            pending,
            ..TargetList::default()
        });
        (Arc::clone(&store), slots, Readiness::new(store, Duration::from_mins(10)))
    }

    fn bad() -> Report {
        let outcome = Err(Failure::new(Reason::Other, ""));
        Report { account: None, ended: 0.0, took: Duration::ZERO, outcome }
    }

    #[tokio::test(start_paused = true)]
    async fn ready_once_every_target_has_had_its_first_collection_good_or_bad() {
        let (store, slots, readiness) = readiness(0);
        assert_eq!(readiness.check(), Err(NotReady { waiting: 2, targets: 2, pending: 0 }));
        store.record(&slots[0], Report { outcome: Ok(Vec::new()), ..bad() });
        assert_eq!(readiness.check(), Err(NotReady { waiting: 1, targets: 2, pending: 0 }));
        store.record(&slots[1], bad());
        assert_eq!(readiness.check(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn not_ready_while_there_may_be_more_targets() {
        let (store, slots, readiness) = readiness(1);
        for slot in &slots {
            store.record(slot, bad());
        }
        assert_eq!(readiness.check(), Err(NotReady { waiting: 0, targets: 2, pending: 1 }));
        let new = store.adopt(&TargetList {
            targets: targets(&["eu-west-1", "us-east-1", "sa-east-1"]),
            pending: 0,
            ..TargetList::default()
        });
        assert_eq!(readiness.check(), Err(NotReady { waiting: 1, targets: 3, pending: 0 }));
        store.record(&new[0], bad());
        assert_eq!(readiness.check(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_targets_are_waited_for_no_longer_than_ready_after() {
        let (_store, _slots, readiness) = readiness(1);
        tokio::time::advance(Duration::from_mins(10) - Duration::from_millis(1)).await;
        assert!(readiness.check().is_err());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(readiness.check(), Ok(()));
    }
}
