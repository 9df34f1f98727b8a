//! What is known of the sources becomes targets.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::sources::{AccountSources, Members};
use crate::fleet::Unresolved;
use crate::fleet::{
    Account, AccountId, AccountKey, Partition, RegionName, RegionSelection, Shard, Target, TargetKey,
    TargetList,
};

/// An account and its regions.
#[derive(Clone, Debug)]
pub(super) struct AccountRegions {
    pub(super) account: Arc<Account>,
    pub(super) regions: RegionSelection,
}

/// What is known of the regions that an account has enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Enabled {
    /// Nothing yet.
    Pending,
    /// It could not be found out, so only those that every account has are
    /// sure.
    Unknown,
    /// These.
    Known(Arc<[RegionName]>),
}

/// Something about a plan that its operator may not have meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Warning {
    /// An account of the organization is listed as well.
    ListedToo(AccountId),
    /// A wildcard that matches no region in any account.
    MatchesNothing(String),
}

/// All accounts to poll: those that are listed, in their order, then the
/// others of the organization, by their ids.
pub(super) fn places(
    sources: &AccountSources,
    members: Option<&Members>,
) -> (Vec<AccountRegions>, Vec<Warning>) {
    let mut warnings = Vec::new();
    let none = Members { partition: Partition::Aws, accounts: Vec::new() };
    let Members { partition, accounts } = members.unwrap_or(&none);
    let mut others: BTreeMap<&AccountId, _> = accounts.iter().map(|member| (&member.id, member)).collect();
    let mut places = Vec::new();
    let listed_ids: HashSet<&AccountId> =
        sources.listed.iter().filter_map(|listed| listed.account.id.as_ref()).collect();
    for listed in &sources.listed {
        let mut account = Arc::clone(&listed.account);
        let member = account.id.as_ref().and_then(|id| others.get(id));
        // A name that was given is better than one that was found.
        if let (None, Some(member)) = (&account.name, member) {
            account = Arc::new(Account { name: member.name.clone(), ..Account::clone(&account) });
        }
        places.push(AccountRegions { account, regions: listed.regions.clone() });
    }
    for id in listed_ids {
        if others.remove(id).is_some() {
            warnings.push(Warning::ListedToo(id.clone()));
        }
    }
    if let Some(organization) = &sources.organization {
        for member in others.into_values().filter(|member| !organization.excluded.contains(&member.id)) {
            // The form of the role's ARN has been checked.
            if let Ok(account) = organization.reach.account(member, *partition) {
                let regions = organization.regions.clone();
                places.push(AccountRegions { account: Arc::new(account), regions });
            }
        }
    }
    (places, warnings)
}

/// The targets of all places that belong to `shard`, each once.
pub(super) fn plan(
    places: &[AccountRegions],
    enabled: &HashMap<AccountKey, Enabled>,
    organization_pending: bool,
    shard: Shard,
) -> (TargetList, Vec<Warning>) {
    let mut seen: HashSet<TargetKey> = HashSet::new();
    let mut targets = Vec::new();
    let mut pending = usize::from(organization_pending);
    let mut idle = Idle::default();
    for AccountRegions { account, regions } in places {
        let chosen = if regions.needs_discovery() {
            match enabled.get(&account.key()).unwrap_or(&Enabled::Pending) {
                Enabled::Pending => {
                    pending += 1;
                    regions.named.clone()
                }
                Enabled::Unknown => regions.choose(&always_enabled(account)),
                Enabled::Known(enabled) => {
                    idle.see(regions, enabled);
                    regions.choose(enabled)
                }
            }
        } else {
            regions.named.clone()
        };
        for region in chosen {
            let target = Target { account: Arc::clone(account), region };
            // Two entries may overlap by what only discovery can tell; then the
            // first has it.
            if seen.insert(target.key()) && shard.owns(&target) {
                targets.push(target);
            }
        }
    }
    (TargetList { targets, pending, unresolved: Unresolved::default() }, idle.warnings())
}

fn always_enabled(account: &Account) -> Vec<RegionName> {
    let partition = account.default_region.as_ref().map_or(Partition::Aws, RegionName::partition);
    partition.always_enabled().collect()
}

/// Wildcards, and whether they matched anything.
#[derive(Default)]
struct Idle(BTreeMap<String, bool>);

impl Idle {
    fn see(&mut self, regions: &RegionSelection, enabled: &[RegionName]) {
        for wildcard in &regions.patterns {
            let matches = regions.unmatched(enabled).all(|idle| idle != wildcard);
            *self.0.entry(wildcard.to_string()).or_default() |= matches;
        }
    }

    fn warnings(self) -> Vec<Warning> {
        self.0
            .into_iter()
            .filter(|(_, matches)| !matches)
            .map(|(wildcard, _)| Warning::MatchesNothing(wildcard))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::discovery::{ListedAccount, Member, MemberAccess, Organization};
    use crate::fleet::{RegionOrPattern, SessionName, SessionPolicy};

    fn id(number: u64) -> AccountId {
        format!("{number:012}").parse().unwrap()
    }

    fn regions(entries: &[&str]) -> RegionSelection {
        entries.iter().map(|entry| entry.parse::<RegionOrPattern>().unwrap()).collect()
    }

    fn listed(number: u64, entries: &[&str]) -> ListedAccount {
        let account = Account { id: Some(id(number)), ..Account::default() };
        ListedAccount { account: Arc::new(account), regions: regions(entries) }
    }

    fn sources(listed: Vec<ListedAccount>, entries: &[&str], excluded: &[u64]) -> AccountSources {
        let organization = Organization {
            administrator: Arc::default(),
            units: Vec::new(),
            excluded: excluded.iter().map(|number| id(*number)).collect(),
            refresh_interval: std::time::Duration::from_hours(1),
            reach: MemberAccess {
                profile: None,
                via: Vec::new(),
                role: "arn:{partition}:iam::{account_id}:role/Reader".parse().unwrap(),
                external_id: None,
                session_name: SessionName::default(),
                policy: SessionPolicy::ListSyncs,
                home: None,
            },
            regions: regions(entries),
        };
        AccountSources {
            listed,
            organization: Some(organization),
            refresh_interval: std::time::Duration::from_hours(1),
        }
    }

    fn members(numbers: &[u64]) -> Members {
        let member = |number: &u64| Member { id: id(*number), name: Some(format!("name-{number}")) };
        Members { partition: Partition::Aws, accounts: numbers.iter().map(member).collect() }
    }

    fn shown(plan: &TargetList) -> Vec<String> {
        plan.targets.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_accounts_of_the_organization_but_for_the_excluded() {
        let sources = sources(Vec::new(), &["eu-west-1", "us-east-1"], &[2]);
        let (places, warnings) = places(&sources, Some(&members(&[3, 2, 1])));
        let (plan, _) = plan(&places, &HashMap::new(), false, Shard::default());
        assert_eq!(
            shown(&plan),
            [
                "000000000001/eu-west-1",
                "000000000001/us-east-1",
                "000000000003/eu-west-1",
                "000000000003/us-east-1"
            ]
        );
        assert_eq!((warnings.len(), plan.pending), (0, 0));
        let account = &plan.targets[0].account;
        assert_eq!(account.name.as_deref(), Some("name-1"));
        assert_eq!(account.access.roles[0].arn.as_str(), "arn:aws:iam::000000000001:role/Reader");
    }

    #[test]
    fn an_account_that_is_listed_and_in_the_organization_is_polled_as_listed() {
        let sources = sources(vec![listed(1, &["sa-east-1"])], &["eu-west-1"], &[]);
        let (places, warnings) = places(&sources, Some(&members(&[1, 2])));
        let (plan, _) = plan(&places, &HashMap::new(), false, Shard::default());
        assert_eq!(shown(&plan), ["000000000001/sa-east-1", "000000000002/eu-west-1"]);
        assert_eq!(warnings, [Warning::ListedToo(id(1))]);
        assert_eq!(plan.targets[0].account.name.as_deref(), Some("name-1"), "it has no other");
    }

    #[test]
    fn until_the_regions_of_an_account_are_known() {
        let sources = sources(vec![listed(1, &["me-south-1", "eu-*"])], &[], &[]);
        let (places, _) = places(&sources, None);
        let with = |enabled| {
            let enabled = HashMap::from([(places[0].account.key(), enabled)]);
            plan(&places, &enabled, true, Shard::default())
        };
        let (pending, _) = with(Enabled::Pending);
        assert_eq!((shown(&pending), pending.pending), (vec!["000000000001/me-south-1".to_owned()], 2));
        let (unknown, _) = with(Enabled::Unknown);
        assert_eq!((unknown.targets.len(), unknown.pending), (1 + 5, 1), "the European ones that all have");
        let (known, _) =
            with(Enabled::Known(["eu-south-1", "us-east-1"].map(|name| name.parse().unwrap()).into()));
        assert_eq!(shown(&known), ["000000000001/me-south-1", "000000000001/eu-south-1"]);
    }

    #[test]
    fn a_wildcard_that_matches_nothing_anywhere_is_odd() {
        let sources = sources(vec![listed(1, &["eu-*", "mars-*"]), listed(2, &["eu-*", "af-*"])], &[], &[]);
        let (places, _) = places(&sources, None);
        let known = |name: &str| Enabled::Known([name.parse().unwrap()].into());
        let enabled = HashMap::from([
            (places[0].account.key(), known("us-east-1")),
            (places[1].account.key(), known("eu-west-1")),
        ]);
        let (_, warnings) = plan(&places, &enabled, false, Shard::default());
        assert_eq!(warnings, ["af-*", "mars-*"].map(|pattern| Warning::MatchesNothing(pattern.to_owned())));
    }

    fn entry() -> impl Strategy<Value = &'static str> {
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
        fn an_expansion_is_deterministic_free_of_duplicates_and_shared_out_whole(
            of_listed in proptest::collection::vec((0u64..6, proptest::collection::vec(entry(), 1..4)), 0..6),
            of_organization in proptest::collection::vec(entry(), 1..4),
            in_organization in proptest::collection::vec(0u64..12, 0..12),
            shards in 1u32..6,
        ) {
            let all = ["eu-west-1", "eu-west-2", "us-east-1", "us-east-2"].map(|name| name.parse().unwrap());
            let sources = sources(
                of_listed.iter().map(|(number, entries)| listed(*number, entries)).collect(),
                &of_organization,
                &[3],
            );
            let expand = |members: &Members, shard| {
                let (places, _) = places(&sources, Some(members));
                let enabled =
                    places.iter().map(|place| (place.account.key(), Enabled::Known(all.clone().into()))).collect();
                shown(&plan(&places, &enabled, false, shard).0)
            };
            let targets = expand(&members(&in_organization), Shard::default());
            let mut backwards = in_organization.clone();
            backwards.reverse();
            prop_assert_eq!(&expand(&members(&backwards), Shard::default()), &targets);
            let mut once = targets.clone();
            once.sort();
            once.dedup();
            prop_assert_eq!(once.len(), targets.len());
            let total = std::num::NonZeroU32::new(shards).unwrap();
            let mut together: Vec<String> = (0..shards)
                .flat_map(|index| expand(&members(&in_organization), Shard::new(index, total).unwrap()))
                .collect();
            together.sort();
            prop_assert_eq!(together, once);
        }
    }
}
