//! How a sync or a target fares, in one word.

pub(crate) mod remedy;

use crate::model::{DataSync, SyncStatus, SyncType, UnixSeconds};
use crate::snapshot::TargetView;

/// Without a success for so long, in seconds, a sync is stale. Inventory is usually
/// collected at least once a day, so that a day and some are no sign of trouble.
pub(crate) const STALE_AFTER: UnixSeconds = 48.0 * 3600.0;

/// How a sync or a target fares, the worst first. A target that has been collected
/// fares as the worst of its syncs does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Health {
    /// The last collection of the target failed.
    Down,
    /// The last attempt of the sync failed.
    Failed,
    /// AWS reports a state of the sync's source, and all there are are faults.
    Fault,
    /// The sync has not succeeded for [`STALE_AFTER`].
    Stale,
    /// The sync is at work. Some are said to be so for ever, and become stale.
    InProgress,
    /// The sync is well.
    Well,
    /// The target has not been collected yet.
    Waiting,
    /// The target has been collected and has no syncs.
    Empty,
}

impl Health {
    /// All of them, the worst first.
    pub(crate) const ALL: [Self; 8] = [
        Self::Down,
        Self::Failed,
        Self::Fault,
        Self::Stale,
        Self::InProgress,
        Self::Well,
        Self::Waiting,
        Self::Empty,
    ];

    /// Those that syncs may have.
    pub(crate) const OF_SYNCS: [Self; 5] =
        [Self::Failed, Self::Fault, Self::Stale, Self::InProgress, Self::Well];

    /// Those that only targets have.
    pub(crate) const OF_TARGETS: [Self; 3] = [Self::Down, Self::Waiting, Self::Empty];

    /// Of the sync, at the time `now`.
    pub(crate) fn of_sync(sync: &DataSync, now: UnixSeconds) -> Self {
        if sync.last_status == Some(SyncStatus::Failed) {
            return Self::Failed;
        }
        if sync.source.as_ref().is_some_and(|source| source.state.is_some()) {
            return Self::Fault;
        }
        // One that has never succeeded has had its time since it was created. Syncs
        // from a source tell no success at all.
        let created = sync.created.filter(|_| sync.sync_type != SyncType::FromSource);
        match (sync.last_successful_sync.or(created), &sync.last_status) {
            (Some(since), _) if now - since > STALE_AFTER => Self::Stale,
            (_, Some(SyncStatus::InProgress)) => Self::InProgress,
            _ => Self::Well,
        }
    }

    /// Of the target.
    pub(crate) fn of_target(view: &TargetView, now: UnixSeconds) -> Self {
        match (view.up(), view.syncs()) {
            (None, _) => Self::Waiting,
            (Some(false), _) => Self::Down,
            (Some(true), syncs) => {
                let syncs = syncs.unwrap_or_default().iter();
                syncs.map(|sync| Self::of_sync(sync, now)).min().unwrap_or(Self::Empty)
            }
        }
    }

    /// Whether somebody should do something about it.
    pub(crate) fn is_trouble(self) -> bool {
        self <= Self::Stale
    }

    /// What it is called in URLs and style sheets.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Failed => "failed",
            Self::Fault => "fault",
            Self::Stale => "stale",
            Self::InProgress => "progress",
            Self::Well => "well",
            Self::Waiting => "waiting",
            Self::Empty => "empty",
        }
    }

    /// What it is called on the page.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Down => "Cannot be polled",
            Self::Failed => "Failed",
            Self::Fault => "Source fault",
            Self::Stale => "Stale",
            Self::InProgress => "In progress",
            Self::Well => "Well",
            Self::Waiting => "Not yet collected",
            Self::Empty => "No syncs",
        }
    }

    /// What it means.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Down => "the last collection of this account and region failed",
            Self::Failed => "the last attempt of the sync failed",
            Self::Fault => "AWS reports that something is wrong with the sync's source",
            Self::Stale => "the sync has not succeeded for more than 48 hours",
            Self::InProgress => "the sync is at work",
            Self::Well => "the sync succeeded within the last 48 hours, or AWS reports no trouble with it",
            Self::Waiting => "this account and region have not been collected yet",
            Self::Empty => "this account and region have been collected and have no resource data syncs",
        }
    }
}

/// How many fare how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally([usize; Health::ALL.len()]);

impl Tally {
    /// Counts one more.
    pub(crate) fn add(&mut self, health: Health) {
        self.0[health as usize] += 1;
    }

    /// Counts all of `other`, too.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(number, more)| *number += more);
    }

    /// How many fare like this.
    pub(crate) fn of(&self, health: Health) -> usize {
        self.0[health as usize]
    }

    /// How many there are.
    pub(crate) fn total(&self) -> usize {
        self.0.iter().sum()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{Source, SourceState};

    /// A sync to a bucket that is well if it last succeeded not long ago.
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
    fn a_sync_fares_as_it_should() {
        use Health::{Failed, Fault, InProgress, Stale, Well};
        let of = |change: fn(&mut DataSync)| {
            let mut sync = DataSync { created: Some(NOW - 90.0 * 86400.0), ..sync("a", Some(NOW - 60.0)) };
            change(&mut sync);
            Health::of_sync(&sync, NOW)
        };
        assert_eq!(of(|_| ()), Well);
        assert_eq!(of(|sync| sync.last_status = Some(SyncStatus::Failed)), Failed);
        assert_eq!(of(|sync| sync.last_status = Some(SyncStatus::InProgress)), InProgress);
        assert_eq!(of(|sync| sync.last_status = Some(SyncStatus::Unknown("Paused".to_owned()))), Well);
        assert_eq!(of(|sync| sync.last_successful_sync = Some(NOW - STALE_AFTER)), Well);
        assert_eq!(of(|sync| sync.last_successful_sync = Some(NOW - STALE_AFTER - 1.0)), Stale);
        assert_eq!(of(|sync| sync.last_successful_sync = Some(f64::NAN)), Well);
        // It is said to be at work, and nothing has come of it for days.
        let stuck = |sync: &mut DataSync| {
            sync.last_status = Some(SyncStatus::InProgress);
            sync.last_successful_sync = None;
        };
        assert_eq!(of(stuck), Stale);
        let from_source = |sync: &mut DataSync| {
            sync.sync_type = SyncType::FromSource;
            sync.last_successful_sync = None;
            sync.last_status = None;
        };
        assert_eq!(of(from_source), Well);
        let faulty = |sync: &mut DataSync| {
            let state = Some(SourceState::NoPermissions);
            sync.source = Some(Source { state, ..Source::default() });
        };
        assert_eq!(of(faulty), Fault);
    }

    #[test]
    fn they_are_counted() {
        let mut tally = Tally::default();
        for health in Health::ALL {
            tally.add(health);
        }
        tally.add(Health::Down);
        assert_eq!((tally.of(Health::Down), tally.of(Health::Empty), tally.total()), (2, 1, 9));
        let mut twice = tally;
        twice.add_all(&tally);
        assert_eq!(twice.total(), 18);
    }
}
