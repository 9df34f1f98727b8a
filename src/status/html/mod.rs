//! Renders the overview as HTML. This module decides only the presentation.
//!
//! `maud` builds all markup. Styles and scripts come only from the assets, and every link is
//! relative, so the page works behind a proxy under any path.

mod about;
mod components;
mod concerns;
mod expectation_labels;
mod expectations;
mod failures;
mod filter;
mod grid;
mod header;
mod managed_nodes;
mod nothing_found;
mod summary;
mod sync_expectations;
mod sync_fields;
mod sync_missing;
mod sync_page;
mod syncs;
mod targets;
mod tiles;
mod violations;
mod what_to_do;

use maud::{DOCTYPE, Markup, html};

pub(super) use sync_missing::{invalid_page, missing_page};
pub(super) use sync_page::sync_page;

use components::sprite;

use super::PageState;
use super::notice::Notice;
use super::overview::FleetOverview;
use super::query::PageQuery;
use super::timestamp::Timestamp;
use super::verdict::Verdict;
use crate::model::UnixSeconds;

/// The inputs of every section.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) state: &'a PageState,
    pub(super) overview: &'a FleetOverview,
    pub(super) query: &'a PageQuery,
    pub(super) verdict: &'a Verdict,
    pub(super) notices: &'a [Notice<'a>],
}

pub(super) fn page(context: Context<'_>) -> Markup {
    let Context { state, query, verdict, .. } = context;
    let body = html! {
        (sprite())
        a.skip href="#main" { "Skip to main content" }
        (header::header(context))
        main #main {
            (summary::headline(context))
            (tiles::section(context))
            (filter::form(context))
            @if !query.has_filter() { (nothing_found::section(context)) }
            (syncs::section(context))
            (failures::section(context))
            (violations::section(context))
            (expectations::section(context))
            (concerns::troubles(context))
            (managed_nodes::failures(context))
            @if query.has_filter() { (targets::list(context)) }
            (concerns::notes(context))
            (grid::section(context))
            (about::section(context))
        }
    };
    document(state, &verdict.title, &body)
}

/// Says that nothing on the page is from AWS now. The clock of a replay stands still, so `recorded` is the
/// time of the recording.
fn replay_notice(recorded: UnixSeconds) -> Markup {
    html! {
        p.replay role="note" {
            strong { "Replay of a recording" }
            @if let Some(Timestamp { rfc3339, exact, .. }) = Timestamp::new(recorded, recorded) {
                " of " time datetime=(rfc3339) { (exact) }
            }
            ": nothing is sent to AWS, and all times are as of then."
        }
    }
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
                title { @if state.info.is_replay { "Replay · " } (title) }
                link rel="icon" type="image/svg+xml" href={ "./-/status.svg?" (version) };
                link rel="stylesheet" href={ "./-/status.css?" (version) };
                // The script is not deferred: it sets the theme before the page is first drawn.
                script src={ "./-/status.js?" (version) } {}
            }
            body { @if state.info.is_replay { (replay_notice(state.started)) } (content) }
        }
    }
}
