//! The values that AWS reports, as far as the configuration accepts them in a request.
//!
//! A value that no request can have, such as a key in another region than the bucket, is left out: the
//! configuration would be rejected.

use std::collections::BTreeSet;

use super::{KnownTarget, is_writable};
use crate::expectations::Field;
use crate::expectations::comparison::{ReportedValue, reported_value};
use crate::fleet::{OrganizationalUnitId, Partition, RegionName};
use crate::model::{DataSync, Source, SyncType};

/// A value that AWS reports and that can be written in a configuration.
pub(super) enum Reported<'a> {
    Text(&'a str),
    List(BTreeSet<&'a str>),
    Flag(bool),
}

impl<'a> Reported<'a> {
    pub(super) fn new(sync: &'a DataSync, field: Field, target: &KnownTarget<'_>) -> Option<Self> {
        if !has_field(sync, field) {
            return None;
        }
        let partition = target.target.partition();
        match reported_value(sync, field) {
            ReportedValue::Text(text) => {
                let text = text.filter(|text| is_writable(text))?;
                let is_valid = match field {
                    Field::BucketRegion => is_region(text, partition),
                    Field::KmsKeyArn => is_key_of_bucket(text, sync, partition),
                    _ => true,
                };
                is_valid.then(|| Self::Text(documented_case(field, text)))
            }
            ReportedValue::List(list, is_complete) => {
                let items = list.filter(|items| is_complete && !items.is_empty())?;
                let is_valid = |item: &String| match field {
                    Field::OrganizationalUnits => item.parse::<OrganizationalUnitId>().is_ok(),
                    _ => is_region(item, partition),
                };
                items.iter().all(is_valid).then(|| Self::List(items.iter().map(String::as_str).collect()))
            }
            ReportedValue::Flag(flag) => flag.map(Self::Flag),
        }
    }
}

/// Whether a request for a sync of this type and with this source can have the parameter.
fn has_field(sync: &DataSync, field: Field) -> bool {
    let is_of_organization = |source: &Source| !source.is_single_account();
    let source = sync.source.as_ref();
    match field {
        Field::Presence | Field::Forbidden => false,
        Field::BucketName
        | Field::BucketPrefix
        | Field::BucketRegion
        | Field::SyncFormat
        | Field::KmsKeyArn
        | Field::SharingType => sync.sync_type == SyncType::ToDestination,
        Field::OrganizationSourceType => {
            sync.sync_type == SyncType::FromSource && source.is_some_and(is_of_organization)
        }
        Field::OrganizationalUnits => {
            has_field(sync, Field::OrganizationSourceType)
                && source.and_then(|source| source.organization_source_type.as_deref())
                    == Some("OrganizationalUnits")
        }
        Field::SourceType
        | Field::SourceRegions
        | Field::IncludeFutureRegions
        | Field::EnableAllOpsDataSources => sync.sync_type == SyncType::FromSource,
    }
}

fn is_region(text: &str, partition: Partition) -> bool {
    text.parse::<RegionName>().is_ok_and(|region| region.partition() == partition)
}

fn is_key_of_bucket(arn: &str, sync: &DataSync, partition: Partition) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", key_partition, "kms", region, _, _] = parts.as_slice() else { return false };
    let bucket_region = sync.destination.as_ref().and_then(|destination| destination.region.as_deref());
    *key_partition == partition.as_str() && bucket_region.is_none_or(|bucket| bucket == *region)
}

/// The source type in the letter case in which AWS sends it, because its case does not matter.
fn documented_case(field: Field, text: &str) -> &str {
    let is_same = |documented: &&str| field == Field::SourceType && documented.eq_ignore_ascii_case(text);
    [Source::SINGLE_ACCOUNT, "AwsOrganizations"].into_iter().find(is_same).unwrap_or(text)
}
