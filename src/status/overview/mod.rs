//! The contents of the page: the health of all targets and syncs at one point in time, and
//! the lists that a query selects. This module does not know HTML.

mod failures;
mod selection;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::query::{HealthFilter, PageQuery};
use crate::fleet::{FailingLookups, RegionName};
use crate::health::{AssessedSync, AssessedTarget, Concern, ConcernKind, Health, HealthCounts, HealthPolicy};
use crate::model::{Failure, Reason, UnixSeconds};
use crate::snapshot::Store;
pub(super) use failures::{FailureGroup, FailuresForReason, GroupKey};
use selection::Selection;

/// All targets at one point in time.
#[derive(Debug)]
pub(super) struct FleetOverview {
    pub(super) now: UnixSeconds,
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
}

impl TargetRow {
    fn new(assessed: AssessedTarget) -> Self {
        let (account, concerns) = (assessed.display_id(), assessed.concerns());
        Self { account, sync_counts: assessed.sync_counts(), concerns, assessed }
    }

    pub(super) fn health(&self) -> Health {
        self.assessed.health
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
}

/// A sync with its target and its health.
#[derive(Clone, Copy, Debug)]
pub(super) struct SyncRow<'a> {
    pub(super) target: &'a TargetRow,
    pub(super) assessed: AssessedSync<'a>,
}

/// An account in the grid, with its targets.
#[derive(Debug)]
pub(super) struct AccountRow<'a> {
    pub(super) account: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) targets: BTreeMap<&'a RegionName, &'a TargetRow>,
}

impl AccountRow<'_> {
    fn worst(&self) -> Option<Health> {
        self.targets.values().map(|target| target.health()).min()
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
    pub(super) fn new(store: &Store, policy: &HealthPolicy, now: UnixSeconds) -> Self {
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
        for target in &targets {
            target_counts.add(target.health());
            sync_counts.merge(&target.sync_counts);
            let kinds: BTreeSet<ConcernKind> = target.concerns.iter().map(|concern| concern.kind).collect();
            for kind in kinds {
                *concern_counts.entry(kind).or_default() += 1;
            }
        }
        let regions = targets.iter().map(|target| target.region().clone()).collect();
        Self {
            now,
            pending_lookups,
            failing_lookups,
            targets,
            target_counts,
            sync_counts,
            concern_counts,
            regions,
        }
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
        let selection = Selection::new(query);
        let mut targets: Vec<&TargetRow> =
            self.in_scope(&selection).filter(|target| selection.target(target)).collect();
        targets.sort_by_key(|target| target.health());
        targets
    }

    /// The targets that the query selects, and those of which it selects a sync; each with the indices
    /// of its selected syncs. Without this second kind, `status=stale` would not find the stale syncs
    /// of a target that has a failed one as well.
    pub(super) fn into_selected(self, query: &PageQuery) -> Vec<(AssessedTarget, Vec<usize>)> {
        let selection = Selection::new(query);
        let select = |row: TargetRow| {
            if !selection.account(&row.account, row.account_name())
                || !selection.region(&row)
                || !selection.reason(&row)
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
        let selection = Selection::new(query);
        let filter = if query.has_filter() { query.health } else { Some(HealthFilter::AnyProblem) };
        let mut rows = Vec::new();
        for target in self.in_scope(&selection).filter(|target| selection.reason(target)) {
            for (index, assessed) in target.assessed.syncs().enumerate() {
                if selection.sync(filter, target, index, &assessed) {
                    rows.push(SyncRow { target, assessed });
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
        let selection = Selection::new(query);
        let mut by_reason: BTreeMap<Reason, Vec<(&TargetRow, &Failure)>> = BTreeMap::new();
        for target in self.in_scope(&selection).filter(|target| selection.reason(target)) {
            if let Some(failure) = target.failure().filter(|failure| selection.finds_failure(failure)) {
                by_reason.entry(failure.reason).or_default().push((target, failure));
            }
        }
        let mut failures: Vec<FailuresForReason<'_>> =
            by_reason.into_iter().map(|(reason, targets)| FailuresForReason::new(reason, &targets)).collect();
        failures.sort_by_key(|failures| (Reverse(failures.target_count), failures.reason));
        failures
    }

    /// The accounts with a target that the query selects. A row has all targets of the
    /// account in the selected regions, whatever their health.
    pub(super) fn grid(&self, query: &PageQuery) -> AccountGrid<'_> {
        let selection = Selection::new(query);
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
mod tests {
    use super::super::tests::{NOW, account, failed, store, sync, target};
    use super::*;
    use crate::model::{DataSync, Destination, SyncStatus};

    /// Two accounts in two regions. The first has a failed and two stale syncs, and is down
    /// in us-east-1. The second is healthy, and not collected yet in us-east-1.
    fn overview() -> FleetOverview {
        let (one, two) = (account(1, Some("Production")), account(2, None));
        let bad = DataSync { last_status: Some(SyncStatus::Failed), ..sync("bad", Some(NOW - 60.0)) };
        let old = sync("old", Some(NOW - 9e5));
        let older = sync("older", Some(NOW - 1e6));
        let store = store(vec![
            (target(&two, "eu-west-1"), Some(Ok(vec![sync("good", Some(NOW))]))),
            (target(&two, "us-east-1"), None),
            (target(&one, "eu-west-1"), Some(Ok(vec![sync("fine", Some(NOW)), old, bad, older]))),
            (target(&one, "us-east-1"), Some(Err(failed(Reason::ScpDenied)))),
        ]);
        FleetOverview::new(&store, &HealthPolicy::default(), NOW)
    }

    fn names(overview: &FleetOverview, query: &str) -> Vec<String> {
        let query = PageQuery::parse(query);
        overview.syncs(&query).iter().map(|row| row.assessed.sync.name.clone()).collect()
    }

    fn target_names(overview: &FleetOverview, query: &str) -> Vec<String> {
        let query = PageQuery::parse(query);
        let name = |target: &&TargetRow| format!("{} {}", &target.account[11..], target.region());
        overview.targets(&query).iter().map(name).collect()
    }

    #[test]
    fn targets_and_syncs_are_counted_by_health() {
        let overview = overview();
        let target_counts: Vec<usize> =
            Health::ALL.iter().map(|health| overview.target_counts.get(*health)).collect();
        assert_eq!(
            target_counts,
            [1, 1, 0, 0, 0, 0, 1, 1, 0],
            "one each is down, has a failed sync, is healthy, is not collected yet"
        );
        assert_eq!(Health::SYNC_VALUES.map(|health| overview.sync_counts.get(health)), [1, 0, 2, 0, 0, 2]);
    }

    #[test]
    fn syncs_are_sorted_by_health_and_age() {
        let overview = overview();
        assert_eq!(names(&overview, ""), ["bad", "older", "old"]);
        assert_eq!(names(&overview, "region=eu-west-1"), ["bad", "older", "old", "fine", "good"]);
    }

    #[test]
    fn filters_by_account_region_status_and_reason() {
        let overview = overview();
        assert_eq!(names(&overview, "account=pROD&status=stale"), ["older", "old"]);
        assert_eq!(names(&overview, "account=000000000002"), ["good"]);
        assert_eq!(names(&overview, "account=absent"), [""; 0]);
        assert_eq!(names(&overview, "region=sa-east-1"), [""; 0]);
        assert_eq!(names(&overview, "status=down"), [""; 0]);
        assert_eq!(names(&overview, "reason=scp_denied"), [""; 0]);
        assert_eq!(
            target_names(&overview, "status=trouble"),
            ["1 us-east-1", "1 eu-west-1"],
            "the target that is down comes first"
        );
        // Regression: the first target was listed as well, because it has a healthy sync among others.
        assert_eq!(target_names(&overview, "status=healthy"), ["2 eu-west-1"]);
        assert_eq!(names(&overview, "status=healthy"), ["fine", "good"]);
        assert_eq!(target_names(&overview, "status=failed"), ["1 eu-west-1"]);
        assert_eq!(target_names(&overview, "status=stale"), [""; 0], "its worst sync has failed");
        assert_eq!(target_names(&overview, "status=not_collected"), ["2 us-east-1"]);
        assert_eq!(target_names(&overview, "reason=scp_denied"), ["1 us-east-1"]);
    }

    #[test]
    fn the_search_finds_syncs_and_failures_of_targets() {
        let (one, two) = (account(1, None), account(2, None));
        let destination = Destination { bucket_name: Some("org-Éire".to_owned()), ..Destination::default() };
        let to_bucket = DataSync { destination: Some(destination), ..sync("to-bucket", Some(NOW)) };
        let message = Some("Access Denied".to_owned());
        let failed_sync = DataSync {
            last_status: Some(SyncStatus::Failed),
            last_status_message: message,
            ..sync("failing", Some(NOW))
        };
        let overview = FleetOverview::new(
            &store(vec![
                (target(&one, "eu-west-1"), Some(Ok(vec![to_bucket, failed_sync]))),
                (target(&two, "eu-west-1"), Some(Err(failed(Reason::ScpDenied)))),
            ]),
            &HealthPolicy::default(),
            NOW,
        );
        let found =
            |query: &str| (names(&overview, query).join(" "), target_names(&overview, query).join(" "));
        let result = |syncs: &str, targets: &str| (syncs.to_owned(), targets.to_owned());
        assert_eq!(found("q=TO-B"), result("to-bucket", "1 eu-west-1"));
        assert_eq!(found("q=org-%C3%A9IRE"), result("to-bucket", "1 eu-west-1"), "its bucket");
        assert_eq!(found("q=access+denied"), result("failing", "1 eu-west-1"), "its message");
        assert_eq!(found("q=scp_DENIED"), result("", "2 eu-west-1"), "the reason of the target");
        assert_eq!(found("q=Message+about"), result("", "2 eu-west-1"), "the message of the target");
        assert_eq!(found("q=denied&status=failed"), result("failing", "1 eu-west-1"));
        assert_eq!(found("q=to-bucket&status=failed"), result("", "1 eu-west-1"), "it has a failed sync too");
        assert_eq!(found("q=denied&account=000000000002"), result("", "2 eu-west-1"));
        assert_eq!(found("q=nowhere"), result("", ""));
        let failures = |query: &str| overview.failures(&PageQuery::parse(query)).len();
        assert_eq!((failures("q=scp"), failures("q=failing")), (1, 0));
    }

    #[test]
    fn a_used_up_quota_is_trouble_and_selects_the_syncs_that_use_it() {
        let (full, free) = (account(1, None), account(2, None));
        let syncs = |number: usize| (0..number).map(|index| sync(&index.to_string(), Some(NOW))).collect();
        let overview = FleetOverview::new(
            &store(vec![
                (target(&full, "eu-west-1"), Some(Ok(syncs(5)))),
                (target(&free, "eu-west-1"), Some(Ok(syncs(4)))),
            ]),
            &HealthPolicy::default(),
            NOW,
        );
        assert_eq!(overview.concern_counts[&ConcernKind::QuotaUsed], 1);
        for query in ["status=quota_used", "status=trouble"] {
            assert_eq!(target_names(&overview, query), ["1 eu-west-1"], "{query}");
        }
        assert_eq!(names(&overview, "status=quota_used").len(), 5);
        assert_eq!(names(&overview, "status=trouble").len(), 0, "none of the syncs has a problem");
        assert_eq!(target_names(&overview, "status=quota_nearly_used"), ["2 eu-west-1"]);
        assert_eq!(target_names(&overview, "status=healthy").len(), 2, "all syncs of both are healthy");
    }

    #[test]
    fn the_grid_has_all_targets_of_an_account_and_the_worst_account_first() {
        let overview = overview();
        let rows = |query: &str| {
            let query = PageQuery::parse(query);
            let grid = overview.grid(&query);
            let rows: Vec<_> =
                grid.rows.iter().map(|row| (row.account[11..].to_owned(), row.targets.len())).collect();
            (grid.regions.len(), rows)
        };
        let row = |account: &str, targets| (account.to_owned(), targets);
        assert_eq!(rows(""), (2, vec![row("1", 2), row("2", 2)]));
        assert_eq!(rows("region=us-east-1"), (1, vec![row("1", 1), row("2", 1)]));
        assert_eq!(rows("status=not_collected"), (2, vec![row("2", 2)]));
        assert_eq!(rows("status=no_syncs"), (0, Vec::new()));
    }

    #[test]
    fn failures_are_grouped_by_region_or_account_whichever_gives_fewer_groups() {
        let accounts: Vec<_> = (1..=9).map(|number| account(number, None)).collect();
        let region_disabled =
            |account| (target(account, "us-east-1"), Some(Err(failed(Reason::RegionDisabled))));
        let mut targets: Vec<_> = accounts.iter().map(region_disabled).collect();
        for region in ["eu-west-1", "eu-west-2", "us-east-1"] {
            let denied = account(77, Some("denied"));
            targets.push((target(&denied, region), Some(Err(failed(Reason::AssumeRoleDenied)))));
        }
        let overview = FleetOverview::new(&store(targets), &HealthPolicy::default(), NOW);
        let query = PageQuery::default();
        let failures = overview.failures(&query);
        let summary: Vec<_> = failures
            .iter()
            .map(|failures| (failures.reason, failures.target_count, failures.groups.len()))
            .collect();
        assert_eq!(summary, [(Reason::RegionDisabled, 9, 1), (Reason::AssumeRoleDenied, 3, 1)]);
        assert_eq!(failures[0].groups[0].key, GroupKey::Region(&"us-east-1".parse().unwrap()));
        let denied = GroupKey::Account { account: "000000000077", name: Some("denied") };
        assert_eq!(failures[1].groups[0].key, denied);
        assert_eq!(overview.failures(&PageQuery::parse("status=healthy")).len(), 0);
        assert_eq!(overview.failures(&PageQuery::parse("status=down&account=denied")).len(), 1);
    }

    #[test]
    fn an_account_without_an_id_is_found_by_its_profile() {
        let account = std::sync::Arc::new(crate::fleet::Account {
            access: crate::fleet::Access { profile: Some("Prod".to_owned()), ..Default::default() },
            ..Default::default()
        });
        let overview = FleetOverview::new(
            &store(vec![(target(&account, "eu-west-1"), None)]),
            &HealthPolicy::default(),
            NOW,
        );
        assert_eq!(overview.targets[0].account, "unknown (profile Prod)");
        assert_eq!(overview.targets(&PageQuery::parse("account=unknown+(profile+prod)")).len(), 1);
    }
}
