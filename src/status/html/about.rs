//! The sections about the exporter itself: version, state and configuration.

use std::time::Duration;

use maud::{Markup, html};

use super::Context;
use super::components::when;
use crate::build_info::{REVISION, RUSTC_VERSION, VERSION};
use crate::duration;
use crate::model::UnixSeconds;
use crate::status::query::PageQuery;
use crate::status::text::{pluralize, with_commas};
use crate::status::timestamp::Timestamp;

/// The maximum length of the configuration that is shown by default, in bytes. With a
/// thousand accounts, the configuration would make up most of the page.
const CONFIGURATION_EXCERPT: usize = 32 * 1024;

pub(super) fn section(context: Context<'_>) -> Markup {
    let Context { state, overview, query, .. } = context;
    let configuration = state.configuration.load();
    let text = configuration.text.as_str();
    let shown = if query.show_whole_configuration { text } else { excerpt(text) };
    let whole = PageQuery { show_whole_configuration: true, ..query.clone() };
    let uptime = Duration::try_from_secs_f64(overview.now - state.started).unwrap_or_default();
    let stats = &state.store.stats;
    html! {
        section #about aria-labelledby="about-heading" {
            h2 #about-heading { "About this exporter" }
            dl {
                div { dt { "Version" } dd { (VERSION) } }
                div { dt { "Revision" } dd { code { (REVISION) } } }
                div { dt { "Compiler" } dd { "rustc " (RUSTC_VERSION) } }
                div { dt { "Uptime" } dd { (duration::format(uptime)) } }
                @if state.info.shard.is_one_of_many() {
                    @let (index, total) = (state.info.shard.index(), state.info.shard.total());
                    div { dt { "Shard" } dd { "index " (index) " of " (total) "; targets of other shards are not shown" } }
                }
                div { dt { "Collections running now" } dd { (with_commas(stats.in_flight())) } }
                div { dt { "Collections skipped because the previous one took too long" } dd { (stats.overruns()) } }
                div { dt { "Page generated" } dd { (time(overview.now)) } }
                div { dt { "Configuration loaded" } dd { (when(Some(configuration.loaded_at), overview.now, "")) } }
            }
            h3 { "Effective configuration" }
            p.hint { "The file and the environment, merged with the defaults. Secrets are masked. Command-line flags are not included." }
            details.configuration #configuration open[query.show_whole_configuration] {
                summary { (pluralize(text.lines().count(), "line")) " of YAML" }
                pre tabindex="0" { code { (shown) } }
                @if shown.len() < text.len() {
                    p { a href={ (whole.link()) "#configuration" } { "Show the whole configuration" } " (" (with_commas(text.len() / 1024)) " kB)" }
                }
            }
        }
        footer {
            p {
                a href={ "." (state.info.telemetry_path) } { "Metrics" } " · "
                a href="./-/ready" { "Ready" } " · "
                a href="./-/healthy" { "Healthy" } " · "
                a href="https://docs.aws.amazon.com/systems-manager/latest/userguide/inventory-resource-data-sync.html" rel="noreferrer" {
                    "AWS documentation on resource data syncs"
                }
            }
        }
    }
}

/// The time without the age that [`when`] adds.
fn time(at: UnixSeconds) -> Markup {
    let Some(Timestamp { rfc3339, short, .. }) = Timestamp::new(at, at) else { return html! {} };
    html! { time datetime=(rfc3339) { (short) } }
}

/// The first lines of the configuration, without a partial line at the end.
fn excerpt(text: &str) -> &str {
    if text.len() <= CONFIGURATION_EXCERPT {
        return text;
    }
    // In UTF-8 the byte `\n` is never part of another character, so the excerpt ends between
    // two characters.
    let end = text.as_bytes()[..CONFIGURATION_EXCERPT].iter().rposition(|byte| *byte == b'\n');
    end.and_then(|end| text.get(..=end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_configuration_is_cut_between_lines() {
        assert_eq!(excerpt("a: b\n"), "a: b\n");
        let long = "é: öü\n".repeat(10_000);
        let cut = excerpt(&long);
        assert!(cut.len() <= CONFIGURATION_EXCERPT && cut.len() > CONFIGURATION_EXCERPT - 10);
        assert!(cut.ends_with("öü\n"));
        assert_eq!(excerpt(&"x".repeat(CONFIGURATION_EXCERPT + 1)), "");
    }
}
