//! Counts over all targets, by expectation.

use super::field::Field;
use super::judgement::{ExpectationState, Judgement};

/// The counts of each expectation, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExpectationTotals(Box<[TotalsOfExpectation]>);

/// How many targets an expectation is about, and how many fields could not be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TotalsOfExpectation {
    /// Targets by state.
    states: [u32; ExpectationState::ALL.len()],
    /// Syncs by the field that AWS reported no value for.
    unverified: [u32; Field::ALL.len()],
}

impl ExpectationTotals {
    /// Zeros for this number of expectations.
    pub(crate) fn new(expectations: usize) -> Self {
        Self(vec![TotalsOfExpectation::default(); expectations].into())
    }

    /// Counts a target.
    pub(crate) fn add(&mut self, judgements: &[Judgement]) {
        for judgement in judgements {
            if let Some(totals) = self.0.get_mut(judgement.expectation) {
                totals.states[judgement.state as usize] += 1;
                for unverified in &judgement.unverified {
                    totals.unverified[unverified.field as usize] += 1;
                }
            }
        }
    }

    /// Adds the counts of other targets. Both must be about the same expectations.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (totals, other) in self.0.iter_mut().zip(&other.0) {
            totals.states.iter_mut().zip(other.states).for_each(|(count, other)| *count += other);
            totals.unverified.iter_mut().zip(other.unverified).for_each(|(count, other)| *count += other);
        }
    }

    /// The counts of each expectation, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &TotalsOfExpectation> {
        self.0.iter()
    }
}

impl TotalsOfExpectation {
    /// How many targets are in this state.
    pub(crate) fn targets(&self, state: ExpectationState) -> u32 {
        self.states[state as usize]
    }

    /// How many targets the expectation is, or may be, about.
    pub(crate) fn all_targets(&self) -> u32 {
        self.states.iter().sum()
    }

    /// How many targets violate the expectation.
    pub(crate) fn violations(&self) -> u32 {
        let violated = ExpectationState::ALL.iter().filter(|state| state.is_violation());
        violated.map(|state| self.targets(*state)).sum()
    }

    /// For how many syncs AWS reported no value of the field.
    pub(crate) fn unverified(&self, field: Field) -> u32 {
        self.unverified[field as usize]
    }
}
