//! The fleet: accounts, regions, and the targets to poll.
//!
//! All stages share these plain types. Parsing validates them, so no stage has to check
//! them again. This module knows neither the configuration that lists the accounts nor the
//! AWS SDK.

mod account_id;
mod account_selection;
mod narrowing;
mod organizational_unit_id;
mod region;
mod region_selection;
mod role;
mod shard;
mod stable_hash;
mod target_list;
mod target_selector;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

pub use account_id::{AccountId, InvalidAccountId};
pub use account_selection::{AccountEntry, AccountSelection, InvalidAccountEntry};
pub(crate) use narrowing::is_called;
pub use narrowing::{Narrowing, NotPolled};
pub use organizational_unit_id::{InvalidOrganizationalUnitId, OrganizationalUnitId};
pub use region::{InvalidRegion, Partition, RegionName};
pub use region_selection::{InvalidRegionPattern, RegionOrPattern, RegionPattern, RegionSelection};
pub use role::{
    ExternalId, InvalidExternalId, InvalidMemberRoleTemplate, InvalidRoleArn, InvalidSessionName,
    MemberRoleTemplate, RoleArn, SessionName, SessionPolicy,
};
pub use shard::{InvalidShard, Shard};
pub(crate) use stable_hash::stable_hash;
pub use target_list::{FailingLookups, PolledAccount, RegionLookup, TargetList};
pub(crate) use target_selector::{Selected, TargetSelector};

/// An AWS account and the credentials to poll it with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The account id. `None` if it is not configured. The first collection then learns it
    /// from STS, and the snapshot keeps it as part of the target's state.
    pub id: Option<AccountId>,
    /// The account name from the configuration, or else from the organization.
    pub name: Option<String>,
    /// How to obtain the account's credentials.
    pub access: Access,
    /// A region of the account's partition, if the partition is known. Credentials are
    /// requested there unless the configuration or the profile names a region.
    pub default_region: Option<RegionName>,
    /// The interval of managed-node lookups in each region of the account. `None` if they are not
    /// enabled.
    pub managed_nodes_interval: Option<Duration>,
    /// The organizational units of the organization that contain the account, directly or
    /// through units in between, as far as the configuration names them. `None` until the
    /// organization has told them; empty if there is no organization, or if the account does not
    /// belong to it.
    pub organizational_units: Option<Vec<OrganizationalUnitId>>,
    /// The units that the configuration has named since the organization last told those of the
    /// account. It is not known whether they contain the account.
    pub unlisted_units: Vec<OrganizationalUnitId>,
}

/// Identifies an account. No two accounts that are polled in the same region share a
/// key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccountKey {
    /// The account id.
    Id(AccountId),
    /// The profile of the credentials, for an account whose id is not configured. Such an
    /// account has no roles, because the ARN of a role would contain the id.
    Profile(Option<String>),
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Profile(Some(profile)) => write!(f, "unknown (profile {profile})"),
            Self::Profile(None) => f.write_str("unknown"),
        }
    }
}

impl Account {
    pub(crate) fn key(&self) -> AccountKey {
        match &self.id {
            Some(id) => AccountKey::Id(id.clone()),
            None => AccountKey::Profile(self.access.profile.clone()),
        }
    }

    /// The account id as shown in labels, logs and the status page: the id `learned` by a
    /// collection, or else the configured id, or else `unknown` with the profile.
    ///
    /// The text is unique within a region: accounts without an id have the same text only if
    /// they use the same credentials, and the configuration does not allow that within a
    /// region.
    pub(crate) fn display_id(&self, learned: Option<&AccountId>) -> String {
        learned.map_or_else(|| self.key().to_string(), ToString::to_string)
    }
}

/// How to obtain the credentials for an account: the initial credentials, and a chain of
/// roles to assume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Access {
    /// A profile of the shared AWS configuration; `None` for the SDK's default
    /// credential chain.
    pub profile: Option<String>,
    /// The roles to assume, in order. Syncs are listed with the credentials of the last.
    pub roles: Vec<Role>,
}

/// A role to assume, with the parameters of the `sts:AssumeRole` call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The ARN of the role.
    pub arn: RoleArn,
    /// The external id that the role's trust policy requires.
    pub external_id: Option<ExternalId>,
    /// The session name, which appears in `CloudTrail`.
    pub session_name: SessionName,
    /// The session policy that restricts the role's permissions.
    pub policy: SessionPolicy,
}

// Hashing only the ARN is enough, because equal roles have equal ARNs. `ExternalId` does
// not implement `Hash`, because it is a secret.
impl Hash for Role {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.arn.hash(state);
    }
}

/// An (account, region) pair that is polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The account, shared by all of its targets.
    pub account: Arc<Account>,
    /// The region.
    pub region: RegionName,
}

/// Identifies a target.
pub type TargetKey = (AccountKey, RegionName);

impl Target {
    pub(crate) fn key(&self) -> TargetKey {
        (self.account.key(), self.region.clone())
    }

    /// Whether `other` is the same target with the same credentials. The account's name, its
    /// organizational units and the interval of its managed-node lookups are ignored. Of the default
    /// region, only the partition is compared, because credentials are valid in the whole partition.
    pub(crate) fn is_same_target_with_same_access(&self, other: &Self) -> bool {
        let access = |target: &Self| {
            let Account {
                id,
                access,
                default_region,
                managed_nodes_interval: _,
                name: _,
                organizational_units: _,
                unlisted_units: _,
            } = &*target.account;
            let partition = default_region.as_ref().map(RegionName::partition);
            (id.clone(), access.clone(), partition, target.region.clone())
        };
        self == other || access(self) == access(other)
    }

    pub(crate) fn partition(&self) -> Partition {
        self.region.partition()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account.display_id(None), self.region)
    }
}
