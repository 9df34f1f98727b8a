//! The error of `once --fail-on violations`.

use super::{Results, pluralize};
use crate::expectations::{ExpectationState, TotalsOfExpectation};
use crate::fleet::Shard;

/// The number of expectations that are named.
const MAX_NAMES: usize = 10;

/// The expectations that are not known to be met everywhere, as one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnmetExpectations(String);

impl UnmetExpectations {
    /// Counts the targets that violate each expectation or for which it is unknown, or returns `None` if
    /// all expectations are met. An expectation that is about no target checks nothing, so it does not
    /// count as met, except in one of several shards.
    pub(super) fn find(results: &Results, shard: Shard) -> Option<Self> {
        let expectations = &results.policy.expectations;
        let totals = results.expectation_totals();
        let unmet: Vec<String> = expectations
            .iter()
            .zip(totals.iter())
            .filter_map(|(expectation, totals)| {
                let counts = counts(totals, shard)?;
                Some(format!("{} ({counts})", expectation.name))
            })
            .collect();
        if unmet.is_empty() {
            return None;
        }
        let more = unmet.len().saturating_sub(MAX_NAMES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let all = pluralize(expectations.len(), "expectation");
        let names = unmet.iter().take(MAX_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
        Some(Self(format!("{} of {all} not met: {names}{more}", unmet.len())))
    }
}

/// The numbers of targets that are not known to be as expected. `None` if all are.
fn counts(totals: &TotalsOfExpectation, shard: Shard) -> Option<String> {
    if totals.all_targets() == 0 && !shard.is_one_of_many() {
        return Some("about no target".to_owned());
    }
    let is_unmet = |state: &&ExpectationState| state.is_met() != Some(true);
    let counts = ExpectationState::ALL.iter().filter(is_unmet).map(|state| (totals.targets(*state), state));
    let counts = counts.filter(|(number, _)| *number > 0);
    let texts: Vec<String> = counts.map(|(number, state)| format!("{number} {}", state.as_str())).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}
