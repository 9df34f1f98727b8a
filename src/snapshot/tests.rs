//! What is kept of collections, and for how long.

use super::*;
use crate::fleet::{Access, Account};

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
    let slots = store.adopt(&TargetList { targets, pending: 0, ..TargetList::default() });
    (store, slots)
}

fn one() -> (Store, Arc<Slot>) {
    let (store, mut slots) = store(vec![target(Some("111122223333"), None)]);
    (store, slots.remove(0))
}

fn view(store: &Store, index: usize, now: UnixSeconds) -> TargetView {
    store.view(&store.slots()[index], now)
}

#[test]
fn nothing_is_known_before_the_first_collection() {
    let (store, _) = one();
    assert_eq!(view(&store, 0, 0.0).up(), None);
    assert_eq!(view(&store, 0, 0.0).syncs(), None);
    assert_eq!(store.waiting(), 1);
}

#[test]
fn a_failing_target_keeps_its_syncs_for_a_while() {
    let (store, slot) = one();
    store.record(&slot, report(1000.0, Ok(0)));
    store.record(&slot, report(1300.0, Err(Reason::Timeout)));
    assert!(view(&store, 0, 1000.0 + 1800.0).syncs().is_some());
    assert!(view(&store, 0, 1000.0 + 1800.1).syncs().is_none());
    // A new success brings them back.
    store.record(&slot, report(4000.0, Ok(0)));
    assert!(view(&store, 0, 4000.0).syncs().is_some());
}

#[test]
fn a_target_that_is_merely_not_due_does_not_go_stale() {
    let (store, slot) = one();
    store.record(&slot, report(1000.0, Ok(0)));
    assert!(view(&store, 0, 100_000.0).syncs().is_some());
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
    assert!(view(&store, 0, 0.0).syncs().is_some());
    store.record(&slots[0], learned("444455556666"));
    assert_eq!(view(&store, 0, 0.0).syncs(), None);
    assert_eq!(view(&store, 0, 0.0).state.account.as_ref().unwrap().as_str(), "111122223333");
    assert_eq!(view(&store, 0, 0.0).state.failures(Reason::Credentials), 1);
}

#[test]
fn two_targets_never_show_the_same_account_and_region() {
    let (store, slots) =
        store(vec![target(Some("111122223333"), None), target(None, Some("a")), target(None, Some("b"))]);
    store.record(&slots[1], learned("111122223333"));
    store.record(&slots[2], learned("444455556666"));
    store.record(&slots[2], learned("444455556666"));
    assert_eq!(view(&store, 1, 0.0).up(), Some(false));
    assert_eq!(view(&store, 1, 0.0).state.account, None);
    assert_eq!(view(&store, 1, 0.0).state.failures(Reason::Credentials), 1);
    assert_eq!(view(&store, 2, 0.0).up(), Some(true));
    assert_eq!(view(&store, 2, 0.0).state.account.as_ref().unwrap().as_str(), "444455556666");
}

#[test]
fn a_new_plan_keeps_what_stays_and_drops_what_goes() {
    let (stays, goes) = (target(Some("111122223333"), None), target(Some("222233334444"), None));
    let comes = target(Some("333344445555"), None);
    let (store, slots) = store(vec![stays.clone(), goes.clone()]);
    store.record(&slots[0], report(0.0, Ok(0)));
    let new = store.adopt(&TargetList {
        targets: vec![comes.clone(), stays.clone()],
        pending: 2,
        ..TargetList::default()
    });
    assert_eq!(new.iter().map(|slot| slot.target()).collect::<Vec<_>>(), [Arc::new(comes)]);
    assert_eq!((slots[0].is_gone(), slots[1].is_gone(), store.pending()), (false, true, 2));
    let up: Vec<_> = (0..store.len()).map(|index| view(&store, index, 0.0).up()).collect();
    assert_eq!(up, [None, Some(true)]);
    // It comes back as one that nothing is known of.
    store.record(&slots[1], report(0.0, Ok(0)));
    let new = store.adopt(&TargetList { targets: vec![goes], pending: 0, ..TargetList::default() });
    assert_eq!((new.len(), new[0].is_gone(), new[0].state().last.is_none()), (1, false, true));
    assert!(slots[0].is_gone());
}

#[test]
fn a_name_that_is_found_later_changes_nothing_else() {
    let (store, slot) = one();
    let mut named = target(Some("111122223333"), None);
    named.account =
        Arc::new(Account { name: Some("production".to_owned()), ..Account::clone(&named.account) });
    assert!(
        store.adopt(&TargetList { targets: vec![named], pending: 0, ..TargetList::default() }).is_empty()
    );
    assert!(!slot.is_gone());
    let shown = view(&store, 0, 0.0).target().account.name.clone();
    assert_eq!(shown.as_deref(), Some("production"));
}

#[test]
fn a_target_that_is_reached_in_another_way_keeps_what_is_known_of_it() {
    let (store, slot) = one();
    store.record(&slot, report(7.0, Ok(0)));
    let changed = target(Some("111122223333"), Some("other"));
    let new = store.adopt(&TargetList { targets: vec![changed], pending: 0, ..TargetList::default() });
    assert!(slot.is_gone());
    assert_eq!(new[0].state().last_success, Some(7.0));
}

#[test]
fn an_account_that_turns_up_with_its_id_takes_it_from_the_profile_that_had_learned_it() {
    let (by_profile, by_id) = (target(None, Some("a")), target(Some("111122223333"), None));
    let (store, slots) = store(vec![by_profile.clone()]);
    store.record(&slots[0], learned("111122223333"));
    store.adopt(&TargetList { targets: vec![by_profile, by_id], pending: 0, ..TargetList::default() });
    let shown = |index: usize| view(&store, index, 0.0).state.account.clone();
    assert_eq!((shown(0), shown(1).unwrap().as_str()), (None, "111122223333"));
    assert!(matches!(store.record(&slots[0], learned("111122223333")), Change::Failing(_)));
    assert_eq!(shown(0), None);
}
