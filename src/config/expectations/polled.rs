//! What is polled, as far as the configuration tells.

use crate::config::entries::{AccountEntry, OrganizationEntry, Regions};
use crate::fleet::{Account, AccountId, Partition, RegionName, RegionOrPattern, Target};

/// The accounts and regions that are polled, as far as the configuration tells.
#[derive(Clone, Copy)]
pub(in crate::config) struct Polled<'a> {
    pub(in crate::config) accounts: &'a [AccountEntry],
    pub(in crate::config) organization: Option<&'a OrganizationEntry>,
}

impl<'a> Polled<'a> {
    /// Whether targets in this account may be polled.
    pub(super) fn may_include_account(&self, id: &AccountId) -> bool {
        self.regions_of(id).next().is_some()
    }

    /// Whether the organization has this account, but it is excluded.
    pub(super) fn excludes(&self, id: &AccountId) -> bool {
        self.organization.is_some_and(|entry| entry.organization.excluded.contains(id))
    }

    /// Whether targets in this region may be polled, in one of the accounts with the ids `ids`, or in
    /// any account if `ids` is empty.
    pub(super) fn may_include_region(&self, region: &RegionName, ids: &[&AccountId]) -> bool {
        let may_include = |regions: &Regions| match regions {
            Regions::Default => true,
            Regions::Selected(regions) => regions.contains(region),
        };
        match ids {
            [] => self.all().any(|(_, regions)| may_include(regions)),
            ids => ids.iter().flat_map(|id| self.regions_of(id)).any(may_include),
        }
    }

    /// The partitions of all regions that are polled and match one of `regions`, or of all regions if
    /// `regions` is empty. `None` if the configuration does not tell.
    pub(super) fn partitions(&self, regions: &[RegionOrPattern]) -> Option<Vec<Partition>> {
        let literal = |region: &RegionOrPattern| match region {
            RegionOrPattern::Region(region) => Some(region.partition()),
            RegionOrPattern::Pattern(_) => None,
        };
        if !regions.is_empty()
            && let Some(partitions) = regions.iter().map(literal).collect()
        {
            return Some(partitions);
        }
        let mut partitions = Vec::new();
        for (account, polled) in self.all() {
            partitions.extend(partitions_of(account, polled)?);
        }
        Some(partitions)
    }

    /// The targets that are polled in any case.
    pub(super) fn certain_targets(&self) -> impl Iterator<Item = Target> + use<'a> {
        self.accounts.iter().flat_map(|entry| {
            let named = match &entry.regions {
                Regions::Default => &[],
                Regions::Selected(regions) => regions.named.as_slice(),
            };
            named.iter().map(|region| Target { account: entry.account.clone(), region: region.clone() })
        })
    }

    /// The accounts whose access decides what is polled, each with the regions that are polled with it.
    fn all(&self) -> impl Iterator<Item = (&'a Account, &'a Regions)> + use<'a> {
        let accounts = self.accounts.iter().map(|entry| (&*entry.account, &entry.regions));
        let organization =
            self.organization.map(|entry| (&*entry.organization.administrator, &entry.regions));
        accounts.chain(organization)
    }

    /// The regions of each entry that the account with this id may be polled by.
    fn regions_of(&self, id: &AccountId) -> impl Iterator<Item = &'a Regions> {
        let is_listed = self.accounts.iter().any(|entry| entry.account.id.as_ref() == Some(id));
        let listed = self
            .accounts
            .iter()
            .filter(move |entry| entry.account.id.as_ref().is_none_or(|own| own == id))
            .map(|entry| &entry.regions);
        // An entry in `accounts` overrides that of the organization.
        let organization = self.organization.filter(|_| !is_listed && !self.excludes(id));
        listed.chain(organization.map(|entry| &entry.regions))
    }
}

/// The partitions of the regions of an account. `None` if the configuration does not tell.
fn partitions_of(account: &Account, regions: &Regions) -> Option<Vec<Partition>> {
    let (named, others) = match regions {
        Regions::Default => (&[][..], true),
        Regions::Selected(regions) => (&regions.named[..], regions.needs_discovery()),
    };
    let mut partitions: Vec<Partition> = named.iter().map(RegionName::partition).collect();
    if others {
        // The regions that are enabled in an account are those of its partition.
        partitions.push(account.default_region.as_ref()?.partition());
    }
    Some(partitions)
}
