//! Where `once` looked, and how many targets and syncs have each health.

use super::super::{Results, pluralize};
use super::places::Places;
use super::{expectations, look, managed_nodes};
use crate::health::{Health, HealthCounts};
use crate::terminal::{Page, Word, separated_by_commas, words};

/// The indentation of all lines of a paragraph but the first.
const HANGING: usize = 4;

pub(super) fn write(page: &mut Page, results: &Results) {
    let [up, down, not_collected] = [Some(true), Some(false), None].map(|up| results.with_up(up).count());
    let mut syncs = HealthCounts::default();
    for target in &results.targets {
        syncs.merge(&target.sync_counts());
    }
    let has_none = syncs.total() == 0 && up > 0;
    page.separate();
    if has_none {
        let where_known = if up == results.targets.len() { "" } else { " in the targets that are up" };
        page.paragraph(0, 0, words(&format!("No resource data syncs were found{where_known}.")));
    }
    if !results.targets.is_empty() {
        let places = format!("looked in {}", Places::of(&results.targets).describe());
        page.paragraph(0, HANGING, words(&places));
    }
    let up_count = (up > 0).then(|| Word::new(&format!("{up} up")));
    let others = [(down, Health::Down), (not_collected, Health::NotCollected)];
    let others = others.into_iter().filter(|(number, _)| *number > 0);
    let others = others.map(|(number, health)| look::count(number, health));
    write_counts(page, results.targets.len(), "target", up_count.into_iter().chain(others).collect());
    if up > 0 {
        let by_health = Health::SYNC_VALUES.into_iter().filter(|health| syncs.get(*health) > 0);
        let by_health = by_health.map(|health| look::count(syncs.get(health), health));
        write_counts(page, syncs.total(), "sync", by_health.collect());
    } else {
        page.paragraph(0, HANGING, words("no target was collected, so no syncs are known"));
    }
    managed_nodes::write_totals(page, HANGING, results);
    expectations::write_totals(page, results);
    if !results.targets_complete {
        page.paragraph(0, HANGING, words("targets may be missing, because discovery is incomplete"));
    }
    if has_none {
        page.separate();
        write_advice(page);
    }
}

/// Writes the total, and how it divides.
fn write_counts(page: &mut Page, total: usize, noun: &str, counts: Vec<Word>) {
    let total = pluralize(total, noun);
    let colon = if counts.is_empty() { "" } else { ":" };
    let total = Word::new(&format!("{total}{colon}"));
    page.paragraph(0, HANGING, [total].into_iter().chain(separated_by_commas(counts)));
}

/// Where syncs may be that were not found.
fn write_advice(page: &mut Page) {
    page.paragraph(0, 0, words("If you expect syncs, look elsewhere:"));
    for advice in [
        "- in other regions: add them to `regions`, or set it to [\"*\"] for all that are enabled",
        "- in other accounts: syncs of an organization are visible only in the account that created them, which is the \
         management account or a delegated administrator",
    ] {
        page.paragraph(0, 2, words(advice));
    }
}
