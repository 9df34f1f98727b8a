//! When a target has its turns.

use std::time::Duration;

use tokio::time::Instant;

use super::permanent::is_permanent;
use crate::fleet::Target;
use crate::fleet::hash::hash;
use crate::model::{FailureScope, Reason, UnixSeconds};
use crate::snapshot::TargetState;

/// The most intervals from one collection of a failing target to its next.
const MOST: u32 = 3;

/// The same, where it does not look as if it would mend by itself.
const MOST_OF_THE_REFUSED: u32 = 12;

/// Every target has a place of its own in the interval. It follows from
/// nothing but the target and the exporter it is polled by, and intervals are
/// counted from the Unix epoch: so a restart does not move it (as long as the
/// exporter keeps its name), what else is polled does not either, and two
/// exporters that poll the same do not do so at the same moment.
#[derive(Debug)]
pub(super) struct Timing {
    interval: Duration,
    replica: String,
    /// A moment, and how long before it an interval had begun.
    started: (Instant, Duration),
}

/// How the last collections of a target went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failing {
    /// Why the last one failed.
    pub(super) reason: Reason,
    /// How many have failed one after the other.
    pub(super) times: u64,
    /// Whether AWS has asked for fewer calls to the target.
    pub(super) asked_for_fewer: bool,
}

impl Failing {
    /// How a target fails, if it does.
    pub(super) fn of(state: &TargetState) -> Option<Self> {
        let failure = state.last.as_ref()?.failure.as_ref()?;
        Some(Self {
            reason: failure.reason,
            times: state.consecutive_failures,
            // If STS was throttled, SSM was not.
            asked_for_fewer: failure.reason == Reason::Throttled && failure.scope == FailureScope::Target,
        })
    }
}

impl Timing {
    /// The timing of an exporter called `replica`, as of the moment `now`.
    pub(super) fn new(interval: Duration, replica: String, now: UnixSeconds) -> Self {
        let since_epoch = Duration::try_from_secs_f64(now).unwrap_or_default();
        let into_interval = since_epoch.as_nanos() % interval.as_nanos().max(1);
        Self { interval, replica, started: (Instant::now(), nanos(into_interval)) }
    }

    /// The target's place in the interval.
    pub(super) fn place(&self, target: &Target) -> Duration {
        part_of(self.interval, &[&self.replica, &target.to_string()])
    }

    /// The first turn of a target's place from now on, but never sooner than
    /// half an interval after its last collection had `begun`: one that was late,
    /// or has just started, is not asked twice in a row.
    pub(super) fn regular(&self, target: &Target, begun: Instant) -> Instant {
        self.at_or_after(target, Instant::now().max(begun + self.interval / 2))
    }

    /// How many turns of its place a target has missed that was due at `due`
    /// and will next have one at `regular`: its collection began or ended too
    /// late.
    pub(super) fn missed(&self, target: &Target, due: Instant, regular: Instant) -> u64 {
        let expected = self.at_or_after(target, due + self.interval / 2);
        let missed = regular.saturating_duration_since(expected).as_nanos() / self.interval.as_nanos().max(1);
        u64::try_from(missed).unwrap_or(u64::MAX)
    }

    /// The first turn of a target's place that is not before `earliest`.
    fn at_or_after(&self, target: &Target, earliest: Instant) -> Instant {
        let (started, into_interval) = self.started;
        let first = started + self.place(target) + self.interval.saturating_sub(into_interval);
        match earliest.checked_duration_since(first) {
            // The turn before the first is still to come.
            None if first - self.interval >= earliest => first - self.interval,
            None => first,
            Some(since) => {
                let turns = since.as_nanos().div_ceil(self.interval.as_nanos().max(1));
                first + self.interval * u32::try_from(turns).unwrap_or(u32::MAX)
            }
        }
    }

    /// The next turn of a target that would regularly have it at `regular`. A
    /// failing one is passed over, for twice as long each time.
    pub(super) fn next(&self, target: &Target, regular: Instant, failing: Option<Failing>) -> Instant {
        let Some(failing) = failing else { return regular };
        let extra = self.interval * (intervals(failing) - 1);
        // Those that began to fail together are not to come back together.
        let jitter = part_of(extra / 4, &[&self.replica, &target.to_string(), &failing.times.to_string()]);
        regular + extra - jitter
    }
}

/// A part of `whole` that these texts, and nothing else, decide on.
fn part_of(whole: Duration, texts: &[&str]) -> Duration {
    nanos(u128::from(hash(texts)) % whole.as_nanos().max(1))
}

/// After how many intervals a failing target is tried again.
fn intervals(failing: Failing) -> u32 {
    let most = if is_permanent(failing.reason) { MOST_OF_THE_REFUSED } else { MOST };
    // Who asks for fewer calls gets them at once.
    let doublings = failing.times.saturating_sub(u64::from(!failing.asked_for_fewer));
    1_u32.checked_shl(u32::try_from(doublings).unwrap_or(u32::MAX)).unwrap_or(u32::MAX).min(most)
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

    fn failing(reason: Reason, times: u64) -> Failing {
        Failing { reason, times, asked_for_fewer: reason == Reason::Throttled }
    }

    proptest! {
        #[test]
        fn a_place_lies_within_the_interval(account in 0u64..1_000_000_000_000, seconds in 1u64..100_000) {
            let interval = Duration::from_secs(seconds);
            let timing = Timing::new(interval, "a".to_owned(), 0.0);
            prop_assert!(timing.place(&target(account)) < interval);
        }

        #[test]
        fn a_turn_is_never_sooner_than_half_an_interval_nor_later_than_one_and_a_half(
            account in 0u64..1_000_000_000_000,
            now in 0.0..2e9,
        ) {
            let timing = timing("a", now);
            let begun = timing.started.0;
            let after = timing.regular(&target(account), begun) - begun;
            // A few microseconds go by meanwhile.
            prop_assert!(after >= INTERVAL / 2 && after <= INTERVAL * 3 / 2 + Duration::from_secs(1), "{:?}", after);
        }

        #[test]
        fn a_failing_target_waits_longer_each_time_up_to_a_cap_above_the_interval(
            account in 0u64..1_000_000_000_000,
            times in 1u64..1_000,
            reason in (0..Reason::ALL.len()).prop_map(|index| Reason::ALL[index]),
        ) {
            let timing = timing("a", 0.0);
            let regular = timing.started.0;
            let after = |times| timing.next(&target(account), regular, Some(failing(reason, times))) - regular;
            let most = INTERVAL * (if matches!(reason, Reason::RegionDisabled | Reason::ScpDenied) { 12 } else { 3 } - 1);
            prop_assert!(after(times) <= most);
            // The jitter takes away a quarter at the most.
            prop_assert!(after(times + 1) >= after(times).min(most * 3 / 4));
            prop_assert!(after(1_000) >= most * 3 / 4);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_does_not_move_a_target() {
        // Seconds since the epoch at which it has its next turn.
        let turn = |now: UnixSeconds| {
            let timing = timing("a", now);
            let after = timing.regular(&target(1), Instant::now() - INTERVAL) - Instant::now();
            (now + after.as_secs_f64()) % INTERVAL.as_secs_f64()
        };
        let place = timing("a", 0.0).place(&target(1)).as_secs_f64();
        for now in [0.0, 1.0, 17.5, 299.9, 1_763_800_123.0] {
            assert!((turn(now) - place).abs() < 1e-3, "{now}: {} {place}", turn(now));
        }
    }

    #[test]
    fn two_exporters_do_not_march_in_step() {
        let (a, b) = (timing("exporter-0", 0.0), timing("exporter-1", 0.0));
        let apart = (0..1000).map(|account| a.place(&target(account)).abs_diff(b.place(&target(account))));
        let close = apart.filter(|apart| *apart < INTERVAL / 100).count();
        assert!(close < 50, "{close} of 1000 within a hundredth of the interval");
    }

    #[test]
    fn places_are_spread_over_the_interval() {
        let timing = timing("a", 0.0);
        let mut tenths = [0; 10];
        for account in 0..1000 {
            tenths[(timing.place(&target(account)).as_nanos() * 10 / INTERVAL.as_nanos()) as usize] += 1;
        }
        assert!(tenths.iter().all(|targets| (70..=130).contains(targets)), "{tenths:?}");
    }

    #[test]
    fn after_how_many_intervals_a_failing_target_is_tried_again() {
        let sequence = |reason| [1, 2, 3, 4, 5, 6, 100].map(|times| intervals(failing(reason, times)));
        assert_eq!(sequence(Reason::Timeout), [1, 2, 3, 3, 3, 3, 3]);
        assert_eq!(sequence(Reason::Throttled), [2, 3, 3, 3, 3, 3, 3]);
        assert_eq!(sequence(Reason::ScpDenied), [1, 2, 4, 8, 12, 12, 12]);
        assert_eq!(sequence(Reason::RegionDisabled), [1, 2, 4, 8, 12, 12, 12]);
    }
}
