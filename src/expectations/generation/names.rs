//! Names of expectations.

use std::collections::HashSet;

/// The maximum length of a name.
const MAX_LEN: usize = 64;

/// The name of an expectation about syncs whose names match a pattern.
pub(super) fn from_pattern(pattern: &str) -> String {
    let mut name = String::with_capacity(pattern.len());
    for character in pattern.chars().filter(|character| !matches!(character, '{' | '}')) {
        if character.is_ascii_alphanumeric() || character == '_' {
            name.push(character);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(MAX_LEN);
    name.truncate(name.trim_end_matches('-').len());
    if name.is_empty() { "sync".to_owned() } else { name }
}

/// Makes names unique.
#[derive(Default)]
pub(super) struct UniqueNames(HashSet<String>);

impl UniqueNames {
    /// The name itself, or with a number if it was used before.
    pub(super) fn next(&mut self, name: &str) -> String {
        let numbered = |number: usize| {
            let suffix = format!("-{number}");
            let end = name.len().min(MAX_LEN - suffix.len());
            format!("{}{suffix}", name.get(..end).unwrap_or_default())
        };
        let mut unique = name.to_owned();
        let mut number = 1;
        while !self.0.insert(unique.clone()) {
            number += 1;
            unique = numbered(number);
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_only_letters_digits_hyphens_and_underscores() {
        for (pattern, name) in [
            ("org-inventory", "org-inventory"),
            ("inv-{region}", "inv-region"),
            ("{account_id}.inv", "account_id-inv"),
            ("license-manager-*", "license-manager"),
            ("a  b{{c}}", "a-bc"),
            ("é*", "sync"),
            ("*", "sync"),
        ] {
            assert_eq!(from_pattern(pattern), name);
        }
        assert_eq!(from_pattern(&"a".repeat(100)).len(), 64);
    }

    #[test]
    fn a_name_that_was_used_before_gets_a_number() {
        let mut names = UniqueNames::default();
        assert_eq!(["a", "a", "a-2", "a"].map(|name| names.next(name)), ["a", "a-2", "a-2-2", "a-3"]);
        let long = "x".repeat(64);
        assert_eq!(names.next(&long), long);
        assert_eq!(names.next(&long), format!("{}-2", "x".repeat(62)));
    }
}
