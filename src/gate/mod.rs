//! Limits on concurrent work.
//!
//! Each kind of work that a client can start has its own limit. Connections and scrapes have a
//! [`Gate`], and a new one replaces an older one if all permits are taken. Status pages and
//! password checks have a [`FairGate`], where callers wait for their turn.

mod fair;

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use fair::Caller;
pub(crate) use fair::FairGate;

/// Limits how many callers run concurrently.
#[derive(Debug)]
pub(crate) struct Gate {
    running: Arc<Semaphore>,
}

/// Permission to run, returned to the gate on drop. It can be moved to a task that
/// outlives the caller.
#[derive(Debug)]
pub(crate) struct Permit(#[expect(dead_code, reason = "held until dropped")] OwnedSemaphorePermit);

impl Gate {
    /// A gate with `concurrency` permits.
    pub(crate) fn new(concurrency: usize) -> Self {
        Self { running: Arc::new(Semaphore::new(concurrency)) }
    }

    /// Returns a permit if one is free now.
    pub(crate) fn try_enter(&self) -> Option<Permit> {
        Arc::clone(&self.running).try_acquire_owned().ok().map(Permit)
    }

    /// Waits for a permit, however many callers already wait. Use this only where the number
    /// of callers is bounded otherwise. Each accept loop, for example, waits for one permit
    /// at a time.
    pub(crate) async fn enter(&self) -> Option<Permit> {
        // Fails only if the semaphore is closed, which never happens.
        Arc::clone(&self.running).acquire_owned().await.ok().map(Permit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dropping_a_permit_frees_it() {
        let gate = Gate::new(1);
        let permit = gate.try_enter().unwrap();
        assert!(gate.try_enter().is_none());
        drop(permit);
        assert!(gate.enter().await.is_some());
    }
}
