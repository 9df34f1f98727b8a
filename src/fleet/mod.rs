//! What is polled: accounts, regions, and the targets they make.
//!
//! These are plain types that every stage shares. They are checked when they
//! are made, so that nothing downstream parses or doubts them again. This
//! module knows neither the configuration that names the accounts nor the AWS
//! SDK that reaches them.

mod account_id;
pub(crate) mod hash;
mod region;
mod role;
mod selection;
mod shard;
mod target_list;
mod unit_id;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub use account_id::{AccountId, InvalidAccountId};
pub use region::{InvalidRegion, Partition, RegionName};
pub use role::{
    ExternalId, InvalidExternalId, InvalidMemberRole, InvalidRoleArn, InvalidSessionName, MemberRole,
    RoleArn, SessionName, SessionPolicy,
};
pub use selection::{InvalidRegionPattern, RegionOrPattern, RegionPattern, RegionSelection};
pub use shard::{InvalidShard, Shard};
pub use target_list::{TargetList, Unresolved};
pub use unit_id::{InvalidUnitId, UnitId};

/// One AWS account and how to reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The account's id. Where it is unknown until the credentials have been
    /// asked, `None`.
    pub id: Option<AccountId>,
    /// The name that the operator gave it, or its organization.
    pub name: Option<String>,
    /// Where its credentials come from.
    pub access: Access,
    /// A region of the account's partition, if it is known: where to ask for
    /// credentials, unless they come with a region themselves.
    pub home: Option<RegionName>,
}

/// What an account is known by: no two accounts that are polled in the same
/// region have the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccountKey {
    /// Its id.
    Id(AccountId),
    /// While there is none, the profile of its credentials. (It has no roles:
    /// they would tell the id.)
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
    /// What the account is known by.
    #[must_use]
    pub fn key(&self) -> AccountKey {
        match &self.id {
            Some(id) => AccountKey::Id(id.clone()),
            None => AccountKey::Profile(self.access.profile.clone()),
        }
    }

    /// The account wherever it is shown: the id that a collection has
    /// `learned`, or the given one; or, while there is neither, what stands for
    /// it. Two accounts that look the same then have the same credentials, and
    /// no configuration polls those twice in a region.
    #[must_use]
    pub fn shown(&self, learned: Option<&AccountId>) -> String {
        learned.map_or_else(|| self.key().to_string(), ToString::to_string)
    }
}

/// Where the credentials for an account come from: a start, and the roles to
/// assume one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Access {
    /// A profile of the shared AWS configuration; `None` is the SDK's default
    /// chain.
    pub profile: Option<String>,
    /// Roles to assume in order. The last one's credentials list the syncs.
    pub roles: Vec<Role>,
}

/// One `sts:AssumeRole`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The role.
    pub arn: RoleArn,
    /// The external id that its trust policy asks for.
    pub external_id: Option<ExternalId>,
    /// The name under which the session shows up in AWS's logs.
    pub session_name: SessionName,
    /// What the session is narrowed down to.
    pub policy: SessionPolicy,
}

impl Hash for Role {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.arn.hash(state);
    }
}

/// One (account, region) pair that is polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The account, shared by all of its targets.
    pub account: Arc<Account>,
    /// The region.
    pub region: RegionName,
}

/// What a target is known by.
pub type TargetKey = (AccountKey, RegionName);

impl Target {
    /// What the target is known by.
    #[must_use]
    pub fn key(&self) -> TargetKey {
        (self.account.key(), self.region.clone())
    }

    /// Whether `other` is the same target, with the same credentials. They are the
    /// same wherever in its partition they were asked for.
    #[must_use]
    pub fn is_reached_like(&self, other: &Self) -> bool {
        let way = |target: &Self| {
            let Account { id, access, home, name: _ } = &*target.account;
            let partition = home.as_ref().map(RegionName::partition);
            (id.clone(), access.clone(), partition, target.region.clone())
        };
        self == other || way(self) == way(other)
    }

    /// The partition in which the target lies.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.region.partition()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account.shown(None), self.region)
    }
}
