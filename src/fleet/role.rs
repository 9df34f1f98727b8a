//! Roles to assume: their ARNs, session names, external ids and session policies,
//! validated by the rules of the IAM and STS API references.

use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret as _, SecretString};

use super::{AccountId, Partition, RegionName};

/// The ARN of an IAM role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoleArn {
    text: String,
    partition: Partition,
    account: AccountId,
}

/// The text is not the ARN of an IAM role.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a role ARN; expected an ARN such as `arn:aws:iam::111122223333:role/SsmSyncExporter`")]
pub struct InvalidRoleArn(String);

impl RoleArn {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The account that the role and its credentials belong to.
    pub(crate) fn account(&self) -> &AccountId {
        &self.account
    }

    pub(crate) fn partition(&self) -> Partition {
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
            let is_well_formed = (1..=64).contains(&name.len())
                && path.len() <= 512 + 64
                && path.bytes().all(|byte| byte == b'/' || is_name_byte(byte));
            is_well_formed.then_some(())?;
            Some(Self {
                text: text.to_owned(),
                partition: partition.parse().ok()?,
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

const ACCOUNT_ID_PLACEHOLDER: &str = "{account_id}";
const PARTITION_PLACEHOLDER: &str = "{partition}";
const REGION_PLACEHOLDER: &str = "{region}";

/// The template of a role session name: 2 to 64 letters, digits and `_+=,.@-`. The
/// placeholders `{account_id}` and `{region}` may occur.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionName(String);

/// The text is not a valid role session name.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a role session name; expected 2 to 64 letters, digits and `_+=,.@-`, where `{{account_id}}` counts as 12 and \
     `{{region}}` as {longest}",
    longest = RegionName::MAX_LEN
)]
pub struct InvalidSessionName(String);

impl SessionName {
    /// Replaces the placeholders. `account` is the account of the role, and `region` is the
    /// region of the STS endpoint, not of a target: all regions of an account share a
    /// session.
    pub(crate) fn expand(&self, account: &AccountId, region: &str) -> String {
        self.0.replace(ACCOUNT_ID_PLACEHOLDER, account.as_str()).replace(REGION_PLACEHOLDER, region)
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
        // The placeholders count with their longest possible values.
        let longest = text
            .replace(ACCOUNT_ID_PLACEHOLDER, &"0".repeat(12))
            .replace(REGION_PLACEHOLDER, &"x".repeat(RegionName::MAX_LEN));
        if (2..=64).contains(&longest.len()) && longest.bytes().all(is_name_byte) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSessionName(text.to_owned()))
        }
    }
}

/// The template of the ARN of a role that exists in every account of an organization,
/// with the placeholders `{account_id}` and, optionally, `{partition}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRoleTemplate(String);

/// The text is not a [`MemberRoleTemplate`].
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a role ARN with `{{account_id}}` as its account; expected a template such as \
     `arn:{{partition}}:iam::{{account_id}}:role/SsmSyncExporter`"
)]
pub struct InvalidMemberRoleTemplate(String);

impl MemberRoleTemplate {
    /// The ARN of the role in `account`.
    ///
    /// # Errors
    /// This never fails in practice, because parsing has validated the template with an
    /// example account.
    pub(crate) fn in_account(
        &self,
        account: &AccountId,
        partition: Partition,
    ) -> Result<RoleArn, InvalidRoleArn> {
        self.0
            .replace(ACCOUNT_ID_PLACEHOLDER, account.as_str())
            .replace(PARTITION_PLACEHOLDER, partition.as_str())
            .parse()
    }
}

impl FromStr for MemberRoleTemplate {
    type Err = InvalidMemberRoleTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let template = Self(text.to_owned());
        // The placeholder must be the account id of the ARN, not a part of the role's name.
        let account = AccountId::example();
        let is_valid =
            template.in_account(&account, Partition::Aws).is_ok_and(|arn| *arn.account() == account);
        if is_valid { Ok(template) } else { Err(InvalidMemberRoleTemplate(text.to_owned())) }
    }
}

/// The session policy that is passed when a role is assumed. It restricts the session to
/// the listed calls, even if the role itself allows more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SessionPolicy {
    /// No session policy: the session has all permissions of the role.
    #[default]
    None,
    /// Allows listing syncs.
    ListSyncs,
    /// Allows listing syncs and the regions that are enabled in the account.
    ListSyncsAndRegions,
    /// Allows listing the accounts of an organization.
    ListAccounts,
}

impl SessionPolicy {
    /// The policy document in JSON; `None` without a session policy.
    pub(crate) fn document(self) -> Option<String> {
        let actions: &[&str] = match self {
            Self::None => return None,
            Self::ListSyncs => &["ssm:ListResourceDataSync"],
            Self::ListSyncsAndRegions => &["ssm:ListResourceDataSync", "account:ListRegions"],
            Self::ListAccounts => &[
                "organizations:ListAccounts",
                "organizations:ListAccountsForParent",
                "organizations:ListOrganizationalUnitsForParent",
            ],
        };
        let actions: Vec<String> = actions.iter().map(|action| format!("\"{action}\"")).collect();
        Some(format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":[{}],\"Resource\":\"*\"}}]}}",
            actions.join(",")
        ))
    }
}

/// The external id that a role's trust policy requires. It is a secret: `Debug` redacts
/// it, and it has no `Display`.
#[derive(Clone, Debug)]
pub struct ExternalId(SecretString);

/// The text is not a valid external id. The error does not contain the text, because
/// external ids are secrets.
#[derive(Debug, thiserror::Error)]
#[error(
    "not an external id; expected 2 to 1224 letters, digits and `_+=,.@:/-` (the value is secret and not shown)"
)]
pub struct InvalidExternalId;

impl ExternalId {
    /// The plain text, for requests to STS only.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for ExternalId {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for ExternalId {}

impl FromStr for ExternalId {
    type Err = InvalidExternalId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_well_formed = (2..=1224).contains(&text.len())
            && text.bytes().all(|byte| is_name_byte(byte) || matches!(byte, b':' | b'/'));
        if is_well_formed { Ok(Self(text.into())) } else { Err(InvalidExternalId) }
    }
}

/// The character class that the IAM API reference writes as `[\w+=,.@-]`.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'=' | b',' | b'.' | b'@' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_contains_the_account_and_the_partition() {
        let arn: RoleArn =
            "arn:aws-us-gov:iam::012345678901:role/ops/monitoring/Sync.Reader@1".parse().unwrap();
        assert_eq!(arn.account().as_str(), "012345678901");
        assert_eq!(arn.partition().as_str(), "aws-us-gov");
    }

    #[test]
    fn anything_but_a_role_arn_is_rejected() {
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
    fn neither_debug_nor_the_error_contains_the_external_id() {
        let good: ExternalId = "hunter2".parse().unwrap();
        assert!(!format!("{good:?}").contains("hunter2"));
        let error = "hunter2 with spaces".parse::<ExternalId>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        assert!("a:b/c-1".parse::<ExternalId>().is_ok());
        assert!("a".parse::<ExternalId>().is_err());
    }

    #[test]
    fn session_names_must_be_valid_for_sts() {
        let account = "111122223333".parse().unwrap();
        let name: SessionName = "sync@{account_id}.{region}".parse().unwrap();
        assert_eq!(name.expand(&account, "eu-west-1"), "sync@111122223333.eu-west-1");
        for text in [
            "",
            "a",
            "a b",
            "ä-ö",
            "{account}",
            &"x".repeat(65),
            &format!("{}{{account_id}}", "x".repeat(53)),
        ] {
            assert!(text.parse::<SessionName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_member_role_template_gives_an_arn_in_each_account() {
        let template: MemberRoleTemplate =
            "arn:{partition}:iam::{account_id}:role/ops/Reader".parse().unwrap();
        let account = "111122223333".parse().unwrap();
        let arn = template.in_account(&account, Partition::AwsCn).unwrap();
        assert_eq!(arn.as_str(), "arn:aws-cn:iam::111122223333:role/ops/Reader");
        for text in [
            "",
            "SsmSyncExporter",
            "arn:aws:iam::111122223333:role/x",
            "arn:aws:iam::111122223333:role/{account_id}",
            "arn:{partitoin}:iam::{account_id}:role/x",
            "arn:aws:iam::{account_id}:user/x",
        ] {
            assert!(text.parse::<MemberRoleTemplate>().is_err(), "{text}");
        }
        assert!("arn:aws-us-gov:iam::{account_id}:role/x".parse::<MemberRoleTemplate>().is_ok());
    }

    #[test]
    fn a_session_policy_allows_only_the_necessary_calls() {
        assert_eq!(SessionPolicy::None.document(), None);
        assert_eq!(
            SessionPolicy::ListSyncs.document().unwrap(),
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ssm:ListResourceDataSync"],"Resource":"*"}]}"#
        );
    }
}
