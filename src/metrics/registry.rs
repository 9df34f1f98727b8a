//! The list of all metric families, and filters that select some of them by name.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use super::family::{Family, SampleSource};
use super::{expectation_families, exporter_families, sync_families, target_families};

/// The number of families that are rendered from the snapshot.
pub(super) const SNAPSHOT_FAMILY_COUNT: usize =
    sync_families::FAMILIES.len() + target_families::FAMILIES.len() + expectation_families::FAMILIES.len();

/// The families that are rendered from the snapshot, those of syncs first. An index
/// into this array identifies a family wherever rendered samples are kept.
pub(super) static SNAPSHOT_FAMILIES: [&Family; SNAPSHOT_FAMILY_COUNT] = {
    let mut families = [&sync_families::FAMILIES[0]; SNAPSHOT_FAMILY_COUNT];
    let tables: [&[Family]; 3] =
        [&sync_families::FAMILIES, &target_families::FAMILIES, &expectation_families::FAMILIES];
    // A constant cannot be built with iterators.
    let (mut count, mut table) = (0, 0);
    while table < tables.len() {
        let mut index = 0;
        while index < tables[table].len() {
            families[count] = &tables[table][index];
            (count, index) = (count + 1, index + 1);
        }
        table += 1;
    }
    families
};

/// Identifies a metric family.
#[derive(Clone, Copy, Debug)]
pub(super) enum FamilyId {
    /// An index into [`SNAPSHOT_FAMILIES`].
    Snapshot(usize),
    /// The name of a family that each scrape gathers: it is about the exporter itself, or has totals
    /// over all targets.
    Gathered(&'static str),
}

impl FamilyId {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Snapshot(index) => SNAPSHOT_FAMILIES[index].name,
            Self::Gathered(name) => name,
        }
    }

    /// The index of the family if its samples change only with a collection, so that
    /// they can be compressed before a scrape. `None` for ages and for the families that each
    /// scrape gathers.
    pub(super) fn cacheable_index(self) -> Option<usize> {
        match self {
            Self::Snapshot(index) => Some(index).filter(|index| !is_age(*index)),
            Self::Gathered(_) => None,
        }
    }
}

/// Whether the samples of a snapshot family are ages, which each scrape computes.
pub(super) fn is_age(index: usize) -> bool {
    matches!(SNAPSHOT_FAMILIES[index].source, SampleSource::SyncAge(_))
}

/// All families, sorted by name, which is their order in the exposition.
pub(super) fn all_families() -> Vec<FamilyId> {
    let mut all: Vec<FamilyId> = (0..SNAPSHOT_FAMILY_COUNT)
        .map(FamilyId::Snapshot)
        .chain(exporter_families::NAMES.into_iter().map(FamilyId::Gathered))
        .chain(expectation_families::TOTALS.into_iter().map(FamilyId::Gathered))
        .collect();
    all.sort_unstable_by_key(|family| family.name());
    all
}

/// The name of an existing metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FamilyName(&'static str);

/// The error for a name that no metric family has.
#[derive(Debug, thiserror::Error)]
#[error("no metric family is called `{name}`{hint}")]
pub struct UnknownFamily {
    name: String,
    hint: String,
}

/// For an unknown name with more bytes, no similar name is suggested, because the search
/// takes time proportional to the length. The error shows at most this many characters.
const MAX_MISTYPED_LEN: usize = 100;

impl FamilyName {
    /// All families.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        all_families().into_iter().map(|family| Self(family.name()))
    }

    /// The name as it is written in the exposition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The families that have one of these names, or samples of that name, such as
    /// `X_bucket`. Unknown names are ignored, as by `name[]` in the client libraries for Go and
    /// Python.
    pub(super) fn of_samples(names: &[String]) -> Vec<Self> {
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        let is_named = |family: &'static str| {
            let suffixes: &[&str] = match family {
                exporter_families::HISTOGRAM => &["", "_bucket", "_count", "_sum"],
                _ => &[""],
            };
            suffixes.iter().any(|suffix| names.contains(&*format!("{family}{suffix}")))
        };
        all_families().into_iter().map(FamilyId::name).filter(|name| is_named(name)).map(Self).collect()
    }

    /// The `process_*` families, which every exporter exposes under the same names.
    pub(crate) fn process_families() -> impl Iterator<Item = Self> {
        exporter_families::NAMES.into_iter().filter(|name| name.starts_with("process_")).map(Self)
    }
}

impl FromStr for FamilyName {
    type Err = UnknownFamily;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names: Vec<&str> = all_families().into_iter().map(FamilyId::name).collect();
        if let Some(name) = names.iter().find(|name| **name == text) {
            return Ok(Self(name));
        }
        let distance = |name: &&str| strsim::levenshtein(name, text);
        let nearest = names.into_iter().filter(|_| text.len() <= MAX_MISTYPED_LEN).min_by_key(distance);
        Err(UnknownFamily {
            name: text.chars().take(MAX_MISTYPED_LEN).flat_map(char::escape_debug).collect(),
            hint: nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default(),
        })
    }
}

impl fmt::Display for FamilyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Selects the families that a scrape includes.
#[derive(Clone, Debug, Default)]
pub enum FamilyFilter {
    /// Every family.
    #[default]
    All,
    /// These families only.
    Only(Vec<FamilyName>),
    /// Every family but these.
    Except(Vec<FamilyName>),
}

impl FamilyFilter {
    /// Selects those of `names` that this filter includes.
    pub(super) fn restricted_to(&self, names: &[FamilyName]) -> Self {
        Self::Only(names.iter().copied().filter(|name| self.includes_name(name.0)).collect())
    }

    pub(super) fn includes(&self, family: FamilyId) -> bool {
        self.includes_name(family.name())
    }

    fn includes_name(&self, name: &str) -> bool {
        let contains = |names: &[FamilyName]| names.iter().any(|listed| listed.0 == name);
        match self {
            Self::All => true,
            Self::Only(names) => contains(names),
            Self::Except(names) => !contains(names),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_reported_in_one_short_line() {
        let error = |text: &str| text.parse::<FamilyName>().unwrap_err().to_string();
        assert_eq!(
            error("ssm_sync_exporter_target_upp"),
            "no metric family is called `ssm_sync_exporter_target_upp`; did you mean `ssm_sync_exporter_target_up`?"
        );
        assert_eq!(error(&"a\n".repeat(5000)), format!("no metric family is called `{}`", "a\\n".repeat(50)));
    }
}
