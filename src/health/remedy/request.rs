//! Requests that create and update a sync, with all settings as AWS reports them. The names of the
//! fields are those of the API.

use serde::Serialize;

use crate::model::{DataSync, SyncType};

/// The request of `CreateResourceDataSync` or `UpdateResourceDataSync`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Request<'a> {
    sync_name: &'a str,
    sync_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_destination: Option<S3Destination<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sync_source: Option<SyncSource<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct S3Destination<'a> {
    bucket_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<&'a str>,
    sync_format: &'a str,
    region: &'a str,
    #[serde(rename = "AWSKMSKeyARN", skip_serializing_if = "Option::is_none")]
    kms_key_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_data_sharing: Option<DestinationDataSharing<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DestinationDataSharing<'a> {
    destination_data_sharing_type: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SyncSource<'a> {
    source_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_organizations_source: Option<AwsOrganizationsSource<'a>>,
    source_regions: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) include_future_regions: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enable_all_ops_data_sources: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AwsOrganizationsSource<'a> {
    organization_source_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    organizational_units: Option<Vec<OrganizationalUnit<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OrganizationalUnit<'a> {
    organizational_unit_id: &'a str,
}

impl<'a> Request<'a> {
    /// The request that creates the sync as it is. `None` if AWS did not report a field that the
    /// request requires.
    pub(super) fn creating(sync: &'a DataSync) -> Option<Self> {
        let (s3_destination, sync_source) = match &sync.sync_type {
            SyncType::ToDestination => (Some(destination(sync)?), None),
            SyncType::FromSource => (None, Some(source(sync)?)),
            SyncType::Unknown(_) => return None,
        };
        Some(Self { sync_name: &sync.name, sync_type: sync.sync_type.as_str(), s3_destination, sync_source })
    }

    /// The request that updates the sync, with its settings as they are. `change` changes them.
    /// Only syncs from a source can be updated.
    pub(super) fn updating(sync: &'a DataSync, change: impl FnOnce(&mut SyncSource<'a>)) -> Option<Self> {
        let mut request = Self::creating(sync)?;
        change(request.sync_source.as_mut()?);
        Some(request)
    }
}

fn destination(sync: &DataSync) -> Option<S3Destination<'_>> {
    let from = sync.destination.as_ref()?;
    Some(S3Destination {
        bucket_name: from.bucket_name.as_deref()?,
        prefix: from.prefix.as_deref(),
        // The only format of the API.
        sync_format: from.format.as_deref().unwrap_or("JsonSerDe"),
        region: from.region.as_deref()?,
        kms_key_arn: from.kms_key_arn.as_deref(),
        destination_data_sharing: from
            .sharing
            .as_ref()
            .map(|sharing| DestinationDataSharing { destination_data_sharing_type: sharing.as_str() }),
    })
}

fn source(sync: &DataSync) -> Option<SyncSource<'_>> {
    let from = sync.source.as_ref()?;
    let aws_organizations_source = match from.organization_source_type.as_deref() {
        None => None,
        Some(organization_source_type) => {
            let units = from.organizational_units.as_deref().unwrap_or_default();
            let units: Vec<_> =
                units.iter().map(|id| OrganizationalUnit { organizational_unit_id: id }).collect();
            Some(AwsOrganizationsSource {
                organization_source_type,
                organizational_units: (!units.is_empty()).then_some(units),
            })
        }
    };
    Some(SyncSource {
        source_type: from.source_type.as_deref()?,
        aws_organizations_source,
        source_regions: from.regions.as_deref()?,
        include_future_regions: from.include_future_regions,
        enable_all_ops_data_sources: from.enable_all_ops_data_sources,
    })
}
