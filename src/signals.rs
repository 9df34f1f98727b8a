//! The signals that the daemon is steered by.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// SIGTERM, SIGINT and SIGHUP, caught from the moment this is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Starts to catch the signals.
    ///
    /// # Errors
    /// The system refuses.
    pub fn catch() -> io::Result<Self> {
        let caught = |kind: SignalKind| signal(kind);
        Ok(Self {
            terminate: caught(SignalKind::terminate())?,
            interrupt: caught(SignalKind::interrupt())?,
            hangup: caught(SignalKind::hangup())?,
        })
    }

    /// Cancels `shutdown` at the first SIGTERM or SIGINT, and `at_once` at the
    /// second: whoever asks twice does not want to wait. Asks for a reload at each
    /// SIGHUP.
    pub async fn follow(
        mut self,
        shutdown: CancellationToken,
        at_once: CancellationToken,
        reloads: Sender<()>,
    ) {
        loop {
            let signal = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.hangup.recv() => {
                    // Where one is asked for already, that one will do.
                    let _full = reloads.try_send(());
                    continue;
                }
            };
            if shutdown.is_cancelled() {
                return at_once.cancel();
            }
            info!(signal, "shutting down");
            shutdown.cancel();
        }
    }
}
