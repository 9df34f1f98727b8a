//! Runs the exporter in the test's process, against a fake AWS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fake_aws::{FakeAws, SyncKind, World};
use serde_json::Value;
use ssm_sync_exporter::app::{App, DEFAULT_MAX_REQUESTS, Options, RunError};
use ssm_sync_exporter::clock::Clock;
use ssm_sync_exporter::config::Config;
use ssm_sync_exporter::fleet::Shard;
use tempfile::TempDir;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::http;

/// The account that most tests poll.
pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const REGION: &str = "eu-west-1";
/// The role in [`ACCOUNT`] and in the members of an organization.
pub(crate) const ROLE: &str = "SsmSyncExporter";

/// The account whose credentials the exporter starts with. From there, it assumes roles in
/// the others.
pub(crate) const HUB: &str = "999900000000";

/// The time of the exporter's clock until a test sets it.
pub(crate) const NOW: u64 = 1_763_800_000;

/// The timeout of [`Exporter::wait_for`]. Only a failing test waits this long.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A fake AWS with an organization of the hub and a member.
pub(crate) async fn fake_organization() -> FakeAws {
    let world = World::new();
    world.create_organization(HUB);
    world.add_role(HUB, ROLE, None);
    world.add_member(ACCOUNT, "production", "r-fake");
    world.add_role(ACCOUNT, ROLE, None);
    FakeAws::start(world, "127.0.0.1:0").await.unwrap()
}

/// A fake AWS with the hub account and [`ACCOUNT`], whose role the hub may assume.
pub(crate) async fn fake_aws() -> FakeAws {
    let world = World::new();
    world.add_account(HUB);
    world.add_role(ACCOUNT, ROLE, None);
    FakeAws::start(world, "127.0.0.1:0").await.unwrap()
}

/// A configuration with a single target.
pub(crate) fn one_target() -> String {
    format!(
        "interval: 1s\ntimeout: 16s\nregions: [{REGION}]\naccounts:\n  - name: production\n    profile: hub\n    assume_roles: \
         [{{arn: 'arn:aws:iam::{ACCOUNT}:role/{ROLE}'}}]\n"
    )
}

/// The `aws` section of a configuration that uses the fake AWS. The profile `hub`
/// has the credentials of the hub account.
pub(crate) fn aws_settings(aws: &FakeAws, directory: &Path) -> String {
    let credentials = directory.join("credentials");
    let key = World::access_key(HUB);
    let text = format!("[hub]\naws_access_key_id = {key}\naws_secret_access_key = hub-secret\n");
    std::fs::write(&credentials, text).unwrap();
    let empty = directory.join("config");
    std::fs::write(&empty, "").unwrap();
    format!(
        "\naws:\n  endpoint_url: '{}'\n  shared_config_file: '{}'\n  shared_credentials_file: '{}'\n",
        aws.url(),
        empty.display(),
        credentials.display(),
    )
}

/// Settings outside of the configuration file: environment variables and flags.
pub(crate) struct Setup {
    pub(crate) telemetry_path: &'static str,
    pub(crate) shard: Shard,
    /// Environment variables.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Whether `/-/reload` is enabled.
    pub(crate) lifecycle: bool,
    pub(crate) web_config_file: Option<PathBuf>,
    pub(crate) max_requests: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            telemetry_path: "/metrics",
            shard: Shard::default(),
            environment: &[],
            lifecycle: false,
            web_config_file: None,
            max_requests: DEFAULT_MAX_REQUESTS,
        }
    }
}

/// An exporter that runs in this process.
pub(crate) struct Exporter {
    pub(crate) address: SocketAddr,
    directory: TempDir,
    /// Appended to the configuration of the test.
    appended: String,
    now: Arc<AtomicU64>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
}

impl Exporter {
    /// Starts an exporter with the given configuration, to which [`aws_settings`] is
    /// appended.
    pub(crate) async fn start(aws: &FakeAws, config: &str) -> Self {
        Self::start_with(aws, config, &Setup::default()).await
    }

    pub(crate) async fn start_with(aws: &FakeAws, config: &str, setup: &Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let appended = aws_settings(aws, directory.path());
        Self::build(directory, config, appended, setup).await
    }

    /// Starts an exporter with exactly the given configuration.
    pub(crate) async fn start_with_exact_config(config: &str) -> Self {
        Self::build(tempfile::tempdir().unwrap(), config, String::new(), &Setup::default()).await
    }

    async fn build(directory: TempDir, config: &str, appended: String, setup: &Setup) -> Self {
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, format!("{config}{appended}")).unwrap();
        let environment = setup.environment.iter().map(|(name, value)| (name.into(), value.into()));
        let config = Config::load(Some(&file), environment).unwrap();
        let now = Arc::new(AtomicU64::new(NOW));
        let clock = Clock::new({
            let now = Arc::clone(&now);
            #[expect(clippy::cast_precision_loss, reason = "whole seconds of this century")]
            move || now.load(Ordering::SeqCst) as f64
        });
        let options = Options {
            telemetry_path: setup.telemetry_path.parse().unwrap(),
            shard: setup.shard,
            enable_lifecycle: setup.lifecycle,
            web_config_file: setup.web_config_file.clone(),
            max_requests: setup.max_requests,
            ..Options::new("127.0.0.1:0".parse().unwrap())
        };
        let app = Box::pin(App::build(config, options, clock)).await.unwrap();
        let address = app.local_addresses()[0];
        let shutdown = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "ended by the token and awaited in `ended`")]
        let task = tokio::spawn(app.run(shutdown.clone()));
        Self { address, directory, appended, now, shutdown, task }
    }

    /// Starts an exporter and waits until every target has had its first collection.
    pub(crate) async fn start_ready(aws: &FakeAws, config: &str) -> Self {
        let exporter = Self::start(aws, config).await;
        exporter.wait_until_ready().await;
        exporter
    }

    pub(crate) async fn wait_until_ready(&self) {
        self.wait_for("readiness", async || (self.get("/-/ready").await.status == 200).then_some(())).await;
    }

    /// Replaces the configuration file and requests a reload.
    pub(crate) async fn reload(&self, config: &str) -> http::Response {
        self.reload_with(config, &[]).await
    }

    pub(crate) async fn reload_with(&self, config: &str, headers: &[(&str, &str)]) -> http::Response {
        let file = self.directory.path().join("config.yaml");
        std::fs::write(file, format!("{config}{}", self.appended)).unwrap();
        http::request_with(self.address, "POST", "/-/reload", headers).await
    }

    pub(crate) async fn get(&self, path: &str) -> http::Response {
        http::request(self.address, "GET", path).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> http::Response {
        http::request_with(self.address, "GET", path, headers).await
    }

    /// Sets the exporter's clock, in seconds after [`NOW`].
    pub(crate) fn set_clock(&self, after: u64) {
        self.now.store(NOW + after, Ordering::SeqCst);
    }

    /// Scrapes `/metrics`.
    pub(crate) async fn scrape(&self) -> Scrape {
        let response = self.get("/metrics").await;
        assert_eq!(response.status, 200);
        Scrape(response.body)
    }

    /// Waits until every target has had a collection that started after this
    /// call, then scrapes.
    pub(crate) async fn scrape_after_next_collection(&self) -> Scrape {
        let before = self.scrape().await.values("ssm_sync_exporter_target_collections_total");
        let all_collected = async || {
            let now = self.scrape().await.values("ssm_sync_exporter_target_collections_total");
            // The first of two may have started before this call.
            (0..before.len()).all(|index| now[index] >= before[index] + 2.0).then_some(())
        };
        self.wait_for("two more collections of every target", all_collected).await;
        self.scrape().await
    }

    /// Scrapes until the result has this line.
    pub(crate) async fn scrape_until(&self, line: &str) -> Scrape {
        self.wait_for(line, async || Some(self.scrape().await).filter(|scrape| scrape.has(line))).await
    }

    /// Repeats `attempt` until it returns a value. Panics after [`WAIT_TIMEOUT`].
    pub(crate) async fn wait_for<T>(&self, what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            if let Some(value) = attempt().await {
                return value;
            }
            assert!(
                Instant::now() < deadline,
                "timed out waiting for {what}:\n{}",
                self.get("/metrics").await.body
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Requests a shutdown, as a signal does.
    pub(crate) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    /// Waits until the exporter has ended. Returns its result.
    pub(crate) async fn ended(self) -> Result<Result<(), RunError>, JoinError> {
        self.task.await
    }
}

/// The text of a scrape.
#[derive(Debug)]
pub(crate) struct Scrape(pub(crate) String);

impl Scrape {
    /// Whether one line is exactly `line`.
    pub(crate) fn has(&self, line: &str) -> bool {
        self.0.lines().any(|candidate| candidate == line)
    }

    /// The samples, without comments, whose series start with `prefix`.
    pub(crate) fn samples(&self, prefix: &str) -> String {
        let mut text = String::new();
        for line in self.0.lines().filter(|line| line.starts_with(prefix)) {
            text += line;
            text += "\n";
        }
        text
    }

    /// The values of all samples of a family.
    pub(crate) fn values(&self, family: &str) -> Vec<f64> {
        self.0
            .lines()
            .filter(|line| line.strip_prefix(family).is_some_and(|rest| rest.starts_with(['{', ' '])))
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect()
    }

    /// The sum of all samples of a family.
    pub(crate) fn sum(&self, family: &str) -> f64 {
        self.values(family).iter().sum()
    }

    /// The name and labels of each series.
    pub(crate) fn series(&self) -> Vec<&str> {
        self.0
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').unwrap().0)
            .collect()
    }
}

/// The line of `ssm_sync_exporter_target_up` for a target.
pub(crate) fn up(account: &str, region: &str, value: u8) -> String {
    format!("ssm_sync_exporter_target_up{{aws_account_id=\"{account}\",aws_region=\"{region}\"}} {value}")
}

/// Adds a sync to [`ACCOUNT`] in [`REGION`]. `item` is its entry in the response of
/// `ListResourceDataSync`.
pub(crate) fn put_sync(aws: &FakeAws, kind: SyncKind, item: Value) {
    aws.world().put_item(ACCOUNT, REGION, kind, item);
}
