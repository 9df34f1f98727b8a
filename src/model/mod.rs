//! AWS resource data syncs as plain data, shared by all stages.
//!
//! This module knows neither the SDK that the data comes from nor the metrics made from
//! it. A field that AWS left out is `None`. A value that this version does not know keeps
//! the text that AWS sent.

mod denial;
mod failure;
pub(crate) mod limits;
mod managed_by;

use strum::{AsRefStr, Display, EnumString};

pub use denial::{Denial, DenialKind};
pub use failure::{Failure, FailureScope, Reason};
pub use managed_by::ManagedBy;
pub(crate) use managed_by::UNIFIED_CONSOLE_SYNC;

/// Seconds since the Unix epoch, with a fraction: the form in which AWS sends times and
/// Prometheus expects them.
pub type UnixSeconds = f64;

/// One resource data sync, an item of `ListResourceDataSync`.
///
/// Within a target, `sync_type` and `name` identify a sync.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSync {
    /// Whether the sync writes to a bucket or reads from a source.
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
    /// The bucket, for a sync that writes to one.
    pub destination: Option<Destination>,
    /// The source, for a sync that reads from one.
    pub source: Option<Source>,
}

impl DataSync {
    /// A sync of which nothing but the type and the name is known.
    #[must_use]
    pub fn new(sync_type: SyncType, name: String) -> Self {
        Self {
            sync_type,
            name,
            last_status: None,
            last_status_message: None,
            last_sync: None,
            last_successful_sync: None,
            created: None,
            last_modified: None,
            destination: None,
            source: None,
        }
    }

    /// Who manages the sync, an AWS service or the customer, as derived from the name of the
    /// sync.
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
    /// The file format. The API documents only `JsonSerDe`.
    pub format: Option<String>,
    /// The KMS key that encrypts the objects.
    pub kms_key_arn: Option<String>,
    /// With whom the bucket is shared. `None` means that AWS did not report it; the bucket
    /// may be shared nevertheless.
    pub sharing: Option<SharingType>,
}

/// The accounts and regions that a sync collects operational data from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// `SingleAccountMultiRegions` or `AwsOrganizations`.
    pub source_type: Option<String>,
    /// `OrganizationalUnits` or `EntireOrganization`.
    pub organization_source_type: Option<String>,
    /// The ids of the organizational units, as AWS lists them: an id may occur twice.
    pub organizational_units: Option<Vec<String>>,
    /// The names of the source regions, as AWS lists them: a name may occur twice.
    pub regions: Option<Vec<String>>,
    /// Whether the lists of units or regions have further entries, which could not be read.
    pub has_unreadable_entries: bool,
    /// Whether regions that AWS opens later are included.
    pub include_future_regions: Option<bool>,
    /// Whether all OpsData sources are enabled.
    pub enable_all_ops_data_sources: Option<bool>,
    /// The state of the source. Every state that AWS documents is a fault. `None` means
    /// that AWS reported no state.
    pub state: Option<SourceState>,
}

/// The type of a sync. Syncs of each type are listed with a call of their own.
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

/// The status of the last attempt of a sync.
#[derive(AsRefStr, Clone, Debug, Display, EnumString, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncStatus {
    /// The attempt succeeded.
    Successful,
    /// The attempt failed.
    Failed,
    /// The attempt is in progress. AWS reports this status permanently for some working
    /// syncs, so it does not indicate a problem by itself.
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

/// The state of a sync's source. Every state that AWS documents is a fault.
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

/// Implements `KNOWN` and `as_str` for an enum whose values AWS may extend.
macro_rules! known_values {
    ($name:ident: $($variant:ident),+) => {
        impl $name {
            /// The values that this version knows.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),+];

            /// The value as AWS writes it.
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

/// The maximum number of syncs of each type in a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Syncs to a destination.
    pub to_destination: u32,
    /// Syncs from a source.
    pub from_source: u32,
}

impl Source {
    /// The type of a source that reads only the account of the sync, as AWS sends it.
    pub(crate) const SINGLE_ACCOUNT: &str = "SingleAccountMultiRegions";

    /// Whether the source reads only the account of the sync.
    pub(crate) fn is_single_account(&self) -> bool {
        self.source_type.as_deref().is_some_and(Self::is_single_account_type)
    }

    /// Whether this is the type of a source that reads only the account of the sync. Letter case does
    /// not matter: AWS documents the types in another case than it sends.
    pub(crate) fn is_single_account_type(source_type: &str) -> bool {
        source_type.eq_ignore_ascii_case(Self::SINGLE_ACCOUNT)
    }
}

impl Quota {
    /// The quota for a type; `None` if the type is unknown.
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
    fn known_values_are_parsed_and_written_as_aws_writes_them() {
        for text in ["SyncToDestination", "SyncFromSource"] {
            assert!(SyncType::KNOWN.contains(&SyncType::from(text)), "{text}");
            assert_eq!(SyncType::from(text).as_str(), text);
        }
        assert_eq!(SyncStatus::from("Failed"), SyncStatus::Failed);
        assert_eq!(SyncStatus::Failed.to_string(), "Failed");
    }
}
