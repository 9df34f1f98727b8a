//! The list of expectations, and for how many targets each is met.

use maud::{Markup, html};

use super::Context;
use super::components::{Pagination, icon, runbook};
use super::expectation_labels::{state_label, state_mark, state_meaning, subject};
use crate::expectations::ExpectationState;
use crate::health::Alert;
use crate::status::overview::ExpectationRow;
use crate::status::query::{HealthFilter, PageQuery, Pages};
use crate::status::text::with_commas;
use crate::status::verdict::Mark;

const PER_PAGE: usize = 10;

/// All expectations with their counts over all targets. It is left out under a filter that is not about
/// expectations.
pub(super) fn section(context: Context<'_>) -> Markup {
    let Context { overview, query, .. } = context;
    let is_about_expectations =
        query.health == Some(HealthFilter::NotAsExpected) || !query.expectation.is_empty();
    let rows = overview.expectations();
    if rows.is_empty() || (query.has_filter() && !is_about_expectations) {
        return html! {};
    }
    let pagination = Pagination::new(query.pages.expectations, rows.len(), PER_PAGE);
    let query_of_page =
        |expectations| PageQuery { pages: Pages { expectations, ..query.pages }, ..query.clone() };
    html! {
        section #expectations aria-labelledby="expectations-heading" {
            h2 #expectations-heading { "Expectations " span.total { (with_commas(rows.len())) } }
            p.hint {
                "The syncs that the configuration expects, and how the targets compare. A target is unknown while it is \
                 not known which syncs it has, or whether the expectation is about it."
            }
            table.list.expectations {
                thead { tr {
                    th scope="col" { "Expectation" }
                    @for state in ExpectationState::ALL {
                        th.number scope="col" title=(state_meaning(*state)) { (state_label(*state)) }
                    }
                } }
                tbody { @for row in pagination.slice(&rows) { (table_row(context, *row)) } }
            }
            (pagination.links("expectations", "expectations", query_of_page))
        }
    }
}

fn table_row(context: Context<'_>, row: ExpectationRow<'_>) -> Markup {
    let ExpectationRow { expectation, totals, matches_nothing } = row;
    let is_one_of_many_shards = context.state.info.shard.is_one_of_many();
    let of_this = || PageQuery { expectation: expectation.name.clone(), ..PageQuery::default() };
    let violated = || PageQuery { health: Some(HealthFilter::NotAsExpected), ..of_this() };
    html! {
        tr {
            th.sync scope="row" {
                a.name href={ (of_this().link()) } { (expectation.name) }
                span.sub { (subject(expectation)) }
                @if matches_nothing && is_one_of_many_shards {
                    p.raw { "About no target of this shard." }
                } @else if matches_nothing {
                    p.marked {
                        (icon(Mark::Warning))
                        span {
                            "About no target: its accounts, units or regions are probably misspelt. "
                            (runbook(Alert::SsmSyncExpectationMatchesNothing))
                        }
                    }
                }
            }
            @for state in ExpectationState::ALL {
                @let number = totals.targets(*state) as usize;
                @let query = if state.is_violation() { violated() } else { of_this() };
                td.number data-label=(state_label(*state)) {
                    @if number == 0 { span.none { "0" } }
                    @else if *state == ExpectationState::Met { (with_commas(number)) }
                    @else {
                        a class={ "badge " (state_mark(*state).as_str()) } href=(query.link()) {
                            (icon(state_mark(*state))) (with_commas(number))
                        }
                    }
                }
            }
        }
    }
}
