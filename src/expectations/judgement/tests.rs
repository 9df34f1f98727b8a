use std::sync::Arc;

use pretty_assertions::assert_eq;

use super::super::testing::{self, bucket_sync, expectation, text};
use super::*;
use crate::expectations::{ExpectedSync, TextPattern};
use crate::fleet::{Account, TargetSelector};
use crate::model::{ManagedBy, SyncType};

const ACCOUNT: &str = "111122223333";

fn target() -> Target {
    testing::target(ACCOUNT, "eu-west-1")
}

/// The judgement of a target with these syncs. The expectation must select it.
fn judged(expectation: &Expectation, syncs: &[DataSync]) -> Judgement {
    let target = target();
    judge(7, expectation, &testing::observed(&target, syncs)).unwrap()
}

fn state(expectation: &Expectation, syncs: &[DataSync]) -> ExpectationState {
    let judgement = judged(expectation, syncs);
    assert_eq!(judgement.state.is_violation(), !judgement.violations.is_empty());
    judgement.state
}

/// An expectation about syncs with these names and the bucket `org`.
fn with_names(presence: Presence, names: &[&str]) -> Expectation {
    let names = names.iter().map(|name| TextPattern::parse(name).unwrap()).collect();
    let bucket_name = Some(text("org"));
    expectation(presence, ExpectedSync { names, bucket_name, ..ExpectedSync::any(SyncType::ToDestination) })
}

fn violation(subject: ViolationSubject, field: Field) -> Violation {
    Violation { subject, field }
}

#[test]
fn a_required_sync_with_one_name_has_to_be_there_and_as_described() {
    let expectation = with_names(Presence::Required, &["inventory"]);
    let met = judged(&expectation, &[bucket_sync("a", "x"), bucket_sync("inventory", "org")]);
    assert_eq!((met.expectation, met.state), (7, ExpectationState::Met));
    let missing = judged(&expectation, &[bucket_sync("a", "org")]);
    assert_eq!(missing.state, ExpectationState::Missing);
    assert_eq!(*missing.violations, [violation(ViolationSubject::Absent, Field::Presence)]);
    let drifted = judged(&expectation, &[bucket_sync("a", "org"), bucket_sync("inventory", "x")]);
    assert_eq!(drifted.state, ExpectationState::Drifted);
    assert_eq!(*drifted.violations, [violation(ViolationSubject::Sync(1), Field::BucketName)]);
}

#[test]
fn a_required_sync_with_a_pattern_or_several_names_or_none_has_to_be_there_at_least_once() {
    use ExpectationState::{Drifted, Met, Missing};
    for names in [&["inv-*"][..], &["inv-a", "inv-b"], &[]] {
        let expectation = with_names(Presence::Required, names);
        let state = |syncs: &[DataSync]| state(&expectation, syncs);
        assert_eq!(state(&[bucket_sync("inv-a", "x"), bucket_sync("inv-b", "org")]), Met, "{names:?}");
        assert_eq!(state(&[]), Missing, "{names:?}");
        assert_eq!(state(&[bucket_sync("inv-a", "x")]), Drifted, "{names:?}");
    }
}

#[test]
fn of_several_syncs_that_would_do_the_one_with_the_fewest_differences_is_reported() {
    let mut expectation = with_names(Presence::Required, &["inv-*"]);
    expectation.request.bucket_region = Some(text("eu-west-1"));
    let mut close = bucket_sync("inv-b", "org");
    close.destination.as_mut().unwrap().region = Some("us-east-1".to_owned());
    let mut far = bucket_sync("inv-a", "x");
    far.destination.as_mut().unwrap().region = Some("us-east-1".to_owned());
    let syncs = [far, close];
    let judgement = judged(&expectation, &syncs);
    assert_eq!(judgement.state, ExpectationState::Drifted);
    assert_eq!(*judgement.violations, [violation(ViolationSubject::Closest(1), Field::BucketRegion)]);
    let target = target();
    let observed = testing::observed(&target, &syncs);
    let [violation] = *judgement.violations else { panic!("one violation") };
    assert_eq!(violation.sync_name(&expectation, &observed), None);
    assert_eq!(violation.found(&observed).as_deref(), Some("us-east-1"));
    assert_eq!(violation.wanted(&expectation, &observed).as_deref(), Some("eu-west-1"));
}

#[test]
fn a_sync_that_is_as_far_as_reported_as_described_comes_after_one_that_is_in_every_field() {
    let expectation = with_names(Presence::Required, &[]);
    let mut unreported = bucket_sync("a", "org");
    unreported.destination = None;
    let judgement = judged(&expectation, &[unreported.clone(), bucket_sync("b", "org")]);
    assert_eq!((judgement.state, judgement.unverified.len()), (ExpectationState::Met, 0));
    let judgement = judged(&expectation, &[unreported]);
    assert_eq!(judgement.state, ExpectationState::Met);
    assert_eq!(*judgement.unverified, [SyncField { sync: 0, field: Field::BucketName }]);
}

#[test]
fn every_sync_that_an_allow_list_is_about_has_to_be_as_described() {
    let allowed = Expectation { managed_by: vec![ManagedBy::Customer], ..with_names(Presence::Allowed, &[]) };
    let of_service = bucket_sync("InspectorResourceDataSync-do-not-delete", "inspector");
    let mut of_other_type = bucket_sync("from-source", "x");
    of_other_type.sync_type = SyncType::FromSource;
    let syncs = [bucket_sync("a", "x"), bucket_sync("b", "org"), bucket_sync("c", "y")];
    let judgement = judged(&allowed, &[&syncs[..], &[of_service.clone(), of_other_type.clone()]].concat());
    assert_eq!(judgement.state, ExpectationState::Drifted);
    let of = |sync| violation(ViolationSubject::Sync(sync), Field::BucketName);
    assert_eq!(*judgement.violations, [of(0), of(2)]);
    assert_eq!(state(&allowed, &[]), ExpectationState::Met);
    assert_eq!(state(&allowed, &[bucket_sync("b", "org"), of_service, of_other_type]), ExpectationState::Met);
    let named = with_names(Presence::Allowed, &["inv-*"]);
    assert_eq!(state(&named, &[bucket_sync("a", "x")]), ExpectationState::Met);
    assert_eq!(state(&named, &[bucket_sync("inv-a", "x")]), ExpectationState::Drifted);
}

#[test]
fn a_forbidden_sync_is_one_that_is_as_described_in_every_named_field() {
    let forbidden = with_names(Presence::Forbidden, &["inv-*"]);
    assert_eq!(state(&forbidden, &[]), ExpectationState::Met);
    assert_eq!(
        state(&forbidden, &[bucket_sync("inv-a", "x"), bucket_sync("b", "org")]),
        ExpectationState::Met
    );
    let judgement = judged(&forbidden, &[bucket_sync("inv-a", "x"), bucket_sync("inv-b", "org")]);
    assert_eq!(judgement.state, ExpectationState::Forbidden);
    assert_eq!(*judgement.violations, [violation(ViolationSubject::Sync(1), Field::Forbidden)]);

    let any = expectation(Presence::Forbidden, ExpectedSync::any(SyncType::ToDestination));
    assert_eq!(state(&any, &[bucket_sync("a", "x")]), ExpectationState::Forbidden);
}

#[test]
fn a_sync_is_not_forbidden_while_a_named_field_is_not_reported() {
    let forbidden = with_names(Presence::Forbidden, &[]);
    let mut unreported = bucket_sync("a", "org");
    unreported.destination.as_mut().unwrap().bucket_name = None;
    let judgement = judged(&forbidden, &[unreported]);
    assert_eq!(judgement.state, ExpectationState::Met);
    assert_eq!(*judgement.unverified, [SyncField { sync: 0, field: Field::BucketName }]);
}

#[test]
fn a_target_whose_syncs_are_not_known_is_unknown_whatever_is_expected() {
    let target = target();
    for presence in [Presence::Required, Presence::Allowed, Presence::Forbidden] {
        let expectation = with_names(presence, &["inventory"]);
        let observed = ObservedTarget { syncs: None, ..testing::observed(&target, &[]) };
        let judgement = judge(0, &expectation, &observed).unwrap();
        assert_eq!(judgement.state, ExpectationState::Unknown);
        assert!(judgement.violations.is_empty() && judgement.unverified.is_empty());
    }
}

#[test]
fn only_a_state_that_further_syncs_could_not_change_is_known_while_syncs_are_unreadable() {
    use ExpectationState::{Drifted, Forbidden, Met, Unknown};
    let target = target();
    let state = |presence, names: &[&str], syncs: &[DataSync]| {
        let observed = ObservedTarget { has_unreadable_syncs: true, ..testing::observed(&target, syncs) };
        judge(0, &with_names(presence, names), &observed).unwrap().state
    };
    let [good, bad] = [bucket_sync("inventory", "org"), bucket_sync("inventory", "x")];
    for names in [&["inventory"][..], &["inv*"]] {
        assert_eq!(state(Presence::Required, names, &[]), Unknown, "{names:?}");
        assert_eq!(state(Presence::Required, names, std::slice::from_ref(&good)), Met, "{names:?}");
        assert_eq!(state(Presence::Allowed, names, std::slice::from_ref(&good)), Unknown, "{names:?}");
        assert_eq!(state(Presence::Allowed, names, std::slice::from_ref(&bad)), Drifted, "{names:?}");
        assert_eq!(state(Presence::Forbidden, names, std::slice::from_ref(&bad)), Unknown, "{names:?}");
        assert_eq!(state(Presence::Forbidden, names, std::slice::from_ref(&good)), Forbidden, "{names:?}");
    }
    assert_eq!(state(Presence::Required, &["inventory"], std::slice::from_ref(&bad)), Drifted);
    // The sync that could not be read may be as described.
    assert_eq!(state(Presence::Required, &["inv*"], &[bad]), Unknown);
}

#[test]
fn an_expectation_judges_only_targets_that_it_selects() {
    let mut expectation = with_names(Presence::Required, &["inventory"]);
    expectation.targets.regions = vec!["us-*".parse().unwrap()];
    let target = target();
    assert_eq!(judge(0, &expectation, &testing::observed(&target, &[])), None);
}

#[test]
fn a_target_is_unknown_while_it_is_unknown_whether_it_is_selected() {
    let unit = TargetSelector {
        organizational_units: vec!["ou-abcd-11111111".parse().unwrap()],
        ..TargetSelector::default()
    };
    let by_id = TargetSelector {
        accounts: [ACCOUNT.parse().unwrap()].into_iter().collect(),
        ..TargetSelector::default()
    };
    let target = Target { account: Arc::new(Account::default()), ..target() };
    for targets in [unit, by_id] {
        let expectation = Expectation { targets, ..with_names(Presence::Required, &["inventory"]) };
        let judgement = judge(0, &expectation, &testing::observed(&target, &[])).unwrap();
        assert_eq!(judgement.state, ExpectationState::Unknown);
        assert!(judgement.violations.is_empty());
    }
}

#[test]
fn an_expectation_with_the_account_id_is_unknown_until_the_id_is_known() {
    let target = Target { account: Arc::new(Account::default()), ..target() };
    let id = ACCOUNT.parse().unwrap();
    let mut by_name = with_names(Presence::Required, &["inventory-{account_id}"]);
    by_name.request.bucket_name = None;
    let mut by_bucket = with_names(Presence::Required, &[]);
    by_bucket.request.bucket_name = Some(text("org-{account_id}"));
    let syncs = [bucket_sync(&format!("inventory-{ACCOUNT}"), &format!("org-{ACCOUNT}"))];
    for expectation in [by_name, by_bucket] {
        let state = |account_id| {
            let observed = ObservedTarget { account_id, ..testing::observed(&target, &syncs) };
            judge(0, &expectation, &observed).unwrap().state
        };
        assert_eq!(state(None), ExpectationState::Unknown);
        assert_eq!(state(Some(&id)), ExpectationState::Met);
    }
    let of_every_account = with_names(Presence::Required, &["inventory"]);
    let syncs = [bucket_sync("inventory", "org")];
    let observed = testing::observed(&target, &syncs);
    assert_eq!(judge(0, &of_every_account, &observed).unwrap().state, ExpectationState::Met);
}

#[test]
fn a_violation_names_the_sync_with_the_placeholders_replaced() {
    let expectation = with_names(Presence::Required, &["inventory-{region}"]);
    let target = target();
    let observed = testing::observed(&target, &[]);
    let judgement = judge(0, &expectation, &observed).unwrap();
    let [missing] = *judgement.violations else { panic!("one violation") };
    assert_eq!(missing.sync_name(&expectation, &observed).as_deref(), Some("inventory-eu-west-1"));
    assert_eq!((missing.wanted(&expectation, &observed), missing.found(&observed)), (None, None));

    let syncs = [bucket_sync("inventory-eu-west-1", "x")];
    let observed = testing::observed(&target, &syncs);
    let [drifted] = *judge(0, &expectation, &observed).unwrap().violations else { panic!("one violation") };
    assert_eq!(drifted.sync_name(&expectation, &observed).as_deref(), Some("inventory-eu-west-1"));
    assert_eq!(drifted.wanted(&expectation, &observed).as_deref(), Some("org"));
    assert_eq!(drifted.found(&observed).as_deref(), Some("x"));
}

#[test]
fn no_name_is_given_for_a_missing_sync_if_several_would_do() {
    let target = target();
    let observed = testing::observed(&target, &[]);
    for names in [&["inv-*"][..], &["a", "b"], &[]] {
        let expectation = with_names(Presence::Required, names);
        let [missing] = *judge(0, &expectation, &observed).unwrap().violations else { panic!("one") };
        assert_eq!(missing.sync_name(&expectation, &observed), None, "{names:?}");
    }
}

#[test]
fn two_expectations_about_one_sync_are_judged_independently() {
    let required = with_names(Presence::Required, &["inventory"]);
    let forbidden =
        Expectation { presence: Presence::Forbidden, ..with_names(Presence::Forbidden, &["inv*"]) };
    let syncs = [bucket_sync("inventory", "org")];
    assert_eq!(state(&required, &syncs), ExpectationState::Met);
    assert_eq!(state(&forbidden, &syncs), ExpectationState::Forbidden);
}

#[test]
fn a_sync_of_a_type_that_this_version_does_not_know_is_what_no_expectation_is_about() {
    let mut unknown = bucket_sync("inventory", "x");
    unknown.sync_type = SyncType::from("SyncToElsewhere");
    let syncs = [unknown];
    assert_eq!(state(&with_names(Presence::Required, &[]), &syncs), ExpectationState::Missing);
    assert_eq!(state(&with_names(Presence::Allowed, &[]), &syncs), ExpectationState::Met);
    assert_eq!(state(&with_names(Presence::Forbidden, &[]), &syncs), ExpectationState::Met);
}
