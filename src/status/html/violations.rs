//! The list of what is not as expected.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::Context;
use super::components::{NOT_AS_EXPECTED, Pagination, account, backticks_to_code, console, untrusted};
use super::expectation_labels::{difference, state_badge, state_label};
use crate::expectations::{ExpectationState, Field, ViolationSubject};
use crate::health::{Alert, remedy};
use crate::status::overview::ViolationRow;
use crate::status::query::{HealthFilter, PageQuery, Pages};
use crate::status::sync_link::named_sync_link;
use crate::status::text::{pluralize, with_commas};

const PER_PAGE: usize = 25;

/// The number of violations that are shown without a filter by this status.
const MAX_UNFILTERED: usize = 8;

pub(super) fn section(context: Context<'_>) -> Markup {
    let Context { overview, query, .. } = context;
    let rows = overview.violations(query);
    if rows.is_empty() {
        return html! {};
    }
    let is_filtered = query.health == Some(HealthFilter::NotAsExpected);
    let (page, per_page) = if is_filtered { (query.pages.violations, PER_PAGE) } else { (0, MAX_UNFILTERED) };
    let pagination = Pagination::new(page, rows.len(), per_page);
    let all = PageQuery { health: Some(HealthFilter::NotAsExpected), ..query.first_pages() };
    let query_of_page =
        |violations| PageQuery { pages: Pages { violations, ..query.pages }, ..query.clone() };
    html! {
        section #violations aria-labelledby="violations-heading" {
            h2 #violations-heading { (NOT_AS_EXPECTED) " " span.total { (with_commas(rows.len())) } }
            p.hint { span.order { "Forbidden syncs first, then missing ones. " } (runbooks(&rows)) }
            table.list {
                thead { tr {
                    th.status scope="col" { "Status" }
                    th.sync scope="col" { "Sync, and what differs" }
                    th.where scope="col" { "Account and region" }
                } }
                tbody { @for row in pagination.slice(&rows) { (table_row(context, row)) } }
            }
            @if is_filtered {
                (pagination.links("violations", "violations", query_of_page))
            } @else if pagination.pages > 1 {
                p.more { a href={ (all.link()) "#violations" } { "Show all " (pluralize(rows.len(), "violation")) } }
            }
        }
    }
}

/// Links to the sections of the runbook about the violations, on all pages of the list.
fn runbooks(rows: &[ViolationRow<'_>]) -> Markup {
    let states: BTreeSet<ExpectationState> = rows.iter().map(ViolationRow::state).collect();
    let alerts = states.into_iter().filter_map(|state| Some((state, Alert::of_violation(state)?)));
    html! {
        @for (index, (state, alert)) in alerts.enumerate() {
            @if index == 0 { "Runbook: " } @else { " · " }
            a href=(alert.runbook_url()) rel="noreferrer" { (state_label(state)) }
        }
    }
}

fn table_row(context: Context<'_>, row: &ViolationRow<'_>) -> Markup {
    let ViolationRow { target, expectation, .. } = *row;
    let subject = row.subject();
    let only_this = PageQuery { expectation: expectation.name.clone(), ..context.query.first_pages() };
    let sync_type = &expectation.request.sync_type;
    let differences: Vec<_> = row.differences().collect();
    let field = differences.first().map_or(Field::Presence, |difference| difference.field);
    let advice = remedy::for_violation(&target.assessed, expectation, subject, field);
    html! {
        tr {
            td.status { (state_badge(row.state())) }
            td.sync {
                (sync(row))
                span.sub { "expectation " a href=(only_this.link()) { (expectation.name) } }
                @match field {
                    Field::Presence => p { "There is no such sync." },
                    Field::Forbidden => p { "This sync must not exist." },
                    _ => {
                        @if matches!(subject, ViolationSubject::Closest(_)) {
                            p { "No sync is as described. This one has the fewest differences:" }
                        }
                        dl.differences { @for it in &differences { (difference(it)) } }
                    },
                }
                details.advice { summary { "What to do" } p { (backticks_to_code(advice.remedy)) } }
            }
            td.where {
                (account(&target.account, target.account_name(), context.query))
                span.region { (target.region()) }
                (console(target.region(), sync_type))
            }
        }
    }
}

/// The sync that violates the expectation, with a link to its page. A missing sync has a page as well,
/// which says how to create it.
fn sync(row: &ViolationRow<'_>) -> Markup {
    let ViolationRow { target, expectation, .. } = row;
    let sync_type = &expectation.request.sync_type;
    let existing = row.sync().map(|sync| sync.sync.name.clone());
    let wanted = || row.differences().find_map(|difference| difference.sync_name);
    html! {
        @if let Some(name) = existing.or_else(|| wanted().map(Into::into)) {
            a.name href=(named_sync_link(&target.account, target.region(), sync_type, &name)) { (untrusted(&name)) }
        } @else if expectation.request.names.is_empty() {
            span.name { "any " (sync_type) }
        } @else {
            span.name {
                @for (index, name) in expectation.request.names.iter().enumerate() {
                    @if index > 0 { " or " }
                    (untrusted(&name.to_string()))
                }
            }
        }
    }
}
