//! A line for each check.

use std::collections::BTreeSet;

use super::super::check::{AccountLabel, Check, Outcome, Requests, Step, Subject};
use super::super::report::Report;
use super::look::{self, HEADING};
use crate::duration;
use crate::fleet::RegionName;
use crate::status::text::pluralize;
use crate::terminal::{Page, Word, words};

const INDENT: usize = 2;
const HANGING: usize = 2;

/// Writes all checks, by what they are about.
pub(super) fn write(page: &mut Page, report: &Report) {
    write_checks(page, &report.checks);
}

/// Writes a heading for each subject, and its checks below. Checks of an account's targets that were
/// not tested share a line.
pub(super) fn write_checks<'a>(page: &mut Page, checks: impl IntoIterator<Item = &'a Check>) {
    let mut previous: Option<&Subject> = None;
    let mut checks = checks.into_iter().peekable();
    while let Some(check) = checks.next() {
        if previous != Some(&*check.subject) {
            page.separate();
            let heading = heading(&check.subject);
            page.paragraph(0, HANGING, [Word::new(&heading).styled(HEADING)]);
            previous = Some(&*check.subject);
        }
        let mut untested: Vec<&Check> = Vec::new();
        if is_untested_call(check) {
            let is_alike = |next: &&Check| next.subject == check.subject && is_untested_call(next);
            untested.extend(std::iter::from_fn(|| checks.next_if(is_alike)));
        }
        if untested.is_empty() {
            page.paragraph(INDENT, HANGING, line(check));
        } else {
            untested.insert(0, check);
            page.paragraph(INDENT, HANGING, untested_line(&untested));
        }
    }
}

fn is_untested_call(check: &Check) -> bool {
    let is_call = matches!(check.step, Step::ListSyncs(_) | Step::ListManagedNodes);
    is_call && matches!(check.outcome, Outcome::NotTested)
}

fn untested_line(checks: &[&Check]) -> Vec<Word> {
    let regions: BTreeSet<&RegionName> = checks.iter().filter_map(|check| check.region.as_ref()).collect();
    let places = match regions.first() {
        Some(region) if regions.len() == 1 => region.to_string(),
        _ => pluralize(regions.len(), "region"),
    };
    let is_lookup = |check: &&Check| check.step == Step::ListManagedNodes;
    let lookups = checks.iter().copied().filter(is_lookup).count();
    let mut calls = Vec::new();
    if lookups < checks.len() {
        calls.push("list syncs");
    }
    if lookups > 0 {
        calls.push(look::LIST_MANAGED_NODES);
    }
    let text = format!("{} in {places}: not tested", calls.join(" and "));
    [look::not_tested_symbol()].into_iter().chain(words(&text)).collect()
}

fn heading(subject: &Subject) -> String {
    match subject {
        Subject::Host => "host".to_owned(),
        Subject::Configuration => "configuration".to_owned(),
        Subject::Organization(None) => "organization".to_owned(),
        Subject::Organization(Some(AccountLabel { id, .. })) => format!("organization, listed by {id}"),
        Subject::Account(account) => account.describe(),
    }
}

fn line(check: &Check) -> Vec<Word> {
    let mut line = vec![look::symbol(&check.outcome)];
    line.extend(step(check));
    match &check.outcome {
        Outcome::Passed(Some(text)) => line.extend(words(text)),
        Outcome::Passed(None) => {}
        Outcome::Failed(failure) if check.step == Step::Clock => line.extend(words(&failure.message)),
        Outcome::Failed(failure) => line.push(look::failed(failure.reason.as_str())),
        Outcome::NotTested => line.extend(words("not tested")),
    }
    line.extend(check.cause.map(look::cause_number));
    if let Some(requests) = &check.requests {
        line.extend(words(&destination(requests)));
    }
    line
}

/// What was done and where, with a colon if the outcome follows.
fn step(check: &Check) -> Vec<Word> {
    let region = check.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
    let says_more = !matches!(check.outcome, Outcome::Passed(None));
    let colon = if says_more { ":" } else { "" };
    words(&format!("{}{region}{colon}", look::describe(&check.step))).collect()
}

fn destination(requests: &Requests) -> String {
    let proxy = requests.proxy.as_ref().map(|proxy| format!(" through {proxy}")).unwrap_or_default();
    format!("({}{proxy}, {})", requests.endpoint, duration::format_elapsed(requests.duration))
}
