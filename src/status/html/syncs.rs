//! The list of syncs: those that the query selects or, without a filter, those with
//! problems.

use maud::{Markup, html};

use super::Context;
use super::components::{
    Pagination, account, backticks_to_code, badge, message, pluralize, untrusted, when, with_commas,
};
use crate::health::{AssessedSync, Health, remedy};
use crate::model::{DataSync, SyncStatus, SyncType};
use crate::status::overview::SyncRow;
use crate::status::query::{HealthFilter, PageQuery, Pages};
use crate::status::sync_link::sync_link;

const PER_PAGE: usize = 50;

/// The number of syncs that are shown without a filter. It is small, because the rest of the
/// page follows below.
const MAX_UNFILTERED: usize = 10;

pub(super) fn section(context: Context<'_>) -> Markup {
    let Context { overview, query, .. } = context;
    let is_target_only =
        |filter| matches!(filter, HealthFilter::Only(health) if Health::TARGET_ONLY_VALUES.contains(&health));
    // No sync can have such a health.
    if query.health.is_some_and(is_target_only) {
        return html! {};
    }
    let rows = overview.syncs(query);
    // A reason selects targets that are down, and it is normal that those have no syncs.
    if rows.is_empty() && query.reason.is_some() {
        return html! {};
    }
    let is_filtered = query.has_filter();
    let (page, per_page) = if is_filtered { (query.pages.syncs, PER_PAGE) } else { (0, MAX_UNFILTERED) };
    let pagination = Pagination::new(page, rows.len(), per_page);
    let problems = PageQuery { health: Some(HealthFilter::AnyProblem), ..query.first_pages() };
    let query_of_page = |syncs| PageQuery { pages: Pages { syncs, ..query.pages }, ..query.clone() };
    let heading = if is_filtered { "Matching syncs" } else { "Syncs with problems" };
    html! {
        section #syncs aria-labelledby="syncs-heading" {
            h2 #syncs-heading { (heading) " " span.total { (with_commas(rows.len())) } }
            @if rows.is_empty() {
                p.nothing { (empty_text(context)) }
            } @else {
                p.hint {
                    "Worst status first, then oldest last success. A sync is stale if it has had no success for more than 48 hours."
                }
                table.list {
                    thead { tr {
                        th scope="col" { "Status" }
                        th scope="col" { "Sync" }
                        th scope="col" { "Account and region" }
                        th scope="col" { "Last success" }
                        th scope="col" { "Last attempt" }
                    } }
                    tbody { @for row in pagination.slice(&rows) { (table_row(context, *row)) } }
                }
                @if is_filtered {
                    (pagination.links("syncs", "syncs", query_of_page))
                } @else if pagination.pages > 1 {
                    p.more { a href={ (problems.link()) "#syncs" } { "Show all " (pluralize(rows.len(), "sync")) " with problems" } }
                }
            }
        }
    }
}

fn empty_text(context: Context<'_>) -> &'static str {
    let Context { overview, query, .. } = context;
    if query.has_filter() {
        "No syncs match the filter."
    } else if overview.sync_counts.total() == 0 {
        "No syncs found."
    } else {
        "No syncs have problems."
    }
}

fn table_row(context: Context<'_>, SyncRow { target, assessed }: SyncRow<'_>) -> Markup {
    let AssessedSync { sync, health, .. } = assessed;
    let now = context.overview.now;
    let advice = remedy::for_sync(&target.assessed, assessed);
    // The status that AWS reports is shown only if the badge does not already say it.
    let status = sync.last_status.as_ref().filter(|status| match status {
        SyncStatus::Unknown(_) => true,
        SyncStatus::InProgress => health != Health::InProgress,
        SyncStatus::Failed | SyncStatus::Successful => false,
    });
    let state = sync.source.as_ref().and_then(|source| source.state.as_ref());
    let no_success = if sync.sync_type == SyncType::FromSource { "not reported" } else { "never" };
    html! {
        tr.quiet[!health.is_problem()] {
            td.status {
                (badge(health))
                @if let Some(status) = status { p.raw { "AWS status: " (untrusted(status.as_str())) } }
                @if let Some(state) = state { p.raw { "source state: " (untrusted(state.as_str())) } }
            }
            th.sync scope="row" {
                a.name href=(sync_link(&target.account, target.region(), sync)) { (untrusted(&sync.name)) }
                span.sub { (description(sync)) }
                @if let Some(text) = &sync.last_status_message { (message(text)) }
                @else if health == Health::Failed { p.message { "AWS reported no message." } }
                @if let Some(advice) = advice {
                    details.advice { summary { "What to do" } p { (backticks_to_code(advice.remedy)) } }
                }
            }
            td.where {
                (account(&target.account, target.account_name(), context.query))
                span.region { (target.region()) }
                @if target.health() == Health::Down {
                    p.raw { "target down; as of " (when(target.assessed.state().last_success, now, "an earlier collection")) }
                }
            }
            td.when data-label="Last success" { (when(sync.last_successful_sync, now, no_success)) }
            td.when data-label="Last attempt" { (when(sync.last_sync, now, "not reported")) }
        }
    }
}

/// The destination or the source of the sync.
fn description(sync: &DataSync) -> Markup {
    let bucket = sync.destination.as_ref().and_then(|destination| destination.bucket_name.as_deref());
    html! {
        @match (&sync.sync_type, bucket) {
            (SyncType::ToDestination, Some(bucket)) => { "to S3 bucket " (untrusted(bucket)) },
            (SyncType::ToDestination, None) => { "to an S3 bucket" },
            (SyncType::FromSource, _) => { "from accounts and regions" },
            (SyncType::Unknown(other), _) => { (untrusted(other)) },
        }
    }
}
