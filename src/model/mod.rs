//! AWS resource data syncs as plain data, shared by all stages.
//!
//! This module knows neither the SDK that the data comes from nor the metrics that it
//! becomes. A field that the API left out stays `None` up to the metric that would show
//! it. A value that this version does not know keeps the text that AWS sent.

mod failure;
mod managed_by;

use strum::{AsRefStr, Display, EnumString};

pub use failure::{Failure, FailureScope, Reason};
pub use managed_by::ManagedBy;

/// Seconds since the Unix epoch, with a fraction: the form in which AWS sends times and
/// Prometheus expects them.
pub type UnixSeconds = f64;

/// One resource data sync, an item of `ListResourceDataSync`.
///
/// Within a target, `sync_type` and `name` identify it.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSync {
    /// Which of the two kinds of sync it is.
    pub sync_type: SyncType,
    /// The name, 1 to 64 characters.
    pub name: String,
    /// The status of the last attempt. Syncs from a source have none.
    pub last_status: Option<SyncStatus>,
    /// The message that comes with the status, such as the cause of a failure.
    pub last_status_message: Option<String>,
    /// When the last attempt was made.
    pub last_sync: Option<UnixSeconds>,
    /// When an attempt last succeeded.
    pub last_successful_sync: Option<UnixSeconds>,
    /// When the sync was created.
    pub created: Option<UnixSeconds>,
    /// When the sync was last modified.
    pub last_modified: Option<UnixSeconds>,
    /// Where inventory is written, for a sync to an S3 bucket.
    pub destination: Option<Destination>,
    /// Where operational data comes from, for a sync from a source.
    pub source: Option<Source>,
}

impl DataSync {
    /// The AWS service that manages the sync, or the customer, according to its name.
    pub(crate) fn managed_by(&self) -> ManagedBy {
        ManagedBy::from_sync_name(&self.name)
    }
}

/// The S3 bucket that a sync writes inventory to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// The name of the bucket.
    pub bucket_name: Option<String>,
    /// The prefix of the object keys.
    pub prefix: Option<String>,
    /// The region of the bucket.
    pub region: Option<String>,
    /// The format; the API documents `JsonSerDe` only.
    pub format: Option<String>,
    /// The KMS key that encrypts the objects.
    pub kms_key_arn: Option<String>,
    /// With whom the bucket is shared. `None` means that AWS did not report it, not
    /// that the bucket is not shared.
    pub sharing: Option<SharingType>,
}

/// The accounts and regions that a sync collects operational data from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// `SingleAccountMultiRegions` or `AwsOrganizations`.
    pub source_type: Option<String>,
    /// `OrganizationalUnits` or `EntireOrganization`.
    pub organization_source_type: Option<String>,
    /// The number of organizational units listed.
    pub organizational_units: Option<usize>,
    /// The number of regions listed.
    pub regions: Option<usize>,
    /// Whether regions that AWS opens later are included.
    pub include_future_regions: Option<bool>,
    /// Whether all data sources of OpsData are enabled.
    pub enable_all_ops_data_sources: Option<bool>,
    /// The state. Every documented state is a fault; `None` means that AWS reported
    /// none.
    pub state: Option<SourceState>,
}

/// The kind of a sync. Each kind is listed by its own call.
#[derive(AsRefStr, Clone, Debug, Display, EnumString, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncType {
    /// Writes inventory to an S3 bucket.
    #[strum(serialize = "SyncToDestination")]
    ToDestination,
    /// Collects operational data from accounts and regions.
    #[strum(serialize = "SyncFromSource")]
    FromSource,
    /// A type that this version does not know, as AWS sent it.
    #[strum(default, transparent)]
    Unknown(String),
}

/// The outcome of the last attempt of a sync.
#[derive(AsRefStr, Clone, Debug, Display, EnumString, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncStatus {
    /// The attempt succeeded.
    Successful,
    /// The attempt failed.
    Failed,
    /// The attempt is under way. AWS reports some working syncs as in progress
    /// permanently, so this alone does not indicate a problem.
    InProgress,
    /// A status that this version does not know, as AWS sent it.
    #[strum(default, transparent)]
    Unknown(String),
}

/// With whom the S3 destination of a sync is shared.
#[derive(AsRefStr, Clone, Debug, Display, EnumString, PartialEq, Eq, PartialOrd, Ord)]
pub enum SharingType {
    /// The whole organization.
    Organization,
    /// A type that this version does not know, as AWS sent it.
    #[strum(default, transparent)]
    Unknown(String),
}

/// The fault of a sync's source.
#[derive(AsRefStr, Clone, Debug, Display, EnumString, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceState {
    /// The account does not belong to an organization.
    OrganizationNotExists,
    /// Systems Manager lacks the permission to read the organization.
    NoPermissions,
    /// An organizational unit does not exist.
    InvalidOrganizationalUnit,
    /// Trusted access for Systems Manager is not enabled in the organization.
    TrustedAccessDisabled,
    /// A state that this version does not know, as AWS sent it.
    #[strum(default, transparent)]
    Unknown(String),
}

/// Lists the values that this version knows of a type that AWS may extend, and gives
/// access to the text that AWS uses for a value.
macro_rules! known_values {
    ($name:ident: $($variant:ident),+) => {
        impl $name {
            /// The values that this version knows.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),+];

            /// The text that AWS uses for the value.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.as_ref()
            }
        }
    };
}

known_values!(SyncType: ToDestination, FromSource);
known_values!(SyncStatus: Successful, Failed, InProgress);
known_values!(SharingType: Organization);
known_values!(SourceState: OrganizationNotExists, NoPermissions, InvalidOrganizationalUnit, TrustedAccessDisabled);

/// The number of syncs of each type that an account may have in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Syncs to a destination.
    pub to_destination: u32,
    /// Syncs from a source.
    pub from_source: u32,
}

impl Quota {
    /// The quota of a type; `None` for an unknown type.
    pub(crate) fn of(self, sync_type: &SyncType) -> Option<u32> {
        match sync_type {
            SyncType::ToDestination => Some(self.to_destination),
            SyncType::FromSource => Some(self.from_source),
            SyncType::Unknown(_) => None,
        }
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self { to_destination: 5, from_source: 5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_value_keeps_its_text() {
        assert_eq!(SyncStatus::from("Paused").as_str(), "Paused");
        assert_eq!(SyncStatus::from("Paused").to_string(), "Paused");
        assert_eq!(SyncStatus::from("failed"), SyncStatus::Unknown("failed".to_owned()));
    }

    #[test]
    fn a_known_value_is_read_from_and_written_as_the_text_of_aws() {
        for text in ["SyncToDestination", "SyncFromSource"] {
            assert!(SyncType::KNOWN.contains(&SyncType::from(text)), "{text}");
            assert_eq!(SyncType::from(text).as_str(), text);
        }
        assert_eq!(SyncStatus::from("Failed"), SyncStatus::Failed);
        assert_eq!(SyncStatus::Failed.to_string(), "Failed");
    }
}
