//! Another configuration while it runs.

use std::pin::Pin;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::stages::{Checked, Helm};
use crate::config::ConfigError;
use crate::service_manager::ServiceManager;
use crate::web::Reload;

/// How many may wait for a reload until others have to wait to ask for one.
const QUEUE: usize = 16;

/// Loads the configuration anew whenever it is asked to, one time after the other.
#[derive(Debug)]
pub(super) struct Reloader {
    helm: Helm,
    service_manager: ServiceManager,
    asked: Receiver<oneshot::Sender<Result<(), String>>>,
    /// Brings requests of those who do not wait for an answer.
    signals: Receiver<()>,
}

/// Asks for a reload, and hears what comes of it.
#[derive(Debug)]
pub(super) struct AskForReload(Sender<oneshot::Sender<Result<(), String>>>);

/// Why the configuration cannot be loaded anew.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("reading the configuration panicked, which is a bug")]
    Panicked(#[source] tokio::task::JoinError),
}

impl Reloader {
    pub(super) fn new(
        helm: Helm,
        service_manager: ServiceManager,
        signals: Receiver<()>,
    ) -> (Self, AskForReload) {
        let (ask, asked) = mpsc::channel(QUEUE);
        (Self { helm, service_manager, asked, signals }, AskForReload(ask))
    }

    /// Reloads whenever it is asked to until `shutdown`. It does so by itself, and
    /// not for as long as somebody waits for it, so that none is given up halfway.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(asker) = self.asked.recv() => {
                    let outcome = self.reload().await;
                    // Whoever asked may have left.
                    let _left = asker.send(outcome.map_err(|error| chain(&error)));
                }
                Some(()) = self.signals.recv() => {
                    // It has logged what there is to say.
                    let _logged = self.reload().await;
                }
            }
        }
    }

    /// Reads the configuration from where it came from, checks all of it and puts
    /// it into force. If anything is wrong with it, all is as it was.
    async fn reload(&mut self) -> Result<(), ReloadError> {
        self.service_manager.reloading();
        let checked = check(&self.helm).await;
        self.service_manager.ready();
        match checked {
            Ok(checked) => {
                self.helm.put_in_force(checked);
                warn_of_oddities(&self.helm);
                info!("the configuration has been loaded anew");
                Ok(())
            }
            Err(error) => {
                self.helm.refused();
                let chain = chain(&error);
                error!(error = chain, "the configuration cannot be loaded anew, the old one stays in force");
                Err(error)
            }
        }
    }
}

impl Reload for AskForReload {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async {
            let ended = |()| "the exporter is about to end".to_owned();
            let (asker, outcome) = oneshot::channel();
            self.0.send(asker).await.map_err(|_| ended(()))?;
            outcome.await.map_err(|_| ended(()))?
        })
    }
}

async fn check(helm: &Helm) -> Result<Checked, ReloadError> {
    let again = helm.config().loading_again();
    let config = tokio::task::spawn_blocking(again).await.map_err(ReloadError::Panicked)??;
    Ok(Box::pin(helm.check(config)).await?)
}

pub(super) fn warn_of_oddities(helm: &Helm) {
    for warning in &helm.config().warnings {
        warn!(warning, "the configuration is odd");
    }
}

/// An error with what led to it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
