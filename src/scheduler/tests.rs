//! The scheduler on paused time: every moment below is exact.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::time::{advance, sleep};

use super::*;
use crate::fleet::{Account, Target};

/// Collects by sleeping, and writes down when each collection began.
#[derive(Debug, Default)]
struct Sleeper {
    begun: Mutex<Vec<(String, Duration)>>,
    most_at_once: AtomicUsize,
    at_once: AtomicUsize,
    /// How long the target of each region sleeps; others not at all.
    takes: HashMap<&'static str, Duration>,
    panics_in: Option<&'static str>,
    /// Which collections of each region fail, by their numbers, and why.
    fails: HashMap<&'static str, (Range<usize>, Reason)>,
    started: Option<Instant>,
}

impl Sleeper {
    fn begun(&self, region: &str) -> Vec<Duration> {
        let begun = self.begun.lock();
        begun.iter().filter(|(name, _)| name == region).map(|(_, at)| *at).collect()
    }
}

impl Collect for Arc<Sleeper> {
    async fn collect(&self, target: &Target) -> Report {
        let region = target.region.as_str();
        let at = self.started.unwrap().elapsed();
        self.begun.lock().push((region.to_owned(), at));
        assert_ne!(self.panics_in, Some(region), "as the test wants it");
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        sleep(self.takes.get(region).copied().unwrap_or_default()).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        let outcome = match self.fails.get(region) {
            Some((which, reason)) if which.contains(&(self.begun(region).len() - 1)) => {
                Err(Failure::new(*reason, "as the test wants it"))
            }
            _ => Ok(Vec::new()),
        };
        Report { account: None, ended: 0.0, took: Duration::ZERO, outcome }
    }
}

const INTERVAL: Duration = Duration::from_mins(5);

struct Running {
    sleeper: Arc<Sleeper>,
    store: Arc<Store>,
    settings: watch::Sender<Arc<Settings<Arc<Sleeper>>>>,
    plans: watch::Sender<Arc<TargetList>>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    fn up(&self, index: usize) -> Option<bool> {
        self.store.view(&self.store.slots()[index], 0.0).up()
    }
}

fn target(region: &str) -> Target {
    let account = Account { id: Some("111122223333".parse().unwrap()), ..Account::default() };
    Target { account: Arc::new(account), region: region.parse().unwrap() }
}

fn plan(regions: &[&str]) -> Arc<TargetList> {
    Arc::new(TargetList {
        targets: regions.iter().map(|region| target(region)).collect(),
        pending: 0,
        ..TargetList::default()
    })
}

fn settings(sleeper: &Arc<Sleeper>, interval: Duration, concurrency: usize) -> Arc<Settings<Arc<Sleeper>>> {
    Arc::new(Settings {
        collector: Arc::new(Arc::clone(sleeper)),
        interval,
        concurrency: NonZeroUsize::new(concurrency).unwrap(),
    })
}

fn run(regions: &[&str], concurrency: usize, sleeper: Sleeper) -> Running {
    let store = Arc::new(Store::new(INTERVAL));
    let sleeper = Arc::new(Sleeper { started: Some(Instant::now()), ..sleeper });
    let (plans, receiver) = watch::channel(plan(regions));
    let (settings, later) = watch::channel(settings(&sleeper, INTERVAL, concurrency));
    let scheduler = Scheduler::new(
        later,
        Arc::clone(&store),
        receiver,
        "exporter".to_owned(),
        Clock::new({
            let started = Instant::now();
            move || started.elapsed().as_secs_f64()
        }),
    );
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(scheduler.run(shutdown.clone()));
    Running { sleeper, store, settings, plans, shutdown, tasks }
}

const REGIONS: [&str; 6] = ["eu-west-1", "eu-west-2", "eu-west-3", "us-east-1", "us-east-2", "us-west-1"];

#[tokio::test(start_paused = true)]
async fn all_targets_start_at_once_and_then_keep_to_their_own_places() {
    let running = run(&REGIONS, 64, Sleeper::default());
    sleep(INTERVAL * 4).await;
    let mut places = Vec::new();
    for region in REGIONS {
        let begun = running.sleeper.begun(region);
        assert_eq!(begun[0], Duration::ZERO, "{region}");
        assert!((INTERVAL / 2..=INTERVAL * 3 / 2).contains(&begun[1]), "{region}: {begun:?}");
        for pair in begun[1..].windows(2) {
            // The queue's timer counts in milliseconds.
            let gap = pair[1].checked_sub(pair[0]).unwrap();
            assert!(gap.abs_diff(INTERVAL) <= Duration::from_millis(1), "{region}: {begun:?}");
        }
        places.push(begun[1]);
    }
    places.sort();
    places.dedup_by_key(|place| place.as_secs());
    assert_eq!(places.len(), REGIONS.len(), "spread out: {places:?}");
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_target_does_not_depend_on_its_neighbours() {
    let all = run(&REGIONS, 64, Sleeper::default());
    let alone = run(&["eu-west-3"], 64, Sleeper::default());
    sleep(INTERVAL * 2).await;
    assert_eq!(all.sleeper.begun("eu-west-3"), alone.sleeper.begun("eu-west-3"));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_are_under_way_and_all_get_their_turn() {
    let takes = REGIONS.iter().map(|region| (*region, Duration::from_secs(10))).collect();
    let running = run(&REGIONS, 2, Sleeper { takes, ..Sleeper::default() });
    sleep(Duration::from_secs(5)).await;
    assert_eq!(running.store.stats.in_flight(), 2);
    sleep(Duration::from_secs(26)).await;
    assert_eq!(running.sleeper.most_at_once.load(Ordering::SeqCst), 2);
    assert_eq!(running.store.uncollected(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_hangs_holds_up_no_other() {
    let takes = HashMap::from([("eu-west-1", Duration::from_hours(1))]);
    let hanging = run(&REGIONS, 2, Sleeper { takes, ..Sleeper::default() });
    let healthy = run(&REGIONS, 2, Sleeper::default());
    sleep(INTERVAL * 4).await;
    for region in &REGIONS[1..] {
        assert_eq!(hanging.sleeper.begun(region), healthy.sleeper.begun(region), "{region}");
    }
    assert_eq!(hanging.sleeper.begun("eu-west-1"), [Duration::ZERO]);
}

#[tokio::test(start_paused = true)]
async fn missed_turns_are_counted_and_not_made_up_for() {
    let takes = HashMap::from([("eu-west-1", INTERVAL * 5 / 2)]);
    let running = run(&["eu-west-1"], 1, Sleeper { takes, ..Sleeper::default() });
    let healthy = run(&["eu-west-1"], 1, Sleeper::default());
    sleep(INTERVAL * 7).await;
    assert_eq!(healthy.store.stats.overruns(), 0);
    let (slow, regular) = (running.sleeper.begun("eu-west-1"), healthy.sleeper.begun("eu-west-1"));
    assert_eq!(slow.len(), 3, "{slow:?}");
    // It keeps to the turns of its place, and what it does not serve of them
    // is counted.
    let turn =
        |at: &Duration| regular.iter().position(|regular| regular.abs_diff(*at) <= Duration::from_millis(1));
    let served: Vec<usize> = slow.iter().map(|at| turn(at).unwrap()).collect();
    let missed = (served[1] - 1) + (served[2] - served[1] - 1);
    assert_eq!(running.store.stats.overruns(), missed as u64, "{served:?}");
    assert!(missed >= 3);
}

#[tokio::test(start_paused = true)]
async fn a_first_round_that_takes_long_is_no_overrun() {
    // Regression: first turns counted as missed ones, at every start.
    let takes = REGIONS.iter().map(|region| (*region, INTERVAL / 20)).collect();
    let running = run(&REGIONS, 1, Sleeper { takes, ..Sleeper::default() });
    sleep(INTERVAL * 5).await;
    assert_eq!(running.store.stats.overruns(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_targets_failure() {
    let running = run(&REGIONS, 2, Sleeper { panics_in: Some("eu-west-2"), ..Sleeper::default() });
    advance(Duration::from_millis(10)).await;
    sleep(INTERVAL * 2).await;
    for (index, region) in REGIONS.iter().enumerate() {
        let up = running.up(index);
        assert_eq!(up, Some(*region != "eu-west-2"), "{region}");
    }
    assert!(running.sleeper.begun("eu-west-2").len() >= 2, "it is tried again");
}

/// How many intervals lie between the collections of a region, rounded.
fn gaps(begun: &[Duration]) -> Vec<u128> {
    let gap = |pair: &[Duration]| pair[1].abs_diff(pair[0]).as_millis();
    begun.windows(2).map(|pair| (gap(pair) + INTERVAL.as_millis() / 2) / INTERVAL.as_millis()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_failing_target_backs_off_and_comes_back_at_once() {
    let fails =
        HashMap::from([("eu-west-1", (2..7, Reason::Timeout)), ("eu-west-2", (2..3, Reason::Throttled))]);
    let running = run(&REGIONS, 64, Sleeper { fails, ..Sleeper::default() });
    let healthy = run(&REGIONS, 64, Sleeper::default());
    sleep(INTERVAL * 20).await;
    let begun = running.sleeper.begun("eu-west-1");
    // The first few: at the start, at its place, and the first that fails.
    assert_eq!(gaps(&begun)[1..11], [1, 1, 2, 3, 3, 3, 1, 1, 1, 1], "{begun:?}");
    for pair in begun[2..].windows(2) {
        assert!(pair[1].abs_diff(pair[0]) <= INTERVAL * 4, "{begun:?}");
    }
    // Back at its place.
    let regular = healthy.sleeper.begun("eu-west-1");
    let last = begun.last().unwrap();
    assert!(
        regular.iter().any(|regular| regular.abs_diff(*last) <= Duration::from_millis(1)),
        "{begun:?} {regular:?}"
    );
    // Throttled: fewer calls from the first time on.
    let begun = running.sleeper.begun("eu-west-2");
    assert_eq!(gaps(&begun)[1..6], [1, 2, 1, 1, 1], "{begun:?}");
    for region in &REGIONS[2..] {
        assert_eq!(running.sleeper.begun(region), healthy.sleeper.begun(region), "{region}");
    }
    assert_eq!(running.store.stats.overruns(), 0, "turns are passed over on purpose");
}

#[tokio::test(start_paused = true)]
async fn a_region_that_refuses_for_good_is_polled_rarely() {
    let fails = HashMap::from([
        ("eu-west-1", (0..1000, Reason::RegionDisabled)),
        ("eu-west-2", (0..1000, Reason::ScpDenied)),
    ]);
    let running = run(&REGIONS, 64, Sleeper { fails, ..Sleeper::default() });
    sleep(INTERVAL * 100).await;
    for region in ["eu-west-1", "eu-west-2"] {
        let begun = running.sleeper.begun(region);
        assert!((9..=15).contains(&begun.len()), "{region}: {begun:?}");
    }
    assert!(running.sleeper.begun("eu-west-3").len() >= 100);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_comes_is_collected_at_once_and_one_that_goes_never_again() {
    let running = run(&["eu-west-1", "eu-west-2"], 64, Sleeper::default());
    let healthy = run(&["eu-west-1"], 64, Sleeper::default());
    sleep(INTERVAL * 2).await;
    running.plans.send_replace(plan(&["eu-west-1", "us-east-1"]));
    let before = running.sleeper.begun("eu-west-2").len();
    sleep(Duration::from_millis(10)).await;
    assert_eq!(running.sleeper.begun("us-east-1"), [INTERVAL * 2]);
    sleep(INTERVAL * 4).await;
    assert_eq!(running.sleeper.begun("eu-west-2").len(), before);
    assert_eq!(running.sleeper.begun("eu-west-1"), healthy.sleeper.begun("eu-west-1"), "not moved");
    assert_eq!(running.store.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_comes_of_a_target_that_has_gone_meanwhile_is_dropped() {
    let takes = HashMap::from([("eu-west-2", Duration::from_secs(30))]);
    let running = run(&["eu-west-1", "eu-west-2"], 64, Sleeper { takes, ..Sleeper::default() });
    sleep(Duration::from_secs(1)).await;
    running.plans.send_replace(plan(&["eu-west-1"]));
    sleep(Duration::from_mins(1)).await;
    // It comes again as one that nothing is known of, and is collected at once.
    running.plans.send_replace(plan(&["eu-west-1", "eu-west-2"]));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(running.up(1), None);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(running.up(1), Some(true));
    assert_eq!(running.sleeper.begun("eu-west-2").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_collections() {
    let takes = HashMap::from([("eu-west-1", Duration::from_hours(1))]);
    let running = run(&REGIONS, 2, Sleeper { takes, ..Sleeper::default() });
    sleep(Duration::from_secs(1)).await;
    running.shutdown.cancel();
    let before = Instant::now();
    running.tasks.join_all().await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(running.store.stats.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reload_moves_no_target_unless_the_interval_is_another() {
    let running = run(&REGIONS, 64, Sleeper::default());
    let healthy = run(&REGIONS, 64, Sleeper::default());
    for minute in 0..20 {
        sleep(Duration::from_mins(1)).await;
        running.settings.send_replace(settings(&running.sleeper, INTERVAL, 32 + minute));
    }
    for region in REGIONS {
        assert_eq!(running.sleeper.begun(region), healthy.sleeper.begun(region), "{region}");
    }
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_follow_another_interval() {
    let running = run(&REGIONS, 64, Sleeper::default());
    sleep(INTERVAL * 3).await;
    let (short, long) = (INTERVAL / 5, INTERVAL * 5);
    running.settings.send_replace(settings(&running.sleeper, short, 64));
    sleep(INTERVAL * 3).await;
    for region in REGIONS {
        let begun = running.sleeper.begun(region);
        let after: Vec<Duration> = begun.into_iter().filter(|at| *at >= INTERVAL * 3).collect();
        assert!(after[0] <= INTERVAL * 3 + short, "{region}: {after:?}");
        for pair in after.windows(2) {
            let gap = pair[1].checked_sub(pair[0]).unwrap();
            assert!(gap.abs_diff(short) <= Duration::from_millis(1), "{region}: {after:?}");
        }
    }
    running.settings.send_replace(settings(&running.sleeper, long, 64));
    sleep(long * 2).await;
    for region in REGIONS {
        let begun = running.sleeper.begun(region);
        let after = begun.iter().filter(|at| **at > INTERVAL * 6).count();
        assert!((1..=3).contains(&after), "{region}: {begun:?}");
    }
    assert_eq!(running.store.stats.overruns(), 0);
}

#[tokio::test(start_paused = true)]
async fn another_limit_holds_at_once() {
    let takes = REGIONS.iter().map(|region| (*region, Duration::from_secs(10))).collect();
    let running = run(&REGIONS, 1, Sleeper { takes, ..Sleeper::default() });
    sleep(Duration::from_secs(5)).await;
    assert_eq!(running.store.stats.in_flight(), 1);
    running.settings.send_replace(settings(&running.sleeper, INTERVAL, 6));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(running.store.stats.in_flight(), 6, "three more of them, there being several regions");
}

#[tokio::test(start_paused = true)]
async fn what_is_new_is_collected_by_the_new_settings() {
    // Regression: which of the two came first was left to chance.
    for _ in 0..20 {
        let running = run(&["eu-west-1"], 64, Sleeper::default());
        sleep(Duration::from_secs(1)).await;
        let new = Arc::new(Sleeper { started: Some(Instant::now()), ..Sleeper::default() });
        running.settings.send_replace(settings(&new, INTERVAL, 64));
        running.plans.send_replace(plan(&["eu-west-1", "us-east-1"]));
        sleep(Duration::from_secs(1)).await;
        assert_eq!((new.begun("us-east-1").len(), running.sleeper.begun("us-east-1").len()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn those_that_were_late_before_the_interval_was_another_have_missed_nothing() {
    let takes = REGIONS.iter().map(|region| (*region, INTERVAL / 5)).collect();
    let running = run(&REGIONS, 1, Sleeper { takes, ..Sleeper::default() });
    // By then several wait for the one place.
    sleep(INTERVAL * 2).await;
    let before = running.store.stats.overruns();
    running.settings.send_replace(settings(&running.sleeper, INTERVAL * 4, 64));
    sleep(INTERVAL * 2).await;
    assert_eq!(running.store.stats.overruns(), before);
}

#[tokio::test(start_paused = true)]
async fn a_summary_is_due_after_the_first_round_and_then_once_a_minute_at_most() {
    let running = run(&REGIONS, 64, Sleeper::default());
    let mut summary = Summary::new();
    let (begun, short) = (Instant::now(), Duration::from_secs(1));
    assert_eq!(summary.due(short, true, &running.store), begun + Duration::from_mins(1));
    sleep(Duration::from_secs(5)).await;
    summary.count(&running.store.slots()[0].state());
    assert_eq!(summary.due(short, false, &running.store), begun + Duration::from_mins(1), "not yet");
    assert!(summary.due(short, true, &running.store) <= Instant::now());
    summary.tell(&running.store, 0.0);
    summary.count(&running.store.slots()[0].state());
    let told = Instant::now();
    assert_eq!(summary.due(short, true, &running.store), told + Duration::from_mins(1));
    assert_eq!(summary.due(INTERVAL, true, &running.store), told + INTERVAL);
}
