//! Roles and users with their policies.

use serde_json::json;

use super::{Account, ManagedPolicy, Permissions, World};
use crate::iam;
use crate::policy::{Policy, PolicyKind};

/// A user or role of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The user that the account's static access key belongs to.
    User,
    /// The role of this name, with its path if it has one.
    Role(String),
}

impl Identity {
    /// The role of this name, with its path if it has one.
    #[must_use]
    pub fn role(name: &str) -> Self {
        Self::Role(name.to_owned())
    }
}

#[derive(Debug)]
pub(super) struct Role {
    pub(super) trust: Policy,
    pub(super) permissions: Permissions,
}

/// What `GetRole` says about a role.
#[derive(Debug)]
pub(crate) struct RoleDescription {
    /// With path.
    pub(crate) name: String,
    /// The trust policy as JSON.
    pub(crate) trust: String,
    /// The ARN of the permissions boundary.
    pub(crate) boundary: Option<String>,
}

impl World {
    /// Adds a role to an account, which may do everything. Every caller with the external id, if there
    /// is one, may assume it.
    pub fn add_role(&self, account: &str, name: &str, external_id: Option<&str>) {
        let mut statement = json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"});
        if let Some(external_id) = external_id {
            // A `$` in the id begins no variable.
            let literal = external_id.replace('$', "${$}");
            statement["Condition"] = json!({"StringEquals": {"sts:ExternalId": literal}});
        }
        self.add_role_with_trust(account, name, &statement);
    }

    /// Adds a role that no caller may assume.
    pub fn add_denied_role(&self, account: &str, name: &str) {
        let service = json!({"Service": "ec2.amazonaws.com"});
        let statement = json!({"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"});
        self.add_role_with_trust(account, name, &statement);
    }

    fn add_role_with_trust(&self, account: &str, name: &str, statement: &serde_json::Value) {
        let document = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        let Ok(trust) = Policy::parse(&document, PolicyKind::Trust) else { return };
        let role = Role { trust, permissions: Permissions::default() };
        self.lock().accounts.entry(account.to_owned()).or_default().roles.insert(name.to_owned(), role);
    }

    /// Replaces the trust policy of a role.
    ///
    /// # Errors
    /// The policy is malformed, or there is no such role.
    pub fn set_trust_policy(&self, account: &str, role: &str, policy: &str) -> Result<(), String> {
        let policy = Policy::parse(policy, PolicyKind::Trust)?;
        self.change_role(account, role, |role| role.trust = policy)
    }

    /// Replaces all identity-based policies of a user or role. Without this call, it may do everything,
    /// as with AWS's policy `AdministratorAccess`. `policies` have a name and a document each.
    ///
    /// # Errors
    /// A policy is malformed, or there is no such user or role.
    pub fn set_policies(
        &self,
        account: &str,
        identity: &Identity,
        policies: &[(&str, &str)],
    ) -> Result<(), String> {
        let parse = |(name, document): &(&str, &str)| {
            Policy::parse(document, PolicyKind::Identity).map(|policy| ((*name).to_owned(), policy))
        };
        let policies = policies.iter().map(parse).collect::<Result<_, _>>()?;
        self.change_permissions(account, identity, |permissions| {
            permissions.full_access = false;
            permissions.policies = policies;
        })
    }

    /// Adds an identity-based policy to a user or role. Replaces the one of the same name.
    ///
    /// # Errors
    /// The policy is malformed, or there is no such user or role.
    pub fn put_policy(
        &self,
        account: &str,
        identity: &Identity,
        name: &str,
        policy: &str,
    ) -> Result<(), String> {
        let policy = Policy::parse(policy, PolicyKind::Identity)?;
        self.change_permissions(account, identity, |permissions| {
            permissions.policies.insert(name.to_owned(), policy);
        })
    }

    /// Sets the permissions boundary of a user or role: a managed policy in its account, with a name and
    /// a document.
    ///
    /// # Errors
    /// The policy is malformed, or there is no such user or role.
    pub fn set_permissions_boundary(
        &self,
        account: &str,
        identity: &Identity,
        boundary: Option<(&str, &str)>,
    ) -> Result<(), String> {
        let boundary = boundary.map(|(name, document)| {
            ManagedPolicy::parse(
                format!("arn:aws:iam::{account}:policy/{name}"),
                document,
                PolicyKind::Identity,
            )
        });
        let boundary = boundary.transpose()?;
        self.change_permissions(account, identity, |permissions| permissions.boundary = boundary)
    }

    /// Describes the role with this name, without its path.
    pub(crate) fn describe_role(&self, account: &str, name: &str) -> Option<RoleDescription> {
        let inner = self.lock();
        let account = inner.accounts.get(account)?;
        let (name, role) = account.roles.iter().find(|(path, _)| name_of(path) == name)?;
        let boundary = role.permissions.boundary.as_ref().map(|boundary| boundary.arn.clone());
        Some(RoleDescription { name: name.clone(), trust: role.trust.document.to_string(), boundary })
    }

    /// The identity-based policies of a user or role, with names. `None` if it does not exist.
    pub(crate) fn policies(&self, account: &str, identity: &Identity) -> Option<Vec<(String, String)>> {
        let mut inner = self.lock();
        let permissions = inner.accounts.get_mut(account)?.permissions(identity)?;
        let policies = permissions.policies.iter();
        Some(policies.map(|(name, policy)| (name.clone(), policy.document.to_string())).collect())
    }

    /// Removes an identity-based policy. Returns whether there was one.
    pub(crate) fn remove_policy(&self, account: &str, identity: &Identity, name: &str) -> bool {
        let mut inner = self.lock();
        let account = inner.accounts.get_mut(account);
        let permissions = account.and_then(|account| account.permissions(identity));
        permissions.is_some_and(|permissions| permissions.policies.remove(name).is_some())
    }

    /// Whether a user, role or account that a policy names as a principal exists. AWS does not check
    /// the names of sessions.
    pub(crate) fn has_principal(&self, principal: &str) -> bool {
        let inner = self.lock();
        let parts: Vec<&str> = principal.splitn(6, ':').collect();
        let (account, name) = match parts.as_slice() {
            [account] => (account, "root"),
            [_, _, _, _, account, name] => (account, *name),
            _ => return false,
        };
        inner.accounts.get(*account).is_some_and(|account| match name.split_once('/') {
            Some(("role", role)) => account.roles.contains_key(role),
            Some(("user", user)) => user == iam::USER,
            Some(("assumed-role", _)) => true,
            _ => name == "root",
        })
    }

    fn change_role(&self, account: &str, name: &str, change: impl FnOnce(&mut Role)) -> Result<(), String> {
        let mut inner = self.lock();
        let role = inner.accounts.get_mut(account).and_then(|account| account.roles.get_mut(name));
        role.map(change).ok_or_else(|| format!("{account} has no role {name}"))
    }

    fn change_permissions(
        &self,
        account: &str,
        identity: &Identity,
        change: impl FnOnce(&mut Permissions),
    ) -> Result<(), String> {
        let mut inner = self.lock();
        let permissions = inner.accounts.get_mut(account).and_then(|account| account.permissions(identity));
        permissions.map(change).ok_or_else(|| match identity {
            Identity::User => format!("there is no account {account}"),
            Identity::Role(name) => format!("{account} has no role {name}"),
        })
    }
}

impl Account {
    fn permissions(&mut self, identity: &Identity) -> Option<&mut Permissions> {
        match identity {
            Identity::User => Some(&mut self.user),
            Identity::Role(name) => self.roles.get_mut(name).map(|role| &mut role.permissions),
        }
    }
}

/// The name of a role without its path.
fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
