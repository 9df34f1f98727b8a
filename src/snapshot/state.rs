//! The state of a target, and how the report of a collection changes it.

use std::sync::Arc;
use std::time::Duration;

use strum::EnumCount as _;

use super::managed_nodes::NodeState;
use crate::fleet::{AccountId, Target};
use crate::model::{DataSync, Failure, Reason, UnixSeconds};

/// The state of a target. A slot replaces it as a whole and never changes it in place.
#[derive(Clone, Debug)]
pub(crate) struct TargetState {
    /// The account id: configured, or learned by a collection.
    pub(crate) account: Option<AccountId>,
    /// The number of collections so far, successful or not.
    pub(crate) collections: u64,
    /// The number of failed collections, indexed by `Reason`.
    failures: [u64; Reason::COUNT],
    /// The number of failed collections since the last good one.
    pub(crate) consecutive_failures: u64,
    /// The last collection, successful or not; `None` before the first has ended.
    pub(crate) last: Option<LastCollection>,
    /// When the last good collection ended.
    pub(crate) last_success: Option<UnixSeconds>,
    /// The number of items that could not be used, in all collections.
    pub(crate) invalid_items_total: u64,
    /// Whether the last good collection listed items that could not be used.
    pub(crate) has_invalid_items: bool,
    /// The results of managed-node lookups.
    pub(crate) nodes: NodeState,
    /// The syncs of the last good collection. `TargetView` decides whether they are still
    /// served.
    pub(super) syncs: Option<Arc<[DataSync]>>,
}

#[derive(Clone, Debug)]
pub(crate) struct LastCollection {
    pub(crate) ended: UnixSeconds,
    pub(crate) took: Duration,
    /// Why the collection failed; `None` if it succeeded.
    pub(crate) failure: Option<Failure>,
}

/// How a collection or a managed-node lookup has changed the state of a target. The scheduler logs
/// it.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing to log: the target still succeeds, or still fails for the same reason.
    None,
    /// The first failure after a success, or the first collection failed.
    StartedFailing(Failure),
    /// The target still fails, but for another reason.
    ReasonChanged(Failure),
    /// The first success after failures.
    Recovered {
        /// The number of failures in a row.
        failures: u64,
        /// The last failure.
        last: Failure,
    },
}

impl Change {
    /// The change caused by a success. `previous_failure` is the last of `failures` failures in a row, if
    /// there were any.
    pub(super) fn of_success(previous_failure: Option<Failure>, failures: u64) -> Self {
        previous_failure.map_or(Self::None, |last| Self::Recovered { failures, last })
    }

    /// The change caused by `failure`.
    pub(super) fn of_failure(previous_failure: Option<Failure>, failure: Failure) -> Self {
        match previous_failure {
            None => Self::StartedFailing(failure),
            Some(previous) if previous.reason != failure.reason => Self::ReasonChanged(failure),
            Some(_) => Self::None,
        }
    }
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
            invalid_items_total: 0,
            has_invalid_items: false,
            nodes: NodeState::default(),
            syncs: None,
        }
    }

    /// The number of collections that failed for `reason`.
    pub(crate) fn failures(&self, reason: Reason) -> u64 {
        self.failures[reason as usize]
    }

    /// Whether managed nodes may be looked up: the target is up, and its account is known. The account is
    /// no longer known if another target turned out to be responsible for it.
    pub(crate) fn allows_lookups(&self) -> bool {
        self.last.is_some() && self.consecutive_failures == 0 && self.account.is_some()
    }

    /// The same state without the learned account id, the syncs and the results of managed-node lookups.
    pub(super) fn without_account(&self) -> Self {
        Self { account: None, nodes: NodeState::default(), syncs: None, ..self.clone() }
    }

    /// The same state without the results of managed-node lookups. `None` if there are no results, or if
    /// lookups are still enabled for `target`.
    pub(super) fn without_disabled_lookups(&self, target: &Target) -> Option<Self> {
        let is_disabled = target.account.managed_nodes_interval.is_none();
        let forgets = is_disabled && self.nodes.has_result();
        forgets.then(|| Self { nodes: NodeState::default(), ..self.clone() })
    }

    /// Updates the state with a collection that ended at `ended`.
    pub(super) fn apply(
        &mut self,
        ended: UnixSeconds,
        took: Duration,
        outcome: Result<Vec<DataSync>, Failure>,
    ) -> Change {
        self.collections += 1;
        let previous_failure = self.last.take().and_then(|last| last.failure);
        let (failure, change) = match outcome {
            Ok(syncs) => {
                self.syncs = Some(syncs.into());
                self.last_success = Some(ended);
                let failures = std::mem::take(&mut self.consecutive_failures);
                (None, Change::of_success(previous_failure, failures))
            }
            Err(failure) => {
                if failure.is_wrong_account {
                    self.syncs = None;
                    self.nodes = NodeState::default();
                }
                self.failures[failure.reason as usize] += 1;
                self.consecutive_failures += 1;
                let change = Change::of_failure(previous_failure, failure.clone());
                (Some(failure), change)
            }
        };
        self.last = Some(LastCollection { ended, took, failure });
        change
    }
}
