//! Computes when a target is collected next.

use std::time::Duration;

use tokio::time::Instant;

use super::permanent::is_permanent;
use crate::fleet::{Target, stable_hash};
use crate::model::{Failure, FailureScope, Reason, UnixSeconds};
use crate::snapshot::TargetState;

/// The longest back-off, in intervals.
const MAX_BACKOFF: u32 = 3;

/// The longest back-off after permanent failures, in intervals.
const MAX_BACKOFF_PERMANENT: u32 = 12;

/// Longer than any interval, and short enough to be added to the current time.
const MAX_RETRY: Duration = Duration::from_hours(10 * 365 * 24);

/// Computes when targets are collected.
///
/// Every target has a fixed offset within the interval, which is a hash of the target and
/// the exporter's name. Intervals are counted from the Unix epoch. Restarts and other
/// targets therefore do not move a target, as long as the exporter keeps its name. Two
/// exporters with different names poll the same targets at different times.
#[derive(Debug)]
pub(super) struct Timing {
    interval: Duration,
    replica: String,
    /// A point in time, and the time that had passed since the start of its interval.
    reference: (Instant, Duration),
}

/// The failures of a target since its last good collection.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailureStreak {
    /// Why the last collection failed.
    pub(super) reason: Reason,
    /// The number of failures, at least 1.
    pub(super) length: u64,
    /// Whether AWS throttled the requests to the target.
    pub(super) throttled: bool,
}

impl FailureStreak {
    /// `None` if the last collection succeeded, or if there has been none.
    pub(super) fn of(state: &TargetState) -> Option<Self> {
        let failure = state.last.as_ref()?.failure.as_ref()?;
        Some(Self {
            reason: failure.reason,
            length: state.consecutive_failures,
            throttled: is_throttled(failure),
        })
    }

    /// The streak of failed managed-node lookups of a target. `None` if the last lookup succeeded, or if
    /// there has been none.
    pub(super) fn of_lookups(state: &TargetState) -> Option<Self> {
        let failure = state.nodes.failure.as_ref()?;
        Some(Self {
            reason: failure.reason,
            length: state.nodes.consecutive_failures,
            throttled: is_throttled(failure),
        })
    }

    /// Whether AWS did not answer the last time.
    pub(super) fn timed_out(self) -> bool {
        matches!(self.reason, Reason::Timeout | Reason::Connection)
    }
}

/// Whether AWS throttled the requests to the target itself.
fn is_throttled(failure: &Failure) -> bool {
    // If STS throttled the shared credentials, SSM did not throttle this target.
    failure.reason == Reason::Throttled && failure.scope == FailureScope::Call
}

impl Timing {
    /// The timing of the exporter with the name `replica`, as of `now`.
    pub(super) fn new(interval: Duration, replica: String, now: UnixSeconds) -> Self {
        let since_epoch = Duration::try_from_secs_f64(now).unwrap_or_default();
        let into_interval = since_epoch.as_nanos() % interval.as_nanos().max(1);
        Self { interval, replica, reference: (Instant::now(), nanos(into_interval)) }
    }

    /// The target's offset within the interval.
    pub(super) fn offset(&self, target: &Target) -> Duration {
        hash_below(self.interval, &[&self.replica, &target.to_string()])
    }

    /// The time of the next regular collection of a target, which is at its offset. It is at
    /// least half an interval after the last collection started, so that a target whose
    /// collection started late is not collected twice in a row.
    pub(super) fn next_regular(&self, target: &Target, last_started: Instant) -> Instant {
        self.at_or_after(target, Instant::now().max(last_started + self.interval / 2))
    }

    /// The number of regular collections of a target that were missed between `from` and
    /// `next_regular`, the time of the next regular collection, because a collection
    /// started or ended too late.
    pub(super) fn overruns(&self, target: &Target, from: Instant, next_regular: Instant) -> u64 {
        let expected = self.at_or_after(target, from + self.interval / 2);
        let late = next_regular.saturating_duration_since(expected);
        u64::try_from(late.as_nanos() / self.interval.as_nanos().max(1)).unwrap_or(u64::MAX)
    }

    /// The first time at the target's offset that is not before `earliest`.
    fn at_or_after(&self, target: &Target, earliest: Instant) -> Instant {
        let (reference, into_interval) = self.reference;
        let first = reference + self.offset(target) + self.interval.saturating_sub(into_interval);
        match earliest.checked_duration_since(first) {
            // The offset within the reference's own interval has not passed yet.
            None if first - self.interval >= earliest => first - self.interval,
            None => first,
            Some(since) => {
                let intervals = since.as_nanos().div_ceil(self.interval.as_nanos().max(1));
                first + self.interval * u32::try_from(intervals).unwrap_or(u32::MAX)
            }
        }
    }

    /// When to collect a target whose next regular collection is at `regular`: at that time,
    /// or later by an exponential back-off with jitter if the target is failing.
    pub(super) fn with_backoff(
        &self,
        target: &Target,
        regular: Instant,
        streak: Option<FailureStreak>,
    ) -> Instant {
        let Some(streak) = streak else { return regular };
        let extra = self.interval * (backoff_intervals(streak) - 1);
        // The jitter spreads the retries of targets that started failing at the same time.
        let jitter = hash_below(extra / 4, &[&self.replica, &target.to_string(), &streak.length.to_string()]);
        regular + extra - jitter
    }

    /// When to retry a failed managed-node lookup of a target. The exponential back-off with jitter
    /// starts at the interval of collections and has no limit.
    pub(super) fn retry(&self, target: &Target, streak: FailureStreak) -> Instant {
        let backoff = self.interval.saturating_mul(doubled(streak)).min(MAX_RETRY);
        let jitter =
            hash_below(backoff / 4, &[&self.replica, &target.to_string(), &streak.length.to_string()]);
        Instant::now() + backoff - jitter
    }
}

/// A duration below `limit` that depends only on `texts`.
fn hash_below(limit: Duration, texts: &[&str]) -> Duration {
    nanos(u128::from(stable_hash(texts)) % limit.as_nanos().max(1))
}

/// The number of intervals until a failing target is retried. It starts at 1, or at 2 if AWS
/// throttled the target, and doubles with each further failure.
fn backoff_intervals(streak: FailureStreak) -> u32 {
    let max = if is_permanent(streak.reason) { MAX_BACKOFF_PERMANENT } else { MAX_BACKOFF };
    doubled(streak).min(max)
}

/// 1, or 2 if AWS throttled the target, doubled with each failure after the first.
fn doubled(streak: FailureStreak) -> u32 {
    let doublings = streak.length.saturating_sub(u64::from(!streak.throttled));
    1_u32.checked_shl(u32::try_from(doublings).unwrap_or(u32::MAX)).unwrap_or(u32::MAX)
}

fn nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::fleet::Account;

    const INTERVAL: Duration = Duration::from_mins(5);

    fn target(account: u64) -> Target {
        let account = Account { id: Some(format!("{account:012}").parse().unwrap()), ..Account::default() };
        Target { account: Arc::new(account), region: "eu-west-1".parse().unwrap() }
    }

    fn timing(replica: &str, now: UnixSeconds) -> Timing {
        Timing::new(INTERVAL, replica.to_owned(), now)
    }

    fn streak(reason: Reason, length: u64) -> FailureStreak {
        FailureStreak { reason, length, throttled: reason == Reason::Throttled }
    }

    proptest! {
        #[test]
        fn an_offset_is_within_the_interval(account in 0u64..1_000_000_000_000, seconds in 1u64..100_000) {
            let interval = Duration::from_secs(seconds);
            let timing = Timing::new(interval, "a".to_owned(), 0.0);
            prop_assert!(timing.offset(&target(account)) < interval);
        }

        #[test]
        fn the_next_regular_collection_is_half_to_one_and_a_half_intervals_later(
            account in 0u64..1_000_000_000_000,
            now in 0.0..2e9,
        ) {
            let timing = timing("a", now);
            let last_started = timing.reference.0;
            let after = timing.next_regular(&target(account), last_started) - last_started;
            // The time is not paused here, so some microseconds pass meanwhile.
            prop_assert!(after >= INTERVAL / 2 && after <= INTERVAL * 3 / 2 + Duration::from_secs(1), "{:?}", after);
        }

        #[test]
        fn the_back_off_grows_with_each_failure_up_to_its_limit(
            account in 0u64..1_000_000_000_000,
            length in 1u64..1_000,
            reason in proptest::sample::select(Reason::ALL),
        ) {
            let timing = timing("a", 0.0);
            let regular = timing.reference.0;
            let after = |length| timing.with_backoff(&target(account), regular, Some(streak(reason, length))) - regular;
            let max = INTERVAL * (if matches!(reason, Reason::RegionDisabled | Reason::ScpDenied) { 12 } else { 3 } - 1);
            prop_assert!(after(length) <= max);
            // The jitter shortens the back-off by a quarter at most.
            prop_assert!(after(length + 1) >= after(length).min(max * 3 / 4));
            prop_assert!(after(1_000) >= max * 3 / 4);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_does_not_move_a_target() {
        // How far into its interval the next regular collection is, in seconds.
        let next_offset = |now: UnixSeconds| {
            let timing = timing("a", now);
            let after = timing.next_regular(&target(1), Instant::now() - INTERVAL) - Instant::now();
            (now + after.as_secs_f64()) % INTERVAL.as_secs_f64()
        };
        let offset = timing("a", 0.0).offset(&target(1)).as_secs_f64();
        for now in [0.0, 1.0, 17.5, 299.9, 1_763_800_123.0] {
            assert!((next_offset(now) - offset).abs() < 1e-3, "{now}: {} {offset}", next_offset(now));
        }
    }

    #[test]
    fn two_exporters_poll_the_same_target_at_different_times() {
        let (a, b) = (timing("exporter-0", 0.0), timing("exporter-1", 0.0));
        let apart = (0..1000).map(|account| a.offset(&target(account)).abs_diff(b.offset(&target(account))));
        let close = apart.filter(|apart| *apart < INTERVAL / 100).count();
        assert!(close < 50, "{close} of 1000 within a hundredth of the interval");
    }

    #[test]
    fn offsets_are_spread_evenly_over_the_interval() {
        let timing = timing("a", 0.0);
        let mut tenths = [0; 10];
        for account in 0..1000 {
            tenths[(timing.offset(&target(account)).as_nanos() * 10 / INTERVAL.as_nanos()) as usize] += 1;
        }
        assert!(tenths.iter().all(|targets| (70..=130).contains(targets)), "{tenths:?}");
    }

    #[test]
    fn the_back_off_doubles_up_to_a_limit_that_is_higher_for_permanent_failures() {
        let sequence =
            |reason| [1, 2, 3, 4, 5, 6, 100].map(|length| backoff_intervals(streak(reason, length)));
        assert_eq!(sequence(Reason::Timeout), [1, 2, 3, 3, 3, 3, 3]);
        assert_eq!(sequence(Reason::Throttled), [2, 3, 3, 3, 3, 3, 3]);
        assert_eq!(sequence(Reason::ScpDenied), [1, 2, 4, 8, 12, 12, 12]);
        assert_eq!(sequence(Reason::RegionDisabled), [1, 2, 4, 8, 12, 12, 12]);
    }
}
