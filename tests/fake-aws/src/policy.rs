//! Policies: what they may contain, and whether they allow or deny a request.

mod condition;
mod pattern;
mod principal;

use serde::Deserialize;
use serde_json::Value;

pub(crate) use condition::Context;
use condition::{Condition, ConditionDocument};
pub(crate) use principal::Principal;
use principal::{Match, PrincipalDocument, Principals};

/// Maximum length of a session policy in characters.
pub(crate) const MAX_SESSION_POLICY_LENGTH: usize = 2048;

/// What a policy is attached to, which decides on the elements that its statements have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyKind {
    /// A policy of an identity or of a session, a permissions boundary or a service control policy:
    /// statements have resources and no principals.
    Identity,
    /// The trust policy of a role: statements have principals and no resources.
    Trust,
    /// A policy of another resource, a VPC endpoint policy or a resource control policy: statements have
    /// both.
    Resource,
}

/// A policy. Unsupported elements are rejected: ignoring a condition, for example, would allow more than
/// AWS allows.
#[derive(Debug)]
pub(crate) struct Policy {
    /// As it was set.
    pub(crate) document: Value,
    statements: Vec<Statement>,
}

#[derive(Debug, PartialEq, Eq)]
struct Statement {
    allows: bool,
    principals: Option<Principals>,
    /// Patterns.
    actions: Vec<String>,
    /// Whether the statement is about all actions but these.
    excludes_actions: bool,
    /// Patterns. Empty in a trust policy.
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

/// A request, as policies look at it.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) principal: &'a Principal,
    /// Such as `ssm:ListResourceDataSync`.
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) context: &'a Context,
}

/// What a policy says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// A statement denies it.
    Denied,
    /// A statement allows it to the principal itself, or to all principals. The answer of every policy
    /// that allows a request and has no principals.
    Allowed,
    /// A statement allows it to the account of the principal.
    AllowedToAccount,
    /// No statement is about it.
    NotAllowed,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PolicyDocument {
    version: String,
    #[serde(rename = "Id")]
    _id: Option<String>,
    statement: OneOrMore<StatementDocument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StatementDocument {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: Effect,
    principal: Option<PrincipalDocument>,
    action: Option<OneOrMore<String>>,
    not_action: Option<OneOrMore<String>>,
    resource: Option<OneOrMore<String>>,
    condition: Option<ConditionDocument>,
}

#[derive(Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    fn list(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::More(list) => list,
        }
    }
}

impl Policy {
    /// # Errors
    /// The message that AWS returns for a malformed policy.
    pub(crate) fn parse(text: &str, kind: PolicyKind) -> Result<Self, String> {
        let syntax_error = |error| format!("Syntax errors in policy: {error}");
        let document: Value = serde_json::from_str(text).map_err(syntax_error)?;
        // From the text, because a `Value` forgets about duplicate keys.
        let parsed: PolicyDocument = serde_json::from_str(text).map_err(syntax_error)?;
        if !["2012-10-17", "2008-10-17"].contains(&parsed.version.as_str()) {
            return Err("The policy must contain a valid version string.".to_owned());
        }
        let statements = parsed.statement.list().into_iter();
        let statements = statements.map(|statement| Statement::parse(statement, kind));
        let statements = statements.collect::<Result<Vec<_>, _>>()?;
        if statements.is_empty() {
            return Err("Syntax errors in policy: an empty list".to_owned());
        }
        Ok(Self { document, statements })
    }

    pub(crate) fn decide(&self, request: &Request<'_>) -> Decision {
        let mut decision = Decision::NotAllowed;
        for statement in &self.statements {
            match (statement.find(request), statement.allows) {
                (None, _) => {}
                (Some(_), false) => return Decision::Denied,
                (Some(Match::Directly), true) => decision = Decision::Allowed,
                (Some(Match::ByAccount), true) if decision == Decision::Allowed => {}
                (Some(Match::ByAccount), true) => decision = Decision::AllowedToAccount,
            }
        }
        decision
    }

    /// The accounts and ARNs that the statements name as principals.
    pub(crate) fn principals(&self) -> impl Iterator<Item = &str> {
        let principals = self.statements.iter().filter_map(|statement| statement.principals.as_ref());
        principals.flat_map(Principals::listed).map(String::as_str)
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Eq for Policy {}

impl Statement {
    fn parse(document: StatementDocument, kind: PolicyKind) -> Result<Self, String> {
        let (actions, excludes_actions) = match (document.action, document.not_action) {
            (Some(actions), None) => (actions.list(), false),
            (None, Some(actions)) => (actions.list(), true),
            _ => return Err("Policy statement must contain actions.".to_owned()),
        };
        if actions.is_empty() {
            return Err("Syntax errors in policy: an empty list".to_owned());
        }
        if !actions.iter().all(|action| is_action(action)) {
            return Err(
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.".to_owned()
            );
        }
        let resources = document.resource.map(OneOrMore::list);
        let resources = resources.filter(|resources| !resources.is_empty());
        match (kind, &resources, &document.principal) {
            (PolicyKind::Identity, _, Some(_)) => {
                return Err("Policy document should not specify a principal.".to_owned());
            }
            (PolicyKind::Trust, Some(_), _) => return Err("Has prohibited field Resource".to_owned()),
            (PolicyKind::Trust | PolicyKind::Resource, _, None) => {
                return Err("Missing required field Principal".to_owned());
            }
            (PolicyKind::Identity | PolicyKind::Resource, None, _) => {
                return Err("Policy statement must contain resources.".to_owned());
            }
            _ => {}
        }
        Ok(Self {
            allows: matches!(document.effect, Effect::Allow),
            principals: document.principal.map(Principals::parse).transpose()?,
            actions,
            excludes_actions,
            resources: resources.unwrap_or_default(),
            conditions: Condition::parse_all(document.condition.unwrap_or_default())?,
        })
    }

    /// How the statement is about the request. `None` if it is not.
    fn find(&self, request: &Request<'_>) -> Option<Match> {
        let has_action =
            self.actions.iter().any(|pattern| condition::action_matches(pattern, request.action));
        let has_resource = self.resources.is_empty()
            || self
                .resources
                .iter()
                .any(|pattern| condition::resource_matches(pattern, request.resource, request.context));
        let is_met = has_action != self.excludes_actions
            && has_resource
            && self.conditions.iter().all(|condition| condition.is_met(request.context));
        match &self.principals {
            _ if !is_met => None,
            None => Some(Match::Directly),
            Some(principals) => principals.find(request.principal),
        }
    }
}

fn is_action(pattern: &str) -> bool {
    pattern == "*"
        || pattern.split_once(':').is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty())
}

#[cfg(test)]
mod tests;
