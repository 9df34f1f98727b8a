//! The fleet: accounts, regions, and the targets to poll.
//!
//! These plain types are shared by all stages. Each is validated when it is
//! constructed, so that no stage has to parse or check it again. This module knows
//! neither the configuration that names the accounts nor the AWS SDK that reaches them.

mod account_id;
mod organizational_unit_id;
mod region;
mod region_selection;
mod role;
mod shard;
mod stable_hash;
mod target_list;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub use account_id::{AccountId, InvalidAccountId};
pub use organizational_unit_id::{InvalidOrganizationalUnitId, OrganizationalUnitId};
pub use region::{InvalidRegion, Partition, RegionName};
pub use region_selection::{InvalidRegionPattern, RegionOrPattern, RegionPattern, RegionSelection};
pub use role::{
    ExternalId, InvalidExternalId, InvalidMemberRole, InvalidRoleArn, InvalidSessionName, MemberRole,
    RoleArn, SessionName, SessionPolicy,
};
pub use shard::{InvalidShard, Shard};
pub(crate) use stable_hash::stable_hash;
pub use target_list::{TargetList, Unresolved};

/// An AWS account and the credentials to poll it with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The account id. `None` where only the credentials can tell it, until the first
    /// collection has asked STS.
    pub id: Option<AccountId>,
    /// The name from the configuration, else from the organization.
    pub name: Option<String>,
    /// How to obtain the account's credentials.
    pub access: Access,
    /// A region of the account's partition, if the partition is known. Credentials are
    /// requested there unless the configuration or the profile names a region.
    pub default_region: Option<RegionName>,
}

/// Identifies an account. No two accounts that are polled in the same region share a
/// key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccountKey {
    /// The account id.
    Id(AccountId),
    /// The profile of the credentials, where the id is not known beforehand. Such an
    /// account has no roles, because a role's ARN contains the id.
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

    /// The account id as labels, logs and the status page show it: the id that a
    /// collection has `learned`, else the configured id, else `unknown` with the
    /// profile.
    ///
    /// Two accounts with the same text have the same credentials, and no configuration
    /// polls the same credentials twice in a region.
    pub(crate) fn display_id(&self, learned: Option<&AccountId>) -> String {
        learned.map_or_else(|| self.key().to_string(), ToString::to_string)
    }
}

/// How to obtain the credentials for an account: initial credentials, and the roles to
/// assume one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Access {
    /// A profile of the shared AWS configuration; `None` for the SDK's default
    /// credential chain.
    pub profile: Option<String>,
    /// Roles to assume in order. The credentials of the last role list the syncs.
    pub roles: Vec<Role>,
}

/// The parameters of one `sts:AssumeRole`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The ARN of the role.
    pub arn: RoleArn,
    /// The external id that the role's trust policy requires.
    pub external_id: Option<ExternalId>,
    /// The session name, which shows up in `CloudTrail`.
    pub session_name: SessionName,
    /// The session policy that restricts the role's permissions.
    pub policy: SessionPolicy,
}

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

    /// Whether `other` is the same target, reached with the same credentials. The
    /// account's name does not matter. Nor does the default region as long as the
    /// partition is the same, because credentials are valid in the whole partition.
    pub(crate) fn has_same_access_as(&self, other: &Self) -> bool {
        let access = |target: &Self| {
            let Account { id, access, default_region, name: _ } = &*target.account;
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
