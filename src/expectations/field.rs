//! The fields of a sync that an expectation can be violated in.

use strum::VariantArray;

/// A field of a sync, or its presence. In snake case, each is a value of the label `field`, so
/// renaming a variant breaks users' queries.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Field {
    /// A required sync is not there.
    Presence,
    /// A forbidden sync is there.
    Forbidden,
    BucketName,
    BucketPrefix,
    BucketRegion,
    SyncFormat,
    KmsKeyArn,
    SharingType,
    SourceType,
    OrganizationSourceType,
    OrganizationalUnits,
    SourceRegions,
    IncludeFutureRegions,
    EnableAllOpsDataSources,
}

impl Field {
    /// Every value, in the order of the declaration.
    pub(crate) const ALL: &[Self] = Self::VARIANTS;

    /// The label value.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }

    /// The parameter of `CreateResourceDataSync` that sets the field, as a path such as
    /// `S3Destination.BucketName`. `None` for the presence of a sync.
    pub(crate) fn request_parameter(self) -> Option<&'static str> {
        Some(match self {
            Self::Presence | Self::Forbidden => return None,
            Self::BucketName => "S3Destination.BucketName",
            Self::BucketPrefix => "S3Destination.Prefix",
            Self::BucketRegion => "S3Destination.Region",
            Self::SyncFormat => "S3Destination.SyncFormat",
            Self::KmsKeyArn => "S3Destination.AWSKMSKeyARN",
            Self::SharingType => "S3Destination.DestinationDataSharing.DestinationDataSharingType",
            Self::SourceType => "SyncSource.SourceType",
            Self::OrganizationSourceType => "SyncSource.AwsOrganizationsSource.OrganizationSourceType",
            Self::OrganizationalUnits => "SyncSource.AwsOrganizationsSource.OrganizationalUnits",
            Self::SourceRegions => "SyncSource.SourceRegions",
            Self::IncludeFutureRegions => "SyncSource.IncludeFutureRegions",
            Self::EnableAllOpsDataSources => "SyncSource.EnableAllOpsDataSources",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_values_are_those_of_the_public_contract() {
        let names: Vec<&str> = Field::ALL.iter().map(|field| field.as_str()).collect();
        assert_eq!(
            names,
            [
                "presence",
                "forbidden",
                "bucket_name",
                "bucket_prefix",
                "bucket_region",
                "sync_format",
                "kms_key_arn",
                "sharing_type",
                "source_type",
                "organization_source_type",
                "organizational_units",
                "source_regions",
                "include_future_regions",
                "enable_all_ops_data_sources",
            ]
        );
    }
}
