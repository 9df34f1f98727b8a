//! The state of a target, and how the report of a collection changes it.

use std::sync::Arc;
use std::time::Duration;

use strum::EnumCount as _;

use crate::fleet::{AccountId, Target};
use crate::model::{DataSync, Failure, Reason, UnixSeconds};

/// The state of a target. It is immutable once it is in a slot.
#[derive(Clone, Debug)]
pub(crate) struct TargetState {
    /// The account id: configured, or learned by a collection.
    pub(crate) account: Option<AccountId>,
    /// The number of collections so far, good or bad.
    pub(crate) collections: u64,
    /// The number of failed collections, indexed by `Reason`.
    failures: [u64; Reason::COUNT],
    /// The number of failed collections since the last good one.
    pub(crate) consecutive_failures: u64,
    /// The last collection, good or bad.
    pub(crate) last: Option<LastCollection>,
    /// When the last good collection ended.
    pub(crate) last_success: Option<UnixSeconds>,
    /// The syncs of the last good collection. Whether they are still served is up to
    /// the view.
    pub(super) syncs: Option<Arc<[DataSync]>>,
}

#[derive(Clone, Debug)]
pub(crate) struct LastCollection {
    /// When it ended.
    pub(crate) ended: UnixSeconds,
    /// Its duration.
    pub(crate) took: Duration,
    /// Why it failed; `None` if it succeeded.
    pub(crate) failure: Option<Failure>,
}

/// How a collection has changed the state of a target, for the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing to log: the target still succeeds, or still fails for the same reason.
    None,
    /// The first failure after a success, or at the start.
    StartedFailing(Failure),
    /// The target fails for another reason than before.
    ReasonChanged(Failure),
    /// The first success after failures.
    Recovered {
        /// The number of failures in a row.
        failures: u64,
        /// The last of them.
        last: Failure,
    },
}

impl TargetState {
    /// The state of a target before its first collection.
    pub(super) fn new(target: &Target) -> Self {
        Self {
            account: target.account.id.clone(),
            collections: 0,
            failures: [0; Reason::COUNT],
            consecutive_failures: 0,
            last: None,
            last_success: None,
            syncs: None,
        }
    }

    /// The number of collections that failed for `reason`.
    pub(crate) fn failures(&self, reason: Reason) -> u64 {
        self.failures[reason as usize]
    }

    /// The same state without the account id that was learned and the syncs collected
    /// with it.
    pub(super) fn without_account(&self) -> Self {
        Self { account: None, syncs: None, ..self.clone() }
    }

    /// Updates the state with a collection that ended at `ended`.
    pub(super) fn apply(
        &mut self,
        ended: UnixSeconds,
        took: Duration,
        outcome: Result<Vec<DataSync>, Failure>,
    ) -> Change {
        self.collections += 1;
        let before = self.last.take().and_then(|last| last.failure);
        let (failure, change) = match outcome {
            Ok(syncs) => {
                self.syncs = Some(syncs.into());
                self.last_success = Some(ended);
                let failures = std::mem::take(&mut self.consecutive_failures);
                let change = match before {
                    Some(last) => Change::Recovered { failures, last },
                    None => Change::None,
                };
                (None, change)
            }
            Err(failure) => {
                if failure.wrong_account {
                    self.syncs = None;
                }
                self.failures[failure.reason as usize] += 1;
                self.consecutive_failures += 1;
                let change = match before {
                    None => Change::StartedFailing(failure.clone()),
                    Some(before) if before.reason != failure.reason => Change::ReasonChanged(failure.clone()),
                    Some(_) => Change::None,
                };
                (Some(failure), change)
            }
        };
        self.last = Some(LastCollection { ended, took, failure });
        change
    }
}
