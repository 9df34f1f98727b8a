//! Compares the fields of a sync with what an expectation says.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::field::Field;
use super::pattern::Properties;
use super::request::{ExpectedFlag, ExpectedSet, ExpectedSync, ExpectedText, ExpectedValue};
use crate::model::{DataSync, SharingType};

/// The outcome of comparing a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Equal,
    Different,
    /// AWS reported no value that could be compared.
    NotReported,
}

impl Outcome {
    fn known(is_equal: bool) -> Self {
        if is_equal { Self::Equal } else { Self::Different }
    }
}

/// The value of a field that AWS reported, if it did.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReportedValue<'a> {
    Text(Option<&'a str>),
    /// The entries that could be read, and whether these are all.
    List(Option<&'a [String]>, IsComplete),
    Flag(Option<bool>),
}

type IsComplete = bool;

/// Compares every field that the request names.
pub(super) fn compare(
    request: &ExpectedSync,
    sync: &DataSync,
    properties: Properties<'_>,
) -> impl Iterator<Item = (Field, Outcome)> {
    request.values().map(move |(field, wanted)| {
        let outcome = match (wanted, reported_value(sync, field)) {
            (ExpectedValue::Text(wanted), ReportedValue::Text(found)) => {
                compare_text(field, wanted, found, properties)
            }
            (ExpectedValue::Set(wanted), ReportedValue::List(found, is_complete)) => {
                compare_set(wanted, found, is_complete, properties)
            }
            (ExpectedValue::Flag(wanted), ReportedValue::Flag(found)) => compare_flag(wanted, found),
            // Does not occur: a field has the same type on both sides.
            _ => Outcome::NotReported,
        };
        (field, outcome)
    })
}

fn compare_text(
    field: Field,
    wanted: &ExpectedText,
    found: Option<&str>,
    properties: Properties<'_>,
) -> Outcome {
    match (wanted, found) {
        (ExpectedText::Absent, Some(_)) => Outcome::Different,
        // AWS does not always report with whom a bucket is shared, so the absence of the field does
        // not show that the bucket is not shared.
        (ExpectedText::Absent, None) if field == Field::SharingType => Outcome::NotReported,
        (ExpectedText::Absent, None) => Outcome::Equal,
        (ExpectedText::AnyOf(_), None) => Outcome::NotReported,
        (ExpectedText::AnyOf(patterns), Some(found)) => {
            Outcome::known(patterns.iter().any(|pattern| match field {
                // Documented in lower camel case, sent in upper camel case.
                Field::SourceType => pattern.matches_ignoring_case(found, properties),
                _ => pattern.matches(found, properties),
            }))
        }
    }
}

fn compare_set(
    wanted: &ExpectedSet,
    found: Option<&[String]>,
    is_complete: IsComplete,
    properties: Properties<'_>,
) -> Outcome {
    match (wanted, found) {
        // One of the entries that could not be read may be the one that seems to be missing.
        (wanted, found) if !is_complete => {
            let wanted = wanted.values(properties);
            let is_wanted = |value: &String| wanted.contains(value.as_str());
            if found.unwrap_or_default().iter().all(is_wanted) {
                Outcome::NotReported
            } else {
                Outcome::Different
            }
        }
        (ExpectedSet::Absent, found) => Outcome::known(found.is_none_or(<[String]>::is_empty)),
        (ExpectedSet::Exactly(_), None) => Outcome::NotReported,
        (ExpectedSet::Exactly(_), Some(found)) => {
            let found: BTreeSet<Cow<'_, str>> =
                found.iter().map(|value| Cow::Borrowed(value.as_str())).collect();
            Outcome::known(wanted.values(properties) == found)
        }
    }
}

fn compare_flag(wanted: ExpectedFlag, found: Option<bool>) -> Outcome {
    match (wanted, found) {
        (ExpectedFlag::Absent, found) => Outcome::known(found.is_none()),
        (ExpectedFlag::Is(_), None) => Outcome::NotReported,
        (ExpectedFlag::Is(wanted), Some(found)) => Outcome::known(wanted == found),
    }
}

/// What AWS reports for a field.
pub(super) fn reported_value(sync: &DataSync, field: Field) -> ReportedValue<'_> {
    let (destination, source) = (sync.destination.as_ref(), sync.source.as_ref());
    let is_complete = source.is_none_or(|source| !source.has_unreadable_entries);
    match field {
        Field::Presence | Field::Forbidden => ReportedValue::Text(None),
        Field::BucketName => ReportedValue::Text(destination.and_then(|found| found.bucket_name.as_deref())),
        Field::BucketPrefix => ReportedValue::Text(destination.and_then(|found| found.prefix.as_deref())),
        Field::BucketRegion => ReportedValue::Text(destination.and_then(|found| found.region.as_deref())),
        Field::SyncFormat => ReportedValue::Text(destination.and_then(|found| found.format.as_deref())),
        Field::KmsKeyArn => ReportedValue::Text(destination.and_then(|found| found.kms_key_arn.as_deref())),
        Field::SharingType => {
            ReportedValue::Text(destination.and_then(|found| found.sharing.as_ref()).map(SharingType::as_str))
        }
        Field::SourceType => ReportedValue::Text(source.and_then(|found| found.source_type.as_deref())),
        Field::OrganizationSourceType => {
            ReportedValue::Text(source.and_then(|found| found.organization_source_type.as_deref()))
        }
        Field::OrganizationalUnits => {
            ReportedValue::List(source.and_then(|found| found.organizational_units.as_deref()), is_complete)
        }
        Field::SourceRegions => {
            ReportedValue::List(source.and_then(|found| found.regions.as_deref()), is_complete)
        }
        Field::IncludeFutureRegions => {
            ReportedValue::Flag(source.and_then(|found| found.include_future_regions))
        }
        Field::EnableAllOpsDataSources => {
            ReportedValue::Flag(source.and_then(|found| found.enable_all_ops_data_sources))
        }
    }
}

/// What an expectation wants of a field in a target, for people. `None` if the field has to be absent.
pub(super) fn wanted_text(wanted: ExpectedValue<'_>, properties: Properties<'_>) -> Option<String> {
    match wanted {
        ExpectedValue::Text(ExpectedText::Absent)
        | ExpectedValue::Set(ExpectedSet::Absent)
        | ExpectedValue::Flag(ExpectedFlag::Absent) => None,
        ExpectedValue::Text(ExpectedText::AnyOf(patterns)) => {
            let texts: Vec<_> = patterns.iter().map(|pattern| pattern.resolve(properties)).collect();
            Some(texts.join(" or "))
        }
        ExpectedValue::Set(wanted) => {
            Some(wanted.values(properties).into_iter().collect::<Vec<_>>().join(", "))
        }
        ExpectedValue::Flag(ExpectedFlag::Is(wanted)) => Some(wanted.to_string()),
    }
}

/// What AWS reports for a field, for people. `None` if it reports nothing.
pub(super) fn found_text(sync: &DataSync, field: Field) -> Option<String> {
    match reported_value(sync, field) {
        ReportedValue::Text(found) => found.map(ToOwned::to_owned),
        ReportedValue::List(found, _) => {
            let sorted: BTreeSet<&str> = found?.iter().map(String::as_str).collect();
            Some(sorted.into_iter().collect::<Vec<_>>().join(", "))
        }
        ReportedValue::Flag(found) => found.map(|found| found.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{compared_fields, expect, set, sync, target, two_values};
    use super::*;
    use crate::expectations::TextPattern;
    use crate::fleet::Target;
    use crate::model::SyncType;

    fn properties(target: &Target) -> Properties<'_> {
        Properties { target, account_id: target.account.id.as_ref() }
    }

    fn with(field: Field, found: Option<&str>) -> DataSync {
        let mut sync = sync(SyncType::ToDestination, "a");
        set(&mut sync, field, found);
        sync
    }

    /// Compares one field.
    fn outcome(field: Field, wanted: Option<&str>, found: Option<&str>) -> Outcome {
        let mut request = ExpectedSync::any(SyncType::ToDestination);
        expect(&mut request, field, wanted);
        let target = target("111122223333", "eu-west-1");
        let outcomes: Vec<_> = compare(&request, &with(field, found), properties(&target)).collect();
        let [(compared, outcome)] = *outcomes else { panic!("{outcomes:?}") };
        assert_eq!(compared, field);
        outcome
    }

    #[test]
    fn each_field_is_equal_different_or_not_reported() {
        for field in compared_fields() {
            let [one, other] = two_values(field);
            assert_eq!(outcome(field, Some(one), Some(one)), Outcome::Equal, "{field:?}");
            assert_eq!(outcome(field, Some(one), Some(other)), Outcome::Different, "{field:?}");
            assert_eq!(outcome(field, Some(one), None), Outcome::NotReported, "{field:?}");
            assert_eq!(outcome(field, None, Some(one)), Outcome::Different, "{field:?}");
            let absent = match field {
                Field::SharingType => Outcome::NotReported,
                _ => Outcome::Equal,
            };
            assert_eq!(outcome(field, None, None), absent, "{field:?}");
        }
    }

    #[test]
    fn only_fields_that_matter_are_compared() {
        let mut full = sync(SyncType::ToDestination, "a");
        for field in compared_fields() {
            set(&mut full, field, Some(two_values(field)[0]));
        }
        let target = target("111122223333", "eu-west-1");
        let request = ExpectedSync::any(SyncType::ToDestination);
        assert_eq!(compare(&request, &full, properties(&target)).count(), 0);
    }

    #[test]
    fn lists_are_compared_without_order_and_duplicates() {
        use Outcome::{Different, Equal};
        for field in [Field::OrganizationalUnits, Field::SourceRegions] {
            for (wanted, found, expected) in [
                ("a b", "b a", Equal),
                ("a b", "a b a b", Equal),
                ("a b a", "b a", Equal),
                ("a b", "a", Different),
                ("a", "a b", Different),
                ("a", "", Different),
                ("{region} a", "a eu-west-1", Equal),
                ("a*", "ab", Different),
            ] {
                assert_eq!(outcome(field, Some(wanted), Some(found)), expected, "{wanted} {found}");
            }
            assert_eq!(outcome(field, None, Some("")), Equal);
        }
    }

    #[test]
    fn an_entry_that_could_not_be_read_may_be_the_one_that_seems_to_be_missing() {
        use Outcome::{Different, NotReported};
        for field in [Field::OrganizationalUnits, Field::SourceRegions] {
            for (wanted, found, expected) in [
                (Some("a b"), "a", NotReported),
                (Some("a"), "a", NotReported),
                (Some("a"), "a b", Different),
                (None, "a", Different),
                (None, "", NotReported),
            ] {
                let mut request = ExpectedSync::any(SyncType::ToDestination);
                expect(&mut request, field, wanted);
                let mut sync = with(field, Some(found));
                sync.source.as_mut().unwrap().has_unreadable_entries = true;
                let target = target("111122223333", "eu-west-1");
                let outcomes: Vec<_> = compare(&request, &sync, properties(&target)).collect();
                assert_eq!(outcomes, [(field, expected)], "{wanted:?} {found}");
            }
        }
    }

    #[test]
    fn only_the_source_type_is_compared_without_case() {
        for (wanted, found, expected) in [
            ("singleAccountMultiRegions", "SingleAccountMultiRegions", Outcome::Equal),
            ("SINGLE*", "SingleAccountMultiRegions", Outcome::Equal),
            ("AwsOrganizations", "SingleAccountMultiRegions", Outcome::Different),
        ] {
            assert_eq!(outcome(Field::SourceType, Some(wanted), Some(found)), expected, "{wanted}");
        }
        for field in [Field::BucketName, Field::OrganizationSourceType, Field::SyncFormat] {
            assert_eq!(outcome(field, Some("a"), Some("A")), Outcome::Different, "{field:?}");
        }
    }

    #[test]
    fn a_text_may_have_wildcards_and_placeholders() {
        use Outcome::{Different, Equal};
        for (wanted, found, expected) in [
            ("org-{region}", "org-eu-west-1", Equal),
            ("org-{region}", "org-us-east-1", Different),
            (
                "arn:{partition}:kms:{region}:{account_id}:key/*",
                "arn:aws:kms:eu-west-1:111122223333:key/k",
                Equal,
            ),
            (
                "arn:{partition}:kms:*:{account_id}:key/*",
                "arn:aws:kms:eu-west-1:444455556666:key/k",
                Different,
            ),
            ("{{region}}", "{region}", Equal),
        ] {
            assert_eq!(outcome(Field::KmsKeyArn, Some(wanted), Some(found)), expected, "{wanted}");
        }
    }

    #[test]
    fn any_of_several_texts_will_do() {
        let pattern = |text| TextPattern::parse(text).unwrap();
        let wanted = ExpectedText::AnyOf(vec![pattern("one"), pattern("two-*")]);
        let target = target("111122223333", "eu-west-1");
        let compare = |found| compare_text(Field::BucketName, &wanted, Some(found), properties(&target));
        assert_eq!(
            ["one", "two-2", "three"].map(compare),
            [Outcome::Equal, Outcome::Equal, Outcome::Different]
        );
        let text = wanted_text(ExpectedValue::Text(&wanted), properties(&target));
        assert_eq!(text.as_deref(), Some("one or two-*"));
    }

    #[test]
    fn what_was_wanted_and_found_can_be_shown_for_each_field() {
        let target = target("111122223333", "eu-west-1");
        for field in compared_fields() {
            let [value, _] = two_values(field);
            let shown = if value == "a b" { "a, b" } else { value };
            let mut request = ExpectedSync::any(SyncType::ToDestination);
            for wanted in [Some(value), None] {
                expect(&mut request, field, wanted);
                let text = wanted_text(request.value(field).unwrap(), properties(&target));
                assert_eq!(text.as_deref(), wanted.map(|_| shown), "{field:?}");
            }
            for found in [Some(value), None] {
                assert_eq!(
                    found_text(&with(field, found), field).as_deref(),
                    found.map(|_| shown),
                    "{field:?}"
                );
            }
        }
    }
}
