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
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::model::{DataSync, Failure, Reason, Report, UnixSeconds};
use crate::target::{AccountId, Plan, RegionName, Target, TargetKey};

/// All targets and what is known of each.
#[derive(Debug)]
pub struct Store {
    slots: ArcSwap<Vec<Arc<Slot>>>,
    /// How many answers are awaited that may bring more targets.
    awaited: AtomicUsize,
    stale_after: Duration,
    /// Which target shows which account and region. Two that showed the same
    /// would emit the same series twice.
    claims: Mutex<Claims>,
    /// How the collecting itself goes.
    pub activity: Activity,
}

type Claims = HashMap<(AccountId, RegionName), TargetKey>;

/// How the collecting itself goes.
#[derive(Debug, Default)]
pub struct Activity {
    in_flight: AtomicUsize,
    overruns: AtomicU64,
}

impl Activity {
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
    failures: [u64; Reason::ALL.len()],
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
            failures: [0; Reason::ALL.len()],
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
            awaited: AtomicUsize::new(0),
            stale_after,
            claims: Mutex::default(),
            activity: Activity::default(),
        }
    }

    /// Takes in a new plan: what is not in it is gone, with all its series;
    /// what was there stays as it is. Returns the slots of those targets that
    /// are new or reached in another way than before.
    pub fn adopt(&self, plan: &Plan) -> Vec<Arc<Slot>> {
        let before = self.slots.load_full();
        let mut known: HashMap<TargetKey, &Arc<Slot>> =
            before.iter().map(|slot| (slot.target().key(), slot)).collect();
        let (mut slots, mut new) = (Vec::with_capacity(plan.targets.len()), Vec::new());
        for target in &plan.targets {
            let slot = match known.remove(&target.key()) {
                Some(slot) if slot.target().is_reached_like(target) => {
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
        *self.claims() = claims(&slots);
        self.slots.store(Arc::new(slots));
        // After the slots: who sees that nothing is awaited sees them all.
        self.awaited.store(plan.awaited, Ordering::Release);
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

    /// How many answers are awaited that may bring more targets.
    #[must_use]
    pub fn awaited(&self) -> usize {
        self.awaited.load(Ordering::Acquire)
    }

    /// Everything that is known at this moment.
    #[must_use]
    pub fn snapshot(&self, now: UnixSeconds) -> Snapshot {
        let view = |slot: &Arc<Slot>| TargetView {
            target: slot.target(),
            state: slot.state(),
            now,
            stale_after: self.stale_after,
        };
        Snapshot { targets: self.slots.load().iter().map(view).collect(), now }
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
                outcome = Err(Failure::disowning(message));
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
                if failure.disowns {
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
        change
    }

    fn claim(&self, account: &AccountId, target: &Target) -> Result<(), Failure> {
        match self.claims().entry((account.clone(), target.region.clone())) {
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

    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Everything that was known at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Every target, in the order of the plan.
    pub targets: Vec<TargetView>,
    /// The moment.
    pub now: UnixSeconds,
}

/// One target at one moment.
#[derive(Debug)]
pub struct TargetView {
    target: Arc<Target>,
    /// How it fares.
    pub state: Arc<TargetState>,
    /// The moment.
    pub now: UnixSeconds,
    stale_after: Duration,
}

impl TargetView {
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
        let last_success = self.state.last_success?;
        let failing = self.state.consecutive_failures > 0;
        if failing && self.now - last_success > self.stale_after.as_secs_f64() {
            return None;
        }
        self.state.syncs.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Access, Account};

    fn target(id: Option<&str>, profile: Option<&str>) -> Target {
        Target {
            account: Arc::new(Account {
                id: id.map(|id| id.parse().unwrap()),
                access: Access { profile: profile.map(ToOwned::to_owned), roles: Vec::new() },
                ..Account::default()
            }),
            region: "eu-west-1".parse().unwrap(),
        }
    }

    fn report(ended: UnixSeconds, outcome: Result<usize, Reason>) -> Report {
        Report {
            account: None,
            ended,
            took: Duration::from_millis(5),
            outcome: outcome.map(|_| Vec::new()).map_err(|reason| Failure::new(reason, "why")),
        }
    }

    fn learned(id: &str) -> Report {
        Report { account: Some(id.parse().unwrap()), ..report(0.0, Ok(0)) }
    }

    fn store(targets: Vec<Target>) -> (Store, Vec<Arc<Slot>>) {
        let store = Store::new(Duration::from_mins(30));
        let slots = store.adopt(&Plan { targets, awaited: 0 });
        (store, slots)
    }

    fn one() -> (Store, Arc<Slot>) {
        let (store, mut slots) = store(vec![target(Some("111122223333"), None)]);
        (store, slots.remove(0))
    }

    #[test]
    fn nothing_is_known_before_the_first_collection() {
        let (store, _) = one();
        let snapshot = store.snapshot(0.0);
        assert_eq!(snapshot.targets[0].up(), None);
        assert_eq!(snapshot.targets[0].syncs(), None);
        assert_eq!(store.waiting(), 1);
    }

    #[test]
    fn a_failing_target_keeps_its_syncs_for_a_while() {
        let (store, slot) = one();
        store.record(&slot, report(1000.0, Ok(0)));
        store.record(&slot, report(1300.0, Err(Reason::Timeout)));
        assert!(store.snapshot(1000.0 + 1800.0).targets[0].syncs().is_some());
        assert!(store.snapshot(1000.0 + 1800.1).targets[0].syncs().is_none());
        // A new success brings them back.
        store.record(&slot, report(4000.0, Ok(0)));
        assert!(store.snapshot(4000.0).targets[0].syncs().is_some());
    }

    #[test]
    fn a_target_that_is_merely_not_due_does_not_go_stale() {
        let (store, slot) = one();
        store.record(&slot, report(1000.0, Ok(0)));
        assert!(store.snapshot(100_000.0).targets[0].syncs().is_some());
    }

    #[test]
    fn the_log_is_told_when_failing_begins_changes_and_ends() {
        let (store, slot) = one();
        let told = |outcome| match store.record(&slot, report(0.0, outcome)) {
            Change::None => "nothing".to_owned(),
            Change::Failing(failure) => format!("failing: {}", failure.reason),
            Change::FailingOtherwise(failure) => format!("otherwise: {}", failure.reason),
            Change::Recovered { failures, .. } => format!("recovered after {failures}"),
        };
        assert_eq!(told(Ok(0)), "nothing");
        assert_eq!(told(Err(Reason::Timeout)), "failing: timeout");
        assert_eq!(told(Err(Reason::Timeout)), "nothing");
        assert_eq!(told(Err(Reason::Throttled)), "otherwise: throttled");
        assert_eq!(told(Ok(0)), "recovered after 3");
        assert_eq!(told(Ok(0)), "nothing");
    }

    #[test]
    fn what_turns_out_to_be_another_accounts_is_not_shown_any_longer() {
        let (store, slots) = store(vec![target(None, Some("a"))]);
        store.record(&slots[0], learned("111122223333"));
        assert!(store.snapshot(0.0).targets[0].syncs().is_some());
        store.record(&slots[0], learned("444455556666"));
        let snapshot = store.snapshot(0.0);
        assert_eq!(snapshot.targets[0].syncs(), None);
        assert_eq!(snapshot.targets[0].state.account.as_ref().unwrap().as_str(), "111122223333");
        assert_eq!(snapshot.targets[0].state.failures(Reason::Credentials), 1);
    }

    #[test]
    fn two_targets_never_show_the_same_account_and_region() {
        let (store, slots) =
            store(vec![target(Some("111122223333"), None), target(None, Some("a")), target(None, Some("b"))]);
        store.record(&slots[1], learned("111122223333"));
        store.record(&slots[2], learned("444455556666"));
        store.record(&slots[2], learned("444455556666"));
        let snapshot = store.snapshot(0.0);
        assert_eq!(snapshot.targets[1].up(), Some(false));
        assert_eq!(snapshot.targets[1].state.account, None);
        assert_eq!(snapshot.targets[1].state.failures(Reason::Credentials), 1);
        assert_eq!(snapshot.targets[2].up(), Some(true));
        assert_eq!(snapshot.targets[2].state.account.as_ref().unwrap().as_str(), "444455556666");
    }

    #[test]
    fn a_new_plan_keeps_what_stays_and_drops_what_goes() {
        let (stays, goes) = (target(Some("111122223333"), None), target(Some("222233334444"), None));
        let comes = target(Some("333344445555"), None);
        let (store, slots) = store(vec![stays.clone(), goes.clone()]);
        store.record(&slots[0], report(0.0, Ok(0)));
        let new = store.adopt(&Plan { targets: vec![comes.clone(), stays.clone()], awaited: 2 });
        assert_eq!(new.iter().map(|slot| slot.target()).collect::<Vec<_>>(), [Arc::new(comes)]);
        assert_eq!((slots[0].is_gone(), slots[1].is_gone(), store.awaited()), (false, true, 2));
        let up: Vec<_> = store.snapshot(0.0).targets.iter().map(TargetView::up).collect();
        assert_eq!(up, [None, Some(true)]);
        // It comes back as one that nothing is known of.
        store.record(&slots[1], report(0.0, Ok(0)));
        let new = store.adopt(&Plan { targets: vec![goes], awaited: 0 });
        assert_eq!((new.len(), new[0].is_gone(), new[0].state().last.is_none()), (1, false, true));
        assert!(slots[0].is_gone());
    }

    #[test]
    fn a_name_that_is_found_later_changes_nothing_else() {
        let (store, slot) = one();
        let mut named = target(Some("111122223333"), None);
        named.account =
            Arc::new(Account { name: Some("production".to_owned()), ..Account::clone(&named.account) });
        assert!(store.adopt(&Plan { targets: vec![named], awaited: 0 }).is_empty());
        assert!(!slot.is_gone());
        let shown = store.snapshot(0.0).targets[0].target().account.name.clone();
        assert_eq!(shown.as_deref(), Some("production"));
    }

    #[test]
    fn a_target_that_is_reached_in_another_way_keeps_what_is_known_of_it() {
        let (store, slot) = one();
        store.record(&slot, report(7.0, Ok(0)));
        let changed = target(Some("111122223333"), Some("other"));
        let new = store.adopt(&Plan { targets: vec![changed], awaited: 0 });
        assert!(slot.is_gone());
        assert_eq!(new[0].state().last_success, Some(7.0));
    }

    #[test]
    fn an_account_that_turns_up_with_its_id_takes_it_from_the_profile_that_had_learned_it() {
        let (by_profile, by_id) = (target(None, Some("a")), target(Some("111122223333"), None));
        let (store, slots) = store(vec![by_profile.clone()]);
        store.record(&slots[0], learned("111122223333"));
        store.adopt(&Plan { targets: vec![by_profile, by_id], awaited: 0 });
        let shown = |index: usize| store.snapshot(0.0).targets[index].state.account.clone();
        assert_eq!((shown(0), shown(1).unwrap().as_str()), (None, "111122223333"));
        assert!(matches!(store.record(&slots[0], learned("111122223333")), Change::Failing(_)));
        assert_eq!(shown(0), None);
    }
}
