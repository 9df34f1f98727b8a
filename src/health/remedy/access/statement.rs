//! The policy statement that is lacking.

use serde::Serialize;

use super::principal::{IDENTITY_CENTER_PATH, Principal, PrincipalKind};

/// Stands for an external id, which is a secret.
pub(super) const EXTERNAL_ID: &str = "EXTERNAL_ID";

/// Stands for an account id where it is different for each failure.
pub(super) const ACCOUNT_ID: &str = "ACCOUNT_ID";

/// Stands for the ARN of the exporter's role or user where it is not known.
const CALLER_ARN: &str = "ARN_OF_THE_CALLER";

/// A policy document with one statement.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Document<'a> {
    version: &'static str,
    statement: [&'a Statement; 1],
}

impl<'a> Document<'a> {
    pub(super) fn with(statement: &'a Statement) -> Self {
        Self { version: "2012-10-17", statement: [statement] }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Statement {
    effect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<StatementPrincipal>,
    action: OneOrMany,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum StatementPrincipal {
    Everyone(&'static str),
    Aws {
        #[serde(rename = "AWS")]
        arn: String,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    #[serde(skip_serializing_if = "Option::is_none")]
    string_equals: Option<ExternalIdEquals>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn_like: Option<PrincipalArnLike>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ExternalIdEquals {
    #[serde(rename = "sts:ExternalId")]
    external_id: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct PrincipalArnLike {
    #[serde(rename = "aws:PrincipalArn")]
    principal_arn: String,
}

impl Statement {
    /// For a policy of a role or a user.
    pub(super) fn of_identity(actions: Vec<String>, resource: String) -> Self {
        let action = OneOrMany::of(actions);
        Self { effect: "Allow", principal: None, action, resource: Some(resource), condition: None }
    }

    /// For the policy of a VPC endpoint, where everything but the action is left to the other policies.
    pub(super) fn of_endpoint(actions: Vec<String>) -> Self {
        Self {
            principal: Some(StatementPrincipal::Everyone("*")),
            ..Self::of_identity(actions, "*".to_owned())
        }
    }

    /// For the trust policy of a role that `callers` assume.
    pub(super) fn of_trust(actions: Vec<String>, callers: &[Principal], has_external_id: bool) -> Self {
        let (arn, principal_arn) = trusted(callers);
        let string_equals = has_external_id.then_some(ExternalIdEquals { external_id: EXTERNAL_ID });
        let arn_like = principal_arn.map(|principal_arn| PrincipalArnLike { principal_arn });
        let condition = Condition { string_equals, arn_like };
        Self {
            effect: "Allow",
            principal: Some(StatementPrincipal::Aws { arn }),
            action: OneOrMany::of(actions),
            resource: None,
            condition: (condition != Condition::default()).then_some(condition),
        }
    }
}

impl OneOrMany {
    fn of(mut actions: Vec<String>) -> Self {
        match (actions.len(), actions.pop()) {
            (1, Some(only)) => Self::One(only),
            (_, last) => Self::Many(actions.into_iter().chain(last).collect()),
        }
    }
}

/// The principal of a trust policy, and a pattern for its ARN. IAM accepts the ARN of a role only with the
/// role's path, and not that of a session.
fn trusted(callers: &[Principal]) -> (String, Option<String>) {
    let Some(first) = callers.first() else { return (CALLER_ARN.to_owned(), None) };
    let is_one_account = callers.iter().all(|caller| caller.account == first.account);
    let account = if is_one_account { first.account.as_str() } else { ACCOUNT_ID };
    let prefix = format!("arn:{}:iam::{account}", first.partition);
    match &first.kind {
        // The path has a region that the ARN of a session does not have.
        PrincipalKind::Role(role) if role.path.is_none() && role.is_of_identity_center() => {
            (format!("{prefix}:root"), Some(format!("{prefix}:role{IDENTITY_CENTER_PATH}*{}", role.name)))
        }
        PrincipalKind::Role(role) => (format!("{prefix}:role{}", role.with_path()), None),
        PrincipalKind::User { path, name } => (format!("{prefix}:user{path}{name}"), None),
        // The root user cannot assume roles, and to trust it would be to trust the whole account.
        PrincipalKind::Other(_) => (CALLER_ARN.to_owned(), None),
    }
}
