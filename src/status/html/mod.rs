//! The overview as HTML. Only the presentation is decided here.
//!
//! All markup is built by `maud`. Styles and scripts are only those of the assets, and every
//! link is relative, so that the page works behind a proxy under any path.

mod about;
mod components;
mod grid;
mod summary;
mod syncs;
mod targets;

use maud::{DOCTYPE, Markup, html};

use super::PageState;
use super::overview::FleetOverview;
use super::query::PageQuery;

/// What each section is rendered from.
#[derive(Clone, Copy)]
struct Context<'a> {
    state: &'a PageState,
    overview: &'a FleetOverview,
    query: &'a PageQuery,
}

pub(super) fn page(state: &PageState, overview: &FleetOverview, query: &PageQuery) -> Markup {
    let context = Context { state, overview, query };
    let version = &state.asset_version;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (summary::title(overview)) }
                link rel="icon" type="image/svg+xml" href={ "./-/status.svg?" (version) };
                link rel="stylesheet" href={ "./-/status.css?" (version) };
                // Not deferred: it sets the theme before the page is first drawn.
                script src={ "./-/status.js?" (version) } {}
            }
            body {
                (components::sprite())
                a.skip href="#main" { "Skip to main content" }
                (summary::header(context))
                main #main {
                    (summary::verdict(context))
                    (summary::tiles(context))
                    (summary::filter(context))
                    (syncs::section(context))
                    (targets::failures(context))
                    @if query.is_filter() { (targets::list(context)) }
                    (grid::section(context))
                    (about::section(context))
                }
            }
        }
    }
}
