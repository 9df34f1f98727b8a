//! What systemd is told, where it listens.

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
    /// Whether it wants to be told how things are.
    listens: bool,
    /// How often it wants a sign of life, at least.
    watchdog: Option<Duration>,
    /// Whether it could not be told anything of late.
    is_deaf: Arc<AtomicBool>,
}

impl ServiceManager {
    /// The one that the environment names: `NOTIFY_SOCKET`, `WATCHDOG_USEC`.
    #[must_use]
    pub fn of_process() -> Self {
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some();
        let watchdog = sd_notify::watchdog_enabled().filter(|patience| listens && !patience.is_zero());
        Self { listens, watchdog, is_deaf: Arc::default() }
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
        // Often enough for one that comes late.
        let mut ticks = tokio::time::interval(patience / LOOKS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut life = Life::default();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            match life.look(pulse()) {
                Looks::Alive => self.tell(&[NotifyState::Watchdog]),
                Looks::StandsStill => {}
                Looks::HasStopped => {
                    warn!("the scheduler stands still, so the service manager gets no sign of life");
                }
            }
        }
    }

    fn tell(&self, state: &[NotifyState<'_>]) {
        if !self.listens {
            return;
        }
        match sd_notify::notify(state) {
            Ok(()) => self.is_deaf.store(false, Ordering::Relaxed),
            Err(error) if !self.is_deaf.swap(true, Ordering::Relaxed) => {
                warn!(%error, "the service manager cannot be told how things are");
            }
            Err(_) => {}
        }
    }
}

/// How often is looked for a sign of life while the service manager waits for one.
const LOOKS: u32 = 4;

/// Whether something goes on counting.
#[derive(Debug, Default)]
struct Life {
    last: Option<u64>,
    still: u32,
}

/// What it looks like.
#[derive(Debug, PartialEq, Eq)]
enum Looks {
    Alive,
    StandsStill,
    /// It has stood still for so long that there is hardly time left.
    HasStopped,
}

impl Life {
    fn look(&mut self, pulse: u64) -> Looks {
        if self.last.replace(pulse) != Some(pulse) {
            self.still = 0;
            return Looks::Alive;
        }
        self.still += 1;
        if self.still == LOOKS - 1 { Looks::HasStopped } else { Looks::StandsStill }
    }
}

#[cfg(test)]
mod tests {
    use super::Looks::{Alive, HasStopped, StandsStill};
    use super::*;

    #[test]
    fn no_sign_of_life_is_given_for_what_stands_still() {
        let mut life = Life::default();
        let looks = [7, 8, 8, 9, 9, 9, 9, 9, 10].map(|pulse| life.look(pulse));
        let expected =
            [Alive, Alive, StandsStill, Alive, StandsStill, StandsStill, HasStopped, StandsStill, Alive];
        assert_eq!(looks, expected);
    }
}
