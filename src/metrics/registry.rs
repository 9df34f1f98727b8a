//! All families by name, and which of them are wanted.

use std::fmt;
use std::str::FromStr;

use super::family::{Family, Source};
use super::{exporter_families, sync_families, target_families};

/// How many families are about targets and their syncs.
pub(super) const SAMPLED: usize = sync_families::FAMILIES.len() + target_families::FAMILIES.len();

/// The families about targets and their syncs.
pub(super) static FAMILIES: [&Family; SAMPLED] = {
    let mut families = [&sync_families::FAMILIES[0]; SAMPLED];
    let mut index = 0;
    while index < SAMPLED {
        families[index] = match index.checked_sub(sync_families::FAMILIES.len()) {
            None => &sync_families::FAMILIES[index],
            Some(index) => &target_families::FAMILIES[index],
        };
        index += 1;
    }
    families
};

/// A family that can be shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    /// One of [`FAMILIES`], by its index.
    Sampled(usize),
    /// One of the exporter's own.
    Own(&'static str),
}

impl Shown {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sampled(index) => FAMILIES[index].name,
            Self::Own(name) => name,
        }
    }

    /// The index of a family that changes only with a collection, so that it can
    /// be kept as it is sent.
    pub(super) fn kept(self) -> Option<usize> {
        match self {
            Self::Sampled(index) => Some(index).filter(|index| !is_age(*index)),
            Self::Own(_) => None,
        }
    }
}

/// Whether the samples of a family change between collections.
pub(super) fn is_age(index: usize) -> bool {
    matches!(FAMILIES[index].samples, Source::Age(_))
}

/// All families that can be shown, by name.
pub(super) fn all() -> Vec<Shown> {
    let mut all: Vec<Shown> = (0..SAMPLED)
        .map(Shown::Sampled)
        .chain(exporter_families::NAMES.into_iter().map(Shown::Own))
        .collect();
    all.sort_unstable_by_key(|shown| shown.name());
    all
}

/// The name of a family that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FamilyName(&'static str);

/// A text that is not the name of a family.
#[derive(Debug, thiserror::Error)]
#[error("no metric family is called `{name}`{hint}")]
pub struct UnknownFamily {
    name: String,
    hint: String,
}

/// What is longer than this is not a mistyped name, and looking for the nearest one
/// would take long.
const LONGEST_MISTYPED: usize = 100;

impl FamilyName {
    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The families about the process, which every exporter has under the same
    /// names.
    pub fn of_the_process() -> impl Iterator<Item = Self> {
        exporter_families::NAMES.into_iter().filter(|name| name.starts_with("process_")).map(Self)
    }
}

impl FromStr for FamilyName {
    type Err = UnknownFamily;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names: Vec<&str> = all().into_iter().map(Shown::name).collect();
        if let Some(name) = names.iter().find(|name| **name == text) {
            return Ok(Self(name));
        }
        let near = |name: &&str| strsim::levenshtein(name, text);
        let nearest = names.into_iter().filter(|_| text.len() <= LONGEST_MISTYPED).min_by_key(near);
        Err(UnknownFamily {
            name: text.chars().take(LONGEST_MISTYPED).flat_map(char::escape_debug).collect(),
            hint: nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default(),
        })
    }
}

impl fmt::Display for FamilyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Which families a scrape wants.
#[derive(Clone, Debug, Default)]
pub enum Choice {
    /// All that there are.
    #[default]
    All,
    /// These.
    Only(Vec<FamilyName>),
    /// All but these.
    Without(Vec<FamilyName>),
}

impl Choice {
    pub(super) fn takes(&self, shown: Shown) -> bool {
        let has = |names: &[FamilyName]| names.iter().any(|name| name.0 == shown.name());
        match self {
            Self::All => true,
            Self::Only(names) => has(names),
            Self::Without(names) => !has(names),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_gets_one_short_line() {
        let error = |text: &str| text.parse::<FamilyName>().unwrap_err().to_string();
        assert_eq!(
            error("ssm_sync_exporter_target_upp"),
            "no metric family is called `ssm_sync_exporter_target_upp`; did you mean `ssm_sync_exporter_target_up`?"
        );
        assert_eq!(error(&"a\n".repeat(5000)), format!("no metric family is called `{}`", "a\\n".repeat(50)));
    }
}
