//! What is not as expected, and for how many targets each expectation is met.

use std::collections::BTreeMap;

use super::super::{Results, pluralize, target_name};
use super::look::{self, HEADING};
use crate::expectations::{ExpectationState, Field, Judgement};
use crate::health::{AssessedTarget, Difference};
use crate::terminal::{Page, Word, separated_by_commas, words};

/// The indentation of violations, and of what a line continues with.
const INDENT: usize = 4;
const HANGING: usize = 2;

/// Writes a line for each violation, by expectation and target.
pub(super) fn write(page: &mut Page, results: &Results) {
    let mut by_expectation: BTreeMap<usize, Vec<(&AssessedTarget, &Judgement)>> = BTreeMap::new();
    for target in &results.targets {
        for judgement in target.judgements().iter().filter(|judgement| judgement.state.is_violation()) {
            by_expectation.entry(judgement.expectation).or_default().push((target, judgement));
        }
    }
    if by_expectation.is_empty() {
        return;
    }
    page.separate();
    page.paragraph(0, 0, [Word::new("Not as expected").styled(HEADING)]);
    for (index, violated) in by_expectation {
        let Some(expectation) = results.policy.expectations.get(index) else { continue };
        let number = pluralize(violated.len(), "target");
        page.paragraph(
            2,
            2,
            [Word::new(&format!("{}:", expectation.name))].into_iter().chain(words(&number)),
        );
        for (target, judgement) in violated {
            for violation in &judgement.violations {
                let difference = Difference::new(target, expectation, violation);
                write_violation(page, target, judgement.state, &difference);
            }
        }
    }
}

fn write_violation(
    page: &mut Page,
    target: &AssessedTarget,
    state: ExpectationState,
    difference: &Difference<'_>,
) {
    let existing = difference.subject.sync().and_then(|index| target.sync(index));
    let existing = existing.map(|sync| sync.sync.name.clone());
    let name = existing.or_else(|| difference.sync_name.as_ref().map(ToString::to_string));
    let place = match name {
        Some(name) => format!("{}/{name}", target_name(target)),
        None => target_name(target),
    };
    let is_known_name = difference.subject.sync().is_some() || difference.sync_name.is_some();
    let what: Vec<Word> = match difference.field {
        Field::Presence if is_known_name => Vec::new(),
        Field::Presence => words("no such sync").collect(),
        Field::Forbidden => Vec::new(),
        field => {
            let wanted = Word::new(difference.wanted_text()).followed_by(",");
            let found = Word::new(difference.found_text());
            let field = Word::new(&format!("{}:", field.as_str()));
            [field, Word::new("wanted"), wanted, Word::new("found"), found].into()
        }
    };
    let colon = if what.is_empty() { "" } else { ":" };
    let place = Word::new(&format!("{place}{colon}"));
    page.paragraph(INDENT, HANGING, [look::violation(state), place].into_iter().chain(what));
}

/// Writes the number of targets in each state by expectation.
pub(super) fn write_totals(page: &mut Page, results: &Results) {
    let expectations = &results.policy.expectations;
    let totals = results.expectation_totals();
    for (expectation, totals) in expectations.iter().zip(totals.iter()) {
        let counts = ExpectationState::ALL.iter().filter(|state| totals.targets(**state) > 0);
        let counts: Vec<Word> =
            counts.map(|state| look::count_of_state(totals.targets(*state), *state)).collect();
        let name = format!("expectation {}:", expectation.name);
        let counts = if counts.is_empty() {
            words("about no target").collect()
        } else {
            separated_by_commas(counts).collect::<Vec<Word>>()
        };
        page.paragraph(0, INDENT, words(&name).chain(counts));
    }
}
