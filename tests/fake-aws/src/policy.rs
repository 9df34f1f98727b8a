//! Session policies, which limit what a session may do.

use serde::Deserialize;

/// Maximum length of a policy in characters.
pub(crate) const MAX_POLICY_LENGTH: usize = 2048;

/// A session policy. Resources are ignored. Unsupported elements are rejected: ignoring a condition,
/// for example, would allow more than AWS allows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Policy(Vec<Statement>);

#[derive(Debug, PartialEq, Eq)]
struct Statement {
    allows: bool,
    /// Patterns, in which `*` and `?` are wildcards.
    actions: Vec<String>,
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
    action: OneOrMore<String>,
    #[serde(rename = "Resource")]
    _resource: OneOrMore<String>,
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
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let document: PolicyDocument =
            serde_json::from_str(text).map_err(|error| format!("Syntax errors in policy: {error}"))?;
        if !["2012-10-17", "2008-10-17"].contains(&document.version.as_str()) {
            return Err("The policy must contain a valid version string.".to_owned());
        }
        let statements = document.statement.list().into_iter().map(|statement| Statement {
            allows: matches!(statement.effect, Effect::Allow),
            actions: statement.action.list(),
        });
        let policy = Self(statements.collect());
        if policy.0.is_empty() || policy.0.iter().any(|statement| statement.actions.is_empty()) {
            return Err("Syntax errors in policy: an empty list".to_owned());
        }
        if policy.0.iter().flat_map(|statement| &statement.actions).any(|action| !is_action(action)) {
            return Err(
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.".to_owned()
            );
        }
        Ok(policy)
    }

    /// The reason why the policy denies `action`, or `None` if it allows it.
    pub(crate) fn denial_reason(&self, action: &str) -> Option<String> {
        let applies = |statement: &&Statement| {
            statement.actions.iter().any(|pattern| matches(pattern.as_bytes(), action.as_bytes()))
        };
        let mut statements = self.0.iter().filter(applies).peekable();
        if statements.peek().is_none() {
            return Some(format!("because no session policy allows the {action} action"));
        }
        let denied = statements.any(|statement| !statement.allows);
        denied.then(|| "with an explicit deny in a session policy".to_owned())
    }
}

fn is_action(pattern: &str) -> bool {
    pattern == "*"
        || pattern.split_once(':').is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty())
}

/// Whether `text` matches `pattern`, ignoring case. `*` and `?` are wildcards.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skipped| matches(rest, &text[skipped..])),
        ([letter, pattern @ ..], [actual, text @ ..]) => {
            (*letter == b'?' || letter.eq_ignore_ascii_case(actual)) && matches(pattern, text)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statements: &str) -> Policy {
        Policy::parse(&format!(r#"{{"Version": "2012-10-17", "Statement": {statements}}}"#)).unwrap()
    }

    #[test]
    fn only_named_actions_are_allowed() {
        let allows = |action: &str| {
            policy(&format!(r#"{{"Effect": "Allow", "Action": {action}, "Resource": "*"}}"#))
                .denial_reason("ssm:ListResourceDataSync")
                .is_none()
        };
        for action in [
            r#""*""#,
            r#""ssm:*""#,
            r#""SSM:listresourcedatasync""#,
            r#""ssm:List*Sync""#,
            r#""ssm:ListResourceDataSyn?""#,
            r#"["ssm:Get*", "ssm:List*"]"#,
        ] {
            assert!(allows(action), "{action}");
        }
        for action in [r#""ssm:List""#, r#""ssm:ListResourceDataSync?""#, r#""sts:*""#, r#"["ssm:Get*"]"#] {
            assert!(!allows(action), "{action}");
        }
    }

    #[test]
    fn an_explicit_deny_overrides_an_allow() {
        let policy = policy(
            r#"[{"Sid": "All", "Effect": "Allow", "Action": "ssm:*", "Resource": ["*"]},
                {"Effect": "Deny", "Action": "ssm:Create*", "Resource": "*"}]"#,
        );
        assert_eq!(policy.denial_reason("ssm:ListResourceDataSync"), None);
        assert_eq!(
            policy.denial_reason("ssm:CreateResourceDataSync").as_deref(),
            Some("with an explicit deny in a session policy")
        );
        assert_eq!(
            policy.denial_reason("account:ListRegions").as_deref(),
            Some("because no session policy allows the account:ListRegions action")
        );
    }

    #[test]
    fn malformed_policies_are_rejected() {
        for text in [
            "",
            "[]",
            r#"{"Version": "2012-10-17"}"#,
            r#"{"Version": "2012-10-17", "Statement": []}"#,
            r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#,
            r#"{"Version": "2026-01-01", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "allow", "Action": "*", "Resource": "*"}}"#,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": [], "Resource": "*"}}"#,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "List*", "Resource": "*"}}"#,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*"}}"#,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "NotAction": "*", "Resource": "*"}}"#,
        ] {
            assert!(Policy::parse(text).is_err(), "{text}");
        }
    }
}
