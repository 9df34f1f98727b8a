//! The organization with its units and accounts.

use super::{Attachments, World, now};
use crate::policy::Policy;

/// The id of the organization.
pub(crate) const ORGANIZATION: &str = "o-fakefakefa";

/// The id of the organization's root.
pub(crate) const ROOT: &str = "r-fake";

#[derive(Debug)]
pub(crate) struct Organization {
    pub(crate) management: String,
    delegated_administrators: Vec<String>,
    pub(crate) units: Vec<Unit>,
    pub(crate) members: Vec<Member>,
    /// Whether lists of accounts include `Paths`.
    pub(crate) reports_paths: bool,
    pub(super) service_control_policies: Attachments,
    pub(super) resource_control_policies: Attachments,
    /// The policy with which members are allowed to call the service.
    pub(super) resource_policy: Option<Policy>,
}

/// An organizational unit.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) id: String,
    pub(crate) parent: String,
}

/// An account of the organization.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) parent: String,
    pub(crate) state: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) joined: f64,
}

impl Organization {
    /// Whether the account is a member.
    pub(crate) fn has_member(&self, account: &str) -> bool {
        self.members.iter().any(|member| member.id == account)
    }

    /// Whether the account may list the organization without being allowed to by the policy of the
    /// organization.
    pub(crate) fn is_administrator(&self, account: &str) -> bool {
        self.management == account
            || self.delegated_administrators.iter().any(|delegated| delegated == account)
    }

    /// Whether the account may list the organization, if its policies allow the call.
    pub(crate) fn may_list(&self, account: &str) -> bool {
        self.is_administrator(account) || self.resource_policy.is_some()
    }

    /// Whether there is a root or unit with this id.
    pub(crate) fn has_parent(&self, id: &str) -> bool {
        id == ROOT || self.units.iter().any(|unit| unit.id == id)
    }

    /// The root and the units that a member is in, from the root to the member.
    pub(super) fn parents(&self, member: &Member) -> Vec<&str> {
        let mut parents = Vec::new();
        let mut parent = member.parent.as_str();
        while let Some(unit) = self.units.iter().find(|unit| unit.id == parent) {
            parents.push(unit.id.as_str());
            parent = &unit.parent;
        }
        parents.push(ROOT);
        parents.reverse();
        parents
    }

    /// The path of a member: the organization, the root, the units from the root to the member and
    /// the member, each followed by a slash.
    pub(crate) fn path(&self, member: &Member) -> String {
        format!("{ORGANIZATION}/{}/{}/", self.parents(member).join("/"), member.id)
    }

    fn add_member(&mut self, id: &str, name: &str, parent: &str) {
        assert!(self.has_parent(parent), "the organization has no {parent}");
        self.members.retain(|member| member.id != id);
        self.members.push(Member {
            id: id.to_owned(),
            name: name.to_owned(),
            parent: parent.to_owned(),
            state: Some("ACTIVE".to_owned()),
            status: Some("ACTIVE".to_owned()),
            joined: now(),
        });
    }
}

impl World {
    /// Creates the organization, replacing an existing one. Its root is `r-fake`. Also adds the
    /// management account, with the name `management`.
    pub fn create_organization(&self, management: &str) {
        self.add_account(management);
        let mut organization = Organization {
            management: management.to_owned(),
            delegated_administrators: Vec::new(),
            units: Vec::new(),
            members: Vec::new(),
            reports_paths: true,
            service_control_policies: Attachments::default(),
            resource_control_policies: Attachments::default(),
            resource_policy: None,
        };
        organization.add_member(management, "management", ROOT);
        self.lock().organization = Some(organization);
    }

    /// Makes a member a delegated administrator, which may list the organization like the
    /// management account.
    ///
    /// # Panics
    /// If there is no organization.
    pub fn add_delegated_administrator(&self, account: &str) {
        self.change_organization(|organization| {
            organization.delegated_administrators.push(account.to_owned());
        });
    }

    /// Adds an organizational unit, such as `ou-fake-00000001`, below a unit or `r-fake`. Its name
    /// is its id.
    ///
    /// # Panics
    /// If there is no organization or no such parent.
    pub fn add_unit(&self, id: &str, parent: &str) {
        self.change_organization(|organization| {
            assert!(organization.has_parent(parent), "the organization has no {parent}");
            organization.units.push(Unit { id: id.to_owned(), parent: parent.to_owned() });
        });
    }

    /// Adds an account without roles, as a member below a unit or `r-fake`. Replaces an existing
    /// member with the same id.
    ///
    /// # Panics
    /// If there is no organization or no such parent.
    pub fn add_member(&self, id: &str, name: &str, parent: &str) {
        self.add_account(id);
        self.change_organization(|organization| organization.add_member(id, name, parent));
    }

    /// Sets the `State` and `Status` of a member, which are both `ACTIVE` at first. `None` leaves
    /// the field out of responses.
    ///
    /// # Panics
    /// If there is no organization or no such member.
    pub fn set_account_state(&self, id: &str, state: Option<&str>, status: Option<&str>) {
        self.change_organization(|organization| {
            let member = organization.members.iter_mut().find(|member| member.id == id);
            assert!(member.is_some(), "the organization has no {id}");
            if let Some(member) = member {
                member.state = state.map(ToOwned::to_owned);
                member.status = status.map(ToOwned::to_owned);
            }
        });
    }

    /// Sets whether lists of accounts include `Paths`, which AWS returns and other implementations of
    /// the API do not. On by default.
    ///
    /// # Panics
    /// If there is no organization.
    pub fn set_reports_paths(&self, reports: bool) {
        self.change_organization(|organization| organization.reports_paths = reports);
    }

    /// Removes an account from the organization. The account itself still exists.
    ///
    /// # Panics
    /// If there is no organization.
    pub fn remove_member(&self, id: &str) {
        self.change_organization(|organization| organization.members.retain(|member| member.id != id));
    }

    /// Calls `work` with the organization, if there is one.
    pub(crate) fn with_organization<T>(&self, work: impl FnOnce(Option<&Organization>) -> T) -> T {
        work(self.lock().organization.as_ref())
    }

    pub(super) fn change_organization(&self, work: impl FnOnce(&mut Organization)) {
        let mut inner = self.lock();
        assert!(inner.organization.is_some(), "there is no organization");
        if let Some(organization) = &mut inner.organization {
            work(organization);
        }
    }
}
