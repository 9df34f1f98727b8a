//! The composition root, the only module that knows all stages.
//!
//! [`App::build`] builds the stages and binds the sockets, so every error in the
//! configuration is reported before anything runs. [`App::run`] runs them. The
//! daemon's first log line has the version and, in one field, all addresses.

mod check;
mod reload;
mod single_round;
mod stages;
mod web_config;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::web_config::{WebConfigError, WebConfigWatcher};
use crate::build_info;
use crate::clock::Clock;
use crate::collector::Collector;
use crate::config::{Config, ConfigError};
use crate::discovery::{AwsLookups, Discovery};
use crate::failure_log::FailureLog;
use crate::fleet::Shard;
use crate::logging::LogCounters;
use crate::metrics::Exposition;
use crate::printable::path_excerpt;
use crate::scheduler::Scheduler;
use crate::snapshot::Store;
use crate::status::{ExporterInfo, StatusPage};
use crate::systemd::ServiceManager;
use crate::web::{
    self, Handlers, ListenAddress, ListenError, Listeners, RandomnessError, Router, Server, TelemetryPath,
};
pub use check::{CheckReport, check};
use reload::Reloader;
pub(crate) use reload::log_warnings;
pub(crate) use single_round::{Collected, RoundError};
use stages::ConfigApplier;
pub(crate) use stages::Stages;

/// How long requests in progress may take to end at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the whole shutdown may take.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(8);

/// The default limit on concurrent scrapes, the same as that of `node_exporter`.
pub const DEFAULT_MAX_REQUESTS: usize = 40;

/// The settings that flags set and the configuration does not.
#[derive(Debug)]
pub struct Options {
    /// The addresses to listen on.
    pub listen_addresses: Vec<ListenAddress>,
    /// Whether to listen on the sockets of a systemd socket unit instead.
    pub use_systemd_socket: bool,
    /// The web configuration: a file with TLS settings, users and limits.
    pub web_config_file: Option<PathBuf>,
    /// The limit on concurrent scrapes; 0 for none.
    pub max_requests: usize,
    /// The path of the metrics.
    pub telemetry_path: TelemetryPath,
    /// The part of the targets to poll.
    pub shard: Shard,
    /// A name that is different in each exporter that polls the same targets, so that their
    /// collections are spread over the interval.
    pub replica: String,
    /// Whether `POST /-/reload` is served.
    pub enable_lifecycle: bool,
    /// Receives a message for each reload that is requested by SIGHUP.
    pub reload_signals: Option<Receiver<()>>,
    /// The service manager to notify.
    pub service_manager: ServiceManager,
    /// The counters of panics and dropped log lines, which are served as metrics.
    pub log_counters: Arc<LogCounters>,
}

impl Options {
    /// The defaults of the flags, for one address.
    #[must_use]
    pub fn new(listen_address: ListenAddress) -> Self {
        Self {
            listen_addresses: vec![listen_address],
            use_systemd_socket: false,
            web_config_file: None,
            max_requests: DEFAULT_MAX_REQUESTS,
            telemetry_path: TelemetryPath::default(),
            shard: Shard::default(),
            replica: String::new(),
            enable_lifecycle: false,
            reload_signals: None,
            service_manager: ServiceManager::default(),
            log_counters: Arc::default(),
        }
    }
}

/// The daemon with its sockets bound, ready to run.
#[derive(Debug)]
pub struct App {
    listeners: Listeners,
    server: Server,
    web_config: Arc<WebConfigWatcher>,
    store: Arc<Store>,
    metrics: Arc<Exposition>,
    discovery: Discovery<AwsLookups>,
    scheduler: Scheduler<Collector>,
    reloader: Reloader,
    failure_log: Arc<FailureLog>,
    service_manager: ServiceManager,
    shard: Shard,
    config_file: Option<PathBuf>,
}

/// The reasons why the daemon cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The exporter cannot listen on an address.
    #[error(transparent)]
    Bind(#[from] ListenError),
    /// The operating system provides no random numbers.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// Two metrics have the same name, which is a bug.
    #[error("cannot register the exporter's own metrics")]
    Metrics(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<WebConfigError> for BuildError {
    fn from(error: WebConfigError) -> Self {
        match error {
            WebConfigError::Config(error) => error.into(),
            WebConfigError::Randomness(error) => error.into(),
        }
    }
}

/// A task of the daemon ended before the shutdown.
#[derive(Debug, thiserror::Error)]
#[error("the task `{task}` ended unexpectedly, which is a bug")]
pub struct RunError {
    task: &'static str,
}

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

impl App {
    /// Binds the sockets, validates the configuration and builds all stages. Nothing runs
    /// yet.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(config: Config, options: Options, clock: Clock) -> Result<Self, BuildError> {
        let web_config = Arc::new(WebConfigWatcher::open(options.web_config_file)?);
        let listeners = if options.use_systemd_socket {
            Listeners::from_systemd()?
        } else {
            Listeners::bind(&options.listen_addresses).await?
        };
        let Stages { discovery, scheduler, store, metrics, readiness, failure_log, applier } =
            Stages::build(config, options.shard, options.replica, options.log_counters, clock.clone())
                .await?;
        log_replay(&applier);
        log_warnings(&applier);
        let refusals = applier.exporter_metrics() as _;
        let info = ExporterInfo {
            telemetry_path: options.telemetry_path.clone(),
            shard: options.shard,
            is_replay: applier.config().recording().is_some(),
        };
        let Config { redacted, health, .. } = applier.config();
        let page = StatusPage::new(Arc::clone(&store), clock, info, redacted.clone(), Arc::clone(health));
        let page = Arc::new(page);
        let config_file = applier.config().file().map(ToOwned::to_owned);
        let reload_signals = options.reload_signals.unwrap_or_else(|| mpsc::channel(1).1);
        let (reloader, reload_handle) = Reloader::new(
            applier,
            Arc::clone(&web_config),
            Arc::clone(&page),
            options.service_manager.clone(),
            reload_signals,
        );
        let router = Router::new(Handlers {
            page: Arc::clone(&page) as _,
            document: Arc::clone(&page) as _,
            telemetry_path: options.telemetry_path,
            metrics: Arc::clone(&metrics) as _,
            ready: Box::new(move || readiness.check()),
            reload: options.enable_lifecycle.then(|| Arc::new(reload_handle) as _),
        });
        let server =
            Server { router, access: web_config.access(), max_scrapes: options.max_requests, refusals };
        Ok(Self {
            listeners,
            server,
            web_config,
            store,
            metrics,
            discovery,
            scheduler,
            reloader,
            failure_log,
            service_manager: options.service_manager,
            shard: options.shard,
            config_file,
        })
    }

    /// The addresses that the sockets are bound to.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.local_addresses()
    }

    /// Runs until `shutdown`, then waits for requests in progress. Returns within ten
    /// seconds of `shutdown`.
    ///
    /// # Errors
    /// A task of the daemon ended before `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        self.log_start();

        let mut tasks = JoinSet::new();
        let mut spawn = |name: &'static str, task: BoxFuture| {
            tasks.spawn(async move {
                task.await;
                name
            });
        };
        spawn("discovery", Box::pin(self.discovery.run(shutdown.clone())));
        spawn("scheduler", Box::pin(self.scheduler.run(shutdown.clone())));
        let (failure_log, failure_log_shutdown) = (self.failure_log, shutdown.clone());
        spawn("failure_log", Box::pin(async move { failure_log.run(failure_log_shutdown).await }));
        spawn("metrics", Box::pin(self.metrics.keep_ready(shutdown.clone())));
        spawn("reload", Box::pin(self.reloader.run(shutdown.clone())));
        spawn("web_config", Box::pin(self.web_config.run(shutdown.clone())));
        spawn("web", Box::pin(web::serve(self.listeners, self.server, shutdown.clone(), DRAIN_TIMEOUT)));
        let (service_manager, watchdog_shutdown) = (self.service_manager.clone(), shutdown.clone());
        let watchdog = async move {
            service_manager.run_watchdog(|| self.store.stats.heartbeats(), watchdog_shutdown).await;
        };
        spawn("watchdog", Box::pin(watchdog));

        self.service_manager.ready().await;
        let ended = tokio::select! {
            () = shutdown.cancelled() => None,
            ended = tasks.join_next() => ended,
        };
        self.service_manager.stopping().await;
        if let Some(ended) = ended.filter(|_| !shutdown.is_cancelled()) {
            // Without one of its tasks the daemon would look healthy but no longer work.
            shutdown.cancel();
            return Err(RunError { task: ended.unwrap_or("panicked") });
        }
        let drained =
            tokio::time::timeout(SHUTDOWN_TIMEOUT, async { while tasks.join_next().await.is_some() {} })
                .await;
        if drained.is_err() {
            warn!("shutdown timed out, closing connections with requests in progress");
        }
        info!("stopped");
        Ok(())
    }

    fn log_start(&self) {
        let scheme = if self.web_config.uses_tls() { "https" } else { "http" };
        let addresses = self.listeners.local_addresses();
        let joined = |texts: Vec<String>| texts.join(" ");
        let config_file = self.config_file.as_ref().map(|file| file.display().to_string());
        let shard = self.shard.is_one_of_many().then(|| (self.shard.index(), self.shard.total()));
        info!(
            url = joined(addresses.iter().map(|address| url(scheme, *address)).collect()),
            address = joined(addresses.iter().map(SocketAddr::to_string).collect()),
            version = build_info::VERSION,
            revision = build_info::REVISION,
            config_file = config_file.as_deref().unwrap_or("none"),
            shard_index = shard.map(|(index, _)| index),
            shard_total = shard.map(|(_, total)| total),
            "listening"
        );
    }
}

/// Logs that the results are those of a recording.
pub(crate) fn log_replay(applier: &ConfigApplier) {
    let Some(recording) = applier.config().recording() else { return };
    info!(
        file = %path_excerpt(recording.path()),
        recorded_at = recording.time(),
        recorded_version = recording.version(),
        calls = recording.number_of_calls(),
        "replaying a recording, nothing is sent to AWS"
    );
}

/// The URL of the status page, as a browser on this machine can open it.
fn url(scheme: &str, address: SocketAddr) -> String {
    let port = address.port();
    if address.ip().is_unspecified() {
        format!("{scheme}://localhost:{port}/")
    } else {
        format!("{scheme}://{address}/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_address_is_logged_as_a_url_that_can_be_opened() {
        for (address, expected) in [
            ("0.0.0.0:10144", "http://localhost:10144/"),
            ("[::]:10144", "http://localhost:10144/"),
            ("192.0.2.1:80", "http://192.0.2.1:80/"),
            ("[2001:db8::1]:80", "http://[2001:db8::1]:80/"),
        ] {
            assert_eq!(url("http", address.parse().unwrap()), expected);
        }
    }
}
