//! The sync that an expectation describes, if it describes exactly one.

use super::Expectation;
use super::comparison::{Outcome, compare};
use super::field::Field;
use super::judgement::ObservedTarget;
use super::pattern::{Properties, TextPattern};
use super::request::{ExpectedFlag, ExpectedSet, ExpectedText, ExpectedValue};
use crate::model::{DataSync, Destination, SharingType, Source};

impl Expectation {
    /// The sync that has to be in the target. `None` if the expectation leaves its name or a value
    /// open, by a pattern or by several values.
    pub(crate) fn described_sync(&self, observed: &ObservedTarget<'_>) -> Option<DataSync> {
        let properties = observed.properties();
        let name = self.request.single_name()?.resolve(properties).into_owned();
        let mut sync = DataSync::new(self.request.sync_type.clone(), name);
        for (field, wanted) in self.request.values() {
            set(&mut sync, field, wanted, properties)?;
        }
        Some(sync)
    }

    /// A sync of the target, changed so that it is as described. A field that AWS does not report is set
    /// as well, unless the expectation accepts several values. `None` if it accepts several values of a
    /// field that is different.
    pub(crate) fn corrected_sync(&self, sync: &DataSync, observed: &ObservedTarget<'_>) -> Option<DataSync> {
        let properties = observed.properties();
        let mut corrected = sync.clone();
        for (field, outcome) in compare(&self.request, sync, properties) {
            let is_set = match self.request.value(field) {
                Some(wanted) if outcome != Outcome::Equal => set(&mut corrected, field, wanted, properties),
                _ => continue,
            };
            if is_set.is_none() && outcome == Outcome::Different {
                return None;
            }
        }
        if let Some(source) = &mut corrected.source {
            remove_contradictions(source);
        }
        Some(corrected)
    }
}

/// Removes what AWS reports of the accounts that the source no longer reads.
fn remove_contradictions(source: &mut Source) {
    if source.is_single_account() {
        (source.organization_source_type, source.organizational_units) = (None, None);
    }
    if source.organization_source_type.as_deref() == Some("EntireOrganization") {
        source.organizational_units = None;
    }
}

/// Sets a field to the only value that it may have. `None` if it may have several.
fn set(
    sync: &mut DataSync,
    field: Field,
    wanted: ExpectedValue<'_>,
    properties: Properties<'_>,
) -> Option<()> {
    match (place(sync, field)?, wanted) {
        (Place::Text(text), ExpectedValue::Text(wanted)) => match only_text(wanted, properties) {
            OnlyText::Absent => *text = None,
            OnlyText::Is(wanted) => *text = Some(wanted),
            OnlyText::Open => return None,
        },
        (Place::Sharing(sharing), ExpectedValue::Text(wanted)) => match only_text(wanted, properties) {
            OnlyText::Absent => *sharing = None,
            OnlyText::Is(wanted) => *sharing = Some(SharingType::from(wanted.as_str())),
            OnlyText::Open => return None,
        },
        (Place::List(list), ExpectedValue::Set(wanted)) => {
            *list = match wanted {
                ExpectedSet::Absent => None,
                ExpectedSet::Exactly(_) => {
                    Some(wanted.values(properties).into_iter().map(Into::into).collect())
                }
            };
        }
        (Place::Flag(flag), ExpectedValue::Flag(wanted)) => {
            *flag = match wanted {
                ExpectedFlag::Absent => None,
                ExpectedFlag::Is(wanted) => Some(wanted),
            };
        }
        // A field has one type only.
        _ => return None,
    }
    Some(())
}

/// Where a sync has the value of a field.
pub(super) enum Place<'a> {
    Text(&'a mut Option<String>),
    Sharing(&'a mut Option<SharingType>),
    List(&'a mut Option<Vec<String>>),
    Flag(&'a mut Option<bool>),
}

pub(super) fn place(sync: &mut DataSync, field: Field) -> Option<Place<'_>> {
    Some(match field {
        Field::Presence | Field::Forbidden => return None,
        Field::BucketName => Place::Text(&mut destination(sync).bucket_name),
        Field::BucketPrefix => Place::Text(&mut destination(sync).prefix),
        Field::BucketRegion => Place::Text(&mut destination(sync).region),
        Field::SyncFormat => Place::Text(&mut destination(sync).format),
        Field::KmsKeyArn => Place::Text(&mut destination(sync).kms_key_arn),
        Field::SharingType => Place::Sharing(&mut destination(sync).sharing),
        Field::SourceType => Place::Text(&mut source(sync).source_type),
        Field::OrganizationSourceType => Place::Text(&mut source(sync).organization_source_type),
        Field::OrganizationalUnits => Place::List(&mut source(sync).organizational_units),
        Field::SourceRegions => Place::List(&mut source(sync).regions),
        Field::IncludeFutureRegions => Place::Flag(&mut source(sync).include_future_regions),
        Field::EnableAllOpsDataSources => Place::Flag(&mut source(sync).enable_all_ops_data_sources),
    })
}

fn destination(sync: &mut DataSync) -> &mut Destination {
    sync.destination.get_or_insert_default()
}

fn source(sync: &mut DataSync) -> &mut Source {
    sync.source.get_or_insert_default()
}

/// The only value that a text may have.
enum OnlyText {
    Absent,
    Is(String),
    /// There are several.
    Open,
}

fn only_text(wanted: &ExpectedText, properties: Properties<'_>) -> OnlyText {
    let ExpectedText::AnyOf(patterns) = wanted else { return OnlyText::Absent };
    match patterns.as_slice() {
        [only] if TextPattern::is_literal(only) => OnlyText::Is(only.resolve(properties).into_owned()),
        _ => OnlyText::Open,
    }
}
