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

/// How many rows of a terminal the text takes at most, unless it is about a single account: about two
/// screens.
const MAX_ROWS: usize = 100;

/// Renders everything for a terminal of `width` columns, if it is one.
pub(super) fn render(report: &Report, width: Option<u16>, has_color: bool) -> String {
    let checks = |has_color: bool| {
        let mut page = Page::for_terminal(width, has_color).with_whole_words();
        write_checks(&mut page, report);
        page
    };
    let plain = checks(false);
    let fits = |details: &[Detail]| {
        let mut page = plain.clone();
        causes::write(&mut page, &report.causes, details);
        page.rows() <= MAX_ROWS
    };
    let causes = report.causes.len();
    let details =
        if is_shown_in_full(report) { vec![Detail::Full; causes] } else { choose_details(causes, fits) };
    let mut page = if has_color { checks(true) } else { plain };
    causes::write(&mut page, &report.causes, &details);
    page.into_text()
}

/// The details of the causes that are shown, which are the first of `causes`. As many causes as possible
/// say what to do. After that, the first ones say more, because they hit the most accounts.
fn choose_details(causes: usize, fits: impl Fn(&[Detail]) -> bool) -> Vec<Detail> {
    let is_possible = |number: &usize| fits(&vec![Detail::Least; *number]);
    // A cause takes more than one row. At least one is shown.
    let number = (1..=causes.min(MAX_ROWS)).rev().find(is_possible).unwrap_or(causes.min(1));
    let with_remedies = vec![Detail::Remedy; number];
    let mut details = if fits(&with_remedies) { with_remedies } else { vec![Detail::Least; number] };
    for index in 0..number {
        for detail in [Detail::Full, Detail::Remedy] {
            let more: Vec<Detail> =
                details.iter().enumerate().map(|(at, of)| if at == index { detail } else { *of }).collect();
            if fits(&more) {
                details = more;
                break;
            }
        }
    }
    details
}

/// Whether the text is about a single account, and therefore not shortened.
fn is_shown_in_full(report: &Report) -> bool {
    report.accounts() == 1
}

fn write_checks(page: &mut Page, report: &Report) {
    if report.checks.len() <= MAX_SINGLE_CHECKS || is_shown_in_full(report) {
        checks::write(page, report);
    } else {
        kinds::write(page, report);
    }
    write_totals(page, report);
}

fn write_totals(page: &mut Page, report: &Report) {
    let Counts { passed, failed, not_tested } = report.counts();
    let all = pluralize(passed + failed + not_tested, "check");
    let rest =
        if not_tested > 0 { format!(", {} not tested", with_commas(not_tested)) } else { String::new() };
    page.separate();
    if failed == 0 {
        let text = format!("{} passed{rest}", pluralize(passed, "check"));
        page.paragraph(0, 0, [look::passed_symbol()].into_iter().chain(words(&text)));
        return;
    }
    let causes = pluralize(report.causes.len(), "cause");
    let text = format!("{} of {all} failed{rest}; {causes}:", with_commas(failed));
    page.paragraph(0, 0, words(&text).map(|word| word.styled(HEADING)).collect::<Vec<Word>>());
}

#[cfg(test)]
mod tests;
