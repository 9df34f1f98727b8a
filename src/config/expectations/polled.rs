//! What is polled, as far as the configuration tells.

use std::collections::{HashMap, HashSet};

use crate::config::entries::{AccountEntry, OrganizationEntry, Regions};
use crate::fleet::{Account, AccountId, Partition, RegionName, RegionOrPattern, Target};

/// The accounts and regions that are polled, as far as the configuration tells.
pub(in crate::config) struct Polled<'a> {
    accounts: &'a [AccountEntry],
    organization: Option<&'a OrganizationEntry>,
    /// The regions of each entry in `accounts`, by the id of its account.
    listed: HashMap<&'a AccountId, Vec<&'a Regions>>,
    /// The regions of the entries whose account may have any id.
    of_unknown_accounts: Vec<&'a Regions>,
    excluded: HashSet<&'a AccountId>,
}

impl<'a> Polled<'a> {
    pub(in crate::config) fn new(
        accounts: &'a [AccountEntry],
        organization: Option<&'a OrganizationEntry>,
    ) -> Self {
        let (mut listed, mut of_unknown_accounts) = (HashMap::<_, Vec<_>>::new(), Vec::new());
        for entry in accounts {
            match &entry.account.id {
                Some(id) => listed.entry(id).or_default().push(&entry.regions),
                None => of_unknown_accounts.push(&entry.regions),
            }
        }
        let excluded = organization.into_iter().flat_map(|entry| &entry.organization.excluded).collect();
        Self { accounts, organization, listed, of_unknown_accounts, excluded }
    }

    pub(super) fn has_organization(&self) -> bool {
        self.organization.is_some()
    }

    /// Whether targets in this account may be polled.
    pub(super) fn may_include_account(&self, id: &AccountId) -> bool {
        self.regions_of(id).next().is_some()
    }

    /// Whether the organization's account with this id is excluded.
    pub(super) fn excludes(&self, id: &AccountId) -> bool {
        self.excluded.contains(id)
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

    /// The partitions of `regions` if they are all given by name, or else of all regions that are polled.
    /// `None` if the configuration does not tell.
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
            for partition in partitions_of(account, polled)? {
                if !partitions.contains(&partition) {
                    partitions.push(partition);
                }
            }
        }
        Some(partitions)
    }

    /// The targets that are polled in any case.
    pub(super) fn certain_targets(&self) -> impl Iterator<Item = Target> + use<'a> {
        let accounts = self.accounts;
        accounts.iter().flat_map(|entry| {
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
        let listed = self.listed.get(id).map(Vec::as_slice);
        // An entry in `accounts` overrides that of the organization.
        let organization = self.organization.filter(|_| listed.is_none() && !self.excludes(id));
        let listed = listed.unwrap_or_default().iter().chain(&self.of_unknown_accounts).copied();
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
