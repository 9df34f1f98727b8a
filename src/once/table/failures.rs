//! The targets without a result: those that are down, grouped by cause, and those that were not
//! collected in time.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::super::Results;
use super::look;
use super::places::Places;
use crate::failure_log;
use crate::health::{AccessCauseKind, AssessedTarget, Health};
use crate::model::{Failure, Reason};
use crate::terminal::{Page, Word, message, words};

/// The targets that are down for the same cause, and the failure of the first.
type SameCause<'a> = (&'a Failure, Vec<&'a AssessedTarget>);

pub(super) fn write(page: &mut Page, results: &Results) {
    for (failure, targets) in by_cause(results) {
        let places = Places::of(targets.iter().copied()).count();
        let (reason, kind) = (failure.reason, AccessCauseKind::of_failure(failure));
        // The cause, which has a section in the runbook, if the message tells more than the reason does.
        let text = if kind == AccessCauseKind::of_reason(reason) {
            format!("{places}: {reason}:")
        } else {
            format!("{places}: {reason} ({}):", kind.as_str())
        };
        write_group(page, Health::Down, words(&text).chain(message(&failure.message)), &targets);
    }
    let uncollected: Vec<&AssessedTarget> = results.with_up(None).collect();
    if !uncollected.is_empty() {
        let text = format!("{}: no result in time", Places::of(uncollected.iter().copied()).count());
        write_group(page, Health::NotCollected, words(&text), &uncollected);
    }
}

/// Writes what the targets have in common, and where they are.
pub(super) fn write_group(
    page: &mut Page,
    health: Health,
    text: impl Iterator<Item = Word>,
    targets: &[&AssessedTarget],
) {
    const INDENT: usize = 4;
    page.separate();
    let status = look::status(health);
    let width = status.width() + 1;
    page.paragraph(0, INDENT, [status.left_aligned(width)].into_iter().chain(text));
    Places::of(targets.iter().copied()).write(page, INDENT);
}

/// The targets that are down, by cause. The cause of most targets comes first.
fn by_cause(results: &Results) -> Vec<SameCause<'_>> {
    let mut causes: BTreeMap<(Reason, AccessCauseKind, String), SameCause> = BTreeMap::new();
    for target in results.with_up(Some(false)) {
        let Some(failure) = target.state().last.as_ref().and_then(|last| last.failure.as_ref()) else {
            continue;
        };
        let (account, region) = (target.display_id(), target.target().region.as_str());
        let message = failure_log::without_details(&failure.message, &[&account, region]);
        let kind = AccessCauseKind::of_failure(failure);
        let cause = causes.entry((failure.reason, kind, message)).or_insert_with(|| (failure, Vec::new()));
        cause.1.push(target);
    }
    let mut causes: Vec<SameCause> = causes.into_values().collect();
    causes.sort_by_key(|(_, targets)| Reverse(targets.len()));
    causes
}
