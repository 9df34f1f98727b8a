//! A limit on concurrent work, with an optional bounded queue in front of it.
//!
//! Each kind of work that a client can start has its own [`Gate`]: sockets, reloads, the
//! rendering of status pages and password checks. When a gate is full, the work waits, or is rejected if
//! the queue is full as well.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Limits how many callers run concurrently and how many wait in
/// [`run_queued`](Self::run_queued).
#[derive(Debug)]
pub(crate) struct Gate {
    running: Arc<Semaphore>,
    /// Limits the callers inside [`run_queued`](Self::run_queued), running or waiting. Callers of
    /// `enter` do not count.
    admitted: Semaphore,
}

/// Permission to run, returned to the gate on drop. It can be moved to a task that
/// outlives the caller.
#[derive(Debug)]
pub(crate) struct Permit(#[expect(dead_code, reason = "held until dropped")] OwnedSemaphorePermit);

/// All permits are taken and the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Gate {
    /// A gate with `concurrency` permits, for which up to `queue` callers of
    /// [`run_queued`](Self::run_queued) may wait.
    pub(crate) fn new(concurrency: usize, queue: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(concurrency)),
            admitted: Semaphore::new(concurrency.saturating_add(queue).min(Semaphore::MAX_PERMITS)),
        }
    }

    /// Returns a permit if one is free now.
    #[cfg(test)]
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

    /// Runs `work` as soon as a permit is free, or fails immediately if the queue is full.
    /// Dropping the future removes the caller from the queue.
    pub(crate) async fn run_queued<T>(&self, work: impl AsyncFnOnce(Permit) -> T) -> Result<T, Full> {
        let _admitted = self.admitted.try_acquire().map_err(|_| Full)?;
        let permit = self.enter().await.ok_or(Full)?;
        Ok(work(permit).await)
    }

    /// How many more callers [`run_queued`](Self::run_queued) would admit.
    #[cfg(test)]
    pub(crate) fn available_admissions(&self) -> usize {
        self.admitted.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn dropping_a_permit_frees_it() {
        let gate = Gate::new(1, 0);
        let permit = gate.try_enter().unwrap();
        assert!(gate.try_enter().is_none());
        drop(permit);
        assert!(gate.enter().await.is_some());
    }

    #[tokio::test]
    async fn queued_callers_wait_and_callers_beyond_the_queue_are_rejected() {
        let gate = Gate::new(1, 1);
        let mut context = Context::from_waker(Waker::noop());
        let mut running = pin!(gate.run_queued(async |_permit| pending::<()>().await));
        let mut queued = Box::pin(gate.run_queued(async |_permit| ()));
        assert!(running.as_mut().poll(&mut context).is_pending());
        assert!(queued.as_mut().poll(&mut context).is_pending());
        assert_eq!(gate.run_queued(async |_permit| ()).await, Err(Full));
        // A dropped caller leaves the queue.
        drop(queued);
        let mut next = pin!(gate.run_queued(async |_permit| ()));
        assert!(next.as_mut().poll(&mut context).is_pending());
    }

    #[tokio::test]
    async fn work_that_outlives_its_caller_keeps_the_permit() {
        let gate = Gate::new(1, 1);
        let permit = gate.run_queued(async |permit| permit).await.unwrap();
        assert!(gate.try_enter().is_none());
        drop(permit);
        assert!(gate.try_enter().is_some());
    }
}
