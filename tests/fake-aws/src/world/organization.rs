//! The organization: which accounts are in it, and below which unit.

use super::{World, now};

/// The id of the organization.
pub(crate) const ORGANIZATION: &str = "o-fakefakefa";

/// The id of its root.
pub(crate) const ROOT: &str = "r-fake";

/// The organization.
#[derive(Debug)]
pub(crate) struct Organization {
    pub(crate) management: String,
    delegated: Vec<String>,
    pub(crate) units: Vec<Unit>,
    pub(crate) members: Vec<Member>,
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
    /// Whether the account is in it.
    pub(crate) fn has(&self, account: &str) -> bool {
        self.members.iter().any(|member| member.id == account)
    }

    /// Whether the account may look at all of it.
    pub(crate) fn may_look(&self, account: &str) -> bool {
        self.management == account || self.delegated.iter().any(|delegated| delegated == account)
    }

    /// Whether it has such a root or unit.
    pub(crate) fn has_parent(&self, id: &str) -> bool {
        id == ROOT || self.units.iter().any(|unit| unit.id == id)
    }

    fn add(&mut self, id: &str, name: &str, parent: &str) {
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
    /// Creates the organization, in place of one that may be there: with the
    /// root `r-fake`, and in it the account that manages the organization,
    /// called `management`, which is added to the world.
    pub fn create_organization(&self, management: &str) {
        self.add_account(management);
        let mut organization = Organization {
            management: management.to_owned(),
            delegated: Vec::new(),
            units: Vec::new(),
            members: Vec::new(),
        };
        organization.add(management, "management", ROOT);
        self.lock().organization = Some(organization);
    }

    /// Lets a member of the organization list its accounts and units, as the
    /// management account may.
    ///
    /// # Panics
    /// There is no organization.
    pub fn add_delegated_administrator(&self, account: &str) {
        self.change_organization(|organization| organization.delegated.push(account.to_owned()));
    }

    /// Adds an organizational unit, such as `ou-fake-00000001`, whose name is
    /// its id, below a unit or `r-fake`.
    ///
    /// # Panics
    /// There is no organization, or no such parent.
    pub fn add_unit(&self, id: &str, parent: &str) {
        self.change_organization(|organization| {
            assert!(organization.has_parent(parent), "the organization has no {parent}");
            organization.units.push(Unit { id: id.to_owned(), parent: parent.to_owned() });
        });
    }

    /// Adds an account, without roles, to the world and to a unit of the
    /// organization, or to `r-fake`. A member that is there is added anew.
    ///
    /// # Panics
    /// There is no organization, or no such parent.
    pub fn add_member(&self, id: &str, name: &str, parent: &str) {
        self.add_account(id);
        self.change_organization(|organization| organization.add(id, name, parent));
    }

    /// What the organization says of a member's `State` and `Status`, which
    /// are both `ACTIVE` at first; nothing, where it is `None`.
    ///
    /// # Panics
    /// There is no organization, or no such member.
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

    /// Lets an account leave the organization. It lives on by itself.
    ///
    /// # Panics
    /// There is no organization.
    pub fn remove_member(&self, id: &str) {
        self.change_organization(|organization| organization.members.retain(|member| member.id != id));
    }

    /// Looks at the organization, if there is one.
    pub(crate) fn with_organization<T>(&self, work: impl FnOnce(Option<&Organization>) -> T) -> T {
        work(self.lock().organization.as_ref())
    }

    fn change_organization(&self, work: impl FnOnce(&mut Organization)) {
        let mut inner = self.lock();
        assert!(inner.organization.is_some(), "there is no organization");
        if let Some(organization) = &mut inner.organization {
            work(organization);
        }
    }
}
