//! The failures or recoveries for one cause that are logged together after a minute.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::cause::Cause;
use super::subject::{Key, Subject};

/// The time between two lines about the same cause.
pub(super) const WINDOW: Duration = Duration::from_mins(1);

/// The number of subjects that a line names.
const MAX_EXAMPLES: usize = 3;

/// Whether a window is about failures or recoveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Failed,
    Recovered,
}

/// The subjects that have failed, or recovered, within a minute for the same cause.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) event: Event,
    pub(super) cause: Arc<Cause>,
    pub(super) ends: Instant,
    /// The message of the first failure.
    pub(super) error: String,
    /// Each subject once, including the one that was logged when the window began.
    subjects: HashSet<Key>,
    examples: Vec<Subject>,
    /// Whether anything has happened that has not been logged.
    pub(super) is_pending: bool,
}

impl Window {
    /// A window that begins at `now`, without subjects.
    pub(super) fn new(event: Event, cause: Arc<Cause>, now: Instant, error: String) -> Self {
        let (subjects, examples) = (HashSet::new(), Vec::new());
        Self { event, cause, ends: now + WINDOW, error, subjects, examples, is_pending: false }
    }

    /// Adds the subject that was logged when the window began.
    pub(super) fn with_logged(mut self, subject: Subject) -> Self {
        self.add(subject);
        self.is_pending = false;
        self
    }

    pub(super) fn add(&mut self, subject: Subject) {
        self.is_pending = true;
        if self.subjects.insert(subject.key.clone()) && self.examples.len() < MAX_EXAMPLES {
            self.examples.push(subject);
        }
    }

    /// The number of subjects.
    pub(super) fn number(&self) -> usize {
        self.subjects.len()
    }

    /// The subject, if there is only one.
    pub(super) fn only_subject(&self) -> Option<&Subject> {
        self.examples.first().filter(|_| self.subjects.len() == 1)
    }

    /// The names of a few subjects.
    pub(super) fn example_names(&self) -> String {
        self.examples.iter().map(Subject::name).collect::<Vec<_>>().join(", ")
    }

    /// The window that follows this one.
    pub(super) fn next(self) -> Self {
        Self::new(self.event, self.cause, self.ends, self.error)
    }
}
