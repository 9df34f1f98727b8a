//! Keeps the rules of the web configuration in force, and those of a new one as soon
//! as it is there.
//!
//! It stands between [`config`](crate::config), which reads the file, and
//! [`web`](crate::web), which keeps to what it says: neither has to know that files
//! change.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{ConfigError, SeenFiles, WebConfig};
use crate::error_chain::with_causes;
use crate::web::{AccessControl, AccessRules, RandomnessError};

/// How often to look whether a file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The web configuration, if there is one, and what keeps to it.
#[derive(Debug)]
pub(super) struct WebConfigWatcher {
    path: Option<PathBuf>,
    access: Arc<AccessControl>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// What is in force comes from these.
    files: Arc<SeenFiles>,
    /// What is wrong with what is there now.
    complaint: Option<String>,
}

/// A web configuration that can be put into force.
#[derive(Debug)]
pub(super) struct LoadedWebConfig(Option<WebConfig>);

/// Why there is no security.
#[derive(Debug, thiserror::Error)]
pub enum WebConfigError {
    /// The web configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing can be kept secret.
    #[error(transparent)]
    RandomnessError(#[from] RandomnessError),
}

impl WebConfigWatcher {
    /// Puts the web configuration at `path` into force. Without one everybody may
    /// ask, without TLS.
    ///
    /// # Errors
    /// See [`WebConfigError`].
    pub(super) fn open(path: Option<PathBuf>) -> Result<Self, WebConfigError> {
        let access = Arc::new(AccessControl::new(AccessRules::default())?);
        let security = Self { path, access, known: Mutex::default() };
        security.put_in_force(security.load()?);
        Ok(security)
    }

    /// What keeps to the rules.
    #[must_use]
    pub(super) fn access(&self) -> Arc<AccessControl> {
        Arc::clone(&self.access)
    }

    /// Reads the web configuration, and what it names, as they are now. It reads
    /// files, so it may take a while.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub(super) fn load(&self) -> Result<LoadedWebConfig, ConfigError> {
        Ok(LoadedWebConfig(self.path.as_deref().map(WebConfig::load).transpose()?))
    }

    /// Keeps to what has been loaded from now on.
    pub(super) fn put_in_force(&self, prepared: LoadedWebConfig) {
        let Some(WebConfig { rules, warnings, files }) = prepared.0 else { return };
        for warning in warnings {
            warn!(warning, "the web configuration is odd");
        }
        // One after the other, so that what is known is what is in force.
        let mut known = self.known.lock();
        self.access.apply(rules);
        *known = Known { files: Arc::new(files), complaint: None };
    }

    /// Takes up what has changed, until `shutdown`.
    pub(super) async fn keep_current(self: Arc<Self>, shutdown: CancellationToken) {
        let looking = async {
            loop {
                sleep(LOOK_EVERY).await;
                let security = Arc::clone(&self);
                match tokio::task::spawn_blocking(move || security.look()).await {
                    Ok(Seen::Same | Seen::StillWrong) => {}
                    Ok(Seen::New) => info!("the web configuration has changed and is in force"),
                    Ok(Seen::Wrong(error)) => {
                        warn!(error, "the web configuration cannot be used, the one before stays in force");
                    }
                    Err(error) => error!(%error, "cannot look at the web configuration, which is a bug"),
                }
            }
        };
        if self.path.is_none() {
            return shutdown.cancelled().await;
        }
        shutdown.run_until_cancelled(looking).await;
    }

    /// Takes up what has changed. What is wrong stays out of force.
    fn look(&self) -> Seen {
        let (files, is_good) = {
            let known = self.known.lock();
            (Arc::clone(&known.files), known.complaint.is_none())
        };
        if is_good && !files.have_changed() {
            return Seen::Same;
        }
        match self.load() {
            Ok(prepared) => {
                self.put_in_force(prepared);
                Seen::New
            }
            Err(error) => {
                let complaint = with_causes(&error);
                let before = self.known.lock().complaint.replace(complaint.clone());
                if before.as_ref() == Some(&complaint) { Seen::StillWrong } else { Seen::Wrong(complaint) }
            }
        }
    }
}

/// What comes of looking at the files.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// They are what is in force.
    Same,
    /// They are in force now.
    New,
    /// They cannot be used, and why.
    Wrong(String),
    /// For the same reason as when they were last looked at.
    StillWrong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_taken_up_and_what_is_wrong_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.yaml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let wrong = |what: &str| Seen::Wrong(format!("{}:{what}", path.display()));
        let good = "rate_limit: {interval: 1s, burst: 1}\n";
        write(good);
        let security = WebConfigWatcher::open(Some(path.clone())).unwrap();
        assert_eq!(security.look(), Seen::Same);

        write("rate_limit: {interval: 1s, burst: 2}\n");
        assert_eq!(security.look(), Seen::New);
        assert_eq!(security.look(), Seen::Same);

        let missing = "1:35: rate_limit.burst: `none` is not a whole number from 0";
        write("rate_limit: {interval: 1s, burst: none}\n");
        assert_eq!(security.look(), wrong(missing));
        for _ in 0..3 {
            assert_eq!(security.look(), Seen::StillWrong);
        }
        assert!(format!("{:?}", security.access()).contains("burst: 2"), "the one before stays in force");

        write("tls_server_config: {cert_file: server.crt, key_file: server.key}\n");
        assert!(matches!(security.look(), Seen::Wrong(why) if why.contains("server.crt: No such file")));
        assert_eq!(security.look(), Seen::StillWrong);
        // A file that is not there cannot have changed, yet it is waited for.
        std::fs::write(directory.path().join("server.crt"), "").unwrap();
        assert!(matches!(security.look(), Seen::Wrong(why) if why.contains("server.key: No such file")));

        write(good);
        assert_eq!(security.look(), Seen::New);
        assert_eq!(security.look(), Seen::Same);
        std::fs::remove_file(&path).unwrap();
        let gone = format!(
            "cannot read the configuration file {}: No such file or directory (os error 2)",
            path.display()
        );
        assert_eq!(security.look(), Seen::Wrong(gone));
    }

    #[tokio::test]
    async fn what_is_loaded_is_not_in_force_before_it_is_put_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.yaml");
        std::fs::write(&path, "").unwrap();
        let security = Arc::new(WebConfigWatcher::open(Some(path.clone())).unwrap());
        std::fs::write(&path, "http_server_config: {headers: {X-Frame-Options: deny}}\n").unwrap();
        let prepared = security.load().unwrap();
        assert!(!format!("{:?}", security.access()).contains("deny"));
        security.put_in_force(prepared);
        assert!(format!("{:?}", security.access()).contains("deny"));
        assert_eq!(security.look(), Seen::Same);

        // Without a file there is nothing to look at, until the end.
        let shutdown = CancellationToken::new();
        let without = Arc::new(WebConfigWatcher::open(None).unwrap());
        shutdown.cancel();
        without.keep_current(shutdown).await;
    }
}
