//! Converts the SDK's types into the plain data of [`model`](crate::model), within its
//! [limits].

use aws_sdk_ssm::types::{
    ResourceDataSyncItem, ResourceDataSyncS3Destination, ResourceDataSyncSourceWithState,
};
use aws_smithy_types::DateTime;

use super::presence::SourcePresence;
use crate::model::limits::{self, MAX_SOURCE_ITEMS};
use crate::model::{
    DataSync, Destination, Failure, Reason, SharingType, Source, SourceState, SyncStatus, SyncType,
};

/// Converts an item of a list that was requested for `requested_type`.
///
/// # Errors
/// The item has no name, so it cannot be identified, or it exceeds a limit.
pub(super) fn data_sync(
    item: ResourceDataSyncItem,
    requested_type: &SyncType,
    presence: SourcePresence,
) -> Result<DataSync, Failure> {
    let name = text("the name of a sync", item.sync_name)?
        .ok_or_else(|| Failure::new(Reason::InvalidResponse, "a sync has no name"))?;
    Ok(DataSync {
        // In AWS's own examples, S3 syncs have no type.
        sync_type: text("the type of a sync", item.sync_type)?
            .map_or_else(|| requested_type.clone(), |text| SyncType::from(text.as_str())),
        name,
        last_status: text("the status of a sync", item.last_status.map(|status| status.as_str().to_owned()))?
            .map(|text| SyncStatus::from(text.as_str())),
        last_status_message: text("the status message of a sync", item.last_sync_status_message)?,
        last_sync: item.last_sync_time.as_ref().map(DateTime::as_secs_f64),
        last_successful_sync: item.last_successful_sync_time.as_ref().map(DateTime::as_secs_f64),
        created: item.sync_created_time.as_ref().map(DateTime::as_secs_f64),
        last_modified: item.sync_last_modified_time.as_ref().map(DateTime::as_secs_f64),
        destination: item.s3_destination.map(destination).transpose()?,
        source: item.sync_source.map(|from| source(from, presence)).transpose()?,
    })
}

fn destination(from: ResourceDataSyncS3Destination) -> Result<Destination, Failure> {
    let sharing = from.destination_data_sharing.and_then(|sharing| sharing.destination_data_sharing_type);
    // Bucket, format and region are required by the API's model: if one is missing,
    // the SDK rejects the whole response.
    Ok(Destination {
        bucket_name: text("the name of a bucket", Some(from.bucket_name))?,
        prefix: text("the prefix of a bucket", from.prefix)?,
        region: text("the region of a bucket", Some(from.region))?,
        format: text("the format of a sync", Some(from.sync_format.as_str().to_owned()))?,
        kms_key_arn: text("the ARN of a KMS key", from.awskms_key_arn)?,
        sharing: text("the sharing type of a bucket", sharing)?.map(|text| SharingType::from(text.as_str())),
    })
}

fn source(from: ResourceDataSyncSourceWithState, presence: SourcePresence) -> Result<Source, Failure> {
    let (units, organization_source_type) = from
        .aws_organizations_source
        .map(|organization| (organization.organizational_units, organization.organization_source_type))
        .unzip();
    let units = units.flatten();
    let organizational_unit_count = number_of("organizational units in a sync", units.as_deref())?;
    let region_count = number_of("source regions in a sync", from.source_regions.as_deref())?;
    for unit in units.iter().flatten() {
        let id = unit.organizational_unit_id.as_deref().unwrap_or_default();
        limits::check_text("the id of an organizational unit of a sync", id)?;
    }
    for region in from.source_regions.iter().flatten() {
        limits::check_text("the name of a source region of a sync", region)?;
    }
    Ok(Source {
        source_type: text("the source type of a sync", from.source_type)?,
        organizational_unit_count,
        organization_source_type: text("the organization source type of a sync", organization_source_type)?,
        region_count,
        include_future_regions: presence.has_include_future_regions.then_some(from.include_future_regions),
        enable_all_ops_data_sources: presence
            .has_enable_all_ops_data_sources
            .then_some(from.enable_all_ops_data_sources),
        state: text("the state of a sync's source", from.state)?.map(|text| SourceState::from(text.as_str())),
    })
}

/// A text if it is not empty. `what` names it in the error if it is too long.
fn text(what: &str, text: Option<String>) -> Result<Option<String>, Failure> {
    let text = text.filter(|text| !text.is_empty());
    if let Some(text) = &text {
        limits::check_text(what, text)?;
    }
    Ok(text)
}

fn number_of<T>(what: &str, items: Option<&[T]>) -> Result<Option<usize>, Failure> {
    let number = items.map(<[T]>::len);
    limits::check_number(what, number.unwrap_or_default(), MAX_SOURCE_ITEMS)?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ssm::types::{
        LastResourceDataSyncStatus, ResourceDataSyncAwsOrganizationsSource,
        ResourceDataSyncDestinationDataSharing, ResourceDataSyncOrganizationalUnit, ResourceDataSyncS3Format,
    };

    use super::*;
    use crate::model::limits::MAX_TEXT_CHARS;

    /// An item whose texts are all `text`, and whose lists have `list_len` items.
    fn item(text: &str, list_len: usize) -> ResourceDataSyncItem {
        let unit = ResourceDataSyncOrganizationalUnit::builder().organizational_unit_id(text).build();
        let organization = ResourceDataSyncAwsOrganizationsSource::builder()
            .organization_source_type(text)
            .set_organizational_units(Some(vec![unit; list_len]))
            .build()
            .unwrap();
        let source = ResourceDataSyncSourceWithState::builder()
            .source_type(text)
            .aws_organizations_source(organization)
            .set_source_regions(Some(vec![text.to_owned(); list_len]))
            .state(text);
        let sharing =
            ResourceDataSyncDestinationDataSharing::builder().destination_data_sharing_type(text).build();
        let destination = ResourceDataSyncS3Destination::builder()
            .bucket_name(text)
            .prefix(text)
            .region(text)
            .sync_format(ResourceDataSyncS3Format::from(text))
            .awskms_key_arn(text)
            .destination_data_sharing(sharing);
        ResourceDataSyncItem::builder()
            .sync_name(text)
            .sync_type(text)
            .last_status(LastResourceDataSyncStatus::from(text))
            .last_sync_status_message(text)
            .s3_destination(destination.build().unwrap())
            .sync_source(source.build())
            .build()
    }

    fn convert(item: ResourceDataSyncItem) -> Result<DataSync, Failure> {
        data_sync(item, &SyncType::ToDestination, SourcePresence::default())
    }

    #[test]
    fn texts_and_lists_up_to_the_limits_are_accepted() {
        let text = "ü".repeat(MAX_TEXT_CHARS);
        let sync = convert(item(&text, MAX_SOURCE_ITEMS)).unwrap();
        assert_eq!(sync.name, text);
        assert_eq!(sync.source.unwrap().region_count, Some(MAX_SOURCE_ITEMS));
    }

    /// Sets one text of an item.
    type SetText = fn(&mut ResourceDataSyncItem, String);

    #[test]
    fn every_text_beyond_the_limit_is_rejected_by_name() {
        // Regression: a text of any length became a label, a part of the page and a log line.
        let texts: [(&str, SetText); 15] = [
            ("the name of a sync", |item, text| item.sync_name = Some(text)),
            ("the type of a sync", |item, text| item.sync_type = Some(text)),
            ("the status of a sync", |item, text| item.last_status = Some(text.as_str().into())),
            ("the status message of a sync", |item, text| item.last_sync_status_message = Some(text)),
            ("the name of a bucket", |item, text| item.s3_destination.as_mut().unwrap().bucket_name = text),
            ("the prefix of a bucket", |item, text| {
                item.s3_destination.as_mut().unwrap().prefix = Some(text);
            }),
            ("the region of a bucket", |item, text| item.s3_destination.as_mut().unwrap().region = text),
            ("the format of a sync", |item, text| {
                item.s3_destination.as_mut().unwrap().sync_format = text.as_str().into();
            }),
            ("the ARN of a KMS key", |item, text| {
                item.s3_destination.as_mut().unwrap().awskms_key_arn = Some(text);
            }),
            ("the sharing type of a bucket", |item, text| {
                let sharing = &mut item.s3_destination.as_mut().unwrap().destination_data_sharing;
                sharing.as_mut().unwrap().destination_data_sharing_type = Some(text);
            }),
            ("the source type of a sync", |item, text| {
                item.sync_source.as_mut().unwrap().source_type = Some(text);
            }),
            ("the organization source type of a sync", |item, text| {
                let source = item.sync_source.as_mut().unwrap();
                source.aws_organizations_source.as_mut().unwrap().organization_source_type = text;
            }),
            ("the id of an organizational unit of a sync", |item, text| {
                let source = item.sync_source.as_mut().unwrap();
                let organization = source.aws_organizations_source.as_mut().unwrap();
                organization.organizational_units.as_mut().unwrap()[0].organizational_unit_id = Some(text);
            }),
            ("the name of a source region of a sync", |item, text| {
                item.sync_source.as_mut().unwrap().source_regions.as_mut().unwrap()[0] = text;
            }),
            ("the state of a sync's source", |item, text| {
                item.sync_source.as_mut().unwrap().state = Some(text);
            }),
        ];
        for (name, set) in texts {
            let mut item = item("text", 1);
            assert!(convert(item.clone()).is_ok(), "{name}");
            set(&mut item, "x".repeat(MAX_TEXT_CHARS + 1));
            let failure = convert(item).unwrap_err();
            assert_eq!(failure.reason, Reason::InvalidResponse);
            assert_eq!(
                failure.message,
                format!("{name} has more than 2048 characters, the limit of the exporter")
            );
        }
    }

    #[test]
    fn a_list_beyond_the_limit_is_rejected() {
        let failure = convert(item("text", MAX_SOURCE_ITEMS + 1)).unwrap_err();
        assert_eq!(
            failure.message,
            "there are more than 1000 organizational units in a sync, the limit of the exporter"
        );
        let mut item = item("text", 1);
        item.sync_source.as_mut().unwrap().source_regions = Some(vec!["r".to_owned(); MAX_SOURCE_ITEMS + 1]);
        let failure = convert(item).unwrap_err();
        assert_eq!(
            failure.message,
            "there are more than 1000 source regions in a sync, the limit of the exporter"
        );
    }
}
