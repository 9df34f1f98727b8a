//! What is known: the last good collection of every target, and how each
//! target fares.
//!
//! Collections write and scrapes read without waiting for each other: each
//! target has a slot, whose state is replaced whole, and so is the list of
//! slots. A reader takes all the states it wants first and works on those, so
//! that no target is half old and half new within one scrape.
//!
//! There is one writer, the scheduler.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use strum::EnumCount as _;
use tokio::sync::Notify;

use crate::clock::millis;
use crate::fleet::{AccountId, RegionName, Target, TargetKey, TargetList};
use crate::model::{DataSync, Failure, Reason, UnixSeconds};

use crate::fleet::Unresolved;

/// What one collection of one target brought. A failure is a part of it, not
/// an `Err`: the rest is worth as much.
#[derive(Debug)]
pub struct Report {
    /// The account's id, where the collection has learned it.
    pub account: Option<AccountId>,
    /// When the collection ended.
    pub ended: UnixSeconds,
    /// How long it took.
    pub took: Duration,
    /// All syncs of the target, each once; or why they could not be had.
    pub outcome: Result<Vec<DataSync>, Failure>,
}

/// All targets and what is known of each.
#[derive(Debug)]
pub struct Store {
    slots: ArcSwap<Vec<Arc<Slot>>>,
    /// How many answers are pending that may bring more targets.
    pending: AtomicUsize,
    /// What could not be found out, so that there may be more of them, too.
    unresolved: ArcSwap<Unresolved>,
    /// In milliseconds.
    stale_after: AtomicU64,
    /// Which target shows which account and region. Two that showed the same
    /// would emit the same series twice.
    claims: Mutex<Claims>,
    changed: Notify,
    /// How the collecting itself goes.
    pub stats: SchedulerStats,
}

type Claims = HashMap<(AccountId, RegionName), TargetKey>;

/// How the collecting itself goes.
#[derive(Debug, Default)]
pub struct SchedulerStats {
    in_flight: AtomicUsize,
    overruns: AtomicU64,
    heartbeats: AtomicU64,
}

impl SchedulerStats {
    /// Says how many collections are under way.
    pub fn set_in_flight(&self, number: usize) {
        self.in_flight.store(number, Ordering::Relaxed);
    }

    /// How many collections are under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts turns that a target has missed because its last collection took
    /// too long to end.
    pub fn add_overruns(&self, number: u64) {
        self.overruns.fetch_add(number, Ordering::Relaxed);
    }

    /// Counts a sign of life.
    pub fn heartbeat(&self) {
        self.heartbeats.fetch_add(1, Ordering::Relaxed);
    }

    /// How many signs of life there have been.
    pub fn heartbeats(&self) -> u64 {
        self.heartbeats.load(Ordering::Relaxed)
    }

    /// How many turns have been missed.
    pub fn overruns(&self) -> u64 {
        self.overruns.load(Ordering::Relaxed)
    }
}

/// The place of a target in the [`Store`].
#[derive(Debug)]
pub struct Slot {
    /// Only the account's name ever changes.
    target: ArcSwap<Target>,
    state: ArcSwap<TargetState>,
    gone: AtomicBool,
}

impl Slot {
    fn new(target: &Target, state: Arc<TargetState>) -> Self {
        Self {
            target: ArcSwap::from_pointee(target.clone()),
            state: ArcSwap::new(state),
            gone: AtomicBool::new(false),
        }
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> Arc<Target> {
        self.target.load_full()
    }

    /// Whether the target is not to be polled any longer, at least not from
    /// this place.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// How it fares.
    #[must_use]
    pub fn state(&self) -> Arc<TargetState> {
        self.state.load_full()
    }
}

/// How a target fares.
#[derive(Clone, Debug)]
pub struct TargetState {
    /// The account's id: given, or learned by a collection.
    pub account: Option<AccountId>,
    /// How many collections have ended.
    pub collections: u64,
    /// How many of them failed, by [`Reason::ALL`].
    failures: [u64; Reason::COUNT],
    /// How many have failed since the last good one.
    pub consecutive_failures: u64,
    /// The last one, good or bad.
    pub last: Option<LastCollection>,
    /// When the last good one ended.
    pub last_success: Option<UnixSeconds>,
    syncs: Option<Arc<[DataSync]>>,
}

/// How a collection went.
#[derive(Clone, Debug)]
pub struct LastCollection {
    /// When it ended.
    pub ended: UnixSeconds,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

impl TargetState {
    /// Nothing is known of `target` yet.
    fn of(target: &Target) -> Self {
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

    /// How often collections have failed for `reason`.
    #[must_use]
    pub fn failures(&self, reason: Reason) -> u64 {
        self.failures[reason as usize]
    }
}

/// What has changed with a target's last collection, for the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing worth telling.
    None,
    /// It has begun to fail.
    Failing(Failure),
    /// It fails for another reason than before.
    FailingOtherwise(Failure),
    /// It is well again, after so many failures.
    Recovered {
        /// How many.
        failures: u64,
        /// The last of them.
        last: Failure,
    },
}

impl Store {
    /// A store without targets. Those that fail keep their syncs for
    /// `stale_after`.
    #[must_use]
    pub fn new(stale_after: Duration) -> Self {
        Self {
            slots: ArcSwap::default(),
            pending: AtomicUsize::new(0),
            unresolved: ArcSwap::default(),
            stale_after: AtomicU64::new(millis(stale_after)),
            claims: Mutex::default(),
            changed: Notify::new(),
            stats: SchedulerStats::default(),
        }
    }

    /// From now on, targets that fail keep their syncs for `stale_after`. A view
    /// that was made before goes on as before.
    pub fn set_stale_after(&self, stale_after: Duration) {
        self.stale_after.store(millis(stale_after), Ordering::Relaxed);
    }

    /// Takes in a new plan: what is not in it is gone, with all its series;
    /// what was there stays as it is. Returns the slots of those targets that
    /// are new or reached in another way than before.
    pub fn adopt(&self, plan: &TargetList) -> Vec<Arc<Slot>> {
        let before = self.slots.load_full();
        let mut known: HashMap<TargetKey, &Arc<Slot>> =
            before.iter().map(|slot| (slot.target().key(), slot)).collect();
        let (mut slots, mut new) = (Vec::with_capacity(plan.targets.len()), Vec::new());
        for target in &plan.targets {
            let slot = match known.remove(&target.key()) {
                Some(slot) if slot.target().has_same_access_as(target) => {
                    if *slot.target() != *target {
                        slot.target.store(Arc::new(target.clone()));
                    }
                    slots.push(Arc::clone(slot));
                    continue;
                }
                Some(changed) => {
                    changed.gone.store(true, Ordering::Relaxed);
                    Slot::new(target, changed.state())
                }
                None => Slot::new(target, Arc::new(TargetState::of(target))),
            };
            let slot = Arc::new(slot);
            slots.push(Arc::clone(&slot));
            new.push(slot);
        }
        for gone in known.into_values() {
            gone.gone.store(true, Ordering::Relaxed);
        }
        *self.claims.lock() = claims(&slots);
        self.slots.store(Arc::new(slots));
        self.unresolved.store(Arc::new(plan.unresolved.clone()));
        // After the slots: who sees that nothing is pending sees them all.
        self.pending.store(plan.pending, Ordering::Release);
        self.changed.notify_one();
        new
    }

    /// How many targets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.load().len()
    }

    /// Whether there is no target at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.load().is_empty()
    }

    /// How many targets have not had their first collection yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.slots.load().iter().filter(|slot| slot.state.load().last.is_none()).count()
    }

    /// How many answers are pending that may bring more targets.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Acquire)
    }

    /// What could not be found out when the plan was made.
    #[must_use]
    pub fn unresolved(&self) -> Arc<Unresolved> {
        self.unresolved.load_full()
    }

    /// The places of all targets, in the order of the plan. It is another list
    /// only after a new plan.
    #[must_use]
    pub fn slots(&self) -> Arc<Vec<Arc<Slot>>> {
        self.slots.load_full()
    }

    /// What is known of a target at this moment.
    #[must_use]
    pub fn view(&self, slot: &Slot, now: UnixSeconds) -> TargetView {
        let stale_after = Duration::from_millis(self.stale_after.load(Ordering::Relaxed));
        TargetView::new(slot.target(), slot.state(), now, stale_after)
    }

    /// Wakes who waits for something to be known, for what is known is to be shown in
    /// another way.
    pub fn announce(&self) {
        self.changed.notify_one();
    }

    /// Waits until something is known that was not when this was last pending.
    /// There may be one who waits.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes in the report of a collection of a target. The scheduler never has
    /// two collections of one target under way.
    pub fn record(&self, slot: &Slot, report: Report) -> Change {
        let Report { account, ended, took, mut outcome } = report;
        let mut state = TargetState::clone(&slot.state.load());

        match (&state.account, account) {
            (None, Some(learned)) => match self.claim(&learned, &slot.target()) {
                Ok(()) => state.account = Some(learned),
                Err(failure) => outcome = Err(failure),
            },
            (Some(known), Some(learned)) if *known != learned => {
                let message =
                    format!("the credentials belong to the account {learned} now and not to {known}");
                outcome = Err(Failure::wrong_account(message));
            }
            _ => {}
        }

        state.collections += 1;
        let before = state.last.take().and_then(|last| last.failure);
        let (failure, change) = match outcome {
            Ok(syncs) => {
                state.syncs = Some(syncs.into());
                state.last_success = Some(ended);
                let failures = std::mem::take(&mut state.consecutive_failures);
                let change = match before {
                    Some(last) => Change::Recovered { failures, last },
                    None => Change::None,
                };
                (None, change)
            }
            Err(failure) => {
                if failure.wrong_account {
                    state.syncs = None;
                }
                state.failures[failure.reason as usize] += 1;
                state.consecutive_failures += 1;
                let change = match before {
                    None => Change::Failing(failure.clone()),
                    Some(before) if before.reason != failure.reason => {
                        Change::FailingOtherwise(failure.clone())
                    }
                    Some(_) => Change::None,
                };
                (Some(failure), change)
            }
        };
        state.last = Some(LastCollection { ended, took, failure });
        slot.state.store(Arc::new(state));
        self.changed.notify_one();
        change
    }

    fn claim(&self, account: &AccountId, target: &Target) -> Result<(), Failure> {
        match self.claims.lock().entry((account.clone(), target.region.clone())) {
            Entry::Vacant(free) => {
                free.insert(target.key());
                Ok(())
            }
            Entry::Occupied(taken) if *taken.get() == target.key() => Ok(()),
            Entry::Occupied(_) => {
                let region = &target.region;
                Err(Failure::new(
                    Reason::Credentials,
                    format!(
                        "the credentials belong to the account {account}, which is polled in {region} by another entry of the configuration"
                    ),
                ))
            }
        }
    }
}

/// Who shows what. Whose account is given comes first; a target that learned
/// its account to be one of those must not show it any longer.
fn claims(slots: &[Arc<Slot>]) -> Claims {
    let mut claims = Claims::new();
    for slot in slots {
        let target = slot.target();
        if let Some(id) = &target.account.id {
            claims.insert((id.clone(), target.region.clone()), target.key());
        }
    }
    for slot in slots.iter().filter(|slot| slot.target().account.id.is_none()) {
        let (target, state) = (slot.target(), slot.state());
        let Some(learned) = &state.account else { continue };
        match claims.entry((learned.clone(), target.region.clone())) {
            Entry::Vacant(free) => {
                free.insert(target.key());
            }
            Entry::Occupied(_) => {
                let state = TargetState { account: None, syncs: None, ..TargetState::clone(&state) };
                slot.state.store(Arc::new(state));
            }
        }
    }
    claims
}

/// One target at one moment.
#[derive(Debug)]
pub struct TargetView {
    target: Arc<Target>,
    /// How it fares.
    pub state: Arc<TargetState>,
    shows_syncs: bool,
    /// The last moment of which it says what is known, unless that changes.
    until: UnixSeconds,
}

impl TargetView {
    fn new(target: Arc<Target>, state: Arc<TargetState>, now: UnixSeconds, stale_after: Duration) -> Self {
        let until = match state.last_success {
            Some(last_success) if state.consecutive_failures > 0 => last_success + stale_after.as_secs_f64(),
            _ => UnixSeconds::INFINITY,
        };
        let shows_syncs = now <= until;
        // The clock may be set back, but that is no reason to look for it.
        let until = if shows_syncs { until } else { UnixSeconds::INFINITY };
        Self { target, state, shows_syncs, until }
    }

    /// Whether this is still what is known of the target in `slot`.
    #[must_use]
    pub fn is_current(&self, slot: &Slot, now: UnixSeconds) -> bool {
        Arc::ptr_eq(&slot.state.load(), &self.state)
            && Arc::ptr_eq(&slot.target.load(), &self.target)
            && now <= self.until
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether the last collection succeeded; `None` before the first.
    #[must_use]
    pub fn up(&self) -> Option<bool> {
        self.state.last.as_ref().map(|last| last.failure.is_none())
    }

    /// The syncs of the last good collection: none if there has been no good
    /// one, or if the target has been failing for too long since.
    #[must_use]
    pub fn syncs(&self) -> Option<&[DataSync]> {
        self.state.syncs.as_deref().filter(|_| self.shows_syncs)
    }
}

#[cfg(test)]
mod tests;
