//! Compares the fields of a sync with what an expectation says.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::field::Field;
use super::pattern::{Properties, TextPattern};
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
enum ReportedValue<'a> {
    Text(Option<&'a str>),
    List(Option<&'a [String]>),
    Flag(Option<bool>),
}

/// Compares every field that matters.
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
            (ExpectedValue::Set(wanted), ReportedValue::List(found)) => {
                compare_set(wanted, found, properties)
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

fn compare_set(wanted: &ExpectedSet, found: Option<&[String]>, properties: Properties<'_>) -> Outcome {
    match (wanted, found) {
        (ExpectedSet::Absent, found) => Outcome::known(found.is_none_or(<[String]>::is_empty)),
        (ExpectedSet::Exactly(_), None) => Outcome::NotReported,
        (ExpectedSet::Exactly(patterns), Some(found)) => {
            let found: BTreeSet<Cow<'_, str>> =
                found.iter().map(|value| Cow::Borrowed(value.as_str())).collect();
            Outcome::known(resolved(patterns, properties) == found)
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

/// The values of a list in a target.
pub(super) fn resolved<'a>(
    patterns: &'a [TextPattern],
    properties: Properties<'a>,
) -> BTreeSet<Cow<'a, str>> {
    patterns.iter().map(|pattern| pattern.resolve(properties)).collect()
}

fn reported_value(sync: &DataSync, field: Field) -> ReportedValue<'_> {
    let (destination, source) = (sync.destination.as_ref(), sync.source.as_ref());
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
            ReportedValue::List(source.and_then(|found| found.organizational_units.as_deref()))
        }
        Field::SourceRegions => ReportedValue::List(source.and_then(|found| found.regions.as_deref())),
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
        ExpectedValue::Set(ExpectedSet::Exactly(patterns)) => {
            Some(resolved(patterns, properties).into_iter().collect::<Vec<_>>().join(", "))
        }
        ExpectedValue::Flag(ExpectedFlag::Is(wanted)) => Some(wanted.to_string()),
    }
}

/// What AWS reports for a field, for people. `None` if it reports nothing.
pub(super) fn found_text(sync: &DataSync, field: Field) -> Option<String> {
    match reported_value(sync, field) {
        ReportedValue::Text(found) => found.map(ToOwned::to_owned),
        ReportedValue::List(found) => {
            let sorted: BTreeSet<&str> = found?.iter().map(String::as_str).collect();
            Some(sorted.into_iter().collect::<Vec<_>>().join(", "))
        }
        ReportedValue::Flag(found) => found.map(|found| found.to_string()),
    }
}
