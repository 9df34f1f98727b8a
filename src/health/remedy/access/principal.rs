//! The callers and the roles that denials are about.

use crate::fleet::{AccountId, Partition, RoleArn};

/// A role or a user of IAM, or something else that calls AWS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Principal {
    pub(super) partition: Partition,
    pub(super) account: AccountId,
    pub(super) kind: PrincipalKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum PrincipalKind {
    Role(RoleName),
    User {
        /// With the slash at its beginning and end.
        path: String,
        name: String,
    },
    /// The root user of the account, or a federated user: neither has policies that can be changed by
    /// their name.
    Other(String),
}

/// A role without its account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RoleName {
    /// With the slash at its beginning and end. `None` if it is not known: the ARN of a session does not
    /// have it.
    pub(super) path: Option<String>,
    pub(super) name: String,
}

/// The roles that IAM Identity Center creates. It, and not IAM, manages their policies.
const IDENTITY_CENTER_PREFIX: &str = "AWSReservedSSO_";

/// The path of these roles. A region may follow.
pub(super) const IDENTITY_CENTER_PATH: &str = "/aws-reserved/sso.amazonaws.com/";

impl Principal {
    /// Reads the ARN of a caller, as AWS names it in a denial. `None` if it has another form.
    pub(super) fn parse(arn: &str) -> Option<Self> {
        if let Ok(arn) = arn.parse::<RoleArn>() {
            return Some(Self::of_role(&arn));
        }
        let mut parts = arn.splitn(6, ':');
        let (_arn, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (_region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let (kind, rest) = resource.split_once('/').unwrap_or((resource, ""));
        let kind = match (service, kind) {
            ("sts", "assumed-role") => {
                let (name, _session) = rest.split_once('/')?;
                let name = is_name(name).then(|| name.to_owned())?;
                PrincipalKind::Role(RoleName { path: None, name })
            }
            ("iam", "user") => {
                let (path, name) = rest.rsplit_once('/').unwrap_or(("", rest));
                let path = if path.is_empty() { "/".to_owned() } else { format!("/{path}/") };
                PrincipalKind::User { path, name: is_name(name).then(|| name.to_owned())? }
            }
            _ => PrincipalKind::Other(kind.to_owned()),
        };
        Some(Self { partition: partition.parse().ok()?, account: account.parse().ok()?, kind })
    }

    pub(super) fn of_role(arn: &RoleArn) -> Self {
        let kind = PrincipalKind::Role(RoleName::of(arn));
        Self { partition: arn.partition(), account: arn.account().clone(), kind }
    }

    /// The name for people, without the account: `role NAME` or `user NAME`.
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            PrincipalKind::Role(role) => format!("role `{}`", role.name),
            PrincipalKind::User { name, .. } => format!("user `{name}`"),
            PrincipalKind::Other(kind) if kind == "root" => "root user".to_owned(),
            PrincipalKind::Other(kind) => kind.clone(),
        }
    }
}

impl RoleName {
    pub(super) fn of(arn: &RoleArn) -> Self {
        let resource = arn.as_str().splitn(6, ':').nth(5).unwrap_or_default();
        let (path, name) = resource.trim_start_matches("role").rsplit_once('/').unwrap_or(("", resource));
        Self { path: Some(format!("{path}/")), name: name.to_owned() }
    }

    /// The part of the role's ARN after `role`, as far as it is known.
    pub(super) fn with_path(&self) -> String {
        format!("{}{}", self.path.as_deref().unwrap_or("/"), self.name)
    }

    pub(super) fn is_of_identity_center(&self) -> bool {
        self.name.starts_with(IDENTITY_CENTER_PREFIX)
    }
}

/// Whether IAM accepts the name of a role or a user: `[\w+=,.@-]+`, at most 64 characters.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_read_from_the_arns_of_denials() {
        for (arn, described, account) in [
            (
                "arn:aws:sts::111122223333:assumed-role/Sync.Reader/i-0abc",
                "role `Sync.Reader`",
                "111122223333",
            ),
            ("arn:aws-cn:iam::111122223333:role/a/b/Reader", "role `Reader`", "111122223333"),
            ("arn:aws-us-gov:iam::111122223333:user/ops/Mary", "user `Mary`", "111122223333"),
            ("arn:aws:iam::111122223333:user/Mary", "user `Mary`", "111122223333"),
            ("arn:aws:iam::111122223333:root", "root user", "111122223333"),
            ("arn:aws:sts::111122223333:federated-user/Bob", "federated-user", "111122223333"),
        ] {
            let principal = Principal::parse(arn).unwrap_or_else(|| panic!("{arn}"));
            assert_eq!((principal.describe().as_str(), principal.account.as_str()), (described, account));
        }
        for arn in [
            "arn:aws:sts::111122223333:assumed-role/NoSession",
            "arn:aws:sts::1:assumed-role/a/b",
            "arn:aws-moon:sts::111122223333:assumed-role/a/b",
            "arn:aws:iam::111122223333:user/a/",
            "arn:aws:iam::111122223333:user/$(x)",
            "arn:aws:sts::111122223333:assumed-role/a`b/c",
            "arn:aws:iam",
            "",
        ] {
            assert_eq!(Principal::parse(arn), None, "{arn}");
        }
    }

    #[test]
    fn a_role_keeps_its_path_if_it_is_known() {
        let name = |arn: &str| match Principal::parse(arn).unwrap().kind {
            PrincipalKind::Role(role) => role,
            other => panic!("{other:?}"),
        };
        assert_eq!(name("arn:aws:iam::111122223333:role/a/b/R").with_path(), "/a/b/R");
        assert_eq!(name("arn:aws:iam::111122223333:role/R").with_path(), "/R");
        let session = name("arn:aws:sts::111122223333:assumed-role/R/s");
        assert_eq!((session.path.as_deref(), session.with_path().as_str()), (None, "/R"));
    }
}
