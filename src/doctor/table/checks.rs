//! A line for each check.

use super::super::check::{AccountLabel, Check, Outcome, Requests, Step, Subject};
use super::super::report::Report;
use super::look::{self, HEADING};
use crate::duration;
use crate::terminal::{Page, Word, words};

const INDENT: usize = 2;
const HANGING: usize = 2;

/// Writes all checks, by what they are about.
pub(super) fn write(page: &mut Page, report: &Report) {
    write_checks(page, &report.checks);
}

/// Writes a heading for each subject, and its checks below.
pub(super) fn write_checks<'a>(page: &mut Page, checks: impl IntoIterator<Item = &'a Check>) {
    let mut previous: Option<&Subject> = None;
    for check in checks {
        if previous != Some(&*check.subject) {
            page.separate();
            let heading = heading(&check.subject);
            page.paragraph(0, HANGING, [Word::new(&heading).styled(HEADING)]);
            previous = Some(&*check.subject);
        }
        page.paragraph(INDENT, HANGING, line(check));
    }
}

fn heading(subject: &Subject) -> String {
    match subject {
        Subject::Host => "host".to_owned(),
        Subject::Configuration => "configuration".to_owned(),
        Subject::Organization(AccountLabel { id, .. }) => format!("organization, listed by {id}"),
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
