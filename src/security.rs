//! Keeps the rules of the web configuration in force, and those of a new one as soon
//! as it is there.
//!
//! It stands between [`config`](crate::config), which reads the file, and
//! [`web`](crate::web), which keeps to what it says: neither has to know that files
//! change.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{ConfigError, SeenFiles, WebConfig};
use crate::lock::lock;
use crate::web::{Guard, NoRandomness, Rules};

/// How often to look whether a file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The web configuration, if there is one, and what keeps to it.
#[derive(Debug)]
pub struct Security {
    path: Option<PathBuf>,
    guard: Arc<Guard>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// What is in force comes from these.
    files: SeenFiles,
    /// What is wrong with what is there now.
    complaint: Option<String>,
}

/// A web configuration that can be put into force.
#[derive(Debug)]
pub struct Prepared(Option<WebConfig>);

/// Why there is no security.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// The web configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing can be kept secret.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl Security {
    /// Puts the web configuration at `path` into force. Without one everybody may
    /// ask, without TLS.
    ///
    /// # Errors
    /// See [`SecurityError`].
    pub fn open(path: Option<PathBuf>) -> Result<Self, SecurityError> {
        let guard = Arc::new(Guard::new(Rules::default())?);
        let security = Self { path, guard, known: Mutex::default() };
        security.put_in_force(security.load()?);
        Ok(security)
    }

    /// What keeps to the rules.
    #[must_use]
    pub fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.guard)
    }

    /// Reads the web configuration, and what it names, as they are now. It reads
    /// files, so it may take a while.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn load(&self) -> Result<Prepared, ConfigError> {
        Ok(Prepared(self.path.as_deref().map(WebConfig::load).transpose()?))
    }

    /// Keeps to what has been loaded from now on.
    pub fn put_in_force(&self, prepared: Prepared) {
        let Some(WebConfig { rules, warnings, files }) = prepared.0 else { return };
        for warning in warnings {
            warn!(warning, "the web configuration is odd");
        }
        // One after the other, so that what is known is what is in force.
        let mut known = lock(&self.known);
        self.guard.put_in_force(rules);
        *known = Known { files, complaint: None };
    }

    /// Takes up what has changed, until `shutdown`.
    pub async fn keep_current(self: Arc<Self>, shutdown: CancellationToken) {
        let looking = async {
            loop {
                sleep(LOOK_EVERY).await;
                let security = Arc::clone(&self);
                if let Err(error) = tokio::task::spawn_blocking(move || security.look()).await {
                    error!(%error, "cannot look at the web configuration, which is a bug");
                }
            }
        };
        if self.path.is_none() {
            return shutdown.cancelled().await;
        }
        shutdown.run_until_cancelled(looking).await;
    }

    /// Takes up what has changed. What is wrong stays out of force and is complained
    /// of once.
    fn look(&self) {
        {
            let known = lock(&self.known);
            if known.complaint.is_none() && !known.files.have_changed() {
                return;
            }
        }
        match self.load() {
            Ok(prepared) => {
                self.put_in_force(prepared);
                info!("the web configuration has changed and is in force");
            }
            Err(error) => {
                let complaint = in_one_line(&error);
                let mut known = lock(&self.known);
                if known.complaint.as_ref() != Some(&complaint) {
                    warn!(
                        error = complaint,
                        "the web configuration cannot be used, the one before stays in force"
                    );
                    known.complaint = Some(complaint);
                }
            }
        }
    }
}

/// With what it comes from.
fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}
