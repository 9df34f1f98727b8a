//! The expectations of the document: their counts, and how each target compares with them.

use serde::{Serialize, Serializer};

use crate::expectations::{Expectation, ExpectationState, ExpectationTotals, Judgement, TotalsOfExpectation};
use crate::health::{AssessedTarget, Difference};

/// Counts the targets by expectation and state.
#[derive(Debug)]
pub(super) struct ExpectationCounts {
    names: Vec<String>,
    totals: ExpectationTotals,
}

#[derive(Serialize)]
struct CountsItem<'a> {
    name: &'a str,
    #[serde(serialize_with = "state_counts")]
    targets_by_state: &'a TotalsOfExpectation,
}

/// How a target compares with an expectation.
#[derive(Debug, Serialize)]
pub(super) struct ExpectationItem<'a> {
    name: &'a str,
    state: &'static str,
    differences: Vec<DifferenceItem<'a>>,
}

#[derive(Debug, Serialize)]
struct DifferenceItem<'a> {
    field: &'static str,
    sync_type: &'a str,
    /// Left out if a sync of another name would do as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_name: Option<String>,
    /// Left out if the field has to be absent, and for differences in the presence of a sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<String>,
    /// Left out if AWS reports nothing, and for differences in the presence of a sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
}

impl ExpectationCounts {
    pub(super) fn new(expectations: &[Expectation]) -> Self {
        Self {
            names: expectations.iter().map(|expectation| expectation.name.clone()).collect(),
            totals: ExpectationTotals::new(expectations.len()),
        }
    }

    pub(super) fn add(&mut self, judgements: &[Judgement]) {
        self.totals.add(judgements);
    }
}

impl Serialize for ExpectationCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items = self.names.iter().zip(self.totals.iter());
        serializer.collect_seq(items.map(|(name, targets_by_state)| CountsItem { name, targets_by_state }))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde requires")]
fn state_counts<S: Serializer>(totals: &&TotalsOfExpectation, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(ExpectationState::ALL.iter().map(|state| (state.as_str(), totals.targets(*state))))
}

impl<'a> ExpectationItem<'a> {
    /// `None` if `expectations` are not those that the target was judged by.
    pub(super) fn new(
        target: &'a AssessedTarget,
        expectations: &'a [Expectation],
        judgement: &'a Judgement,
    ) -> Option<Self> {
        let expectation = expectations.get(judgement.expectation)?;
        let differences = judgement.violations.iter().map(|violation| {
            let Difference { field, sync_type, sync_name, wanted, found, .. } =
                Difference::new(target, expectation, violation);
            let sync_name = sync_name.map(Into::into);
            DifferenceItem { field: field.as_str(), sync_type, sync_name, wanted, found }
        });
        Some(Self {
            name: &expectation.name,
            state: judgement.state.as_str(),
            differences: differences.collect(),
        })
    }
}
