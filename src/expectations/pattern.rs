//! Texts with wildcards and with placeholders for properties of a target.

use std::borrow::Cow;
use std::fmt;

use crate::fleet::{AccountId, Target};
use crate::wildcard::Wildcard;

/// A text that a field has to match, in which `*` and `?` are wildcards and `{account_id}`,
/// `{region}` and `{partition}` stand for properties of the target. `{{` and `}}` stand for braces.
#[derive(Clone, Debug)]
pub(crate) struct TextPattern {
    /// As it is written.
    text: String,
    parts: Box<[Part]>,
    /// Matches the pattern if it has wildcards and no placeholders.
    matcher: Option<Wildcard>,
}

/// Patterns that are written alike are equal.
impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TextPattern {}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(Placeholder),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum Placeholder {
    AccountId,
    Region,
    Partition,
}

/// The text is not a valid pattern.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidTextPattern {
    #[error("the text is empty; set a value, or `null` if the field has to be absent")]
    Empty,
    #[error(
        "`{{{0}}}` is not a placeholder; expected {{account_id}}, {{region}} or {{partition}}, or {{{{ and }}}} for braces"
    )]
    UnknownPlaceholder(String),
    #[error("`{0}` has a single brace; write {{{{ or }}}} for a brace, or a placeholder such as {{region}}")]
    UnmatchedBrace(String),
}

/// The properties of a target that placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Properties<'a> {
    pub(super) target: &'a Target,
    /// If `None`, no placeholder for it may occur.
    pub(super) account_id: Option<&'a AccountId>,
}

impl TextPattern {
    /// Parses a pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidTextPattern> {
        if text.is_empty() {
            return Err(InvalidTextPattern::Empty);
        }
        let unmatched = || InvalidTextPattern::UnmatchedBrace(text.to_owned());
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(index) = rest.find(['{', '}']) {
            literal.push_str(&rest[..index]);
            let (brace, after) = rest[index..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let (name, after) = after.split_once('}').filter(|_| brace == "{").ok_or_else(unmatched)?;
            let placeholder =
                name.parse().map_err(|_| InvalidTextPattern::UnknownPlaceholder(name.to_owned()))?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Placeholder(placeholder));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        let matcher = match parts.as_slice() {
            [Part::Text(text)] if has_wildcard(text) => Some(Wildcard::new(text)),
            _ => None,
        };
        Ok(Self { text: text.to_owned(), parts: parts.into(), matcher })
    }

    /// The pattern that matches `text` and, unless `text` has wildcards of its own, nothing else.
    pub(crate) fn literal(text: &str) -> Self {
        let written = text.replace('{', "{{").replace('}', "}}");
        Self { text: written, parts: [Part::Text(text.to_owned())].into(), matcher: None }
    }

    /// Whether the pattern matches a single text in each target.
    pub(crate) fn is_literal(&self) -> bool {
        !self.parts.iter().any(|part| matches!(part, Part::Text(text) if has_wildcard(text)))
    }

    /// The only text that the pattern matches, whatever the target. `None` if it has wildcards or
    /// placeholders.
    pub(crate) fn literal_text(&self) -> Option<&str> {
        match &*self.parts {
            [Part::Text(text)] if !has_wildcard(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the pattern differs between accounts.
    pub(super) fn needs_account_id(&self) -> bool {
        self.parts.contains(&Part::Placeholder(Placeholder::AccountId))
    }

    /// The pattern with the properties of a target in place of the placeholders.
    pub(super) fn resolve<'a>(&'a self, properties: Properties<'a>) -> Cow<'a, str> {
        if let [Part::Text(text)] = &*self.parts {
            return Cow::Borrowed(text);
        }
        let Properties { target, account_id } = properties;
        let text = |part: &'a Part| match part {
            Part::Text(text) => text.as_str(),
            Part::Placeholder(Placeholder::AccountId) => account_id.map_or("", AccountId::as_str),
            Part::Placeholder(Placeholder::Region) => target.region.as_str(),
            Part::Placeholder(Placeholder::Partition) => target.partition().as_str(),
        };
        Cow::Owned(self.parts.iter().map(text).collect())
    }

    pub(super) fn matches(&self, value: &str, properties: Properties<'_>) -> bool {
        if let Some(matcher) = &self.matcher {
            return matcher.matches(value);
        }
        let resolved = self.resolve(properties);
        if self.is_literal() { resolved == value } else { Wildcard::new(&resolved).matches(value) }
    }

    /// Like [`matches`](Self::matches), but letter case does not matter.
    pub(super) fn matches_ignoring_case(&self, value: &str, properties: Properties<'_>) -> bool {
        let resolved = self.resolve(properties);
        if self.is_literal() {
            resolved.eq_ignore_ascii_case(value)
        } else {
            Wildcard::new(&resolved.to_ascii_lowercase()).matches(&value.to_ascii_lowercase())
        }
    }
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

impl fmt::Display for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fleet::Account;

    fn matches(pattern: &str, value: &str) -> bool {
        let target = Target { account: Arc::new(Account::default()), region: "cn-north-1".parse().unwrap() };
        let account_id = "111122223333".parse().unwrap();
        let properties = Properties { target: &target, account_id: Some(&account_id) };
        TextPattern::parse(pattern).unwrap().matches(value, properties)
    }

    #[test]
    fn placeholders_stand_for_properties_of_the_target() {
        assert!(matches("a-{account_id}-{region}-{partition}", "a-111122223333-cn-north-1-aws-cn"));
        assert!(matches("{region}", "cn-north-1"));
        assert!(!matches("{region}", "{region}"));
        assert!(matches("*-{region}-?", "x-cn-north-1-y"));
        assert!(!matches("*-{region}-?", "x-cn-north-1-yz"));
    }

    #[test]
    fn braces_are_doubled() {
        assert!(matches("{{region}}", "{region}"));
        assert!(matches("{{{region}}}", "{cn-north-1}"));
        assert_eq!(TextPattern::literal("a{b}").to_string(), "a{{b}}");
    }

    #[test]
    fn a_text_without_wildcards_matches_only_itself() {
        assert!(matches("org-inventory", "org-inventory"));
        assert!(!matches("org-inventory", "Org-inventory"));
        assert!(!matches("org-inventory", "org-inventory-1"));
        assert!(TextPattern::parse("org-{region}").unwrap().is_literal());
        assert!(!TextPattern::parse("org-*").unwrap().is_literal());
        let literal_text = |text| TextPattern::parse(text).unwrap().literal_text().map(ToOwned::to_owned);
        assert_eq!(literal_text("org-{{x}}").as_deref(), Some("org-{x}"));
        assert_eq!((literal_text("org-*"), literal_text("org-{region}")), (None, None));
    }

    #[test]
    fn an_invalid_pattern_is_rejected_with_what_would_be_right() {
        let error = |text: &str| TextPattern::parse(text).unwrap_err().to_string();
        assert!(error("").contains("`null`"));
        assert!(error("a-{acount}").starts_with("`{acount}` is not a placeholder; expected {account_id}"));
        for text in ["a{", "a}", "a{region", "}{region}"] {
            assert!(error(text).contains("has a single brace"), "{text}");
        }
    }
}
