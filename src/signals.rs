//! Handles SIGTERM and SIGINT (shutdown) and SIGHUP (reload).

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// The installed signal handlers. Once they are installed, the signals no longer end the
/// process by themselves.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Installs the signal handlers.
    ///
    /// # Errors
    /// The operating system rejects a handler.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The first SIGTERM or SIGINT cancels `shutdown`. One that arrives during the shutdown
    /// cancels `abort`, so that an operator can cut a slow shutdown short. SIGHUP requests a reload through `reloads`. If
    /// `reloads` is closed, nothing can be reloaded, and SIGHUP shuts down as SIGTERM does.
    pub async fn handle(
        mut self,
        shutdown: CancellationToken,
        abort: CancellationToken,
        reloads: Sender<()>,
    ) {
        loop {
            let signal = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.hangup.recv() => match reloads.try_send(()) {
                    Err(TrySendError::Closed(())) if !shutdown.is_cancelled() => "SIGHUP",
                    // If the channel is full, a reload is pending that will read the latest
                    // files. During the shutdown, SIGHUP has no effect.
                    Ok(()) | Err(_) => continue,
                },
            };
            if shutdown.is_cancelled() {
                return abort.cancel();
            }
            info!(signal, "shutting down");
            shutdown.cancel();
        }
    }
}
