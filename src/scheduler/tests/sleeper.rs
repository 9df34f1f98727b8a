//! A scheduler whose collector sleeps instead of calling AWS.

use std::ops::Range;
use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;

use super::*;

/// A collector that sleeps instead of calling AWS, and records when each collection
/// started.
#[derive(Debug, Default)]
pub(super) struct Sleeper {
    pub(super) starts: Mutex<Vec<(String, Duration)>>,
    pub(super) in_flight: AtomicUsize,
    pub(super) max_in_flight: AtomicUsize,
    /// How long a collection in a region takes. Other regions take no time.
    pub(super) durations: HashMap<&'static str, Duration>,
    pub(super) panics_in: Option<&'static str>,
    /// Which collections of a region fail, by their number from 0, and why.
    pub(super) failures: HashMap<&'static str, (Range<usize>, Reason)>,
    /// A region, and the number of the collection there that finds credentials of another account.
    pub(super) wrong_account: Option<(&'static str, usize)>,
    /// When each managed-node lookup started.
    pub(super) lookups: Mutex<Vec<(String, Duration)>>,
    pub(super) lookups_in_flight: AtomicUsize,
    pub(super) max_lookups_in_flight: AtomicUsize,
    /// How long a lookup in a region takes. Other regions take no time.
    pub(super) lookup_durations: HashMap<&'static str, Duration>,
    pub(super) lookup_panics_in: Option<&'static str>,
    /// Which lookups of a region fail, by their number from 0, and why.
    pub(super) lookup_failures: HashMap<&'static str, (Range<usize>, Reason)>,
    /// The time that `starts` and `lookups` count from.
    pub(super) started: Option<Instant>,
}

impl Sleeper {
    pub(super) fn starts(&self, region: &str) -> Vec<Duration> {
        let starts = self.starts.lock();
        starts.iter().filter(|(name, _)| name == region).map(|(_, at)| *at).collect()
    }

    pub(super) fn lookups(&self, region: &str) -> Vec<Duration> {
        let lookups = self.lookups.lock();
        lookups.iter().filter(|(name, _)| name == region).map(|(_, at)| *at).collect()
    }
}

impl Collect for Arc<Sleeper> {
    async fn collect(&self, target: &Target) -> Report {
        let region = target.region.as_str();
        let at = self.started.unwrap().elapsed();
        self.starts.lock().push((region.to_owned(), at));
        assert_ne!(self.panics_in, Some(region), "injected by the test");
        let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.max_in_flight.fetch_max(in_flight, Ordering::SeqCst);
        sleep(self.durations.get(region).copied().unwrap_or_default()).await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        let number = self.starts(region).len() - 1;
        let outcome = match self.failures.get(region) {
            _ if self.wrong_account == Some((target.region.as_str(), number)) => {
                Err(Failure::wrong_account("injected by the test"))
            }
            Some((failing, reason)) if failing.contains(&number) => {
                let failure = Failure::new(*reason, "injected by the test");
                // The credential store logs these.
                let is_shared = *reason == Reason::Credentials;
                Err(if is_shared { failure.with_credentials_scope() } else { failure })
            }
            _ => Ok(Vec::new()),
        };
        Report { account: None, ended: 0.0, took: Duration::ZERO, outcome, invalid_items: None }
    }

    async fn look_up_managed_nodes(&self, target: &Target) -> NodeReport {
        let region = target.region.as_str();
        let at = self.started.unwrap().elapsed();
        let number = {
            let mut lookups = self.lookups.lock();
            lookups.push((region.to_owned(), at));
            lookups.iter().filter(|(name, _)| name == region).count() - 1
        };
        assert_ne!(self.lookup_panics_in, Some(region), "injected by the test");
        let in_flight = self.lookups_in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.max_lookups_in_flight.fetch_max(in_flight, Ordering::SeqCst);
        sleep(self.lookup_durations.get(region).copied().unwrap_or_default()).await;
        self.lookups_in_flight.fetch_sub(1, Ordering::SeqCst);
        let outcome = match self.lookup_failures.get(region) {
            Some((failing, reason)) if failing.contains(&number) => {
                Err(Failure::new(*reason, "injected by the test"))
            }
            _ => Ok(true),
        };
        NodeReport { account: None, ended: at.as_secs_f64(), outcome }
    }
}

pub(super) const INTERVAL: Duration = Duration::from_mins(5);

pub(super) struct RunningScheduler {
    pub(super) sleeper: Arc<Sleeper>,
    pub(super) store: Arc<Store>,
    pub(super) settings: watch::Sender<Arc<Settings<Arc<Sleeper>>>>,
    pub(super) target_lists: watch::Sender<Arc<TargetList>>,
    pub(super) shutdown: CancellationToken,
    pub(super) tasks: JoinSet<()>,
}

impl RunningScheduler {
    pub(super) fn up(&self, index: usize) -> Option<bool> {
        self.store.view(&self.store.slots()[index], 0.0).up()
    }
}

pub(super) fn target(region: &str) -> Target {
    let account = Account { id: Some("111122223333".parse().unwrap()), ..Account::default() };
    Target { account: Arc::new(account), region: region.parse().unwrap() }
}

pub(super) fn target_list(regions: &[&str]) -> Arc<TargetList> {
    Arc::new(TargetList {
        targets: regions.iter().map(|region| target(region)).collect(),
        pending_lookups: 0,
        ..TargetList::default()
    })
}

pub(super) fn settings(
    sleeper: &Arc<Sleeper>,
    interval: Duration,
    concurrency: usize,
) -> Arc<Settings<Arc<Sleeper>>> {
    Arc::new(Settings {
        collector: Arc::new(Arc::clone(sleeper)),
        interval,
        concurrency: NonZeroUsize::new(concurrency).unwrap(),
        health: Arc::default(),
    })
}

pub(super) fn run(regions: &[&str], concurrency: usize, sleeper: Sleeper) -> RunningScheduler {
    run_with(regions, concurrency, sleeper, |scheduler| scheduler)
}

pub(super) fn run_with(
    regions: &[&str],
    concurrency: usize,
    sleeper: Sleeper,
    configure: impl Fn(Scheduler<Arc<Sleeper>>) -> Scheduler<Arc<Sleeper>>,
) -> RunningScheduler {
    run_targets(target_list(regions), concurrency, sleeper, configure)
}

pub(super) fn run_targets(
    targets: Arc<TargetList>,
    concurrency: usize,
    sleeper: Sleeper,
    configure: impl Fn(Scheduler<Arc<Sleeper>>) -> Scheduler<Arc<Sleeper>>,
) -> RunningScheduler {
    let store = Arc::new(Store::new(INTERVAL));
    let sleeper = Arc::new(Sleeper { started: Some(Instant::now()), ..sleeper });
    let (target_lists, new_target_lists) = watch::channel(targets);
    let (settings, new_settings) = watch::channel(settings(&sleeper, INTERVAL, concurrency));
    let started = Instant::now();
    let clock = Clock::new(move || started.elapsed().as_secs_f64());
    let failure_log = Arc::new(FailureLog::default());
    let scheduler = Scheduler::new(
        new_settings,
        Arc::clone(&store),
        new_target_lists,
        "exporter".to_owned(),
        clock,
        Arc::clone(&failure_log),
    );
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(configure(scheduler).run(shutdown.clone()));
    let failure_log_shutdown = shutdown.clone();
    tasks.spawn(async move { failure_log.run(failure_log_shutdown).await });
    RunningScheduler { sleeper, store, settings, target_lists, shutdown, tasks }
}
