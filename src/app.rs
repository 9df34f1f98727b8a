//! The composition root, the one place that knows all stages.
//!
//! [`App::build`] makes everything and binds the sockets, so that whatever can
//! be wrong is found before anything runs. [`App::run`] then only runs it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::collector::{ApiCall, Collector, Discovery, Observer, Sessions};
use crate::config::{Config, ConfigError, Regions};
use crate::metrics::{Metrics, OwnMetrics};
use crate::readiness::Readiness;
use crate::scheduler::Scheduler;
use crate::snapshot::Store;
use crate::web::{self, BindError, ListenAddress, Listeners, Routes, TelemetryPath};

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
}

/// The daemon, ready to run, with its sockets bound.
#[derive(Debug)]
pub struct App {
    listeners: Listeners,
    routes: Routes,
    scheduler: Scheduler<Collector>,
    targets: usize,
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

        let accounts = config.accounts.iter().map(|entry| {
            let region = match &entry.regions {
                Regions::Default => None,
                Regions::Named(regions) => regions.first().cloned(),
            };
            (&*entry.account, region)
        });
        let sessions = Sessions::prepare(accounts, &config.aws, config.timeout, &observer).await;
        let targets = config.targets(|account| sessions.default_region(account))?;
        let number = targets.len();

        let store = Arc::new(Store::new(targets, config.stale_after));
        let collector = Collector::new(sessions, config.timeout, observer, clock.clone());
        let scheduler =
            Scheduler::new(collector, Arc::clone(&store), config.interval, config.concurrency, clock.clone());
        let metrics = Metrics::new(Arc::clone(&store), own, config.quota, clock);
        let readiness = Readiness::new(store, config.ready_after);
        let routes = Routes::new(
            options.telemetry_path,
            move || metrics.render().map_err(Into::into),
            move || readiness.check(),
        );
        Ok(Self { listeners, routes, scheduler, targets: number })
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
        info!(targets = self.targets, "collecting");

        let mut tasks = JoinSet::new();
        let scheduling = self.scheduler.run(shutdown.clone());
        tasks.spawn(async move {
            scheduling.await;
            "scheduler"
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

/// Turns what the collector observes into metrics.
#[derive(Debug)]
struct Observed {
    own: Arc<OwnMetrics>,
    clock: Clock,
}

impl Observer for Observed {
    fn api_call(&self, call: &ApiCall<'_>) {
        self.own.api_request(call.service, call.operation, call.took, call.error.as_deref());
    }

    fn discovery(&self, discovery: Discovery) {
        match discovery {
            Discovery::Succeeded(kind) => self.own.discovered(kind, self.clock.now()),
            Discovery::Failed(kind) => self.own.discovery_failed(kind),
        }
    }
}
