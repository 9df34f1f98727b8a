//! The signals that end the daemon.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// SIGTERM and SIGINT, caught from the moment this is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to catch the signals.
    ///
    /// # Errors
    /// The system refuses.
    pub fn catch() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Cancels `shutdown` at the first of them, and `at_once` at the second:
    /// whoever asks twice does not want to wait.
    pub async fn cancel(mut self, shutdown: CancellationToken, at_once: CancellationToken) {
        let signal = self.next().await;
        info!(signal, "shutting down");
        shutdown.cancel();
        self.next().await;
        at_once.cancel();
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
