//! The signals that the exporter handles.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// SIGTERM, SIGINT and SIGHUP, handled from the moment that this is made.
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
    /// The system refuses.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Cancels `shutdown` at the first SIGTERM or SIGINT, and `abort` at the second, which
    /// means that the shutdown takes too long. SIGHUP requests a reload. If `reloads` is
    /// closed, nothing can be reloaded and SIGHUP shuts down, as it does by default.
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
                    // A full channel holds a request that has not begun; one is enough.
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
