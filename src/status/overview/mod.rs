//! The contents of the page: the health of all targets and syncs at one point in time, and
//! the lists that a query selects. This module does not know HTML.

mod failures;
mod selection;
mod violations;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::managed_nodes::ManagedNodeCounts;
use super::query::{HealthFilter, PageQuery};
use crate::expectations::ExpectationTotals;
use crate::fleet::{FailingLookups, RegionName};
use crate::health::{AssessedSync, AssessedTarget, Concern, ConcernKind, Health, HealthCounts, HealthPolicy};
use crate::model::{Failure, Reason, UnixSeconds};
use crate::snapshot::{ManagedNodes, Store};
pub(super) use failures::{FailureGroup, FailuresForReason, GroupKey};
use selection::Selection;
pub(super) use violations::{ExpectationRow, ViolationRow};

/// All targets at one point in time.
#[derive(Debug)]
pub(super) struct FleetOverview {
    pub(super) now: UnixSeconds,
    /// What all targets were judged by.
    pub(super) policy: Arc<HealthPolicy>,
    /// The number of discovery lookups without a first result, each of which may add targets.
    pub(super) pending_lookups: usize,
    /// The discovery lookups whose last attempt failed. Targets may be missing because of them.
    pub(super) failing_lookups: Arc<FailingLookups>,
    /// Sorted by account and region.
    pub(super) targets: Vec<TargetRow>,
    pub(super) target_counts: HealthCounts,
    pub(super) sync_counts: HealthCounts,
    /// How many targets have a concern of each kind; kinds without any are left out.
    pub(super) concern_counts: BTreeMap<ConcernKind, usize>,
    /// How many targets violate an expectation.
    pub(super) not_as_expected: usize,
    expectation_totals: ExpectationTotals,
    /// The number of targets by the state of their managed nodes. `None` if lookups are not enabled.
    pub(super) managed_nodes: Option<ManagedNodeCounts>,
    /// The regions of all targets.
    pub(super) regions: BTreeSet<RegionName>,
}

/// A target with its health.
#[derive(Debug)]
pub(super) struct TargetRow {
    pub(super) assessed: AssessedTarget,
    /// The account id, or `unknown` with the profile, see [`crate::fleet::Account::display_id`].
    pub(super) account: String,
    /// All zero if the target's syncs are not known.
    pub(super) sync_counts: HealthCounts,
    /// What needs attention although nothing is broken.
    pub(super) concerns: Vec<Concern>,
    /// Whether the target violates an expectation.
    pub(super) is_violated: bool,
}

impl TargetRow {
    fn new(assessed: AssessedTarget) -> Self {
        Self {
            account: assessed.display_id(),
            sync_counts: assessed.sync_counts(),
            concerns: assessed.concerns(),
            is_violated: assessed.is_violated(),
            assessed,
        }
    }

    pub(super) fn health(&self) -> Health {
        self.assessed.health
    }

    /// Whether a quota of the target is used up.
    pub(super) fn has_used_up_quota(&self) -> bool {
        self.concerns.iter().any(|concern| concern.kind.is_trouble())
    }

    /// Whether an operator has to act.
    fn is_in_trouble(&self) -> bool {
        self.health().is_problem() || self.is_violated || self.has_used_up_quota()
    }

    /// Whether the sync with this index violates an expectation.
    fn is_violated_by(&self, sync: usize) -> bool {
        self.assessed.is_violated_by(sync)
    }

    fn urgency(&self) -> Urgency {
        let class = match self.health() {
            health if health.is_problem() => 0,
            _ if self.is_violated => 1,
            _ if self.has_used_up_quota() => 2,
            _ => 3,
        };
        (class, self.health())
    }

    pub(super) fn region(&self) -> &RegionName {
        &self.assessed.target().region
    }

    pub(super) fn account_name(&self) -> Option<&str> {
        self.assessed.target().account.name.as_deref()
    }

    /// Why the last collection failed. `None` if it succeeded, or if there has been none.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.assessed.state().last.as_ref()?.failure.as_ref()
    }

    /// Why the last managed-node lookup failed. `None` if it succeeded, or if there has been none.
    pub(super) fn node_failure(&self) -> Option<&Failure> {
        match self.assessed.managed_nodes()? {
            ManagedNodes::Unknown(failure) => Some(failure),
            _ => None,
        }
    }
}

/// Sorts targets: those with problems come first, then those that violate an expectation, then those
/// with a used-up quota.
type Urgency = (u8, Health);

/// A sync with its target and its health.
#[derive(Clone, Copy, Debug)]
pub(super) struct SyncRow<'a> {
    pub(super) target: &'a TargetRow,
    pub(super) assessed: AssessedSync<'a>,
    /// Whether the sync violates an expectation.
    pub(super) is_violated: bool,
}

/// An account in the grid, with its targets.
#[derive(Debug)]
pub(super) struct AccountRow<'a> {
    pub(super) account: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) targets: BTreeMap<&'a RegionName, &'a TargetRow>,
}

impl AccountRow<'_> {
    fn worst(&self) -> Option<Urgency> {
        self.targets.values().map(|target| target.urgency()).min()
    }
}

/// The grid of accounts and regions.
#[derive(Debug)]
pub(super) struct AccountGrid<'a> {
    /// The regions of all rows, sorted by name.
    pub(super) regions: Vec<&'a RegionName>,
    /// Worst health first.
    pub(super) rows: Vec<AccountRow<'a>>,
}

impl FleetOverview {
    pub(super) fn new(store: &Store, policy: &Arc<HealthPolicy>, now: UnixSeconds) -> Self {
        // Read before the slots: a lookup that ends in between still counts as pending
        // although its targets are listed. In the other order, a page could show neither
        // the lookup nor its targets.
        let (pending_lookups, failing_lookups) = (store.pending_lookups(), store.failing_lookups());
        let slots = store.slots();
        let mut targets: Vec<TargetRow> = slots
            .iter()
            .map(|slot| TargetRow::new(AssessedTarget::of_slot(store, slot, policy, now)))
            .collect();
        targets.sort_by(|one, other| {
            one.account.cmp(&other.account).then_with(|| one.region().cmp(other.region()))
        });
        let (mut target_counts, mut sync_counts) = (HealthCounts::default(), HealthCounts::default());
        let mut concern_counts: BTreeMap<ConcernKind, usize> = BTreeMap::new();
        let mut expectation_totals = ExpectationTotals::new(policy.expectations.len());
        for target in &targets {
            target_counts.add(target.health());
            sync_counts.merge(&target.sync_counts);
            expectation_totals.add(target.assessed.judgements());
            for (index, Concern { kind, .. }) in target.concerns.iter().enumerate() {
                // A target counts once, however many concerns of the kind it has.
                if target.concerns[..index].iter().all(|earlier| earlier.kind != *kind) {
                    *concern_counts.entry(*kind).or_default() += 1;
                }
            }
        }
        let regions = targets.iter().map(|target| target.region().clone()).collect();
        let managed_nodes = ManagedNodeCounts::of(targets.iter().map(|target| &target.assessed));
        Self {
            now,
            policy: Arc::clone(policy),
            not_as_expected: targets.iter().filter(|target| target.is_violated).count(),
            expectation_totals,
            pending_lookups,
            failing_lookups,
            targets,
            target_counts,
            sync_counts,
            concern_counts,
            managed_nodes,
            regions,
        }
    }

    fn selection<'q>(&'q self, query: &'q PageQuery) -> Selection<'q> {
        Selection::new(query, &self.policy.expectations)
    }

    /// The targets that the query's account and region select, whatever their health.
    fn in_scope<'a, 'q>(
        &'a self,
        selection: &'q Selection<'q>,
    ) -> impl Iterator<Item = &'a TargetRow> + use<'a, 'q> {
        // The targets are sorted by account, so each account is compared only once.
        let mut previous = None;
        self.targets.iter().filter(move |target| {
            let account = (target.account.as_str(), target.account_name());
            let account_matches = match previous {
                Some((previous_account, matches)) if previous_account == account => matches,
                _ => {
                    let matches = selection.account(account.0, account.1);
                    previous = Some((account, matches));
                    matches
                }
            };
            account_matches && selection.region(target)
        })
    }

    /// The targets that the query selects, worst first.
    pub(super) fn targets(&self, query: &PageQuery) -> Vec<&TargetRow> {
        let selection = self.selection(query);
        let mut targets: Vec<&TargetRow> =
            self.in_scope(&selection).filter(|target| selection.target(target)).collect();
        targets.sort_by_key(|target| target.urgency());
        targets
    }

    /// The targets that the query selects, and those of which it selects a sync; each with the indices
    /// of its selected syncs. Without this second kind, `status=stale` would not find the stale syncs
    /// of a target that has a failed one as well.
    pub(super) fn into_selected(self, query: &PageQuery) -> Vec<(AssessedTarget, Vec<usize>)> {
        let selection = Selection::new(query, &self.policy.expectations);
        let select = |row: TargetRow| {
            if !selection.account(&row.account, row.account_name())
                || !selection.region(&row)
                || !selection.reason(&row)
                || !selection.expectation(&row)
            {
                return None;
            }
            let syncs = row.assessed.syncs().enumerate();
            let selected_syncs: Vec<usize> = syncs
                .filter(|(index, sync)| selection.sync(query.health, &row, *index, sync))
                .map(|(index, _)| index)
                .collect();
            let is_selected = !selected_syncs.is_empty() || selection.target(&row);
            is_selected.then_some((row.assessed, selected_syncs))
        };
        self.targets.into_iter().filter_map(select).collect()
    }

    /// The syncs that the query selects, worst first, then by oldest last success. Without
    /// a filter, all syncs with problems.
    pub(super) fn syncs(&self, query: &PageQuery) -> Vec<SyncRow<'_>> {
        let selection = self.selection(query);
        let filter = if query.has_filter() { query.health } else { Some(HealthFilter::AnyProblem) };
        let mut rows = Vec::new();
        let is_selected = |target: &&TargetRow| selection.reason(target) && selection.expectation(target);
        for target in self.in_scope(&selection).filter(is_selected) {
            for (index, assessed) in target.assessed.syncs().enumerate() {
                if selection.sync(filter, target, index, &assessed) {
                    rows.push(SyncRow { target, assessed, is_violated: target.is_violated_by(index) });
                }
            }
        }
        rows.sort_by(|one, other| {
            let success = |row: &SyncRow| row.assessed.sync.last_successful_sync.unwrap_or(f64::NEG_INFINITY);
            let health = one.assessed.health.cmp(&other.assessed.health);
            health.then_with(|| success(one).total_cmp(&success(other)))
        });
        rows
    }

    /// The targets that the query selects and that are down, most frequent reason first.
    pub(super) fn failures(&self, query: &PageQuery) -> Vec<FailuresForReason<'_>> {
        let includes_down = [None, Some(HealthFilter::AnyProblem), Some(HealthFilter::Only(Health::Down))];
        if !includes_down.contains(&query.health) {
            return Vec::new();
        }
        self.failures_of(query, TargetRow::failure)
    }

    /// The targets that the query selects and whose managed-node lookup failed, most frequent reason first.
    pub(super) fn node_failures(&self, query: &PageQuery) -> Vec<FailuresForReason<'_>> {
        if ![None, Some(HealthFilter::ManagedNodesUnknown)].contains(&query.health) {
            return Vec::new();
        }
        self.failures_of(query, TargetRow::node_failure)
    }

    fn failures_of<'a>(
        &'a self,
        query: &PageQuery,
        failure_of: impl Fn(&'a TargetRow) -> Option<&'a Failure>,
    ) -> Vec<FailuresForReason<'a>> {
        let selection = self.selection(query);
        let mut by_reason: BTreeMap<Reason, Vec<(&TargetRow, &Failure)>> = BTreeMap::new();
        let is_selected = |target: &&TargetRow| selection.reason(target) && selection.expectation(target);
        for target in self.in_scope(&selection).filter(is_selected) {
            if let Some(failure) = failure_of(target).filter(|failure| selection.finds_failure(failure)) {
                by_reason.entry(failure.reason).or_default().push((target, failure));
            }
        }
        let mut failures: Vec<FailuresForReason<'_>> =
            by_reason.into_iter().map(|(reason, targets)| FailuresForReason::new(reason, &targets)).collect();
        failures.sort_by_key(|failures| (Reverse(failures.target_count), failures.reason));
        failures
    }

    /// The concerns of a kind about the targets that the query selects, by account and region.
    pub(super) fn concerns(&self, query: &PageQuery, kind: ConcernKind) -> Vec<(&TargetRow, &Concern)> {
        let selection = self.selection(query);
        if !self.concern_counts.contains_key(&kind) {
            return Vec::new();
        }
        let mut concerns = Vec::new();
        for target in self.in_scope(&selection) {
            let mut of_kind = target.concerns.iter().filter(|concern| concern.kind == kind).peekable();
            if of_kind.peek().is_some() && selection.target(target) {
                concerns.extend(of_kind.map(|concern| (target, concern)));
            }
        }
        concerns
    }

    /// How many syncs are in trouble, and how many targets, by each kind of trouble.
    pub(super) fn troubles(&self) -> usize {
        let concerns = self.concern_counts.iter().filter(|(kind, _)| kind.is_trouble());
        self.sync_counts.problems()
            + self.target_counts.get(Health::Down)
            + self.not_as_expected
            + concerns.map(|(_, targets)| targets).sum::<usize>()
    }

    /// When the targets that are up were collected, at the earliest.
    pub(super) fn oldest_success(&self) -> Option<UnixSeconds> {
        let up = self.targets.iter().filter(|target| target.assessed.up() == Some(true));
        up.filter_map(|target| target.assessed.state().last_success).min_by(f64::total_cmp)
    }

    /// The accounts with a target that the query selects. A row has all targets of the
    /// account in the selected regions, whatever their health.
    pub(super) fn grid(&self, query: &PageQuery) -> AccountGrid<'_> {
        let selection = self.selection(query);
        let mut rows: BTreeMap<&str, (AccountRow<'_>, bool)> = BTreeMap::new();
        for target in self.in_scope(&selection) {
            let new_row =
                || (AccountRow { account: &target.account, name: None, targets: BTreeMap::new() }, false);
            let (row, is_selected) = rows.entry(&target.account).or_insert_with(new_row);
            row.name = row.name.or(target.account_name());
            row.targets.insert(target.region(), target);
            *is_selected = *is_selected || selection.target(target);
        }
        let mut rows: Vec<AccountRow<'_>> =
            rows.into_values().filter_map(|(row, is_selected)| is_selected.then_some(row)).collect();
        rows.sort_by_key(|row| (row.worst(), row.account));
        let regions: BTreeSet<&RegionName> =
            rows.iter().flat_map(|row| row.targets.keys().copied()).collect();
        AccountGrid { regions: regions.into_iter().collect(), rows }
    }
}

#[cfg(test)]
mod tests;
