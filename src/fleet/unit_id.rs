//! Ids of organizational units.

use std::fmt;
use std::str::FromStr;

/// The id of an organizational unit, such as `ou-abcd-11111111`, or of the
/// root of an organization, such as `r-abcd`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitId(String);

/// A text that is not the id of an organizational unit.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not the id of an organizational unit, such as `ou-abcd-11111111`, or of a root, such as `r-abcd`"
)]
pub struct InvalidUnitId(String);

impl UnitId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UnitId {
    type Err = InvalidUnitId;

    /// By the patterns of the Organizations API reference.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = |part: &str, shortest: usize| {
            (shortest..=32).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let well_formed = match text.split('-').collect::<Vec<_>>().as_slice() {
            ["ou", root, unit] => part(root, 4) && part(unit, 8),
            ["r", root] => part(root, 4),
            _ => false,
        };
        if well_formed { Ok(Self(text.to_owned())) } else { Err(InvalidUnitId(text.to_owned())) }
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_roots() {
        for text in ["ou-abcd-11111111", "ou-1a2b-x1y2z3w4v5", "r-abcd"] {
            assert_eq!(text.parse::<UnitId>().unwrap().as_str(), text);
        }
        for text in [
            "",
            "ou",
            "ou-abcd",
            "ou-abcd-1111111",
            "OU-abcd-11111111",
            "o-abcdefghij",
            "r-abc",
            "111122223333",
        ] {
            assert!(text.parse::<UnitId>().is_err(), "{text}");
        }
    }
}
