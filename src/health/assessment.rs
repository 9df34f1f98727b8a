//! The health of a target and its syncs at one point in time.

use std::time::Duration;

use super::concern::{self, Concern};
use super::policy::{HealthPolicy, SyncLimits};
use super::sync_health::{Times, depends_on_nodes, health_of};
use super::{FailureCause, Health, HealthCounts};
use crate::expectations::{Expectation, ExpectationState, Judgement, ObservedTarget, TextPattern, judge};
use crate::fleet::Target;
use crate::model::{DataSync, Quota, SourceState, UNIFIED_CONSOLE_SYNC, UnixSeconds};
use crate::snapshot::{ManagedNodes, Slot, Store, TargetState, TargetView};

/// A target as served at a given time, with the health of the target and of its syncs.
#[derive(Debug)]
pub(crate) struct AssessedTarget {
    view: TargetView,
    pub(crate) health: Health,
    /// In the order of the view's syncs.
    syncs: Box<[SyncHealth]>,
    judgements: Box<[Judgement]>,
    /// Whether an expectation requires the sync of the unified console, and it is missing.
    lacks_console_sync: bool,
    quota: Quota,
    /// Until when the health stays the same if the target is not collected again.
    unchanged_until: UnixSeconds,
}

/// The health of a sync, and the limits that it was judged by.
#[derive(Clone, Copy, Debug)]
struct SyncHealth {
    health: Health,
    limits: SyncLimits,
}

/// A sync with its health.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AssessedSync<'a> {
    pub(crate) sync: &'a DataSync,
    pub(crate) health: Health,
    /// How old the last success may be.
    pub(crate) max_success_age: Duration,
    /// How long a run may be in progress.
    pub(crate) max_run_time: Duration,
    /// Whether there are managed nodes. `None` if the health of the sync does not depend on them.
    pub(crate) managed_nodes: Option<ManagedNodes<'a>>,
    /// When the last lookup that found no managed nodes ended. `None` if no lookup did, or if the health
    /// of the sync does not depend on managed nodes.
    pub(crate) idle_until: Option<UnixSeconds>,
}

impl AssessedTarget {
    /// Assesses the target in `slot` as served at `now`.
    pub(crate) fn of_slot(store: &Store, slot: &Slot, policy: &HealthPolicy, now: UnixSeconds) -> Self {
        Self::new(store.view(slot, now), policy, now)
    }

    /// Assesses `view`, which must be a view at `now`.
    pub(crate) fn new(view: TargetView, policy: &HealthPolicy, now: UnixSeconds) -> Self {
        let served = view.syncs().unwrap_or_default();
        let target_policy = policy.for_target(view.target(), view.state.account.as_ref());
        // A run may have ended since the last good collection of a target that is down, so no
        // further run becomes stuck.
        let runs_known_at = match view.state.last_success {
            Some(last_success) if view.up() == Some(false) => last_success.min(now),
            _ => now,
        };
        let mut unchanged_until = UnixSeconds::INFINITY;
        let syncs: Box<[SyncHealth]> = served
            .iter()
            .map(|sync| {
                let limits = target_policy.limits(sync);
                let idle_until = match depends_on_nodes(sync, limits).then(|| view.managed_nodes()).flatten()
                {
                    None => UnixSeconds::NEG_INFINITY,
                    Some(ManagedNodes::Absent) => UnixSeconds::INFINITY,
                    Some(_) => view.state.nodes.last_absent.unwrap_or(UnixSeconds::NEG_INFINITY),
                };
                let times = Times { now, runs_known_at, idle_until };
                let (health, changes_after) = health_of(sync, limits, times);
                unchanged_until = unchanged_until.min(changes_after);
                SyncHealth { health, limits }
            })
            .collect();
        let observed = observed(&view);
        let judgements: Box<[Judgement]> = (0..)
            .zip(&policy.expectations)
            .filter_map(|(index, expectation)| judge(index, expectation, &observed))
            .collect();
        let lacks_console_sync = lacks_sync(&judgements, &policy.expectations, UNIFIED_CONSOLE_SYNC);
        let health = match view.up() {
            None => Health::NotCollected,
            Some(false) => Health::Down,
            Some(true) => syncs.iter().map(|sync| sync.health).min().unwrap_or(Health::NoSyncs),
        };
        let quota = policy.quota;
        Self { view, health, syncs, judgements, lacks_console_sync, quota, unchanged_until }
    }

    /// Whether this assessment may still be used for `slot` at `now`: nothing has been collected
    /// since, and no health has changed with time.
    pub(crate) fn is_current(&self, slot: &Slot, now: UnixSeconds) -> bool {
        now <= self.unchanged_until && self.view.is_current(slot, now)
    }

    pub(crate) fn target(&self) -> &Target {
        self.view.target()
    }

    pub(crate) fn state(&self) -> &TargetState {
        &self.view.state
    }

    /// Whether the last collection succeeded; `None` before the first has ended.
    pub(crate) fn up(&self) -> Option<bool> {
        self.view.up()
    }

    /// Whether the syncs of a good collection are served, be it that there are none.
    pub(crate) fn knows_syncs(&self) -> bool {
        self.view.syncs().is_some()
    }

    /// Whether there are managed nodes. `None` if lookups are not enabled for the target.
    pub(crate) fn managed_nodes(&self) -> Option<ManagedNodes<'_>> {
        self.view.managed_nodes()
    }

    /// The syncs that are served, see [`TargetView::syncs`].
    pub(crate) fn syncs(&self) -> impl ExactSizeIterator<Item = AssessedSync<'_>> + Clone {
        let served = self.view.syncs().unwrap_or_default();
        served.iter().zip(&self.syncs).map(|(sync, health)| self.assessed_sync(sync, *health))
    }

    /// The sync with this index among [`syncs`](Self::syncs).
    pub(crate) fn sync(&self, index: usize) -> Option<AssessedSync<'_>> {
        let sync = self.view.syncs()?.get(index)?;
        Some(self.assessed_sync(sync, *self.syncs.get(index)?))
    }

    fn assessed_sync<'a>(
        &'a self,
        sync: &'a DataSync,
        SyncHealth { health, limits }: SyncHealth,
    ) -> AssessedSync<'a> {
        let SyncLimits { max_success_age, max_run_time, ignores_managed_nodes: _ } = limits;
        let managed_nodes = self.managed_nodes().filter(|_| depends_on_nodes(sync, limits));
        let idle_until = managed_nodes.and(self.state().nodes.last_absent);
        AssessedSync { sync, health, max_success_age, max_run_time, managed_nodes, idle_until }
    }

    /// How the target compares with each expectation that is about it, in the order of the
    /// expectations.
    pub(crate) fn judgements(&self) -> &[Judgement] {
        &self.judgements
    }

    /// Whether the target violates an expectation.
    pub(crate) fn is_violated(&self) -> bool {
        self.judgements.iter().any(|judgement| judgement.state.is_violation())
    }

    /// Whether the sync with this index among [`syncs`](Self::syncs) violates an expectation.
    pub(crate) fn is_violated_by(&self, sync: usize) -> bool {
        self.judgements.iter().any(|judgement| judgement.is_violated_by(sync))
    }

    /// What the expectations were compared with.
    pub(crate) fn observed(&self) -> ObservedTarget<'_> {
        observed(&self.view)
    }

    /// What needs attention although nothing is broken.
    pub(crate) fn concerns(&self) -> Vec<Concern> {
        let mut concerns = concern::of_syncs(self.view.syncs().unwrap_or_default(), self.quota);
        if self.lacks_console_sync && self.managed_nodes() == Some(ManagedNodes::Present) {
            concerns.push(Concern::unified_console_sync_missing());
        }
        concerns
    }

    /// The syncs by their health. All zero if they are not known.
    pub(crate) fn sync_counts(&self) -> HealthCounts {
        let mut counts = HealthCounts::default();
        for sync in &self.syncs {
            counts.add(sync.health);
        }
        counts
    }

    /// See [`TargetView::display_id`].
    pub(crate) fn display_id(&self) -> String {
        self.view.display_id()
    }

    /// Whether [`display_id`](Self::display_id) is the id of the account.
    pub(crate) fn has_account_id(&self) -> bool {
        self.state().account.is_some() || self.target().account.id.is_some()
    }
}

impl<'a> AssessedSync<'a> {
    /// The cause of the problem, as the label `cause` has it: for a failed sync, the
    /// [`FailureCause`]; for a source fault, the state that AWS reports.
    pub(crate) fn cause(&self) -> Option<&'a str> {
        match self.health {
            Health::Failed => Some(self.failure_cause().as_str()),
            Health::SourceFault => {
                self.sync.source.as_ref().and_then(|source| source.state.as_ref()).map(SourceState::as_str)
            }
            _ => None,
        }
    }

    /// The cause that the message of the last attempt tells.
    pub(crate) fn failure_cause(&self) -> FailureCause {
        FailureCause::of_sync(self.sync)
    }
}

/// Whether an expectation requires exactly the sync with this name, and it is missing.
fn lacks_sync(judgements: &[Judgement], expectations: &[Expectation], name: &str) -> bool {
    judgements.iter().filter(|judgement| judgement.state == ExpectationState::Missing).any(|judgement| {
        let expectation = expectations.get(judgement.expectation);
        let required = expectation.and_then(|expectation| expectation.request.single_name());
        required.is_some_and(|required| *required == TextPattern::literal(name))
    })
}

fn observed(view: &TargetView) -> ObservedTarget<'_> {
    ObservedTarget {
        target: view.target(),
        account_id: view.state.account.as_ref(),
        syncs: view.syncs(),
        has_unreadable_syncs: view.state.has_invalid_items,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::expectations::{ExpectedSync, Presence};
    use crate::fleet::{Account, TargetList, TargetSelector};
    use crate::health::HealthRule;
    use crate::health::tests::sync;
    use crate::model::{Failure, Reason, Source, SyncStatus, SyncType};
    use crate::snapshot::{NodeReport, Report};
    use crate::wildcard::Wildcard;

    const NOW: UnixSeconds = 1_763_800_000.0;
    const MINUTE: UnixSeconds = 60.0;
    const HOUR: UnixSeconds = 3600.0;
    const DAY: UnixSeconds = 86400.0;

    /// A store with one target that has `syncs`, collected at `NOW`.
    fn store_of(syncs: Vec<DataSync>) -> (Store, Arc<Slot>) {
        let store = Store::new(Duration::from_hours(24));
        let account = Account { id: Some("111122223333".parse().unwrap()), ..Account::default() };
        let target = Target { account: Arc::new(account), region: "eu-west-1".parse().unwrap() };
        let slots = store.set_targets(&TargetList { targets: vec![target], ..TargetList::default() });
        store.record(&slots[0], report(NOW, Ok(syncs)));
        (store, Arc::clone(&slots[0]))
    }

    fn report(ended: UnixSeconds, outcome: Result<Vec<DataSync>, Failure>) -> Report {
        Report { account: None, ended, took: Duration::from_secs(1), outcome, invalid_items: None }
    }

    fn assess(store: &Store, slot: &Slot, now: UnixSeconds) -> AssessedTarget {
        AssessedTarget::of_slot(store, slot, &HealthPolicy::default(), now)
    }

    fn running(begun: UnixSeconds) -> DataSync {
        DataSync {
            last_status: Some(SyncStatus::InProgress),
            last_sync: Some(begun),
            ..sync("running", Some(begun - HOUR))
        }
    }

    #[test]
    fn an_assessment_is_current_until_the_first_health_changes() {
        let (store, slot) = store_of(vec![running(NOW - HOUR), sync("fresh", Some(NOW))]);
        let before = assess(&store, &slot, NOW);
        assert_eq!(before.health, Health::InProgress);
        assert!(before.is_current(&slot, NOW + HOUR));
        assert!(!before.is_current(&slot, NOW + HOUR + 0.001));
        let after = assess(&store, &slot, NOW + HOUR + 0.001);
        assert_eq!(after.health, Health::Stuck);
        // The running sync becomes stale 48 hours after its success, two hours before NOW.
        assert!(after.is_current(&slot, NOW + 46.0 * HOUR));
        assert!(!after.is_current(&slot, NOW + 46.0 * HOUR + 0.001));
    }

    #[test]
    fn a_new_collection_outdates_an_assessment() {
        let (store, slot) = store_of(vec![sync("a", Some(NOW))]);
        let before = assess(&store, &slot, NOW);
        assert!(before.is_current(&slot, NOW + 1.0));
        store.record(&slot, report(NOW + 1.0, Ok(vec![sync("a", Some(NOW))])));
        assert!(!before.is_current(&slot, NOW + 1.0));
    }

    #[test]
    fn a_run_does_not_become_stuck_while_the_target_is_down() {
        let (store, slot) = store_of(vec![running(NOW - HOUR)]);
        store.record(&slot, report(NOW + MINUTE, Err(Failure::new(Reason::Timeout, "message"))));
        let down = assess(&store, &slot, NOW + 5.0 * HOUR);
        assert_eq!(down.health, Health::Down);
        assert_eq!(down.syncs().next().unwrap().health, Health::InProgress);
        // An old success is old, whether the target is down or not.
        let stale = assess(&store, &slot, NOW + 23.9 * HOUR);
        assert_eq!(stale.syncs().next().unwrap().health, Health::InProgress);
    }

    #[test]
    fn a_sync_to_a_bucket_is_stale_only_where_managed_nodes_are_present_or_unknown() {
        use Health::{Healthy, Stale};
        let old = |name: &str| sync(name, Some(NOW - 30.0 * DAY));
        let (store, slot) = store_of(vec![old("a"), old("ignored")]);
        let rule = HealthRule {
            sync_names: vec![Wildcard::new("ignored")],
            ignore_managed_nodes: Some(true),
            ..HealthRule::default()
        };
        let policy = HealthPolicy { rules: vec![rule], ..HealthPolicy::default() };
        let health = |now: UnixSeconds| {
            let assessed = AssessedTarget::of_slot(&store, &slot, &policy, now);
            let healths: Vec<Health> = assessed.syncs().map(|sync| sync.health).collect();
            assert_eq!(assessed.health, Stale, "the worst");
            (healths, assessed.syncs().map(|sync| sync.managed_nodes.is_some()).collect::<Vec<_>>())
        };
        let looked_up = |ended, outcome| {
            store.record_managed_nodes(&slot, NodeReport { account: None, ended, outcome });
        };
        looked_up(NOW, Ok(false));
        assert_eq!(health(NOW), (vec![Stale, Stale], vec![false, false]), "lookups are not enabled");
        let target = slot.target();
        let account = Account {
            managed_nodes_interval: Some(Duration::from_hours(6)),
            ..Account::clone(&target.account)
        };
        let target = Target { account: Arc::new(account), ..Target::clone(&target) };
        store.set_targets(&TargetList { targets: vec![target], ..TargetList::default() });
        looked_up(NOW, Ok(false));
        assert_eq!(health(NOW), (vec![Healthy, Stale], vec![true, false]));
        assert_eq!(health(NOW + 20.0 * HOUR).0, [Healthy, Stale], "until the next lookup");
        looked_up(NOW + HOUR, Ok(true));
        assert_eq!(health(NOW + 48.0 * HOUR).0, [Healthy, Stale], "48 hours without a success are allowed");
        assert_eq!(health(NOW + 48.0 * HOUR + 1.0).0, [Stale, Stale]);
        looked_up(NOW + 50.0 * HOUR, Ok(false));
        assert_eq!(health(NOW + 50.0 * HOUR).0, [Healthy, Stale]);
        looked_up(NOW + 51.0 * HOUR, Err(Failure::new(Reason::AccessDenied, "message")));
        assert_eq!(health(NOW + 98.0 * HOUR).0, [Healthy, Stale], "there were none until hour 50");
        assert_eq!(health(NOW + 98.0 * HOUR + 1.0).0, [Stale, Stale]);
    }

    #[test]
    fn the_cause_of_a_problem_is_the_message_or_the_state() {
        let failed = DataSync {
            last_status: Some(SyncStatus::Failed),
            last_status_message: Some("NoSuchBucket".to_owned()),
            ..sync("a-failed", None)
        };
        let source = Source { state: Some(SourceState::NoPermissions), ..Source::default() };
        let faulty = DataSync { source: Some(source), ..sync("b-faulty", None) };
        let (store, slot) = store_of(vec![failed, faulty, sync("c-healthy", Some(NOW))]);
        let assessed = assess(&store, &slot, NOW);
        let causes: Vec<Option<&str>> = assessed.syncs().map(|sync| sync.cause()).collect();
        assert_eq!(causes, [Some("bucket_missing"), Some("NoPermissions"), None]);
    }

    #[test]
    fn a_target_that_is_down_is_judged_by_its_last_good_syncs_until_they_are_stale() {
        use ExpectationState::{Forbidden, Met, Missing, Unknown};
        let request = ExpectedSync {
            names: vec![TextPattern::literal("a")],
            ..ExpectedSync::any(SyncType::ToDestination)
        };
        let expectation = |presence| Expectation {
            name: "a".to_owned(),
            targets: TargetSelector::default(),
            managed_by: Vec::new(),
            presence,
            request: request.clone(),
        };
        let expectations = vec![expectation(Presence::Required), expectation(Presence::Forbidden)];
        let policy = HealthPolicy { expectations, ..HealthPolicy::default() };
        let states = |store: &Store, slot: &Slot, now| {
            let assessed = AssessedTarget::of_slot(store, slot, &policy, now);
            assessed.judgements().iter().map(|judgement| judgement.state).collect::<Vec<_>>()
        };
        for (syncs, known) in
            [(vec![sync("a", Some(NOW))], [Met, Forbidden]), (vec![sync("b", Some(NOW))], [Missing, Met])]
        {
            let (store, slot) = store_of(syncs);
            assert_eq!(states(&store, &slot, NOW), known);
            store.record(&slot, report(NOW + MINUTE, Err(Failure::new(Reason::Timeout, "message"))));
            assert_eq!(states(&store, &slot, NOW + DAY), known);
            assert_eq!(states(&store, &slot, NOW + DAY + 1.0), [Unknown, Unknown]);
        }
    }

    #[test]
    fn a_target_without_a_good_collection_lacks_no_required_sync() {
        let expectation = Expectation {
            name: "a".to_owned(),
            targets: TargetSelector::default(),
            managed_by: Vec::new(),
            presence: Presence::Required,
            request: ExpectedSync::any(SyncType::ToDestination),
        };
        let policy = HealthPolicy { expectations: vec![expectation], ..HealthPolicy::default() };
        let store = Store::new(Duration::from_hours(24));
        let target = Target { account: Arc::default(), region: "eu-west-1".parse().unwrap() };
        let slots = store.set_targets(&TargetList { targets: vec![target], ..TargetList::default() });
        let state = || AssessedTarget::of_slot(&store, &slots[0], &policy, NOW).judgements()[0].state;
        assert_eq!(state(), ExpectationState::Unknown);
        store.record(&slots[0], report(NOW, Err(Failure::new(Reason::Timeout, "message"))));
        assert_eq!(state(), ExpectationState::Unknown);
        store.record(&slots[0], report(NOW, Ok(Vec::new())));
        assert_eq!(state(), ExpectationState::Missing);
    }
}
