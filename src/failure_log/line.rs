//! A line of the log.

use tracing::{Level, debug, info, warn};

use super::cause::Cause;
use super::subject::{Problem, Subject};
use crate::model::Reason;

/// A line of the log. Fields that are `None` are left out.
#[derive(Debug)]
pub(super) struct Line {
    level: Level,
    message: &'static str,
    account: Option<String>,
    region: Option<String>,
    source: Option<String>,
    reason: Option<Reason>,
    targets: Option<usize>,
    accounts: Option<usize>,
    sources: Option<usize>,
    /// The number of subjects of all kinds.
    number: Option<usize>,
    /// How many are still failing for the same cause.
    failing: Option<usize>,
    /// The number of failures in a row before a recovery.
    failures: Option<u64>,
    seconds: Option<u64>,
    examples: Option<String>,
    error: Option<String>,
}

/// The subjects that one line is about.
pub(super) struct Subjects {
    pub(super) number: usize,
    /// How many are still failing.
    pub(super) failing: usize,
    pub(super) examples: String,
}

impl Line {
    fn new(level: Level, message: &'static str) -> Self {
        Self {
            level,
            message,
            account: None,
            region: None,
            source: None,
            reason: None,
            targets: None,
            accounts: None,
            sources: None,
            number: None,
            failing: None,
            failures: None,
            seconds: None,
            examples: None,
            error: None,
        }
    }

    fn about(self, subject: &Subject) -> Self {
        let Subject { account, region, source, key: _ } = subject.clone();
        Self { account, region, source, ..self }
    }

    fn about_several(self, cause: &Cause, subjects: Subjects) -> Self {
        let Subjects { number, failing, examples } = subjects;
        let (failing, examples) = (Some(failing), Some(examples).filter(|examples| !examples.is_empty()));
        Self { failing, examples, ..self.with_number(cause, number) }
    }

    fn with_number(self, cause: &Cause, number: usize) -> Self {
        let number = Some(number);
        match cause {
            Cause::Other => Self { number, ..self },
            Cause::Known {
                problem:
                    Problem::TargetFailing
                    | Problem::RegionUnavailable
                    | Problem::InvalidItems
                    | Problem::NodesUnknown,
                ..
            } => Self { targets: number, ..self },
            Cause::Known { problem: Problem::RegionsNotListed, .. } => Self { accounts: number, ..self },
            Cause::Known { problem: Problem::NoCredentials | Problem::NoRoles, .. } => {
                Self { sources: number, ..self }
            }
        }
    }

    pub(super) fn failed(
        subject: &Subject,
        problem: Problem,
        is_change: bool,
        reason: Reason,
        error: &str,
    ) -> Self {
        let messages = problem.messages();
        let message = if is_change { messages.changed } else { messages.failed };
        let (reason, error) = (Some(reason), Some(error.to_owned()));
        Self { reason, error, ..Self::new(Level::WARN, message).about(subject) }
    }

    pub(super) fn several_failed(cause: &Cause, subjects: Subjects, error: &str) -> Self {
        let (message, reason) = match cause {
            Cause::Known { problem, reason, .. } => (problem.messages().several_failed, Some(*reason)),
            Cause::Other => ("further failures for other causes", None),
        };
        let line = Self::new(Level::WARN, message).about_several(cause, subjects);
        Self { reason, error: Some(error.to_owned()), ..line }
    }

    pub(super) fn recovered(subject: &Subject, problem: Problem, failures: Option<u64>) -> Self {
        let line = Self::new(recovery_level(problem), problem.messages().recovered);
        Self { failures, ..line.about(subject) }
    }

    pub(super) fn several_recovered(cause: &Cause, subjects: Subjects) -> Self {
        let line = match cause {
            Cause::Known { problem, reason, .. } => Self {
                reason: Some(*reason),
                ..Self::new(recovery_level(*problem), problem.messages().several_recovered)
            },
            Cause::Other => Self::new(Level::INFO, "further recoveries"),
        };
        line.about_several(cause, subjects)
    }

    /// The end of a cause for which `number` subjects were failing. `error` is its first
    /// failure.
    pub(super) fn all_recovered(cause: &Cause, number: usize, seconds: u64, error: &str) -> Option<Self> {
        let Cause::Known { problem, reason, .. } = cause else { return None };
        let line = Self::new(recovery_level(*problem), problem.messages().all_recovered);
        let (reason, seconds, error) = (Some(*reason), Some(seconds), Some(error.to_owned()));
        Some(Self { reason, seconds, error, ..line.with_number(cause, number) })
    }

    pub(super) fn write(&self) {
        let Self { message, targets, accounts, sources, number, failing, failures, seconds, .. } = self;
        let reason = self.reason.map(Reason::as_str);
        let [account, region, source, examples, error] =
            [&self.account, &self.region, &self.source, &self.examples, &self.error].map(Option::as_deref);
        macro_rules! write_at {
            ($level:ident) => {
                $level!(
                    account,
                    region,
                    source,
                    reason,
                    targets,
                    accounts,
                    sources,
                    number,
                    failing,
                    failures,
                    seconds,
                    examples,
                    error,
                    "{message}"
                )
            };
        }
        match self.level {
            Level::WARN => write_at!(warn),
            Level::INFO => write_at!(info),
            _ => write_at!(debug),
        }
    }
}

/// A region that is available again was usually enabled on purpose.
fn recovery_level(problem: Problem) -> Level {
    if problem == Problem::RegionUnavailable { Level::DEBUG } else { Level::INFO }
}
