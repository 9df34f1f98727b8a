//! What is asked for: accounts that are listed, and an organization's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::fleet::{
    Access, Account, AccountId, ExternalId, InvalidRoleArn, MemberRole, OrganizationalUnitId, Partition,
    RegionName, RegionSelection, Role, SessionName, SessionPolicy,
};

/// The accounts to poll, and where to look in each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSources {
    /// Those that the configuration lists.
    pub listed: Vec<ListedAccount>,
    /// Where to find more.
    pub organization: Option<Organization>,
    /// How often accounts are asked anew which regions they have enabled.
    pub refresh_interval: Duration,
}

impl AccountSources {
    /// Whether accounts are asked which regions they have enabled.
    #[must_use]
    pub fn asks_for_regions(&self) -> bool {
        let of_organization = self.organization.iter().map(|organization| &organization.regions);
        let mut regions = self.listed.iter().map(|listed| &listed.regions).chain(of_organization);
        regions.any(RegionSelection::needs_discovery)
    }
}

/// An account that the configuration lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedAccount {
    /// The account.
    pub account: Arc<Account>,
    /// Its regions.
    pub regions: RegionSelection,
}

/// An organization whose accounts are polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// The management account, or that of a delegated administrator: the one
    /// that may list the others.
    pub administrator: Arc<Account>,
    /// Only accounts in these units and in all below; all of them, if there is
    /// none.
    pub units: Vec<OrganizationalUnitId>,
    /// Accounts to leave out.
    pub excluded: BTreeSet<AccountId>,
    /// How often the accounts are listed anew.
    pub refresh_interval: Duration,
    /// How its accounts are reached.
    pub reach: MemberAccess,
    /// Their regions.
    pub regions: RegionSelection,
}

/// How the accounts of an organization are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAccess {
    /// A profile of the shared AWS configuration; `None` is the SDK's default
    /// chain.
    pub profile: Option<String>,
    /// Roles to assume in order before that of the member.
    pub via: Vec<Role>,
    /// The role in each of them.
    pub role: MemberRole,
    /// The external id that it asks for.
    pub external_id: Option<ExternalId>,
    /// The name of its sessions.
    pub session_name: SessionName,
    /// What its sessions are narrowed down to.
    pub policy: SessionPolicy,
    /// A region of their partition, if it is known.
    pub home: Option<RegionName>,
}

/// An account of an organization, as far as it can be polled.
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
    /// The partition that the organization lies in.
    pub partition: Partition,
    /// Those that can be polled, by their ids.
    pub accounts: Vec<Member>,
}

impl MemberAccess {
    /// A member as an account to poll.
    ///
    /// # Errors
    /// Never, for the form of the role's ARN has been checked.
    pub fn account(&self, member: &Member, partition: Partition) -> Result<Account, InvalidRoleArn> {
        let mut roles = self.via.clone();
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
            default_region: self.home.clone().or_else(|| Some(partition.default_region())),
        })
    }
}
