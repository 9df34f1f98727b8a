//! Renders the overview as HTML. This module decides only the presentation.
//!
//! `maud` builds all markup. Styles and scripts come only from the assets, and every link is
//! relative, so the page works behind a proxy under any path.

mod about;
mod components;
mod grid;
mod summary;
mod sync_fields;
mod sync_missing;
mod sync_page;
mod syncs;
mod targets;
mod what_to_do;

use maud::{DOCTYPE, Markup, html};

pub(super) use sync_missing::{invalid_page, missing_page};
pub(super) use sync_page::sync_page;

use components::sprite;

use super::PageState;
use super::overview::FleetOverview;
use super::query::PageQuery;

/// The inputs of every section.
#[derive(Clone, Copy)]
struct Context<'a> {
    state: &'a PageState,
    overview: &'a FleetOverview,
    query: &'a PageQuery,
}

pub(super) fn page(state: &PageState, overview: &FleetOverview, query: &PageQuery) -> Markup {
    let context = Context { state, overview, query };
    let body = html! {
        (sprite())
        a.skip href="#main" { "Skip to main content" }
        (summary::header(context))
        main #main {
            (summary::headline(context))
            (summary::tiles(context))
            (summary::filter(context))
            (syncs::section(context))
            (targets::failures(context))
            @if query.has_filter() { (targets::list(context)) }
            (grid::section(context))
            (about::section(context))
        }
    };
    document(state, &summary::title(overview), &body)
}

/// A page with its assets.
fn document(state: &PageState, title: &str, content: &Markup) -> Markup {
    let version = &state.asset_version;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" type="image/svg+xml" href={ "./-/status.svg?" (version) };
                link rel="stylesheet" href={ "./-/status.css?" (version) };
                // The script is not deferred: it sets the theme before the page is first drawn.
                script src={ "./-/status.js?" (version) } {}
            }
            body { (content) }
        }
    }
}
