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
use crate::config::ConfigError;
use crate::error_chain::with_causes;
use crate::status::StatusPage;
use crate::systemd::ServiceManager;
use crate::web::Reload;

/// How many requests for a reload may wait in the queue. Further ones wait to enter it.
const QUEUE: usize = 16;

/// The limit on reading and validating: the file may be on a network file system, and
/// the SDK may ask the instance metadata service for the region.
const TIMEOUT: Duration = Duration::from_secs(30);

type Outcome = Result<(), String>;

/// Reloads the configuration when it is requested to.
#[derive(Debug)]
pub(super) struct Reloader {
    applier: ConfigApplier,
    web_config: Arc<WebConfigWatcher>,
    page: Arc<StatusPage>,
    service_manager: ServiceManager,
    requests: Receiver<oneshot::Sender<Outcome>>,
    /// Requests whose sender does not wait for the outcome.
    signals: Receiver<()>,
    /// Has its one permit unless a file is being read.
    read_permit: Arc<Semaphore>,
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
    #[error("reading the configuration panicked, which is a bug")]
    Panicked(#[source] tokio::task::JoinError),
}

impl Reloader {
    pub(super) fn new(
        applier: ConfigApplier,
        web_config: Arc<WebConfigWatcher>,
        page: Arc<StatusPage>,
        service_manager: ServiceManager,
        signals: Receiver<()>,
    ) -> (Self, ReloadHandle) {
        let (requester, requests) = mpsc::channel(QUEUE);
        let read_permit = Arc::new(Semaphore::new(1));
        let reloader = Self { applier, web_config, page, service_manager, requests, signals, read_permit };
        (reloader, ReloadHandle(requester))
    }

    /// Reloads on request until `shutdown`. A reload runs in this task and not in that of
    /// its requester, so that it is not dropped halfway when the requester leaves.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(requester) = self.requests.recv() => {
                    let mut requesters = vec![requester];
                    // One reload serves all requests that came before it began.
                    while let Ok(requester) = self.requests.try_recv() {
                        requesters.push(requester);
                    }
                    let Some(outcome) = shutdown.run_until_cancelled(self.reload()).await else { break };
                    let outcome = outcome.map_err(|error| with_causes(&error));
                    for requester in requesters {
                        // The requester may have left.
                        let _left = requester.send(outcome.clone());
                    }
                }
                Some(()) = self.signals.recv() => {
                    // `reload` logs the outcome, and a signal has no other answer.
                    let _outcome = shutdown.run_until_cancelled(self.reload()).await;
                }
            }
        }
    }

    /// Reads both files again, validates them and applies them. An error leaves both
    /// configurations as they were.
    async fn reload(&mut self) -> Result<(), ReloadError> {
        self.service_manager.reloading();
        let loaded = tokio::time::timeout(TIMEOUT, self.load()).await;
        let outcome = match loaded.unwrap_or(Err(ReloadError::Timeout)) {
            Ok((config, web_config)) => {
                self.applier.apply(config);
                self.web_config.apply(web_config);
                self.page.set_configuration(self.applier.config().redacted.clone());
                log_warnings(&self.applier);
                info!("configuration reloaded");
                Ok(())
            }
            Err(error) => {
                self.applier.reload_failed();
                error!(
                    error = with_causes(&error),
                    "configuration reload failed, keeping the previous configuration"
                );
                Err(error)
            }
        };
        self.service_manager.ready();
        outcome
    }

    async fn load(&self) -> Result<(ValidatedConfig, LoadedWebConfig), ReloadError> {
        // A file system that hangs must not block one more thread with each attempt.
        let Ok(read_permit) = Arc::clone(&self.read_permit).try_acquire_owned() else {
            return Err(ReloadError::StillReading);
        };
        let (load, web_config) = (self.applier.config().loader(), Arc::clone(&self.web_config));
        let read = move || {
            let loaded = load().and_then(|config| Ok((config, web_config.load()?)));
            drop(read_permit);
            loaded
        };
        let (config, web_config) =
            tokio::task::spawn_blocking(read).await.map_err(ReloadError::Panicked)??;
        Ok((Box::pin(self.applier.validate(config)).await?, web_config))
    }
}

impl Reload for ReloadHandle {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(async {
            let shutting_down = || "the exporter is shutting down".to_owned();
            let (requester, outcome) = oneshot::channel();
            self.0.send(requester).await.map_err(|_| shutting_down())?;
            outcome.await.map_err(|_| shutting_down())?
        })
    }
}

/// Logs the settings that are valid but probably not what was meant.
pub(crate) fn log_warnings(applier: &ConfigApplier) {
    for warning in &applier.config().warnings {
        warn!(warning, "configuration warning");
    }
}
