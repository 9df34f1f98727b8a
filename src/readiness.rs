//! Whether the exporter has something to show.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::snapshot::Store;

/// A latch that closes when every target has had its first collection, good
/// or bad, or when there has been patience enough. It never opens again.
#[derive(Debug)]
pub struct Readiness {
    store: Arc<Store>,
    started: Instant,
    patience: Duration,
    ready: AtomicBool,
}

/// Not every target has had its first collection yet.
#[derive(Debug, PartialEq, Eq)]
pub struct NotReady {
    /// How many have not.
    pub waiting: usize,
    /// How many there are.
    pub targets: usize,
}

impl Readiness {
    /// A latch that waits for the targets of `store`, no longer than
    /// `patience` from now.
    #[must_use]
    pub fn new(store: Arc<Store>, patience: Duration) -> Self {
        Self { store, started: Instant::now(), patience, ready: AtomicBool::new(false) }
    }

    /// Whether it has closed.
    ///
    /// # Errors
    /// How many targets are waited for, if it has not.
    pub fn check(&self) -> Result<(), NotReady> {
        if self.ready.load(Ordering::Relaxed) {
            return Ok(());
        }
        let waiting = self.store.waiting();
        if waiting > 0 && self.started.elapsed() < self.patience {
            return Err(NotReady { waiting, targets: self.store.len() });
        }
        self.ready.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Failure, Reason, Report};
    use crate::target::{Access, Account, Target};

    fn readiness() -> (Arc<Store>, Readiness) {
        let account = Arc::new(Account { id: None, name: None, access: Access::default() });
        let target = |region: &str| Target { account: Arc::clone(&account), region: region.parse().unwrap() };
        let store =
            Arc::new(Store::new(vec![target("eu-west-1"), target("us-east-1")], Duration::from_mins(30)));
        (Arc::clone(&store), Readiness::new(store, Duration::from_mins(10)))
    }

    fn bad() -> Report {
        let outcome = Err(Failure::new(Reason::Other, ""));
        Report { account: None, ended: 0.0, took: Duration::ZERO, outcome }
    }

    #[tokio::test(start_paused = true)]
    async fn ready_once_every_target_has_had_its_first_collection_good_or_bad() {
        let (store, readiness) = readiness();
        assert_eq!(readiness.check(), Err(NotReady { waiting: 2, targets: 2 }));
        store.record(0, Report { outcome: Ok(Vec::new()), ..bad() });
        assert_eq!(readiness.check(), Err(NotReady { waiting: 1, targets: 2 }));
        store.record(1, bad());
        assert_eq!(readiness.check(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_targets_are_waited_for_no_longer_than_ready_after() {
        let (_store, readiness) = readiness();
        tokio::time::advance(Duration::from_mins(10) - Duration::from_millis(1)).await;
        assert!(readiness.check().is_err());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(readiness.check(), Ok(()));
    }
}
