//! Which targets have no managed nodes, and why managed-node lookups fail.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::super::{Results, pluralize, target_name};
use super::places::write_list;
use crate::failure_log;
use crate::health::AssessedTarget;
use crate::model::{Failure, Reason};
use crate::snapshot::ManagedNodes;
use crate::status::managed_nodes::{ManagedNodeCounts, note};
use crate::terminal::{Page, Word, message, separated_by_commas, words};

/// The note after the name of a region, such as `(no managed nodes here)`.
pub(super) fn of_region(target: &AssessedTarget) -> impl Iterator<Item = Word> {
    let reason = failure(target).map(|failure| format!(": {}", failure.reason)).unwrap_or_default();
    let note = note(target.managed_nodes()).map(|note| format!("({note}{reason})"));
    words(&note.unwrap_or_default()).collect::<Vec<_>>().into_iter()
}

/// Whether any managed-node lookup failed.
pub(super) fn is_unknown_anywhere(results: &Results) -> bool {
    results.targets.iter().any(|target| failure(target).is_some())
}

/// Writes two lines for each cause of failed lookups: what it is, and where. The most frequent cause
/// comes first.
pub(super) fn write_failures(page: &mut Page, results: &Results) {
    let mut causes: BTreeMap<(Reason, String), (&Failure, Vec<String>)> = BTreeMap::new();
    for target in &results.targets {
        let Some(failure) = failure(target) else { continue };
        let (account, region) = (target.display_id(), target.target().region.as_str());
        let message = failure_log::without_details(&failure.message, &[&account, region]);
        let cause = causes.entry((failure.reason, message)).or_insert_with(|| (failure, Vec::new()));
        cause.1.push(target_name(target));
    }
    let mut causes: Vec<(&Failure, Vec<String>)> = causes.into_values().collect();
    causes.sort_by_key(|(_, places)| Reverse(places.len()));
    for (failure, places) in causes {
        let number = pluralize(places.len(), "target");
        let text = format!("{number}: managed nodes are unknown: {}:", failure.reason);
        page.paragraph(2, 2, words(&text).chain(message(&failure.message)));
        write_list(page, 4, "in", &places);
    }
}

/// Writes how many targets have managed nodes. Nothing if lookups are not enabled for any of them.
pub(super) fn write_totals(page: &mut Page, hanging: usize, results: &Results) {
    let Some(ManagedNodeCounts { present, absent, pending, unknown }) =
        ManagedNodeCounts::of(&results.targets)
    else {
        return;
    };
    let counts = [(present, "present"), (absent, "none"), (unknown, "unknown"), (pending, "not looked up")];
    let counts = counts.into_iter().filter(|(number, _)| *number > 0).enumerate();
    let counts = counts.map(|(index, (number, text))| {
        let number = if index == 0 { pluralize(number, "target") } else { number.to_string() };
        Word::new(&format!("{text} in {number}"))
    });
    page.paragraph(0, hanging, words("managed nodes:").chain(separated_by_commas(counts.collect())));
}

fn failure(target: &AssessedTarget) -> Option<&Failure> {
    match target.managed_nodes()? {
        ManagedNodes::Unknown(failure) => Some(failure),
        _ => None,
    }
}
