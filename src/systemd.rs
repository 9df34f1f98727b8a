//! Notifications to systemd: readiness, reloads and the watchdog.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// The service manager that has started the daemon, if there is one.
#[derive(Clone, Debug, Default)]
pub struct ServiceManager {
    /// Whether it expects notifications.
    expects_notifications: bool,
    /// The longest time between two watchdog notifications.
    watchdog_timeout: Option<Duration>,
    /// Whether the last notification failed.
    has_failed: Arc<AtomicBool>,
}

impl ServiceManager {
    /// The service manager that `NOTIFY_SOCKET` and `WATCHDOG_USEC` describe.
    #[must_use]
    pub fn from_environment() -> Self {
        let expects_notifications = std::env::var_os("NOTIFY_SOCKET").is_some();
        let watchdog_timeout =
            sd_notify::watchdog_enabled().filter(|timeout| expects_notifications && !timeout.is_zero());
        Self { expects_notifications, watchdog_timeout, has_failed: Arc::default() }
    }

    /// Tells that requests are served, or that a reload has ended.
    pub(crate) fn ready(&self) {
        self.notify(&[NotifyState::Ready]);
    }

    /// Tells that a reload begins; [`ready`](Self::ready) has to follow.
    pub(crate) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.notify(&[NotifyState::Reloading, now]),
            Err(error) => debug!(%error, "cannot read the monotonic clock"),
        }
    }

    /// Tells that the shutdown begins.
    pub(crate) fn stopping(&self) {
        self.notify(&[NotifyState::Stopping]);
    }

    /// Notifies the watchdog until `shutdown`, as long as `heartbeats` grows.
    pub(crate) async fn run_watchdog(&self, heartbeats: impl Fn() -> u64, shutdown: CancellationToken) {
        let Some(timeout) = self.watchdog_timeout else { return shutdown.cancelled().await };
        let mut ticks = tokio::time::interval(timeout / CHECKS_PER_TIMEOUT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut liveness = Liveness::default();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            match liveness.check(heartbeats()) {
                Check::Alive => self.notify(&[NotifyState::Watchdog]),
                Check::Stalled => {}
                Check::StalledTooLong => {
                    warn!("scheduler stalled, no longer notifying the watchdog");
                }
            }
        }
    }

    fn notify(&self, state: &[NotifyState<'_>]) {
        if !self.expects_notifications {
            return;
        }
        match sd_notify::notify(state) {
            Ok(()) => self.has_failed.store(false, Ordering::Relaxed),
            Err(error) if !self.has_failed.swap(true, Ordering::Relaxed) => {
                warn!(%error, "cannot notify the service manager");
            }
            Err(_) => {}
        }
    }
}

/// How often the heartbeats are checked within the timeout of the watchdog: often
/// enough that a notification may come late.
const CHECKS_PER_TIMEOUT: u32 = 4;

/// Whether a counter keeps growing.
#[derive(Debug, Default)]
struct Liveness {
    last: Option<u64>,
    stalled_checks: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Check {
    Alive,
    Stalled,
    /// The timeout of the watchdog is about to end. Returned once for each stall.
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
    fn a_counter_that_stops_growing_is_stalled() {
        let mut liveness = Liveness::default();
        let checks = [7, 8, 8, 9, 9, 9, 9, 9, 10].map(|heartbeats| liveness.check(heartbeats));
        let expected = [Alive, Alive, Stalled, Alive, Stalled, Stalled, StalledTooLong, Stalled, Alive];
        assert_eq!(checks, expected);
    }
}
