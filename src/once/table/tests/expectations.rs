//! Tests of what the text says about expectations.

use pretty_assertions::assert_eq;

use super::{Fleet, MINUTE, fleet, sync};
use crate::expectations::{Expectation, ExpectedSync, ExpectedText, Presence, TextPattern};
use crate::fleet::{Shard, TargetSelector};
use crate::model::SyncType;
use crate::once::table::render;
use crate::once::{Results, UnmetExpectations};

/// An expectation of syncs to a bucket.
pub(super) fn expectation(
    name: &str,
    presence: Presence,
    sync_name: Option<&str>,
    bucket: Option<&str>,
) -> Expectation {
    let pattern = |text: &str| TextPattern::parse(text).unwrap();
    let mut request = ExpectedSync::any(SyncType::ToDestination);
    request.names = sync_name.map(pattern).into_iter().collect();
    request.bucket_name = bucket.map(|bucket| ExpectedText::AnyOf(vec![pattern(bucket)]));
    let targets = TargetSelector::default();
    Expectation { name: name.to_owned(), targets, managed_by: Vec::new(), presence, request }
}

pub(super) fn expectations() -> Vec<Expectation> {
    let mut misspelt = expectation("misspelt", Presence::Required, None, None);
    misspelt.targets.regions = vec!["eu-wset-*".parse().unwrap()];
    let mut prefix = expectation("own-buckets", Presence::Allowed, None, Some("{account_id}-*"));
    prefix.request.bucket_prefix = Some(ExpectedText::Absent);
    vec![
        expectation("org-inventory", Presence::Required, Some("org-inventory"), None),
        expectation("some-patches", Presence::Required, Some("patches*"), None),
        prefix,
        expectation("no-weekly", Presence::Forbidden, Some("weekly"), None),
        misspelt,
        expectation("everything", Presence::Allowed, None, None),
    ]
}

#[test]
fn each_violation_of_an_expectation_has_an_entry_and_each_expectation_a_total() {
    let results = fleet().judged_by(expectations());
    let text = render(&results, None, false);
    let (_, violations) = text.split_once("Not as expected\n").unwrap();
    let (violations, rest) = violations.split_once("\n\n").unwrap();
    assert_eq!(
        violations,
        "  org-inventory: 4 targets
    ≠ missing 111122223333/eu-west-2/org-inventory
    ≠ missing 111122223333/eu-west-3/org-inventory
    ≠ missing 222233334444/eu-west-1/org-inventory
    ≠ missing 444455556666/eu-west-1/org-inventory
  some-patches: 5 targets
    ≠ missing 111122223333/us-east-1: no such sync
    ≠ missing 111122223333/eu-west-1: no such sync
    ≠ missing 111122223333/eu-west-2: no such sync
    ≠ missing 111122223333/eu-west-3: no such sync
    ≠ missing 444455556666/eu-west-1: no such sync
  own-buckets: 1 target
    ≠ drifted 222233334444/eu-west-1/patches: bucket_name: wanted
      222233334444-*, found staging-patch-compliance
  no-weekly: 1 target
    ≠ forbidden 222233334444/eu-west-1/weekly"
    );
    let (_, totals) = rest.split_once("\n10 syncs: ").unwrap();
    let (_, totals) = totals.split_once('\n').unwrap();
    assert_eq!(
        totals,
        "\
expectation org-inventory: 2 met, 4 missing, 3 unknown
expectation some-patches: 1 met, 5 missing, 3 unknown
expectation own-buckets: 5 met, 1 drifted, 3 unknown
expectation no-weekly: 5 met, 1 forbidden, 3 unknown
expectation misspelt: about no target
expectation everything: 6 met, 3 unknown
"
    );
}

#[test]
fn the_error_counts_what_is_not_known_to_be_as_expected() {
    let error =
        |results: &Results, shard| UnmetExpectations::find(results, shard).map(|error| error.to_string());
    let results = fleet().judged_by(expectations());
    assert_eq!(
        error(&results, Shard::default()).unwrap(),
        "6 of 6 expectations not met: org-inventory (4 missing, 3 unknown), some-patches (5 missing, 3 unknown), \
         own-buckets (1 drifted, 3 unknown), no-weekly (1 forbidden, 3 unknown), misspelt (about no target), \
         everything (3 unknown)"
    );
    let shard = Shard::new(1, std::num::NonZeroU32::new(2).unwrap()).unwrap();
    assert!(!error(&results, shard).unwrap().contains("misspelt"), "the target may be in another shard");
    let mut well = Fleet::default();
    well.add("111122223333", "", "eu-west-1", Some(Ok(vec![sync("a", MINUTE, MINUTE)])));
    let met = expectation("a", Presence::Required, Some("a"), None);
    assert_eq!(error(&well.judged_by(vec![met]), Shard::default()), None);
    let mut many = Fleet::default();
    many.add("111122223333", "", "eu-west-1", Some(Ok(vec![])));
    let missing = (0..12).map(|number| expectation(&number.to_string(), Presence::Required, Some("a"), None));
    let text = error(&many.judged_by(missing.collect()), Shard::default()).unwrap();
    assert!(
        text.starts_with("12 of 12 expectations not met: 0 (1 missing), ")
            && text.ends_with("9 (1 missing) and 2 more"),
        "{text}"
    );
}
