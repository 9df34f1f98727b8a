//! Turns what the SDK brings into plain data.

use aws_sdk_ssm::types::{
    ResourceDataSyncItem, ResourceDataSyncS3Destination, ResourceDataSyncSourceWithState,
};
use aws_smithy_types::DateTime;

use super::presence::SourcePresence;
use crate::model::{
    DataSync, Destination, Failure, Reason, SharingType, Source, SourceState, SyncStatus, SyncType,
};

/// One item of a list that was asked for `asked`.
///
/// # Errors
/// An item without a name: it could be told from no other.
pub(super) fn data_sync(
    item: ResourceDataSyncItem,
    asked: &SyncType,
    presence: SourcePresence,
) -> Result<DataSync, Failure> {
    let name = filled(item.sync_name).ok_or_else(|| {
        Failure::new(Reason::InvalidResponse, format!("a sync of type {asked} came without a name"))
    })?;
    Ok(DataSync {
        // AWS leaves the type out of its own examples of S3 syncs.
        sync_type: filled(item.sync_type).map_or_else(|| asked.clone(), |text| SyncType::from(text.as_str())),
        name,
        last_status: item
            .last_status
            .filter(|status| !status.as_str().is_empty())
            .map(|status| SyncStatus::from(status.as_str())),
        last_status_message: filled(item.last_sync_status_message),
        last_sync: item.last_sync_time.as_ref().map(DateTime::as_secs_f64),
        last_successful_sync: item.last_successful_sync_time.as_ref().map(DateTime::as_secs_f64),
        created: item.sync_created_time.as_ref().map(DateTime::as_secs_f64),
        last_modified: item.sync_last_modified_time.as_ref().map(DateTime::as_secs_f64),
        destination: item.s3_destination.map(destination),
        source: item.sync_source.map(|from| source(from, presence)),
    })
}

fn destination(from: ResourceDataSyncS3Destination) -> Destination {
    // Bucket, format and region are required by the model: without one of them
    // the SDK takes the whole answer for invalid.
    Destination {
        bucket_name: filled(Some(from.bucket_name)),
        prefix: filled(from.prefix),
        region: filled(Some(from.region)),
        format: filled(Some(from.sync_format.as_str().to_owned())),
        kms_key_arn: filled(from.awskms_key_arn),
        sharing: from
            .destination_data_sharing
            .and_then(|sharing| filled(sharing.destination_data_sharing_type))
            .map(|text| SharingType::from(text.as_str())),
    }
}

fn source(from: ResourceDataSyncSourceWithState, presence: SourcePresence) -> Source {
    let organization = from.aws_organizations_source;
    Source {
        source_type: filled(from.source_type),
        organizational_units: organization
            .as_ref()
            .and_then(|organization| organization.organizational_units.as_ref())
            .map(Vec::len),
        organization_source_type: organization
            .and_then(|organization| filled(Some(organization.organization_source_type))),
        regions: from.source_regions.map(|regions| regions.len()),
        include_future_regions: presence.include_future_regions.then_some(from.include_future_regions),
        enable_all_ops_data_sources: presence
            .enable_all_ops_data_sources
            .then_some(from.enable_all_ops_data_sources),
        state: filled(from.state).map(|text| SourceState::from(text.as_str())),
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
