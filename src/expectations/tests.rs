//! Properties of judging and of generating expectations, for fleets of any kind.

use proptest::prelude::*;
use proptest::sample::Index;

use super::testing::{compared_fields, observed, read, set, sync, target};
use super::*;
use crate::fleet::{Selected, Target};
use crate::model::{DataSync, ManagedBy, SyncType};

const ACCOUNTS: [&str; 4] = ["111122223333", "222233334444", "333344445555", "444455556666"];
const REGIONS: [&str; 4] = ["eu-west-1", "eu-central-1", "us-east-1", "cn-north-1"];

/// A target with its syncs.
#[derive(Clone, Debug)]
struct Polled {
    target: Target,
    syncs: Vec<DataSync>,
}

/// A sync as it could be set up in many targets. `{a}`, `{r}` and `{p}` stand for the account id, the
/// region and the partition of the target.
#[derive(Clone, Debug)]
struct Setup {
    sync_type: SyncType,
    name: &'static str,
    values: Vec<(Field, Option<&'static str>)>,
}

fn values(field: Field) -> impl Strategy<Value = (Field, Option<&'static str>)> {
    let values: &[&str] = match field {
        Field::IncludeFutureRegions | Field::EnableAllOpsDataSources => &["true", "false"],
        Field::BucketRegion => &["eu-west-1", "{r}", "elsewhere"],
        Field::KmsKeyArn => &["arn:{p}:kms:eu-west-1:{a}:key/{r}", "arn:{p}:kms:{r}:{a}:key/1", "alias/a"],
        Field::SourceRegions => &["{r}", "eu-west-1 us-east-1", "us-east-1 {r} us-east-1", "a"],
        Field::OrganizationalUnits => &["ou-abcd-11111111", "ou-abcd-22222222 ou-abcd-11111111", "a"],
        Field::OrganizationSourceType => &["OrganizationalUnits", "EntireOrganization"],
        Field::SourceType => &["AwsOrganizations", "singleaccountMULTIregions"],
        _ => &["org", "org-{a}-{r}", "{r}/eu-west-1", "arn:{p}:s3:::{a}", "we*ird?{}{{region}"],
    };
    proptest::option::of(proptest::sample::select(values)).prop_map(move |value| (field, value))
}

fn setups() -> impl Strategy<Value = Setup> {
    let names = [
        "inventory",
        "inv-{r}",
        "{a}",
        "a{b}*",
        "license-manager-1",
        "license-manager-{a}",
        "InspectorResourceDataSync-do-not-delete",
    ];
    let sync_types = ["SyncToDestination", "SyncFromSource", "SyncToElsewhere"];
    let fields: Vec<_> = compared_fields().map(values).collect();
    (proptest::sample::select(sync_types.to_vec()), proptest::sample::select(names.to_vec()), fields)
        .prop_map(|(sync_type, name, values)| Setup { sync_type: sync_type.into(), name, values })
}

/// A sync in one target that differs in one field from the same sync elsewhere.
type Outlier = (Index, Index, (Field, Option<&'static str>));

fn outliers() -> impl Strategy<Value = Outlier> {
    let change = proptest::sample::select(compared_fields().collect::<Vec<_>>()).prop_flat_map(values);
    (any::<Index>(), any::<Index>(), change)
}

/// Some targets in which each of some syncs is set up or not.
fn fleets() -> impl Strategy<Value = Vec<Polled>> {
    let places = proptest::sample::subsequence((0..16).collect::<Vec<usize>>(), 1..=16);
    let setups = proptest::collection::vec((setups(), any::<u16>()), 0..4);
    (places, setups, proptest::collection::vec(outliers(), 0..3)).prop_map(|(places, setups, outliers)| {
        let mut fleet: Vec<Polled> = places.into_iter().map(|place| polled(place, &setups)).collect();
        for (polled, sync, (field, value)) in outliers {
            let index = polled.index(fleet.len());
            let polled = &mut fleet[index];
            if !polled.syncs.is_empty() {
                let sync = sync.index(polled.syncs.len());
                set_in(&polled.target, &mut polled.syncs[sync], field, value);
            }
        }
        fleet
    })
}

fn polled(place: usize, setups: &[(Setup, u16)]) -> Polled {
    let target = target(ACCOUNTS[place / 4], REGIONS[place % 4]);
    let mut syncs: Vec<DataSync> = Vec::new();
    for (setup, _) in setups.iter().filter(|(_, places)| places & (1 << place) != 0) {
        let name = in_target(&target, setup.name);
        if syncs.iter().any(|sync| sync.name == name && sync.sync_type == setup.sync_type) {
            continue;
        }
        let mut sync = sync(setup.sync_type.clone(), &name);
        for (field, value) in &setup.values {
            set_in(&target, &mut sync, *field, *value);
        }
        syncs.push(sync);
    }
    Polled { target, syncs }
}

fn set_in(target: &Target, sync: &mut DataSync, field: Field, value: Option<&str>) {
    set(sync, field, value.map(|value| in_target(target, value)).as_deref());
}

fn in_target(target: &Target, text: &str) -> String {
    let id = target.account.id.as_ref().unwrap().as_str();
    text.replace("{a}", id).replace("{r}", target.region.as_str()).replace("{p}", target.partition().as_str())
}

fn generated(fleet: &[Polled]) -> Vec<GeneratedExpectation> {
    generate(fleet.iter().map(|polled| observed(&polled.target, &polled.syncs)))
}

/// The violations of each expectation, with the index of the target.
fn violations(expectations: &[Expectation], fleet: &[Polled]) -> Vec<(usize, Violation)> {
    let mut found = Vec::new();
    for expectation in expectations {
        for (index, polled) in fleet.iter().enumerate() {
            let judgement = judge(0, expectation, &observed(&polled.target, &polled.syncs));
            found.extend(
                judgement.iter().flat_map(|judgement| &judgement.violations).map(|found| (index, *found)),
            );
        }
    }
    found
}

fn expectations(generated: &[GeneratedExpectation]) -> Vec<Expectation> {
    generated.iter().map(read).collect()
}

/// The places of the targets and the indices of their syncs.
fn syncs(fleet: &[Polled]) -> impl Iterator<Item = (usize, usize)> {
    fleet
        .iter()
        .enumerate()
        .flat_map(|(place, polled)| (0..polled.syncs.len()).map(move |index| (place, index)))
}

fn choose<T>(index: Index, items: impl Iterator<Item = T>) -> Option<T> {
    let mut items: Vec<T> = items.collect();
    (!items.is_empty()).then(|| items.swap_remove(index.index(items.len())))
}

/// The required syncs that were generated, if `sync` is one of them.
fn required<'a>(
    generated: &'a [GeneratedExpectation],
    target: &'a Target,
    sync: &'a DataSync,
) -> impl Iterator<Item = &'a GeneratedExpectation> {
    generated.iter().filter(move |generated| {
        let (expectation, account_id) = (read(generated), target.account.id.as_ref());
        expectation.presence == Presence::Required
            && expectation.targets.selects(target, account_id) == Selected::Yes
            && expectation.is_about_sync(target, account_id, sync)
    })
}

/// Whether nothing is generated but required syncs, and `sync` can be one.
fn has_to_be_required(sync: &DataSync, generated: &[GeneratedExpectation]) -> bool {
    SyncType::KNOWN.contains(&sync.sync_type)
        && generated.iter().all(|generated| generated.presence == Presence::Required)
}

/// Gives a field a value that it has nowhere else.
fn change(sync: &mut DataSync, field: Field) {
    let is_flag = matches!(field, Field::IncludeFutureRegions | Field::EnableAllOpsDataSources);
    let flipped =
        if comparison::found_text(sync, field).as_deref() == Some("true") { "false" } else { "true" };
    set(sync, field, Some(if is_flag { flipped } else { "changed" }));
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_fleet_meets_the_expectations_generated_from_it(fleet in fleets()) {
        let generated = generated(&fleet);
        for expectation in expectations(&generated) {
            let mut selected = 0;
            for polled in &fleet {
                let judgement = judge(0, &expectation, &observed(&polled.target, &polled.syncs));
                if let Some(judgement) = judgement {
                    selected += 1;
                    prop_assert_eq!(judgement.state, ExpectationState::Met, "{:?}\n{:?}", expectation, polled);
                }
            }
            prop_assert!(selected > 0, "{:?} selects nothing", expectation);
        }
        let mut names: Vec<&str> = generated.iter().map(|generated| generated.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        prop_assert_eq!(names.len(), generated.len());
    }

    #[test]
    fn a_sync_that_is_removed_violates_only_the_expectations_about_it(
        fleet in fleets(), removed in any::<Index>(),
    ) {
        let Some((place, index)) = choose(removed, syncs(&fleet)) else { return Ok(()) };
        let generated = generated(&fleet);
        let mut changed = fleet;
        let removed = changed[place].syncs.remove(index);
        let found = violations(&expectations(&generated), &changed);
        let is_of_removed = |found: &(usize, Violation)| found.0 == place && found.1.subject == ViolationSubject::Absent;
        prop_assert!(found.iter().all(is_of_removed), "{:?}", found);
        if has_to_be_required(&removed, &generated) {
            prop_assert!(required(&generated, &changed[place].target, &removed).next().is_some());
        }
        if removed.managed_by() != ManagedBy::LicenseManager {
            let number = required(&generated, &changed[place].target, &removed).count();
            prop_assert_eq!(found.len(), number);
        }
    }

    #[test]
    fn a_changed_field_violates_exactly_this_field_of_this_sync(fleet in fleets(), changed in any::<Index>()) {
        let reported = syncs(&fleet).flat_map(|(place, index)| {
            let sync = &fleet[place].syncs[index];
            let is_reported = |field: &Field| comparison::found_text(sync, *field).is_some_and(|text| !text.is_empty());
            compared_fields().filter(is_reported).map(move |field| (place, index, field))
        });
        let Some((place, index, field)) = choose(changed, reported) else { return Ok(()) };
        let generated = generated(&fleet);
        let mut changed = fleet.clone();
        change(&mut changed[place].syncs[index], field);
        let sync = &changed[place].syncs[index];
        let describing: Vec<_> = required(&generated, &fleet[place].target, sync)
            .filter(|generated| generated.request.value(field).is_some())
            .collect();
        let is_always_accepted = matches!(field, Field::BucketName | Field::BucketPrefix | Field::SharingType)
            && sync.sync_type == SyncType::ToDestination
            && sync.managed_by() != ManagedBy::LicenseManager;
        if is_always_accepted && has_to_be_required(sync, &generated) {
            prop_assert!(!describing.is_empty() || generated.iter().any(|generated| generated.differing.contains(&field)));
        }
        let found = violations(&expectations(&generated), &changed);
        for (found_in, violation) in &found {
            prop_assert_eq!((*found_in, violation.field), (place, field));
            prop_assert_eq!(violation.subject.sync(), Some(index));
        }
        prop_assert!(found.len() >= describing.iter().filter(|generated| generated.differing.is_empty()).count());
    }

    #[test]
    fn the_order_of_lists_syncs_and_targets_never_matters(fleet in fleets(), rotation in 0..4_usize) {
        let generated = generated(&fleet);
        let mut reordered = fleet.clone();
        reordered.reverse();
        for polled in &mut reordered {
            polled.syncs.reverse();
            for source in polled.syncs.iter_mut().filter_map(|sync| sync.source.as_mut()) {
                for list in [&mut source.regions, &mut source.organizational_units].into_iter().flatten() {
                    let middle = rotation % list.len().max(1);
                    list.rotate_left(middle);
                    list.extend(list.first().cloned());
                }
            }
        }
        prop_assert_eq!(&super::tests::generated(&reordered), &generated);
        prop_assert_eq!(violations(&expectations(&generated), &reordered), []);
    }

    #[test]
    fn a_field_that_is_removed_from_the_answer_is_never_a_violation(
        fleet in fleets(), removed in proptest::sample::subsequence(compared_fields().collect::<Vec<_>>(), 1..12),
    ) {
        let mut expectations = expectations(&generated(&fleet));
        let others = expectations.iter().cloned().map(|mut expectation| {
            // Met, because no sync is like this.
            expectation.presence = Presence::Forbidden;
            expectation.request.bucket_name = Some(testing::text("other"));
            expectation.request.source_type = Some(testing::text("other"));
            expectation
        });
        expectations.extend(others.collect::<Vec<_>>());
        let mut changed = fleet;
        for sync in changed.iter_mut().flat_map(|polled| &mut polled.syncs) {
            for field in &removed {
                set(sync, *field, None);
            }
        }
        prop_assert_eq!(violations(&expectations, &changed), []);
    }

    #[test]
    fn nothing_is_violated_while_nothing_is_known(fleet in fleets()) {
        for expectation in expectations(&generated(&fleet)) {
            for presence in [Presence::Required, Presence::Allowed, Presence::Forbidden] {
                let expectation = Expectation { presence, ..expectation.clone() };
                for polled in &fleet {
                    let unknown = ObservedTarget { syncs: None, ..observed(&polled.target, &polled.syncs) };
                    let state = judge(0, &expectation, &unknown).map(|judgement| judgement.state);
                    prop_assert!(matches!(state, None | Some(ExpectationState::Unknown)));
                    let unnamed = Target { account: std::sync::Arc::default(), ..polled.target.clone() };
                    let unknown = ObservedTarget { syncs: None, ..observed(&unnamed, &polled.syncs) };
                    let state = judge(0, &expectation, &unknown).map(|judgement| judgement.state);
                    prop_assert!(matches!(state, None | Some(ExpectationState::Unknown)));
                }
            }
        }
    }
}
