//! What systemd is told, where it listens.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// The service manager that has started the daemon, if there is one.
#[derive(Clone, Debug, Default)]
pub struct ServiceManager {
    /// Whether it wants to be told how things are.
    listens: bool,
    /// How often it wants a sign of life, at least.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names: `NOTIFY_SOCKET`, `WATCHDOG_USEC`.
    #[must_use]
    pub fn of_process() -> Self {
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some();
        Self { listens, watchdog: sd_notify::watchdog_enabled().filter(|_| listens) }
    }

    /// Requests are served.
    pub fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// The configuration is about to be loaded anew; [`ready`](Self::ready) follows.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => debug!(%error, "there is no monotonic clock"),
        }
    }

    /// It is about to end.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Gives signs of life until `shutdown`, as long as `pulse` goes on counting.
    pub async fn watch(&self, pulse: impl Fn() -> u64, shutdown: CancellationToken) {
        let Some(patience) = self.watchdog else { return shutdown.cancelled().await };
        // What it counts has to be seen to have gone on in between.
        let mut ticks = tokio::time::interval(patience / 2);
        let (mut last, mut missed) = (None, false);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = Some(pulse());
            if now != last {
                self.tell(&[NotifyState::Watchdog]);
                (last, missed) = (now, false);
            } else if !std::mem::replace(&mut missed, true) {
                warn!("the scheduler stands still, so the service manager gets no sign of life");
            }
        }
    }

    fn tell(&self, state: &[NotifyState<'_>]) {
        if !self.listens {
            return;
        }
        if let Err(error) = sd_notify::notify(state) {
            warn!(%error, "the service manager cannot be told how things are");
        }
    }
}
