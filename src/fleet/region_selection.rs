//! Which regions of an account to poll, selected by name or by wildcard pattern.

use std::fmt;
use std::str::FromStr;

use super::{InvalidRegion, RegionName};
use crate::wildcard::Wildcard;

/// The regions to poll in an account, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegionSelection {
    /// Regions selected by name, in the configured order. They are polled even if they are
    /// not enabled in the account.
    pub named: Vec<RegionName>,
    /// Patterns that select regions enabled in the account.
    pub patterns: Vec<RegionPattern>,
}

impl RegionSelection {
    /// Whether no region is selected.
    pub(crate) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.patterns.is_empty()
    }

    /// Whether the enabled regions of the account must be looked up.
    pub(crate) fn needs_discovery(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Whether `region` is polled if it is enabled in the account.
    pub(crate) fn contains(&self, region: &RegionName) -> bool {
        self.named.contains(region) || self.patterns.iter().any(|pattern| pattern.matches(region))
    }

    /// The regions to poll in an account where `enabled` are enabled: the named regions in
    /// the configured order, then the sorted regions that match a pattern. Each region
    /// occurs once.
    pub(crate) fn choose(&self, enabled: &[RegionName]) -> Vec<RegionName> {
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

    /// The regions of this selection that are among `regions`. Those that only a pattern selects are still
    /// polled only if they are enabled.
    pub(super) fn restricted_to(&self, regions: &[RegionName]) -> Self {
        let is_matched = |region: &&RegionName| !self.named.contains(region) && self.contains(region);
        let exactly = |region: &RegionName| RegionPattern(Wildcard::new(region.as_str()));
        Self {
            named: self.named.iter().filter(|region| regions.contains(region)).cloned().collect(),
            patterns: regions.iter().filter(is_matched).map(exactly).collect(),
        }
    }

    /// The patterns that match none of `enabled`.
    pub(crate) fn unmatched<'a>(
        &'a self,
        enabled: &'a [RegionName],
    ) -> impl Iterator<Item = &'a RegionPattern> {
        self.patterns.iter().filter(|pattern| !enabled.iter().any(|region| pattern.matches(region)))
    }
}

impl FromIterator<RegionOrPattern> for RegionSelection {
    fn from_iter<T: IntoIterator<Item = RegionOrPattern>>(entries: T) -> Self {
        let mut selection = Self::default();
        for entry in entries {
            match entry {
                RegionOrPattern::Region(region) => selection.named.push(region),
                RegionOrPattern::Pattern(pattern) => selection.patterns.push(pattern),
            }
        }
        selection
    }
}

/// A wildcard pattern for region names, such as `*` or `eu-*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionPattern(Wildcard);

/// The text is neither a region name nor a wildcard pattern.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRegionPattern {
    /// The text has no wildcard and is not a region name.
    #[error(transparent)]
    Name(#[from] InvalidRegion),
    /// The text has a wildcard, but also characters that no region name contains.
    #[error(
        "`{0}` is not a pattern for AWS regions; expected lower-case letters, digits, `-`, `?` (any one character) and `*` (any number of characters), such as `eu-*`"
    )]
    Pattern(String),
}

impl RegionOrPattern {
    /// Whether `region` is this region or matches this pattern.
    pub(crate) fn matches(&self, region: &RegionName) -> bool {
        match self {
            Self::Region(named) => named == region,
            Self::Pattern(pattern) => pattern.matches(region),
        }
    }
}

impl RegionPattern {
    pub(crate) fn matches(&self, region: &RegionName) -> bool {
        self.0.matches(region.as_str())
    }
}

impl fmt::Display for RegionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An entry of a configured list of regions.
///
/// ```
/// use ssm_sync_exporter::fleet::{RegionOrPattern, RegionSelection};
///
/// let entries: Result<RegionSelection, _> =
///     ["us-east-1", "eu-*"].iter().map(|entry| entry.parse::<RegionOrPattern>()).collect();
/// let selection = entries.unwrap();
/// assert_eq!((selection.named.len(), selection.patterns.len()), (1, 1));
/// assert!("EU-*".parse::<RegionOrPattern>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegionOrPattern {
    /// A region by name.
    Region(RegionName),
    /// A wildcard pattern.
    Pattern(RegionPattern),
}

impl FromStr for RegionOrPattern {
    type Err = InvalidRegionPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.contains(['*', '?']) {
            return Ok(Self::Region(text.parse()?));
        }
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-*?".contains(&byte);
        if text.bytes().all(is_allowed) {
            Ok(Self::Pattern(RegionPattern(Wildcard::new(text))))
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
    fn named_regions_come_first_and_matching_regions_follow_once() {
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
    fn a_pattern_that_matches_no_region_is_reported() {
        let enabled = regions(&["us-east-1", "eu-west-1"]);
        let selection = selection(&["eu-*", "ca-*", "us-west-2"]);
        let unmatched: Vec<String> = selection.unmatched(&enabled).map(ToString::to_string).collect();
        assert_eq!(unmatched, ["ca-*"]);
        assert!(selection.needs_discovery());
    }

    #[test]
    fn malformed_names_and_patterns_are_rejected() {
        for text in ["EU-*", "eu_*", "eu-*,us-*", "eu-west", "* ", ""] {
            assert!(text.parse::<RegionOrPattern>().is_err(), "{text}");
        }
    }
}
