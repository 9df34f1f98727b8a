//! Applies the web configuration, and reloads it whenever one of its files changes.
//!
//! This module is between [`config`](crate::config), which reads the file, and
//! [`web`](crate::web), which enforces it. Neither of the two watches files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{ConfigError, FileHashes, WebConfig};
use crate::error_chain::with_causes;
use crate::web::{AccessControl, AccessRules, RandomnessError};

/// How often the files are checked for changes.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Keeps the [`AccessControl`] in sync with the web configuration file, if there is one.
#[derive(Debug)]
pub(super) struct WebConfigWatcher {
    path: Option<PathBuf>,
    access: Arc<AccessControl>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The files of the web configuration in force.
    files: Arc<FileHashes>,
    uses_tls: bool,
    /// The error of the last check if the files could not be applied.
    error: Option<String>,
}

/// A valid web configuration, ready to be applied; `None` without a web configuration file.
#[derive(Debug)]
pub(super) struct LoadedWebConfig(Option<WebConfig>);

/// The reasons why the web configuration cannot be applied at start.
#[derive(Debug, thiserror::Error)]
pub enum WebConfigError {
    /// The web configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system provides no random numbers, which password checks need.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
}

impl WebConfigWatcher {
    /// Loads and applies the web configuration at `path`. If there is no file, connections
    /// do not use TLS, and requests need no password.
    ///
    /// # Errors
    /// See [`WebConfigError`].
    pub(super) fn open(path: Option<PathBuf>) -> Result<Self, WebConfigError> {
        let access = Arc::new(AccessControl::new(AccessRules::default())?);
        let watcher = Self { path, access, state: Mutex::default() };
        watcher.apply(watcher.load()?);
        Ok(watcher)
    }

    /// The access control that enforces the web configuration.
    pub(super) fn access(&self) -> Arc<AccessControl> {
        Arc::clone(&self.access)
    }

    /// Whether connections use TLS now.
    pub(super) fn uses_tls(&self) -> bool {
        self.state.lock().uses_tls
    }

    /// Reads the web configuration and the files that it refers to. Blocks.
    pub(super) fn load(&self) -> Result<LoadedWebConfig, ConfigError> {
        Ok(LoadedWebConfig(self.path.as_deref().map(WebConfig::load).transpose()?))
    }

    /// Puts a loaded web configuration into force.
    pub(super) fn apply(&self, loaded: LoadedWebConfig) {
        let Some(WebConfig { rules, warnings, files }) = loaded.0 else { return };
        for warning in warnings {
            warn!(warning, "web configuration warning");
        }
        // Hold the lock for both, so that `state` always describes the rules in force.
        let mut state = self.state.lock();
        *state = State { files: Arc::new(files), uses_tls: rules.tls.is_some(), error: None };
        self.access.apply(rules);
    }

    /// Applies changes of the files until `shutdown`.
    pub(super) async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let watch = async {
            loop {
                sleep(CHECK_INTERVAL).await;
                let watcher = Arc::clone(&self);
                match tokio::task::spawn_blocking(move || watcher.check()).await {
                    Ok(CheckOutcome::Unchanged | CheckOutcome::SameError) => {}
                    Ok(CheckOutcome::Applied) => info!("web configuration reloaded"),
                    Ok(CheckOutcome::NewError(error)) => {
                        warn!(error, "web configuration reload failed, keeping the previous one");
                    }
                    Err(error) => {
                        // The panic hook has logged the location. The message may contain a secret.
                        error!(task = %error.id(), "the check of the web configuration panicked, which is a bug");
                    }
                }
            }
        };
        if self.path.is_none() {
            return shutdown.cancelled().await;
        }
        shutdown.run_until_cancelled(watch).await;
    }

    /// Applies the files if they have changed and are valid. After an error, reads the files
    /// even if none has changed, because a file that was missing may exist now.
    fn check(&self) -> CheckOutcome {
        let (files, is_valid) = {
            let state = self.state.lock();
            (Arc::clone(&state.files), state.error.is_none())
        };
        if is_valid && !files.have_changed() {
            return CheckOutcome::Unchanged;
        }
        match self.load() {
            Ok(loaded) => {
                self.apply(loaded);
                CheckOutcome::Applied
            }
            Err(error) => {
                let error = with_causes(&error);
                let previous = self.state.lock().error.replace(error.clone());
                if previous.as_ref() == Some(&error) {
                    CheckOutcome::SameError
                } else {
                    CheckOutcome::NewError(error)
                }
            }
        }
    }
}

/// The outcome of a check of the files.
#[derive(Debug, PartialEq, Eq)]
enum CheckOutcome {
    Unchanged,
    Applied,
    NewError(String),
    /// The error is the same as in the last check, so it is not logged again.
    SameError,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_applied_and_an_error_is_reported_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.yaml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let error = |message: &str| CheckOutcome::NewError(format!("{}:{message}", path.display()));
        let valid = "rate_limit: {interval: 1s, burst: 1}\n";
        write(valid);
        let watcher = WebConfigWatcher::open(Some(path.clone())).unwrap();
        assert_eq!(watcher.check(), CheckOutcome::Unchanged);

        write("rate_limit: {interval: 1s, burst: 2}\n");
        assert_eq!(watcher.check(), CheckOutcome::Applied);
        assert_eq!(watcher.check(), CheckOutcome::Unchanged);

        let invalid_burst =
            "1:35: rate_limit.burst: `none` is invalid; expected a whole number from 0 to 4294967295";
        write("rate_limit: {interval: 1s, burst: none}\n");
        assert_eq!(watcher.check(), error(invalid_burst));
        for _ in 0..3 {
            assert_eq!(watcher.check(), CheckOutcome::SameError);
        }
        assert!(
            format!("{:?}", watcher.access()).contains("burst: 2"),
            "the previous configuration stays in force"
        );

        write("tls_server_config: {cert_file: server.crt, key_file: server.key}\n");
        assert!(
            matches!(watcher.check(), CheckOutcome::NewError(error) if error.contains("server.crt: No such file"))
        );
        assert_eq!(watcher.check(), CheckOutcome::SameError);
        std::fs::write(directory.path().join("server.crt"), "").unwrap();
        assert!(
            matches!(watcher.check(), CheckOutcome::NewError(error) if error.contains("server.key: No such file"))
        );

        write(valid);
        assert_eq!(watcher.check(), CheckOutcome::Applied);
        assert_eq!(watcher.check(), CheckOutcome::Unchanged);
        std::fs::remove_file(&path).unwrap();
        let removed = format!(
            "cannot read the configuration file {}: No such file or directory (os error 2)",
            path.display()
        );
        assert_eq!(watcher.check(), CheckOutcome::NewError(removed));
    }

    #[tokio::test]
    async fn a_loaded_web_configuration_is_not_in_force_until_it_is_applied() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.yaml");
        std::fs::write(&path, "").unwrap();
        let watcher = Arc::new(WebConfigWatcher::open(Some(path.clone())).unwrap());
        std::fs::write(&path, "http_server_config: {headers: {X-Frame-Options: deny}}\n").unwrap();
        let loaded = watcher.load().unwrap();
        assert!(!format!("{:?}", watcher.access()).contains("deny"));
        watcher.apply(loaded);
        assert!(format!("{:?}", watcher.access()).contains("deny"));
        assert_eq!(watcher.check(), CheckOutcome::Unchanged);

        // Without a file, `run` only waits for the shutdown.
        let shutdown = CancellationToken::new();
        let watcher = Arc::new(WebConfigWatcher::open(None).unwrap());
        shutdown.cancel();
        watcher.run(shutdown).await;
    }
}
