//! The list of targets that the query selects.

use maud::{Markup, html};

use super::Context;
use super::components::{
    Pagination, account, badge, console, message, not_as_expected_badge, quota_used_badge, when,
};
use super::failures::{NO_SUCCESS, times};
use super::managed_nodes;
use crate::duration;
use crate::model::{Failure, SyncType};
use crate::status::overview::TargetRow;
use crate::status::query::{PageQuery, Pages};
use crate::status::text::with_commas;

const PER_PAGE: usize = 15;

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
    let unknown_nodes = target.node_failure();
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
                (managed_nodes::of_target(&target.assessed))
            }
            td.why {
                @if let Some(failure) = target.failure() { (call_failure("", failure, state.consecutive_failures)) }
                @if let Some(failure) = unknown_nodes {
                    (call_failure("managed nodes are unknown: ", failure, state.nodes.consecutive_failures))
                }
                @if target.failure().is_none() && unknown_nodes.is_none() { span.none { "none" } }
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

/// The failure of a call, preceded by `what`.
fn call_failure(
    what: &str,
    Failure { reason, message: text, .. }: &Failure,
    consecutive_failures: u64,
) -> Markup {
    html! {
        p.raw {
            (what) code { (reason) } ", failed " (times(consecutive_failures))
            @if consecutive_failures > 1 { " in a row" }
        }
        (message(text))
    }
}
