//! The subjects that are failing, and the lines that are due.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::cause::Cause;
use super::line::{Line, Subjects};
use super::subject::{Key, Problem, Subject};
use super::window::{Event, Window};
use crate::model::{Failure, Reason};

/// How many causes are logged separately at the same time, for failures and for recoveries.
pub(super) const MAX_CAUSES: usize = 10;

#[derive(Debug, Default)]
pub(super) struct State {
    /// All subjects that are failing. Bounded by the number of subjects, because their owners
    /// report when they recover or no longer exist.
    failing: HashMap<Key, Failing>,
    /// The causes for which subjects are failing, or that have ended recently.
    outages: HashMap<Arc<Cause>, Outage>,
    /// At most [`MAX_CAUSES`] for each event, and one for all other causes.
    windows: Vec<Window>,
}

/// A subject that is failing.
#[derive(Debug)]
struct Failing {
    problem: Problem,
    reason: Reason,
    cause: Arc<Cause>,
}

/// The time from the first failure for a cause to the last recovery.
#[derive(Debug)]
struct Outage {
    began: Instant,
    /// The number of subjects that are failing.
    failing: usize,
    /// The maximum of `failing`.
    most_failing: usize,
    /// The message of the first failure.
    error: String,
}

impl State {
    /// See [`FailureLog::failed`](super::FailureLog::failed).
    pub(super) fn failed(
        &mut self,
        now: Instant,
        subject: Subject,
        problem: Problem,
        failure: &Failure,
    ) -> Vec<Line> {
        let Failure { reason, ref message, .. } = *failure;
        let previous = self.failing.get(&subject.key);
        if previous.is_some_and(|previous| (previous.problem, previous.reason) == (problem, reason)) {
            return Vec::new();
        }
        let is_change = previous.is_some();
        self.forget(&subject);
        let key = subject.key.clone();
        let line = Line::failed(&subject, problem, is_change, reason, message);
        let cause = Arc::new(Cause::of(&subject, problem, failure));
        let (cause, logged) = self.add_to_window(Event::Failed, cause, subject, now, message);
        let outage = self.outages.entry(Arc::clone(&cause)).or_insert_with(|| Outage {
            began: now,
            failing: 0,
            most_failing: 0,
            error: message.clone(),
        });
        outage.failing += 1;
        outage.most_failing = outage.most_failing.max(outage.failing);
        self.failing.insert(key, Failing { problem, reason, cause });
        if logged { vec![line] } else { Vec::new() }
    }

    /// See [`FailureLog::recovered`](super::FailureLog::recovered).
    pub(super) fn recovered(&mut self, now: Instant, subject: Subject, failures: Option<u64>) -> Vec<Line> {
        let Some(Failing { problem, cause, .. }) = self.failing.remove(&subject.key) else {
            return Vec::new();
        };
        let line = Line::recovered(&subject, problem, failures);
        let (_, logged) = self.add_to_window(Event::Recovered, Arc::clone(&cause), subject, now, "");
        self.leave(&cause);
        if logged { vec![line] } else { Vec::new() }
    }

    /// See [`FailureLog::forget`](super::FailureLog::forget).
    pub(super) fn forget(&mut self, subject: &Subject) {
        if let Some(Failing { cause, .. }) = self.failing.remove(&subject.key) {
            self.leave(&cause);
        }
    }

    /// See [`FailureLog::retain_targets`](super::FailureLog::retain_targets).
    pub(super) fn retain_targets(
        &mut self,
        is_kept: impl Fn(&str) -> bool,
        has_lookups: impl Fn(&str) -> bool,
    ) {
        let is_dropped = |key: &Key, _: &mut Failing| match key {
            Key::Target(name) | Key::ItemsOfTarget(name) => !is_kept(name),
            Key::NodesOfTarget(name) => !has_lookups(name),
            Key::Credentials(_) | Key::Roles(_) | Key::EnabledRegions(_) => false,
        };
        let dropped: Vec<Failing> = self.failing.extract_if(is_dropped).map(|(_, failing)| failing).collect();
        for Failing { cause, .. } in dropped {
            self.leave(&cause);
        }
    }

    /// When the next line may be due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.windows.iter().map(|window| window.ends).min()
    }

    /// Ends all windows that are over. Those in which something happened are followed by
    /// another, so that there is at most one line a minute.
    pub(super) fn log_due(&mut self, now: Instant) -> Vec<Line> {
        let ended: Vec<Window> = self.windows.extract_if(.., |window| window.ends <= now).collect();
        let mut lines = Vec::new();
        for window in ended {
            lines.extend(self.line(&window));
            if window.is_pending {
                self.windows.push(window.next());
            } else {
                self.remove_ended_outage(&window.cause);
            }
        }
        lines
    }

    /// Ends all windows.
    pub(super) fn log_all(&mut self) -> Vec<Line> {
        let windows = std::mem::take(&mut self.windows);
        windows.iter().filter_map(|window| self.line(window)).collect()
    }

    /// Adds `subject` to the window of `cause`, which is created if it does not exist, or to the
    /// window of all other causes if there are too many. Returns the cause of the window, and
    /// whether the window was created, so that the subject should be logged immediately.
    fn add_to_window(
        &mut self,
        event: Event,
        cause: Arc<Cause>,
        subject: Subject,
        now: Instant,
        error: &str,
    ) -> (Arc<Cause>, bool) {
        if let Some(window) = self.window(event, &cause) {
            window.add(subject);
            return (cause, false);
        }
        let is_separate = |window: &&Window| window.event == event && *window.cause != Cause::Other;
        if *cause != Cause::Other && self.windows.iter().filter(is_separate).count() < MAX_CAUSES {
            let window = Window::new(event, Arc::clone(&cause), now, error.to_owned());
            self.windows.push(window.with_logged(subject));
            return (cause, true);
        }
        let other = Arc::new(Cause::Other);
        if self.window(event, &other).is_none() {
            self.windows.push(Window::new(event, Arc::clone(&other), now, error.to_owned()));
        }
        if let Some(window) = self.window(event, &other) {
            window.add(subject);
        }
        (other, false)
    }

    fn window(&mut self, event: Event, cause: &Cause) -> Option<&mut Window> {
        self.windows.iter_mut().find(|window| window.event == event && *window.cause == *cause)
    }

    /// The line for a window that is over; `None` if there is nothing new.
    fn line(&mut self, window: &Window) -> Option<Line> {
        let cause = &window.cause;
        if window.event == Event::Recovered && self.outages.get(cause).is_some_and(Outage::was_shared) {
            let Outage { began, most_failing, error, .. } = self.outages.remove(cause)?;
            let line = Line::all_recovered(cause, most_failing, began.elapsed().as_secs(), &error);
            if line.is_some() {
                return line;
            }
        }
        if !window.is_pending {
            return None;
        }
        if let (Some(subject), Cause::Known { problem, reason, .. }) = (window.only_subject(), &**cause) {
            // The subject has failed or recovered again since it was logged.
            let is_failing =
                self.failing.get(&subject.key).is_some_and(|failing| failing.cause == window.cause);
            return match window.event {
                Event::Failed if is_failing => {
                    Some(Line::failed(subject, *problem, false, *reason, &window.error))
                }
                Event::Recovered if !is_failing => Some(Line::recovered(subject, *problem, None)),
                _ => None,
            };
        }
        let subjects = Subjects {
            number: window.number(),
            failing: self.outages.get(cause).map_or(0, |outage| outage.failing),
            examples: window.example_names(),
        };
        Some(match window.event {
            Event::Failed => Line::several_failed(cause, subjects, &window.error),
            Event::Recovered => Line::several_recovered(cause, subjects),
        })
    }

    /// A subject is no longer failing for `cause`.
    fn leave(&mut self, cause: &Arc<Cause>) {
        if let Some(outage) = self.outages.get_mut(cause) {
            outage.failing = outage.failing.saturating_sub(1);
        }
        self.remove_ended_outage(cause);
    }

    /// Removes the outage of `cause` unless a subject is failing, or its end is still to be
    /// logged.
    fn remove_ended_outage(&mut self, cause: &Arc<Cause>) {
        let is_over = self.outages.get(cause).is_some_and(|outage| outage.failing == 0);
        if is_over && self.window(Event::Recovered, cause).is_none() {
            self.outages.remove(cause);
        }
    }
}

impl Outage {
    /// Whether the outage concerned several subjects and is over.
    fn was_shared(&self) -> bool {
        self.failing == 0 && self.most_failing > 1
    }
}
