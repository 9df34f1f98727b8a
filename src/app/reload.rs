//! Another configuration while it runs.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::stages::{Checked, Helm};
use crate::config::ConfigError;
use crate::web::Reload;

/// Loads the configuration anew, one time after the other.
#[derive(Debug)]
pub struct Reloader(Mutex<Helm>);

/// Why the configuration cannot be loaded anew.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Something is wrong with it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Reading it panicked, which is a bug.
    #[error("cannot read the configuration, which is a bug")]
    Panicked(#[source] tokio::task::JoinError),
}

impl Reloader {
    pub(super) fn new(helm: Helm) -> Arc<Self> {
        Arc::new(Self(Mutex::new(helm)))
    }

    /// Reads the configuration from where it came from, checks all of it and puts
    /// it into force. Targets that it does not change keep their data, their turns
    /// and their credentials.
    ///
    /// # Errors
    /// What is wrong with it. Then all is as it was.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        let mut helm = self.0.lock().await;
        match check(&helm).await {
            Ok(checked) => {
                // Nothing from here on can fail, or be given up halfway.
                helm.put_in_force(checked);
                warn_of_oddities(&helm);
                info!("the configuration has been loaded anew");
                Ok(())
            }
            Err(error) => {
                helm.refused();
                let chain = chain(&error);
                error!(error = chain, "the configuration cannot be loaded anew, the old one stays in force");
                Err(error)
            }
        }
    }

    /// Reloads for each of `requests` until `shutdown`. Those that come while it
    /// does so are one.
    pub(super) async fn follow(&self, mut requests: Receiver<()>, shutdown: CancellationToken) {
        while let Some(Some(())) = shutdown.run_until_cancelled(requests.recv()).await {
            // It has logged what there is to say.
            let _told = shutdown.run_until_cancelled(self.reload()).await;
        }
        shutdown.cancelled().await;
    }
}

impl Reload for Reloader {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async { Self::reload(self).await.map_err(|error| chain(&error)) })
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
