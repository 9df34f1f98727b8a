//! A target as served at a given time.

use std::sync::Arc;
use std::time::Duration;

use super::{ManagedNodes, Slot, TargetState};
use crate::fleet::Target;
use crate::model::{DataSync, UnixSeconds};

/// A target as served at a given time. The view decides whether the last good syncs of a
/// failing target are still served.
#[derive(Debug)]
pub(crate) struct TargetView {
    target: Arc<Target>,
    pub(crate) state: Arc<TargetState>,
    serves_syncs: bool,
    /// Until when the view stays correct if neither the target nor its state changes.
    valid_until: UnixSeconds,
}

impl TargetView {
    /// The view at `now`. A failing target keeps its syncs until `stale_after` has passed
    /// since its last success.
    pub(super) fn new(
        target: Arc<Target>,
        state: Arc<TargetState>,
        now: UnixSeconds,
        stale_after: Duration,
    ) -> Self {
        let served_until = match state.last_success {
            Some(last_success) if state.consecutive_failures > 0 => last_success + stale_after.as_secs_f64(),
            _ => UnixSeconds::INFINITY,
        };
        let serves_syncs = now <= served_until;
        // A view that no longer serves its syncs stays valid, so the syncs do not return if the
        // clock is set back.
        let valid_until = if serves_syncs { served_until } else { UnixSeconds::INFINITY };
        Self { target, state, serves_syncs, valid_until }
    }

    /// Whether this view may still be used for `slot` at `now`: neither the target nor its
    /// state has changed, and its syncs have not become stale since.
    pub(crate) fn is_current(&self, slot: &Slot, now: UnixSeconds) -> bool {
        Arc::ptr_eq(&slot.peek_state(), &self.state)
            && Arc::ptr_eq(&slot.peek_target(), &self.target)
            && now <= self.valid_until
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// The account id, or `unknown` with the profile, see [`crate::fleet::Account::display_id`].
    pub(crate) fn display_id(&self) -> String {
        self.target.account.display_id(self.state.account.as_ref())
    }

    /// Whether the last collection succeeded; `None` before the first has ended.
    pub(crate) fn up(&self) -> Option<bool> {
        self.state.last.as_ref().map(|last| last.failure.is_none())
    }

    /// Whether there are managed nodes. `None` if lookups are not enabled for the target.
    pub(crate) fn managed_nodes(&self) -> Option<ManagedNodes<'_>> {
        self.target.account.managed_nodes_interval?;
        if self.serves_syncs { Some(self.state.nodes.managed_nodes()) } else { Some(ManagedNodes::Pending) }
    }

    /// The syncs of the last good collection. `None` if there has been none, if it is older
    /// than `stale_after` and the target is failing, or if the syncs turned out to belong to
    /// another account.
    pub(crate) fn syncs(&self) -> Option<&[DataSync]> {
        self.state.syncs.as_deref().filter(|_| self.serves_syncs)
    }
}
