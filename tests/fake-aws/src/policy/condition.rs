//! Conditions of statements, with the operators and keys that policies around the supported calls use.

use std::collections::BTreeMap;

use super::OneOrMore;
use super::pattern::{matches, matches_ignoring_case};

/// The condition keys that the fake knows, and that a policy may therefore use.
pub(super) const KEYS: [&str; 10] = [
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalOrgID",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "ssm:SyncType",
    "sts:ExternalId",
    "sts:RoleSessionName",
];

/// The values of condition keys in a request. Keys that do not apply to the request are absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context(Vec<(&'static str, String)>);

impl Context {
    pub(crate) fn add(&mut self, key: &'static str, value: impl Into<String>) {
        debug_assert!(KEYS.contains(&key), "{key} is not a condition key");
        self.0.push((key, value.into()));
    }

    fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value.as_str())
    }

    /// Replaces variables such as `${aws:PrincipalOrgID}`. `None` if a variable has no value.
    pub(super) fn expand(&self, text: &str) -> Option<String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}')?;
            expanded += before;
            expanded += match name {
                "*" | "?" | "$" => name,
                _ => self.get(name)?,
            };
            rest = after;
        }
        Some(expanded + rest)
    }
}

/// A condition on the value of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Condition {
    key: String,
    comparison: Comparison,
    /// Whether the value must differ from all of `values`.
    negated: bool,
    /// Whether the condition is met if the request does not have the key.
    if_exists: bool,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    EqualIgnoringCase,
    Like,
}

/// Keys with their values, by operator.
pub(super) type ConditionDocument = BTreeMap<String, BTreeMap<String, OneOrMore<String>>>;

impl Condition {
    pub(super) fn parse_all(document: ConditionDocument) -> Result<Vec<Self>, String> {
        let mut conditions = Vec::new();
        for (operator, keys) in document {
            for (key, values) in keys {
                conditions.push(Self::parse(&operator, key, values.list())?);
            }
        }
        Ok(conditions)
    }

    fn parse(operator: &str, key: String, values: Vec<String>) -> Result<Self, String> {
        let (name, if_exists) = match operator.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (operator, false),
        };
        let (comparison, negated) = match name {
            "StringEquals" => (Comparison::Equal, false),
            "StringNotEquals" => (Comparison::Equal, true),
            "StringEqualsIgnoreCase" | "Bool" => (Comparison::EqualIgnoringCase, false),
            "StringNotEqualsIgnoreCase" => (Comparison::EqualIgnoringCase, true),
            "StringLike" | "ArnLike" | "ArnEquals" => (Comparison::Like, false),
            "StringNotLike" | "ArnNotLike" | "ArnNotEquals" => (Comparison::Like, true),
            _ => return Err(format!("Invalid Condition type : {operator}.")),
        };
        if !KEYS.iter().any(|known| known.eq_ignore_ascii_case(&key)) {
            return Err(format!("fake-aws does not support the condition key {key}"));
        }
        if values.is_empty() {
            return Err(format!("Syntax errors in policy: {key} has no value"));
        }
        Ok(Self { key, comparison, negated, if_exists, values })
    }

    pub(super) fn is_met(&self, context: &Context) -> bool {
        let Some(actual) = context.get(&self.key) else { return self.if_exists || self.negated };
        let is_equal = self.values.iter().any(|wanted| match self.comparison {
            // A variable without a value is equal to nothing.
            Comparison::Equal => context.expand(wanted).is_some_and(|wanted| wanted == actual),
            Comparison::EqualIgnoringCase => {
                context.expand(wanted).is_some_and(|wanted| wanted.eq_ignore_ascii_case(actual))
            }
            Comparison::Like => context.expand(wanted).is_some_and(|wanted| matches(&wanted, actual)),
        });
        is_equal != self.negated
    }
}

/// Whether a pattern for actions matches. Actions ignore case.
pub(super) fn action_matches(pattern: &str, action: &str) -> bool {
    matches_ignoring_case(pattern, action)
}

/// Whether a pattern for resources, which may contain variables, matches.
pub(super) fn resource_matches(pattern: &str, resource: &str, context: &Context) -> bool {
    context.expand(pattern).is_some_and(|pattern| matches(&pattern, resource))
}
