//! The overview as HTML.
//!
//! Nothing is decided here but how it looks. There is no markup but what `maud`
//! makes, no style and no script but those of the assets, and every link is
//! relative, so that the page works below any path of a proxy.

mod about;
mod grid;
mod overview;
mod parts;
mod syncs;
mod targets;

use maud::{DOCTYPE, Markup, html};

use super::Source;
use super::overview::Overview;
use super::query::Query;

/// What the sections need to know.
#[derive(Clone, Copy)]
struct View<'a> {
    source: &'a Source,
    overview: &'a Overview,
    query: &'a Query,
}

/// The whole page.
pub(super) fn page(source: &Source, overview: &Overview, query: &Query) -> Markup {
    let view = View { source, overview, query };
    let mark = &source.mark;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (overview::title(overview)) }
                link rel="icon" type="image/svg+xml" href={ "./-/status.svg?" (mark) };
                link rel="stylesheet" href={ "./-/status.css?" (mark) };
                // Not deferred: the theme is to be there before anything is drawn.
                script src={ "./-/status.js?" (mark) } {}
            }
            body {
                (parts::sprite())
                a.skip href="#main" { "Skip to the content" }
                (overview::header(view))
                main #main {
                    (overview::verdict(view))
                    (overview::tiles(view))
                    (overview::filter(view))
                    (syncs::section(view))
                    (targets::causes(view))
                    @if query.is_filter() { (targets::list(view)) }
                    (grid::section(view))
                    (about::section(view))
                }
            }
        }
    }
}
