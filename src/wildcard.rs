//! Patterns with wildcards, in which `*` stands for any number of characters and `?` for any one
//! character.

use std::fmt;

use wildmatch::WildMatch;

/// A pattern for names. It matches whole names only, and letter case matters.
#[derive(Clone, Debug)]
pub(crate) struct Wildcard {
    text: String,
    matcher: WildMatch,
}

impl Wildcard {
    pub(crate) fn new(pattern: &str) -> Self {
        Self { text: pattern.to_owned(), matcher: WildMatch::new(pattern) }
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        self.matcher.matches(name)
    }

    /// Whether the pattern matches a single name, because it has no wildcards.
    pub(crate) fn is_literal(&self) -> bool {
        !self.text.contains(['*', '?'])
    }

    /// Whether the pattern matches every name, even an empty one.
    pub(crate) fn matches_all(&self) -> bool {
        !self.text.is_empty() && self.text.bytes().all(|byte| byte == b'*')
    }
}

impl PartialEq for Wildcard {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Wildcard {}

impl fmt::Display for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
