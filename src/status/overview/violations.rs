//! What is not as expected: the expectations with their counts, and the targets that violate them.

use std::cmp::Reverse;

use super::{FleetOverview, TargetRow};
use crate::expectations::{
    Expectation, ExpectationState, Judgement, TotalsOfExpectation, Violation, ViolationSubject,
};
use crate::health::{AssessedSync, Difference};
use crate::status::query::{HealthFilter, PageQuery};

/// An expectation, with the counts over all targets.
#[derive(Clone, Copy, Debug)]
pub(in crate::status) struct ExpectationRow<'a> {
    pub(in crate::status) expectation: &'a Expectation,
    pub(in crate::status) totals: &'a TotalsOfExpectation,
    /// The expectation is about no target although all targets are known.
    pub(in crate::status) matches_nothing: bool,
}

/// What is not as expected about one sync of a target, or about a sync that it lacks.
#[derive(Clone, Copy, Debug)]
pub(in crate::status) struct ViolationRow<'a> {
    pub(in crate::status) target: &'a TargetRow,
    pub(in crate::status) expectation: &'a Expectation,
    judgement: &'a Judgement,
    /// At least one, all with the same subject.
    violations: &'a [Violation],
}

impl<'a> ViolationRow<'a> {
    pub(in crate::status) fn state(&self) -> ExpectationState {
        self.judgement.state
    }

    pub(in crate::status) fn subject(&self) -> ViolationSubject {
        self.violations.first().map_or(ViolationSubject::Absent, |violation| violation.subject)
    }

    /// The sync that was compared. `None` if it is missing.
    pub(in crate::status) fn sync(&self) -> Option<AssessedSync<'a>> {
        self.target.assessed.sync(self.subject().sync()?)
    }

    pub(in crate::status) fn differences(&self) -> impl Iterator<Item = Difference<'a>> {
        let Self { target, expectation, violations, .. } = *self;
        violations.iter().map(move |violation| Difference::new(&target.assessed, expectation, violation))
    }
}

/// The most urgent first.
fn urgency(state: ExpectationState) -> u8 {
    match state {
        ExpectationState::Forbidden => 0,
        ExpectationState::Missing => 1,
        ExpectationState::Drifted => 2,
        ExpectationState::Met | ExpectationState::Unknown => 3,
    }
}

impl FleetOverview {
    /// All expectations: first those that are violated, then those that are about no target, then
    /// those that are unknown for some targets; otherwise in their order in the configuration.
    pub(in crate::status) fn expectations(&self) -> Vec<ExpectationRow<'_>> {
        let are_targets_known =
            self.pending_lookups == 0 && !self.failing_lookups.may_hide_targets() && !self.targets.is_empty();
        let all = self.policy.expectations.iter().zip(self.expectation_totals.iter());
        let mut rows: Vec<ExpectationRow<'_>> = all
            .map(|(expectation, totals)| {
                let matches_nothing = are_targets_known && totals.all_targets() == 0;
                ExpectationRow { expectation, totals, matches_nothing }
            })
            .collect();
        rows.sort_by_key(|row| {
            let is_unknown = row.totals.targets(ExpectationState::Unknown) > 0;
            Reverse((row.totals.violations() > 0, row.matches_nothing, is_unknown))
        });
        rows
    }

    /// The violations that the query selects, most urgent first.
    pub(in crate::status) fn violations(&self, query: &PageQuery) -> Vec<ViolationRow<'_>> {
        let statuses = [None, Some(HealthFilter::AnyProblem), Some(HealthFilter::NotAsExpected)];
        if self.not_as_expected == 0 || !statuses.contains(&query.health) {
            return Vec::new();
        }
        let selection = self.selection(query);
        let mut rows = Vec::new();
        let is_selected = |target: &&TargetRow| target.is_violated && selection.reason(target);
        for target in self.in_scope(&selection).filter(is_selected) {
            for judgement in selection.judgements(target) {
                let Some(expectation) = self.policy.expectations.get(judgement.expectation) else { continue };
                for violations in judgement.violations.chunk_by(|one, other| one.subject == other.subject) {
                    let row = ViolationRow { target, expectation, judgement, violations };
                    if selection.finds_violation(target, judgement, row.subject()) {
                        rows.push(row);
                    }
                }
            }
        }
        // The targets are sorted already.
        rows.sort_by_key(|row| (urgency(row.state()), row.judgement.expectation));
        rows
    }
}
