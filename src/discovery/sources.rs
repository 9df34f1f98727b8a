//! Where the accounts to poll come from: the configuration, and an organization.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::fleet::{
    Access, Account, AccountId, ExternalId, InvalidRoleArn, MemberRoleTemplate, OrganizationalUnitId,
    Partition, RegionName, RegionSelection, Role, SessionName, SessionPolicy,
};

/// The accounts to poll and their regions, as far as the configuration tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSources {
    /// The entries of `accounts` in the configuration.
    pub configured: Vec<ConfiguredAccount>,
    /// An organization whose accounts are polled as well.
    pub organization: Option<Organization>,
    /// How often the enabled regions of an account are listed again.
    pub refresh_interval: Duration,
}

impl AccountSources {
    /// Whether the enabled regions of any account have to be looked up.
    #[must_use]
    pub fn needs_region_lookups(&self) -> bool {
        let of_organization = self.organization.iter().map(|organization| &organization.regions);
        let mut regions = self.configured.iter().map(|entry| &entry.regions).chain(of_organization);
        regions.any(RegionSelection::needs_discovery)
    }
}

/// An entry of `accounts` in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredAccount {
    /// The account.
    pub account: Arc<Account>,
    /// Its regions.
    pub regions: RegionSelection,
}

/// An organization whose accounts are polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// The account that lists the organization: the management account, or a
    /// delegated administrator.
    pub administrator: Arc<Account>,
    /// Only accounts in these organizational units and the units below them are
    /// polled. If empty, all accounts are.
    pub units: Vec<OrganizationalUnitId>,
    /// Accounts that are not polled.
    pub excluded: BTreeSet<AccountId>,
    /// How often the accounts are listed again.
    pub refresh_interval: Duration,
    /// How to access its accounts.
    pub member_access: MemberAccess,
    /// Their regions.
    pub regions: RegionSelection,
}

/// How to access the accounts of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAccess {
    /// A profile of the shared AWS configuration; `None` is the SDK's default
    /// chain.
    pub profile: Option<String>,
    /// Roles to assume before that of the member, in this order.
    pub intermediate_roles: Vec<Role>,
    /// The role to assume in the member.
    pub role: MemberRoleTemplate,
    /// The external id that the role's trust policy requires.
    pub external_id: Option<ExternalId>,
    /// The session name of the role.
    pub session_name: SessionName,
    /// The session policy of the role.
    pub policy: SessionPolicy,
    /// The default region of the members, if it is configured.
    pub default_region: Option<RegionName>,
}

/// An active account of an organization.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its id.
    pub id: AccountId,
    /// Its name in the organization.
    pub name: Option<String>,
}

/// The accounts of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// The partition of the organization.
    pub partition: Partition,
    /// The accounts that can be polled, ordered by id.
    pub accounts: Vec<Member>,
}

impl MemberAccess {
    /// The account to poll for a member.
    ///
    /// # Errors
    /// The role's ARN is not valid once the placeholders are filled in. This does
    /// not happen for a role that passed validation.
    pub fn account(&self, member: &Member, partition: Partition) -> Result<Account, InvalidRoleArn> {
        let mut roles = self.intermediate_roles.clone();
        roles.push(Role {
            arn: self.role.in_account(&member.id, partition)?,
            external_id: self.external_id.clone(),
            session_name: self.session_name.clone(),
            policy: self.policy,
        });
        Ok(Account {
            id: Some(member.id.clone()),
            name: member.name.clone(),
            access: Access { profile: self.profile.clone(), roles },
            default_region: self.default_region.clone().or_else(|| Some(partition.default_region())),
        })
    }
}
