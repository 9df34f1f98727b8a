//! The header of the page.

use maud::{Markup, html};

use super::Context;

/// The header: links, and the choice of the theme.
pub(super) fn header(context: Context<'_>) -> Markup {
    html! {
        header.top {
            p.brand { a href="?" { "SSM Sync Exporter" } span.sub { "AWS Systems Manager resource data syncs" } }
            nav aria-label="Exporter" {
                a href={ "." (context.state.info.telemetry_path) } { "Metrics" }
                a href="./-/ready" { "Ready" }
                a href="./-/healthy" { "Healthy" }
                a href="#about" { "About" }
            }
            (settings())
        }
    }
}

/// The choice of the theme, which the script shows and needs on every page.
pub(super) fn settings() -> Markup {
    html! {
        div.settings #settings hidden {
            label { "Theme " select #theme {
                option value="auto" { "Auto" }
                option value="light" { "Light" }
                option value="dark" { "Dark" }
            } }
        }
    }
}
