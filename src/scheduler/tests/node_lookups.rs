//! Tests when managed nodes are looked up.

use super::*;
use crate::snapshot::ManagedNodes;

const LOOKUP_INTERVAL: Duration = Duration::from_hours(1);

/// Targets in these regions, with managed-node lookups in `interval`.
fn targets(regions: &[&str], interval: Option<Duration>) -> Arc<TargetList> {
    let with_lookups = |region: &&str| {
        let target = target(region);
        let account = Account { managed_nodes_interval: interval, ..Account::clone(&target.account) };
        Target { account: Arc::new(account), ..target }
    };
    let targets = regions.iter().map(with_lookups).collect();
    Arc::new(TargetList { targets, ..TargetList::default() })
}

fn run_lookups(regions: &[&str], concurrency: usize, sleeper: Sleeper) -> RunningScheduler {
    run_targets(targets(regions, Some(LOOKUP_INTERVAL)), concurrency, sleeper, |scheduler| scheduler)
}

impl RunningScheduler {
    fn nodes(&self, index: usize) -> Option<String> {
        let view = self
            .store
            .view(&self.store.slots()[index], self.sleeper.started.unwrap().elapsed().as_secs_f64());
        view.managed_nodes().map(|nodes| match nodes {
            ManagedNodes::Pending => "pending".to_owned(),
            ManagedNodes::Unknown(failure) => failure.reason.as_str().to_owned(),
            ManagedNodes::Present => "present".to_owned(),
            ManagedNodes::Absent => "absent".to_owned(),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn each_target_has_a_lookup_after_its_first_collection_and_then_at_its_offset() {
    let durations = REGIONS.iter().map(|region| (*region, Duration::from_secs(2))).collect();
    let running = run_lookups(&REGIONS, 64, Sleeper { durations, ..Sleeper::default() });
    sleep(LOOKUP_INTERVAL * 4).await;
    let mut offsets = Vec::new();
    for region in REGIONS {
        let lookups = running.sleeper.lookups(region);
        assert_eq!(lookups[0], Duration::from_secs(2), "{region}");
        assert!(
            (LOOKUP_INTERVAL / 2..=LOOKUP_INTERVAL * 3 / 2).contains(&lookups[1].abs_diff(lookups[0])),
            "{lookups:?}"
        );
        for pair in lookups[1..].windows(2) {
            let gap = pair[1].checked_sub(pair[0]).unwrap();
            assert!(gap.abs_diff(LOOKUP_INTERVAL) <= Duration::from_millis(2), "{region}: {lookups:?}");
        }
        offsets.push(lookups[1]);
    }
    offsets.sort();
    offsets.dedup_by_key(|offset| offset.as_secs() / 60);
    assert_eq!(offsets.len(), REGIONS.len(), "spread out: {offsets:?}");
}

#[tokio::test(start_paused = true)]
async fn lookups_change_nothing_about_when_targets_are_collected() {
    let slow = || REGIONS.iter().map(|region| (*region, Duration::from_secs(30))).collect();
    let sleeper = || Sleeper { durations: slow(), lookup_durations: slow(), ..Sleeper::default() };
    let with = run_targets(targets(&REGIONS, Some(INTERVAL)), 2, sleeper(), |scheduler| scheduler);
    let without = run_targets(targets(&REGIONS, None), 2, sleeper(), |scheduler| scheduler);
    sleep(INTERVAL * 20).await;
    for region in REGIONS {
        assert_eq!(with.sleeper.starts(region), without.sleeper.starts(region), "{region}");
        assert!(with.sleeper.lookups(region).len() >= 18, "{region}: {:?}", with.sleeper.lookups(region));
        assert!(without.sleeper.lookups(region).is_empty(), "without the opt-in");
    }
    assert_eq!(with.store.stats.overruns(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_lookup_starts_while_a_collection_may_have_to_wait() {
    let durations = REGIONS.iter().map(|region| (*region, Duration::from_secs(10))).collect();
    let running = run_lookups(&REGIONS, 2, Sleeper { durations, ..Sleeper::default() });
    sleep(Duration::from_mins(2)).await;
    // Six targets, two at a time. The last two collections end at 30 s.
    for region in REGIONS {
        assert_eq!(running.sleeper.lookups(region), [Duration::from_secs(30)], "{region}");
    }
}

#[tokio::test(start_paused = true)]
async fn lookups_in_flight_are_limited_to_a_quarter_of_the_concurrency() {
    let lookup_durations = REGIONS.iter().map(|region| (*region, Duration::from_secs(10))).collect();
    let running = run_lookups(&REGIONS, 8, Sleeper { lookup_durations, ..Sleeper::default() });
    sleep(Duration::from_mins(2)).await;
    assert_eq!(running.sleeper.max_lookups_in_flight.load(Ordering::SeqCst), 2);
    assert!(REGIONS.iter().all(|region| running.sleeper.lookups(region).len() == 1));
}

#[tokio::test(start_paused = true)]
async fn a_hung_lookup_delays_neither_collections_nor_other_lookups() {
    let lookup_durations = HashMap::from([("eu-west-1", Duration::from_hours(100))]);
    let hung = run_lookups(&REGIONS, 8, Sleeper { lookup_durations, ..Sleeper::default() });
    let healthy = run_lookups(&REGIONS, 8, Sleeper::default());
    sleep(LOOKUP_INTERVAL * 3).await;
    for region in REGIONS {
        assert_eq!(hung.sleeper.starts(region), healthy.sleeper.starts(region), "{region}");
    }
    for region in &REGIONS[1..] {
        assert_eq!(hung.sleeper.lookups(region), healthy.sleeper.lookups(region), "{region}");
    }
    assert_eq!(hung.sleeper.lookups("eu-west-1").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_lookup_of_a_target_that_is_down_waits_until_it_is_up_again() {
    let failures = HashMap::from([
        ("eu-west-1", (0..3, Reason::AccessDenied)),
        // Up at the start, then down for more than an interval of lookups.
        ("eu-west-2", (1..20, Reason::Timeout)),
    ]);
    let running = run_lookups(&REGIONS[..2], 64, Sleeper { failures, ..Sleeper::default() });
    sleep(LOOKUP_INTERVAL * 6).await;
    let (first, second) = (running.sleeper.starts("eu-west-1"), running.sleeper.lookups("eu-west-1"));
    assert_eq!(second[0], first[3], "after the first good collection");
    let (starts, lookups) = (running.sleeper.starts("eu-west-2"), running.sleeper.lookups("eu-west-2"));
    assert_eq!((lookups[0], lookups[1]), (Duration::ZERO, starts[20]), "{lookups:?}");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_goes_down_while_its_lookup_is_ready_is_not_looked_up() {
    // One lookup at a time, and that of eu-west-2 is the first. It takes until eu-west-1 is down.
    let sleeper = Sleeper {
        lookup_durations: HashMap::from([("eu-west-2", INTERVAL * 4)]),
        failures: HashMap::from([("eu-west-1", (1..12, Reason::Timeout))]),
        ..Sleeper::default()
    };
    let running = run_lookups(&["eu-west-1", "eu-west-2"], 1, sleeper);
    sleep(LOOKUP_INTERVAL * 6).await;
    let (starts, lookups) = (running.sleeper.starts("eu-west-1"), running.sleeper.lookups("eu-west-1"));
    assert!(lookups[0] >= starts[12], "{lookups:?}");
}

#[tokio::test(start_paused = true)]
async fn lookups_make_progress_while_collections_leave_no_room() {
    let durations = REGIONS[..3].iter().map(|region| (*region, INTERVAL)).collect();
    let running = run_lookups(&REGIONS[..3], 1, Sleeper { durations, ..Sleeper::default() });
    sleep(INTERVAL * 40).await;
    assert!(running.store.stats.overruns() > 0);
    for region in &REGIONS[..3] {
        let lookups = running.sleeper.lookups(region);
        assert!((2..=4).contains(&lookups.len()), "{region}: {lookups:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_good_collection_is_followed_by_a_lookup_if_the_results_were_those_of_another_account() {
    let (lines, _guard) = Lines::of("failure_log");
    let sleeper = Sleeper {
        wrong_account: Some(("eu-west-1", 3)),
        lookup_failures: HashMap::from([("eu-west-1", (0..1, Reason::ScpDenied))]),
        ..Sleeper::default()
    };
    let running = run_lookups(&REGIONS[..1], 64, sleeper);
    sleep(LOOKUP_INTERVAL / 2).await;
    let (starts, lookups) = (running.sleeper.starts("eu-west-1"), running.sleeper.lookups("eu-west-1"));
    assert_eq!(lookups, [starts[0], starts[4]]);
    let lines = lines.take();
    let about_nodes = lines.iter().filter(|line| line.contains("managed nodes")).count();
    assert_eq!(about_nodes, 1, "the failure is that of another account: {lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failing_lookup_is_retried_with_back_off_up_to_its_interval_and_never_makes_the_target_down() {
    let (lines, _guard) = Lines::of("failure_log");
    let lookup_failures = HashMap::from([
        ("eu-west-1", (1..9, Reason::AccessDenied)),
        ("eu-west-2", (0..1, Reason::Throttled)),
        ("eu-west-3", (0..1000, Reason::ScpDenied)),
    ]);
    let running = run_lookups(&REGIONS[..3], 64, Sleeper { lookup_failures, ..Sleeper::default() });
    sleep(LOOKUP_INTERVAL * 10).await;
    let lookups = running.sleeper.lookups("eu-west-1");
    let gap = |pair: &[Duration]| pair[1].abs_diff(pair[0]).as_secs();
    let gaps: Vec<u64> = lookups[1..].windows(2).map(gap).collect();
    for (gap, expected) in gaps.iter().zip([300, 600, 1200, 2400]) {
        // The jitter shortens the back-off by a quarter at most.
        assert!((expected * 3 / 4..=expected + 1).contains(gap), "{gaps:?}");
    }
    assert!(gaps[4..].iter().all(|gap| *gap <= LOOKUP_INTERVAL.as_secs() * 3 / 2), "{gaps:?}");
    let throttled = running.sleeper.lookups("eu-west-2");
    assert!((450..=601).contains(&throttled[1].abs_diff(throttled[0]).as_secs()), "{throttled:?}");
    assert!(running.sleeper.lookups("eu-west-3").len() <= 12, "no retries in a denied region");
    assert_eq!([0, 1, 2].map(|index| running.nodes(index).unwrap()), ["present", "present", "scp_denied"]);
    assert_eq!([0, 1, 2].map(|index| running.up(index)), [Some(true); 3]);
    let lines = lines.take();
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(count("WARN cannot look up managed nodes"), 3, "{lines:?}");
    assert_eq!(count("INFO can look up managed nodes again"), 2, "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_lookup_fails_only_that_lookup() {
    let sleeper = Sleeper { lookup_panics_in: Some("eu-west-2"), ..Sleeper::default() };
    let running = run_lookups(&REGIONS[..2], 64, sleeper);
    sleep(Duration::from_secs(1)).await;
    assert_eq!([0, 1].map(|index| running.nodes(index).unwrap()), ["present", "other"]);
    assert_eq!([0, 1].map(|index| running.up(index)), [Some(true); 2]);
    sleep(INTERVAL * 2).await;
    assert!(running.sleeper.lookups("eu-west-2").len() >= 2, "repeated");
}

#[tokio::test(start_paused = true)]
async fn a_reload_can_enable_disable_and_reschedule_lookups() {
    let running = run_targets(targets(&REGIONS[..1], None), 64, Sleeper::default(), |scheduler| scheduler);
    sleep(INTERVAL * 2).await;
    assert_eq!((running.sleeper.lookups("eu-west-1").len(), running.nodes(0)), (0, None));
    // The target is up, so its lookup starts immediately.
    running.target_lists.send_replace(targets(&REGIONS[..1], Some(LOOKUP_INTERVAL)));
    sleep(Duration::from_millis(10)).await;
    assert_eq!(running.sleeper.lookups("eu-west-1"), [INTERVAL * 2]);
    running.target_lists.send_replace(targets(&REGIONS[..1], Some(INTERVAL)));
    sleep(INTERVAL * 10).await;
    let lookups = running.sleeper.lookups("eu-west-1").len();
    assert!((10..=12).contains(&lookups), "{lookups}");
    assert_eq!(running.nodes(0).unwrap(), "present");
    running.target_lists.send_replace(targets(&REGIONS[..1], None));
    sleep(INTERVAL * 10).await;
    assert_eq!((running.sleeper.lookups("eu-west-1").len(), running.nodes(0)), (lookups, None));
    // Earlier results do not come back when lookups are enabled again.
    assert!(running.store.slots()[0].state().nodes.last_checked.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_longer_interval_postpones_neither_the_first_lookup_nor_a_retry() {
    let sleeper = Sleeper {
        failures: HashMap::from([("eu-west-1", (0..3, Reason::AccessDenied))]),
        lookup_failures: HashMap::from([("eu-west-2", (0..1, Reason::AccessDenied))]),
        ..Sleeper::default()
    };
    let running = run_lookups(&REGIONS[..2], 64, sleeper);
    sleep(Duration::from_secs(1)).await;
    running.target_lists.send_replace(targets(&REGIONS[..2], Some(LOOKUP_INTERVAL * 10)));
    sleep(LOOKUP_INTERVAL).await;
    let (starts, lookups) = (running.sleeper.starts("eu-west-1"), running.sleeper.lookups("eu-west-1"));
    assert_eq!(lookups, [starts[3]]);
    let retried = running.sleeper.lookups("eu-west-2");
    assert!(retried[1] <= INTERVAL, "{retried:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_summary_follows_the_first_lookups() {
    let (lines, _guard) = Lines::of("scheduler");
    let lookup_durations = HashMap::from([("eu-west-1", Duration::from_secs(10))]);
    let _running = run_lookups(&REGIONS[..2], 64, Sleeper { lookup_durations, ..Sleeper::default() });
    let summaries = || lines.take().iter().filter(|line| line.contains("collection summary")).count();
    sleep(Duration::from_secs(9)).await;
    assert_eq!(summaries(), 0, "it is not known yet which syncs are stale");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(summaries(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_single_round_that_ends_before_the_lookups_has_a_summary() {
    let (lines, _guard) = Lines::of("scheduler");
    let lookup_durations = HashMap::from([("eu-west-1", LOOKUP_INTERVAL)]);
    let sleeper = Sleeper { lookup_durations, ..Sleeper::default() };
    let list = targets(&REGIONS[..2], Some(LOOKUP_INTERVAL));
    let mut running = run_targets(list, 64, sleeper, Scheduler::single_round);
    sleep(INTERVAL).await;
    running.shutdown.cancel();
    while running.tasks.join_next().await.is_some() {}
    let lines = lines.take();
    assert_eq!(lines.iter().filter(|line| line.contains("collection summary")).count(), 1, "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_single_round_has_one_lookup_of_each_target_that_is_up() {
    let failures = HashMap::from([("eu-west-2", (0..1000, Reason::Timeout))]);
    let lookup_failures = HashMap::from([("eu-west-1", (0..1000, Reason::AccessDenied))]);
    let sleeper = Sleeper { failures, lookup_failures, ..Sleeper::default() };
    let list = targets(&REGIONS, Some(INTERVAL));
    let running = run_targets(list, 64, sleeper, Scheduler::single_round);
    assert_eq!(running.store.pending_node_lookups(), 0, "no target is up yet");
    sleep(INTERVAL * 5).await;
    let numbers: Vec<usize> = REGIONS.iter().map(|region| running.sleeper.lookups(region).len()).collect();
    assert_eq!(numbers, [1, 0, 1, 1, 1, 1]);
    assert_eq!(running.store.pending_node_lookups(), 0);
}
