//! The filter of the page.

use maud::{Markup, html};

use super::Context;
use super::components::{NOT_AS_EXPECTED, concern_label, label};
use crate::status::query::HealthFilter;

pub(super) fn form(context: Context<'_>) -> Markup {
    let Context { overview, query, .. } = context;
    let selected_region = query.region.as_ref();
    html! {
        form.filter method="get" action="./" role="search" aria-label="Filter" {
            label.wide { span { "Search" }
                input #q type="search" name="q" value=(query.search) placeholder="sync, bucket or message" autocomplete="off"
                    spellcheck="false" maxlength="200" aria-keyshortcuts="/" title="Press / to search";
            }
            label { span { "Account" }
                input type="search" name="account" value=(query.account) placeholder="id or name" autocomplete="off"
                    spellcheck="false" maxlength="200";
            }
            label { span { "Region" }
                select name="region" {
                    option value="" { "All" }
                    // A link may name a region that is no longer polled.
                    @if let Some(region) = selected_region.filter(|region| !overview.regions.contains(*region)) {
                        option value=(region) selected { (region) }
                    }
                    @for region in &overview.regions {
                        option value=(region) selected[selected_region == Some(region)] { (region) }
                    }
                }
            }
            label { span { "Status" }
                select name="status" {
                    option value="" { "All" }
                    @for filter in HealthFilter::all().filter(|filter| is_offered(context, *filter)) {
                        option value=(filter.as_str()) selected[query.health == Some(filter)] { (filter_label(filter)) }
                    }
                }
            }
            @if !query.expectation.is_empty() {
                label { span { "Expectation" }
                    select name="expectation" {
                        option value="" { "All" }
                        option value=(query.expectation) selected { (query.expectation) }
                    }
                }
            }
            @if let Some(reason) = query.reason {
                label { span { "Reason" }
                    select name="reason" {
                        option value="" { "All" }
                        option value=(reason) selected { (reason) }
                    }
                }
            }
            button type="submit" { "Filter" }
            @if query.has_filter() { a.clear href="?" { "Clear" } }
        }
    }
}

/// Filters by managed nodes are offered only if there are lookups, or if the URL already has one.
fn is_offered(context: Context<'_>, filter: HealthFilter) -> bool {
    let is_about_nodes = matches!(filter, HealthFilter::NoManagedNodes | HealthFilter::ManagedNodesUnknown);
    !is_about_nodes || context.overview.managed_nodes.is_some() || context.query.health == Some(filter)
}

fn filter_label(filter: HealthFilter) -> &'static str {
    match filter {
        HealthFilter::AnyProblem => "Any problem",
        HealthFilter::Only(health) => label(health),
        HealthFilter::NotAsExpected => NOT_AS_EXPECTED,
        HealthFilter::Concern(kind) => concern_label(kind),
        HealthFilter::NoManagedNodes => "No managed nodes",
        HealthFilter::ManagedNodesUnknown => "Managed nodes unknown",
    }
}
