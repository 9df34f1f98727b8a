//! A line for each kind of check, for more checks than anyone reads one by one.

use std::collections::{BTreeMap, BTreeSet};

use super::super::check::{Check, Requests, Step, Subject};
use super::super::report::{Counts, Report};
use super::checks::write_checks;
use super::look::{self, HEADING};
use crate::status::text::{pluralize, with_commas};
use crate::terminal::{Page, Word, separated_by_commas, words};

const INDENT: usize = 2;
const HANGING: usize = 2;

/// How many kinds of the same step have lines of their own, such as different roles.
const MAX_KINDS_OF_STEP: usize = 4;

/// How many causes a line refers to.
const MAX_CAUSES: usize = 8;

/// Writes the checks of host and organization, of which there are few, and those of accounts by kind.
pub(super) fn write(page: &mut Page, report: &Report) {
    let is_of_account = |check: &&Check| matches!(*check.subject, Subject::Account(_));
    write_checks(page, report.checks.iter().filter(|check| !is_of_account(check)));
    page.separate();
    page.paragraph(0, 0, [Word::new(&pluralize(report.accounts(), "account")).styled(HEADING)]);
    for (text, checks) in by_kind(report.checks.iter().filter(is_of_account)) {
        page.paragraph(INDENT, HANGING, line(&text, &checks));
    }
}

/// The checks by what they do, in the order of the steps.
fn by_kind<'a>(checks: impl Iterator<Item = &'a Check>) -> Vec<(String, Vec<&'a Check>)> {
    let mut kinds: BTreeMap<Kind, Details<'_>> = BTreeMap::new();
    for check in checks {
        let details = kinds.entry(Kind::of(&check.step)).or_default();
        let number = details.len();
        let (_, checks) = details.entry(detail(&check.step)).or_insert((number, Vec::new()));
        checks.push(check);
    }
    let mut lines = Vec::new();
    for (kind, details) in kinds {
        if details.len() <= MAX_KINDS_OF_STEP {
            let mut details: Vec<_> = details.into_iter().collect();
            details.sort_by_key(|(_, (number, _))| *number);
            lines.extend(details.into_iter().map(|(detail, (_, checks))| (kind.describe(&detail), checks)));
        } else {
            let number = details.len();
            let all = details.into_values().flat_map(|(_, checks)| checks).collect();
            lines.push((kind.describe_several(number), all));
        }
    }
    lines
}

/// The checks by what tells them apart, with its number in the order of the checks.
type Details<'a> = BTreeMap<String, (usize, Vec<&'a Check>)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Credentials,
    AssumeRole,
    ListRegions,
    ListSyncs,
    ListManagedNodes,
    Other,
}

impl Kind {
    fn of(step: &Step) -> Self {
        match step {
            Step::Credentials(_) => Self::Credentials,
            Step::AssumeRole { .. } => Self::AssumeRole,
            Step::ListRegions => Self::ListRegions,
            Step::ListSyncs(_) => Self::ListSyncs,
            Step::ListManagedNodes => Self::ListManagedNodes,
            Step::Targets | Step::Clock | Step::ListAccounts | Step::ListUnits => Self::Other,
        }
    }

    /// Describes checks with this number of different details.
    fn describe_several(self, number: usize) -> String {
        let number = with_commas(number);
        match self {
            Self::Credentials => format!("credentials: {number} sources"),
            Self::AssumeRole => format!("assume {number} roles"),
            Self::ListRegions => "list the enabled regions".to_owned(),
            Self::ListSyncs => "list the syncs".to_owned(),
            Self::ListManagedNodes => look::LIST_MANAGED_NODES.to_owned(),
            Self::Other => "other checks".to_owned(),
        }
    }

    fn describe(self, detail: &str) -> String {
        match self {
            Self::Credentials => format!("credentials: {detail}"),
            Self::AssumeRole => format!("assume {detail}"),
            Self::ListRegions => "list the enabled regions".to_owned(),
            Self::ListSyncs => format!("list {detail}"),
            Self::ListManagedNodes => look::LIST_MANAGED_NODES.to_owned(),
            Self::Other => detail.to_owned(),
        }
    }
}

/// What tells checks of the same step apart, other than account and region.
fn detail(step: &Step) -> String {
    match step {
        Step::Credentials(origin) => look::describe_origin(origin),
        Step::AssumeRole { role_arn, .. } => {
            let resource = role_arn.as_str().splitn(6, ':').nth(5).unwrap_or_default();
            resource.to_owned()
        }
        Step::ListSyncs(sync_type) => sync_type.to_string(),
        Step::ListRegions | Step::ListManagedNodes => String::new(),
        other => look::describe(other),
    }
}

fn line(text: &str, checks: &[&Check]) -> Vec<Word> {
    let Counts { passed, failed, not_tested } = Counts::of(checks.iter().copied());
    let symbol = match (failed, passed) {
        (1.., _) => look::failed_symbol(),
        (0, 1..) => look::passed_symbol(),
        (0, 0) => look::not_tested_symbol(),
    };
    let count = |number: usize, what: &str| format!("{} {what}", with_commas(number));
    let mut counts = Vec::new();
    if passed > 0 {
        counts.push(Word::new(&count(passed, "passed")));
    }
    if failed > 0 {
        counts.push(look::failed(&count(failed, "failed")));
    }
    if not_tested > 0 {
        counts.push(Word::new(&count(not_tested, "not tested")));
    }
    let causes: BTreeSet<usize> = checks.iter().filter_map(|check| check.cause).collect();
    let more = (causes.len() > MAX_CAUSES).then(|| Word::new("…"));
    let causes = causes.into_iter().take(MAX_CAUSES).map(look::cause_number);
    let destinations = destinations(checks);
    [symbol]
        .into_iter()
        .chain(words(&format!("{text}:")))
        .chain(separated_by_commas(counts))
        .chain(causes)
        .chain(more)
        .chain(words(&destinations))
        .collect()
}

/// How many endpoints there are, or which, and the proxy if there is one.
fn destinations(checks: &[&Check]) -> String {
    let requests: Vec<&Requests> = checks.iter().filter_map(|check| check.requests.as_ref()).collect();
    let endpoints: BTreeSet<&str> = requests.iter().map(|requests| requests.endpoint.as_str()).collect();
    let proxies: BTreeSet<&str> = requests.iter().filter_map(|requests| requests.proxy.as_deref()).collect();
    let mut endpoints = endpoints.into_iter();
    let (Some(first), more) = (endpoints.next(), endpoints.count()) else { return String::new() };
    let at = if more == 0 { first.to_owned() } else { pluralize(more + 1, "endpoint") };
    let mut proxies = proxies.into_iter();
    let through = match (proxies.next(), proxies.count()) {
        (None, _) => String::new(),
        (Some(proxy), 0) => format!(" through {proxy}"),
        (Some(_), more) => format!(" through {} proxies", with_commas(more + 1)),
    };
    format!("({at}{through})")
}
