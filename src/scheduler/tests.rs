//! The scheduler on paused time: every moment below is exact.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{advance, sleep};

use super::*;
use crate::target::{Access, Account};

/// Collects by sleeping, and writes down when each collection began.
#[derive(Debug, Default)]
struct Sleeper {
    begun: Mutex<Vec<(String, Duration)>>,
    most_at_once: AtomicUsize,
    at_once: AtomicUsize,
    /// How long the target of each region sleeps; others not at all.
    takes: HashMap<&'static str, Duration>,
    panics_in: Option<&'static str>,
    started: Option<Instant>,
}

impl Sleeper {
    fn begun(&self, region: &str) -> Vec<Duration> {
        let begun = self.begun.lock().unwrap();
        begun.iter().filter(|(name, _)| name == region).map(|(_, at)| *at).collect()
    }
}

impl Collect for Arc<Sleeper> {
    async fn collect(&self, target: &Target) -> Report {
        let region = target.region.as_str();
        let at = self.started.unwrap().elapsed();
        self.begun.lock().unwrap().push((region.to_owned(), at));
        assert_ne!(self.panics_in, Some(region), "as the test wants it");
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        sleep(self.takes.get(region).copied().unwrap_or_default()).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        Report { account: None, ended: 0.0, took: Duration::ZERO, outcome: Ok(Vec::new()) }
    }
}

const INTERVAL: Duration = Duration::from_mins(5);

struct Running {
    sleeper: Arc<Sleeper>,
    store: Arc<Store>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

fn run(regions: &[&str], concurrency: usize, sleeper: Sleeper) -> Running {
    let account = Arc::new(Account {
        id: Some("111122223333".parse().unwrap()),
        name: None,
        access: Access::default(),
    });
    let targets = regions
        .iter()
        .map(|region| Target { account: Arc::clone(&account), region: region.parse().unwrap() })
        .collect();
    let store = Arc::new(Store::new(targets, INTERVAL));
    let sleeper = Arc::new(Sleeper { started: Some(Instant::now()), ..sleeper });
    let scheduler = Scheduler::new(
        Arc::clone(&sleeper),
        Arc::clone(&store),
        INTERVAL,
        NonZeroUsize::new(concurrency).unwrap(),
        Clock::new(|| 0.0),
    );
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(scheduler.run(shutdown.clone()));
    Running { sleeper, store, shutdown, tasks }
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
    assert_eq!(running.store.activity.in_flight(), 2);
    sleep(Duration::from_secs(26)).await;
    assert_eq!(running.sleeper.most_at_once.load(Ordering::SeqCst), 2);
    assert_eq!(running.store.waiting(), 0);
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
    assert_eq!(healthy.store.activity.overruns(), 0);
    let (slow, regular) = (running.sleeper.begun("eu-west-1"), healthy.sleeper.begun("eu-west-1"));
    assert_eq!(slow.len(), 3, "{slow:?}");
    // It keeps to the turns of its place, and what it does not serve of them
    // is counted.
    let turn =
        |at: &Duration| regular.iter().position(|regular| regular.abs_diff(*at) <= Duration::from_millis(1));
    let served: Vec<usize> = slow.iter().map(|at| turn(at).unwrap()).collect();
    let missed = (served[1] - 1) + (served[2] - served[1] - 1);
    assert_eq!(running.store.activity.overruns(), missed as u64, "{served:?}");
    assert!(missed >= 3);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_targets_failure() {
    let running = run(&REGIONS, 2, Sleeper { panics_in: Some("eu-west-2"), ..Sleeper::default() });
    advance(Duration::from_millis(10)).await;
    sleep(INTERVAL * 2).await;
    for (index, region) in REGIONS.iter().enumerate() {
        let up = running.store.snapshot(0.0).targets[index].up();
        assert_eq!(up, Some(*region != "eu-west-2"), "{region}");
    }
    assert!(running.sleeper.begun("eu-west-2").len() >= 2, "it is tried again");
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
    assert_eq!(running.store.activity.in_flight(), 0);
}
