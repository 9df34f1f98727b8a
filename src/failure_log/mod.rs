//! Logs failures without repeating the same line for every target of a fleet.
//!
//! The first failure for a cause is logged immediately, with its own fields. Further subjects
//! that fail for the same cause are counted, and one line a minute has their number and three
//! examples. Recoveries are logged in the same way. When all subjects that failed for a cause
//! have recovered, a last line says so. The number of causes with lines of their own is limited,
//! because a proxy on the way to AWS can make up a new message for every request. All other
//! causes share one line a minute.
//!
//! The scheduler, discovery and the credential stores report when something begins to fail and
//! when it succeeds again:
//!
//! - `subject`: targets, credentials and lookups, and the messages about them;
//! - `cause`: decides which failures have the same cause;
//! - `window`: the failures or recoveries of a minute, which are logged together;
//! - `state`: the subjects that are failing, and the lines that are due;
//! - `line`: a line of the log.

mod cause;
mod line;
mod state;
mod subject;
mod window;

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use cause::without_details;
pub(crate) use subject::{Problem, Subject};

use crate::model::Failure;
use line::Line;
use state::State;

/// The log of failures that all stages share.
#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    state: Mutex<State>,
    /// Notified when the next line may be due earlier than before.
    changed: Notify,
    next_id: AtomicU64,
}

impl FailureLog {
    /// A new id for a subject, see [`Subject::credentials`].
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Records that `subject` fails. If it is already failing for the same reason, this has no
    /// effect.
    pub(crate) fn failed(&self, subject: Subject, problem: Problem, failure: &Failure) {
        self.update(|state, now| state.failed(now, subject, problem, failure));
    }

    /// Records that `subject` succeeds after `failures` in a row, if that number is known. Has
    /// no effect unless it was failing.
    pub(crate) fn recovered(&self, subject: Subject, failures: Option<u64>) {
        self.update(|state, now| state.recovered(now, subject, failures));
    }

    /// Forgets a subject without a line: it no longer exists, or others report its failure.
    pub(crate) fn forget(&self, subject: &Subject) {
        self.state.lock().forget(subject);
    }

    /// Forgets all targets except those for whose name `is_kept` returns true, and all managed-node
    /// lookups except those of targets for whose name `has_lookups` returns true.
    pub(crate) fn retain_targets(&self, is_kept: impl Fn(&str) -> bool, has_lookups: impl Fn(&str) -> bool) {
        self.state.lock().retain_targets(is_kept, has_lookups);
    }

    /// Logs what is due until `shutdown`, then everything that has not been logged.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        loop {
            let due = self.state.lock().next_due();
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.update(State::log_due);
                }
            }
        }
        self.update(|state, _| state.log_all());
    }

    fn update(&self, change: impl FnOnce(&mut State, Instant) -> Vec<Line>) {
        // The lines are written without the lock.
        let lines = change(&mut self.state.lock(), Instant::now());
        for line in &lines {
            line.write();
        }
        if !lines.is_empty() {
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
