//! Whom a statement of a trust policy or of another policy of a resource is about.

use serde::Deserialize;

use super::OneOrMore;

/// The identity of a caller, as far as policies distinguish callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) account: String,
    /// The ARN of the user or role.
    pub(crate) identity: String,
    /// The ARN of the role session. The same as `identity` for a user.
    pub(crate) session: String,
}

/// The principals of a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Principals {
    Everyone,
    /// Accounts and ARNs. Principals that are no AWS accounts are left out, because none of them calls
    /// the fake.
    Listed(Vec<String>),
}

/// How a statement names a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// By its ARN, or as one of all callers.
    Directly,
    /// By its account, which then decides with its own policies.
    ByAccount,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum PrincipalDocument {
    Everyone(String),
    Kinds(PrincipalKinds),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct PrincipalKinds {
    #[serde(rename = "AWS")]
    aws: Option<OneOrMore<String>>,
    #[serde(rename = "Service")]
    _service: Option<OneOrMore<String>>,
    #[serde(rename = "Federated")]
    _federated: Option<OneOrMore<String>>,
}

impl Principals {
    /// # Errors
    /// The message that AWS returns for an invalid principal.
    pub(super) fn parse(document: PrincipalDocument) -> Result<Self, String> {
        let listed = match document {
            PrincipalDocument::Everyone(text) if text == "*" => return Ok(Self::Everyone),
            PrincipalDocument::Everyone(text) => return Err(invalid(&text)),
            PrincipalDocument::Kinds(kinds) => kinds.aws.map(OneOrMore::list).unwrap_or_default(),
        };
        if listed.iter().any(|principal| principal == "*") {
            return Ok(Self::Everyone);
        }
        match listed.iter().find(|principal| account_of(principal).is_none()) {
            Some(text) => Err(invalid(text)),
            None => Ok(Self::Listed(listed)),
        }
    }

    pub(super) fn find(&self, caller: &Principal) -> Option<Match> {
        let listed = match self {
            Self::Everyone => return Some(Match::Directly),
            Self::Listed(listed) => listed,
        };
        if listed.contains(&caller.identity) || listed.contains(&caller.session) {
            return Some(Match::Directly);
        }
        listed.iter().any(|principal| is_account(principal, &caller.account)).then_some(Match::ByAccount)
    }

    pub(super) fn listed(&self) -> &[String] {
        match self {
            Self::Everyone => &[],
            Self::Listed(listed) => listed,
        }
    }
}

fn invalid(principal: &str) -> String {
    format!("Invalid principal in policy: \"AWS\":\"{principal}\"")
}

/// The account that a principal is, or that it belongs to. `None` if the principal is malformed.
fn account_of(principal: &str) -> Option<&str> {
    let parts: Vec<&str> = principal.split(':').collect();
    let account = match parts.as_slice() {
        [account] | ["arn", _, "iam", "", account, "root"] => *account,
        ["arn", _, "iam", "", account, name] if name.starts_with("role/") || name.starts_with("user/") => {
            account
        }
        ["arn", _, "sts", "", account, name] if name.starts_with("assumed-role/") => account,
        _ => return None,
    };
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}

fn is_account(principal: &str, account: &str) -> bool {
    principal == account
        || (principal.ends_with(":root") && account_of(principal).is_some_and(|of| of == account))
}
