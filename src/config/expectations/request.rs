//! Checks and converts a request of `CreateResourceDataSync`.

use crate::config::error::ConfigError;
use crate::config::raw::{
    AnyOf, List, Nullable, RawOrganizationalUnit, RawOrganizationsSource, RawRequest, RawS3Destination,
    RawSyncSource,
};
use crate::config::scalar::Shown;
use crate::config::setting::Setting;
use crate::expectations::{ExpectedFlag, ExpectedSet, ExpectedSync, ExpectedText, TextPattern};
use crate::model::SyncType;

/// The sync that the request in `setting` describes.
///
/// # Errors
/// The first field that does not fit the others.
pub(super) fn expected_sync(raw: RawRequest, setting: &Setting<'_>) -> Result<ExpectedSync, ConfigError> {
    let sync_type = match (raw.sync_type, &raw.s3_destination, &raw.sync_source) {
        (Some(sync_type), _, _) => sync_type.into_value(),
        (None, None, Some(_)) => {
            return Err(setting.invalid("the key `SyncType` is missing; add `SyncType: SyncFromSource`"));
        }
        // The default of the API.
        (None, _, _) => SyncType::ToDestination,
    };
    let RawS3Destination { bucket_name, prefix, sync_format, region, kms_key_arn, destination_data_sharing } =
        raw.s3_destination.unwrap_or_default();
    let RawSyncSource {
        source_type,
        aws_organizations_source,
        source_regions,
        include_future_regions,
        enable_all_ops_data_sources,
    } = raw.sync_source.unwrap_or_default();
    let RawOrganizationsSource { organization_source_type, organizational_units } =
        aws_organizations_source.unwrap_or_default();
    Ok(ExpectedSync {
        sync_type,
        names: raw.sync_name.map(AnyOf::into_values).unwrap_or_default(),
        bucket_name: bucket_name.map(expected_text),
        bucket_prefix: prefix.map(expected_text),
        bucket_region: region.map(expected_text),
        sync_format: sync_format.map(expected_text),
        kms_key_arn: kms_key_arn.map(expected_text),
        sharing_type: destination_data_sharing
            .and_then(|sharing| sharing.destination_data_sharing_type)
            .map(expected_text),
        source_type: source_type.map(expected_text),
        organization_source_type: organization_source_type.map(expected_text),
        organizational_units: organizational_units.map(|units| expected_set(units, unit_ids)),
        source_regions: source_regions.map(|regions| expected_set(regions, List::into_values)),
        include_future_regions: include_future_regions.map(expected_flag),
        enable_all_ops_data_sources: enable_all_ops_data_sources.map(expected_flag),
    })
}

fn expected_text(raw: Nullable<AnyOf<TextPattern>>) -> ExpectedText {
    match raw {
        Nullable::Null => ExpectedText::Absent,
        Nullable::Value(values) => ExpectedText::AnyOf(values.into_values()),
    }
}

fn expected_set<T>(raw: Nullable<T>, patterns: impl FnOnce(T) -> Vec<TextPattern>) -> ExpectedSet {
    match raw {
        Nullable::Null => ExpectedSet::Absent,
        Nullable::Value(values) => ExpectedSet::Exactly(patterns(values)),
    }
}

fn unit_ids(units: Vec<RawOrganizationalUnit>) -> Vec<TextPattern> {
    units.into_iter().map(|unit| unit.organizational_unit_id.into_value()).collect()
}

fn expected_flag(raw: Nullable<Shown<bool>>) -> ExpectedFlag {
    match raw {
        Nullable::Null => ExpectedFlag::Absent,
        Nullable::Value(value) => ExpectedFlag::Is(value.into_value()),
    }
}
