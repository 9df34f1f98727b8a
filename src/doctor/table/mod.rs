//! The results for people: a line for each check, or for each kind of check if there are many, and then
//! the causes with what to do about each.
//!
//! - `look`: the symbol and the colour of each outcome;
//! - `checks`: the checks of a few accounts, each with a line of its own;
//! - `kinds`: the checks of many accounts, those of the same kind together;
//! - `causes`: what to do, in as much detail as fits.

mod causes;
mod checks;
mod kinds;
mod look;

use super::report::{Counts, Report};
use crate::status::text::{pluralize, with_commas};
use crate::terminal::{Page, Word, words};
use causes::Detail;
use look::HEADING;

/// Up to this many checks have a line of their own.
const MAX_SINGLE_CHECKS: usize = 40;

/// For this many causes, the text says what to do, rather than name more causes.
const MAX_DETAILED_CAUSES: usize = 8;

/// How many rows of a terminal the text takes at most: about two screens.
const MAX_ROWS: usize = 100;

/// Renders everything for a terminal of `width` columns, if it is one.
pub(super) fn render(report: &Report, width: Option<u16>, has_color: bool) -> String {
    let page = |detail: Detail, number: usize, has_color: bool| {
        let mut page = Page::for_terminal(width, has_color);
        write(&mut page, report, detail, number);
        page
    };
    let fits = |detail: Detail, number: usize| page(detail, number, false).rows() <= MAX_ROWS;
    let all = report.causes.len();
    let detailed = all.min(MAX_DETAILED_CAUSES);
    let detail = Detail::ALL.into_iter().find(|detail| fits(*detail, detailed)).unwrap_or(Detail::Least);
    // The first causes hit the most accounts. At least one is shown.
    let (mut number, mut too_many) = (if fits(detail, all) { all } else { 1 }, all);
    while too_many - number > 1 {
        let middle = usize::midpoint(number, too_many);
        if fits(detail, middle) { number = middle } else { too_many = middle }
    }
    page(detail, number, has_color).into_text()
}

fn write(page: &mut Page, report: &Report, detail: Detail, number: usize) {
    if report.checks.len() <= MAX_SINGLE_CHECKS {
        checks::write(page, report);
    } else {
        kinds::write(page, report);
    }
    write_totals(page, report);
    causes::write(page, &report.causes, detail, number);
}

fn write_totals(page: &mut Page, report: &Report) {
    let Counts { passed, failed, not_tested } = report.counts();
    let all = pluralize(passed + failed + not_tested, "check");
    page.separate();
    if failed == 0 {
        let passed = format!("{} passed", pluralize(passed, "check"));
        let rest =
            if not_tested > 0 { format!(", {} not tested", with_commas(not_tested)) } else { String::new() };
        page.paragraph(0, 0, [look::passed_symbol()].into_iter().chain(words(&format!("{passed}{rest}"))));
        return;
    }
    let rest =
        if not_tested > 0 { format!(", {} not tested", with_commas(not_tested)) } else { String::new() };
    let causes = pluralize(report.causes.len(), "cause");
    let text = format!("{} of {all} failed{rest}; {causes}:", with_commas(failed));
    page.paragraph(0, 0, words(&text).map(|word| word.styled(HEADING)).collect::<Vec<Word>>());
}

#[cfg(test)]
mod tests;
