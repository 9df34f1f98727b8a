//! What AWS says about a call that it denied.
//!
//! AWS explains a denial only in the message of the error. The IAM user guide documents the texts
//! ("Troubleshoot access denied error messages",
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>), and that services
//! may deviate from them. Since 2026, the message of an explicit denial ends with the ARN of the policy
//! (<https://aws.amazon.com/blogs/security/enhanced-access-denied-error-messages-with-policy-arns>),
//! after a colon or after `with policy ARN:`.

use super::limits::{MAX_PARSED_DENIAL, MAX_TEXT_CHARS};

/// A denied call, as far as the message of the error tells. Every text is from AWS, or from a proxy
/// that answers in its place. ARNs are printable ASCII without spaces, quotes and brackets, and actions
/// have the form `service:Operation`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Denial {
    /// The ARN of the caller.
    pub principal: Option<String>,
    /// The action, such as `ssm:ListResourceDataSync`.
    pub action: Option<String>,
    /// The ARN of the resource, such as that of the role to assume, or `*`.
    pub resource: Option<String>,
    /// Which kind of policy denies the call.
    pub kind: DenialKind,
    /// Whether a statement denies the call, as opposed to none that allows it.
    pub is_explicit: bool,
    /// The ARN of the policy that denies the call. AWS names it only to callers in the same account or
    /// organization.
    pub policy_arn: Option<String>,
}

/// The kind of policy that denies a call.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum DenialKind {
    /// The message does not say. AWS says nothing about a role that does not exist, that does not
    /// trust the caller, or that expects another external id.
    Unstated,
    /// A policy of the caller.
    IdentityPolicy,
    /// The trust policy of the role to assume.
    TrustPolicy,
    /// A service control policy of the organization.
    ServiceControlPolicy,
    /// A resource control policy of the organization.
    ResourceControlPolicy,
    /// The permissions boundary of the caller.
    PermissionsBoundary,
    /// The policy that the session of the caller was created with.
    SessionPolicy,
    /// A policy of the resource.
    ResourcePolicy,
    /// The policy of the VPC endpoint that the call went through.
    VpcEndpointPolicy,
}

/// The kinds of policies with the words that AWS uses for them, in lower case. "Sessions policy" is from an
/// example in the user guide.
const KINDS: [(&str, DenialKind); 10] = [
    ("identity-based polic", DenialKind::IdentityPolicy),
    ("role trust polic", DenialKind::TrustPolicy),
    ("service control polic", DenialKind::ServiceControlPolicy),
    ("resource control polic", DenialKind::ResourceControlPolicy),
    ("permissions boundar", DenialKind::PermissionsBoundary),
    ("permission boundar", DenialKind::PermissionsBoundary),
    ("session polic", DenialKind::SessionPolicy),
    ("sessions polic", DenialKind::SessionPolicy),
    ("resource-based polic", DenialKind::ResourcePolicy),
    ("vpc endpoint polic", DenialKind::VpcEndpointPolicy),
];

const NOT_AUTHORIZED: &str = "not authorized to perform";

impl Denial {
    /// Reads the message of an error that denies access. `None` if it says neither who is denied, nor
    /// what, nor by which kind of policy.
    pub(crate) fn parse(message: &str) -> Option<Self> {
        let message = &message[..message.floor_char_boundary(MAX_PARSED_DENIAL)];
        // AWS's own examples have line ends within the sentence.
        let text = message.split_whitespace().collect::<Vec<_>>().join(" ");
        // Has the same offsets as `text`.
        let lower = text.to_ascii_lowercase();
        let sentence = Sentence::find(&text, &lower);
        let clause = Clause::find(&text[sentence.end..], &lower[sentence.end..]);
        let action = sentence.action.or_else(|| clause.action());
        let is_about_roles = action.is_some_and(|action| action.starts_with("sts:"));
        let kind = match clause.kind() {
            // STS calls the trust policy of a role its resource-based policy in some messages.
            DenialKind::ResourcePolicy if is_about_roles => DenialKind::TrustPolicy,
            kind => kind,
        };
        let denial = Self {
            principal: sentence.principal.map(ToOwned::to_owned),
            action: action.map(ToOwned::to_owned),
            resource: sentence.resource.map(ToOwned::to_owned),
            kind,
            is_explicit: clause.is_explicit,
            policy_arn: clause.policy_arn().map(ToOwned::to_owned),
        };
        let says_something = denial.principal.is_some()
            || denial.action.is_some()
            || denial.is_explicit
            || denial.kind != DenialKind::Unstated;
        says_something.then_some(denial)
    }
}

/// `User: PRINCIPAL is not authorized to perform: ACTION on resource: RESOURCE`
#[derive(Default)]
struct Sentence<'a> {
    principal: Option<&'a str>,
    action: Option<&'a str>,
    resource: Option<&'a str>,
    /// The offset of the text after the sentence.
    end: usize,
}

impl<'a> Sentence<'a> {
    fn find(text: &'a str, lower: &str) -> Self {
        let starts = || lower.match_indices(NOT_AUTHORIZED).map(|(start, _)| start);
        // "You are not authorized to perform this operation." may precede the sentence, and names no
        // action.
        let with_action = starts().find_map(|start| {
            let after = start + NOT_AUTHORIZED.len();
            let action = text[after..].trim_start_matches([':', ' ']).split(' ').next()?;
            let action = action.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            is_action(action).then_some((start, action))
        });
        let (start, action) = match (with_action, starts().next()) {
            (Some((start, action)), _) => (start, Some(action)),
            (None, Some(start)) => (start, None),
            (None, None) => return Self::default(),
        };
        let before = lower[..start].strip_suffix("is ").unwrap_or(&lower[..start]).trim_end();
        let principal = text[..before.len()].rsplit(' ').next().and_then(arn_in_word);
        let Some(action) = action else {
            return Self { principal, end: start + NOT_AUTHORIZED.len(), ..Self::default() };
        };
        let end = start + NOT_AUTHORIZED.len();
        let end = end + text[end..].find(action).unwrap_or_default() + action.len();
        let resource = resource(&text[end..], &lower[end..]);
        Self { principal, action: Some(action), resource, end }
    }
}

/// The ARN after `on resource:`. Some services name its type before it.
fn resource<'a>(text: &'a str, lower: &str) -> Option<&'a str> {
    let rest = ["on resource:", "on resource", "on the resource", "on resources:"]
        .iter()
        .find_map(|words| lower.trim_start().strip_prefix(words))?;
    let rest = text[text.len() - rest.len()..].trim_start();
    if let Some(quoted) = rest.strip_prefix('"') {
        return quoted.split('"').next().filter(|quoted| is_arn(quoted));
    }
    let mut words = rest.splitn(3, ' ');
    let first = words.next()?;
    match first.trim_end_matches(['.', ',', ';']) {
        "*" => Some("*"),
        _ => arn_in_word(first).or_else(|| words.next().and_then(arn_in_word)),
    }
}

/// `because no KIND policy allows the ACTION action`, or
/// `with an explicit deny in a KIND policy: POLICY_ARN`
#[derive(Default)]
struct Clause<'a> {
    text: &'a str,
    lower: String,
    is_explicit: bool,
}

impl<'a> Clause<'a> {
    /// Finds the first clause. Empty if there is none.
    fn find(text: &'a str, lower: &str) -> Self {
        let explicit = lower.find("explicit deny").map(|start| (start, true));
        let implicit = lower.find("because no ").map(|start| (start, false));
        match explicit.into_iter().chain(implicit).min() {
            Some((start, is_explicit)) => {
                Self { text: &text[start..], lower: lower[start..].to_owned(), is_explicit }
            }
            None => Self::default(),
        }
    }

    fn kind(&self) -> DenialKind {
        // A VPC endpoint passes on the denial of another policy: "with an explicit deny in a VPC endpoint
        // policy transitively through a service control policy".
        let transitive = self.lower.split_once("transitively through").map(|(_, rest)| rest);
        let kind = |text: &str| {
            let found = KINDS.iter().filter_map(|(words, kind)| Some((text.find(words)?, *kind)));
            found.min().map(|(_, kind)| kind)
        };
        transitive.and_then(kind).or_else(|| kind(&self.lower)).unwrap_or(DenialKind::Unstated)
    }

    fn action(&self) -> Option<&'a str> {
        const ALLOWS: &str = " allows the ";
        let start = self.lower.find(ALLOWS)? + ALLOWS.len();
        self.text[start..].split(' ').next().filter(|word| is_action(word))
    }

    fn policy_arn(&self) -> Option<&'a str> {
        self.text.split(' ').find_map(|word| arn_in_word(word).filter(|arn| arn.contains(":policy/")))
    }
}

/// The word without quotes, brackets and punctuation around it, if it is an ARN.
fn arn_in_word(word: &str) -> Option<&str> {
    let arn = word.trim_start_matches(['"', '\'', '(', '<', '[']);
    let arn = arn.trim_end_matches(['"', '\'', ')', '>', ']', '.', ',', ';', ':']);
    is_arn(arn).then_some(arn)
}

/// Whether the text is an ARN without a redacted part, which would be in brackets.
fn is_arn(text: &str) -> bool {
    text.len() <= MAX_TEXT_CHARS
        && text.starts_with("arn:aws")
        && text.split(':').count() >= 6
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'`\\()<>".contains(&byte))
}

fn is_action(text: &str) -> bool {
    const MAX_PART: usize = 128;
    let is_part = |part: &str, also: &str| {
        (1..=MAX_PART).contains(&part.len())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
    };
    text.split_once(':').is_some_and(|(service, operation)| is_part(service, "-") && is_part(operation, ""))
}

#[cfg(test)]
mod tests;
