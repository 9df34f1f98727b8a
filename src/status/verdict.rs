//! The verdict on the whole fleet: the headline of the page and its title.

use super::notice::Notice;
use super::overview::FleetOverview;
use super::text::{pluralize, with_commas};
use crate::fleet::FailingLookups;
use crate::health::{ConcernKind, Health};

/// What an icon and its colour stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Health(Health),
    /// An expectation is violated.
    NotAsExpected,
    Concern(ConcernKind),
    /// The exporter itself needs attention.
    Warning,
}

impl Mark {
    /// The name in the style sheet and of the icon.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Health(health) => health.as_str(),
            Self::NotAsExpected => "not_as_expected",
            Self::Concern(kind) => kind.as_str(),
            Self::Warning => "warning",
        }
    }
}

impl From<Health> for Mark {
    fn from(health: Health) -> Self {
        Self::Health(health)
    }
}

impl From<ConcernKind> for Mark {
    fn from(kind: ConcernKind) -> Self {
        Self::Concern(kind)
    }
}

/// The verdict on the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The worst that there is.
    pub(super) mark: Mark,
    /// In full sentences, with names of configuration keys between backticks.
    pub(super) text: String,
    /// The title of the browser tab.
    pub(super) title: String,
}

impl Verdict {
    pub(super) fn new(overview: &FleetOverview, notices: &[Notice<'_>], is_one_of_many_shards: bool) -> Self {
        let (mark, text) = match worst_trouble(overview) {
            Some(mark) => (mark, troubles_text(overview)),
            None => without_trouble(overview, notices, is_one_of_many_shards),
        };
        Self { mark, text, title: title(overview, notices) }
    }
}

/// The number of troubles comes first, because narrow tabs truncate the title.
fn title(overview: &FleetOverview, notices: &[Notice<'_>]) -> String {
    let notices: Vec<&str> = notices.iter().filter_map(Notice::title).collect();
    let number = match overview.troubles() + notices.len() {
        0 => String::new(),
        number => format!("({}) ", with_commas(number)),
    };
    let separator = if notices.is_empty() { "" } else { " · " };
    format!("{number}{}{separator}SSM Sync Exporter", notices.join(", "))
}

fn worst_trouble(overview: &FleetOverview) -> Option<Mark> {
    let occurs =
        |health: &Health| overview.target_counts.get(*health) + overview.sync_counts.get(*health) > 0;
    let problems = Health::ALL.iter().copied().filter(|health| health.is_problem());
    let concerns = overview.concern_counts.keys().copied().filter(|kind| kind.is_trouble());
    let violation = (overview.not_as_expected > 0).then_some(Mark::NotAsExpected);
    problems.into_iter().find(occurs).map(Mark::Health).or(violation).or(concerns.map(Mark::Concern).next())
}

/// The numbers of troubles in one sentence.
fn troubles_text(overview: &FleetOverview) -> String {
    let mut syncs: Vec<String> = Vec::new();
    for (health, singular, plural) in [
        (Health::Failed, "failed", "failed"),
        (Health::SourceFault, "has a source fault", "have source faults"),
        (Health::Stale, "is stale", "are stale"),
        (Health::Stuck, "is stuck", "are stuck"),
    ] {
        let number = overview.sync_counts.get(health);
        let predicate = if number == 1 { singular } else { plural };
        match number {
            0 => {}
            _ if syncs.is_empty() => syncs.push(format!("{} {predicate}", pluralize(number, "sync"))),
            _ => syncs.push(format!("{} {predicate}", with_commas(number))),
        }
    }
    let mut clauses: Vec<String> = Vec::new();
    if !syncs.is_empty() {
        clauses.push(syncs.join(", "));
    }
    if overview.not_as_expected > 0 {
        let verb = if overview.not_as_expected == 1 { "is" } else { "are" };
        clauses.push(format!("{} {verb} not as expected", pluralize(overview.not_as_expected, "target")));
    }
    let full = overview.concern_counts.get(&ConcernKind::QuotaUsed).copied().unwrap_or_default();
    if full > 0 {
        let the = if clauses.is_empty() { "The" } else { "the" };
        clauses.push(format!("{the} quota of syncs is used up in {}", pluralize(full, "target")));
    }
    let down = overview.target_counts.get(Health::Down);
    if down > 0 {
        let verb = if down == 1 { "is" } else { "are" };
        let targets = pluralize(overview.targets.len(), "target");
        clauses.push(format!("{} of {targets} {verb} down", with_commas(down)));
    }
    clauses.join("; ") + "."
}

/// The verdict on a fleet in which nothing is in trouble. It is green only if there are syncs, and
/// if everything that should be known is known.
fn without_trouble(
    overview: &FleetOverview,
    notices: &[Notice<'_>],
    is_one_of_many_shards: bool,
) -> (Mark, String) {
    let (targets, syncs) = (overview.targets.len(), overview.sync_counts.total());
    let collected = targets - overview.target_counts.get(Health::NotCollected);
    let waiting = Mark::Health(Health::NotCollected);
    if targets == 0 {
        return match () {
            () if overview.failing_lookups.organization.is_some() => {
                (Mark::Warning, "No targets known: discovery is failing.".to_owned())
            }
            () if overview.pending_lookups > 0 => {
                (waiting, "No targets known yet: discovery is running.".to_owned())
            }
            () if is_one_of_many_shards => {
                (Mark::Health(Health::NoSyncs), "No targets belong to this shard.".to_owned())
            }
            () => {
                let text = "No targets to poll. Check `accounts`, `organization` and `regions` in the configuration, and \
                            the exporter's shard.";
                (Mark::Warning, text.to_owned())
            }
        };
    }
    if collected == 0 {
        return (waiting, format!("Waiting for the first collection of {}.", pluralize(targets, "target")));
    }
    let is_complete = collected == targets
        && overview.pending_lookups == 0
        && *overview.failing_lookups == FailingLookups::default();
    let so_far = if is_complete { "" } else { " so far" };
    let collected = pluralize(collected, "target");
    match syncs {
        0 => (Mark::Health(Health::NoSyncs), format!("No resource data syncs found in {collected}{so_far}.")),
        _ => {
            let mark = match () {
                () if !notices.is_empty() => Mark::Warning,
                () if is_complete => Mark::Health(Health::Healthy),
                () => waiting,
            };
            (mark, format!("No problems{so_far}: {} in {collected}.", pluralize(syncs, "sync")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fleet::TargetList;
    use crate::model::{DataSync, Failure, Reason, SyncStatus};
    use crate::snapshot::Store;
    use crate::status::notice::ReloadFailure;
    use crate::status::tests::{Collected, NOW, account, failed, store, sync, target};

    fn verdict_of(store: &Store, reload_failure: Option<&ReloadFailure>, is_one_of_many: bool) -> Verdict {
        let overview = FleetOverview::new(store, &Arc::default(), NOW);
        Verdict::new(&overview, &Notice::all(&overview, reload_failure, is_one_of_many), is_one_of_many)
    }

    fn verdict(targets: Vec<(&str, Collected)>) -> Verdict {
        let account = account(1, None);
        let targets = targets.into_iter().map(|(region, collected)| (target(&account, region), collected));
        verdict_of(&store(targets.collect()), None, false)
    }

    #[test]
    fn the_headline_names_the_troubles_or_says_that_there_are_none() {
        let healthy = || sync("a", Some(NOW));
        let failing = || DataSync { last_status: Some(SyncStatus::Failed), ..healthy() };
        let stale = || sync("b", Some(NOW - 1e6));
        let in_progress = |begun: f64| DataSync {
            last_status: Some(SyncStatus::InProgress),
            last_sync: Some(NOW - begun),
            ..sync("c", Some(NOW - 80_000.0))
        };
        let down = || Some(Err(failed(Reason::Timeout)));
        let full = |number: usize| (0..number).map(|index| sync(&index.to_string(), Some(NOW))).collect();
        let quota_used = Mark::Concern(ConcernKind::QuotaUsed);
        for (targets, mark, text, troubles) in [
            (vec![Some(Ok(vec![healthy()]))], Health::Healthy.into(), "No problems: 1 sync in 1 target.", 0),
            (
                vec![Some(Ok(vec![in_progress(60.0)]))],
                Health::Healthy.into(),
                "No problems: 1 sync in 1 target.",
                0,
            ),
            // Regression: nothing at all was green.
            (vec![Some(Ok(vec![]))], Health::NoSyncs.into(), "No resource data syncs found in 1 target.", 0),
            (
                vec![Some(Ok(vec![failing(), stale(), stale()]))],
                Health::Failed.into(),
                "1 sync failed, 2 are stale.",
                3,
            ),
            (vec![Some(Ok(vec![stale()]))], Health::Stale.into(), "1 sync is stale.", 1),
            // Regression: these two were no problems.
            (vec![Some(Ok(vec![in_progress(9e3)]))], Health::Stuck.into(), "1 sync is stuck.", 1),
            (vec![Some(Ok(full(5)))], quota_used, "The quota of syncs is used up in 1 target.", 1),
            (vec![Some(Ok(full(4)))], Health::Healthy.into(), "No problems: 4 syncs in 1 target.", 0),
            (
                vec![Some(Ok(vec![failing(), failing()])), down(), Some(Ok(full(6)))],
                Health::Down.into(),
                "2 syncs failed; the quota of syncs is used up in 1 target; 1 of 3 targets is down.",
                4,
            ),
            (vec![None], Health::NotCollected.into(), "Waiting for the first collection of 1 target.", 0),
            (
                vec![Some(Ok(vec![healthy()])), None],
                Health::NotCollected.into(),
                "No problems so far: 1 sync in 1 target.",
                0,
            ),
            (
                vec![Some(Ok(vec![])), None],
                Health::NoSyncs.into(),
                "No resource data syncs found in 1 target so far.",
                0,
            ),
        ] {
            let regions = ["eu-west-1", "eu-west-2", "eu-west-3"];
            let verdict = verdict(regions.into_iter().zip(targets).collect());
            assert_eq!((verdict.mark, verdict.text.as_str()), (mark, text));
            let prefix = if troubles == 0 { String::new() } else { format!("({troubles}) ") };
            assert_eq!(verdict.title, format!("{prefix}SSM Sync Exporter"));
        }
    }

    #[test]
    fn a_failed_reload_is_in_the_title_and_nothing_is_green() {
        let store =
            store(vec![(target(&account(1, None), "eu-west-1"), Some(Ok(vec![sync("a", Some(NOW))])))]);
        let failure = ReloadFailure { message: "no such file".to_owned(), at: NOW };
        let verdict = verdict_of(&store, Some(&failure), false);
        assert_eq!(verdict.title, "(1) Reload failed · SSM Sync Exporter");
        assert_eq!(
            (verdict.mark, verdict.text.as_str()),
            (Mark::Warning, "No problems: 1 sync in 1 target.")
        );
    }

    #[test]
    fn without_targets_the_headline_says_why() {
        let store = Store::new(std::time::Duration::from_mins(30));
        let text = |store: &Store, is_one_of_many| {
            let Verdict { mark, text, title } = verdict_of(store, None, is_one_of_many);
            (mark, text, title)
        };
        let result = |mark, text: &str, title: &str| (mark, text.to_owned(), title.to_owned());
        assert!(text(&store, false).1.starts_with("No targets to poll"));
        assert_eq!(text(&store, false).2, "(1) No targets · SSM Sync Exporter");
        store.set_targets(&TargetList { pending_lookups: 1, ..TargetList::default() });
        let running = "No targets known yet: discovery is running.";
        assert_eq!(text(&store, false), result(Health::NotCollected.into(), running, "SSM Sync Exporter"));
        let denied = Failure::new(Reason::AccessDenied, "not allowed");
        let failing_lookups = FailingLookups { organization: Some(denied), ..FailingLookups::default() };
        store.set_targets(&TargetList { pending_lookups: 1, failing_lookups, ..TargetList::default() });
        let failing = "No targets known: discovery is failing.";
        let title = "(2) Organization not listed, No targets · SSM Sync Exporter";
        assert_eq!(text(&store, false), result(Mark::Warning, failing, title));
        store.set_targets(&TargetList::default());
        let none = "No targets belong to this shard.";
        assert_eq!(text(&store, true), result(Health::NoSyncs.into(), none, "SSM Sync Exporter"));
    }
}
