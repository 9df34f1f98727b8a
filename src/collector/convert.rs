//! Converts the SDK's types into the plain data of [`model`](crate::model).

use aws_sdk_ssm::types::{
    ResourceDataSyncItem, ResourceDataSyncS3Destination, ResourceDataSyncSourceWithState,
};
use aws_smithy_types::DateTime;

use super::presence::SourcePresence;
use crate::model::{
    DataSync, Destination, Failure, Reason, SharingType, Source, SourceState, SyncStatus, SyncType,
};

/// Converts an item of a list that was requested for `requested_type`.
///
/// # Errors
/// The item has no name, so it cannot be identified.
pub(super) fn data_sync(
    item: ResourceDataSyncItem,
    requested_type: &SyncType,
    presence: SourcePresence,
) -> Result<DataSync, Failure> {
    let name = non_empty(item.sync_name).ok_or_else(|| {
        let message =
            format!("the response to ListResourceDataSync for {requested_type} has a sync without a name");
        Failure::new(Reason::InvalidResponse, message)
    })?;
    Ok(DataSync {
        // In AWS's own examples, S3 syncs have no type.
        sync_type: non_empty(item.sync_type)
            .map_or_else(|| requested_type.clone(), |text| SyncType::from(text.as_str())),
        name,
        last_status: item
            .last_status
            .filter(|status| !status.as_str().is_empty())
            .map(|status| SyncStatus::from(status.as_str())),
        last_status_message: non_empty(item.last_sync_status_message),
        last_sync: item.last_sync_time.as_ref().map(DateTime::as_secs_f64),
        last_successful_sync: item.last_successful_sync_time.as_ref().map(DateTime::as_secs_f64),
        created: item.sync_created_time.as_ref().map(DateTime::as_secs_f64),
        last_modified: item.sync_last_modified_time.as_ref().map(DateTime::as_secs_f64),
        destination: item.s3_destination.map(destination),
        source: item.sync_source.map(|from| source(from, presence)),
    })
}

fn destination(from: ResourceDataSyncS3Destination) -> Destination {
    // Bucket, format and region are required by the API's model: if one is missing,
    // the SDK rejects the whole response.
    Destination {
        bucket_name: non_empty(Some(from.bucket_name)),
        prefix: non_empty(from.prefix),
        region: non_empty(Some(from.region)),
        format: non_empty(Some(from.sync_format.as_str().to_owned())),
        kms_key_arn: non_empty(from.awskms_key_arn),
        sharing: from
            .destination_data_sharing
            .and_then(|sharing| non_empty(sharing.destination_data_sharing_type))
            .map(|text| SharingType::from(text.as_str())),
    }
}

fn source(from: ResourceDataSyncSourceWithState, presence: SourcePresence) -> Source {
    let organization = from.aws_organizations_source;
    Source {
        source_type: non_empty(from.source_type),
        organizational_unit_count: organization
            .as_ref()
            .and_then(|organization| organization.organizational_units.as_ref())
            .map(Vec::len),
        organization_source_type: organization
            .and_then(|organization| non_empty(Some(organization.organization_source_type))),
        region_count: from.source_regions.map(|regions| regions.len()),
        include_future_regions: presence.has_include_future_regions.then_some(from.include_future_regions),
        enable_all_ops_data_sources: presence
            .has_enable_all_ops_data_sources
            .then_some(from.enable_all_ops_data_sources),
        state: non_empty(from.state).map(|text| SourceState::from(text.as_str())),
    }
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
