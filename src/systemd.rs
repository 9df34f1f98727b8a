//! Notifies systemd of readiness, reloads, shutdown and liveness (`sd_notify`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::UnixDatagram;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// The service manager that started the daemon. If there is none, notifications do nothing.
#[derive(Clone, Debug, Default)]
pub struct ServiceManager {
    /// Where to send notifications: the value of `NOTIFY_SOCKET`.
    socket: Option<PathBuf>,
    /// systemd restarts the daemon if no watchdog notification arrives for this long.
    watchdog_timeout: Option<Duration>,
    /// Whether the last notification failed, so that only the first of several failures is
    /// logged.
    is_failing: Arc<AtomicBool>,
}

impl ServiceManager {
    /// The service manager that `NOTIFY_SOCKET` and `WATCHDOG_USEC` describe.
    #[must_use]
    pub fn from_environment() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").map(PathBuf::from);
        let watchdog_timeout =
            sd_notify::watchdog_enabled().filter(|timeout| socket.is_some() && !timeout.is_zero());
        Self { socket, watchdog_timeout, is_failing: Arc::default() }
    }

    /// Sends `READY=1`: the daemon serves requests, or a reload has ended.
    pub(crate) async fn ready(&self) {
        self.notify(&[NotifyState::Ready]).await;
    }

    /// Sends `RELOADING=1`: a reload begins. [`ready`](Self::ready) must follow.
    pub(crate) async fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.notify(&[NotifyState::Reloading, now]).await,
            Err(error) => debug!(%error, "cannot read the monotonic clock"),
        }
    }

    /// Sends `STOPPING=1`: the shutdown begins.
    pub(crate) async fn stopping(&self) {
        self.notify(&[NotifyState::Stopping]).await;
    }

    /// Sends `WATCHDOG=1` regularly until `shutdown`, but only while the count that
    /// `heartbeats` returns keeps increasing.
    pub(crate) async fn run_watchdog(&self, heartbeats: impl Fn() -> u64, shutdown: CancellationToken) {
        let Some(timeout) = self.watchdog_timeout else { return shutdown.cancelled().await };
        let mut ticks = tokio::time::interval(timeout / CHECKS_PER_TIMEOUT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut liveness = Liveness::default();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            match liveness.check(heartbeats()) {
                Check::Alive => self.notify(&[NotifyState::Watchdog]).await,
                Check::Stalled => {}
                Check::StalledTooLong => {
                    warn!("scheduler stalled, no longer notifying the watchdog");
                }
            }
        }
    }

    async fn notify(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let message: String = states.iter().flat_map(|state| [state.to_string(), "\n".to_owned()]).collect();
        let sent = tokio::time::timeout(NOTIFY_TIMEOUT, send(socket, &message)).await;
        match sent.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())) {
            Ok(()) => self.is_failing.store(false, Ordering::Relaxed),
            Err(error) if !self.is_failing.swap(true, Ordering::Relaxed) => {
                warn!(%error, "cannot notify the service manager");
            }
            Err(_) => {}
        }
    }
}

/// How long a notification may wait until the service manager has read earlier ones.
const NOTIFY_TIMEOUT: Duration = Duration::from_millis(500);

/// Sends a message without blocking the thread, which `sd_notify::notify` does while the queue
/// of the socket is full.
async fn send(socket: &Path, message: &str) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    sender.connect(socket)?;
    // A datagram is sent as a whole.
    sender.send(message.as_bytes()).await.map(|_length| ())
}

/// How often the heartbeats are checked within one watchdog timeout. With several checks, a single
/// late notification does not exceed the timeout.
const CHECKS_PER_TIMEOUT: u32 = 4;

/// Detects that a counter no longer increases.
#[derive(Debug, Default)]
struct Liveness {
    last: Option<u64>,
    stalled_checks: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Check {
    Alive,
    Stalled,
    /// This was the last check before the watchdog timeout. Returned once per stall.
    StalledTooLong,
}

impl Liveness {
    fn check(&mut self, heartbeats: u64) -> Check {
        if self.last.replace(heartbeats) != Some(heartbeats) {
            self.stalled_checks = 0;
            return Check::Alive;
        }
        self.stalled_checks += 1;
        if self.stalled_checks == CHECKS_PER_TIMEOUT - 1 { Check::StalledTooLong } else { Check::Stalled }
    }
}

#[cfg(test)]
mod tests {
    use super::Check::{Alive, Stalled, StalledTooLong};
    use super::*;

    #[test]
    fn a_counter_that_no_longer_increases_is_stalled() {
        let mut liveness = Liveness::default();
        let checks = [7, 8, 8, 9, 9, 9, 9, 9, 10].map(|heartbeats| liveness.check(heartbeats));
        let expected = [Alive, Alive, Stalled, Alive, Stalled, Stalled, StalledTooLong, Stalled, Alive];
        assert_eq!(checks, expected);
    }
}
