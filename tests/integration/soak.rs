//! The program under random reloads, signals, scrapes and faults of AWS: nothing is
//! lost, nothing leaks, nothing panics.
//!
//! It takes 15 seconds, or as many as the variable `SOAK_SECONDS` says.

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

use crate::exporter::{ACCOUNT, Exporter, Scrape, Setup, fake_aws, one_target, settings_for, up};
use crate::http;
use crate::program::{Running, program};

const REGIONS: [&str; 6] = ["eu-west-1", "eu-west-2", "eu-central-1", "us-east-1", "us-west-2", "sa-east-1"];

/// Random enough, and the same again for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

fn calm(regions: &[&str]) -> String {
    one_target().replace("[eu-west-1]", &format!("[{}]", regions.join(", ")))
}

fn random_config(dice: &mut Dice) -> String {
    let regions: Vec<&str> = REGIONS.into_iter().filter(|_| dice.below(3) > 0).collect();
    let regions = if regions.is_empty() { vec!["eu-west-1"] } else { regions };
    let text = calm(&regions)
        .replace("interval: 1s", &format!("interval: {}s", 1 + dice.below(3)))
        .replace("timeout: 16s", &format!("timeout: {}s", dice.pick(&[2, 3, 16])))
        .replace("name: production", &format!("name: {}", dice.pick(&["production", "prod"])));
    let more = [
        "quota: {SyncToDestination: 7}\n",
        "concurrency: 2\n",
        "stale_after: 3s\n",
        "metrics: {disable: [aws_ssm_resource_data_sync_info]}\n",
        "",
    ];
    text + dice.pick(&more)
}

fn random_faults(dice: &mut Dice) -> Vec<FaultRule> {
    let faults = [
        Fault::Throttle,
        Fault::Deny,
        Fault::ExpiredToken,
        Fault::RegionDisabled,
        Fault::ServerError,
        Fault::Stall,
        Fault::Delay(700),
        Fault::Cut,
        Fault::Answer { status: 200, body: "<html>".to_owned() },
        Fault::RepeatToken,
    ];
    (0..dice.below(4)).map(|_| FaultRule::new(dice.pick(&faults)).region(dice.pick(&REGIONS))).collect()
}

/// Scrapes until `enough`. Each answer has to be whole and to hold no series twice.
async fn scrape(address: SocketAddr, seed: u64, enough: CancellationToken, scrapes: Arc<AtomicU64>) {
    let mut dice = Dice(seed);
    let accepted = [
        "text/plain;version=0.0.4",
        "application/openmetrics-text;version=1.0.0",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    ];
    while !enough.is_cancelled() {
        let (path, accept) =
            (dice.pick(&["/metrics", "/metrics", "/metrics", "/", "/-/ready"]), dice.pick(&accepted));
        let coding = dice.pick(&["identity", "gzip", "zstd"]);
        let headers = [("Accept", accept), ("Accept-Encoding", coding)];
        let answer = http::request_with(address, "GET", path, &headers).await;
        let not_ready = path == "/-/ready" && answer.status == 503;
        assert!(answer.status == 200 || not_ready, "{path}: {}", answer.head);
        if path == "/metrics" {
            assert!(answer.bytes.len() > 500, "{}", answer.head);
            if coding == "identity" && accept.starts_with("text/plain") {
                let scrape = Scrape(answer.body);
                let (all, once) = (scrape.series(), scrape.series().into_iter().collect::<HashSet<_>>());
                assert_eq!(all.len(), once.len(), "{}", scrape.0);
            }
        }
        scrapes.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(dice.below(30) as u64)).await;
    }
}

/// A figure of the exporter's own process.
async fn of_process(running: &Running, what: &str) -> f64 {
    let metrics = running.metrics_with(what).await;
    Scrape(metrics).values(what)[0]
}

struct Soak {
    running: Running,
    file: PathBuf,
    /// What leads to AWS, in every configuration.
    beside: String,
}

impl Soak {
    fn write(&self, config: &str) {
        // As careful operators do, so that no half file is read.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{config}{}", self.beside)).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }

    async fn post(&self) -> http::Answer {
        http::request(self.running.address, "POST", "/-/reload").await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the figures are for whoever asks for a longer run")]
async fn nothing_is_lost_or_leaks_whatever_happens() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(15, |text| text.parse().unwrap());
    let seed = 0x5eed_0001_u64;
    let aws = fake_aws().await;
    let syncs =
        (0..5).map(|number| json!({"SyncName": format!("sync-{number}"), "LastStatus": "Successful"}));
    aws.world().set_everywhere(SyncKind::ToDestination, syncs.collect());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    let beside = settings_for(&aws, directory.path());
    std::fs::write(&file, format!("{}{beside}", calm(&REGIONS))).unwrap();
    let running = Running::start(program().args(["--web.enable-lifecycle", "--config.file"]).arg(&file));
    let soak = Soak { running, file, beside };
    soak.running.metrics_with(&up(ACCOUNT, "sa-east-1", 1)).await;

    let (enough, scrapes) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
    let mut scraping = JoinSet::new();
    for reader in 0..4 {
        scraping.spawn(scrape(soak.running.address, seed + reader, enough.clone(), Arc::clone(&scrapes)));
    }
    let mut dice = Dice(seed);
    let (mut reloads, mut refused) = (0, 0);
    let begun = Instant::now();
    // What it is like when all that grows at first has grown.
    let mut settled = None;
    while begun.elapsed() < Duration::from_secs(seconds) {
        match dice.below(6) {
            0 | 1 => {
                soak.write(&random_config(&mut dice));
                assert_eq!(soak.post().await.status, 200);
                reloads += 1;
            }
            2 => {
                soak.write(&random_config(&mut dice));
                soak.running.send("HUP");
                reloads += 1;
            }
            3 => {
                soak.write(dice.pick(&["interval: soon\n", "accounts: []\n", "nonsense", "a: [\n"]));
                assert_eq!(soak.post().await.status, 500);
                refused += 1;
            }
            _ => aws.world().set_faults(random_faults(&mut dice)),
        }
        sleep(Duration::from_millis(dice.below(200) as u64)).await;
        if settled.is_none() && begun.elapsed() > Duration::from_secs(seconds / 3) {
            settled = Some(figures(&soak.running).await);
        }
    }
    enough.cancel();
    while let Some(ended) = scraping.join_next().await {
        ended.unwrap();
    }

    // When all is calm again, so is the exporter.
    aws.world().set_faults(Vec::new());
    soak.write(&calm(&REGIONS));
    assert_eq!(soak.post().await.status, 200);
    for region in REGIONS {
        soak.running.metrics_with(&up(ACCOUNT, region, 1)).await;
    }
    // Each target has its turns, and no more than them.
    let collections = async || {
        Scrape(soak.running.metrics_with("").await).values("ssm_sync_exporter_target_collections_total")
    };
    let begun = collections().await;
    sleep(Duration::from_secs(6)).await;
    for (begun, now) in begun.iter().zip(collections().await) {
        // Those that failed may come back within three intervals.
        assert!((2.0..=8.0).contains(&(now - begun)), "{begun} {now}");
    }
    let (before, after) = (settled.unwrap(), figures(&soak.running).await);
    let (memory, files, threads) = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
    let report = format!(
        "{seconds} s, {} scrapes, {reloads} reloads, {refused} refused; resident {:.1} MB after a third of it, \
         {:.1} MB at the end; {} and {} open files; {} and {} threads",
        scrapes.load(Ordering::Relaxed),
        before.0 / 1e6,
        after.0 / 1e6,
        before.1,
        after.1,
        before.2,
        after.2,
    );
    println!("{report}");
    assert!(memory < 20e6 && files < 40.0 && threads < 20.0, "{report}");
    let (status, _, log) = soak.running.signal("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("panic") && !log.contains("which is a bug"), "{log}");
}

/// Resident memory, open files, threads.
async fn figures(running: &Running) -> (f64, f64, f64) {
    (
        of_process(running, "process_resident_memory_bytes").await,
        of_process(running, "process_open_fds").await,
        of_process(running, "process_threads").await,
    )
}

#[tokio::test]
async fn reloads_leave_no_tasks_behind() {
    let aws = fake_aws().await;
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let config = calm(&REGIONS).replace("interval: 1s", "interval: 1h");
    let exporter = Exporter::start_with(&aws, &config, &setup).await;
    exporter.wait_until_ready().await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for turn in 0..40 {
        // Another timeout means other clients, and another region other targets.
        let regions = &REGIONS[..=turn % REGIONS.len()];
        let config =
            calm(regions).replace("interval: 1s", "interval: 1h").replace("16s", &format!("{}s", 10 + turn));
        assert_eq!(exporter.reload(&config).await.status, 200);
    }
    assert_eq!(exporter.reload(&config).await.status, 200);
    // Connections to the fake AWS, which runs here as well, take a while to end.
    exporter.wait_for("tasks to end", async || (tasks() <= before + 8).then_some(())).await;
}
