//! Ids of organizational units and roots.

use std::fmt;
use std::str::FromStr;

/// The id of an organizational unit, such as `ou-abcd-11111111`, or of the root of an
/// organization, such as `r-abcd`. A root is accepted wherever a unit is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrganizationalUnitId(String);

/// The text is not the id of an organizational unit or root.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not the id of an organizational unit or root; expected an id such as `ou-abcd-11111111` or `r-abcd`"
)]
pub struct InvalidOrganizationalUnitId(String);

impl OrganizationalUnitId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrganizationalUnitId {
    type Err = InvalidOrganizationalUnitId;

    /// Accepts the patterns of the Organizations API reference.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_part = |part: &str, min_len: usize| {
            (min_len..=32).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let is_well_formed = match text.split('-').collect::<Vec<_>>().as_slice() {
            ["ou", root, unit] => is_part(root, 4) && is_part(unit, 8),
            ["r", root] => is_part(root, 4),
            _ => false,
        };
        if is_well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidOrganizationalUnitId(text.to_owned()))
        }
    }
}

impl fmt::Display for OrganizationalUnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_of_units_and_roots_are_accepted() {
        for text in ["ou-abcd-11111111", "ou-1a2b-x1y2z3w4v5", "r-abcd"] {
            assert_eq!(text.parse::<OrganizationalUnitId>().unwrap().as_str(), text);
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
            assert!(text.parse::<OrganizationalUnitId>().is_err(), "{text}");
        }
    }
}
