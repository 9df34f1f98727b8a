//! Notifies systemd of readiness, reloads, shutdown and liveness (`sd_notify`).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdUnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::UnixDatagram;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::printable::excerpt;

/// The service manager that started the daemon. If there is none, notifications do nothing.
#[derive(Clone, Debug, Default)]
pub struct ServiceManager {
    /// Where to send notifications.
    socket: Option<NotifySocket>,
    /// systemd restarts the daemon if no watchdog notification arrives for this long.
    watchdog_timeout: Option<Duration>,
    /// Whether the last notification failed, so that only the first of several failures is
    /// logged.
    is_failing: Arc<AtomicBool>,
}

impl ServiceManager {
    /// The service manager that `NOTIFY_SOCKET` and `WATCHDOG_USEC` describe. Logs a warning for a
    /// value that cannot be used, and continues without it.
    #[must_use]
    pub fn from_environment() -> Self {
        let value = std::env::var_os("NOTIFY_SOCKET").filter(|value| !value.is_empty());
        let socket = value.and_then(|value| match NotifySocket::parse(&value) {
            Ok(socket) => Some(socket),
            Err(error) => {
                let value = excerpt(&value.to_string_lossy());
                warn!(variable = "NOTIFY_SOCKET", value, %error, "cannot notify the service manager");
                None
            }
        });
        let watchdog_timeout = socket.as_ref().and_then(|_| watchdog_timeout());
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
        let sent = tokio::time::timeout(NOTIFY_TIMEOUT, send(&socket.address, &message)).await;
        match sent.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())) {
            Ok(()) => self.is_failing.store(false, Ordering::Relaxed),
            Err(error) if !self.is_failing.swap(true, Ordering::Relaxed) => {
                warn!(socket = socket.name, %error, "cannot notify the service manager");
            }
            Err(_) => {}
        }
    }
}

/// The socket that `NOTIFY_SOCKET` names.
#[derive(Clone, Debug)]
struct NotifySocket {
    /// The value of the variable, for the log.
    name: String,
    address: SocketAddr,
}

/// Why a value of `NOTIFY_SOCKET` is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum InvalidSocket {
    #[error(
        "expected an absolute path, or `@` and the name of an abstract socket; others, such as `vsock:`, are not supported"
    )]
    Kind,
    #[error("the path or name is longer than a socket address can be; expected at most 107 bytes")]
    TooLong,
}

impl NotifySocket {
    /// Parses the value as described in `sd_notify(3)`.
    fn parse(value: &OsStr) -> Result<Self, InvalidSocket> {
        let address = match value.as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(value),
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] if !name.is_empty() => {
                use std::os::linux::net::SocketAddrExt as _;
                SocketAddr::from_abstract_name(name)
            }
            _ => return Err(InvalidSocket::Kind),
        };
        let address = address.map_err(|_error| InvalidSocket::TooLong)?;
        Ok(Self { name: excerpt(&value.to_string_lossy()), address })
    }
}

/// The limits of the watchdog timeout. A shorter one would keep the thread busy, and a longer one
/// cannot be added to the current time.
const MIN_WATCHDOG_TIMEOUT: Duration = Duration::from_millis(40);
const MAX_WATCHDOG_TIMEOUT: Duration = Duration::from_hours(24);

/// The watchdog timeout in `WATCHDOG_USEC`, unless the variable is for another process.
fn watchdog_timeout() -> Option<Duration> {
    let value = std::env::var_os("WATCHDOG_USEC")?;
    if value.to_str().is_none_or(|value| value.parse::<u64>().is_err()) {
        let value = excerpt(&value.to_string_lossy());
        warn!(variable = "WATCHDOG_USEC", value, "cannot notify the watchdog, expected microseconds");
    }
    let timeout = sd_notify::watchdog_enabled().filter(|timeout| !timeout.is_zero())?;
    Some(timeout.clamp(MIN_WATCHDOG_TIMEOUT, MAX_WATCHDOG_TIMEOUT))
}

/// How long a notification may wait until the service manager has read earlier ones.
const NOTIFY_TIMEOUT: Duration = Duration::from_millis(500);

/// Sends a message without blocking the thread, which `sd_notify::notify` does while the queue
/// of the socket is full.
async fn send(address: &SocketAddr, message: &str) -> io::Result<()> {
    let sender = StdUnixDatagram::unbound()?;
    sender.connect_addr(address)?;
    sender.set_nonblocking(true)?;
    let sender = UnixDatagram::from_std(sender)?;
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
    fn a_socket_is_an_absolute_path_or_an_abstract_name() {
        let parse = |value: &str| NotifySocket::parse(value.as_ref()).map(|socket| socket.address);
        let path = parse("/run/systemd/notify").unwrap();
        assert_eq!(path.as_pathname(), Some("/run/systemd/notify".as_ref()));
        for value in
            ["notify", "./notify", "vsock:2:1234", "vsock-stream:2:1234", "unix:/run/notify", "@", "~/notify"]
        {
            assert_eq!(parse(value).unwrap_err(), InvalidSocket::Kind, "{value}");
        }
        let longest = "x".repeat(106);
        assert!(parse(&format!("/{longest}")).is_ok() && parse(&format!("@{longest}x")).is_ok());
        for value in [format!("/{longest}x"), format!("@{longest}xx")] {
            assert_eq!(parse(&value).unwrap_err(), InvalidSocket::TooLong, "{value}");
        }
    }

    #[test]
    fn a_counter_that_no_longer_increases_is_stalled() {
        let mut liveness = Liveness::default();
        let checks = [7, 8, 8, 9, 9, 9, 9, 9, 10].map(|heartbeats| liveness.check(heartbeats));
        let expected = [Alive, Alive, Stalled, Alive, Stalled, Stalled, StalledTooLong, Stalled, Alive];
        assert_eq!(checks, expected);
    }
}
