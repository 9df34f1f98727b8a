//! Another configuration while it runs.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::stages::{ConfigApplier, ValidatedConfig};
use crate::app::web_config::{LoadedWebConfig, WebConfigWatcher};
use crate::config::ConfigError;
use crate::error_chain::with_causes;
use crate::status::StatusPage;
use crate::systemd::ServiceManager;
use crate::web::Reload;

/// How many may wait for a reload until others have to wait to ask for one.
const QUEUE: usize = 16;

/// How long reading and checking may take: the file may lie on a network, and the
/// instance that we run on may be asked for its region.
const LIMIT: Duration = Duration::from_secs(30);

/// Loads the configuration anew whenever it is asked to, one time after the other.
#[derive(Debug)]
pub(super) struct Reloader {
    applier: ConfigApplier,
    security: Arc<WebConfigWatcher>,
    page: Arc<StatusPage>,
    service_manager: ServiceManager,
    asked: Receiver<oneshot::Sender<Result<(), String>>>,
    /// Brings requests of those who do not wait for an answer.
    signals: Receiver<()>,
    /// Free unless the file is being read.
    reading: Arc<Semaphore>,
}

/// Asks for a reload, and hears what comes of it.
#[derive(Debug)]
pub(super) struct AskForReload(Sender<oneshot::Sender<Result<(), String>>>);

/// Why the configuration cannot be loaded anew.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the configuration could not be read and checked within {} s", LIMIT.as_secs())]
    TooLate,
    #[error("the last attempt is still reading the configuration file")]
    StillReading,
    #[error("reading the configuration panicked, which is a bug")]
    Panicked(#[source] tokio::task::JoinError),
}

impl Reloader {
    pub(super) fn new(
        applier: ConfigApplier,
        (security, page): (Arc<WebConfigWatcher>, Arc<StatusPage>),
        service_manager: ServiceManager,
        signals: Receiver<()>,
    ) -> (Self, AskForReload) {
        let (ask, asked) = mpsc::channel(QUEUE);
        let reading = Arc::new(Semaphore::new(1));
        (Self { applier, security, page, service_manager, asked, signals, reading }, AskForReload(ask))
    }

    /// Reloads whenever it is asked to until `shutdown`. It does so by itself, and
    /// not for as long as somebody waits for it, so that none is given up halfway.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(asker) = self.asked.recv() => {
                    let mut askers = vec![asker];
                    // One reload will do for all who asked before it began.
                    while let Ok(asker) = self.asked.try_recv() {
                        askers.push(asker);
                    }
                    let Some(outcome) = shutdown.run_until_cancelled(self.reload()).await else { break };
                    let outcome = outcome.map_err(|error| with_causes(&error));
                    for asker in askers {
                        // Whoever asked may have left.
                        let _left = asker.send(outcome.clone());
                    }
                }
                Some(()) = self.signals.recv() => {
                    // It has logged what there is to say.
                    let _logged = shutdown.run_until_cancelled(self.reload()).await;
                }
            }
        }
    }

    /// Reads the configuration, and that of the web, from where they came from, checks
    /// all of it and puts it into force. If anything is wrong with it, all is as it was.
    async fn reload(&mut self) -> Result<(), ReloadError> {
        self.service_manager.reloading();
        let checked = tokio::time::timeout(LIMIT, self.check()).await;
        let outcome = match checked.unwrap_or(Err(ReloadError::TooLate)) {
            Ok((checked, web)) => {
                self.applier.put_in_force(checked);
                self.security.put_in_force(web);
                self.page.set_configuration(self.applier.config().redacted.clone());
                log_warnings(&self.applier);
                info!("the configuration has been loaded anew");
                Ok(())
            }
            Err(error) => {
                self.applier.refused();
                error!(
                    error = with_causes(&error),
                    "the configuration cannot be loaded anew, the old one stays in force"
                );
                Err(error)
            }
        };
        self.service_manager.ready();
        outcome
    }

    async fn check(&self) -> Result<(ValidatedConfig, LoadedWebConfig), ReloadError> {
        // A file system that hangs must not take a thread for each attempt.
        let Ok(reading) = Arc::clone(&self.reading).try_acquire_owned() else {
            return Err(ReloadError::StillReading);
        };
        let (again, security) = (self.applier.config().loading_again(), Arc::clone(&self.security));
        let load = move || {
            let loaded = again().and_then(|config| Ok((config, security.load()?)));
            drop(reading);
            loaded
        };
        let loading = tokio::task::spawn_blocking(load);
        let (config, web) = loading.await.map_err(ReloadError::Panicked)??;
        Ok((Box::pin(self.applier.check(config)).await?, web))
    }
}

impl Reload for AskForReload {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async {
            let ends = || "the exporter is about to end".to_owned();
            let (asker, outcome) = oneshot::channel();
            self.0.send(asker).await.map_err(|_| ends())?;
            outcome.await.map_err(|_| ends())?
        })
    }
}

pub(crate) fn log_warnings(applier: &ConfigApplier) {
    for warning in &applier.config().warnings {
        warn!(warning, "the configuration is odd");
    }
}
