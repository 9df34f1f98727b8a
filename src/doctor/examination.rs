//! Turns what happened in a round into checks: for the host, the organization, and each account with its
//! regions, in the order in which the daemon goes.
//!
//! Whatever `once` calls incomplete is a failed check here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::access_chain::{AccessChain, Proof};
use super::check::{AccountLabel, Check, Outcome, Step, Subject};
use super::exchanges::{ClockDifference, ExchangeLog, Operation};
use crate::aws::Sessions;
use crate::discovery::Organization;
use crate::duration;
use crate::fleet::{Access, Account, AccountId, AccountKey, RegionLookup, Shard};
use crate::model::{Failure, Reason, SyncType, UnixSeconds};
use crate::snapshot::{ManagedNodes, Slot, Store};

/// AWS rejects a request whose signature is older than this, or as far in the future. (IAM user guide,
/// "Elements of an AWS API request signature".)
const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_mins(5);

/// What a round left behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Examination<'a> {
    pub(super) store: &'a Store,
    pub(super) sessions: &'a Sessions,
    pub(super) exchanges: &'a ExchangeLog,
    /// The organization whose accounts are polled.
    pub(super) organization: Option<&'a Organization>,
    pub(super) ready_after: Duration,
    pub(super) shard: Shard,
    pub(super) now: UnixSeconds,
}

/// An account with its targets and the lookup of its regions. An account that has several entries in the
/// configuration, with different credentials, has as many of these.
struct AccountResults {
    account: Arc<Account>,
    region_lookup: RegionLookup,
    slots: Vec<Arc<Slot>>,
}

type ResultsKey = (AccountKey, Access);

impl Examination<'_> {
    pub(super) fn checks(&self) -> Vec<Check> {
        let mut checks = vec![clock_check(self.exchanges.clock_difference())];
        if let Some(organization) = self.organization {
            self.check_organization(organization, &mut checks);
        }
        for results in self.results_by_account() {
            self.check_account(&results, &mut checks);
        }
        let is_polling = self.store.len() > 0;
        let has_failed = checks.iter().any(|check| check.failure().is_some());
        // It is normal for one of several shards to have no targets.
        if !is_polling && !has_failed && !self.shard.is_one_of_many() {
            let failure = Failure::new(
                Reason::Other,
                "no targets to poll; check `accounts`, `organization` and `regions`",
            );
            checks.push(Check::new(
                &Arc::new(Subject::Configuration),
                Step::Targets,
                Outcome::Failed(failure),
            ));
        }
        checks
    }

    fn check_organization(&self, organization: &Organization, checks: &mut Vec<Check>) {
        let failing = self.store.failing_lookups();
        let pending_regions = self
            .store
            .accounts()
            .iter()
            .filter(|account| account.region_lookup == RegionLookup::Pending)
            .count();
        let is_pending = self.store.pending_lookups() > pending_regions;
        let accounts_failure =
            failing.organization.clone().or_else(|| is_pending.then(|| self.not_in_time("no answer")));
        let administrator = &organization.administrator;
        let id = administrator.id.clone().or_else(|| account_of_caller(accounts_failure.as_ref()?));
        let label = id.map(|id| AccountLabel { id: id.to_string(), name: None });
        let subject = Arc::new(Subject::Organization(label));
        let works = accounts_failure.is_none();
        let failures: Vec<&Failure> = accounts_failure.iter().collect();
        let proof = Proof { works, failures: &failures, is_unidentified: false };
        let chain = AccessChain::of(administrator, &subject, self.sessions, self.exchanges, proof);
        let accounts_outcome = match &accounts_failure {
            None => Outcome::Passed(None),
            Some(failure) => chain.outcome_of_failure(failure),
        };
        let units_outcome = match &failing.units {
            _ if !works => Outcome::NotTested,
            None => Outcome::Passed(None),
            Some(failure) => Outcome::Failed(failure.clone()),
        };
        let operations: &[&str] = if organization.units.is_empty() {
            &["ListAccounts"]
        } else {
            &["ListAccountsForParent", "ListOrganizationalUnitsForParent"]
        };
        let requests = |operations: &[&str]| {
            let sent =
                |operation: &&str| chain.requests(self.exchanges, Operation::Other((*operation).to_owned()));
            operations.iter().find_map(sent)
        };
        checks.extend(chain.checks.iter().cloned());
        checks.push(chain.check(&subject, Step::ListAccounts, accounts_outcome, requests(operations)));
        if !organization.tracked_units.is_empty() || failing.units.is_some() {
            let requests = requests(&["ListOrganizationalUnitsForParent", "ListAccountsForParent"]);
            checks.push(chain.check(&subject, Step::ListUnits, units_outcome, requests));
        }
    }

    /// The accounts of which anything was to be called.
    fn results_by_account(&self) -> Vec<AccountResults> {
        let mut results: Vec<AccountResults> = Vec::new();
        let mut positions: HashMap<ResultsKey, usize> = HashMap::new();
        let mut position_of = |account: &Arc<Account>, results: &mut Vec<AccountResults>| {
            let key = (account.key(), account.access.clone());
            *positions.entry(key).or_insert_with(|| {
                let account = Arc::clone(account);
                results.push(AccountResults {
                    account,
                    region_lookup: RegionLookup::NotNeeded,
                    slots: Vec::new(),
                });
                results.len() - 1
            })
        };
        for polled in self.store.accounts().iter() {
            let position = position_of(&polled.account, &mut results);
            if let Some(results) = results.get_mut(position)
                && results.region_lookup == RegionLookup::NotNeeded
            {
                results.region_lookup = polled.region_lookup.clone();
            }
        }
        for slot in self.store.slots().iter() {
            let position = position_of(&slot.target().account, &mut results);
            if let Some(results) = results.get_mut(position) {
                results.slots.push(Arc::clone(slot));
            }
        }
        // The targets of the others are polled by other shards.
        results
            .retain(|results| !results.slots.is_empty() || results.region_lookup != RegionLookup::NotNeeded);
        results
    }

    fn check_account(&self, results: &AccountResults, checks: &mut Vec<Check>) {
        let AccountResults { account, region_lookup, slots } = results;
        let learned = slots.iter().find_map(|slot| slot.state().account.clone());
        let label = AccountLabel { id: account.display_id(learned.as_ref()), name: account.name.clone() };
        let subject = Arc::new(Subject::Account(label));

        let region_failure = match region_lookup {
            RegionLookup::Failed(failure) => Some(failure.clone()),
            RegionLookup::Pending => Some(self.not_in_time("no answer")),
            RegionLookup::NotNeeded | RegionLookup::Succeeded => None,
        };
        // `None` is the failure of a target that is up.
        let target_failures: Vec<Option<Failure>> = slots
            .iter()
            .map(|slot| match &slot.state().last {
                Some(last) => last.failure.clone(),
                None => Some(self.not_in_time("no result")),
            })
            .collect();
        let works = *region_lookup == RegionLookup::Succeeded || target_failures.iter().any(Option::is_none);
        let failures: Vec<&Failure> = target_failures.iter().flatten().chain(&region_failure).collect();
        let is_unidentified = account.id.is_none() && learned.is_none();
        let proof = Proof { works, failures: &failures, is_unidentified };
        let chain = AccessChain::of(account, &subject, self.sessions, self.exchanges, proof);

        let regions_check = (*region_lookup != RegionLookup::NotNeeded).then(|| {
            let outcome = match &region_failure {
                None => Outcome::Passed(None),
                Some(failure) => chain.outcome_of_failure(failure),
            };
            let requests = chain.requests(self.exchanges, Operation::Other("ListRegions".to_owned()));
            chain.check(&subject, Step::ListRegions, outcome, requests)
        });
        checks.extend(chain.checks.iter().cloned());
        checks.extend(regions_check);
        let mut by_region: Vec<(&Arc<Slot>, &Option<Failure>)> = slots.iter().zip(&target_failures).collect();
        by_region.sort_by_key(|(slot, _)| slot.target().region.clone());
        for (slot, failure) in by_region {
            self.check_target(&chain, &subject, slot, failure.as_ref(), checks);
            if account.managed_nodes_interval.is_some() {
                checks.push(self.managed_nodes_check(&chain, &subject, slot));
            }
        }
    }

    /// The lists of the two types are requested one after the other, and the second only if the first
    /// succeeded.
    fn check_target(
        &self,
        chain: &AccessChain,
        subject: &Arc<Subject>,
        slot: &Slot,
        failure: Option<&Failure>,
        checks: &mut Vec<Check>,
    ) {
        let region = &slot.target().region;
        let requests = |sync_type: &SyncType| {
            let (region, sync_type) = (region.to_string(), sync_type.as_str().to_owned());
            chain.requests(self.exchanges, Operation::ListSyncs { region, sync_type })
        };
        let requested: Vec<_> = SyncType::KNOWN.iter().map(requests).collect();
        let last_requested = requested.iter().rposition(Option::is_some).unwrap_or(0);
        for (position, (sync_type, requests)) in SyncType::KNOWN.iter().zip(requested).enumerate() {
            let outcome = match failure.map(|failure| chain.outcome_of_failure(failure)) {
                None => Outcome::Passed(None),
                Some(Outcome::NotTested) => Outcome::NotTested,
                Some(_) if position < last_requested => Outcome::Passed(None),
                Some(failed) if position == last_requested => failed,
                Some(_) => Outcome::NotTested,
            };
            let check = chain.check(subject, Step::ListSyncs(sync_type.clone()), outcome, requests);
            checks.push(Check { region: Some(region.clone()), ..check });
        }
    }

    /// The check of a target's managed-node lookup, which is not made while the target is down.
    fn managed_nodes_check(&self, chain: &AccessChain, subject: &Arc<Subject>, slot: &Slot) -> Check {
        let region = slot.target().region.clone();
        let passed = |found: &str| Outcome::Passed(Some(found.to_owned()));
        let outcome = match self.store.view(slot, self.now).managed_nodes() {
            _ if !slot.state().allows_lookups() => Outcome::NotTested,
            None => Outcome::NotTested,
            Some(ManagedNodes::Pending) => Outcome::Failed(self.not_in_time("no result")),
            Some(ManagedNodes::Unknown(failure)) => chain.outcome_of_failure(failure),
            Some(ManagedNodes::Present) => passed("managed nodes are present"),
            Some(ManagedNodes::Absent) => passed("no managed nodes here"),
        };
        let operation = Operation::ListManagedNodes { region: region.to_string() };
        let requests = chain.requests(self.exchanges, operation);
        Check { region: Some(region), ..chain.check(subject, Step::ListManagedNodes, outcome, requests) }
    }

    fn not_in_time(&self, what: &str) -> Failure {
        let ready_after = duration::format(self.ready_after);
        Failure::new(Reason::Timeout, format!("{what} within {ready_after} (`ready_after`)"))
    }
}

/// The account of the caller that AWS names in a denial.
fn account_of_caller(failure: &Failure) -> Option<AccountId> {
    let principal = failure.denial.as_ref()?.principal.as_deref()?;
    principal.split(':').nth(4)?.parse().ok()
}

fn clock_check(difference: Option<ClockDifference>) -> Check {
    let outcome = match difference {
        None => Outcome::NotTested,
        Some(difference) => {
            let text = describe_difference(&difference);
            if difference.seconds.abs() > MAX_CLOCK_DIFFERENCE.as_secs_f64() {
                Outcome::Failed(Failure::new(Reason::Credentials, text))
            } else {
                Outcome::Passed(Some(text))
            }
        }
    };
    Check::new(&Arc::new(Subject::Host), Step::Clock, outcome)
}

/// How far the clock is off, and how AWS was asked.
fn describe_difference(ClockDifference { seconds, endpoint, .. }: &ClockDifference) -> String {
    let distance = Duration::try_from_secs_f64(seconds.abs().round()).unwrap_or(Duration::MAX);
    let relation = match seconds {
        _ if distance < Duration::from_secs(1) => "less than a second from".to_owned(),
        0.0.. => format!("{} ahead of", duration::format(distance)),
        _ => format!("{} behind", duration::format(distance)),
    };
    format!("{relation} AWS, by the `Date` of a response from {endpoint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_by_more_than_five_minutes_is_wrong() {
        for (seconds, text, is_wrong) in [
            (0.4, "less than a second from", false),
            (-0.4, "less than a second from", false),
            (1.2, "1s ahead of", false),
            (-299.0, "4m 59s behind", false),
            (301.0, "5m 1s ahead of", true),
            (-90_000.0, "1d 1h behind", true),
            (f64::INFINITY, "213503982334601d ahead of", true),
        ] {
            let endpoint = "sts.amazonaws.com:443";
            let check = clock_check(Some(ClockDifference::of(seconds, endpoint)));
            let expected = format!("{text} AWS, by the `Date` of a response from {endpoint}");
            assert_eq!((check.message(), check.failure().is_some()), (Some(expected.as_str()), is_wrong));
        }
        assert!(matches!(clock_check(None).outcome, Outcome::NotTested));
    }
}
