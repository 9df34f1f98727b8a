//! Roles to assume: their ARNs, session names and external ids, checked by
//! the rules of the IAM and STS API references.

use std::fmt;
use std::str::FromStr;

use super::{AccountId, Partition};

/// The ARN of an IAM role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoleArn {
    text: String,
    partition: Partition,
    account: AccountId,
}

/// A text that is not the ARN of a role.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the ARN of a role, such as `arn:aws:iam::111122223333:role/SsmSyncExporter`")]
pub struct InvalidRoleArn(String);

impl RoleArn {
    /// The ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The account that the role belongs to, and with it its credentials.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// The partition that the role belongs to.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }
}

impl FromStr for RoleArn {
    type Err = InvalidRoleArn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.splitn(6, ':');
            let (Some("arn"), Some(partition), Some("iam"), Some(""), Some(account), Some(resource), None) = (
                parts.next(),
                parts.next(),
                parts.next(),
                parts.next(),
                parts.next(),
                parts.next(),
                parts.next(),
            ) else {
                return None;
            };
            let path = resource.strip_prefix("role/")?;
            let name = path.rsplit('/').next()?;
            let well_formed = (1..=64).contains(&name.len())
                && path.len() <= 512 + 64
                && path.bytes().all(|byte| byte == b'/' || is_name_byte(byte));
            well_formed.then_some(())?;
            Some(Self {
                text: text.to_owned(),
                partition: Partition::from_name(partition)?,
                account: account.parse().ok()?,
            })
        };
        parse().ok_or_else(|| InvalidRoleArn(text.to_owned()))
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The name of a role session: 2 to 64 letters, digits and `_+=,.@-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionName(String);

/// A text that cannot name a role session.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the name of a role session: 2 to 64 letters, digits and `_+=,.@-`")]
pub struct InvalidSessionName(String);

impl SessionName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SessionName {
    fn default() -> Self {
        Self("ssm-sync-exporter".to_owned())
    }
}

impl FromStr for SessionName {
    type Err = InvalidSessionName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if (2..=64).contains(&text.len()) && text.bytes().all(is_name_byte) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSessionName(text.to_owned()))
        }
    }
}

/// A text that cannot be an external id. It does not repeat the text, because
/// external ids are secrets.
#[derive(Debug, thiserror::Error)]
#[error(
    "not an external id: 2 to 1224 letters, digits and `_+=,.@:/-` (the value is not shown, it is a secret)"
)]
pub struct InvalidExternalId;

/// Checks an external id by STS's rules.
///
/// # Errors
/// Where STS would refuse it.
pub fn check_external_id(text: &str) -> Result<(), InvalidExternalId> {
    let well_formed = (2..=1224).contains(&text.len())
        && text.bytes().all(|byte| is_name_byte(byte) || matches!(byte, b':' | b'/'));
    if well_formed { Ok(()) } else { Err(InvalidExternalId) }
}

/// What IAM writes as `[\w+=,.@-]`.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'=' | b',' | b'.' | b'@' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_tells_its_account_and_partition() {
        let arn: RoleArn =
            "arn:aws-us-gov:iam::012345678901:role/ops/monitoring/Sync.Reader@1".parse().unwrap();
        assert_eq!(arn.account().as_str(), "012345678901");
        assert_eq!(arn.partition().as_str(), "aws-us-gov");
    }

    #[test]
    fn refuses_what_is_not_the_arn_of_a_role() {
        for text in [
            "",
            "SsmSyncExporter",
            "arn:aws:iam::111122223333:user/me",
            "arn:aws:iam::1111:role/x",
            "arn:aws:iam:eu-west-1:111122223333:role/x",
            "arn:aws:sts::111122223333:assumed-role/x/y",
            "arn:azure:iam::111122223333:role/x",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/a b",
            "arn:aws:iam::111122223333:role/a:b",
        ] {
            assert!(text.parse::<RoleArn>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bad_external_id_is_not_repeated() {
        let error = check_external_id("hunter2 with spaces").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        assert!(check_external_id("a:b/c-1").is_ok());
        assert!(check_external_id("a").is_err());
    }

    #[test]
    fn session_names_follow_sts() {
        assert!("ssm-sync-exporter@prod".parse::<SessionName>().is_ok());
        for text in ["", "a", "a b", "ä-ö", &"x".repeat(65)] {
            assert!(text.parse::<SessionName>().is_err(), "{text}");
        }
    }
}
