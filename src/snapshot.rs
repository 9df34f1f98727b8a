//! What is known: the last good collection of every target, and how each
//! target fares.
//!
//! Collections write and scrapes read without waiting for each other: each
//! target has a slot, whose state is replaced whole. A reader takes all the
//! states it wants first and works on those, so that no target is half old
//! and half new within one scrape.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::model::{DataSync, Failure, Reason, Report, UnixSeconds};
use crate::target::{AccountId, RegionName, Target};

/// All targets and what is known of each.
#[derive(Debug)]
pub struct Store {
    slots: Vec<Slot>,
    stale_after: Duration,
    /// Which slot shows which account and region. Two slots that showed the
    /// same would emit the same series twice.
    claims: Mutex<HashMap<(AccountId, RegionName), usize>>,
    /// How the collecting itself goes.
    pub activity: Activity,
}

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

#[derive(Debug)]
struct Slot {
    target: Target,
    state: ArcSwap<TargetState>,
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
    },
}

impl Store {
    /// A store in which nothing is known of `targets` yet.
    #[must_use]
    pub fn new(targets: Vec<Target>, stale_after: Duration) -> Self {
        let mut claims = HashMap::new();
        for (index, target) in targets.iter().enumerate() {
            if let Some(id) = &target.account.id {
                claims.insert((id.clone(), target.region.clone()), index);
            }
        }
        let slots = targets
            .into_iter()
            .map(|target| Slot {
                state: ArcSwap::from_pointee(TargetState {
                    account: target.account.id.clone(),
                    collections: 0,
                    failures: [0; Reason::ALL.len()],
                    consecutive_failures: 0,
                    last: None,
                    last_success: None,
                    syncs: None,
                }),
                target,
            })
            .collect();
        Self { slots, stale_after, claims: Mutex::new(claims), activity: Activity::default() }
    }

    /// How many targets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no target at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The target at `index`.
    #[must_use]
    pub fn target(&self, index: usize) -> Option<&Target> {
        self.slots.get(index).map(|slot| &slot.target)
    }

    /// How many targets have not had their first collection yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.slots.iter().filter(|slot| slot.state.load().last.is_none()).count()
    }

    /// Everything that is known at this moment.
    #[must_use]
    pub fn snapshot(&self, now: UnixSeconds) -> Snapshot<'_> {
        let targets = self
            .slots
            .iter()
            .map(|slot| TargetView {
                target: &slot.target,
                state: slot.state.load_full(),
                now,
                stale_after: self.stale_after,
            })
            .collect();
        Snapshot { targets, now }
    }

    /// Takes in the report of a collection of the target at `index`.
    ///
    /// There is one writer at a time for each target: the scheduler never
    /// has two collections of one target under way.
    pub fn record(&self, index: usize, report: Report) -> Change {
        let Some(slot) = self.slots.get(index) else { return Change::None };
        let Report { account, ended, took, mut outcome } = report;
        let mut state = TargetState::clone(&slot.state.load());

        match (&state.account, account) {
            (None, Some(learned)) => match self.claim(&learned, &slot.target.region, index) {
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
                (None, if failures > 0 { Change::Recovered { failures } } else { Change::None })
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

    fn claim(&self, account: &AccountId, region: &RegionName, index: usize) -> Result<(), Failure> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        match claims.entry((account.clone(), region.clone())) {
            Entry::Vacant(free) => {
                free.insert(index);
                Ok(())
            }
            Entry::Occupied(taken) if *taken.get() == index => Ok(()),
            Entry::Occupied(_) => Err(Failure::new(
                Reason::Credentials,
                format!(
                    "the credentials belong to the account {account}, which is polled in {region} by another entry of the configuration"
                ),
            )),
        }
    }
}

/// Everything that was known at one moment.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// Every target, in the order of the configuration.
    pub targets: Vec<TargetView<'a>>,
    /// The moment.
    pub now: UnixSeconds,
}

/// One target at one moment.
#[derive(Debug)]
pub struct TargetView<'a> {
    /// The target.
    pub target: &'a Target,
    /// How it fares.
    pub state: Arc<TargetState>,
    /// The moment.
    pub now: UnixSeconds,
    stale_after: Duration,
}

impl TargetView<'_> {
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
                name: None,
                access: Access { profile: profile.map(ToOwned::to_owned), roles: Vec::new() },
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

    fn store() -> Store {
        Store::new(vec![target(Some("111122223333"), None)], Duration::from_mins(30))
    }

    #[test]
    fn nothing_is_known_before_the_first_collection() {
        let store = store();
        let snapshot = store.snapshot(0.0);
        assert_eq!(snapshot.targets[0].up(), None);
        assert_eq!(snapshot.targets[0].syncs(), None);
        assert_eq!(store.waiting(), 1);
    }

    #[test]
    fn a_failing_target_keeps_its_syncs_for_a_while() {
        let store = store();
        store.record(0, report(1000.0, Ok(0)));
        store.record(0, report(1300.0, Err(Reason::Timeout)));
        assert!(store.snapshot(1000.0 + 1800.0).targets[0].syncs().is_some());
        assert!(store.snapshot(1000.0 + 1800.1).targets[0].syncs().is_none());
        // A new success brings them back.
        store.record(0, report(4000.0, Ok(0)));
        assert!(store.snapshot(4000.0).targets[0].syncs().is_some());
    }

    #[test]
    fn a_target_that_is_merely_not_due_does_not_go_stale() {
        let store = store();
        store.record(0, report(1000.0, Ok(0)));
        assert!(store.snapshot(100_000.0).targets[0].syncs().is_some());
    }

    #[test]
    fn the_log_is_told_when_failing_begins_changes_and_ends() {
        let store = store();
        let told = |outcome| match store.record(0, report(0.0, outcome)) {
            Change::None => "nothing".to_owned(),
            Change::Failing(failure) => format!("failing: {}", failure.reason),
            Change::FailingOtherwise(failure) => format!("otherwise: {}", failure.reason),
            Change::Recovered { failures } => format!("recovered after {failures}"),
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
        let store = Store::new(vec![target(None, Some("a"))], Duration::from_mins(30));
        let learned = |id: &str| Report { account: Some(id.parse().unwrap()), ..report(0.0, Ok(0)) };
        store.record(0, learned("111122223333"));
        assert!(store.snapshot(0.0).targets[0].syncs().is_some());
        store.record(0, learned("444455556666"));
        let snapshot = store.snapshot(0.0);
        assert_eq!(snapshot.targets[0].syncs(), None);
        assert_eq!(snapshot.targets[0].state.account.as_ref().unwrap().as_str(), "111122223333");
        assert_eq!(snapshot.targets[0].state.failures(Reason::Credentials), 1);
    }

    #[test]
    fn two_targets_never_show_the_same_account_and_region() {
        let store = Store::new(
            vec![target(Some("111122223333"), None), target(None, Some("a")), target(None, Some("b"))],
            Duration::from_mins(30),
        );
        let learned = |id: &str| Report { account: Some(id.parse().unwrap()), ..report(0.0, Ok(0)) };
        store.record(1, learned("111122223333"));
        store.record(2, learned("444455556666"));
        store.record(2, learned("444455556666"));
        let snapshot = store.snapshot(0.0);
        assert_eq!(snapshot.targets[1].up(), Some(false));
        assert_eq!(snapshot.targets[1].state.account, None);
        assert_eq!(snapshot.targets[1].state.failures(Reason::Credentials), 1);
        assert_eq!(snapshot.targets[2].up(), Some(true));
        assert_eq!(snapshot.targets[2].state.account.as_ref().unwrap().as_str(), "444455556666");
    }
}
