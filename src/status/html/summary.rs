//! The top of the page: a headline that sums up the fleet, the counts by health, and the
//! filter.

use maud::{Markup, html};

use super::Context;
use super::components::{
    backticks_to_code, concern_label, icon, label, meaning, pluralize, untrusted, with_commas,
};
use crate::fleet::FailingLookups;
use crate::health::remedy::for_reason;
use crate::health::{Health, HealthCounts};
use crate::model::Failure;
use crate::status::overview::FleetOverview;
use crate::status::query::{HealthFilter, PageQuery};

/// The page header: links, and settings that are shown only if the script runs.
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
            div.settings #settings hidden {
                label { input #refresh type="checkbox"; " Refresh every 30s" }
                label { "Theme " select #theme {
                    option value="auto" { "Auto" }
                    option value="light" { "Light" }
                    option value="dark" { "Dark" }
                } }
            }
        }
    }
}

/// The title of the browser tab. The number of problems comes first, because narrow tabs
/// truncate the title.
pub(super) fn title(overview: &FleetOverview) -> String {
    match overview.sync_counts.problems() + overview.target_counts.get(Health::Down) {
        0 => "SSM Sync Exporter".to_owned(),
        problems => format!("({}) SSM Sync Exporter", with_commas(problems)),
    }
}

/// The headline, with notes on targets that may be missing and on ignored parameters.
pub(super) fn headline(context: Context<'_>) -> Markup {
    let Context { state, overview, query } = context;
    let (health, text) = headline_text(overview, state.info.shard.is_one_of_many());
    let not_collected = overview.target_counts.get(Health::NotCollected);
    html! {
        section class={ "headline " (health.as_str()) } aria-label="Summary" {
            h1 { (icon(health)) span { (backticks_to_code(&text)) } }
            @if not_collected > 0 && not_collected < overview.targets.len() {
                p { "Not collected yet: " (with_commas(not_collected)) " of " (pluralize(overview.targets.len(), "target")) "." }
            }
            @if overview.pending_lookups > 0 {
                p { "Discovery of accounts or regions has not finished, so targets may be missing." }
            }
            (failing_lookups_notes(&overview.failing_lookups))
            @for note in &query.notes { p.note { (note) } }
        }
    }
}

/// The discovery lookups that failed. Without these notes, everything could look healthy
/// while targets are missing.
fn failing_lookups_notes(FailingLookups { organization, units, accounts }: &FailingLookups) -> Markup {
    html! {
        @if let Some(Failure { reason, message, .. }) = organization {
            p.note {
                strong { "Cannot list the accounts of the organization" }
                " (" (reason) "), so new accounts may be missing: " (untrusted(message)) ". "
                (backticks_to_code(for_reason(*reason).remedy))
            }
        }
        @if let Some(Failure { reason, message, .. }) = units {
            p.note {
                strong { "Cannot list the organizational units of the configuration" }
                " (" (reason) "), so what depends on them may be unknown or outdated: " (untrusted(message)) ". "
                (backticks_to_code(for_reason(*reason).remedy))
            }
        }
        @if *accounts > 0 {
            p.note {
                strong { "Cannot list the enabled regions of " (pluralize(*accounts, "account")) }
                ", so regions may be missing. Allow account:ListRegions in the role's policy, or list the regions in "
                code { "regions" } "."
            }
        }
    }
}

/// The headline, and the health that determines its icon and colour. Having no targets is
/// normal for one of several shards, and otherwise a problem.
fn headline_text(overview: &FleetOverview, is_one_of_many_shards: bool) -> (Health, String) {
    let (targets, syncs) = (overview.targets.len(), overview.sync_counts.total());
    let collected = targets - overview.target_counts.get(Health::NotCollected);
    let occurs =
        |health: &Health| overview.target_counts.get(*health) + overview.sync_counts.get(*health) > 0;
    let worst = Health::ALL.iter().copied().filter(|health| health.is_problem()).find(occurs);
    if let Some(worst) = worst {
        return (worst, problems_text(overview));
    }
    let text = match (targets, collected) {
        (0, _) if overview.failing_lookups.organization.is_some() => {
            return (Health::Down, "No targets known: discovery is failing.".to_owned());
        }
        (0, _) if overview.pending_lookups > 0 => "No targets known yet: discovery is running.".to_owned(),
        (0, _) if is_one_of_many_shards => {
            return (Health::NoSyncs, "No targets belong to this shard.".to_owned());
        }
        (0, _) => {
            let text = "No targets to poll. Check `accounts`, `organization` and `regions` in the configuration, and the \
                        exporter's shard.";
            return (Health::SourceFault, text.to_owned());
        }
        (_, 0) => format!("Waiting for the first collection of {}.", pluralize(targets, "target")),
        _ => {
            let discovery_is_complete =
                overview.pending_lookups == 0 && *overview.failing_lookups == FailingLookups::default();
            let is_complete = collected == targets && discovery_is_complete;
            let no_problems = if is_complete { "No problems" } else { "No problems so far" };
            let collected = pluralize(collected, "target");
            let text = match syncs {
                0 => format!("{no_problems}: no syncs in {collected}."),
                _ => format!("{no_problems}: {} in {collected}.", pluralize(syncs, "sync")),
            };
            return (if is_complete { Health::Healthy } else { Health::NotCollected }, text);
        }
    };
    (Health::NotCollected, text)
}

/// The numbers of problems in one sentence.
fn problems_text(overview: &FleetOverview) -> String {
    let mut text = String::new();
    for (health, singular, plural) in [
        (Health::Failed, "failed", "failed"),
        (Health::SourceFault, "has a source fault", "have source faults"),
        (Health::Stale, "is stale", "are stale"),
    ] {
        let number = overview.sync_counts.get(health);
        let predicate = if number == 1 { singular } else { plural };
        match (number, text.as_str()) {
            (0, _) => {}
            (_, "") => text = format!("{} {predicate}", pluralize(number, "sync")),
            _ => text = format!("{text}, {} {predicate}", with_commas(number)),
        }
    }
    let down = overview.target_counts.get(Health::Down);
    if down > 0 {
        let separator = if text.is_empty() { "" } else { "; " };
        let verb = if down == 1 { "is" } else { "are" };
        let targets = pluralize(overview.targets.len(), "target");
        text = format!("{text}{separator}{} of {targets} {verb} down", with_commas(down));
    }
    text + "."
}

/// The number of syncs or targets with each health. Each number links to the list of them.
pub(super) fn tiles(context: Context<'_>) -> Markup {
    let Context { overview, .. } = context;
    html! {
        div.tiles {
            (tile_group(context, "Syncs", &overview.sync_counts, overview.sync_counts.total(), &Health::SYNC_VALUES))
            (tile_group(context, "Targets", &overview.target_counts, overview.targets.len(), &Health::TARGET_ONLY_VALUES))
        }
    }
}

fn tile_group(
    context: Context<'_>,
    heading: &str,
    counts: &HealthCounts,
    total: usize,
    shown: &[Health],
) -> Markup {
    html! {
        section.group aria-label=(heading) {
            h2 { (heading) " " span.total { (with_commas(total)) } }
            ul {
                @for health in shown {
                    @let filter = Some(HealthFilter::Only(*health));
                    @let number = counts.get(*health);
                    @let query = PageQuery { health: filter, ..PageQuery::default() };
                    li {
                        a class={ "tile " (health.as_str()) @if number == 0 { " zero" } }
                            href=(query.link()) title=(meaning(*health))
                            aria-current=[(context.query.health == filter).then_some("true")] {
                            span.number { (with_commas(number)) }
                            span.word { (icon(*health)) (label(*health)) }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn filter(context: Context<'_>) -> Markup {
    let Context { overview, query, .. } = context;
    let selected_region = query.region.as_ref();
    html! {
        form.filter method="get" action="./" role="search" aria-label="Filter" {
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
                    @for filter in HealthFilter::all() {
                        option value=(filter.as_str()) selected[query.health == Some(filter)] { (filter_label(filter)) }
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

fn filter_label(filter: HealthFilter) -> &'static str {
    match filter {
        HealthFilter::AnyProblem => "Any problem",
        HealthFilter::Only(health) => label(health),
        HealthFilter::Concern(kind) => concern_label(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::HealthPolicy;
    use crate::model::{DataSync, Reason, SyncStatus};
    use crate::snapshot::Store;
    use crate::status::tests::{Collected, NOW, account, failed, store, sync, target};

    fn headline_of(targets: Vec<(&str, Collected)>) -> (Health, String) {
        let account = account(1, None);
        let targets = targets.into_iter().map(|(region, collected)| (target(&account, region), collected));
        headline_text(&FleetOverview::new(&store(targets.collect()), &HealthPolicy::default(), NOW), false)
    }

    #[test]
    fn the_headline_names_the_problems_or_says_that_there_are_none() {
        let healthy = || sync("a", Some(NOW));
        let failing = || DataSync { last_status: Some(SyncStatus::Failed), ..healthy() };
        let stale = || sync("b", Some(NOW - 1e6));
        let down = || Some(Err(failed(Reason::Timeout)));
        for (targets, worst, text) in [
            (
                vec![("eu-west-1", Some(Ok(vec![healthy()])))],
                Health::Healthy,
                "No problems: 1 sync in 1 target.",
            ),
            (vec![("eu-west-1", Some(Ok(vec![])))], Health::Healthy, "No problems: no syncs in 1 target."),
            (
                vec![("eu-west-1", Some(Ok(vec![failing(), stale(), stale()])))],
                Health::Failed,
                "1 sync failed, 2 are stale.",
            ),
            (vec![("eu-west-1", Some(Ok(vec![stale()])))], Health::Stale, "1 sync is stale."),
            (
                vec![("eu-west-1", Some(Ok(vec![failing(), failing()]))), ("us-east-1", down())],
                Health::Down,
                "2 syncs failed; 1 of 2 targets is down.",
            ),
            (vec![("eu-west-1", down())], Health::Down, "1 of 1 target is down."),
            (
                vec![("eu-west-1", None)],
                Health::NotCollected,
                "Waiting for the first collection of 1 target.",
            ),
            (
                vec![("eu-west-1", Some(Ok(vec![healthy()]))), ("us-east-1", None)],
                Health::NotCollected,
                "No problems so far: 1 sync in 1 target.",
            ),
            (
                vec![("eu-west-1", None), ("us-east-1", None)],
                Health::NotCollected,
                "Waiting for the first collection of 2 targets.",
            ),
        ] {
            assert_eq!(headline_of(targets), (worst, text.to_owned()));
        }
    }

    #[test]
    fn without_targets_the_headline_says_why() {
        assert!(headline_of(Vec::new()).1.starts_with("No targets to poll"));
        let store = Store::new(std::time::Duration::from_mins(30));
        store.set_targets(&crate::fleet::TargetList { pending_lookups: 1, ..Default::default() });
        let text_of = |store: &Store, is_one_of_many_shards| {
            headline_text(&FleetOverview::new(store, &HealthPolicy::default(), NOW), is_one_of_many_shards).1
        };
        assert_eq!(text_of(&store, false), "No targets known yet: discovery is running.");
        // Regression: the page did not mention that the organization could not be listed.
        let denied = Failure::new(Reason::AccessDenied, "not allowed <b>");
        let denied = FailingLookups { organization: Some(denied), accounts: 2, ..FailingLookups::default() };
        let target_list = crate::fleet::TargetList { failing_lookups: denied.clone(), ..Default::default() };
        store.set_targets(&target_list);
        assert_eq!(text_of(&store, false), "No targets known: discovery is failing.");
        let notes = failing_lookups_notes(&denied).into_string();
        assert!(
            notes.contains("Cannot list the accounts") && notes.contains("not allowed &lt;b&gt;"),
            "{notes}"
        );
        assert!(notes.contains("2 accounts"), "{notes}");
        let unknown_unit = Failure::new(Reason::Other, "ou-abcd-11111111: not found");
        let notes =
            failing_lookups_notes(&FailingLookups { units: Some(unknown_unit), ..Default::default() });
        let notes = notes.into_string();
        assert!(notes.contains("Cannot list the organizational units") && notes.contains("ou-abcd-11111111"));
        store.set_targets(&crate::fleet::TargetList::default());
        assert_eq!(text_of(&store, true), "No targets belong to this shard.");
        assert!(text_of(&store, false).starts_with("No targets to poll"));
    }
}
