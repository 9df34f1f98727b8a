//! The results of the managed-node lookups of a target.

use super::Change;
use crate::fleet::AccountId;
use crate::model::{Failure, UnixSeconds};

/// The result of one managed-node lookup of one target.
#[derive(Debug)]
pub struct NodeReport {
    /// The account id, if the lookup asked STS for it.
    pub account: Option<AccountId>,
    /// When the lookup ended.
    pub ended: UnixSeconds,
    /// Whether there are managed nodes, or why the lookup failed.
    pub outcome: Result<bool, Failure>,
}

/// Whether there are managed nodes in a target, as far as the exporter knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ManagedNodes<'a> {
    /// The first lookup has not ended, or the target has been down for so long that its syncs are no
    /// longer served.
    Pending,
    /// The last lookup failed.
    Unknown(&'a Failure),
    Present,
    Absent,
}

/// The results of the lookups of a target so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeState {
    /// The answer to the last successful lookup.
    found: Option<bool>,
    /// When the last successful lookup ended.
    pub(crate) last_checked: Option<UnixSeconds>,
    /// When the last lookup that found no nodes ended.
    pub(crate) last_absent: Option<UnixSeconds>,
    /// Why the last lookup failed. `None` if it succeeded, or if there has been none.
    pub(crate) failure: Option<Failure>,
    /// The number of failed lookups since the last successful one.
    pub(crate) consecutive_failures: u64,
}

impl NodeState {
    /// Whether a lookup has ended, successful or not.
    pub(crate) fn has_result(&self) -> bool {
        self.failure.is_some() || self.found.is_some()
    }

    pub(super) fn managed_nodes(&self) -> ManagedNodes<'_> {
        match (&self.failure, self.found) {
            (Some(failure), _) => ManagedNodes::Unknown(failure),
            (None, Some(true)) => ManagedNodes::Present,
            (None, Some(false)) => ManagedNodes::Absent,
            (None, None) => ManagedNodes::Pending,
        }
    }

    /// Updates the state with a lookup that ended at `ended`.
    pub(super) fn apply(&mut self, ended: UnixSeconds, outcome: Result<bool, Failure>) -> Change {
        let previous_failure = self.failure.take();
        // The clock may have been ahead and set back since. A time in the future would hide stale syncs
        // until then.
        self.last_absent = self.last_absent.map(|at| at.min(ended));
        match outcome {
            Ok(found) => {
                self.found = Some(found);
                self.last_checked = Some(ended);
                if !found {
                    self.last_absent = Some(ended);
                }
                let failures = std::mem::take(&mut self.consecutive_failures);
                Change::of_success(previous_failure, failures)
            }
            Err(failure) => {
                self.consecutive_failures += 1;
                self.failure = Some(failure.clone());
                Change::of_failure(previous_failure, failure)
            }
        }
    }
}
