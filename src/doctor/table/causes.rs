//! The causes of failed checks, and what to do about each.

use super::super::cause::{Cause, Example, MAX_EXAMPLES};
use super::look::{self, HEADING};
use crate::health::remedy::AccessAdvice;
use crate::status::text::{pluralize, with_commas};
use crate::terminal::{Page, Word, words};

const INDENT: usize = 4;

/// How much is said about a cause. The ARN of the policy that denies the call is never left out, nor who
/// owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Everything.
    Full,
    /// Without the explanation and without what AWS said.
    Remedy,
    /// The statement, or else what to do.
    Least,
}

/// Writes the first causes, each with its detail.
pub(super) fn write(page: &mut Page, causes: &[Cause], details: &[Detail]) {
    let mut follows_short_cause = false;
    for (index, (cause, detail)) in causes.iter().zip(details).enumerate() {
        let is_short = *detail != Detail::Full;
        if !(follows_short_cause && is_short) {
            page.separate();
        }
        write_cause(page, index, cause, *detail);
        follows_short_cause = is_short;
    }
    let more = causes.len().saturating_sub(details.len());
    if more > 0 {
        page.separate();
        let text = format!("and {}: see them with --format json", pluralize(more, "more cause"));
        page.paragraph(0, 0, words(&text));
    }
}

fn write_cause(page: &mut Page, index: usize, cause: &Cause, detail: Detail) {
    let advice = &cause.advice;
    let title = words(&advice.title).map(|word| word.styled(HEADING));
    page.paragraph(0, INDENT, [look::cause_number(index)].into_iter().chain(title));
    page.paragraph(INDENT, 2, words(&places(cause, if detail == Detail::Full { MAX_EXAMPLES } else { 1 })));
    if detail == Detail::Full {
        if let Some(example) = cause.examples.first() {
            page.paragraph(INDENT, 2, words(&example.message));
        }
        labelled(page, "why:", &advice.explanation);
    }
    verbatim(page, "policy:", advice.policy_arn.as_ref());
    if let Some(owner) = &advice.owner {
        labelled(page, "owner:", owner);
    }
    write_remedy(page, advice, detail);
    page.verbatim(INDENT, [Word::new("see"), Word::new(&advice.runbook_url)]);
}

fn write_remedy(page: &mut Page, advice: &AccessAdvice, detail: Detail) {
    let AccessAdvice { statement, command, .. } = advice;
    if detail == Detail::Least && statement.is_some() {
        labelled(page, "do:", advice.first_step.unwrap_or_default());
        verbatim(page, "statement:", statement.as_ref());
        return;
    }
    labelled(page, "do:", &advice.remedy);
    verbatim(page, "statement:", statement.as_ref());
    verbatim(page, "command:", command.as_ref());
    if let Some(parameter) = &advice.deployment_parameter {
        labelled(page, "deployment:", parameter);
    }
}

fn labelled(page: &mut Page, label: &str, text: &str) {
    if !text.is_empty() {
        page.paragraph(INDENT, 2, [Word::new(label)].into_iter().chain(words(text)));
    }
}

/// Writes what is copied, and must therefore not be broken into lines. Several lines are below the label.
fn verbatim(page: &mut Page, label: &str, text: Option<&String>) {
    let Some(text) = text else { return };
    if text.contains('\n') {
        page.paragraph(INDENT, 0, [Word::new(label)]);
        for line in text.lines() {
            page.verbatim(INDENT + 2, [Word::new(line)]);
        }
    } else {
        page.verbatim(INDENT, [Word::new(label), Word::new(text)]);
    }
}

/// How many accounts and regions the cause has hit, and examples.
fn places(cause: &Cause, max_examples: usize) -> String {
    let checks = pluralize(cause.checks, "check");
    let mut counts = Vec::new();
    if cause.accounts > 0 {
        counts.push(pluralize(cause.accounts, "account"));
    }
    if cause.regions > 0 {
        counts.push(pluralize(cause.regions, "region"));
    }
    counts.push(checks);
    let counts = counts.join(", ");
    let examples: Vec<String> =
        cause.examples.iter().filter_map(Example::describe).take(max_examples).collect();
    if examples.is_empty() {
        return counts;
    }
    let shown_accounts = examples.len().min(cause.accounts);
    let more = cause.accounts - shown_accounts;
    let more = if more > 0 { format!(" and {} more", with_commas(more)) } else { String::new() };
    format!("{counts}: {}{more}", examples.join(", "))
}
