//! The health of syncs and targets: one definition for the status page, one-shot mode and
//! the scheduler's summary. [`remedy`] says what to do about a problem.
//!
//! The health of a sync follows from the fields that AWS last returned for the sync. The
//! health of a target follows from its last collection and the health of its syncs. This
//! module does not know about pages, output formats or logs.

pub(crate) mod remedy;

use strum::VariantArray;

use crate::model::{DataSync, SyncStatus, SyncType, UnixSeconds};
use crate::snapshot::TargetView;

/// A sync without a success for longer than this, in seconds, is stale. Inventory is
/// usually collected at least once a day, so a gap of a little over a day is normal. Not to
/// be confused with the configuration key `stale_after`, which limits how long the syncs of
/// a failing target are served.
pub(crate) const SYNC_STALE_AFTER: UnixSeconds = 48.0 * 3600.0;

/// The health of a sync or a target: worst first, then the two values of a target without
/// known syncs. A target whose last collection succeeded has the health of its worst sync,
/// or [`NoSyncs`](Self::NoSyncs).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Health {
    /// The last collection of the target failed.
    Down,
    /// The last attempt of the sync failed.
    Failed,
    /// AWS reports a state of the sync's source. Every documented state is a fault.
    SourceFault,
    /// The last success of the sync is longer ago than [`SYNC_STALE_AFTER`].
    Stale,
    /// The sync is running. AWS never stops reporting some working syncs as running, so such
    /// a sync is stale only if its last success is too long ago.
    InProgress,
    Healthy,
    /// The target has not been collected yet.
    NotCollected,
    /// The target was collected and has no syncs.
    NoSyncs,
}

impl Health {
    /// Every value, in the order of the declaration.
    pub(crate) const ALL: &[Self] = Self::VARIANTS;

    /// The values that a sync can have, worst first. A target can have them as well.
    pub(crate) const SYNC_VALUES: [Self; 5] =
        [Self::Failed, Self::SourceFault, Self::Stale, Self::InProgress, Self::Healthy];

    /// The values that only a target can have.
    pub(crate) const TARGET_ONLY_VALUES: [Self; 3] = [Self::Down, Self::NotCollected, Self::NoSyncs];

    pub(crate) fn of_sync(sync: &DataSync, now: UnixSeconds) -> Self {
        if sync.last_status == Some(SyncStatus::Failed) {
            return Self::Failed;
        }
        if sync.source.as_ref().is_some_and(|source| source.state.is_some()) {
            return Self::SourceFault;
        }
        // A sync without any success becomes stale once the sync itself is old enough. AWS
        // reports no successes for syncs from a source, so their age says nothing.
        let created = sync.created.filter(|_| sync.sync_type != SyncType::FromSource);
        match (sync.last_successful_sync.or(created), &sync.last_status) {
            (Some(since), _) if now - since > SYNC_STALE_AFTER => Self::Stale,
            (_, Some(SyncStatus::InProgress)) => Self::InProgress,
            _ => Self::Healthy,
        }
    }

    pub(crate) fn of_target(view: &TargetView, now: UnixSeconds) -> Self {
        match (view.up(), view.syncs()) {
            (None, _) => Self::NotCollected,
            (Some(false), _) => Self::Down,
            (Some(true), syncs) => {
                let syncs = syncs.unwrap_or_default().iter();
                syncs.map(|sync| Self::of_sync(sync, now)).min().unwrap_or(Self::NoSyncs)
            }
        }
    }

    /// Whether an operator has to act: the target is down, or the sync failed, has a source
    /// fault or is stale.
    pub(crate) fn is_problem(self) -> bool {
        self <= Self::Stale
    }

    /// Whether a sync counts as failed: not only [`Failed`](Self::Failed), but also
    /// [`SourceFault`](Self::SourceFault). A stale sync does not count.
    pub(crate) fn is_failed_sync(self) -> bool {
        matches!(self, Self::Failed | Self::SourceFault)
    }

    /// The name in URLs and style sheets, such as `source_fault`.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How many syncs or targets have each health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HealthCounts([usize; Health::ALL.len()]);

impl HealthCounts {
    pub(crate) fn add(&mut self, health: Health) {
        self.0[health as usize] += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, other)| *count += other);
    }

    pub(crate) fn get(&self, health: Health) -> usize {
        self.0[health as usize]
    }

    pub(crate) fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// The number of [problems](Health::is_problem).
    pub(crate) fn problems(&self) -> usize {
        Health::ALL.iter().filter(|health| health.is_problem()).map(|health| self.get(*health)).sum()
    }

    /// The number of [failed syncs](Health::is_failed_sync).
    pub(crate) fn failed_syncs(&self) -> usize {
        Health::ALL.iter().filter(|health| health.is_failed_sync()).map(|health| self.get(*health)).sum()
    }
}

/// Counts the syncs by their health at `now`.
pub(crate) fn count_syncs<'a>(
    syncs: impl IntoIterator<Item = &'a DataSync>,
    now: UnixSeconds,
) -> HealthCounts {
    let mut counts = HealthCounts::default();
    for sync in syncs {
        counts.add(Health::of_sync(sync, now));
    }
    counts
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{Source, SourceState};

    /// A sync to a bucket whose last attempt succeeded.
    pub(crate) fn sync(name: &str, last_success: Option<UnixSeconds>) -> DataSync {
        DataSync {
            sync_type: SyncType::ToDestination,
            name: name.to_owned(),
            last_status: Some(SyncStatus::Successful),
            last_status_message: None,
            last_sync: last_success,
            last_successful_sync: last_success,
            created: None,
            last_modified: None,
            destination: None,
            source: None,
        }
    }

    const NOW: UnixSeconds = 1_763_800_000.0;

    #[test]
    fn a_sync_has_the_worst_health_that_applies() {
        use Health::{Failed, Healthy, InProgress, SourceFault, Stale};
        let health_after = |change: fn(&mut DataSync)| {
            let mut sync = DataSync { created: Some(NOW - 90.0 * 86400.0), ..sync("a", Some(NOW - 60.0)) };
            change(&mut sync);
            Health::of_sync(&sync, NOW)
        };
        assert_eq!(health_after(|_| ()), Healthy);
        assert_eq!(health_after(|sync| sync.last_status = Some(SyncStatus::Failed)), Failed);
        assert_eq!(health_after(|sync| sync.last_status = Some(SyncStatus::InProgress)), InProgress);
        let unknown_status = |sync: &mut DataSync| sync.last_status = Some("Paused".into());
        assert_eq!(health_after(unknown_status), Healthy);
        assert_eq!(health_after(|sync| sync.last_successful_sync = Some(NOW - SYNC_STALE_AFTER)), Healthy);
        assert_eq!(
            health_after(|sync| sync.last_successful_sync = Some(NOW - SYNC_STALE_AFTER - 1.0)),
            Stale
        );
        assert_eq!(health_after(|sync| sync.last_successful_sync = Some(f64::NAN)), Healthy);
        let running_without_a_success_for_days = |sync: &mut DataSync| {
            sync.last_status = Some(SyncStatus::InProgress);
            sync.last_successful_sync = None;
        };
        assert_eq!(health_after(running_without_a_success_for_days), Stale);
        let from_source = |sync: &mut DataSync| {
            sync.sync_type = SyncType::FromSource;
            sync.last_successful_sync = None;
            sync.last_status = None;
        };
        assert_eq!(health_after(from_source), Healthy);
        let with_source_state = |sync: &mut DataSync| {
            let state = Some(SourceState::NoPermissions);
            sync.source = Some(Source { state, ..Source::default() });
        };
        assert_eq!(health_after(with_source_state), SourceFault);
    }

    #[test]
    fn counts_are_summed_by_health() {
        let mut counts = HealthCounts::default();
        for health in Health::ALL {
            counts.add(*health);
        }
        counts.add(Health::Down);
        assert_eq!((counts.get(Health::Down), counts.get(Health::NoSyncs), counts.total()), (2, 1, 9));
        assert_eq!((counts.problems(), counts.failed_syncs()), (5, 2));
        let mut twice = counts;
        twice.merge(&counts);
        assert_eq!(twice.total(), 18);
    }

    #[test]
    fn names_round_trip() {
        let names: Vec<&str> = Health::ALL.iter().map(|health| health.as_str()).collect();
        assert_eq!(
            names,
            [
                "down",
                "failed",
                "source_fault",
                "stale",
                "in_progress",
                "healthy",
                "not_collected",
                "no_syncs"
            ]
        );
        for health in Health::ALL {
            assert_eq!(health.as_str().parse(), Ok(*health));
        }
    }
}
