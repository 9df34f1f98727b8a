//! The composition root, the one place that knows all stages.
//!
//! [`App::build`] makes everything and binds the sockets, so that whatever can
//! be wrong is found before anything runs. [`App::run`] then only runs it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::aws::{ApiCall, Finding, Observer, Sessions};
use crate::clock::Clock;
use crate::collector::Collector;
use crate::config::{Config, ConfigError, Found};
use crate::discovery::{Discovery, Fleet, Inquirer};
use crate::metrics::{Metrics, OwnMetrics};
use crate::readiness::Readiness;
use crate::scheduler::{Rhythm, Scheduler};
use crate::snapshot::Store;
use crate::status::StatusPage;
use crate::target::{Access, Shard};
use crate::web::{self, BindError, ListenAddress, Listeners, Routes, Site, TelemetryPath};

/// How long requests that are being answered have to end at shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// How long shutting down may take in all.
const DEADLINE: Duration = Duration::from_secs(8);

/// What is set by flags and not by the configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen.
    pub listen_addresses: Vec<ListenAddress>,
    /// The path of the metrics.
    pub telemetry_path: TelemetryPath,
    /// Which part of the targets to poll.
    pub shard: Shard,
    /// What this exporter is called among those that poll the same targets.
    pub replica: String,
}

impl Options {
    /// What an exporter is like that polls all targets and is alone.
    #[must_use]
    pub fn new(listen_address: ListenAddress) -> Self {
        Self {
            listen_addresses: vec![listen_address],
            telemetry_path: TelemetryPath::default(),
            shard: Shard::default(),
            replica: String::new(),
        }
    }
}

/// The daemon, ready to run, with its sockets bound.
#[derive(Debug)]
pub struct App {
    listeners: Listeners,
    routes: Routes,
    metrics: Arc<Metrics>,
    discovery: Discovery<Inquirer>,
    scheduler: Scheduler<Collector>,
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
    /// The metrics contradict each other, which is a bug.
    #[error("cannot set up the exporter's own metrics")]
    Metrics(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why the daemon ended without having been asked to.
#[derive(Debug, thiserror::Error)]
#[error("the task `{task}` ended, which is a bug")]
pub struct RunError {
    task: &'static str,
}

impl App {
    /// Binds the sockets, prepares the way to every account and makes all
    /// stages. Nothing runs yet.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(config: Config, options: Options, clock: Clock) -> Result<Self, BuildError> {
        let listeners = Listeners::bind(&options.listen_addresses).await?;
        for warning in &config.warnings {
            warn!(warning, "the configuration is odd");
        }

        let own = OwnMetrics::new().map_err(|error| BuildError::Metrics(error.into()))?;
        own.config_loaded(clock.now());
        let own = Arc::new(own);
        let observer: Arc<dyn Observer> = Arc::new(Observed { own: Arc::clone(&own), clock: clock.clone() });

        let sessions = Arc::new(Sessions::new(config.aws.clone(), config.timeout, Arc::clone(&observer)));
        let fleet = fleet(&config, &sessions).await?;
        let inquirer = Inquirer::new(Arc::clone(&sessions));
        let (discovery, plans) = Discovery::new(
            inquirer,
            fleet,
            options.shard,
            config.concurrency,
            options.replica.clone(),
            observer,
        );

        let store = Arc::new(Store::new(config.stale_after));
        let collector = Collector::new(sessions, config.timeout, clock.clone());
        let rhythm =
            Rhythm { interval: config.interval, concurrency: config.concurrency, replica: options.replica };
        let scheduler = Scheduler::new(collector, Arc::clone(&store), plans, rhythm, clock.clone());
        let metrics =
            Arc::new(Metrics::new(Arc::clone(&store), own, config.quota, config.disabled_families, clock));
        let readiness = Readiness::new(store, config.ready_after);
        let routes = Routes::new(Site {
            page: Arc::new(StatusPage::new(options.telemetry_path.clone())),
            telemetry_path: options.telemetry_path,
            exposition: Arc::clone(&metrics) as _,
            ready: Box::new(move || readiness.check()),
            reload: None,
        });
        Ok(Self { listeners, routes, metrics, discovery, scheduler, shard: options.shard })
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
            let (index, total) = self.shard.numbers();
            info!(index, total, "polls its part of the targets only");
        }

        let mut tasks = JoinSet::new();
        let discovering = self.discovery.run(shutdown.clone());
        tasks.spawn(async move {
            discovering.await;
            "discovery"
        });
        let scheduling = self.scheduler.run(shutdown.clone());
        tasks.spawn(async move {
            scheduling.await;
            "scheduler"
        });
        let keeping_ready = self.metrics.keep_ready(shutdown.clone());
        tasks.spawn(async move {
            keeping_ready.await;
            "metrics"
        });
        let serving = web::serve(self.listeners, self.routes, shutdown.clone(), DRAIN);
        tasks.spawn(async move {
            serving.await;
            "web"
        });

        let ended = tokio::select! {
            () = shutdown.cancelled() => None,
            ended = tasks.join_next() => ended,
        };
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

/// What to poll, once the SDK has been asked what only it can tell: the region
/// that goes with credentials, and which kind of endpoints is set outside of our
/// configuration.
async fn fleet(config: &Config, sessions: &Sessions) -> Result<Fleet, ConfigError> {
    let mut found: HashMap<&Access, Found> = HashMap::new();
    for account in config.first_accounts() {
        let region = sessions.default_region(account).await;
        let endpoints = sessions.endpoint_kind(account).await;
        found.insert(&account.access, Found { region, endpoints });
    }
    config.fleet(|account| found.get(&account.access).cloned())
}

/// Turns what is asked of AWS into metrics.
#[derive(Debug)]
struct Observed {
    own: Arc<OwnMetrics>,
    clock: Clock,
}

impl Observer for Observed {
    fn api_call(&self, call: &ApiCall<'_>) {
        self.own.api_request(call.service, call.operation, call.took, call.error.as_deref());
    }

    fn found(&self, finding: Finding) {
        match finding {
            Finding::Succeeded(kind) => self.own.discovered(kind, self.clock.now()),
            Finding::Failed(kind) => self.own.discovery_failed(kind),
        }
    }
}
