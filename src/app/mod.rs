//! The composition root, the one place that knows all stages.
//!
//! [`App::build`] makes everything and binds the sockets, so that whatever can
//! be wrong is found before anything runs. [`App::run`] then only runs it.

mod reload;
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
use crate::clock::Clock;
use crate::collector::Collector;
use crate::config::{Config, ConfigError};
use crate::discovery::{AwsLookups, Discovery};
use crate::fleet::Shard;
use crate::metrics::Exposition;
use crate::scheduler::Scheduler;
use crate::snapshot::Store;
use crate::status::{ExporterInfo, StatusPage};
use crate::systemd::ServiceManager;
use crate::web::{
    self, BindError, Handlers, ListenAddress, Listeners, RandomnessError, Router, Server, TelemetryPath,
};
use reload::Reloader;
pub(crate) use reload::log_warnings;
pub(crate) use stages::Stages;

/// How long requests that are being answered have to end at shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// How long shutting down may take in all.
const DEADLINE: Duration = Duration::from_secs(8);

/// How many scrapes may be under way at once unless it is said otherwise, as in
/// `node_exporter`.
pub const DEFAULT_MAX_REQUESTS: usize = 40;

/// What is set by flags and not by the configuration.
#[derive(Debug)]
pub struct Options {
    /// Where to listen.
    pub listen_addresses: Vec<ListenAddress>,
    /// Whether to listen on the sockets that systemd has passed on instead.
    pub systemd_socket: bool,
    /// The web configuration: TLS, and who may ask.
    pub web_config_file: Option<PathBuf>,
    /// How many scrapes may be under way at once; 0 for no limit.
    pub max_requests: usize,
    /// The path of the metrics.
    pub telemetry_path: TelemetryPath,
    /// Which part of the targets to poll.
    pub shard: Shard,
    /// What this exporter is called among those that poll the same targets.
    pub replica: String,
    /// Whether the configuration may be loaded anew over HTTP.
    pub lifecycle: bool,
    /// Brings requests to load the configuration anew that come in other ways.
    pub reloads: Option<Receiver<()>>,
    /// Who has started it.
    pub service_manager: ServiceManager,
}

impl Options {
    /// What an exporter is like that polls all targets and is alone.
    #[must_use]
    pub fn new(listen_address: ListenAddress) -> Self {
        Self {
            listen_addresses: vec![listen_address],
            systemd_socket: false,
            web_config_file: None,
            max_requests: DEFAULT_MAX_REQUESTS,
            telemetry_path: TelemetryPath::default(),
            shard: Shard::default(),
            replica: String::new(),
            lifecycle: false,
            reloads: None,
            service_manager: ServiceManager::default(),
        }
    }
}

/// The daemon, ready to run, with its sockets bound.
#[derive(Debug)]
pub struct App {
    listeners: Listeners,
    server: Server,
    security: Arc<WebConfigWatcher>,
    store: Arc<Store>,
    metrics: Arc<Exposition>,
    discovery: Discovery<AwsLookups>,
    scheduler: Scheduler<Collector>,
    reloader: Reloader,
    service_manager: ServiceManager,
    shard: Shard,
}

/// Why the daemon cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The configuration does not fit what was found.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Nothing can be kept secret.
    #[error(transparent)]
    RandomnessError(#[from] RandomnessError),
    /// The metrics contradict each other, which is a bug.
    #[error("cannot set up the exporter's own metrics")]
    Metrics(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<WebConfigError> for BuildError {
    fn from(error: WebConfigError) -> Self {
        match error {
            WebConfigError::Config(error) => error.into(),
            WebConfigError::RandomnessError(error) => error.into(),
        }
    }
}

/// Why the daemon ended without having been asked to.
#[derive(Debug, thiserror::Error)]
#[error("the task `{task}` ended, which is a bug")]
pub struct RunError {
    task: &'static str,
}

/// A part of the daemon, at work.
type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

impl App {
    /// Binds the sockets, prepares the way to every account and makes all
    /// stages. Nothing runs yet.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(config: Config, options: Options, clock: Clock) -> Result<Self, BuildError> {
        let security = Arc::new(WebConfigWatcher::open(options.web_config_file)?);
        let listeners = if options.systemd_socket {
            Listeners::from_systemd()?
        } else {
            Listeners::bind(&options.listen_addresses).await?
        };
        let Stages { discovery, scheduler, store, metrics, readiness, applier } =
            Stages::build(config, options.shard, options.replica, clock.clone()).await?;
        log_warnings(&applier);
        let info = ExporterInfo { telemetry_path: options.telemetry_path.clone(), shard: options.shard };
        let redacted = applier.config().redacted.clone();
        let page = Arc::new(StatusPage::new(Arc::clone(&store), clock, info, redacted));
        let signals = options.reloads.unwrap_or_else(|| mpsc::channel(1).1);
        let (reloader, ask_for_reload) = Reloader::new(
            applier,
            (Arc::clone(&security), Arc::clone(&page)),
            options.service_manager.clone(),
            signals,
        );
        let router = Router::new(Handlers {
            page: Arc::clone(&page) as _,
            telemetry_path: options.telemetry_path,
            metrics: Arc::clone(&metrics) as _,
            ready: Box::new(move || readiness.check()),
            reload: options.lifecycle.then(|| Arc::new(ask_for_reload) as _),
        });
        let server = Server { router, access: security.access(), max_scrapes: options.max_requests };
        Ok(Self {
            listeners,
            server,
            security,
            store,
            metrics,
            discovery,
            scheduler,
            reloader,
            service_manager: options.service_manager,
            shard: options.shard,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.local_addresses()
    }

    /// Runs until `shutdown`, then lets requests end, within ten seconds.
    ///
    /// # Errors
    /// A part of it ended by itself.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        for address in self.listeners.local_addresses() {
            info!(%address, "listening");
        }

        if self.shard.is_one_of_many() {
            let (index, total) = (self.shard.index(), self.shard.total());
            info!(index, total, "polls its part of the targets only");
        }

        let mut tasks = JoinSet::new();
        let mut own = |name: &'static str, task: BoxFuture| {
            tasks.spawn(async move {
                task.await;
                name
            });
        };
        own("discovery", Box::pin(self.discovery.run(shutdown.clone())));
        own("scheduler", Box::pin(self.scheduler.run(shutdown.clone())));
        own("metrics", Box::pin(self.metrics.keep_ready(shutdown.clone())));
        own("reload", Box::pin(self.reloader.run(shutdown.clone())));
        own("security", Box::pin(self.security.keep_current(shutdown.clone())));
        own("web", Box::pin(web::serve(self.listeners, self.server, shutdown.clone(), DRAIN)));
        let (service_manager, watched) = (self.service_manager.clone(), shutdown.clone());
        let watching = async move { service_manager.watch(|| self.store.stats.heartbeats(), watched).await };
        own("watchdog", Box::pin(watching));

        self.service_manager.ready();
        let ended = tokio::select! {
            () = shutdown.cancelled() => None,
            ended = tasks.join_next() => ended,
        };
        self.service_manager.stopping();
        if let Some(ended) = ended.filter(|_| !shutdown.is_cancelled()) {
            // One without the other would look healthy and be useless.
            shutdown.cancel();
            return Err(RunError { task: ended.unwrap_or("panicked") });
        }
        let drained =
            tokio::time::timeout(DEADLINE, async { while tasks.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            warn!("requests were cut off to shut down in time");
        }
        info!("stopped");
        Ok(())
    }
}
