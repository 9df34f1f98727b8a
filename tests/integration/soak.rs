//! Soak test: runs the program under random reloads, signals, scrapes and AWS faults. It checks
//! that no scrape fails, that nothing leaks or panics, and that targets without faults are collected
//! all the while.
//!
//! The test runs for 15 seconds. `SOAK_SECONDS` makes it run longer, `SOAK_FAULTS` uses only
//! the faults whose rule contains this text, for example `Padding`, and `SOAK_SEED` is a number from
//! which everything random is derived.

mod faults;
mod fleet;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fake_aws::FakeAws;
use ssm_sync_exporter::clock::Clock;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::exporter::{Exporter, Scrape, Setup, fake_aws, one_target, up};
use crate::http;
use crate::process::{ExporterProcess, program};
use fleet::{Config, NEIGHBOUR, NEIGHBOUR_HUB, NEIGHBOUR_REGIONS, REGIONS, TARGETS};

/// The maximum age of the last success of a target without faults. Configurations have intervals of
/// up to 3 s; a target that waits for another one to time out would be older than 16 s.
const MAX_AGE: f64 = 14.0;

/// The maximum resident memory in bytes at any time.
const MAX_MEMORY: f64 = 300e6;

/// The maximum growth in bytes of the resident memory between two moments without faults.
const MAX_MEMORY_GROWTH: f64 = 20e6;

/// The maximum size of a scrape in bytes.
const MAX_SCRAPE: usize = 16_000_000;

/// The maximum length of a line of the log and of a scrape in bytes.
const MAX_LINE: usize = 32_000;

/// The maximum number of error codes in a scrape.
const MAX_ERROR_CODES: usize = 100;

/// A pseudo-random number generator (xorshift), which gives the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }
}

/// What the scrapes have found.
#[derive(Default)]
struct Findings {
    scrapes: AtomicU64,
    /// The maximum age, in milliseconds, of the last success of a target without faults.
    max_age: AtomicU64,
}

/// Scrapes until `stop` is cancelled. Panics if a response is not as it should be.
async fn scrape(address: SocketAddr, seed: u64, stop: CancellationToken, findings: Arc<Findings>) {
    let mut random = Random(seed);
    let accept_headers = [
        "text/plain;version=0.0.4",
        "application/openmetrics-text;version=1.0.0",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    ];
    while !stop.is_cancelled() {
        let (path, accept) = (
            random.pick(&["/metrics", "/metrics", "/metrics", "/", "/-/ready"]),
            random.pick(&accept_headers),
        );
        let coding = random.pick(&["identity", "gzip", "zstd"]);
        let headers = [("Accept", accept), ("Accept-Encoding", coding)];
        let response = http::request_with(address, "GET", path, &headers).await;
        let not_ready = path == "/-/ready" && response.status == 503;
        assert!(response.status == 200 || not_ready, "{path}: {}", response.head);
        let size = response.bytes.len();
        assert!(size < MAX_SCRAPE, "{path} has {size} bytes");
        if path == "/metrics" {
            assert!(size > 500, "{}", response.head);
            if coding == "identity" && accept.starts_with("text/plain") {
                check_scrape(&Scrape(response.body), &findings);
            }
        }
        findings.scrapes.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(random.below(30) as u64)).await;
    }
}

fn check_scrape(scrape: &Scrape, findings: &Findings) {
    let longest = scrape.0.lines().map(str::len).max().unwrap();
    assert!(longest < MAX_LINE, "a line of the scrape has {longest} bytes");
    let series = scrape.series();
    let unique: HashSet<_> = series.iter().collect();
    assert_eq!(series.len(), unique.len(), "{}", scrape.0);
    let failures = scrape.samples("ssm_sync_exporter_api_request_failures_total{");
    let codes: HashSet<_> = failures.lines().map(|line| line.split('"').nth(1)).collect();
    assert!(codes.len() <= MAX_ERROR_CODES, "{codes:?}");
    // Other versions of the exporter do not count panics.
    assert_eq!(scrape.sum("ssm_sync_exporter_panics_total"), 0.0);

    let now = Clock::system().now();
    for region in NEIGHBOUR_REGIONS {
        assert!(scrape.has(&up(NEIGHBOUR, region, 1)), "{region} is down: {}", scrape.0);
        let labels = format!("{{aws_account_id=\"{NEIGHBOUR}\",aws_region=\"{region}\"}} ");
        let last_success =
            scrape.samples(&format!("ssm_sync_exporter_target_last_success_timestamp_seconds{labels}"));
        let age = now - last_success.trim_end().rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        assert!(age < MAX_AGE, "the last success in {region} is {age} s old: {}", scrape.0);
        let millis = Duration::from_secs_f64(age.max(0.0)).as_millis();
        findings.max_age.fetch_max(u64::try_from(millis).unwrap(), Ordering::Relaxed);
    }
}

struct Soak {
    running: ExporterProcess,
    aws: FakeAws,
    file: PathBuf,
    /// The part of every configuration that does not change.
    common_config: String,
    config: Config,
    /// How often every account has got a new session, at most.
    sessions: usize,
    _directory: TempDir,
}

impl Soak {
    async fn start() -> Self {
        let aws = fleet::aws().await;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        let common_config = fleet::common_config(&aws, directory.path());
        let config = Config::new(17);
        std::fs::write(&file, config.text() + &common_config).unwrap();
        let running =
            ExporterProcess::start(program().args(["--web.enable-lifecycle", "--config.file"]).arg(&file));
        let soak = Self { running, aws, file, common_config, config, sessions: 1, _directory: directory };
        soak.wait_until_all_are_up().await;
        soak
    }

    fn write(&self, config: &str) {
        // Replace the file atomically, so that the exporter never reads half of it.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{config}{}", self.common_config)).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }

    fn set_config(&mut self, config: Config) {
        self.sessions += usize::from(config.timeout != self.config.timeout);
        self.write(&config.text());
        self.config = config;
    }

    async fn reload(&self) -> http::Response {
        http::request(self.running.address, "POST", "/-/reload").await
    }

    async fn wait_until_all_are_up(&self) {
        let all_are_up = |metrics: &str| {
            Scrape(metrics.to_owned()).values("ssm_sync_exporter_target_up") == [1.0; TARGETS]
        };
        self.running.metrics_when("all targets to be up", all_are_up).await;
    }

    /// Ends all faults, and waits until all targets have recovered.
    async fn recover(&mut self, timeout: usize) {
        self.aws.world().set_faults(Vec::new());
        // New sessions, which do not wait until a back-off ends.
        self.set_config(Config::new(timeout));
        assert_eq!(self.reload().await.status, 200);
        self.wait_until_all_are_up().await;
    }

    async fn step(&mut self, random: &mut Random, counts: &mut Counts) {
        match random.below(8) {
            0 => {
                self.set_config(Config::random(random));
                assert_eq!(self.reload().await.status, 200);
                counts.reloads += 1;
            }
            1 => {
                self.set_config(Config::random(random));
                self.running.send_signal("HUP");
                counts.reloads += 1;
            }
            2 => {
                self.write(random.pick(&["interval: soon\n", "accounts: []\n", "nonsense", "a: [\n"]));
                assert_eq!(self.reload().await.status, 500);
                self.write(&self.config.text());
                counts.rejected += 1;
            }
            _ => self.aws.world().set_faults(faults::random_rules(random)),
        }
        sleep(Duration::from_millis(random.below(400) as u64)).await;
    }

    /// Each target is collected once per interval.
    async fn check_intervals(&self) {
        let collections = async || {
            Scrape(self.running.metrics().await).values("ssm_sync_exporter_target_collections_total")
        };
        let before = collections().await;
        sleep(Duration::from_secs(6)).await;
        for (before, after) in before.iter().zip(collections().await) {
            // Targets that failed before may take up to three intervals.
            assert!((2.0..=8.0).contains(&(after - before)), "{before} {after}");
        }
    }

    /// The credentials of an account without faults are obtained once per session.
    fn check_credentials(&self) {
        let assumed = self.aws.world().assumed_roles();
        let assumed = assumed.iter().filter(|role| role.caller_account == NEIGHBOUR_HUB).count();
        assert!(assumed <= self.sessions, "{assumed} sets of credentials for {} sessions", self.sessions);
    }

    /// The maximum resident memory so far, in bytes.
    fn peak_memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<f64>().unwrap() * 1024.0
    }
}

#[derive(Default)]
struct Counts {
    reloads: u32,
    rejected: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "prints the results, for longer runs")]
async fn random_reloads_and_faults_lose_no_scrape_and_leak_nothing() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(15, |text| text.parse().unwrap());
    let seed = std::env::var("SOAK_SEED").map_or(0x5eed_0001, |text| text.parse().unwrap());
    let mut soak = Soak::start().await;
    let (stop, findings) = (CancellationToken::new(), Arc::<Findings>::default());
    let mut scrapers = JoinSet::new();
    for number in 0..4 {
        let address = soak.running.address;
        scrapers.spawn(scrape(address, seed + number, stop.clone(), Arc::clone(&findings)));
    }
    let (mut random, mut counts) = (Random(seed), Counts::default());
    let start = Instant::now();
    let mut before = None;
    while start.elapsed() < Duration::from_secs(seconds) {
        soak.step(&mut random, &mut counts).await;
        if let Some(ended) = scrapers.try_join_next() {
            ended.unwrap();
        }
        if before.is_none() && start.elapsed() > Duration::from_secs(seconds / 3) {
            soak.recover(18).await;
            before = Some(resource_use(&soak.running).await);
        }
    }
    soak.recover(17).await;
    stop.cancel();
    while let Some(ended) = scrapers.join_next().await {
        ended.unwrap();
    }
    soak.check_credentials();
    soak.check_intervals().await;

    let before = before.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut after = resource_use(&soak.running).await;
    // The allocator returns memory after a while.
    while after.memory - before.memory > MAX_MEMORY_GROWTH && Instant::now() < deadline {
        sleep(Duration::from_secs(1)).await;
        after = resource_use(&soak.running).await;
    }
    let peak = soak.peak_memory();
    let report = format!(
        "{seconds} s, {} scrapes, {} reloads, {} rejected; resident {:.1} MB after a third of the time, {:.1} MB at the end, \
         at most {:.1} MB; {} and {} open files; {} and {} threads; last success of a target without faults at most {} ms old",
        findings.scrapes.load(Ordering::Relaxed),
        counts.reloads,
        counts.rejected,
        before.memory / 1e6,
        after.memory / 1e6,
        peak / 1e6,
        before.files,
        after.files,
        before.threads,
        after.threads,
        findings.max_age.load(Ordering::Relaxed),
    );
    println!("{report}");
    assert!(after.memory - before.memory < MAX_MEMORY_GROWTH && peak < MAX_MEMORY, "{report}");
    assert!(after.files - before.files < 40.0 && after.threads - before.threads < 20.0, "{report}");
    let (status, _, log) = soak.running.stop("TERM");
    let longest = log.lines().map(str::len).max().unwrap();
    assert!(longest < MAX_LINE, "a line of the log has {longest} bytes");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("panic") && !log.contains("which is a bug"), "{log}");
}

/// What the exporter uses at a moment.
struct ResourceUse {
    /// Resident memory in bytes.
    memory: f64,
    files: f64,
    threads: f64,
}

async fn resource_use(running: &ExporterProcess) -> ResourceUse {
    let scrape = Scrape(running.metrics_containing("process_threads").await);
    ResourceUse {
        memory: scrape.sum("process_resident_memory_bytes"),
        files: scrape.sum("process_open_fds"),
        threads: scrape.sum("process_threads"),
    }
}

fn targets_in(regions: &[&str]) -> String {
    one_target().replace("[eu-west-1]", &format!("[{}]", regions.join(", ")))
}

#[tokio::test]
async fn reloads_leave_no_tasks_behind() {
    let aws = fake_aws().await;
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let config = targets_in(&REGIONS).replace("interval: 1s", "interval: 1h");
    let exporter = Exporter::start_with(&aws, &config, &setup).await;
    exporter.wait_until_ready().await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for reload in 0..40 {
        // A changed timeout creates new clients, and a changed region new targets.
        let regions = &REGIONS[..=reload % REGIONS.len()];
        let config = targets_in(regions)
            .replace("interval: 1s", "interval: 1h")
            .replace("16s", &format!("{}s", 10 + reload));
        assert_eq!(exporter.reload(&config).await.status, 200);
    }
    assert_eq!(exporter.reload(&config).await.status, 200);
    // Connections to the fake AWS, which runs in the same process, take a while to close.
    exporter.wait_for("tasks to end", async || (tasks() <= before + 8).then_some(())).await;
}
