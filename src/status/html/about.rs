//! About the exporter itself.

use maud::{Markup, html};

use super::View;
use super::parts::{count, grouped, when};
use crate::build_info::{REVISION, RUSTC_VERSION, VERSION};
use crate::model::UnixSeconds;
use crate::status::query::Query;
use crate::status::time::{Moment, length};

/// How much of the configuration is shown unless all is asked for, in bytes: with
/// a thousand accounts in it, it would be most of the page.
const CONFIGURATION: usize = 32 * 1024;

pub(super) fn section(view: View<'_>) -> Markup {
    let View { source, overview, query } = view;
    let configured = source.configured.load();
    let text = configured.text.as_str();
    let shown = if query.whole_configuration { text } else { beginning(text) };
    let whole = Query { whole_configuration: true, ..query.clone() };
    let stats = &source.store.stats;
    html! {
        section #about aria-labelledby="about-heading" {
            h2 #about-heading { "About this exporter" }
            dl {
                div { dt { "Version" } dd { (VERSION) } }
                div { dt { "Revision" } dd { code { (REVISION) } } }
                div { dt { "Compiler" } dd { "rustc " (RUSTC_VERSION) } }
                div { dt { "Running for" } dd { (length(overview.now - source.started)) } }
                @if source.about.shard.is_one_of_many() {
                    @let (index, total) = (source.about.shard.index(), source.about.shard.total());
                    div { dt { "Shard" } dd { "index " (index) " of " (total) ": the targets of the others are not shown here" } }
                }
                div { dt { "Collections under way" } dd { (grouped(stats.in_flight())) } }
                div { dt { "Turns missed" } dd { (stats.overruns()) } }
                div { dt { "This page" } dd { "as of " (exactly(overview.now)) } }
                div { dt { "Configuration" } dd { "loaded " (when(Some(configured.at), overview.now, "")) } }
            }
            h3 { "Configuration in force" }
            p.hint { "File and environment together, with defaults; secrets are masked. Flags are not part of it." }
            details.configuration #configuration open[query.whole_configuration] {
                summary { (count(text.lines().count(), "line")) " of YAML" }
                pre tabindex="0" { code { (shown) } }
                @if shown.len() < text.len() {
                    p { a href={ (whole.link()) "#configuration" } { "Show all of it" } " (" (grouped(text.len() / 1024)) " kB)" }
                }
            }
        }
        footer {
            p {
                a href={ "." (source.about.telemetry_path) } { "Metrics" } " · "
                a href="./-/ready" { "Ready" } " · "
                a href="./-/healthy" { "Healthy" } " · "
                a href="https://docs.aws.amazon.com/systems-manager/latest/userguide/inventory-resource-data-sync.html" rel="noreferrer" {
                    "AWS on resource data syncs"
                }
            }
        }
    }
}

/// A moment that is now.
fn exactly(at: UnixSeconds) -> Markup {
    let Some(Moment { exact, at, .. }) = Moment::new(at, at) else { return html! {} };
    html! { time datetime=(exact) { (at) } }
}

/// Whole lines from the beginning.
fn beginning(text: &str) -> &str {
    if text.len() <= CONFIGURATION {
        return text;
    }
    // A line break is a character of its own in UTF-8.
    let end = text.as_bytes()[..CONFIGURATION].iter().rposition(|byte| *byte == b'\n');
    end.and_then(|end| text.get(..=end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_configuration_is_cut_between_lines() {
        assert_eq!(beginning("a: b\n"), "a: b\n");
        let long = "é: öü\n".repeat(10_000);
        let cut = beginning(&long);
        assert!(cut.len() <= CONFIGURATION && cut.len() > CONFIGURATION - 10);
        assert!(cut.ends_with("öü\n"));
        assert_eq!(beginning(&"x".repeat(CONFIGURATION + 1)), "");
    }
}
