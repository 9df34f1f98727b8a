//! Roles to assume: their ARNs, session names, external ids and session policies,
//! validated by the rules of the IAM and STS API references.

use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret as _, SecretString};

use strum::VariantArray as _;

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
            let (path, name) = resource.strip_prefix("role")?.rsplit_once('/')?;
            let is_well_formed =
                is_path(path) && (1..=64).contains(&name.len()) && name.bytes().all(is_name_byte);
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
    /// The default.
    pub(crate) const DEFAULT: &str = "ssm-sync-exporter";

    /// Replaces the placeholders. `account` is the account of the role, and `region` is the
    /// region of the STS endpoint, not of a target: all regions of an account share a
    /// session.
    pub(crate) fn expand(&self, account: &AccountId, region: &str) -> String {
        self.0.replace(ACCOUNT_ID_PLACEHOLDER, account.as_str()).replace(REGION_PLACEHOLDER, region)
    }
}

impl Default for SessionName {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
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
/// with the placeholders `{account_id}` and, optionally, `{partition}`. `{{` and `}}` stand for
/// braces, which the path of a role may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRoleTemplate(String);

/// The text is not a [`MemberRoleTemplate`].
#[derive(Debug, thiserror::Error)]
pub enum InvalidMemberRoleTemplate {
    /// It is not the ARN of a role in the account that the placeholder stands for.
    #[error(
        "`{0}` is not a role ARN with `{{account_id}}` as its account; expected a template such as \
         `arn:{{partition}}:iam::{{account_id}}:role/SsmSyncExporter`"
    )]
    NoRoleArn(String),
    /// A brace begins or ends no placeholder.
    #[error(
        "`{0}` has a brace that belongs to no placeholder; expected `{{account_id}}` or `{{partition}}`, or `{{{{` and \
         `}}}}` for braces in the path of the role"
    )]
    UnknownPlaceholder(String),
}

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
        let expanded = self.expand(account, partition);
        expanded.ok_or_else(|| InvalidRoleArn(self.0.clone()))?.parse()
    }

    /// Replaces the placeholders and double braces. `None` if there is another brace.
    fn expand(&self, account: &AccountId, partition: Partition) -> Option<String> {
        let replacements = [
            (ACCOUNT_ID_PLACEHOLDER, account.as_str()),
            (PARTITION_PLACEHOLDER, partition.as_str()),
            ("{{", "{"),
            ("}}", "}"),
        ];
        let (mut expanded, mut rest) = (String::new(), self.0.as_str());
        while let Some(brace) = rest.find(['{', '}']) {
            let (before, from_brace) = rest.split_at(brace);
            let (text, after) = replacements
                .iter()
                .find_map(|(written, text)| Some((*text, from_brace.strip_prefix(written)?)))?;
            expanded.push_str(before);
            expanded.push_str(text);
            rest = after;
        }
        Some(expanded + rest)
    }
}

impl fmt::Display for MemberRoleTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MemberRoleTemplate {
    type Err = InvalidMemberRoleTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let template = Self(text.to_owned());
        // The placeholder must be the account id of the ARN, not a part of the role's name.
        let account = AccountId::example();
        if template.expand(&account, Partition::Aws).is_none() {
            return Err(InvalidMemberRoleTemplate::UnknownPlaceholder(text.to_owned()));
        }
        // The names of partitions have different lengths. A second account tells the placeholder from the id of
        // the example.
        let other = AccountId::other_example();
        let is_valid = Partition::VARIANTS.iter().all(|partition| {
            let is_in =
                |account| template.in_account(account, *partition).is_ok_and(|arn| arn.account() == account);
            is_in(&account) && is_in(&other)
        });
        if is_valid { Ok(template) } else { Err(InvalidMemberRoleTemplate::NoRoleArn(text.to_owned())) }
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
    Poll {
        /// Whether it also allows listing the regions that are enabled in the account.
        regions: bool,
        /// Whether it also allows looking up managed nodes.
        managed_nodes: bool,
    },
    /// Allows listing the accounts of an organization.
    ListAccounts,
}

impl SessionPolicy {
    /// The policy document in JSON; `None` without a session policy.
    pub(crate) fn document(self) -> Option<String> {
        let actions = match self {
            Self::None => return None,
            Self::Poll { regions, managed_nodes } => vec![
                Some("ssm:ListResourceDataSync"),
                regions.then_some("account:ListRegions"),
                managed_nodes.then_some("ssm:DescribeInstanceInformation"),
            ],
            Self::ListAccounts => vec![
                Some("organizations:ListAccounts"),
                Some("organizations:ListAccountsForParent"),
                Some("organizations:ListOrganizationalUnitsForParent"),
            ],
        };
        let actions: Vec<String> =
            actions.into_iter().flatten().map(|action| format!("\"{action}\"")).collect();
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

/// Whether IAM accepts the path of a role, here without the slash at its end: empty, or a slash and up
/// to 510 ASCII characters other than a space and most control characters. The IAM API reference writes
/// it as `(\u002F)|(\u002F[\u0021-\u007F]+\u002F)`, with at most 512 characters.
fn is_path(path: &str) -> bool {
    path.is_empty()
        || path.starts_with('/')
            && (2..512).contains(&path.len())
            && path.bytes().all(|byte| matches!(byte, 0x21..=0x7f))
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
            "arn:aws:iam::111122223333:role",
            "arn:aws:iam::111122223333:roles/x",
            "arn:aws:iam::111122223333:role//x",
            "arn:aws:iam::111122223333:role/a/",
            "arn:aws:iam::111122223333:role/a b/x",
            "arn:aws:iam::111122223333:role/ü/x",
            "arn:aws:iam::111122223333:role/a\n/x",
            "arn:aws:iam::111122223333:role/a\u{1b}/x",
            "arn:aws:iam::111122223333:role/a/{x}",
        ] {
            assert!(text.parse::<RoleArn>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_may_have_every_character_that_iam_allows() {
        let role =
            |path: &str, name: &str| format!("arn:aws:iam::111122223333:role{path}{name}").parse::<RoleArn>();
        for byte in 0..=u8::MAX {
            let character = char::from(byte);
            let is_allowed = matches!(byte, 0x21..=0x7f);
            assert_eq!(role(&format!("/a{character}b/"), "x").is_ok(), is_allowed, "{character:?}");
            let is_allowed_in_name = byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
            // A slash ends the path.
            if character != '/' {
                assert_eq!(role("/", &format!("a{character}b")).is_ok(), is_allowed_in_name, "{character:?}");
            }
        }
        let path = |length: usize| format!("/{}/", "p".repeat(length - 2));
        for (path, name, is_valid) in [
            ("/".to_owned(), 1, true),
            ("/".to_owned(), 64, true),
            ("/".to_owned(), 65, false),
            (path(3), 64, true),
            (path(512), 64, true),
            (path(513), 1, false),
            (path(512), 65, false),
            (path(512), 0, false),
        ] {
            assert_eq!(role(&path, &"n".repeat(name)).is_ok(), is_valid, "{} and {name}", path.len());
        }
        // AWS creates such paths.
        let reserved =
            "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_a_0123";
        assert!(reserved.parse::<RoleArn>().is_ok());
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
            &format!("arn:{{partition}}:iam::{{account_id}}:role/{}{{partition}}/x", "p".repeat(501)),
        ] {
            assert!(text.parse::<MemberRoleTemplate>().is_err(), "{text}");
        }
        assert!("arn:aws-us-gov:iam::{account_id}:role/x".parse::<MemberRoleTemplate>().is_ok());
    }

    #[test]
    fn double_braces_in_a_template_are_braces_of_the_path() {
        let account = "111122223333".parse().unwrap();
        for (path, expanded) in [
            ("{{x}}", "{x}"),
            ("{{account_id}}", "{account_id}"),
            ("{{{account_id}}}", "{111122223333}"),
            ("{account_id}-{partition}", "111122223333-aws"),
            ("a{{{{b", "a{{b"),
            ("!\"#$%&'()*+,-.:;<=>?@[\\]^`|~\u{7f}", "!\"#$%&'()*+,-.:;<=>?@[\\]^`|~\u{7f}"),
        ] {
            let template: MemberRoleTemplate =
                format!("arn:aws:iam::{{account_id}}:role/{path}/x").parse().unwrap();
            let arn = template.in_account(&account, Partition::Aws).unwrap();
            assert_eq!(arn.as_str(), format!("arn:aws:iam::111122223333:role/{expanded}/x"));
        }
        // Probably a misspelt placeholder.
        for path in ["{team}", "{acount_id}", "{region}", "{", "}", "{}", "{account_id}}", "}{"] {
            let error = format!("arn:aws:iam::{{account_id}}:role/{path}/x")
                .parse::<MemberRoleTemplate>()
                .unwrap_err();
            assert!(matches!(error, InvalidMemberRoleTemplate::UnknownPlaceholder(_)), "{error}");
        }
        assert_eq!(
            "a{b}".parse::<MemberRoleTemplate>().unwrap_err().to_string(),
            "`a{b}` has a brace that belongs to no placeholder; expected `{account_id}` or `{partition}`, or `{{` and `}}` \
             for braces in the path of the role"
        );
    }

    #[test]
    fn a_session_policy_allows_only_the_necessary_calls() {
        assert_eq!(SessionPolicy::None.document(), None);
        for (regions, managed_nodes, actions) in [
            (false, false, r#""ssm:ListResourceDataSync""#),
            (true, false, r#""ssm:ListResourceDataSync","account:ListRegions""#),
            (false, true, r#""ssm:ListResourceDataSync","ssm:DescribeInstanceInformation""#),
            (
                true,
                true,
                r#""ssm:ListResourceDataSync","account:ListRegions","ssm:DescribeInstanceInformation""#,
            ),
        ] {
            let expected = format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":[{actions}],"Resource":"*"}}]}}"#
            );
            assert_eq!(SessionPolicy::Poll { regions, managed_nodes }.document(), Some(expected));
        }
    }
}
