//! What a run found: the checks and the causes, to be rendered.

use std::collections::BTreeSet;

use super::cause::{Cause, find_causes};
use super::check::{Check, Outcome, Subject};
use crate::model::UnixSeconds;

/// The results of a run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
    pub(super) causes: Vec<Cause>,
    pub(super) now: UnixSeconds,
}

/// How many checks ended in each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) not_tested: usize,
}

impl Report {
    pub(super) fn new(mut checks: Vec<Check>, now: UnixSeconds) -> Self {
        let causes = find_causes(&mut checks);
        Self { checks, causes, now }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts::of(&self.checks)
    }

    /// The number of accounts that were looked at, without the one that lists the organization.
    pub(super) fn accounts(&self) -> usize {
        let is_of_account = |check: &&Check| matches!(*check.subject, Subject::Account(_));
        let ids = self.checks.iter().filter(is_of_account).filter_map(|check| check.subject.account());
        ids.map(|account| account.id.as_str()).collect::<BTreeSet<_>>().len()
    }
}

impl Counts {
    pub(super) fn of<'a>(checks: impl IntoIterator<Item = &'a Check>) -> Self {
        let mut counts = Self::default();
        for check in checks {
            match check.outcome {
                Outcome::Passed(_) => counts.passed += 1,
                Outcome::Failed(_) => counts.failed += 1,
                Outcome::NotTested => counts.not_tested += 1,
            }
        }
        counts
    }
}
