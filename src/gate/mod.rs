//! Limits on concurrent work.
//!
//! Each kind of work that a client can start has its own limit: sockets, reloads, the rendering
//! of status pages and delayed responses have a [`Gate`]. Password checks have a [`FairGate`],
//! because clients that try to keep others out may be among those that wait.

mod fair;

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use fair::{Caller, FairGate};

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
