//! Decides when each lookup is made: immediately, at its next refresh, or after a
//! back-off because it failed.
//!
//! The queue makes no lookups and does not see their results, only their failures.

use std::collections::{HashMap, VecDeque};
use std::future::{pending, poll_fn};
use std::time::Duration;

use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;

use super::lookup::LookupKey;
use crate::fleet::{FailingLookups, stable_hash};
use crate::model::Failure;

/// The back-off after the first failure of a lookup. The back-off doubles with each
/// consecutive failure, up to the refresh interval.
pub(super) const INITIAL_BACKOFF: Duration = Duration::from_secs(10);

/// All lookups to make, each once.
#[derive(Debug)]
pub(super) struct LookupQueue {
    replica: String,
    /// Lookups to make now. Some of them may have been removed or delayed since they were
    /// added here.
    due: VecDeque<LookupKey>,
    delayed: DelayQueue<LookupKey>,
    /// Every lookup that is due, in progress or delayed, with its position in
    /// `delayed`.
    scheduled: HashMap<LookupKey, Option<Key>>,
    /// The lookups whose last attempt failed.
    failing: HashMap<LookupKey, Failing>,
}

#[derive(Debug)]
struct Failing {
    /// The number of consecutive failures, at least 1.
    consecutive: u32,
    last: Failure,
}

impl LookupQueue {
    /// An empty queue. Exporters with different `replica` names make the same
    /// lookup at different times.
    pub(super) fn new(replica: String) -> Self {
        Self {
            replica,
            due: VecDeque::new(),
            delayed: DelayQueue::new(),
            scheduled: HashMap::new(),
            failing: HashMap::new(),
        }
    }

    /// Schedules a lookup for now, even if it was delayed. Has no effect while the lookup
    /// is in progress.
    pub(super) fn schedule_now(&mut self, key: LookupKey) {
        match self.scheduled.insert(key.clone(), None) {
            // Already due or in progress.
            Some(None) => {}
            Some(Some(position)) => {
                self.delayed.remove(&position);
                self.due.push_back(key);
            }
            None => self.due.push_back(key),
        }
    }

    /// Delays a scheduled lookup by the refresh interval, or by its back-off if its last
    /// attempt failed. Without a refresh interval, a lookup that succeeded is removed.
    /// Has no effect on a lookup that has been removed.
    pub(super) fn delay(&mut self, key: LookupKey, refresh_interval: Option<Duration>) {
        let Some(position) = self.scheduled.remove(&key) else { return };
        if let Some(position) = position {
            self.delayed.remove(&position);
        }
        if let Some(delay) = self.delay_of(&key, refresh_interval) {
            let position = self.delayed.insert(key.clone(), delay);
            self.scheduled.insert(key, Some(position));
        }
    }

    /// Applies changed refresh intervals to all delayed lookups.
    pub(super) fn apply_refresh_intervals(
        &mut self,
        refresh_interval: impl Fn(&LookupKey) -> Option<Duration>,
    ) {
        let delayed = self.scheduled.iter().filter(|(_, position)| position.is_some());
        let delayed: Vec<LookupKey> = delayed.map(|(key, _)| key.clone()).collect();
        for key in delayed {
            let interval = refresh_interval(&key);
            self.delay(key, interval);
        }
    }

    /// The next lookup to make now. The lookup stays scheduled while it is in progress.
    pub(super) fn pop_due(&mut self) -> Option<LookupKey> {
        while let Some(key) = self.due.pop_front() {
            // Skips lookups that have been removed or delayed since they were added. A
            // lookup is delayed while it is due if it was removed and scheduled again during
            // an attempt: the result of that attempt then makes another one unnecessary.
            if self.scheduled.get(&key) == Some(&None) {
                return Some(key);
            }
        }
        None
    }

    /// Makes the lookups `in_progress` due again after their attempts were aborted. Has no
    /// effect on lookups that have been removed.
    pub(super) fn restart(&mut self, in_progress: impl Iterator<Item = LookupKey>) {
        self.due.extend(in_progress.filter(|key| self.scheduled.contains_key(key)));
    }

    /// Waits until the delay of a lookup ends, and makes the lookup due. Cancel safe.
    pub(super) async fn delay_elapsed(&mut self) {
        match poll_fn(|context| self.delayed.poll_expired(context)).await {
            Some(expired) => {
                let key = expired.into_inner();
                self.scheduled.insert(key.clone(), None);
                self.due.push_back(key);
            }
            None => pending().await,
        }
    }

    pub(super) fn remove(&mut self, key: &LookupKey) {
        self.failing.remove(key);
        if let Some(Some(position)) = self.scheduled.remove(key) {
            self.delayed.remove(&position);
        }
    }

    pub(super) fn record_success(&mut self, key: &LookupKey) {
        self.failing.remove(key);
    }

    pub(super) fn record_failure(&mut self, key: &LookupKey, failure: Failure) {
        let consecutive = self.failing.get(key).map_or(0, |failing| failing.consecutive) + 1;
        self.failing.insert(key.clone(), Failing { consecutive, last: failure });
    }

    /// Schedules all failing lookups for now and resets their back-off.
    pub(super) fn retry_failing(&mut self) {
        for key in std::mem::take(&mut self.failing).into_keys() {
            self.schedule_now(key);
        }
    }

    /// Why the last attempt of the lookup failed, if it did.
    pub(super) fn failure(&self, key: &LookupKey) -> Option<&Failure> {
        self.failing.get(key).map(|failing| &failing.last)
    }

    pub(super) fn failing_lookups(&self) -> FailingLookups {
        let organization = self.failing.get(&LookupKey::Organization).map(|failing| failing.last.clone());
        let accounts = self.failing.len() - usize::from(organization.is_some());
        FailingLookups { organization, units: None, accounts }
    }

    fn delay_of(&self, key: &LookupKey, refresh_interval: Option<Duration>) -> Option<Duration> {
        let delay = match self.failing.get(key) {
            None => refresh_interval?,
            Some(Failing { consecutive, .. }) => {
                let backoff = INITIAL_BACKOFF.saturating_mul(1 << (consecutive - 1).min(16));
                refresh_interval.map_or(backoff, |interval| backoff.min(interval))
            }
        };
        // Shortens the delay by up to a tenth, to spread the lookups of many accounts and
        // of several exporters.
        let jitter = stable_hash(&[&self.replica, &format!("{key:?}")]) % 100;
        let jitter = u32::try_from(jitter).unwrap_or_default();
        Some(delay / 1000 * (1000 - jitter))
    }
}
