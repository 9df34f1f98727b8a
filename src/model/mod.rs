//! What AWS says about resource data syncs, as plain data.
//!
//! Nothing in here knows the SDK that brought it or the metrics that it turns
//! into. A field that the API left out is `None` up to the metric that would
//! show it; a value this version does not know keeps the text AWS sent.

mod failure;

pub use failure::{Failure, FailureScope, Reason};

use std::fmt;

/// Seconds since the Unix epoch, with a fraction, as AWS sends its times and
/// Prometheus wants them.
pub type UnixSeconds = f64;

/// One resource data sync, an item of `ListResourceDataSync`.
///
/// Within a target, `sync_type` and `name` identify it.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSync {
    /// The type.
    pub sync_type: SyncType,
    /// The name, 1 to 64 characters.
    pub name: String,
    /// The status of the last attempt. Syncs from a source have none.
    pub last_status: Option<SyncStatus>,
    /// What AWS says about that status; the reason of a failure stands here.
    pub last_status_message: Option<String>,
    /// When the last attempt was made.
    pub last_sync: Option<UnixSeconds>,
    /// When an attempt last succeeded.
    pub last_successful_sync: Option<UnixSeconds>,
    /// When the sync was created.
    pub created: Option<UnixSeconds>,
    /// When the sync was last modified.
    pub last_modified: Option<UnixSeconds>,
    /// Where inventory goes, for a sync to an S3 bucket.
    pub destination: Option<Destination>,
    /// Where operational data comes from, for a sync from a source.
    pub source: Option<Source>,
}

impl DataSync {
    /// Whose sync it is, told from its name.
    #[must_use]
    pub fn managed_by(&self) -> ManagedBy {
        ManagedBy::of(&self.name)
    }
}

/// The S3 bucket that a sync writes inventory to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// The bucket's name.
    pub bucket_name: Option<String>,
    /// The prefix of the keys in it.
    pub prefix: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
    /// The format, so far always `JsonSerDe`.
    pub format: Option<String>,
    /// The KMS key that encrypts the data.
    pub kms_key_arn: Option<String>,
    /// With whom the bucket is shared. `None` means that AWS did not report
    /// it, which does not mean that it is not shared.
    pub sharing: Option<SharingType>,
}

/// The accounts and regions that a sync collects operational data from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// `SingleAccountMultiRegions` or `AwsOrganizations`.
    pub source_type: Option<String>,
    /// `OrganizationalUnits` or `EntireOrganization`.
    pub organization_source_type: Option<String>,
    /// How many organizational units are named.
    pub organizational_units: Option<usize>,
    /// How many regions are named.
    pub regions: Option<usize>,
    /// Whether regions that AWS opens later are included.
    pub include_future_regions: Option<bool>,
    /// Whether all data sources of OpsData are enabled.
    pub enable_all_ops_data_sources: Option<bool>,
    /// The state. All that are documented are faults; none means that AWS
    /// reported none.
    pub state: Option<SourceState>,
}

/// Declares an enumeration of the values that this version knows of a text
/// that AWS may extend at any time.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $text:literal ),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant, )+
            /// A value that this version does not know, as AWS sent it.
            Unknown(String),
        }

        impl $name {
            /// The values that this version knows.
            pub const KNOWN: &[Self] = &[$(Self::$variant),+];

            /// The text, as AWS writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $text, )+
                    Self::Unknown(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $( $text => Self::$variant, )+
                    other => Self::Unknown(other.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

open_enum! {
    /// The two kinds of sync. Each is listed by a call of its own.
    SyncType {
        /// Inventory, to an S3 bucket.
        ToDestination = "SyncToDestination",
        /// Operational data, from accounts and regions.
        FromSource = "SyncFromSource",
    }
}

open_enum! {
    /// How the last attempt of a sync went.
    SyncStatus {
        /// It succeeded.
        Successful = "Successful",
        /// It failed.
        Failed = "Failed",
        /// It is under way. Some syncs are said to be so for ever while they
        /// work, so this is no sign of trouble by itself.
        InProgress = "InProgress",
    }
}

open_enum! {
    /// With whom a sync's S3 destination is shared.
    SharingType {
        /// With the whole organization.
        Organization = "Organization",
    }
}

open_enum! {
    /// What is wrong with a sync's source.
    SourceState {
        /// The account belongs to no organization.
        OrganizationNotExists = "OrganizationNotExists",
        /// The service may not read the organization.
        NoPermissions = "NoPermissions",
        /// An organizational unit does not exist.
        InvalidOrganizationalUnit = "InvalidOrganizationalUnit",
        /// Trusted access of Systems Manager is not enabled.
        TrustedAccessDisabled = "TrustedAccessDisabled",
    }
}

/// How many syncs of each type an account may have in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Syncs to a destination.
    pub to_destination: u32,
    /// Syncs from a source.
    pub from_source: u32,
}

impl Quota {
    /// The quota of a type; unknown types have none that we know of.
    #[must_use]
    pub fn of(&self, sync_type: &SyncType) -> Option<u32> {
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

/// Who created a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagedBy {
    /// Amazon Inspector.
    Inspector,
    /// AWS License Manager. It deletes and recreates some of its syncs.
    LicenseManager,
    /// Systems Manager Quick Setup, for Explorer.
    QuickSetup,
    /// Nobody but the customer.
    Customer,
}

impl ManagedBy {
    /// Tells it from the sync's name. The prefixes are those that the services
    /// document for the syncs they create.
    fn of(name: &str) -> Self {
        if name.starts_with("InspectorResourceDataSync") {
            Self::Inspector
        } else if name.starts_with("license-manager-") {
            Self::LicenseManager
        } else if name.starts_with("AWS-QuickSetup-") {
            Self::QuickSetup
        } else {
            Self::Customer
        }
    }

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inspector => "inspector",
            Self::LicenseManager => "license_manager",
            Self::QuickSetup => "quick_setup",
            Self::Customer => "customer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_value_keeps_its_text() {
        assert_eq!(SyncStatus::from("Paused").as_str(), "Paused");
        assert_eq!(SyncStatus::from("Failed"), SyncStatus::Failed);
    }

    #[test]
    fn the_owner_is_told_from_the_name() {
        for (name, owner) in [
            ("InspectorResourceDataSync-do-not-delete", "inspector"),
            ("license-manager-1234-ssm", "license_manager"),
            ("AWS-QuickSetup-SSM-abcd", "quick_setup"),
            ("inventory", "customer"),
            ("my-license-manager-sync", "customer"),
        ] {
            assert_eq!(ManagedBy::of(name).as_str(), owner, "{name}");
        }
    }
}
