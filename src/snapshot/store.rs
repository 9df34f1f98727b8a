//! The store of all targets.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::owners::SeriesOwners;
use super::stats::SchedulerStats;
use super::{Change, NodeReport, Report, Slot, TargetState, TargetView};
use crate::clock::millis;
use crate::fleet::{AccountId, FailingLookups, NotPolled, PolledAccount, TargetKey, TargetList};
use crate::model::{Failure, UnixSeconds};

/// All targets and the state of each.
#[derive(Debug)]
pub struct Store {
    slots: ArcSwap<Vec<Arc<Slot>>>,
    /// [`TargetList::pending_lookups`].
    pending_lookups: AtomicUsize,
    /// [`TargetList::failing_lookups`].
    failing_lookups: ArcSwap<FailingLookups>,
    /// [`TargetList::accounts`].
    accounts: ArcSwap<Vec<PolledAccount>>,
    /// [`TargetList::not_polled`].
    not_polled: ArcSwap<Vec<NotPolled>>,
    stale_after_millis: AtomicU64,
    owners: Mutex<SeriesOwners>,
    changed: Notify,
    pub(crate) stats: SchedulerStats,
}

/// How long ago the targets that are up were last collected, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SnapshotAges {
    pub(crate) oldest: f64,
    /// Half of the targets were collected at least this long ago.
    pub(crate) median: f64,
}

impl Store {
    /// A store without targets. A failing target keeps its last good syncs for
    /// `stale_after`.
    #[must_use]
    pub fn new(stale_after: Duration) -> Self {
        Self {
            slots: ArcSwap::default(),
            pending_lookups: AtomicUsize::new(0),
            failing_lookups: ArcSwap::default(),
            accounts: ArcSwap::default(),
            not_polled: ArcSwap::default(),
            stale_after_millis: AtomicU64::new(millis(stale_after)),
            owners: Mutex::default(),
            changed: Notify::new(),
            stats: SchedulerStats::default(),
        }
    }

    /// Changes how long failing targets keep their syncs. Existing views are not affected.
    pub(crate) fn set_stale_after(&self, stale_after: Duration) {
        self.stale_after_millis.store(millis(stale_after), Ordering::Relaxed);
    }

    /// Replaces the targets:
    ///
    /// - a target that is not in `list` is removed with its state;
    /// - a target that stays keeps its slot;
    /// - a target whose credentials have changed gets a new slot with its previous state.
    ///
    /// Returns the new slots, whose targets should be collected as soon as possible.
    pub fn set_targets(&self, list: &TargetList) -> Vec<Arc<Slot>> {
        let old = self.slots.load_full();
        let mut old_by_key: HashMap<TargetKey, &Arc<Slot>> =
            old.iter().map(|slot| (slot.target().key(), slot)).collect();
        let (mut slots, mut new_slots) = (Vec::with_capacity(list.targets.len()), Vec::new());
        for target in &list.targets {
            let slot = match old_by_key.remove(&target.key()) {
                Some(slot) if slot.target().is_same_target_with_same_access(target) => {
                    if *slot.target() != *target {
                        slot.set_target(target);
                        if let Some(state) = slot.state().without_disabled_lookups(target) {
                            slot.set_state(state);
                        }
                    }
                    slots.push(Arc::clone(slot));
                    continue;
                }
                Some(replaced) => {
                    replaced.mark_removed();
                    let state = replaced.state();
                    Slot::new(target, state.without_disabled_lookups(target).map_or(state, Arc::new))
                }
                None => Slot::new(target, Arc::new(TargetState::new(target))),
            };
            let slot = Arc::new(slot);
            slots.push(Arc::clone(&slot));
            new_slots.push(slot);
        }
        for slot in old_by_key.into_values() {
            slot.mark_removed();
        }
        *self.owners.lock() = SeriesOwners::of(&slots);
        self.slots.store(Arc::new(slots));
        self.failing_lookups.store(Arc::new(list.failing_lookups.clone()));
        self.accounts.store(Arc::clone(&list.accounts));
        self.not_polled.store(Arc::new(list.not_polled.clone()));
        // Stored after the slots, so that a reader that sees no pending lookups also sees all
        // targets.
        self.pending_lookups.store(list.pending_lookups, Ordering::Release);
        self.changed.notify_one();
        new_slots
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.load().len()
    }

    /// The number of targets whose first collection has not ended.
    pub(crate) fn uncollected(&self) -> usize {
        self.slots.load().iter().filter(|slot| slot.peek_state().last.is_none()).count()
    }

    /// The number of targets that are up and whose first managed-node lookup has not ended yet.
    pub(crate) fn pending_node_lookups(&self) -> usize {
        let is_pending = |slot: &&Arc<Slot>| {
            let state = slot.peek_state();
            slot.peek_target().account.managed_nodes_interval.is_some()
                && state.allows_lookups()
                && !state.nodes.has_result()
        };
        self.slots.load().iter().filter(is_pending).count()
    }

    /// How long ago the targets that are up were collected, at `now`. `None` if no target is up.
    pub(crate) fn snapshot_ages(&self, now: UnixSeconds) -> Option<SnapshotAges> {
        let last_success_if_up = |slot: &Arc<Slot>| {
            let state = slot.peek_state();
            state.last_success.filter(|_| state.consecutive_failures == 0)
        };
        let slots = self.slots.load();
        let mut ages: Vec<f64> =
            slots.iter().filter_map(last_success_if_up).map(|at| (now - at).max(0.0)).collect();
        let middle = ages.len() / 2;
        if ages.is_empty() {
            return None;
        }
        let (_, median, older) = ages.select_nth_unstable_by(middle, f64::total_cmp);
        let median = *median;
        Some(SnapshotAges { median, oldest: older.iter().copied().fold(median, f64::max) })
    }

    /// The number of discovery lookups that have not had a result yet.
    pub(crate) fn pending_lookups(&self) -> usize {
        self.pending_lookups.load(Ordering::Acquire)
    }

    /// The discovery lookups whose last attempt failed.
    pub(crate) fn failing_lookups(&self) -> Arc<FailingLookups> {
        self.failing_lookups.load_full()
    }

    /// All accounts that are polled, also those without targets.
    pub(crate) fn accounts(&self) -> Arc<Vec<PolledAccount>> {
        self.accounts.load_full()
    }

    /// The accounts and regions that should be looked at, but are not polled.
    pub(crate) fn not_polled(&self) -> Arc<Vec<NotPolled>> {
        self.not_polled.load_full()
    }

    /// The slots of all targets, in the order of the target list. Until the targets change,
    /// every call returns the same `Arc`.
    #[must_use]
    pub fn slots(&self) -> Arc<Vec<Arc<Slot>>> {
        self.slots.load_full()
    }

    /// The target in `slot` as served at `now`.
    pub(crate) fn view(&self, slot: &Slot, now: UnixSeconds) -> TargetView {
        let stale_after = Duration::from_millis(self.stale_after_millis.load(Ordering::Relaxed));
        TargetView::new(slot.target(), slot.state(), now, stale_after)
    }

    /// Wakes the task that waits in [`changed`](Self::changed), because the same data must
    /// be rendered differently after a reload.
    pub(crate) fn notify_changed(&self) {
        self.changed.notify_one();
    }

    /// Waits for a change since the last call. Only one task may wait.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Updates a target with the report of its collection. Concurrent calls for the same
    /// target would lose updates; the scheduler never runs two collections of a target at
    /// the same time.
    pub fn record(&self, slot: &Slot, report: Report) -> Change {
        let Report { account, ended, took, mut outcome, invalid_items } = report;
        let mut state = TargetState::clone(&slot.peek_state());
        match (&state.account, account) {
            (None, Some(learned)) => match self.owners.lock().claim(&learned, &slot.target()) {
                Ok(()) => state.account = Some(learned),
                Err(failure) => outcome = Err(failure),
            },
            (Some(known), Some(learned)) if *known != learned => {
                outcome = Err(account_changed(known, &learned));
            }
            _ => {}
        }
        if outcome.is_ok() {
            state.has_invalid_items = invalid_items.is_some();
        }
        state.invalid_items_total += invalid_items.map_or(0, |items| items.number);
        let change = state.apply(ended, took, outcome);
        slot.set_state(state);
        self.changed.notify_one();
        change
    }

    /// Updates a target with the report of its managed-node lookup. Like [`record`](Self::record),
    /// this is called only by the scheduler.
    pub fn record_managed_nodes(&self, slot: &Slot, report: NodeReport) -> Change {
        let NodeReport { account, ended, mut outcome } = report;
        let mut state = TargetState::clone(&slot.peek_state());
        match (&state.account, account) {
            // While the lookup was in flight, another target became the owner of the account.
            (None, Some(_)) => return Change::None,
            (Some(known), Some(found)) if *known != found => {
                outcome = Err(account_changed(known, &found));
            }
            _ => {}
        }
        let change = state.nodes.apply(ended, outcome);
        slot.set_state(state);
        self.changed.notify_one();
        change
    }
}

/// The failure of a collection or a lookup whose credentials belong to the account `found`.
fn account_changed(known: &AccountId, found: &AccountId) -> Failure {
    Failure::wrong_account(format!("the credentials belong to account {found}, no longer to {known}"))
}
