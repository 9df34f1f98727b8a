//! Tests the scheduler with tokio's time paused, so that all times are exact.

mod node_lookups;
mod sleeper;

use std::sync::atomic::Ordering;

use tokio::time::{advance, sleep};

use super::*;
use crate::fleet::{Account, Target};
use crate::logging::captured::{Lines, ThreadLog};
use sleeper::{
    INTERVAL, RunningScheduler, Sleeper, run, run_targets, run_with, settings, target, target_list,
};

const REGIONS: [&str; 6] = ["eu-west-1", "eu-west-2", "eu-west-3", "us-east-1", "us-east-2", "us-west-1"];

#[tokio::test(start_paused = true)]
async fn all_targets_are_collected_at_the_start_and_then_at_their_offsets() {
    let running = run(&REGIONS, 64, Sleeper::default());
    sleep(INTERVAL * 4).await;
    let mut offsets = Vec::new();
    for region in REGIONS {
        let starts = running.sleeper.starts(region);
        assert_eq!(starts[0], Duration::ZERO, "{region}");
        assert!((INTERVAL / 2..=INTERVAL * 3 / 2).contains(&starts[1]), "{region}: {starts:?}");
        for pair in starts[1..].windows(2) {
            // Timers have a resolution of one millisecond.
            let gap = pair[1].checked_sub(pair[0]).unwrap();
            assert!(gap.abs_diff(INTERVAL) <= Duration::from_millis(1), "{region}: {starts:?}");
        }
        offsets.push(starts[1]);
    }
    offsets.sort();
    offsets.dedup_by_key(|offset| offset.as_secs());
    assert_eq!(offsets.len(), REGIONS.len(), "spread out: {offsets:?}");
}

#[tokio::test(start_paused = true)]
async fn the_offset_of_a_target_does_not_depend_on_other_targets() {
    let all = run(&REGIONS, 64, Sleeper::default());
    let alone = run(&["eu-west-3"], 64, Sleeper::default());
    sleep(INTERVAL * 2).await;
    assert_eq!(all.sleeper.starts("eu-west-3"), alone.sleeper.starts("eu-west-3"));
}

#[tokio::test(start_paused = true)]
async fn collections_in_flight_are_limited_and_every_target_is_collected() {
    let durations = REGIONS.iter().map(|region| (*region, Duration::from_secs(10))).collect();
    let running = run(&REGIONS, 2, Sleeper { durations, ..Sleeper::default() });
    sleep(Duration::from_secs(5)).await;
    assert_eq!(running.store.stats.in_flight(), 2);
    sleep(Duration::from_secs(26)).await;
    assert_eq!(running.sleeper.max_in_flight.load(Ordering::SeqCst), 2);
    assert_eq!(running.store.uncollected(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hung_target_delays_no_other() {
    let durations = HashMap::from([("eu-west-1", Duration::from_hours(1))]);
    let hung = run(&REGIONS, 2, Sleeper { durations, ..Sleeper::default() });
    let healthy = run(&REGIONS, 2, Sleeper::default());
    sleep(INTERVAL * 4).await;
    for region in &REGIONS[1..] {
        assert_eq!(hung.sleeper.starts(region), healthy.sleeper.starts(region), "{region}");
    }
    assert_eq!(hung.sleeper.starts("eu-west-1"), [Duration::ZERO]);
}

#[tokio::test(start_paused = true)]
async fn missed_collections_are_counted_as_overruns_and_are_not_repeated() {
    let durations = HashMap::from([("eu-west-1", INTERVAL * 5 / 2)]);
    let running = run(&["eu-west-1"], 1, Sleeper { durations, ..Sleeper::default() });
    let healthy = run(&["eu-west-1"], 1, Sleeper::default());
    sleep(INTERVAL * 7).await;
    assert_eq!(healthy.store.stats.overruns(), 0);
    let (slow, regular) = (running.sleeper.starts("eu-west-1"), healthy.sleeper.starts("eu-west-1"));
    assert_eq!(slow.len(), 3, "{slow:?}");
    // Collections start only at regular times, and each skipped one is an overrun.
    let number =
        |at: &Duration| regular.iter().position(|regular| regular.abs_diff(*at) <= Duration::from_millis(1));
    let started: Vec<usize> = slow.iter().map(|at| number(at).unwrap()).collect();
    let missed = (started[1] - 1) + (started[2] - started[1] - 1);
    assert_eq!(running.store.stats.overruns(), missed as u64, "{started:?}");
    assert!(missed >= 3);
}

#[tokio::test(start_paused = true)]
async fn a_long_first_round_causes_no_overruns() {
    // Regression: first collections used to count as overruns after every start.
    let durations = REGIONS.iter().map(|region| (*region, INTERVAL / 20)).collect();
    let running = run(&REGIONS, 1, Sleeper { durations, ..Sleeper::default() });
    sleep(INTERVAL * 5).await;
    assert_eq!(running.store.stats.overruns(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_only_its_own_target_and_its_message_is_not_shown() {
    let log = ThreadLog::start();
    let running = run(&REGIONS, 2, Sleeper { panics_in: Some("eu-west-2"), ..Sleeper::default() });
    advance(Duration::from_millis(10)).await;
    sleep(INTERVAL * 2).await;
    for (index, region) in REGIONS.iter().enumerate() {
        let up = running.up(index);
        assert_eq!(up, Some(*region != "eu-west-2"), "{region}");
    }
    assert!(running.sleeper.starts("eu-west-2").len() >= 2, "retried");
    let log = log.finish();
    let panicked: Vec<&str> = log.lines().filter(|line| line.contains("panicked")).collect();
    assert_eq!(panicked.len(), 1, "one line for several panics, besides those of the panic hook: {log}");
    assert!(panicked[0].contains("region=eu-west-2 reason=other error=\"the collection panicked in task "));
    // Regression test: the message of a panic was logged, and can contain a secret.
    assert!(!log.contains("injected by the test"), "{log}");
}

/// The times between the collections of a region, rounded to whole intervals.
fn gaps(starts: &[Duration]) -> Vec<u128> {
    let gap = |pair: &[Duration]| pair[1].abs_diff(pair[0]).as_millis();
    starts.windows(2).map(|pair| (gap(pair) + INTERVAL.as_millis() / 2) / INTERVAL.as_millis()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_failing_target_backs_off_and_returns_to_its_offset_when_it_recovers() {
    let failures =
        HashMap::from([("eu-west-1", (2..7, Reason::Timeout)), ("eu-west-2", (2..3, Reason::Throttled))]);
    let running = run(&REGIONS, 64, Sleeper { failures, ..Sleeper::default() });
    let healthy = run(&REGIONS, 64, Sleeper::default());
    sleep(INTERVAL * 20).await;
    let starts = running.sleeper.starts("eu-west-1");
    // The first three collections are the one at the start, a good one at the offset, and
    // the first failure.
    assert_eq!(gaps(&starts)[1..11], [1, 1, 2, 3, 3, 3, 1, 1, 1, 1], "{starts:?}");
    for pair in starts[2..].windows(2) {
        assert!(pair[1].abs_diff(pair[0]) <= INTERVAL * 4, "{starts:?}");
    }
    // After its recovery, the target is at its offset again.
    let regular = healthy.sleeper.starts("eu-west-1");
    let last = starts.last().unwrap();
    assert!(
        regular.iter().any(|regular| regular.abs_diff(*last) <= Duration::from_millis(1)),
        "{starts:?} {regular:?}"
    );
    // Throttled targets back off from the first failure on.
    let starts = running.sleeper.starts("eu-west-2");
    assert_eq!(gaps(&starts)[1..6], [1, 2, 1, 1, 1], "{starts:?}");
    for region in &REGIONS[2..] {
        assert_eq!(running.sleeper.starts(region), healthy.sleeper.starts(region), "{region}");
    }
    assert_eq!(running.store.stats.overruns(), 0, "a back-off is not an overrun");
}

#[tokio::test(start_paused = true)]
async fn a_region_that_is_disabled_or_denied_is_polled_rarely() {
    let failures = HashMap::from([
        ("eu-west-1", (0..1000, Reason::RegionDisabled)),
        ("eu-west-2", (0..1000, Reason::ScpDenied)),
    ]);
    let running = run(&REGIONS, 64, Sleeper { failures, ..Sleeper::default() });
    sleep(INTERVAL * 100).await;
    for region in ["eu-west-1", "eu-west-2"] {
        let starts = running.sleeper.starts(region);
        assert!((9..=15).contains(&starts.len()), "{region}: {starts:?}");
    }
    assert!(running.sleeper.starts("eu-west-3").len() >= 100);
}

#[tokio::test(start_paused = true)]
async fn added_targets_are_collected_immediately_and_removed_ones_never_again() {
    let running = run(&["eu-west-1", "eu-west-2"], 64, Sleeper::default());
    let healthy = run(&["eu-west-1"], 64, Sleeper::default());
    sleep(INTERVAL * 2).await;
    running.target_lists.send_replace(target_list(&["eu-west-1", "us-east-1"]));
    let before = running.sleeper.starts("eu-west-2").len();
    sleep(Duration::from_millis(10)).await;
    assert_eq!(running.sleeper.starts("us-east-1"), [INTERVAL * 2]);
    sleep(INTERVAL * 4).await;
    assert_eq!(running.sleeper.starts("eu-west-2").len(), before);
    assert_eq!(running.sleeper.starts("eu-west-1"), healthy.sleeper.starts("eu-west-1"), "not moved");
    assert_eq!(running.store.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_report_of_a_target_that_was_removed_during_its_collection_is_dropped() {
    let durations = HashMap::from([("eu-west-2", Duration::from_secs(30))]);
    let running = run(&["eu-west-1", "eu-west-2"], 64, Sleeper { durations, ..Sleeper::default() });
    sleep(Duration::from_secs(1)).await;
    running.target_lists.send_replace(target_list(&["eu-west-1"]));
    sleep(Duration::from_mins(1)).await;
    // The target is added again without a state, and is collected immediately.
    running.target_lists.send_replace(target_list(&["eu-west-1", "eu-west-2"]));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(running.up(1), None);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(running.up(1), Some(true));
    assert_eq!(running.sleeper.starts("eu-west-2").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_single_round_collects_each_target_once_including_those_added_later() {
    let failures = HashMap::from([("eu-west-1", (0..10, Reason::Timeout))]);
    let sleeper = Sleeper { failures, ..Sleeper::default() };
    let running = run_with(&["eu-west-1", "eu-west-2"], 64, sleeper, Scheduler::single_round);
    sleep(INTERVAL * 3).await;
    running.target_lists.send_replace(target_list(&["eu-west-1", "eu-west-2", "us-east-1"]));
    sleep(INTERVAL * 3).await;
    for (region, start) in
        [("eu-west-1", Duration::ZERO), ("eu-west-2", Duration::ZERO), ("us-east-1", INTERVAL * 3)]
    {
        assert_eq!(running.sleeper.starts(region), [start], "{region}");
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_collections_in_flight() {
    let durations = HashMap::from([("eu-west-1", Duration::from_hours(1))]);
    let running = run(&REGIONS, 2, Sleeper { durations, ..Sleeper::default() });
    sleep(Duration::from_secs(1)).await;
    running.shutdown.cancel();
    let before = Instant::now();
    running.tasks.join_all().await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(running.store.stats.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reload_with_the_same_interval_moves_no_target() {
    let running = run(&REGIONS, 64, Sleeper::default());
    let healthy = run(&REGIONS, 64, Sleeper::default());
    for minute in 0..20 {
        sleep(Duration::from_mins(1)).await;
        running.settings.send_replace(settings(&running.sleeper, INTERVAL, 32 + minute));
    }
    for region in REGIONS {
        assert_eq!(running.sleeper.starts(region), healthy.sleeper.starts(region), "{region}");
    }
}

#[tokio::test(start_paused = true)]
async fn delayed_targets_follow_a_changed_interval() {
    let running = run(&REGIONS, 64, Sleeper::default());
    sleep(INTERVAL * 3).await;
    let (short, long) = (INTERVAL / 5, INTERVAL * 5);
    running.settings.send_replace(settings(&running.sleeper, short, 64));
    sleep(INTERVAL * 3).await;
    for region in REGIONS {
        let starts = running.sleeper.starts(region);
        let after: Vec<Duration> = starts.into_iter().filter(|at| *at >= INTERVAL * 3).collect();
        assert!(after[0] <= INTERVAL * 3 + short, "{region}: {after:?}");
        for pair in after.windows(2) {
            let gap = pair[1].checked_sub(pair[0]).unwrap();
            assert!(gap.abs_diff(short) <= Duration::from_millis(1), "{region}: {after:?}");
        }
    }
    running.settings.send_replace(settings(&running.sleeper, long, 64));
    sleep(long * 2).await;
    for region in REGIONS {
        let starts = running.sleeper.starts(region);
        let after = starts.iter().filter(|at| **at > INTERVAL * 6).count();
        assert!((1..=3).contains(&after), "{region}: {starts:?}");
    }
    assert_eq!(running.store.stats.overruns(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_changed_concurrency_applies_immediately() {
    let durations = REGIONS.iter().map(|region| (*region, Duration::from_secs(10))).collect();
    let running = run(&REGIONS, 1, Sleeper { durations, ..Sleeper::default() });
    sleep(Duration::from_secs(5)).await;
    assert_eq!(running.store.stats.in_flight(), 1);
    running.settings.send_replace(settings(&running.sleeper, INTERVAL, 6));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(running.store.stats.in_flight(), 6, "all regions are in flight");
}

#[tokio::test(start_paused = true)]
async fn new_targets_are_collected_with_the_new_settings() {
    // Regression: settings and targets used to be updated in random order.
    for _ in 0..20 {
        let running = run(&["eu-west-1"], 64, Sleeper::default());
        sleep(Duration::from_secs(1)).await;
        let new = Arc::new(Sleeper { started: Some(Instant::now()), ..Sleeper::default() });
        running.settings.send_replace(settings(&new, INTERVAL, 64));
        running.target_lists.send_replace(target_list(&["eu-west-1", "us-east-1"]));
        sleep(Duration::from_secs(1)).await;
        assert_eq!((new.starts("us-east-1").len(), running.sleeper.starts("us-east-1").len()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_interval_causes_no_overruns_of_late_targets() {
    let durations = REGIONS.iter().map(|region| (*region, INTERVAL / 5)).collect();
    let running = run(&REGIONS, 1, Sleeper { durations, ..Sleeper::default() });
    // Several jobs are ready and wait for the only collection in flight.
    sleep(INTERVAL * 2).await;
    let before = running.store.stats.overruns();
    running.settings.send_replace(settings(&running.sleeper, INTERVAL * 4, 64));
    sleep(INTERVAL * 2).await;
    assert_eq!(running.store.stats.overruns(), before);
}

#[tokio::test(start_paused = true)]
async fn a_summary_is_due_after_the_first_round_and_then_once_per_interval_or_minute() {
    let running = run(&REGIONS, 64, Sleeper::default());
    let mut summary = Summary::new();
    let (started, short) = (Instant::now(), Duration::from_secs(1));
    assert_eq!(summary.due(short, true, &running.store), started + Duration::from_mins(1));
    sleep(Duration::from_secs(5)).await;
    summary.count(&running.store.slots()[0].state());
    assert_eq!(summary.due(short, false, &running.store), started + Duration::from_mins(1), "not yet");
    assert!(summary.due(short, true, &running.store) <= Instant::now());
    summary.log_and_reset(&running.store, &HealthPolicy::default(), 0.0);
    summary.count(&running.store.slots()[0].state());
    let logged_at = Instant::now();
    assert_eq!(summary.due(short, true, &running.store), logged_at + Duration::from_mins(1));
    assert_eq!(summary.due(INTERVAL, true, &running.store), logged_at + INTERVAL);
}

#[tokio::test(start_paused = true)]
async fn targets_that_fail_for_the_same_cause_are_logged_together() {
    let (lines, _guard) = Lines::of("failure_log");
    let failures = REGIONS.map(|region| (region, (0..3, Reason::Timeout)));
    let running = run(&REGIONS, 64, Sleeper { failures: HashMap::from(failures), ..Sleeper::default() });
    sleep(INTERVAL * 12).await;
    let lines = lines.take();
    assert!(
        lines[0].starts_with("WARN target is failing account=111122223333 region=")
            && lines[0].ends_with(" reason=timeout error=injected by the test"),
        "{lines:#?}"
    );
    assert!(
        lines[1].starts_with("WARN targets are failing reason=timeout targets=6 failing=6 "),
        "{lines:#?}"
    );
    assert!(lines[2].starts_with("INFO target recovered account=111122223333 region="), "{lines:#?}");
    assert!(lines.last().unwrap().starts_with("INFO all targets recovered reason=timeout targets=6 "));
    assert!(lines[2..lines.len() - 1].iter().all(|line| line.contains("recovered")), "{lines:#?}");
    assert_eq!(running.store.uncollected(), 0);
}

#[tokio::test(start_paused = true)]
async fn failures_to_obtain_credentials_and_removed_targets_are_not_logged() {
    let (lines, _guard) = Lines::of("failure_log");
    let failures = HashMap::from([
        ("eu-west-1", (0..3, Reason::Credentials)),
        ("eu-west-2", (0..1000, Reason::Timeout)),
        ("eu-west-3", (0..1000, Reason::Timeout)),
    ]);
    let running = run(&REGIONS, 64, Sleeper { failures, ..Sleeper::default() });
    sleep(INTERVAL * 12).await;
    assert_eq!(lines.take().len(), 2, "those of the two other targets");
    running.target_lists.send_replace(target_list(&["eu-west-1"]));
    sleep(INTERVAL * 12).await;
    assert_eq!(lines.take(), Vec::<String>::new());
    running.target_lists.send_replace(target_list(&["eu-west-1", "eu-west-2"]));
    sleep(Duration::from_secs(1)).await;
    let lines = lines.take();
    assert!(lines.len() == 1 && lines[0].starts_with("WARN target is failing "), "{lines:#?}");
}
