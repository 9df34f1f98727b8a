//! A bound on concurrent work, with an optional bounded queue in front of it.
//!
//! Everything in this process that a client can start is admitted by a [`Gate`]:
//! connections, scrapes, status pages and password checks. What happens when a gate is
//! full differs and belongs to the caller: connections and scrapes evict an older one,
//! pages and passwords queue, and a client beyond the queue is told to retry.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Limits how much work runs concurrently and how much waits for it.
#[derive(Debug)]
pub(crate) struct Gate {
    running: Arc<Semaphore>,
    /// Admits work that runs and work that waits.
    admitted: Semaphore,
}

/// Permission to run. It is returned to the gate on drop, and can move to another task
/// that outlives the caller.
#[derive(Debug)]
pub(crate) struct Permit(#[expect(dead_code, reason = "held until dropped")] OwnedSemaphorePermit);

/// Neither a place to run nor a place to wait is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Gate {
    /// A gate for at most `concurrency` permits and `queue` callers that wait for one.
    pub(crate) fn new(concurrency: usize, queue: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(concurrency)),
            admitted: Semaphore::new(concurrency.saturating_add(queue).min(Semaphore::MAX_PERMITS)),
        }
    }

    /// A permit, if one is free now.
    pub(crate) fn try_enter(&self) -> Option<Permit> {
        Arc::clone(&self.running).try_acquire_owned().ok().map(Permit)
    }

    /// Waits for a permit, however many callers wait already. For callers that are few
    /// by themselves, such as the tasks that accept connections.
    pub(crate) async fn enter(&self) -> Option<Permit> {
        // Fails only if the semaphore is closed, which never happens.
        Arc::clone(&self.running).acquire_owned().await.ok().map(Permit)
    }

    /// Runs `work` with a permit as soon as one is free, or fails immediately if the
    /// queue is full. The caller stays in the queue only as long as it polls.
    pub(crate) async fn run_queued<T>(&self, work: impl AsyncFnOnce(Permit) -> T) -> Result<T, Full> {
        let _admitted = self.admitted.try_acquire().map_err(|_| Full)?;
        let permit = self.enter().await.ok_or(Full)?;
        Ok(work(permit).await)
    }

    /// How many more callers [`run_queued`](Self::run_queued) would admit.
    #[cfg(test)]
    pub(crate) fn available_queue(&self) -> usize {
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
    async fn a_permit_is_free_again_when_it_is_dropped() {
        let gate = Gate::new(1, 0);
        let permit = gate.try_enter().unwrap();
        assert!(gate.try_enter().is_none());
        drop(permit);
        assert!(gate.enter().await.is_some());
    }

    #[tokio::test]
    async fn callers_beyond_the_queue_are_refused_and_those_in_it_wait() {
        let gate = Gate::new(1, 1);
        let mut context = Context::from_waker(Waker::noop());
        let mut running = pin!(gate.run_queued(async |_permit| pending::<()>().await));
        let mut queued = Box::pin(gate.run_queued(async |_permit| ()));
        assert!(running.as_mut().poll(&mut context).is_pending());
        assert!(queued.as_mut().poll(&mut context).is_pending());
        assert_eq!(gate.run_queued(async |_permit| ()).await, Err(Full));
        // A caller that gives up leaves the queue.
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
