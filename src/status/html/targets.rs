//! The lists of targets: those that are down, by reason, and those that the query selects.

use maud::{Markup, html};

use super::Context;
use super::components::{
    Pagination, account, backticks_to_code, badge, console, message, not_as_expected_badge, quota_used_badge,
    runbook_of_cause, when,
};
use crate::duration;
use crate::health::Health;
use crate::health::remedy;
use crate::model::{Failure, SyncType, UnixSeconds};
use crate::status::overview::{FailureGroup, FailuresForReason, GroupKey, TargetRow};
use crate::status::query::{HealthFilter, PageQuery, Pages};
use crate::status::text::{pluralize, with_commas};

const PER_PAGE: usize = 15;

/// The number of groups that are shown for each reason.
const GROUPS_PER_REASON: usize = 5;

const NO_SUCCESS: &str = "none since the exporter started";

/// The targets that are down, by reason, and what to do about each reason.
pub(super) fn failures(context: Context<'_>) -> Markup {
    let failures = context.overview.failures(context.query);
    let targets: usize = failures.iter().map(|failures| failures.target_count).sum();
    html! {
        @if !failures.is_empty() {
            section #causes aria-labelledby="causes-heading" {
                h2 #causes-heading { "Targets down " span.total { (with_commas(targets)) } }
                p.hint {
                    "A target is one account in one region. While the exporter cannot poll it, the syncs of the last successful                      collection stay visible for " code { "stale_after" } "."
                }
                @for failures in &failures { (reason_article(context, failures)) }
            }
        }
    }
}

fn reason_article(context: Context<'_>, failures: &FailuresForReason<'_>) -> Markup {
    let all = failures.groups.iter().flat_map(|group| group.targets.iter().map(|(_, failure)| *failure));
    let guide = remedy::for_failures(failures.reason, all);
    let same_reason = PageQuery {
        health: Some(HealthFilter::Only(Health::Down)),
        reason: Some(failures.reason),
        ..context.query.first_pages()
    };
    let hidden_groups = failures.groups.len().saturating_sub(GROUPS_PER_REASON);
    html! {
        article.cause {
            h3 { (guide.title) " " code { (failures.reason) } " " span.total { (pluralize(failures.target_count, "target")) } }
            p.advice { b { "What to do: " } (backticks_to_code(guide.remedy)) " " (runbook_of_cause(&guide)) }
            table.list {
                thead { tr {
                    th.where scope="col" { "Account or region" }
                    th.why scope="col" { "Message" }
                    th.number scope="col" { "Failed in a row" }
                    th.when scope="col" { "Last success" }
                } }
                tbody {
                    @for group in failures.groups.iter().take(GROUPS_PER_REASON) { (group_row(context, &same_reason, group)) }
                }
            }
            @if hidden_groups > 0 {
                p.more {
                    a href={ (same_reason.link()) "#targets" } { "Show all " (pluralize(failures.target_count, "target")) }
                    " (" (pluralize(hidden_groups, "row")) " not shown)"
                }
            }
        }
    }
}

/// A row for a group of targets. `same_reason` is the query for all targets that are down for
/// the same reason.
fn group_row(context: Context<'_>, same_reason: &PageQuery, group: &FailureGroup<'_>) -> Markup {
    let now = context.overview.now;
    let failures = group.targets.iter().map(|(target, _)| target.assessed.state().consecutive_failures);
    let most_failures = failures.clone().max().unwrap_or_default();
    let failures_are_equal = failures.clone().min() == Some(most_failures);
    // The last success of the target that has been down for longest. A target that has never
    // been collected successfully counts as the oldest.
    let successes = group.targets.iter().map(|(target, _)| target.assessed.state().last_success);
    let oldest_success = successes.min_by(|one, other| {
        let or_oldest = |at: &Option<UnixSeconds>| at.unwrap_or(f64::NEG_INFINITY);
        or_oldest(one).total_cmp(&or_oldest(other))
    });
    let number = group.targets.len();
    let example = group.targets.first().map(|(_, failure)| failure.message.as_str());
    let messages_differ = group.targets.iter().any(|(_, failure)| Some(failure.message.as_str()) != example);
    let targets_link = |query: PageQuery| format!("{}#targets", query.link());
    html! {
        tr {
            th.where scope="row" {
                @match group.key {
                    GroupKey::Account { account: id, name } => {
                        @let query = PageQuery { account: id.to_owned(), ..same_reason.clone() };
                        (account(id, name, context.query))
                        @if let [(only, _)] = group.targets.as_slice() { span.region { (only.region()) } }
                        @else { a.count href=(targets_link(query)) { "in " (pluralize(number, "region")) } }
                    },
                    GroupKey::Region(region) => {
                        @let query = PageQuery { region: Some(region.clone()), ..same_reason.clone() };
                        span.region { (region) }
                        a.count href=(targets_link(query)) { "in " (pluralize(number, "account")) }
                    },
                }
            }
            td.why {
                @if let Some(example) = example {
                    @if messages_differ { span.sub { "for example" } }
                    (message(example))
                }
            }
            td.number data-label="Failed in a row" {
                @if !failures_are_equal { "up to " } (times(most_failures))
            }
            td.when data-label="Last success" { (when(oldest_success.flatten(), now, NO_SUCCESS)) }
        }
    }
}

/// The targets that the query selects, one per row.
pub(super) fn list(context: Context<'_>) -> Markup {
    let Context { overview, query, .. } = context;
    let targets = overview.targets(query);
    let pagination = Pagination::new(query.pages.targets, targets.len(), PER_PAGE);
    let query_of_page = |targets| PageQuery { pages: Pages { targets, ..query.pages }, ..query.clone() };
    html! {
        section #targets aria-labelledby="targets-heading" {
            h2 #targets-heading { "Matching targets " span.total { (with_commas(targets.len())) } }
            @if targets.is_empty() {
                p.nothing { "No targets match the filter." }
            } @else {
                table.list {
                    thead { tr {
                        th.status scope="col" { "Status" }
                        th.where scope="col" { "Account and region" }
                        th.why scope="col" { "Failure" }
                        th.number scope="col" { "Syncs" }
                        th.when scope="col" { "Last collection" }
                        th.when scope="col" { "Last success" }
                    } }
                    tbody { @for target in pagination.slice(&targets) { (target_row(context, target)) } }
                }
                (pagination.links("targets", "targets", query_of_page))
            }
        }
    }
}

fn target_row(context: Context<'_>, target: &TargetRow) -> Markup {
    let now = context.overview.now;
    let state = &target.assessed.state();
    let last = state.last.as_ref();
    html! {
        tr {
            td.status {
                (badge(target.health()))
                @if target.is_violated { (not_as_expected_badge()) }
                @if target.has_used_up_quota() { (quota_used_badge()) }
            }
            th.where scope="row" {
                (account(&target.account, target.account_name(), context.query))
                span.region { (target.region()) }
                (console(target.region(), &SyncType::ToDestination))
            }
            td.why {
                @if let Some(Failure { reason, message: text, .. }) = target.failure() {
                    p.raw { code { (reason) } ", failed " (times(state.consecutive_failures))
                        @if state.consecutive_failures > 1 { " in a row" }
                    }
                    (message(text))
                } @else { span.none { "none" } }
            }
            td.number data-label="Syncs" {
                @if target.assessed.knows_syncs() { (with_commas(target.sync_counts.total())) } @else { span.none { "unknown" } }
            }
            td.when data-label="Last collection" {
                (when(last.map(|last| last.ended), now, "none yet"))
                @if let Some(last) = last { span.sub { "took " (duration::format_elapsed(last.took)) } }
            }
            td.when data-label="Last success" { (when(state.last_success, now, NO_SUCCESS)) }
        }
    }
}

fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        more => format!("{} times", with_commas(usize::try_from(more).unwrap_or(usize::MAX))),
    }
}
