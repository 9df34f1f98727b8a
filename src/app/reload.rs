//! Reloads of both configuration files while the daemon runs, one at a time.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::stages::{ConfigApplier, ValidatedConfig};
use super::web_config::{LoadedWebConfig, WebConfigWatcher};
use crate::config::{Config, ConfigError};
use crate::error_chain::with_causes;
use crate::status::StatusPage;
use crate::systemd::ServiceManager;
use crate::web::Reload;

/// How many HTTP requests for a reload may be queued. Further requests wait until the queue
/// has room.
const QUEUE_CAPACITY: usize = 16;

/// The time limit for reading and validating, which can hang: the file may be on a network file
/// system, and the SDK may ask the instance metadata service for the region.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The outcome of a reload, with the error as text for the HTTP client.
type Outcome = Result<(), String>;

/// Reloads the configuration on request, by HTTP or by SIGHUP.
#[derive(Debug)]
pub(super) struct Reloader {
    applier: ConfigApplier,
    web_config: Arc<WebConfigWatcher>,
    page: Arc<StatusPage>,
    service_manager: ServiceManager,
    /// Requests over HTTP, each as the channel for its reply.
    requests: Receiver<oneshot::Sender<Outcome>>,
    /// Requests by SIGHUP, which get no reply.
    signals: Receiver<()>,
    /// Its single permit is taken while the files are read.
    read_semaphore: Arc<Semaphore>,
}

/// Requests a reload and waits for its outcome.
#[derive(Debug)]
pub(super) struct ReloadHandle(Sender<oneshot::Sender<Outcome>>);

#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the configuration was not read and validated within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("the previous reload is still reading the configuration file")]
    StillReading,
    // Without the message of the panic, which may contain a secret of the configuration.
    #[error("reading the configuration panicked in task {0}, which is a bug")]
    Panicked(tokio::task::Id),
}

impl Reloader {
    pub(super) fn new(
        applier: ConfigApplier,
        web_config: Arc<WebConfigWatcher>,
        page: Arc<StatusPage>,
        service_manager: ServiceManager,
        signals: Receiver<()>,
    ) -> (Self, ReloadHandle) {
        let (sender, requests) = mpsc::channel(QUEUE_CAPACITY);
        let read_semaphore = Arc::new(Semaphore::new(1));
        let reloader = Self { applier, web_config, page, service_manager, requests, signals, read_semaphore };
        (reloader, ReloadHandle(sender))
    }

    /// Reloads on request until `shutdown`. A reload runs in this task and not in that of
    /// the HTTP request, so that a client that disconnects does not cancel it halfway.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(reply) = self.requests.recv() => {
                    let mut replies = vec![reply];
                    // One reload answers all requests that arrived before it began.
                    while let Ok(reply) = self.requests.try_recv() {
                        replies.push(reply);
                    }
                    let Some(outcome) = shutdown.run_until_cancelled(self.reload()).await else { break };
                    let outcome = outcome.map_err(|error| with_causes(&error));
                    for reply in replies {
                        // Fails if the client has disconnected.
                        let _sent = reply.send(outcome.clone());
                    }
                }
                Some(()) = self.signals.recv() => {
                    // `reload` logs the outcome. A signal gets no other reply.
                    let _outcome = shutdown.run_until_cancelled(self.reload()).await;
                }
            }
        }
    }

    /// Reads both files again, validates them and applies them. An error leaves both
    /// configurations as they were.
    async fn reload(&mut self) -> Result<(), ReloadError> {
        self.service_manager.reloading().await;
        let loaded = tokio::time::timeout(TIMEOUT, self.load()).await;
        let outcome = match loaded.unwrap_or(Err(ReloadError::Timeout)) {
            Ok((config, web_config)) => {
                self.applier.apply(config);
                self.web_config.apply(web_config);
                let Config { redacted, health, .. } = self.applier.config();
                self.page.set_configuration(redacted.clone(), Arc::clone(health));
                log_warnings(&self.applier);
                info!("configuration reloaded");
                Ok(())
            }
            Err(error) => {
                self.applier.reload_failed();
                self.page.reload_failed();
                error!(
                    error = with_causes(&error),
                    "configuration reload failed, keeping the previous configuration"
                );
                Err(error)
            }
        };
        self.service_manager.ready().await;
        outcome
    }

    async fn load(&self) -> Result<(ValidatedConfig, LoadedWebConfig), ReloadError> {
        // Only one thread may read at a time. Without this limit, each reload would block
        // another thread while the file system hangs.
        let Ok(read_permit) = Arc::clone(&self.read_semaphore).try_acquire_owned() else {
            return Err(ReloadError::StillReading);
        };
        let (load_config, web_config_watcher) =
            (self.applier.config().loader(), Arc::clone(&self.web_config));
        let read = move || {
            let loaded = load_config().and_then(|config| Ok((config, web_config_watcher.load()?)));
            drop(read_permit);
            loaded
        };
        let (config, web_config) =
            tokio::task::spawn_blocking(read).await.map_err(|error| ReloadError::Panicked(error.id()))??;
        Ok((Box::pin(self.applier.validate(config)).await?, web_config))
    }
}

impl Reload for ReloadHandle {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(async {
            let shutting_down = || "the exporter is shutting down".to_owned();
            let (reply, outcome) = oneshot::channel();
            self.0.send(reply).await.map_err(|_| shutting_down())?;
            outcome.await.map_err(|_| shutting_down())?
        })
    }
}

/// Logs the warnings of the configuration in force.
pub(crate) fn log_warnings(applier: &ConfigApplier) {
    for warning in &applier.config().warnings {
        warn!(warning, "configuration warning");
    }
}
