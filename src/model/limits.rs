//! Limits on the content of AWS responses. A response beyond a limit is rejected as a whole
//! with [`Reason::InvalidResponse`], or with [`Reason::Pagination`] if it has too many pages.
//!
//! The content becomes metrics, status pages and log lines, and a proxy on the way to AWS can
//! make up responses of any size. Each limit is far above what the API models and the quotas of
//! AWS allow, so no genuine response reaches it.
//!
//! `config/README.md` lists these limits for operators.

use super::{Failure, Reason};

/// The maximum length of a text in characters. The longest text whose length the API models declare
/// is the name of a bucket, with this length.
pub(crate) const MAX_TEXT_CHARS: usize = 2048;

/// The maximum length of a page token of Organizations in characters, as its API model declares.
/// The models of other services declare none, so [`MAX_TEXT_CHARS`] applies to their page tokens.
pub(crate) const MAX_ORGANIZATIONS_TOKEN_CHARS: usize = 100_000;

/// The maximum length of a message about a failure in characters. Longer messages are shortened in
/// their middle.
pub(crate) const MAX_MESSAGE_CHARS: usize = 500;

/// How much of a message that denies a call is parsed, in bytes. A message of AWS has up to three ARNs, and
/// each is shorter than [`MAX_TEXT_CHARS`].
pub(crate) const MAX_PARSED_DENIAL: usize = 4 * MAX_TEXT_CHARS;

/// The maximum number of syncs of a target, of all types together. The default quota is 5 of
/// each type.
pub(crate) const MAX_SYNCS: usize = 2000;

/// The maximum number of regions, and of organizational units, that the source of a sync lists.
/// The API model declares this maximum for organizational units and none for regions.
pub(crate) const MAX_SOURCE_ITEMS: usize = 1000;

/// The maximum number of regions and organizational units in the sources of all syncs of a target.
/// Each is a series with the name of its sync, so a short response could become a long exposition.
pub(crate) const MAX_SOURCE_ITEMS_OF_TARGET: usize = 10_000;

/// The maximum number of pages when syncs or regions are listed.
pub(crate) const MAX_PAGES: usize = 100;

/// The maximum number of regions that an account has enabled. AWS has about 40.
pub(crate) const MAX_REGIONS: usize = 100;

/// The maximum number of accounts of an organization, active or not. AWS raises the quota to
/// some ten thousand on request.
pub(crate) const MAX_ACCOUNTS: usize = 50_000;

/// The maximum number of organizational units of an organization. The quota is 2,000.
pub(crate) const MAX_UNITS: usize = 10_000;

/// The maximum depth of nested organizational units. The quota is 5.
pub(crate) const MAX_UNIT_DEPTH: usize = 10;

/// The maximum number of pages of each list of an organization, enough even with a few accounts
/// per page.
pub(crate) const MAX_ORGANIZATION_PAGES: usize = 20_000;

/// Checks the length of a text. `what` names the text, such as `the name of a sync`.
///
/// # Errors
/// The text has more than [`MAX_TEXT_CHARS`] characters.
pub(crate) fn check_text(what: &str, text: &str) -> Result<(), Failure> {
    check_length(what, text, MAX_TEXT_CHARS)
}

/// Checks the length of a text for which another limit than [`MAX_TEXT_CHARS`] applies.
///
/// # Errors
/// The text has more than `max` characters.
pub(crate) fn check_length(what: &str, text: &str, max: usize) -> Result<(), Failure> {
    // A character has at least one byte, so short texts need not be counted.
    if text.len() > max && text.chars().nth(max).is_some() {
        let message = format!("{what} has more than {max} characters, the limit of the exporter");
        return Err(Failure::new(Reason::InvalidResponse, message));
    }
    Ok(())
}

/// Checks a number of items. `what` names the items, such as `syncs`.
///
/// # Errors
/// There are more than `max`.
pub(crate) fn check_number(what: &str, number: usize, max: usize) -> Result<(), Failure> {
    if number > max {
        let message = format!("there are more than {max} {what}, the limit of the exporter");
        return Err(Failure::new(Reason::InvalidResponse, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_text_is_limited_in_characters() {
        for (text, is_accepted) in [
            (String::new(), true),
            ("a".repeat(MAX_TEXT_CHARS), true),
            ("ü".repeat(MAX_TEXT_CHARS), true),
            ("a".repeat(MAX_TEXT_CHARS + 1), false),
            ("日".repeat(MAX_TEXT_CHARS + 1), false),
        ] {
            let result = check_text("the name of a sync", &text);
            assert_eq!(result.is_ok(), is_accepted, "{} bytes", text.len());
            if let Err(failure) = result {
                assert_eq!(failure.reason, Reason::InvalidResponse);
                assert_eq!(
                    failure.message,
                    "the name of a sync has more than 2048 characters, the limit of the exporter"
                );
            }
        }
    }

    #[test]
    fn the_limits_are_documented() {
        let readme = include_str!("../../config/README.md");
        let with_commas = |number: usize| match (number / 1000, number % 1000) {
            (0, rest) => rest.to_string(),
            (thousands, rest) => format!("{thousands},{rest:03}"),
        };
        for (what, limit) in [
            (
                "any text, such as the name of a sync, a status message or the name of an account",
                MAX_TEXT_CHARS,
            ),
            ("page token of Organizations", MAX_ORGANIZATIONS_TOKEN_CHARS),
            ("syncs of a target, of all types together", MAX_SYNCS),
            ("regions, and organizational units, in the source of a sync", MAX_SOURCE_ITEMS),
            (
                "regions and organizational units in the sources of all syncs of a target, taken together",
                MAX_SOURCE_ITEMS_OF_TARGET,
            ),
            ("enabled regions of an account", MAX_REGIONS),
            ("accounts of an organization, active or not", MAX_ACCOUNTS),
            ("organizational units of an organization", MAX_UNITS),
            ("pages of a list of syncs or regions", MAX_PAGES),
            ("pages of a list of an organization", MAX_ORGANIZATION_PAGES),
        ] {
            let row = format!("| {what} | {}", with_commas(limit));
            assert!(readme.contains(&row), "{row}");
        }
        assert!(readme.contains(&format!(", nested {MAX_UNIT_DEPTH} levels deep |")));
        assert!(readme.contains(&format!("shortened to {MAX_MESSAGE_CHARS} characters")));
    }

    #[test]
    fn a_number_of_items_is_limited() {
        assert_eq!(check_number("syncs", MAX_SYNCS, MAX_SYNCS), Ok(()));
        let failure = check_number("syncs", MAX_SYNCS + 1, MAX_SYNCS).unwrap_err();
        assert_eq!(failure.message, "there are more than 2000 syncs, the limit of the exporter");
    }
}
