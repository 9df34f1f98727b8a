//! The grid of accounts and regions, each cell coloured by the target's health.

use maud::{Markup, html};

use super::Context;
use super::components::{
    NOT_AS_EXPECTED, NOT_AS_EXPECTED_MEANING, Pagination, account, backticks_to_code, concern_label,
    concern_meaning, icon, label, meaning,
};
use crate::fleet::RegionName;
use crate::health::{ConcernKind, Health};
use crate::status::managed_nodes::note;
use crate::status::overview::{AccountRow, TargetRow};
use crate::status::query::{PageQuery, Pages};
use crate::status::text::{pluralize, with_commas};
use crate::status::verdict::Mark;

/// The limits on the number of accounts per page.
const MIN_ACCOUNTS_PER_PAGE: usize = 10;
const MAX_ACCOUNTS_PER_PAGE: usize = 50;

/// The approximate number of cells per page. Cells make up most of the size of a page.
const CELLS_PER_PAGE: usize = 400;

/// The columns are wide if there are at most this many regions.
const MAX_WIDE_COLUMNS: usize = 8;

pub(super) fn section(context: Context<'_>) -> Markup {
    let Context { overview, query, .. } = context;
    let grid = overview.grid(query);
    let has_expectations = !overview.policy.expectations.is_empty();
    let per_page =
        (CELLS_PER_PAGE / grid.regions.len().max(1)).clamp(MIN_ACCOUNTS_PER_PAGE, MAX_ACCOUNTS_PER_PAGE);
    let pagination = Pagination::new(query.pages.grid, grid.rows.len(), per_page);
    let query_of_page = |grid| PageQuery { pages: Pages { grid, ..query.pages }, ..query.clone() };
    html! {
        section #grid aria-labelledby="grid-heading" {
            h2 #grid-heading {
                "Accounts and regions "
                span.total { (pluralize(grid.rows.len(), "account")) ", " (pluralize(grid.regions.len(), "region")) }
            }
            @if grid.rows.is_empty() {
                p.nothing { @if query.has_filter() { "No accounts match the filter." } @else { "No accounts." } }
            } @else {
                ul.legend aria-label="Legend" {
                    @for health in Health::ALL {
                        li class=(health.as_str()) { span.cell { (icon(*health)) } (label(*health)) }
                    }
                    @if has_expectations {
                        li class=(Mark::NotAsExpected.as_str()) { span.cell { (icon(Mark::NotAsExpected)) } (NOT_AS_EXPECTED) }
                    }
                    li class=(ConcernKind::QuotaUsed.as_str()) {
                        span.cell { (icon(ConcernKind::QuotaUsed)) } (concern_label(ConcernKind::QuotaUsed))
                    }
                    li.absent { span.cell {} "Not polled" }
                }
                p.hint {
                    "Each cell shows the worst status in one account and region, and how many syncs have it. The worst accounts                      come first."
                }
                details.meanings {
                    summary { "What each status means" }
                    dl {
                        @for health in Health::ALL {
                            dt { (label(*health)) } dd { (backticks_to_code(meaning(*health))) }
                        }
                        @if has_expectations { dt { (NOT_AS_EXPECTED) } dd { (backticks_to_code(NOT_AS_EXPECTED_MEANING)) } }
                        dt { (concern_label(ConcernKind::QuotaUsed)) } dd { (concern_meaning(ConcernKind::QuotaUsed)) }
                    }
                }
                div.scroll tabindex="0" role="group" aria-labelledby="grid-heading" {
                    table.grid.roomy[grid.regions.len() <= MAX_WIDE_COLUMNS] {
                        thead { tr {
                            th scope="col" { "Account" }
                            @for region in &grid.regions {
                                th scope="col" { a href=(region_link(query, region)) { (region) } }
                            }
                        } }
                        tbody { @for row in pagination.slice(&grid.rows) { (table_row(query, &grid.regions, row)) } }
                    }
                }
                (pagination.links("accounts", "grid", query_of_page))
            }
        }
    }
}

fn region_link(query: &PageQuery, region: &RegionName) -> String {
    PageQuery { region: Some(region.clone()), ..query.first_pages() }.link()
}

fn table_row(query: &PageQuery, regions: &[&RegionName], row: &AccountRow<'_>) -> Markup {
    html! {
        tr {
            th scope="row" { (account(row.account, row.name, query)) }
            @for region in regions {
                @match row.targets.get(region) {
                    Some(target) => (cell(target)),
                    None => td {},
                }
            }
        }
    }
}

/// The cell of a target. A page has hundreds of cells, so each has as little markup as
/// possible.
fn cell(target: &TargetRow) -> Markup {
    let health = target.health();
    let query = PageQuery {
        account: target.account.clone(),
        region: Some(target.region().clone()),
        ..PageQuery::default()
    };
    // A cell is never green while an expectation is violated or a quota is used up.
    let quota = Mark::Concern(ConcernKind::QuotaUsed);
    let mark = match health {
        problem if problem.is_problem() => Mark::Health(problem),
        _ if target.is_violated => Mark::NotAsExpected,
        _ if target.has_used_up_quota() => quota,
        other => Mark::Health(other),
    };
    let (number, total) = (target.sync_counts.get(health), target.sync_counts.total());
    html! {
        td class=(mark.as_str()) {
            a href=(query.link()) title=(tooltip(target, number, total)) {
                @if mark == Mark::Health(health) { svg { use href={ "#" (health.as_str()) } {} } }
                @if target.is_violated { svg { use href={ "#" (Mark::NotAsExpected.as_str()) } {} } }
                @if target.has_used_up_quota() { svg { use href={ "#" (quota.as_str()) } {} } }
                i {
                    (label(health))
                    @if target.is_violated { ", not as expected" }
                    @if target.has_used_up_quota() { ", quota used up" }
                }
                @if number > 0 { (with_commas(number)) }
            }
        }
    }
}

fn tooltip(target: &TargetRow, number: usize, total: usize) -> String {
    let syncs = match (target.failure(), number) {
        (Some(failure), _) => failure.reason.as_str().to_owned(),
        (None, 0) => String::new(),
        (None, _) if number == total && !target.has_used_up_quota() => pluralize(total, "sync"),
        (None, _) => format!("{} of {}", with_commas(number), pluralize(total, "sync")),
    };
    let notes = [
        (target.is_violated, "not as expected"),
        (target.has_used_up_quota() && target.failure().is_none(), "the quota is used up"),
    ];
    let notes = notes.into_iter().filter(|(holds, _)| *holds).map(|(_, note)| note);
    let notes = notes.chain(note(target.assessed.managed_nodes())).map(ToOwned::to_owned);
    let parts: Vec<String> = Some(syncs).filter(|syncs| !syncs.is_empty()).into_iter().chain(notes).collect();
    parts.join("; ")
}
