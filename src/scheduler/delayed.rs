//! Jobs that are not due yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::job::Job;
use crate::snapshot::Slot;

/// Jobs that are not due yet, ordered by the time at which they are due.
#[derive(Debug, Default)]
pub(super) struct DelayedJobs {
    jobs: BTreeMap<(Instant, u64), Job>,
    /// Makes the keys of jobs that are due at the same time unique.
    next_sequence: u64,
}

impl DelayedJobs {
    pub(super) fn push(&mut self, job: Job) {
        self.jobs.insert((job.due, self.next_sequence), job);
        self.next_sequence += 1;
    }

    /// Waits until the first job is due and removes it; `None` if there are no jobs. No job
    /// is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Job> {
        let (due, _) = self.jobs.first_key_value()?.0;
        tokio::time::sleep_until(*due).await;
        self.jobs.pop_first().map(|(_, job)| job)
    }

    /// Removes the job of `slot`. Visits all jobs.
    pub(super) fn remove(&mut self, slot: &Arc<Slot>) -> Option<Job> {
        let key = *self.jobs.iter().find(|(_, job)| Arc::ptr_eq(&job.slot, slot))?.0;
        self.jobs.remove(&key)
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Job) -> bool) {
        self.jobs.retain(|_, job| keep(job));
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Job> + use<> {
        std::mem::take(&mut self.jobs).into_values()
    }
}
