//! The list of syncs: those that the query selects or, without a filter, those with
//! problems.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::Context;
use super::components::{
    Pagination, account, age, backticks_to_code, badge, console, label, message, not_as_expected_badge,
    untrusted, when,
};
use super::managed_nodes;
use crate::duration;
use crate::health::{Alert, AssessedSync, Health, remedy};
use crate::model::{DataSync, SyncStatus, SyncType};
use crate::status::overview::SyncRow;
use crate::status::query::{HealthFilter, PageQuery, Pages};
use crate::status::sync_link::sync_link;
use crate::status::text::{pluralize, with_commas};

const PER_PAGE: usize = 40;

/// The number of syncs that are shown without a filter. It is small, because the rest of the
/// page follows below.
const MAX_UNFILTERED: usize = 10;

pub(super) fn section(context: Context<'_>) -> Markup {
    let Context { overview, query, .. } = context;
    let is_target_only =
        |filter| matches!(filter, HealthFilter::Only(health) if Health::TARGET_ONLY_VALUES.contains(&health));
    // No sync can have such a health, and the list of violations has the syncs that are not as expected.
    if query.health.is_some_and(is_target_only) || query.health == Some(HealthFilter::NotAsExpected) {
        return html! {};
    }
    let rows = overview.syncs(query);
    // A reason selects targets that are down, and it is normal that those have no syncs.
    if rows.is_empty() && query.reason.is_some() {
        return html! {};
    }
    let is_filtered = query.has_filter();
    // Without known syncs, or with other troubles, there is nothing to reassure the reader about.
    if rows.is_empty() && !is_filtered && (overview.sync_counts.total() == 0 || overview.troubles() > 0) {
        return html! {};
    }
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
                p.hint { span.order { "Worst status first, then oldest last success. " } (runbooks(&rows)) }
                table.list {
                    thead { tr {
                        th.status scope="col" { "Status" }
                        th.sync scope="col" { "Sync" }
                        th.where scope="col" { "Account and region" }
                        th.when scope="col" { "Last success" }
                        th.when scope="col" { "Last run" }
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

/// Links to the sections of the runbook about the problems of the syncs, on all pages of the list.
fn runbooks(rows: &[SyncRow<'_>]) -> Markup {
    let healths: BTreeSet<Health> = rows.iter().map(|row| row.assessed.health).collect();
    let alerts: Vec<_> =
        healths.into_iter().filter_map(|health| Some((health, Alert::of_sync(health)?))).collect();
    html! {
        @for (index, (health, alert)) in alerts.into_iter().enumerate() {
            @if index == 0 { "Runbook: " } @else { " · " }
            a href=(alert.runbook_url()) rel="noreferrer" { (label(health)) }
        }
    }
}

fn empty_text(context: Context<'_>) -> &'static str {
    if context.query.has_filter() { "No syncs match the filter." } else { "No syncs have problems." }
}

fn table_row(context: Context<'_>, row: SyncRow<'_>) -> Markup {
    let SyncRow { target, assessed, is_violated } = row;
    let AssessedSync { sync, health, max_success_age, max_run_time, .. } = assessed;
    let now = context.overview.now;
    let advice = remedy::for_sync(&target.assessed, assessed);
    // The status that AWS reports is shown only if the badge does not already say it.
    let status = sync.last_status.as_ref().filter(|status| match status {
        SyncStatus::Unknown(_) => true,
        SyncStatus::InProgress => !matches!(health, Health::InProgress | Health::Stuck),
        SyncStatus::Failed | SyncStatus::Successful => false,
    });
    let state = sync.source.as_ref().and_then(|source| source.state.as_ref());
    let no_success = if sync.sync_type == SyncType::FromSource { "not reported" } else { "never" };
    html! {
        tr.quiet[!health.is_problem()] {
            td.status {
                (badge(health))
                @if is_violated { (not_as_expected_badge()) }
                @if let Some(status) = status { p.raw { "AWS reports " (untrusted(status.as_str())) } }
            }
            th.sync scope="row" {
                a.name href=(sync_link(&target.account, target.region(), sync)) { (untrusted(&sync.name)) }
                span.sub { (description(sync)) }
                @if let Some(state) = state { p.message { "AWS reports " (untrusted(state.as_str())) " for the source." } }
                @if let Some(text) = &sync.last_status_message { (message(text)) }
                @else if health == Health::Failed { p.message { "AWS reported no message." } }
                @if let Some(advice) = advice {
                    details.advice { summary { "What to do" } p { (backticks_to_code(advice.remedy)) } }
                }
            }
            td.where {
                (account(&target.account, target.account_name(), context.query))
                span.region { (target.region()) }
                (console(target.region(), &sync.sync_type))
                @if target.health() == Health::Down {
                    p.raw {
                        "The account cannot be polled now. This is the state "
                        @match target.assessed.state().last_success {
                            Some(at) => (age(at, now)),
                            None => "of an earlier collection",
                        }
                        "."
                    }
                }
            }
            td.when data-label="Last success" {
                (when(sync.last_successful_sync, now, no_success))
                @if health == Health::Stale { p.raw { "allowed: up to " (duration::format(max_success_age)) } }
                (managed_nodes::of_success(assessed, now))
            }
            td.when data-label="Last run" {
                (when(sync.last_sync, now, "not reported"))
                @if health == Health::Stuck { p.raw { "allowed: up to " (duration::format(max_run_time)) } }
                (managed_nodes::of_run(assessed, now))
            }
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
