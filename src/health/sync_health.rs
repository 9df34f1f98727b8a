//! The health of a sync at one point in time.

use super::Health;
use super::policy::SyncLimits;
use crate::model::{DataSync, SyncStatus, SyncType, UnixSeconds};

/// Whether the health of the sync depends on managed nodes. A sync to a bucket copies the inventory that
/// they report.
pub(super) fn depends_on_nodes(sync: &DataSync, limits: SyncLimits) -> bool {
    sync.sync_type == SyncType::ToDestination && !limits.ignores_managed_nodes
}

/// The times that the health of a sync depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) now: UnixSeconds,
    /// The time up to which it is known that the run of the sync is in progress.
    pub(super) runs_known_at: UnixSeconds,
    /// Until when the sync was idle because there were no managed nodes. Infinite if there are none now,
    /// negative infinite if no lookup found none or if the sync does not depend on them.
    pub(super) idle_until: UnixSeconds,
}

/// The health of a sync, and until when it stays the same.
pub(super) fn health_of(
    sync: &DataSync,
    limits: SyncLimits,
    Times { now, runs_known_at, idle_until }: Times,
) -> (Health, UnixSeconds) {
    const FOREVER: UnixSeconds = UnixSeconds::INFINITY;
    if sync.last_status == Some(SyncStatus::Failed) {
        return (Health::Failed, FOREVER);
    }
    if sync.source.as_ref().is_some_and(|source| source.state.is_some()) {
        return (Health::SourceFault, FOREVER);
    }
    // A sync without any success becomes stale once the sync itself is old enough. AWS
    // reports no successes for syncs from a source, so their age says nothing.
    let created = sync.created.filter(|_| sync.sync_type != SyncType::FromSource);
    let stale_after = sync
        .last_successful_sync
        .or(created)
        .map_or(FOREVER, |since| later(since, idle_until) + limits.max_success_age.as_secs_f64());
    if now > stale_after {
        return (Health::Stale, FOREVER);
    }
    if sync.last_status != Some(SyncStatus::InProgress) {
        return (Health::Healthy, stale_after);
    }
    let stuck_after = run_without_success(sync)
        .map_or(FOREVER, |begun| later(begun, idle_until) + limits.max_run_time.as_secs_f64());
    if runs_known_at > stuck_after {
        (Health::Stuck, stale_after)
    } else if runs_known_at < now {
        (Health::InProgress, stale_after)
    } else {
        (Health::InProgress, stale_after.min(stuck_after))
    }
}

/// When the last run of the sync began, unless the sync has succeeded since: AWS never stops reporting
/// some working syncs as running.
pub(crate) fn run_without_success(sync: &DataSync) -> Option<UnixSeconds> {
    sync.last_sync.filter(|begun| sync.last_successful_sync.is_none_or(|success| success < *begun))
}

/// The later of `time` and `idle_until`; `time` if it is not a number.
fn later(time: UnixSeconds, idle_until: UnixSeconds) -> UnixSeconds {
    if idle_until > time { idle_until } else { time }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::tests::sync;
    use crate::model::{Source, SourceState};

    const NOW: UnixSeconds = 1_763_800_000.0;
    const MINUTE: UnixSeconds = 60.0;
    const HOUR: UnixSeconds = 3600.0;
    const DAY: UnixSeconds = 86400.0;
    const TIMES: Times = Times { now: NOW, runs_known_at: NOW, idle_until: UnixSeconds::NEG_INFINITY };

    /// The health at `NOW` of a sync that is healthy but for `change`, and how many seconds later it
    /// changes.
    fn health_after(change: impl FnOnce(&mut DataSync)) -> (Health, f64) {
        let mut sync = DataSync { created: Some(NOW - 90.0 * DAY), ..sync("a", Some(NOW - MINUTE)) };
        change(&mut sync);
        let (health, unchanged_until) = health_of(&sync, SyncLimits::default(), TIMES);
        (health, unchanged_until - NOW)
    }

    fn assert_health(change: impl FnOnce(&mut DataSync), health: Health, changes_after: f64) {
        let found = health_after(change);
        assert_eq!((found.0, found.1.to_bits()), (health, changes_after.to_bits()), "{found:?}");
    }

    #[test]
    fn a_sync_has_the_worst_health_that_applies() {
        use Health::{Failed, Healthy, InProgress, SourceFault, Stale};
        const FOREVER: f64 = f64::INFINITY;
        let until_stale = 48.0 * HOUR - MINUTE;
        assert_health(|_| (), Healthy, until_stale);
        assert_health(|sync| sync.last_status = Some(SyncStatus::Failed), Failed, FOREVER);
        assert_health(|sync| sync.last_status = Some("Paused".into()), Healthy, until_stale);
        assert_health(|sync| sync.last_successful_sync = Some(NOW - 48.0 * HOUR), Healthy, 0.0);
        assert_health(|sync| sync.last_successful_sync = Some(NOW - 48.0 * HOUR - 1.0), Stale, FOREVER);
        assert_health(|sync| sync.last_successful_sync = Some(NOW + DAY), Healthy, 72.0 * HOUR);
        let running_without_a_success_for_days = |sync: &mut DataSync| {
            sync.last_status = Some(SyncStatus::InProgress);
            sync.last_successful_sync = None;
        };
        assert_health(running_without_a_success_for_days, Stale, FOREVER);
        let from_source = |sync: &mut DataSync| {
            sync.sync_type = SyncType::FromSource;
            sync.last_successful_sync = None;
            sync.last_status = None;
        };
        assert_health(from_source, Healthy, FOREVER);
        let with_source_state = |sync: &mut DataSync| {
            let state = Some(SourceState::NoPermissions);
            sync.source = Some(Source { state, ..Source::default() });
        };
        assert_health(with_source_state, SourceFault, FOREVER);
        assert_health(|sync| sync.last_status = Some(SyncStatus::InProgress), InProgress, until_stale);
    }

    #[test]
    fn a_time_that_is_no_number_makes_no_sync_stale() {
        let sync = sync("a", Some(f64::NAN));
        assert_eq!(health_of(&sync, SyncLimits::default(), TIMES).0, Health::Healthy);
    }

    #[test]
    fn a_run_is_stuck_if_it_is_too_long_without_a_success_since_it_began() {
        use Health::{InProgress, Stuck};
        let running = |sync: &mut DataSync, begun: f64, success: f64| {
            sync.last_status = Some(SyncStatus::InProgress);
            sync.last_sync = Some(NOW - begun);
            sync.last_successful_sync = Some(NOW - success);
        };
        let until_stale = 48.0 * HOUR - 5.0 * HOUR;
        assert_health(|sync| running(sync, HOUR, 5.0 * HOUR), InProgress, HOUR);
        assert_health(|sync| running(sync, 2.0 * HOUR, 5.0 * HOUR), InProgress, 0.0);
        assert_health(|sync| running(sync, 2.0 * HOUR + 1.0, 5.0 * HOUR), Stuck, until_stale);
        // AWS reports some working syncs as running for ever.
        assert_health(|sync| running(sync, 9.0 * HOUR, 5.0 * HOUR), InProgress, until_stale);
        assert_health(|sync| running(sync, 5.0 * HOUR, 5.0 * HOUR), InProgress, until_stale);
        let without_times = |sync: &mut DataSync| {
            sync.last_status = Some(SyncStatus::InProgress);
            (sync.last_sync, sync.last_successful_sync) = (None, None);
            sync.created = None;
        };
        assert_health(without_times, InProgress, f64::INFINITY);
    }

    #[test]
    fn time_without_managed_nodes_does_not_count() {
        use Health::{Failed, Healthy, InProgress, SourceFault, Stale, Stuck};
        const NEVER: f64 = f64::NEG_INFINITY;
        const STILL: f64 = f64::INFINITY;
        let health = |idle_until: f64, change: &dyn Fn(&mut DataSync)| {
            let mut sync = DataSync { created: Some(NOW - 90.0 * DAY), ..sync("a", Some(NOW - 30.0 * DAY)) };
            change(&mut sync);
            let (health, unchanged_until) =
                health_of(&sync, SyncLimits::default(), Times { idle_until, ..TIMES });
            (health, unchanged_until - NOW)
        };
        let old = |_: &mut DataSync| {};
        let never = |sync: &mut DataSync| sync.last_successful_sync = None;
        let fresh = |sync: &mut DataSync| sync.last_successful_sync = Some(NOW);
        let two_days = 48.0 * HOUR;
        for (idle_until, change, expected) in [
            (NEVER, &old as &dyn Fn(&mut DataSync), (Stale, STILL)),
            (STILL, &old, (Healthy, STILL)),
            (STILL, &never, (Healthy, STILL)),
            // Since then, nodes have appeared, or lookups fail.
            (NOW - HOUR, &old, (Healthy, two_days - HOUR)),
            (NOW - HOUR, &never, (Healthy, two_days - HOUR)),
            (NOW - two_days, &old, (Healthy, 0.0)),
            (NOW - two_days - 1.0, &old, (Stale, STILL)),
            (NOW - two_days - 1.0, &never, (Stale, STILL)),
            // The last lookup without nodes was before the last success.
            (NOW - 60.0 * DAY, &old, (Stale, STILL)),
            (NOW - HOUR, &fresh, (Healthy, two_days)),
        ] {
            assert_eq!(health(idle_until, change), expected, "{idle_until}");
        }
        let running = |sync: &mut DataSync| {
            sync.last_status = Some(SyncStatus::InProgress);
            (sync.last_sync, sync.last_successful_sync) = (Some(NOW - 3.0 * HOUR), Some(NOW - 4.0 * HOUR));
        };
        let until_stale = 44.0 * HOUR;
        assert_eq!(health(NEVER, &running), (Stuck, until_stale));
        assert_eq!(health(STILL, &running), (InProgress, STILL));
        assert_eq!(health(NOW - HOUR, &running), (InProgress, HOUR));
        assert_eq!(health(NOW - 2.0 * HOUR - 1.0, &running), (Stuck, 46.0 * HOUR - 1.0));
        // Faults that AWS reports do not depend on nodes.
        let failed = |sync: &mut DataSync| sync.last_status = Some(SyncStatus::Failed);
        assert_eq!(health(STILL, &failed), (Failed, STILL));
        let faulty = |sync: &mut DataSync| {
            sync.source = Some(Source { state: Some(SourceState::NoPermissions), ..Source::default() });
        };
        assert_eq!(health(STILL, &faulty), (SourceFault, STILL));
    }
}
