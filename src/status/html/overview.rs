//! The top of the page: how all is, in a sentence and in numbers, and what of it is
//! shown.

use maud::{Markup, html};

use super::View;
use super::parts::{count, foreign, grouped, prose, symbol};
use crate::fleet::Unresolved;
use crate::health::remedy::of_reason;
use crate::health::{Health, Tally};
use crate::model::Failure;
use crate::status::overview::Overview;
use crate::status::query::{Query, Wanted};

/// The name, and what can be set by a script only.
pub(super) fn header(view: View<'_>) -> Markup {
    html! {
        header.top {
            p.brand { a href="?" { "SSM Sync Exporter" } span.sub { "AWS Systems Manager resource data syncs" } }
            nav aria-label="Exporter" {
                a href={ "." (view.source.about.telemetry_path) } { "Metrics" }
                a href="./-/ready" { "Ready" }
                a href="./-/healthy" { "Healthy" }
                a href="#about" { "About" }
            }
            div.settings #settings hidden {
                label { input #refresh type="checkbox"; " Refresh every 30 s" }
                label { "Theme " select #theme {
                    option value="auto" { "Auto" }
                    option value="light" { "Light" }
                    option value="dark" { "Dark" }
                } }
            }
        }
    }
}

/// What stands in the tab of the browser: troubles first, for there is little room.
pub(super) fn title(overview: &Overview) -> String {
    let bad = |tally: &Tally| {
        Health::ALL
            .into_iter()
            .filter(|health| health.is_trouble())
            .map(|health| tally.of(health))
            .sum::<usize>()
    };
    match bad(&overview.of_syncs) + overview.of_targets.of(Health::Down) {
        0 => "SSM Sync Exporter".to_owned(),
        number => format!("({}) SSM Sync Exporter", grouped(number)),
    }
}

/// How all is, in a sentence.
pub(super) fn verdict(view: View<'_>) -> Markup {
    let View { overview, query, .. } = view;
    let (worst, text) = sentence(overview, view.source.about.shard.is_one_of_many());
    let waiting = overview.of_targets.of(Health::Waiting);
    html! {
        section class={ "verdict " (worst.key()) } aria-label="How all is" {
            h1 { (symbol(worst)) span { (prose(&text)) } }
            @if waiting > 0 && waiting < overview.targets.len() {
                p { (count(waiting, "target")) " of " (grouped(overview.targets.len())) " await their first collection." }
            }
            @if overview.pending > 0 {
                p { "There may be more targets: an organization, or accounts for their regions, are still being asked." }
            }
            (unresolved(&overview.unresolved))
            @for note in &query.notes { p.note { (note) } }
        }
    }
}

/// What could not be found out. All else may look well meanwhile.
fn unresolved(Unresolved { organization, accounts }: &Unresolved) -> Markup {
    html! {
        @if let Some(Failure { reason, message, .. }) = organization {
            p.note {
                strong { "The accounts of the organization cannot be listed" }
                " (" (reason) "), so new ones may be missing: " (foreign(message)) ". "
                (of_reason(*reason).remedy)
            }
        }
        @if *accounts > 0 {
            p.note {
                strong { (count(*accounts, "account")) @if *accounts == 1 { " does" } @else { " do" } " not tell which regions are enabled" }
                ", so regions may be missing. Allow account:ListRegions to the role, or list the regions in "
                code { "regions" } "."
            }
        }
    }
}

/// The sentence, and what of it is worst. A shard among several may have nothing to
/// do.
fn sentence(overview: &Overview, is_shard: bool) -> (Health, String) {
    let (targets, syncs) = (overview.targets.len(), overview.of_syncs.total());
    let collected = targets - overview.of_targets.of(Health::Waiting);
    let is_there = |health: &Health| overview.of_targets.of(*health) + overview.of_syncs.of(*health) > 0;
    let worst = Health::ALL.into_iter().filter(|health| health.is_trouble()).find(is_there);
    if let Some(worst) = worst {
        return (worst, troubles(overview));
    }
    let text = match (targets, collected) {
        (0, _) if overview.unresolved.organization.is_some() => {
            return (Health::Down, "It cannot be found out what to poll.".to_owned());
        }
        (0, _) if overview.pending > 0 => "It is not known yet what to poll.".to_owned(),
        (0, _) if is_shard => return (Health::Empty, "This shard has nothing to poll.".to_owned()),
        (0, _) => {
            let text = "There is nothing to poll: no account and region belong to this exporter. Check `accounts`, \
                        `organization` and `regions` in the configuration, and the shard.";
            return (Health::Fault, text.to_owned());
        }
        (1, 0) => "Nothing is known yet: 1 target awaits collection.".to_owned(),
        (_, 0) => format!("Nothing is known yet: {} await collection.", count(targets, "target")),
        _ => {
            let is_known = overview.pending == 0 && *overview.unresolved == Unresolved::default();
            let all = collected == targets && is_known;
            let well = if all { "All is well" } else { "So far all is well" };
            let collected = count(collected, "target");
            let text = match syncs {
                0 => format!("{well}: {collected} can be polled, and there are no syncs."),
                _ => format!("{well}: {} in {collected}.", count(syncs, "sync")),
            };
            return (if all { Health::Well } else { Health::Waiting }, text);
        }
    };
    (Health::Waiting, text)
}

/// All that is wrong, in a sentence.
fn troubles(overview: &Overview) -> String {
    let mut text = String::new();
    for (health, one, many) in [
        (Health::Failed, "failed", "failed"),
        (Health::Fault, "has a fault of its source", "have faults of their sources"),
        (Health::Stale, "is stale", "are stale"),
    ] {
        let number = overview.of_syncs.of(health);
        let what = if number == 1 { one } else { many };
        match (number, text.as_str()) {
            (0, _) => {}
            (_, "") => text = format!("{} {what}", count(number, "sync")),
            _ => text = format!("{text}, {} {what}", grouped(number)),
        }
    }
    let down = overview.of_targets.of(Health::Down);
    if down > 0 {
        let between = if text.is_empty() { "" } else { "; " };
        let targets = count(overview.targets.len(), "target");
        text = format!("{text}{between}{} of {targets} cannot be polled", grouped(down));
    }
    text + "."
}

/// How many fare how, each the way to them.
pub(super) fn tiles(view: View<'_>) -> Markup {
    let View { overview, .. } = view;
    html! {
        div.tiles {
            (group(view, "Syncs", &overview.of_syncs, overview.of_syncs.total(), &Health::OF_SYNCS))
            (group(view, "Targets", &overview.of_targets, overview.targets.len(), &Health::OF_TARGETS))
        }
    }
}

fn group(view: View<'_>, what: &str, tally: &Tally, total: usize, standings: &[Health]) -> Markup {
    let chosen = view.query.status;
    html! {
        section.group aria-label=(what) {
            h2 { (what) " " span.total { (grouped(total)) } }
            ul {
                @for health in standings {
                    @let wanted = Some(Wanted::Is(*health));
                    @let number = tally.of(*health);
                    @let query = Query { status: wanted, ..Query::default() };
                    li {
                        a class={ "tile " (health.key()) @if number == 0 { " zero" } }
                            href=(query.link()) title=(health.meaning())
                            aria-current=[(chosen == wanted).then_some("true")] {
                            span.number { (grouped(number)) }
                            span.word { (symbol(*health)) (health.word()) }
                        }
                    }
                }
            }
        }
    }
}

/// The form that says what is wanted.
pub(super) fn filter(view: View<'_>) -> Markup {
    let View { overview, query, .. } = view;
    let chosen = query.region.as_ref();
    html! {
        form.filter method="get" action="./" role="search" aria-label="Filter" {
            label { span { "Account" }
                input type="search" name="account" value=(query.account) placeholder="id or name" autocomplete="off"
                    spellcheck="false" maxlength="200";
            }
            label { span { "Region" }
                select name="region" {
                    option value="" { "All" }
                    // It may have gone since the link was made.
                    @if let Some(region) = chosen.filter(|region| !overview.regions.contains(*region)) {
                        option value=(region) selected { (region) }
                    }
                    @for region in &overview.regions {
                        option value=(region) selected[chosen == Some(region)] { (region) }
                    }
                }
            }
            label { span { "Status" }
                select name="status" {
                    option value="" { "All" }
                    @for wanted in Wanted::all() {
                        option value=(wanted.key()) selected[query.status == Some(wanted)] { (wanted.word()) }
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
            @if query.is_filter() { a.clear href="?" { "Clear" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DataSync, Reason, SyncStatus};
    use crate::snapshot::Store;
    use crate::status::tests::{Collected, NOW, account, failed, store, sync, target};

    fn said(targets: Vec<(&str, Collected)>) -> (Health, String) {
        let account = account(1, None);
        let targets = targets.into_iter().map(|(region, collected)| (target(&account, region), collected));
        sentence(&Overview::take(&store(targets.collect()), NOW), false)
    }

    #[test]
    fn a_sentence_says_how_all_is() {
        let well = || sync("a", Some(NOW));
        let bad = || DataSync { last_status: Some(SyncStatus::Failed), ..well() };
        let old = || sync("b", Some(NOW - 1e6));
        let down = || Some(Err(failed(Reason::Timeout)));
        for (targets, worst, text) in [
            (vec![("eu-west-1", Some(Ok(vec![well()])))], Health::Well, "All is well: 1 sync in 1 target."),
            (
                vec![("eu-west-1", Some(Ok(vec![])))],
                Health::Well,
                "All is well: 1 target can be polled, and there are no syncs.",
            ),
            (
                vec![("eu-west-1", Some(Ok(vec![bad(), old(), old()])))],
                Health::Failed,
                "1 sync failed, 2 are stale.",
            ),
            (vec![("eu-west-1", Some(Ok(vec![old()])))], Health::Stale, "1 sync is stale."),
            (
                vec![("eu-west-1", Some(Ok(vec![bad(), bad()]))), ("us-east-1", down())],
                Health::Down,
                "2 syncs failed; 1 of 2 targets cannot be polled.",
            ),
            (vec![("eu-west-1", down())], Health::Down, "1 of 1 target cannot be polled."),
            (vec![("eu-west-1", None)], Health::Waiting, "Nothing is known yet: 1 target awaits collection."),
            (
                vec![("eu-west-1", Some(Ok(vec![well()]))), ("us-east-1", None)],
                Health::Waiting,
                "So far all is well: 1 sync in 1 target.",
            ),
            (
                vec![("eu-west-1", None), ("us-east-1", None)],
                Health::Waiting,
                "Nothing is known yet: 2 targets await collection.",
            ),
        ] {
            assert_eq!(said(targets), (worst, text.to_owned()));
        }
    }

    #[test]
    fn without_targets_it_says_why() {
        assert!(said(Vec::new()).1.starts_with("There is nothing to poll"));
        let store = Store::new(std::time::Duration::from_mins(30));
        store.set_targets(&crate::fleet::TargetList { pending: 1, ..Default::default() });
        let said = |store: &Store, is_shard| sentence(&Overview::take(store, NOW), is_shard).1;
        assert_eq!(said(&store, false), "It is not known yet what to poll.");
        // Regression: that the organization could not be asked was said nowhere.
        let denied = Failure::new(crate::model::Reason::AccessDenied, "not allowed <b>");
        let denied = Unresolved { organization: Some(denied), accounts: 2 };
        let plan = crate::fleet::TargetList { unresolved: denied.clone(), ..Default::default() };
        store.set_targets(&plan);
        assert_eq!(said(&store, false), "It cannot be found out what to poll.");
        let told = unresolved(&denied).into_string();
        assert!(told.contains("cannot be listed") && told.contains("not allowed &lt;b&gt;"), "{told}");
        assert!(told.contains("2 accounts"), "{told}");
        store.set_targets(&crate::fleet::TargetList::default());
        assert_eq!(said(&store, true), "This shard has nothing to poll.");
        assert!(said(&store, false).starts_with("There is nothing to poll"));
    }
}
