//! Applies a narrowing to the accounts to poll, and finds what it selects although it is not polled.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::planner::{AccountRegions, EnabledRegions};
use super::sources::AccountSources;
use crate::fleet::{AccountKey, Narrowing, NotPolled, Partition, RegionName, is_called};

/// The part of `accounts` that the narrowing of the sources selects, and what it selects although it is
/// not polled. `has_all_accounts` is whether `accounts` are complete.
pub(super) fn narrowed(
    sources: &AccountSources,
    accounts: Vec<AccountRegions>,
    has_all_accounts: bool,
) -> (Vec<AccountRegions>, Vec<NotPolled>) {
    let narrowing = &sources.narrowing;
    if narrowing.is_everything() {
        return (accounts, Vec::new());
    }
    let is_selected =
        |region: &RegionName| sources.region_selections().any(|regions| regions.contains(region));
    let unknown_regions = narrowing.regions.iter().filter(|region| !is_selected(region));
    let mut not_polled: Vec<NotPolled> = unknown_regions
        .map(|region| {
            let selected = regions_by_name(sources);
            NotPolled::region(region, selected.iter().map(RegionName::as_str))
        })
        .collect();
    let narrow = |entry: &AccountRegions| {
        let regions = narrowing.narrow(&entry.regions);
        let is_polled = narrowing.selects(&entry.account) && !regions.is_empty();
        is_polled.then(|| AccountRegions { account: Arc::clone(&entry.account), regions })
    };
    let narrowed: Vec<AccountRegions> = accounts.iter().filter_map(narrow).collect();
    if has_all_accounts && not_polled.is_empty() {
        let is_in = |given: &str, accounts: &[AccountRegions]| {
            accounts.iter().any(|entry| is_called(&entry.account, given))
        };
        let missing = narrowing.accounts.iter().filter(|given| !is_in(given, &narrowed));
        not_polled.extend(missing.map(|given| {
            if is_in(given, &accounts) {
                NotPolled::account_in_regions(given, &narrowing.regions)
            } else {
                NotPolled::account(given, &accounts.iter().map(|entry| &*entry.account).collect::<Vec<_>>())
            }
        }));
    }
    // A mistake on the command line should not make any call.
    if not_polled.is_empty() { (narrowed, not_polled) } else { (Vec::new(), not_polled) }
}

/// The regions that are polled in some account, as far as they are known without a lookup.
fn regions_by_name(sources: &AccountSources) -> Vec<RegionName> {
    let selections = sources.region_selections();
    selections
        .flat_map(|regions| {
            let partition = regions.named.first().map_or(Partition::Aws, RegionName::partition);
            regions.choose(&partition.always_enabled().collect::<Vec<_>>())
        })
        .collect()
}

/// The selected regions that no account has enabled. None if the enabled regions of some account are
/// not known.
pub(super) fn regions_not_enabled(
    narrowing: &Narrowing,
    accounts: &[AccountRegions],
    enabled_regions: &HashMap<AccountKey, EnabledRegions>,
) -> Vec<NotPolled> {
    if narrowing.regions.is_empty() {
        return Vec::new();
    }
    let mut polled: HashSet<RegionName> = HashSet::new();
    for AccountRegions { account, regions } in accounts {
        match enabled_regions.get(&account.key()) {
            _ if !regions.needs_discovery() => polled.extend(regions.named.iter().cloned()),
            Some(EnabledRegions::Known(enabled)) => polled.extend(regions.choose(enabled)),
            _ => return Vec::new(),
        }
    }
    let not_enabled = narrowing.regions.iter().filter(|region| !polled.contains(region));
    not_enabled.map(NotPolled::not_enabled).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::discovery::tests::organization;
    use crate::discovery::{ConfiguredAccount, Member, Members, planner};
    use crate::fleet::{Account, AccountId, RegionOrPattern, RegionSelection};

    fn id(number: u64) -> AccountId {
        format!("{number:012}").parse().unwrap()
    }

    fn selection(entries: &[&str]) -> RegionSelection {
        entries.iter().map(|entry| entry.parse::<RegionOrPattern>().unwrap()).collect()
    }

    /// The accounts of the sources that the narrowing selects, each with its regions by name and by
    /// pattern, and what is not polled.
    fn narrowed_to(
        accounts: &[&str],
        regions: &[&str],
        has_all_accounts: bool,
    ) -> (Vec<String>, Vec<String>) {
        let entry = |number: u64, regions: &[&str]| ConfiguredAccount {
            account: Arc::new(Account { id: Some(id(number)), ..Account::default() }),
            regions: selection(regions),
        };
        let sources = AccountSources {
            narrowing: Narrowing {
                accounts: accounts.iter().map(|&given| given.to_owned()).collect(),
                regions: regions.iter().map(|name| name.parse().unwrap()).collect(),
            },
            configured: vec![entry(1, &["sa-east-1"]), entry(2, &["eu-*", "us-east-1"])],
            organization: Some(organization(selection(&["us-east-1", "us-west-?"]))),
            refresh_interval: Duration::from_hours(1),
        };
        let members = has_all_accounts.then(|| Members {
            partition: Partition::Aws,
            accounts: [1, 2, 3]
                .map(|number| Member { id: id(number), name: Some(format!("name-{number}")) })
                .into(),
            units: None,
            listed_units: Vec::new(),
        });
        let (accounts, _) = planner::accounts(&sources, members.as_ref());
        let (accounts, not_polled) = narrowed(&sources, accounts, has_all_accounts);
        let describe = |entry: &AccountRegions| {
            let patterns = entry.regions.patterns.iter().map(ToString::to_string);
            let regions: Vec<String> =
                entry.regions.named.iter().map(ToString::to_string).chain(patterns).collect();
            format!("{} {}", entry.account.name.as_deref().unwrap_or("-"), regions.join(" "))
        };
        (accounts.iter().map(describe).collect(), not_polled.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn only_the_selected_accounts_and_regions_are_polled() {
        for (accounts, regions, expected) in [
            (
                &[][..],
                &[][..],
                &["name-1 sa-east-1", "name-2 us-east-1 eu-*", "name-3 us-east-1 us-west-?"][..],
            ),
            (&["name-1"], &[], &["name-1 sa-east-1"]),
            (&["000000000003", "name-2"], &[], &["name-2 us-east-1 eu-*", "name-3 us-east-1 us-west-?"]),
            (&[], &["us-east-1"], &["name-2 us-east-1", "name-3 us-east-1"]),
            (&["name-3"], &["us-west-1"], &["name-3 us-west-1"]),
        ] {
            assert_eq!(
                narrowed_to(accounts, regions, true),
                (expected.iter().map(ToString::to_string).collect(), vec![])
            );
        }
    }

    #[test]
    fn nothing_is_polled_if_something_selected_is_not_polled() {
        for (accounts, regions, expected) in [
            (
                &["name-1", "name-4"][..],
                &[][..],
                "the account `name-4` is not polled; did you mean `name-3`?",
            ),
            (&["name-1"], &["us-east-1"], "the account `name-1` is not polled in us-east-1"),
            (
                &[],
                &["us-east-1", "us-east-2"],
                "the region `us-east-2` is not polled; did you mean `us-east-1`?",
            ),
        ] {
            assert_eq!(narrowed_to(accounts, regions, true), (vec![], vec![expected.to_owned()]));
        }
        // The organization may still have the account.
        assert_eq!(narrowed_to(&["name-4"], &[], false), (vec![], vec![]));
    }
}
