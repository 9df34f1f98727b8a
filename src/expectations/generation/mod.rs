//! Generates the expectations that the syncs of a fleet meet, as a start for a configuration.
//!
//! - `reported`: the values that a configuration accepts;
//! - `values`: what the fields of a sync have in common in many targets, with placeholders;
//! - `groups`: the targets in which a sync is alike;
//! - `selection`: the accounts and regions that select the targets of a group and no others;
//! - `names`: the names of the expectations.
//!
//! A person has to read the result, so each sync has a few expectations at most. A sync whose values
//! or whose targets follow no pattern is described with fewer fields, or is allowed and not required.

mod groups;
mod names;
mod reported;
mod selection;
mod values;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use selection::AccountScope;

use super::{ExpectedSync, Field, ObservedTarget, Presence, TextPattern};
use crate::fleet::{AccountId, RegionName, Target};
use crate::model::limits::MAX_TEXT_CHARS;
use crate::model::{DataSync, ManagedBy, SyncType};
use groups::Group;
use names::UniqueNames;
use selection::{Rows, Selection};
use values::Placeholders;

/// The maximum number of expectations about a sync.
const MAX_PER_SYNC: usize = 8;

/// Matches the names of all syncs of License Manager. The names contain ids, and License Manager
/// deletes some of its syncs and creates them again with other ids.
const LICENSE_MANAGER_NAMES: &str = "license-manager-*";

/// An expectation that the fleet meets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GeneratedExpectation {
    pub(crate) name: String,
    pub(crate) accounts: AccountScope,
    /// If empty, all regions.
    pub(crate) regions: Vec<RegionName>,
    pub(crate) managed_by: ManagedBy,
    pub(crate) presence: Presence,
    pub(crate) request: ExpectedSync,
    /// In how many targets the sync is as described.
    pub(crate) targets: usize,
    /// The fields whose values differ too much to be listed. They are described by a wildcard, or not
    /// at all.
    pub(crate) differing: Vec<Field>,
}

/// The targets whose syncs are known, and the accounts without any such target.
struct Fleet<'a> {
    /// In the order of their accounts and regions.
    targets: Vec<KnownTarget<'a>>,
    regions_by_account: Rows<&'a AccountId, &'a RegionName>,
    accounts_by_region: Rows<&'a RegionName, &'a AccountId>,
    unknown_accounts: BTreeSet<&'a AccountId>,
}

/// A target whose syncs are known.
#[derive(Clone, Copy)]
struct KnownTarget<'a> {
    target: &'a Target,
    account_id: &'a AccountId,
    syncs: &'a [DataSync],
}

/// A sync, and the index of its target.
#[derive(Clone, Copy)]
struct Member<'a> {
    target: usize,
    sync: &'a DataSync,
}

impl<'a> Fleet<'a> {
    fn new(observed: impl IntoIterator<Item = ObservedTarget<'a>>) -> Self {
        let (mut targets, mut accounts) = (Vec::new(), BTreeSet::new());
        for ObservedTarget { target, account_id, syncs, .. } in observed {
            let Some(account_id) = account_id else { continue };
            accounts.insert(account_id);
            if let Some(syncs) = syncs {
                targets.push(KnownTarget { target, account_id, syncs });
            }
        }
        targets.sort_by_key(|known| (known.account_id, &known.target.region));
        let (mut regions_by_account, mut accounts_by_region) = (Rows::new(), Rows::new());
        for known in &targets {
            let (account, region) = (known.account_id, &known.target.region);
            accounts.remove(account);
            regions_by_account.entry(account).or_insert_with(BTreeSet::new).insert(region);
            accounts_by_region.entry(region).or_insert_with(BTreeSet::new).insert(account);
        }
        Self { targets, regions_by_account, accounts_by_region, unknown_accounts: accounts }
    }

    /// The syncs by their type and by the pattern of their name.
    fn syncs(&self) -> BTreeMap<(SyncType, String), Vec<Member<'a>>> {
        let mut literal_names: BTreeMap<(&SyncType, String), BTreeSet<&str>> = BTreeMap::new();
        for (target, sync) in self.describable() {
            let pattern = name_pattern(target, sync);
            literal_names.entry((&sync.sync_type, pattern)).or_default().insert(&sync.name);
        }
        let mut syncs: BTreeMap<(SyncType, String), Vec<Member<'a>>> = BTreeMap::new();
        for (index, target) in self.targets.iter().enumerate() {
            for sync in target.syncs.iter().filter(|sync| is_describable(sync)) {
                let pattern = if sync.managed_by() == ManagedBy::LicenseManager {
                    LICENSE_MANAGER_NAMES.to_owned()
                } else {
                    let pattern = name_pattern(target, sync);
                    // A name that is the same everywhere needs no placeholders.
                    match literal_names.get(&(&sync.sync_type, pattern.clone())) {
                        Some(names) if names.len() > 1 => pattern,
                        _ => TextPattern::literal(&sync.name).to_string(),
                    }
                };
                let members = syncs.entry((sync.sync_type.clone(), pattern)).or_default();
                // A target can have several syncs of License Manager.
                if members.last().is_none_or(|last| last.target != index) {
                    members.push(Member { target: index, sync });
                }
            }
        }
        syncs
    }

    fn describable(&self) -> impl Iterator<Item = (&KnownTarget<'a>, &'a DataSync)> {
        let syncs = |target: &KnownTarget<'a>| target.syncs.iter().filter(|sync| is_describable(sync));
        self.targets.iter().flat_map(move |target| syncs(target).map(move |sync| (target, sync)))
    }
}

/// The name with placeholders for what it contains of its target.
fn name_pattern(target: &KnownTarget<'_>, sync: &DataSync) -> String {
    Placeholders::ALL.insert_into(&sync.name, target)
}

/// Whether a configuration can name the type and the name of a sync.
fn is_describable(sync: &DataSync) -> bool {
    /// The maximum length of a name in the API.
    const MAX_NAME: usize = 64;
    SyncType::KNOWN.contains(&sync.sync_type)
        && is_writable(&sync.name)
        && !sync.name.trim().is_empty()
        && sync.name.chars().count() <= MAX_NAME
}

/// Whether the text is valid in a configuration, even with placeholders and escaped braces.
fn is_writable(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT_CHARS / 4 && !text.chars().any(char::is_control)
}

/// The expectations that the targets meet: those about syncs of customers first. Expectations about
/// an account without any target whose syncs are known are not generated.
pub(crate) fn generate<'a>(
    observed: impl IntoIterator<Item = ObservedTarget<'a>>,
) -> Vec<GeneratedExpectation> {
    let fleet = Fleet::new(observed);
    let mut generated: Vec<GeneratedExpectation> = fleet
        .syncs()
        .into_iter()
        .flat_map(|((sync_type, name), members)| about(&fleet, &sync_type, &name, &members))
        .collect();
    generated.sort_by_key(|expectation| expectation.managed_by != ManagedBy::Customer);
    let mut names = UniqueNames::default();
    for expectation in &mut generated {
        expectation.name = names.next(&expectation.name);
    }
    generated
}

/// The expectations about a sync in all targets. Their names are not unique yet.
fn about(
    fleet: &Fleet<'_>,
    sync_type: &SyncType,
    name: &str,
    members: &[Member<'_>],
) -> Vec<GeneratedExpectation> {
    let Some((first, Ok(pattern))) = members.first().map(|first| (first, TextPattern::parse(name))) else {
        return Vec::new();
    };
    let managed_by = first.sync.managed_by();
    let any = ExpectedSync { names: vec![pattern], ..ExpectedSync::any(sync_type.clone()) };
    let (groups, differing) = if managed_by == ManagedBy::LicenseManager {
        (vec![Group::without_values(members.len())], Vec::new())
    } else {
        groups::alike(fleet, &any, members)
    };
    let generated = |presence, values: &values::Values, selection: Selection| GeneratedExpectation {
        name: names::from_pattern(name),
        accounts: selection.accounts,
        regions: selection.regions,
        managed_by,
        presence,
        request: values::request(any.clone(), values),
        targets: selection.targets,
        differing: differing.clone(),
    };
    let required: Option<Vec<GeneratedExpectation>> = groups
        .iter()
        .map(|group| {
            let targets: BTreeSet<usize> =
                group.members.iter().filter_map(|index| Some(members.get(*index)?.target)).collect();
            let selections = selection::of_targets(fleet, &targets)?;
            Some(
                selections
                    .into_iter()
                    .map(|selection| generated(Presence::Required, &group.values, selection)),
            )
        })
        .collect::<Option<Vec<_>>>()
        .map(|groups| groups.into_iter().flatten().collect());
    match required {
        Some(required) if required.len() <= MAX_PER_SYNC => required,
        _ => {
            let everywhere = Selection {
                accounts: AccountScope::all_but(fleet.unknown_accounts.iter().copied()),
                regions: Vec::new(),
                targets: members.len(),
            };
            let values = groups::without_differences(fleet, &any, members, groups::any_of(&groups));
            let allowed = generated(Presence::Allowed, &values, everywhere);
            // Without values, the expectation would have no effect.
            Some(allowed).filter(|allowed| allowed.request.values().next().is_some()).into_iter().collect()
        }
    }
}

#[cfg(test)]
mod tests;
