//! The syncs: those in trouble, or those that are asked for.

use maud::{Markup, html};

use super::View;
use super::parts::{Paging, account, badge, count, foreign, grouped, message, when};
use crate::health::Health;
use crate::health::remedy;
use crate::model::{DataSync, SyncStatus, SyncType};
use crate::status::overview::Found;
use crate::status::query::{Pages, Query, Wanted};

/// How many stand on a page.
const PER_PAGE: usize = 50;

/// How many are shown where nothing is asked for: there is more to see than these.
const WORST: usize = 10;

pub(super) fn section(view: View<'_>) -> Markup {
    let View { overview, query, .. } = view;
    let of_targets = |wanted| matches!(wanted, Wanted::Is(health) if Health::OF_TARGETS.contains(&health));
    // No sync fares so.
    if query.status.is_some_and(of_targets) {
        return html! {};
    }
    let found = overview.syncs(query);
    if found.is_empty() && query.reason.is_some() {
        return html! {};
    }
    let all = query.is_filter();
    let (page, per_page) = if all { (query.pages.syncs, PER_PAGE) } else { (0, WORST) };
    let paging = Paging::new(page, found.len(), per_page);
    let trouble = Query { status: Some(Wanted::Trouble), ..query.first_pages() };
    let at = |syncs| Query { pages: Pages { syncs, ..query.pages }, ..query.clone() };
    let heading = if all { "Syncs that match" } else { "Syncs in trouble" };
    html! {
        section #syncs aria-labelledby="syncs-heading" {
            h2 #syncs-heading { (heading) " " span.total { (grouped(found.len())) } }
            @if found.is_empty() {
                p.nothing { (nothing(view)) }
            } @else {
                p.hint {
                    "The worst first, and of those alike the one whose last success is longest ago. Stale means no success for "
                    "more than 48 hours."
                }
                table.list {
                    thead { tr {
                        th scope="col" { "Status" }
                        th scope="col" { "Sync" }
                        th scope="col" { "Account and region" }
                        th scope="col" { "Last success" }
                        th scope="col" { "Last attempt" }
                    } }
                    tbody { @for found in paging.of(&found) { (row(view, *found)) } }
                }
                @if all {
                    (paging.links("syncs", "syncs", at))
                } @else if paging.pages > 1 {
                    p.more { a href={ (trouble.link()) "#syncs" } { "Show all " (count(found.len(), "sync")) " in trouble" } }
                }
            }
        }
    }
}

fn nothing(view: View<'_>) -> &'static str {
    let View { overview, query, .. } = view;
    if query.is_filter() {
        "No sync matches the filter."
    } else if overview.of_syncs.total() == 0 {
        "No sync is known."
    } else {
        "No sync is in trouble."
    }
}

fn row(view: View<'_>, Found { seen, sync, health }: Found<'_>) -> Markup {
    let now = view.overview.now;
    let status = sync.last_status.as_ref();
    // Where it says more than the badge does.
    let status = status.filter(|status| match status {
        SyncStatus::Unknown(_) => true,
        SyncStatus::InProgress => health != Health::InProgress,
        SyncStatus::Failed | SyncStatus::Successful => false,
    });
    let state = sync.source.as_ref().and_then(|source| source.state.as_ref());
    let never = if sync.sync_type == SyncType::FromSource { "not reported" } else { "none on record" };
    html! {
        tr.quiet[!health.is_trouble()] {
            td.status {
                (badge(health))
                @if let Some(status) = status { p.raw { "AWS: " (foreign(status.as_str())) } }
                @if let Some(state) = state { p.raw { "AWS: " (foreign(state.as_str())) } }
            }
            th.sync scope="row" {
                span.name { (foreign(&sync.name)) }
                span.sub { (kind(sync)) }
                @if let Some(text) = &sync.last_status_message { (message(text)) }
                @else if health == Health::Failed { p.message { "AWS gave no message." } }
                @if let Some(advice) = remedy::of_sync(sync, health) {
                    details.advice { summary { "What to do" } p { (advice) } }
                }
            }
            td.where {
                (account(&seen.account, seen.name(), view.query))
                span.region { (seen.region()) }
                @if seen.health == Health::Down {
                    p.raw { "as of " (when(seen.view.state.last_success, now, "before")) ": the target cannot be polled" }
                }
            }
            td.when data-label="Last success" { (when(sync.last_successful_sync, now, never)) }
            td.when data-label="Last attempt" { (when(sync.last_sync, now, "not reported")) }
        }
    }
}

/// What it copies, and where.
fn kind(sync: &DataSync) -> Markup {
    let bucket = sync.destination.as_ref().and_then(|destination| destination.bucket_name.as_deref());
    html! {
        @match (&sync.sync_type, bucket) {
            (SyncType::ToDestination, Some(bucket)) => { "to the S3 bucket " (foreign(bucket)) },
            (SyncType::ToDestination, None) => { "to an S3 bucket" },
            (SyncType::FromSource, _) => { "from accounts and regions" },
            (SyncType::Unknown(other), _) => { (foreign(other)) },
        }
    }
}
