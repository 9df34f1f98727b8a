//! What needs attention although no sync has a problem: quotas that are used up, which are trouble,
//! and notes on quotas, managed nodes and costs, which are not.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::Context;
use super::components::{
    Pagination, account, concern_label, concern_meaning, console, quota_used_badge, runbook, untrusted,
};
use crate::health::{Alert, Concern, ConcernKind};
use crate::model::{DataSync, ManagedBy, SyncType};
use crate::status::overview::TargetRow;
use crate::status::query::{HealthFilter, PageQuery, Pages};
use crate::status::sync_link::sync_link;
use crate::status::text::{pluralize, with_commas};

/// The number of targets that are shown without a filter by this status.
const MAX_UNFILTERED: usize = 5;
const PER_PAGE: usize = 10;

/// The number of targets that are named in a note.
const MAX_EXAMPLES: usize = 3;

/// The targets whose quota is used up, with who uses it.
pub(super) fn troubles(context: Context<'_>) -> Markup {
    let Context { overview, query, .. } = context;
    let kind = ConcernKind::QuotaUsed;
    let rows = overview.concerns(query, kind);
    if rows.is_empty() {
        return html! {};
    }
    let only_these = HealthFilter::Concern(kind);
    let is_filtered = query.health == Some(only_these);
    let (page, per_page) = if is_filtered { (query.pages.quotas, PER_PAGE) } else { (0, MAX_UNFILTERED) };
    let pagination = Pagination::new(page, rows.len(), per_page);
    let all = PageQuery { health: Some(only_these), ..query.first_pages() };
    let query_of_page = |quotas| PageQuery { pages: Pages { quotas, ..query.pages }, ..query.clone() };
    html! {
        section #quotas aria-labelledby="quotas-heading" {
            h2 #quotas-heading { "Quotas used up " span.total { (with_commas(rows.len())) } }
            p.hint {
                "AWS limits the syncs of each type in an account and a region. When the quota is used up, no further sync can be \
                 created, and an organization-wide rollout fails there. " (runbook(Alert::of_concern(kind)))
            }
            table.list {
                thead { tr {
                    th.status scope="col" { "Status" }
                    th.where scope="col" { "Account and region" }
                    th scope="col" { "Syncs that use the quota" }
                } }
                tbody { @for (target, concern) in pagination.slice(&rows) { (quota_row(context, target, concern)) } }
            }
            p.advice {
                b { "What to do: " } "delete syncs that are no longer needed, such as leftovers of former tools, but none that an AWS \
                service owns; or ask AWS Support for a higher quota and set it as " code { "quota" } " in the configuration."
            }
            @if is_filtered {
                (pagination.links("quotas", "quotas", query_of_page))
            } @else if pagination.pages > 1 {
                p.more { a href={ (all.link()) "#quotas" } { "Show all " (pluralize(rows.len(), "quota")) " used up" } }
            }
        }
    }
}

fn quota_row(context: Context<'_>, target: &TargetRow, concern: &Concern) -> Markup {
    let syncs = target.assessed.syncs().map(|sync| sync.sync);
    let mut by_owner: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for sync in syncs.filter(|sync| sync.sync_type == concern.sync_type) {
        by_owner.entry(owner(sync.managed_by())).or_default().push(sync);
    }
    html! {
        tr {
            td.status { (quota_used_badge()) }
            th.where scope="row" {
                (account(&target.account, target.account_name(), context.query))
                span.region { (target.region()) }
                (console(target.region(), &concern.sync_type))
            }
            td {
                @if let Some((used, limit)) = concern.quota {
                    (used) " of " (limit) " syncs " (direction(&concern.sync_type))
                }
                ul.owners {
                    @for (owner, syncs) in by_owner {
                        li {
                            span.sub { (owner) ": " }
                            @for (index, sync) in syncs.iter().take(MAX_NAMES).enumerate() {
                                @if index > 0 { ", " }
                                a href=(sync_link(&target.account, target.region(), sync)) { (untrusted(&sync.name)) }
                            }
                            @if syncs.len() > MAX_NAMES { " and " (syncs.len() - MAX_NAMES) " more" }
                        }
                    }
                }
            }
        }
    }
}

/// The number of syncs of one owner that are named.
const MAX_NAMES: usize = 10;

fn owner(managed_by: ManagedBy) -> &'static str {
    match managed_by {
        ManagedBy::Customer => "Yours",
        ManagedBy::Inspector => "Amazon Inspector",
        ManagedBy::LicenseManager => "License Manager",
        ManagedBy::QuickSetup => "Quick Setup",
    }
}

fn direction(sync_type: &SyncType) -> Markup {
    html! {
        @match sync_type {
            SyncType::ToDestination => { "to a bucket" },
            SyncType::FromSource => { "from a source" },
            SyncType::Unknown(other) => { "of type " (untrusted(other)) },
        }
    }
}

/// The concerns that are no trouble.
pub(super) fn notes(context: Context<'_>) -> Markup {
    let Context { overview, query, .. } = context;
    let of_kind = |kind: ConcernKind| (kind, overview.concerns(query, kind));
    let kinds = ConcernKind::ALL.iter().copied().filter(|kind| !kind.is_trouble());
    let notes: Vec<_> = kinds.map(of_kind).filter(|(_, rows)| !rows.is_empty()).collect();
    html! {
        @if !notes.is_empty() {
            section #notes aria-labelledby="notes-heading" {
                h2 #notes-heading { "Notes on quotas, nodes and costs" }
                ul {
                    @for (kind, rows) in &notes { li { (note(context, *kind, rows)) } }
                }
            }
        }
    }
}

fn note(context: Context<'_>, kind: ConcernKind, rows: &[(&TargetRow, &Concern)]) -> Markup {
    let all = PageQuery { health: Some(HealthFilter::Concern(kind)), ..context.query.first_pages() };
    html! {
        h3 { a href={ (all.link()) "#targets" } { (concern_label(kind)) } " " span.total { (with_commas(rows.len())) } }
        p.hint { (concern_meaning(kind)) " " (runbook(Alert::of_concern(kind))) }
        p.examples {
            @for (index, (target, concern)) in rows.iter().take(MAX_EXAMPLES).enumerate() {
                @if index > 0 { "; " }
                @if let Some(sync) = concern.sync.and_then(|index| target.assessed.syncs().nth(index)) {
                    a href=(sync_link(&target.account, target.region(), sync.sync)) { (untrusted(&sync.sync.name)) } " in "
                } @else if let Some(name) = concern.missing_sync() {
                    @let sync = DataSync::new(concern.sync_type.clone(), name.to_owned());
                    a href=(sync_link(&target.account, target.region(), &sync)) { (name) } " in "
                }
                (untrusted(target.account_name().unwrap_or(&target.account))) ", " (target.region())
                @if let Some((used, limit)) = concern.quota {
                    ": " (used) " of " (limit) " syncs " (direction(&concern.sync_type))
                }
            }
            @if rows.len() > MAX_EXAMPLES { "; and " (with_commas(rows.len() - MAX_EXAMPLES)) " more" }
        }
    }
}
