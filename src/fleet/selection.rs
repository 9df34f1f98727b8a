//! Which regions to poll: some by name, some by a wildcard.

use std::fmt;
use std::str::FromStr;

use wildmatch::WildMatch;

use super::{InvalidRegion, RegionName};

/// Regions as the configuration names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegionSelection {
    /// Those that are named, in their order. They are polled whether the
    /// account has enabled them or not.
    pub named: Vec<RegionName>,
    /// Those of the regions that the account has enabled.
    pub wildcards: Vec<RegionPattern>,
}

impl RegionSelection {
    /// Whether the account has to be asked which regions it has enabled.
    #[must_use]
    pub fn needs_discovery(&self) -> bool {
        !self.wildcards.is_empty()
    }

    /// Whether `region` is among them, if it is enabled.
    #[must_use]
    pub fn contains(&self, region: &RegionName) -> bool {
        self.named.contains(region) || self.wildcards.iter().any(|wildcard| wildcard.matches(region))
    }

    /// The named ones and those of `enabled` that a wildcard matches, each
    /// once.
    #[must_use]
    pub fn choose(&self, enabled: &[RegionName]) -> Vec<RegionName> {
        let mut chosen = self.named.clone();
        let mut matching: Vec<_> = enabled
            .iter()
            .filter(|region| !self.named.contains(region) && self.contains(region))
            .cloned()
            .collect();
        matching.sort();
        matching.dedup();
        chosen.extend(matching);
        chosen
    }

    /// The wildcards that match none of `enabled`.
    pub fn idle<'a>(&'a self, enabled: &'a [RegionName]) -> impl Iterator<Item = &'a RegionPattern> {
        self.wildcards.iter().filter(|wildcard| !enabled.iter().any(|region| wildcard.matches(region)))
    }
}

impl FromIterator<RegionOrPattern> for RegionSelection {
    fn from_iter<T: IntoIterator<Item = RegionOrPattern>>(entries: T) -> Self {
        let mut selection = Self::default();
        for entry in entries {
            match entry {
                RegionOrPattern::Region(region) => selection.named.push(region),
                RegionOrPattern::Pattern(pattern) => selection.wildcards.push(pattern),
            }
        }
        selection
    }
}

/// A wildcard for names of regions, such as `*` or `eu-*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionPattern(String);

/// A text that is neither the name of a region nor a wildcard.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRegionPattern {
    /// It has no wildcard in it.
    #[error(transparent)]
    Name(#[from] InvalidRegion),
    /// It has one, and what no name of a region has.
    #[error(
        "`{0}` is not a wildcard for AWS regions: lower-case letters, digits, `-`, `?` for one of them and `*` for any number, such as `eu-*`"
    )]
    Pattern(String),
}

impl RegionPattern {
    /// Whether `region` is one of those meant.
    #[must_use]
    pub fn matches(&self, region: &RegionName) -> bool {
        WildMatch::new(&self.0).matches(region.as_str())
    }
}

impl fmt::Display for RegionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An entry of a list of regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegionOrPattern {
    /// A region by its name.
    Region(RegionName),
    /// A wildcard.
    Pattern(RegionPattern),
}

impl FromStr for RegionOrPattern {
    type Err = InvalidRegionPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.contains(['*', '?']) {
            return Ok(Self::Region(text.parse()?));
        }
        let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-*?".contains(&byte);
        if text.bytes().all(sound) {
            Ok(Self::Pattern(RegionPattern(text.to_owned())))
        } else {
            Err(InvalidRegionPattern::Pattern(text.to_owned()))
        }
    }
}

impl fmt::Display for RegionOrPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(region) => region.fmt(f),
            Self::Pattern(pattern) => pattern.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(names: &[&str]) -> Vec<RegionName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn selection(entries: &[&str]) -> RegionSelection {
        entries.iter().map(|entry| entry.parse::<RegionOrPattern>().unwrap()).collect()
    }

    #[test]
    fn named_regions_come_first_and_matching_ones_once() {
        let enabled = regions(&["us-east-1", "eu-west-1", "eu-north-1", "eu-west-3"]);
        for (entries, chosen) in [
            (&["*"][..], &["eu-north-1", "eu-west-1", "eu-west-3", "us-east-1"][..]),
            (&["eu-*"], &["eu-north-1", "eu-west-1", "eu-west-3"]),
            (&["*-east-1", "eu-west-?"], &["eu-west-1", "eu-west-3", "us-east-1"]),
            (
                &["me-south-1", "eu-west-3", "eu-*", "*"],
                &["me-south-1", "eu-west-3", "eu-north-1", "eu-west-1", "us-east-1"],
            ),
            (&["af-*"], &[]),
            (&["us-west-2"], &["us-west-2"]),
        ] {
            assert_eq!(selection(entries).choose(&enabled), regions(chosen), "{entries:?}");
        }
    }

    #[test]
    fn a_wildcard_that_matches_nothing_is_told() {
        let enabled = regions(&["us-east-1", "eu-west-1"]);
        let selection = selection(&["eu-*", "ca-*", "us-west-2"]);
        let idle: Vec<String> = selection.idle(&enabled).map(ToString::to_string).collect();
        assert_eq!(idle, ["ca-*"]);
        assert!(selection.needs_discovery());
    }

    #[test]
    fn refuses_what_no_region_can_be_called() {
        for text in ["EU-*", "eu_*", "eu-*,us-*", "eu-west", "* ", ""] {
            assert!(text.parse::<RegionOrPattern>().is_err(), "{text}");
        }
    }
}
