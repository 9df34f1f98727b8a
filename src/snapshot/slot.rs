//! A target's entry in the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};

use super::TargetState;
use crate::fleet::Target;

/// A target's entry in the [`Store`](super::Store), shared by the scheduler and the readers.
#[derive(Debug)]
pub struct Slot {
    /// Only the account's name and organizational units change, and its default region within
    /// the same partition. For any other change, the target gets a new slot.
    target: ArcSwap<Target>,
    state: ArcSwap<TargetState>,
    removed: AtomicBool,
}

impl Slot {
    pub(super) fn new(target: &Target, state: Arc<TargetState>) -> Self {
        Self {
            target: ArcSwap::from_pointee(target.clone()),
            state: ArcSwap::new(state),
            removed: AtomicBool::new(false),
        }
    }

    pub(crate) fn target(&self) -> Arc<Target> {
        self.target.load_full()
    }

    pub(crate) fn state(&self) -> Arc<TargetState> {
        self.state.load_full()
    }

    /// Whether the store has dropped this slot. The target is then no longer polled, or it
    /// has a new slot because its credentials have changed.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// The target without the cost of a reference count. The guard should be short-lived.
    pub(super) fn peek_target(&self) -> Guard<Arc<Target>> {
        self.target.load()
    }

    /// The state without the cost of a reference count. The guard should be short-lived.
    pub(super) fn peek_state(&self) -> Guard<Arc<TargetState>> {
        self.state.load()
    }

    pub(super) fn set_target(&self, target: &Target) {
        self.target.store(Arc::new(target.clone()));
    }

    pub(super) fn set_state(&self, state: TargetState) {
        self.state.store(Arc::new(state));
    }

    pub(super) fn mark_removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }
}
