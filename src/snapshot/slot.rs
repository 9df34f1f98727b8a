//! A target's cell in the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};

use super::TargetState;
use crate::fleet::Target;

/// A target's cell in the [`Store`](super::Store), which the scheduler and the renderers
/// share.
#[derive(Debug)]
pub struct Slot {
    /// Only the account's name and default region ever change.
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

    /// Whether the store has dropped this slot, so that the target is not to be polled
    /// any longer, or not with these credentials.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// The target without touching its reference count, to be dropped soon.
    pub(super) fn peek_target(&self) -> Guard<Arc<Target>> {
        self.target.load()
    }

    /// The state without touching its reference count, to be dropped soon.
    pub(super) fn peek_state(&self) -> Guard<Arc<TargetState>> {
        self.state.load()
    }

    pub(super) fn set_target(&self, target: &Target) {
        self.target.store(Arc::new(target.clone()));
    }

    pub(super) fn set_state(&self, state: TargetState) {
        self.state.store(Arc::new(state));
    }

    pub(super) fn remove(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }
}
