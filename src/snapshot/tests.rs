//! Tests what the store keeps of each collection, and for how long.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::fleet::{Access, Account, Target, TargetList};
use crate::model::{Failure, Reason, UnixSeconds};

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

fn report(ended: UnixSeconds, outcome: Result<(), Reason>) -> Report {
    Report {
        account: None,
        ended,
        took: Duration::from_millis(5),
        outcome: outcome.map(|()| Vec::new()).map_err(|reason| Failure::new(reason, "message")),
        invalid_items: None,
    }
}

fn report_with_learned_id(id: &str) -> Report {
    Report { account: Some(id.parse().unwrap()), ..report(0.0, Ok(())) }
}

fn store_of(targets: Vec<Target>) -> (Store, Vec<Arc<Slot>>) {
    let store = Store::new(Duration::from_mins(30));
    let slots = store.set_targets(&TargetList { targets, pending_lookups: 0, ..TargetList::default() });
    (store, slots)
}

fn store_of_one_target() -> (Store, Arc<Slot>) {
    let (store, mut slots) = store_of(vec![target(Some("111122223333"), None)]);
    (store, slots.remove(0))
}

fn view(store: &Store, index: usize, now: UnixSeconds) -> TargetView {
    store.view(&store.slots()[index], now)
}

#[test]
fn a_target_is_neither_up_nor_down_before_its_first_collection() {
    let (store, _) = store_of_one_target();
    assert_eq!(view(&store, 0, 0.0).up(), None);
    assert_eq!(view(&store, 0, 0.0).syncs(), None);
    assert_eq!(store.uncollected(), 1);
}

#[test]
fn a_failing_target_keeps_its_syncs_until_stale_after_has_passed() {
    let (store, slot) = store_of_one_target();
    store.record(&slot, report(1000.0, Ok(())));
    store.record(&slot, report(1300.0, Err(Reason::Timeout)));
    assert!(view(&store, 0, 1000.0 + 1800.0).syncs().is_some());
    assert!(view(&store, 0, 1000.0 + 1800.1).syncs().is_none());
    // Syncs are served again after the next success.
    store.record(&slot, report(4000.0, Ok(())));
    assert!(view(&store, 0, 4000.0).syncs().is_some());
}

#[test]
fn the_syncs_of_a_healthy_target_do_not_become_stale() {
    let (store, slot) = store_of_one_target();
    store.record(&slot, report(1000.0, Ok(())));
    assert!(view(&store, 0, 100_000.0).syncs().is_some());
}

#[test]
fn a_change_is_returned_when_a_target_starts_failing_fails_for_another_reason_and_recovers() {
    let (store, slot) = store_of_one_target();
    let change = |outcome| match store.record(&slot, report(0.0, outcome)) {
        Change::None => "none".to_owned(),
        Change::StartedFailing(failure) => format!("started failing: {}", failure.reason),
        Change::ReasonChanged(failure) => format!("reason changed: {}", failure.reason),
        Change::Recovered { failures, .. } => format!("recovered after {failures}"),
    };
    assert_eq!(change(Ok(())), "none");
    assert_eq!(change(Err(Reason::Timeout)), "started failing: timeout");
    assert_eq!(change(Err(Reason::Timeout)), "none");
    assert_eq!(change(Err(Reason::Throttled)), "reason changed: throttled");
    assert_eq!(change(Ok(())), "recovered after 3");
    assert_eq!(change(Ok(())), "none");
}

#[test]
fn syncs_are_dropped_when_the_credentials_belong_to_another_account() {
    let (store, slots) = store_of(vec![target(None, Some("a"))]);
    store.record(&slots[0], report_with_learned_id("111122223333"));
    assert!(view(&store, 0, 0.0).syncs().is_some());
    store.record(&slots[0], report_with_learned_id("444455556666"));
    assert_eq!(view(&store, 0, 0.0).syncs(), None);
    assert_eq!(view(&store, 0, 0.0).state.account.as_ref().unwrap().as_str(), "111122223333");
    assert_eq!(view(&store, 0, 0.0).state.failures(Reason::Credentials), 1);
}

#[test]
fn two_targets_never_serve_the_same_account_and_region() {
    let (store, slots) =
        store_of(vec![target(Some("111122223333"), None), target(None, Some("a")), target(None, Some("b"))]);
    store.record(&slots[1], report_with_learned_id("111122223333"));
    store.record(&slots[2], report_with_learned_id("444455556666"));
    store.record(&slots[2], report_with_learned_id("444455556666"));
    assert_eq!(view(&store, 1, 0.0).up(), Some(false));
    assert_eq!(view(&store, 1, 0.0).state.account, None);
    assert_eq!(view(&store, 1, 0.0).state.failures(Reason::Credentials), 1);
    assert_eq!(view(&store, 2, 0.0).up(), Some(true));
    assert_eq!(view(&store, 2, 0.0).state.account.as_ref().unwrap().as_str(), "444455556666");
}

#[test]
fn a_new_target_list_keeps_the_state_of_targets_that_stay_and_removes_the_others() {
    let (stays, removed) = (target(Some("111122223333"), None), target(Some("222233334444"), None));
    let added = target(Some("333344445555"), None);
    let (store, slots) = store_of(vec![stays.clone(), removed.clone()]);
    store.record(&slots[0], report(0.0, Ok(())));
    let new = store.set_targets(&TargetList {
        targets: vec![added.clone(), stays.clone()],
        pending_lookups: 2,
        ..TargetList::default()
    });
    assert_eq!(new.iter().map(|slot| slot.target()).collect::<Vec<_>>(), [Arc::new(added)]);
    assert_eq!((slots[0].is_removed(), slots[1].is_removed(), store.pending_lookups()), (false, true, 2));
    let up: Vec<_> = (0..store.len()).map(|index| view(&store, index, 0.0).up()).collect();
    assert_eq!(up, [None, Some(true)]);
    // A removed target that is added again starts without a state.
    store.record(&slots[1], report(0.0, Ok(())));
    let new = store.set_targets(&TargetList {
        targets: vec![removed],
        pending_lookups: 0,
        ..TargetList::default()
    });
    assert_eq!((new.len(), new[0].is_removed(), new[0].state().last.is_none()), (1, false, true));
    assert!(slots[0].is_removed());
}

#[test]
fn a_target_whose_account_gets_a_name_keeps_its_slot_and_state() {
    let (store, slot) = store_of_one_target();
    let mut named = target(Some("111122223333"), None);
    named.account =
        Arc::new(Account { name: Some("production".to_owned()), ..Account::clone(&named.account) });
    assert!(
        store
            .set_targets(&TargetList { targets: vec![named], pending_lookups: 0, ..TargetList::default() })
            .is_empty()
    );
    assert!(!slot.is_removed());
    let name = view(&store, 0, 0.0).target().account.name.clone();
    assert_eq!(name.as_deref(), Some("production"));
}

#[test]
fn a_target_whose_account_moves_to_another_unit_keeps_its_state_and_is_rendered_again() {
    let (store, slot) = store_of_one_target();
    store.record(&slot, report(7.0, Ok(())));
    let before = view(&store, 0, 8.0);
    let units = Some(vec!["ou-abcd-11111111".parse().unwrap()]);
    let mut moved = target(Some("111122223333"), None);
    moved.account =
        Arc::new(Account { organizational_units: units.clone(), ..Account::clone(&moved.account) });
    let list = TargetList { targets: vec![moved], ..TargetList::default() };
    assert!(store.set_targets(&list).is_empty(), "nothing is collected immediately");
    assert!(!before.is_current(&slot, 8.0));
    let after = view(&store, 0, 8.0);
    assert_eq!((&after.target().account.organizational_units, after.state.last_success), (&units, Some(7.0)));
    // The same list again changes nothing.
    store.set_targets(&list);
    assert!(after.is_current(&slot, 8.0));
}

#[test]
fn a_target_whose_credentials_change_gets_a_new_slot_with_its_state() {
    let (store, slot) = store_of_one_target();
    store.record(&slot, report(7.0, Ok(())));
    let changed = target(Some("111122223333"), Some("other"));
    let new = store.set_targets(&TargetList {
        targets: vec![changed],
        pending_lookups: 0,
        ..TargetList::default()
    });
    assert!(slot.is_removed());
    assert_eq!(new[0].state().last_success, Some(7.0));
}

#[test]
fn a_configured_account_id_takes_precedence_over_a_learned_one() {
    let (by_profile, by_id) = (target(None, Some("a")), target(Some("111122223333"), None));
    let (store, slots) = store_of(vec![by_profile.clone()]);
    store.record(&slots[0], report_with_learned_id("111122223333"));
    store.set_targets(&TargetList {
        targets: vec![by_profile, by_id],
        pending_lookups: 0,
        ..TargetList::default()
    });
    let account = |index: usize| view(&store, index, 0.0).state.account.clone();
    assert_eq!((account(0), account(1).unwrap().as_str()), (None, "111122223333"));
    assert!(matches!(
        store.record(&slots[0], report_with_learned_id("111122223333")),
        Change::StartedFailing(_)
    ));
    assert_eq!(account(0), None);
}

#[test]
fn a_lookup_of_a_target_that_has_lost_its_account_to_another_is_ignored() {
    let mut by_profile = target(None, Some("a"));
    by_profile.account = Arc::new(Account {
        managed_nodes_interval: Some(Duration::from_hours(6)),
        ..Account::clone(&by_profile.account)
    });
    let (store, slots) = store_of(vec![by_profile.clone()]);
    store.record(&slots[0], report_with_learned_id("111122223333"));
    assert_eq!(store.pending_node_lookups(), 1);
    // A reload while the lookup is in flight.
    let targets = vec![by_profile, target(Some("111122223333"), None)];
    store.set_targets(&TargetList { targets, ..TargetList::default() });
    assert_eq!(store.pending_node_lookups(), 0, "nothing is looked up without an account");
    let account = Some("111122223333".parse().unwrap());
    let change =
        store.record_managed_nodes(&slots[0], NodeReport { account, ended: 1.0, outcome: Ok(false) });
    assert_eq!(change, Change::None);
    assert_eq!(view(&store, 0, 1.0).managed_nodes(), Some(ManagedNodes::Pending));
}

#[test]
fn a_clock_that_was_ahead_hides_no_stale_syncs_after_the_next_lookup() {
    let (store, slot) = store_of_one_target();
    store.record(&slot, report(1000.0, Ok(())));
    let failure = || Err(Failure::new(Reason::Timeout, "message"));
    let last_absent = |ended, outcome| {
        store.record_managed_nodes(&slot, NodeReport { account: None, ended, outcome });
        slot.state().nodes.last_absent
    };
    assert_eq!(last_absent(1e9, Ok(false)), Some(1e9));
    assert_eq!(last_absent(2000.0, Ok(true)), Some(2000.0));
    assert_eq!(last_absent(3000.0, failure()), Some(2000.0), "time passes");
    assert_eq!(last_absent(1500.0, failure()), Some(1500.0));
}
