//! Computes the target list from the sources and the results of lookups. The functions
//! are pure: their caller makes the lookups and logs the warnings.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::sources::{AccountSources, AccountUnits, Members};
use crate::fleet::{
    Account, AccountId, AccountKey, OrganizationalUnitId, Partition, PolledAccount, RegionLookup, RegionName,
    RegionSelection, Shard, Target, TargetKey, TargetList,
};
use crate::model::Failure;

/// An account to poll, and the regions that are configured for it.
#[derive(Clone, Debug)]
pub(super) struct AccountRegions {
    pub(super) account: Arc<Account>,
    pub(super) regions: RegionSelection,
}

/// The regions that an account has enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EnabledRegions {
    /// The first lookup has not ended.
    Pending,
    /// All lookups have failed so far. The regions that are always enabled are assumed.
    Unknown,
    /// The result of the last successful lookup.
    Known(Arc<[RegionName]>),
}

/// A possible mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Warning {
    /// An account of the organization also has an entry in `accounts`. The entry takes
    /// precedence.
    OverridesOrganization(AccountId),
    /// A wildcard matches no enabled region of any account.
    MatchesNoRegion(String),
    /// An organizational unit contains no account, or does not exist.
    NoAccountInUnit(OrganizationalUnitId),
}

/// All accounts to poll: the configured accounts in their order, then the other accounts
/// of the organization by id.
pub(super) fn accounts(
    sources: &AccountSources,
    members: Option<&Members>,
) -> (Vec<AccountRegions>, Vec<Warning>) {
    let mut warnings = Vec::new();
    let no_members =
        Members { partition: Partition::Aws, accounts: Vec::new(), units: None, listed_units: Vec::new() };
    let Members { partition, accounts: members, units, listed_units } = members.unwrap_or(&no_members);
    let tracked_units = sources.organization.iter().flat_map(|organization| &organization.tracked_units);
    let unlisted_units: Vec<OrganizationalUnitId> =
        tracked_units.filter(|unit| !listed_units.contains(unit)).cloned().collect();
    // Without an organization, no account is in a unit.
    let no_units = AccountUnits::new();
    let units = if sources.organization.is_some() { units.as_ref() } else { Some(&no_units) };
    let member_ids: HashSet<&AccountId> = members.iter().map(|member| &member.id).collect();
    let units_of = |account: &AccountId| match units?.get(account) {
        Some(units) => Some(units.clone()),
        // A member that joined after the units were last listed.
        None if member_ids.contains(account) => None,
        None => Some(Vec::new()),
    };
    let mut members_by_id: BTreeMap<&AccountId, _> =
        members.iter().map(|member| (&member.id, member)).collect();
    let mut accounts = Vec::new();
    let configured_ids: HashSet<&AccountId> =
        sources.configured.iter().filter_map(|entry| entry.account.id.as_ref()).collect();
    for entry in &sources.configured {
        let mut account = Arc::clone(&entry.account);
        let member = account.id.as_ref().and_then(|id| members_by_id.get(id));
        // A configured name takes precedence over the organization's.
        let name = account.name.clone().or_else(|| member?.name.clone());
        // With an organization, every configured account has an id.
        let organizational_units = account.id.as_ref().map_or_else(|| Some(Vec::new()), units_of);
        if name != account.name
            || organizational_units != account.organizational_units
            || unlisted_units != account.unlisted_units
        {
            let unlisted_units = unlisted_units.clone();
            account =
                Arc::new(Account { name, organizational_units, unlisted_units, ..Account::clone(&account) });
        }
        accounts.push(AccountRegions { account, regions: entry.regions.clone() });
    }
    for id in configured_ids {
        if members_by_id.remove(id).is_some() {
            warnings.push(Warning::OverridesOrganization(id.clone()));
        }
    }
    if let Some(organization) = &sources.organization {
        for member in members_by_id.into_values().filter(|member| !organization.excluded.contains(&member.id))
        {
            // The configuration has been validated, so the ARN is valid.
            if let Ok(account) = organization.member_access.account(member, *partition) {
                let organizational_units = units_of(&member.id);
                let unlisted_units = unlisted_units.clone();
                let account = Arc::new(Account { organizational_units, unlisted_units, ..account });
                accounts.push(AccountRegions { account, regions: organization.regions.clone() });
            }
        }
    }
    (accounts, warnings)
}

/// A warning for each of `tracked_units` that contains no account. Most likely, its id is wrong.
pub(super) fn units_without_accounts(
    tracked_units: &[OrganizationalUnitId],
    units: &AccountUnits,
) -> Vec<Warning> {
    let contain_accounts: HashSet<&OrganizationalUnitId> = units.values().flatten().collect();
    let empty = tracked_units.iter().filter(|unit| !contain_accounts.contains(unit));
    empty.map(|unit| Warning::NoAccountInUnit(unit.clone())).collect()
}

/// The targets of `shard`, each once. If `organization_is_pending`, the lookup of the
/// organization counts as one of the pending lookups.
pub(super) fn target_list(
    accounts: &[AccountRegions],
    enabled_regions: &HashMap<AccountKey, EnabledRegions>,
    organization_is_pending: bool,
    shard: Shard,
) -> (TargetList, Vec<Warning>) {
    let mut seen: HashSet<TargetKey> = HashSet::new();
    let mut targets = Vec::new();
    let mut pending_lookups = usize::from(organization_is_pending);
    let mut wildcards = WildcardMatches::default();
    for AccountRegions { account, regions } in accounts {
        let selected = if regions.needs_discovery() {
            match enabled_regions.get(&account.key()).unwrap_or(&EnabledRegions::Pending) {
                EnabledRegions::Pending => {
                    pending_lookups += 1;
                    regions.named.clone()
                }
                EnabledRegions::Unknown => regions.choose(&always_enabled(account)),
                EnabledRegions::Known(enabled) => {
                    wildcards.record(regions, enabled);
                    regions.choose(enabled)
                }
            }
        } else {
            regions.named.clone()
        };
        for region in selected {
            let target = Target { account: Arc::clone(account), region };
            // Two entries for the same account may select the same region. The first
            // entry takes precedence.
            if seen.insert(target.key()) && shard.owns(&target) {
                targets.push(target);
            }
        }
    }
    (TargetList { targets, pending_lookups, ..TargetList::default() }, wildcards.warnings())
}

/// The accounts with the state of the lookup of their regions. `failure_of` is why the last attempt failed,
/// if it did.
pub(super) fn polled_accounts<'a>(
    accounts: &[AccountRegions],
    enabled_regions: &HashMap<AccountKey, EnabledRegions>,
    failure_of: impl Fn(AccountKey) -> Option<&'a Failure>,
) -> Vec<PolledAccount> {
    let region_lookup = |AccountRegions { account, regions }: &AccountRegions| {
        if !regions.needs_discovery() {
            return RegionLookup::NotNeeded;
        }
        match enabled_regions.get(&account.key()) {
            None | Some(EnabledRegions::Pending) => RegionLookup::Pending,
            Some(_) => match failure_of(account.key()) {
                Some(failure) => RegionLookup::Failed(failure.clone()),
                None => RegionLookup::Succeeded,
            },
        }
    };
    let polled = |entry: &AccountRegions| PolledAccount {
        account: Arc::clone(&entry.account),
        region_lookup: region_lookup(entry),
    };
    accounts.iter().map(polled).collect()
}

fn always_enabled(account: &Account) -> Vec<RegionName> {
    let partition = account.default_region.as_ref().map_or(Partition::Aws, RegionName::partition);
    partition.always_enabled().collect()
}

/// Each wildcard, and whether it matched a region of any account.
#[derive(Default)]
struct WildcardMatches(BTreeMap<String, bool>);

impl WildcardMatches {
    fn record(&mut self, regions: &RegionSelection, enabled: &[RegionName]) {
        for wildcard in &regions.patterns {
            let has_match = regions.unmatched(enabled).all(|unmatched| unmatched != wildcard);
            *self.0.entry(wildcard.to_string()).or_default() |= has_match;
        }
    }

    fn warnings(self) -> Vec<Warning> {
        self.0
            .into_iter()
            .filter(|(_, has_match)| !has_match)
            .map(|(wildcard, _)| Warning::MatchesNoRegion(wildcard))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::discovery::tests::organization;
    use crate::discovery::{ConfiguredAccount, Member, Organization};
    use crate::fleet::RegionOrPattern;

    fn id(number: u64) -> AccountId {
        format!("{number:012}").parse().unwrap()
    }

    fn regions(entries: &[&str]) -> RegionSelection {
        entries.iter().map(|entry| entry.parse::<RegionOrPattern>().unwrap()).collect()
    }

    fn configured(number: u64, entries: &[&str]) -> ConfiguredAccount {
        let account = Account { id: Some(id(number)), ..Account::default() };
        ConfiguredAccount { account: Arc::new(account), regions: regions(entries) }
    }

    fn sources(configured: Vec<ConfiguredAccount>, entries: &[&str], excluded: &[u64]) -> AccountSources {
        let organization = Organization {
            excluded: excluded.iter().map(|number| id(*number)).collect(),
            ..organization(regions(entries))
        };
        AccountSources {
            configured,
            organization: Some(organization),
            refresh_interval: std::time::Duration::from_hours(1),
            narrowing: crate::fleet::Narrowing::default(),
        }
    }

    fn members(numbers: &[u64]) -> Members {
        let member = |number: &u64| Member { id: id(*number), name: Some(format!("name-{number}")) };
        Members {
            partition: Partition::Aws,
            accounts: numbers.iter().map(member).collect(),
            units: None,
            listed_units: Vec::new(),
        }
    }

    fn target_names(list: &TargetList) -> Vec<String> {
        list.targets.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn accounts_of_the_organization_are_polled_except_the_excluded_ones() {
        let sources = sources(Vec::new(), &["eu-west-1", "us-east-1"], &[2]);
        let (accounts, warnings) = accounts(&sources, Some(&members(&[3, 2, 1])));
        let (list, _) = target_list(&accounts, &HashMap::new(), false, Shard::default());
        assert_eq!(
            target_names(&list),
            [
                "000000000001/eu-west-1",
                "000000000001/us-east-1",
                "000000000003/eu-west-1",
                "000000000003/us-east-1"
            ]
        );
        assert_eq!((warnings.len(), list.pending_lookups), (0, 0));
        let account = &list.targets[0].account;
        assert_eq!(account.name.as_deref(), Some("name-1"));
        assert_eq!(account.access.roles[0].arn.as_str(), "arn:aws:iam::000000000001:role/Reader");
    }

    #[test]
    fn a_configured_account_overrides_that_of_the_organization() {
        let sources = sources(vec![configured(1, &["sa-east-1"])], &["eu-west-1"], &[]);
        let (accounts, warnings) = accounts(&sources, Some(&members(&[1, 2])));
        let (list, _) = target_list(&accounts, &HashMap::new(), false, Shard::default());
        assert_eq!(target_names(&list), ["000000000001/sa-east-1", "000000000002/eu-west-1"]);
        assert_eq!(warnings, [Warning::OverridesOrganization(id(1))]);
        assert_eq!(list.targets[0].account.name.as_deref(), Some("name-1"), "the entry has no name");
    }

    #[test]
    fn accounts_have_their_units_whether_configured_or_not() {
        let unit = |number: u64| -> OrganizationalUnitId { format!("ou-abcd-{number:08}").parse().unwrap() };
        let entries = [1, 4, 5].map(|number| configured(number, &["eu-west-1"])).to_vec();
        let sources = sources(entries, &["eu-west-1"], &[2]);
        let units_of = |units: Option<AccountUnits>| {
            let members = Members { units, ..members(&[1, 2, 3]) };
            let (accounts, _) = accounts(&sources, Some(&members));
            let units = accounts.iter().map(|entry| entry.account.organizational_units.clone());
            units.collect::<Vec<_>>()
        };
        // The account 4 is in the organization, but not among the members that are polled. The account 5
        // is in none of the units.
        let known = [(1, vec![unit(1), unit(2)]), (2, vec![unit(1)]), (3, Vec::new()), (4, vec![unit(2)])];
        let known = known.map(|(number, units)| (id(number), units));
        assert_eq!(
            units_of(Some(known.into())),
            [Some(vec![unit(1), unit(2)]), Some(vec![unit(2)]), Some(Vec::new()), Some(Vec::new())]
        );
        assert_eq!(units_of(None), [None, None, None, None]);
    }

    #[test]
    fn named_regions_are_polled_until_the_enabled_ones_are_known() {
        let sources = sources(vec![configured(1, &["me-south-1", "eu-*"])], &[], &[]);
        let (accounts, _) = accounts(&sources, None);
        let list_with = |enabled| {
            let enabled = HashMap::from([(accounts[0].account.key(), enabled)]);
            target_list(&accounts, &enabled, true, Shard::default())
        };
        let (pending, _) = list_with(EnabledRegions::Pending);
        assert_eq!(
            (target_names(&pending), pending.pending_lookups),
            (vec!["000000000001/me-south-1".to_owned()], 2)
        );
        let (unknown, _) = list_with(EnabledRegions::Unknown);
        assert_eq!(
            (unknown.targets.len(), unknown.pending_lookups),
            (1 + 5, 1),
            "the European regions that are always enabled"
        );
        let (known, _) = list_with(EnabledRegions::Known(
            ["eu-south-1", "us-east-1"].map(|name| name.parse().unwrap()).into(),
        ));
        assert_eq!(target_names(&known), ["000000000001/me-south-1", "000000000001/eu-south-1"]);
    }

    #[test]
    fn a_wildcard_that_matches_no_region_of_any_account_is_a_warning() {
        let sources =
            sources(vec![configured(1, &["eu-*", "mars-*"]), configured(2, &["eu-*", "af-*"])], &[], &[]);
        let (accounts, _) = accounts(&sources, None);
        let known = |name: &str| EnabledRegions::Known([name.parse().unwrap()].into());
        let enabled = HashMap::from([
            (accounts[0].account.key(), known("us-east-1")),
            (accounts[1].account.key(), known("eu-west-1")),
        ]);
        let (_, warnings) = target_list(&accounts, &enabled, false, Shard::default());
        assert_eq!(warnings, ["af-*", "mars-*"].map(|pattern| Warning::MatchesNoRegion(pattern.to_owned())));
    }

    fn region_or_pattern() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            Just("*"),
            Just("eu-*"),
            Just("us-east-?"),
            Just("eu-west-1"),
            Just("us-east-1"),
            Just("me-south-1")
        ]
    }

    proptest! {
        #[test]
        fn the_target_list_is_deterministic_free_of_duplicates_and_divided_among_the_shards(
            configured_accounts in proptest::collection::vec((0u64..6, proptest::collection::vec(region_or_pattern(), 1..4)), 0..6),
            organization_regions in proptest::collection::vec(region_or_pattern(), 1..4),
            member_numbers in proptest::collection::vec(0u64..12, 0..12),
            shards in 1u32..6,
        ) {
            let all = ["eu-west-1", "eu-west-2", "us-east-1", "us-east-2"].map(|name| name.parse().unwrap());
            let sources = sources(
                configured_accounts.iter().map(|(number, entries)| configured(*number, entries)).collect(),
                &organization_regions,
                &[3],
            );
            let targets_of = |members: &Members, shard| {
                let (accounts, _) = accounts(&sources, Some(members));
                let enabled =
                    accounts.iter().map(|entry| (entry.account.key(), EnabledRegions::Known(all.clone().into()))).collect();
                target_names(&target_list(&accounts, &enabled, false, shard).0)
            };
            let targets = targets_of(&members(&member_numbers), Shard::default());
            let mut reversed = member_numbers.clone();
            reversed.reverse();
            prop_assert_eq!(&targets_of(&members(&reversed), Shard::default()), &targets);
            let mut unique = targets.clone();
            unique.sort();
            unique.dedup();
            prop_assert_eq!(unique.len(), targets.len());
            let total = std::num::NonZeroU32::new(shards).unwrap();
            let mut of_all_shards: Vec<String> = (0..shards)
                .flat_map(|index| targets_of(&members(&member_numbers), Shard::new(index, total).unwrap()))
                .collect();
            of_all_shards.sort();
            prop_assert_eq!(of_all_shards, unique);
        }
    }
}
