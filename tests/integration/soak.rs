//! Soak test: runs the program under random reloads, signals, scrapes and AWS faults, and checks
//! that no scrape fails, nothing leaks and nothing panics.
//!
//! The test runs for 15 seconds. Set `SOAK_SECONDS` to run longer.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fake_aws::{Fault, FaultRule, SyncKind};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::exporter::{ACCOUNT, Exporter, Scrape, Setup, aws_settings, fake_aws, one_target, up};
use crate::http;
use crate::process::{ExporterProcess, program};

const REGIONS: [&str; 6] = ["eu-west-1", "eu-west-2", "eu-central-1", "us-east-1", "us-west-2", "sa-east-1"];

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

fn default_config(regions: &[&str]) -> String {
    one_target().replace("[eu-west-1]", &format!("[{}]", regions.join(", ")))
}

fn random_config(random: &mut Random) -> String {
    let regions: Vec<&str> = REGIONS.into_iter().filter(|_| random.below(3) > 0).collect();
    let regions = if regions.is_empty() { vec!["eu-west-1"] } else { regions };
    let text = default_config(&regions)
        .replace("interval: 1s", &format!("interval: {}s", 1 + random.below(3)))
        .replace("timeout: 16s", &format!("timeout: {}s", random.pick(&[2, 3, 16])))
        .replace("name: production", &format!("name: {}", random.pick(&["production", "prod"])));
    let extra_settings = [
        "quota: {SyncToDestination: 7}\n",
        "concurrency: 2\n",
        "stale_after: 3s\n",
        "metrics: {disable: [aws_ssm_resource_data_sync_info]}\n",
        "",
    ];
    text + random.pick(&extra_settings)
}

fn random_faults(random: &mut Random) -> Vec<FaultRule> {
    let faults = [
        Fault::Throttle,
        Fault::Deny,
        Fault::ExpiredToken,
        Fault::RegionDisabled,
        Fault::ServerError,
        Fault::Stall,
        Fault::Delay(700),
        Fault::TruncatedBody,
        Fault::Response { status: 200, body: "<html>".to_owned() },
        Fault::RepeatToken,
    ];
    (0..random.below(4)).map(|_| FaultRule::new(random.pick(&faults)).region(random.pick(&REGIONS))).collect()
}

/// Scrapes until `stop` is cancelled. Panics if a response is incomplete or contains a series
/// twice.
async fn scrape(address: SocketAddr, seed: u64, stop: CancellationToken, scrape_count: Arc<AtomicU64>) {
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
        if path == "/metrics" {
            assert!(response.bytes.len() > 500, "{}", response.head);
            if coding == "identity" && accept.starts_with("text/plain") {
                let scrape = Scrape(response.body);
                let series = scrape.series();
                let unique: HashSet<_> = series.iter().collect();
                assert_eq!(series.len(), unique.len(), "{}", scrape.0);
            }
        }
        scrape_count.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(random.below(30) as u64)).await;
    }
}

/// The value of a `process_*` metric.
async fn process_metric(running: &ExporterProcess, name: &str) -> f64 {
    let metrics = running.metrics_containing(name).await;
    Scrape(metrics).values(name)[0]
}

struct Soak {
    running: ExporterProcess,
    file: PathBuf,
    /// The part of every configuration that sets the endpoint and the credentials.
    aws_config: String,
}

impl Soak {
    fn write(&self, config: &str) {
        // Replace the file atomically, so that the exporter never reads half of it.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{config}{}", self.aws_config)).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }

    async fn reload(&self) -> http::Response {
        http::request(self.running.address, "POST", "/-/reload").await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "prints the results, for longer runs")]
async fn random_reloads_and_faults_lose_no_scrape_and_leak_nothing() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(15, |text| text.parse().unwrap());
    let seed = 0x5eed_0001_u64;
    let aws = fake_aws().await;
    let syncs =
        (0..5).map(|number| json!({"SyncName": format!("sync-{number}"), "LastStatus": "Successful"}));
    aws.world().set_default_syncs(SyncKind::ToDestination, syncs.collect());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    let aws_config = aws_settings(&aws, directory.path());
    std::fs::write(&file, format!("{}{aws_config}", default_config(&REGIONS))).unwrap();
    let running =
        ExporterProcess::start(program().args(["--web.enable-lifecycle", "--config.file"]).arg(&file));
    let soak = Soak { running, file, aws_config };
    soak.running.metrics_containing(&up(ACCOUNT, "sa-east-1", 1)).await;

    let (stop, scrape_count) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
    let mut scrapers = JoinSet::new();
    for number in 0..4 {
        scrapers.spawn(scrape(soak.running.address, seed + number, stop.clone(), Arc::clone(&scrape_count)));
    }
    let mut random = Random(seed);
    let (mut reloads, mut rejected) = (0, 0);
    let start = Instant::now();
    let mut after_warm_up = None;
    while start.elapsed() < Duration::from_secs(seconds) {
        match random.below(6) {
            0 | 1 => {
                soak.write(&random_config(&mut random));
                assert_eq!(soak.reload().await.status, 200);
                reloads += 1;
            }
            2 => {
                soak.write(&random_config(&mut random));
                soak.running.send_signal("HUP");
                reloads += 1;
            }
            3 => {
                soak.write(random.pick(&["interval: soon\n", "accounts: []\n", "nonsense", "a: [\n"]));
                assert_eq!(soak.reload().await.status, 500);
                rejected += 1;
            }
            _ => aws.world().set_faults(random_faults(&mut random)),
        }
        sleep(Duration::from_millis(random.below(200) as u64)).await;
        if after_warm_up.is_none() && start.elapsed() > Duration::from_secs(seconds / 3) {
            after_warm_up = Some(resource_use(&soak.running).await);
        }
    }
    stop.cancel();
    while let Some(ended) = scrapers.join_next().await {
        ended.unwrap();
    }

    // Without faults, all targets recover.
    aws.world().set_faults(Vec::new());
    soak.write(&default_config(&REGIONS));
    assert_eq!(soak.reload().await.status, 200);
    for region in REGIONS {
        soak.running.metrics_containing(&up(ACCOUNT, region, 1)).await;
    }
    // Each target is collected once per interval again.
    let collections =
        async || Scrape(soak.running.metrics().await).values("ssm_sync_exporter_target_collections_total");
    let before = collections().await;
    sleep(Duration::from_secs(6)).await;
    for (before, after) in before.iter().zip(collections().await) {
        // Targets that failed before may take up to three intervals.
        assert!((2.0..=8.0).contains(&(after - before)), "{before} {after}");
    }
    let (before, after) = (after_warm_up.unwrap(), resource_use(&soak.running).await);
    let (memory, files, threads) = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
    let report = format!(
        "{seconds} s, {} scrapes, {reloads} reloads, {rejected} rejected; resident {:.1} MB after a third of the time, \
         {:.1} MB at the end; {} and {} open files; {} and {} threads",
        scrape_count.load(Ordering::Relaxed),
        before.0 / 1e6,
        after.0 / 1e6,
        before.1,
        after.1,
        before.2,
        after.2,
    );
    println!("{report}");
    assert!(memory < 20e6 && files < 40.0 && threads < 20.0, "{report}");
    let (status, _, log) = soak.running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("panic") && !log.contains("which is a bug"), "{log}");
}

/// Resident memory in bytes, open files and threads.
async fn resource_use(running: &ExporterProcess) -> (f64, f64, f64) {
    (
        process_metric(running, "process_resident_memory_bytes").await,
        process_metric(running, "process_open_fds").await,
        process_metric(running, "process_threads").await,
    )
}

#[tokio::test]
async fn reloads_leave_no_tasks_behind() {
    let aws = fake_aws().await;
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let config = default_config(&REGIONS).replace("interval: 1s", "interval: 1h");
    let exporter = Exporter::start_with(&aws, &config, &setup).await;
    exporter.wait_until_ready().await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for reload in 0..40 {
        // A changed timeout creates new clients, and a changed region new targets.
        let regions = &REGIONS[..=reload % REGIONS.len()];
        let config = default_config(regions)
            .replace("interval: 1s", "interval: 1h")
            .replace("16s", &format!("{}s", 10 + reload));
        assert_eq!(exporter.reload(&config).await.status, 200);
    }
    assert_eq!(exporter.reload(&config).await.status, 200);
    // Connections to the fake AWS, which runs in the same process, take a while to close.
    exporter.wait_for("tasks to end", async || (tasks() <= before + 8).then_some(())).await;
}
