//! Expectations: which syncs should exist and how they should be set up, and how each target compares
//! with them.
//!
//! An [`Expectation`] selects targets and describes a sync as a request of `CreateResourceDataSync`
//! does. [`judge`] compares it with one target as observed. That function is pure: it knows
//! neither the SDK, nor the text of the configuration, nor metrics. [`generate`] goes the other way: it
//! returns expectations that the targets of a fleet meet.
//!
//! A comparison has three outcomes: equal, different, or not reported. AWS does not always return every
//! field, so a field that is not reported is never a difference. A target whose syncs are not known is
//! [unknown](ExpectationState::Unknown), and never missing a sync.

mod compared_sync;
mod comparison;
mod described_sync;
mod field;
mod generation;
mod judgement;
mod pattern;
mod request;
#[cfg(test)]
mod testing;
mod totals;

pub(crate) use compared_sync::ComparedField;
pub(crate) use comparison::Outcome;
pub(crate) use field::Field;
pub(crate) use generation::{AccountScope, GeneratedExpectation, generate};
pub(crate) use judgement::{ExpectationState, Judgement, ObservedTarget, Violation, ViolationSubject, judge};
pub(crate) use pattern::TextPattern;
pub(crate) use request::{ExpectedFlag, ExpectedSet, ExpectedSync, ExpectedText, ExpectedValue};
pub(crate) use totals::{ExpectationTotals, TotalsOfExpectation};

use crate::fleet::TargetSelector;
use crate::model::ManagedBy;

/// The maximum number of expectations. Each adds a series for every target that it selects.
pub(crate) const MAX_EXPECTATIONS: usize = 100;

/// What should be there, or must not be there, in some targets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expectation {
    /// Unique among all expectations: letters, digits, `-` and `_`.
    pub(crate) name: String,
    pub(crate) targets: TargetSelector,
    /// The expectation is only about syncs that one of these manages. If empty, about all syncs of the
    /// type and name.
    pub(crate) managed_by: Vec<ManagedBy>,
    pub(crate) presence: Presence,
    pub(crate) request: ExpectedSync,
}

/// Whether a sync as described has to be there.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Presence {
    /// A sync with this name has to exist and to be as described. Without a name, with a pattern or with
    /// several names, at least one matching sync.
    #[default]
    Required,
    /// Each sync of the type that the expectation is about has to be as described.
    Allowed,
    /// No sync as described may be there.
    Forbidden,
}

impl Presence {
    /// The value in the configuration and in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests;
