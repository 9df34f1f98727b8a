//! The configured sources of accounts, and the accounts that an organization adds. This is
//! plain data; no lookups are made here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::fleet::{
    Access, Account, AccountId, ExternalId, InvalidRoleArn, MemberRoleTemplate, Narrowing,
    OrganizationalUnitId, Partition, RegionName, RegionSelection, Role, SessionName, SessionPolicy,
};
use crate::model::Failure;

/// The accounts to poll and their regions, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSources {
    /// The entries of `accounts` in the configuration.
    pub configured: Vec<ConfiguredAccount>,
    /// An organization whose accounts are polled as well.
    pub organization: Option<Organization>,
    /// How often the enabled regions of an account are listed again.
    pub refresh_interval: Duration,
    /// Which of the accounts and regions are polled.
    pub narrowing: Narrowing,
}

impl AccountSources {
    /// The sources that are needed for the accounts of the `narrowing`. The organization is not listed
    /// for accounts that are configured by their id.
    pub(crate) fn narrowed(self, narrowing: Narrowing) -> Self {
        let configured: Vec<&Account> = self.configured.iter().map(|entry| &*entry.account).collect();
        let needs_organization = !narrowing.selects_only_ids_of(&configured);
        Self { organization: self.organization.filter(|_| needs_organization), narrowing, ..self }
    }

    /// The regions to poll in each account.
    pub(super) fn region_selections(&self) -> impl Iterator<Item = &RegionSelection> {
        let of_organization = self.organization.iter().map(|organization| &organization.regions);
        self.configured.iter().map(|entry| &entry.regions).chain(of_organization)
    }

    /// Whether the enabled regions of any account have to be looked up.
    #[must_use]
    pub fn needs_region_lookups(&self) -> bool {
        self.region_selections().any(RegionSelection::needs_discovery)
    }

    /// Whether managed nodes are looked up in any account.
    pub(crate) fn looks_up_managed_nodes(&self) -> bool {
        let of_members = self.organization.iter().map(|entry| entry.member_access.managed_nodes_interval);
        let listed = self.configured.iter().map(|entry| entry.account.managed_nodes_interval);
        listed.chain(of_members).flatten().next().is_some()
    }
}

/// An entry of `accounts` in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredAccount {
    /// The account.
    pub account: Arc<Account>,
    /// The regions to poll in the account.
    pub regions: RegionSelection,
}

/// An organization whose accounts are polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// The account that lists the organization: the management account, or a
    /// delegated administrator.
    pub administrator: Arc<Account>,
    /// The organizational units whose accounts are polled, including all units below them.
    /// If empty, all accounts of the organization are polled.
    pub units: Vec<OrganizationalUnitId>,
    /// Units that the configuration names for another purpose than to select accounts, so that
    /// discovery has to know which accounts they contain.
    pub tracked_units: Vec<OrganizationalUnitId>,
    /// Accounts that are not polled, except those that are configured as well.
    pub excluded: BTreeSet<AccountId>,
    /// How often the organization is listed again.
    pub refresh_interval: Duration,
    /// How to access the organization's accounts.
    pub member_access: MemberAccess,
    /// The regions to poll in the organization's accounts.
    pub regions: RegionSelection,
}

/// How to access the accounts of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAccess {
    /// A profile of the shared AWS configuration; `None` is the SDK's default
    /// chain.
    pub profile: Option<String>,
    /// The roles to assume before the role of the member, in this order.
    pub intermediate_roles: Vec<Role>,
    /// The role to assume in each member.
    pub role: MemberRoleTemplate,
    /// The external id that the role's trust policy requires.
    pub external_id: Option<ExternalId>,
    /// The session name of the role.
    pub session_name: SessionName,
    /// The session policy of the role.
    pub policy: SessionPolicy,
    /// The interval of managed-node lookups in each region of the members. `None` if they are not
    /// enabled.
    pub managed_nodes_interval: Option<Duration>,
    /// The [`Account::default_region`] of the members. If `None`, it is derived from the
    /// partition of the organization.
    pub default_region: Option<RegionName>,
}

/// An active account of an organization.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The account id.
    pub id: AccountId,
    /// The account name in the organization.
    pub name: Option<String>,
}

/// The accounts of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// The partition of the organization.
    pub partition: Partition,
    /// The active accounts, ordered by id.
    pub accounts: Vec<Member>,
    /// The units that contain each account. `None` if they are not known.
    pub units: Option<AccountUnits>,
    /// The [`Organization::tracked_units`] that `units` takes into account.
    pub listed_units: Vec<OrganizationalUnitId>,
}

/// For each member, which of [`Organization::units`] and [`Organization::tracked_units`] contain it,
/// ordered by id. Also contains accounts in the tracked units that are not members because
/// `Organization::units` does not select them: the configuration may list them as well.
pub type AccountUnits = BTreeMap<AccountId, Vec<OrganizationalUnitId>>;

/// The result of listing an organization.
#[derive(Clone, Debug)]
pub(crate) struct OrganizationListing {
    pub(crate) members: Members,
    /// Why the units of the accounts are not known. The accounts are nevertheless complete.
    pub(crate) units_failure: Option<Failure>,
}

impl MemberAccess {
    /// The account to poll for `member` of an organization in `partition`, without its units.
    ///
    /// # Errors
    /// None in practice: parsing has validated the template of the role's ARN.
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
            managed_nodes_interval: self.managed_nodes_interval,
            organizational_units: None,
            unlisted_units: Vec::new(),
        })
    }
}
