//! The targets: why some cannot be polled, and those that are asked for.

use std::time::Duration;

use maud::{Markup, html};

use super::View;
use super::parts::{Paging, account, badge, count, grouped, message, prose, when};
use crate::health::Health;
use crate::health::remedy::{self, Advice};
use crate::model::{Failure, UnixSeconds};
use crate::status::overview::{Cause, Common, Group, Seen};
use crate::status::query::{Pages, Query, Wanted};

/// How many stand on a page.
const PER_PAGE: usize = 25;

/// How many groups are shown for each reason.
const GROUPS: usize = 5;

/// Why targets cannot be polled, and what to do about it.
pub(super) fn causes(view: View<'_>) -> Markup {
    let causes = view.overview.causes(view.query);
    let targets: usize = causes.iter().map(|cause| cause.targets).sum();
    html! {
        @if !causes.is_empty() {
            section #causes aria-labelledby="causes-heading" {
                h2 #causes-heading { "Targets that cannot be polled " span.total { (grouped(targets)) } }
                p.hint {
                    "A target is an account in a region. While it cannot be polled, its last good syncs are shown for a while "
                    "(" code { "stale_after" } "), and then nothing is."
                }
                @for cause in &causes { (one(view, cause)) }
            }
        }
    }
}

fn one(view: View<'_>, cause: &Cause<'_>) -> Markup {
    let Advice { title, remedy } = remedy::of_reason(cause.reason);
    let down = Query {
        status: Some(Wanted::Is(Health::Down)),
        reason: Some(cause.reason),
        ..view.query.first_pages()
    };
    let more = cause.groups.len().saturating_sub(GROUPS);
    html! {
        article.cause {
            h3 { (title) " " code { (cause.reason) } " " span.total { (count(cause.targets, "target")) } }
            p.advice { b { "What to do: " } (prose(remedy)) }
            table.list {
                thead { tr {
                    th scope="col" { "Where" }
                    th scope="col" { "Message" }
                    th scope="col" { "Failures in a row" }
                    th scope="col" { "Last good collection" }
                } }
                tbody { @for group in cause.groups.iter().take(GROUPS) { (line(view, &down, group)) } }
            }
            @if more > 0 {
                p.more { a href={ (down.link()) "#targets" } { "Show all " (count(cause.targets, "target")) } " (" (grouped(more)) " more lines)" }
            }
        }
    }
}

fn line(view: View<'_>, down: &Query, group: &Group<'_>) -> Markup {
    let now = view.overview.now;
    let failures = group.targets.iter().map(|(seen, _)| seen.view.state.consecutive_failures);
    let longest = failures.clone().max().unwrap_or_default();
    let alike = failures.clone().min() == Some(longest);
    // The one that has been failing for longest, or has never been well.
    let last = |seen: &Seen| seen.view.state.last_success;
    let oldest = group.targets.iter().map(|(seen, _)| last(seen)).min_by(|one, other| {
        let value = |at: &Option<UnixSeconds>| at.unwrap_or(f64::NEG_INFINITY);
        value(one).total_cmp(&value(other))
    });
    let number = group.targets.len();
    let example = group.targets.first().map(|(_, failure)| failure.message.as_str());
    let differ = group.targets.iter().any(|(_, failure)| Some(failure.message.as_str()) != example);
    let more = |query: Query| format!("{}#targets", query.link());
    html! {
        tr {
            th.where scope="row" {
                @match group.common {
                    Common::Account(shown, name) => {
                        @let query = Query { account: shown.to_owned(), ..down.clone() };
                        (account(shown, name, view.query))
                        @if let (1, Some((only, _))) = (number, group.targets.first()) { span.region { (only.region()) } }
                        @else { a.count href=(more(query)) { "in " (count(number, "region")) } }
                    },
                    Common::Region(region) => {
                        @let query = Query { region: Some(region.clone()), ..down.clone() };
                        span.region { (region) }
                        a.count href=(more(query)) { "for " (count(number, "account")) }
                    },
                }
            }
            td.why {
                @if let Some(example) = example {
                    @if differ { span.sub { "for example" } }
                    (message(example))
                }
            }
            td.number data-label="Failures in a row" { @if !alike { "up to " } (grouped_u64(longest)) }
            td.when data-label="Last good collection" { (when(oldest.flatten(), now, "none since the exporter started")) }
        }
    }
}

/// The targets that are asked for, one by one.
pub(super) fn list(view: View<'_>) -> Markup {
    let View { overview, query, .. } = view;
    let targets = overview.targets(query);
    let paging = Paging::new(query.pages.targets, targets.len(), PER_PAGE);
    let at = |targets| Query { pages: Pages { targets, ..query.pages }, ..query.clone() };
    html! {
        section #targets aria-labelledby="targets-heading" {
            h2 #targets-heading { "Targets that match " span.total { (grouped(targets.len())) } }
            @if targets.is_empty() {
                p.nothing { "No account and region match the filter." }
            } @else {
                table.list {
                    thead { tr {
                        th scope="col" { "Status" }
                        th scope="col" { "Account and region" }
                        th scope="col" { "Syncs" }
                        th scope="col" { "Last collection" }
                        th scope="col" { "Last good collection" }
                    } }
                    tbody { @for seen in paging.of(&targets) { (row(view, seen)) } }
                }
                (paging.links("targets", "targets", at))
            }
        }
    }
}

fn row(view: View<'_>, seen: &Seen) -> Markup {
    let now = view.overview.now;
    let state = &seen.view.state;
    let last = state.last.as_ref();
    html! {
        tr {
            td.status { (badge(seen.health)) }
            th.where scope="row" {
                (account(&seen.account, seen.name(), view.query))
                span.region { (seen.region()) }
                @if let Some(Failure { reason, message: text, .. }) = seen.failure() {
                    p.raw { code { (reason) } " " (in_a_row(state.consecutive_failures)) }
                    (message(text))
                }
            }
            td.number data-label="Syncs" {
                @if seen.view.syncs().is_some() { (grouped(seen.tally.total())) } @else { span.none { "not known" } }
            }
            td.when data-label="Last collection" {
                (when(last.map(|last| last.ended), now, "none yet"))
                @if let Some(last) = last { span.sub { "took " (took(last.took)) } }
            }
            td.when data-label="Last good collection" { (when(state.last_success, now, "none since the exporter started")) }
        }
    }
}

fn in_a_row(failures: u64) -> String {
    match failures {
        1 => "once".to_owned(),
        more => format!("{} times in a row", grouped_u64(more)),
    }
}

fn took(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

fn grouped_u64(number: u64) -> String {
    grouped(usize::try_from(number).unwrap_or(usize::MAX))
}
