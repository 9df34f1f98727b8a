//! The sync that an expectation describes: the parameters of `CreateResourceDataSync` as patterns.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::field::Field;
use super::pattern::{Properties, TextPattern};
use crate::model::SyncType;

/// What a sync has to be like. A field that is `None` does not matter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExpectedSync {
    pub(crate) sync_type: SyncType,
    /// Any of these names will do. If empty, any name will.
    pub(crate) names: Vec<TextPattern>,
    pub(crate) bucket_name: Option<ExpectedText>,
    pub(crate) bucket_prefix: Option<ExpectedText>,
    pub(crate) bucket_region: Option<ExpectedText>,
    pub(crate) sync_format: Option<ExpectedText>,
    pub(crate) kms_key_arn: Option<ExpectedText>,
    pub(crate) sharing_type: Option<ExpectedText>,
    pub(crate) source_type: Option<ExpectedText>,
    pub(crate) organization_source_type: Option<ExpectedText>,
    pub(crate) organizational_units: Option<ExpectedSet>,
    pub(crate) source_regions: Option<ExpectedSet>,
    pub(crate) include_future_regions: Option<ExpectedFlag>,
    pub(crate) enable_all_ops_data_sources: Option<ExpectedFlag>,
}

/// The value that a field has to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExpectedText {
    /// No value.
    Absent,
    /// A value that matches any of these.
    AnyOf(Vec<TextPattern>),
}

/// The values that a list has to have, in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExpectedSet {
    /// No list, or an empty one.
    Absent,
    /// These values and no others. They have no wildcards.
    Exactly(Vec<TextPattern>),
}

/// The boolean that a field has to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpectedFlag {
    /// No value.
    Absent,
    /// This value.
    Is(bool),
}

/// What a field has to be, of whatever type it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpectedValue<'a> {
    Text(&'a ExpectedText),
    Set(&'a ExpectedSet),
    Flag(ExpectedFlag),
}

impl ExpectedSync {
    /// A sync of this type about which nothing else matters.
    pub(crate) fn any(sync_type: SyncType) -> Self {
        Self {
            sync_type,
            names: Vec::new(),
            bucket_name: None,
            bucket_prefix: None,
            bucket_region: None,
            sync_format: None,
            kms_key_arn: None,
            sharing_type: None,
            source_type: None,
            organization_source_type: None,
            organizational_units: None,
            source_regions: None,
            include_future_regions: None,
            enable_all_ops_data_sources: None,
        }
    }

    /// The name, if only a sync with this one name will do.
    pub(crate) fn single_name(&self) -> Option<&TextPattern> {
        match self.names.as_slice() {
            [name] if name.is_literal() => Some(name),
            _ => None,
        }
    }

    /// The fields that matter, in the order of [`Field`].
    pub(crate) fn values(&self) -> impl Iterator<Item = (Field, ExpectedValue<'_>)> {
        Field::ALL.iter().filter_map(|field| Some((*field, self.value(*field)?)))
    }

    /// What a field has to be. `None` if it does not matter.
    pub(crate) fn value(&self, field: Field) -> Option<ExpectedValue<'_>> {
        fn text(value: Option<&ExpectedText>) -> Option<ExpectedValue<'_>> {
            value.map(ExpectedValue::Text)
        }
        match field {
            Field::Presence | Field::Forbidden => None,
            Field::BucketName => text(self.bucket_name.as_ref()),
            Field::BucketPrefix => text(self.bucket_prefix.as_ref()),
            Field::BucketRegion => text(self.bucket_region.as_ref()),
            Field::SyncFormat => text(self.sync_format.as_ref()),
            Field::KmsKeyArn => text(self.kms_key_arn.as_ref()),
            Field::SharingType => text(self.sharing_type.as_ref()),
            Field::SourceType => text(self.source_type.as_ref()),
            Field::OrganizationSourceType => text(self.organization_source_type.as_ref()),
            Field::OrganizationalUnits => self.organizational_units.as_ref().map(ExpectedValue::Set),
            Field::SourceRegions => self.source_regions.as_ref().map(ExpectedValue::Set),
            Field::IncludeFutureRegions => self.include_future_regions.map(ExpectedValue::Flag),
            Field::EnableAllOpsDataSources => self.enable_all_ops_data_sources.map(ExpectedValue::Flag),
        }
    }

    /// Whether a sync with this name will do.
    pub(super) fn accepts_name(&self, name: &str, properties: Properties<'_>) -> bool {
        self.names.is_empty() || self.names.iter().any(|pattern| pattern.matches(name, properties))
    }

    /// All patterns of the names and of the values.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &TextPattern> {
        let values = self.values().flat_map(|(_, value)| match value {
            ExpectedValue::Text(ExpectedText::AnyOf(patterns))
            | ExpectedValue::Set(ExpectedSet::Exactly(patterns)) => patterns.as_slice(),
            _ => &[],
        });
        self.names.iter().chain(values)
    }
}

impl ExpectedSet {
    /// The wanted values in a target.
    pub(super) fn values<'a>(&'a self, properties: Properties<'a>) -> BTreeSet<Cow<'a, str>> {
        match self {
            Self::Absent => BTreeSet::new(),
            Self::Exactly(patterns) => patterns.iter().map(|pattern| pattern.resolve(properties)).collect(),
        }
    }
}
