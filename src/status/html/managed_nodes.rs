//! The results of managed-node lookups, and how the health of a sync depends on them.

use maud::{Markup, html};

use super::Context;
use super::components::{age, backticks_to_code, runbook, untrusted, when};
use super::failures::{FailedCall, NO_SUCCESS, reason_article};
use crate::duration;
use crate::health::{Alert, AssessedSync, AssessedTarget, Health, remedy, run_without_success};
use crate::model::{SyncStatus, SyncType, UnixSeconds};
use crate::snapshot::ManagedNodes;
use crate::status::managed_nodes::{ManagedNodeCounts, note};
use crate::status::query::{HealthFilter, PageQuery};
use crate::status::text::{pluralize, with_commas};

/// The number of targets with and without managed nodes. Empty if lookups are not enabled.
pub(super) fn counts(context: Context<'_>) -> Markup {
    let Some(ManagedNodeCounts { present, absent, pending, unknown }) = context.overview.managed_nodes else {
        return html! {};
    };
    html! {
        p.managed-nodes {
            "Managed nodes: present in " (pluralize(present, "target")) ", "
            (number(HealthFilter::NoManagedNodes, "none in ", absent))
            @if unknown > 0 { ", " (number(HealthFilter::ManagedNodesUnknown, "unknown in ", unknown)) }
            @if pending > 0 { ", not looked up in " (with_commas(pending)) }
            "."
        }
    }
}

/// A number of targets, with a link that selects them.
fn number(filter: HealthFilter, text: &str, number: usize) -> Markup {
    let query = PageQuery { health: Some(filter), ..PageQuery::default() };
    html! {
        @if number > 0 { a href={ (query.link()) "#targets" } { (text) (with_commas(number)) } }
        @else { (text) "0" }
    }
}

/// The lookups that fail, by reason, and what to do about each reason.
pub(super) fn failures(context: Context<'_>) -> Markup {
    let failures = context.overview.node_failures(context.query);
    let targets: usize = failures.iter().map(|failures| failures.target_count).sum();
    html! {
        @if !failures.is_empty() {
            section #managed-nodes aria-labelledby="managed-nodes-heading" {
                h2 #managed-nodes-heading { "Managed nodes unknown " span.total { (with_commas(targets)) } }
                p.hint {
                    "The exporter calls " code { "ssm:DescribeInstanceInformation" } " to look up managed nodes. While this call \
                     fails, the syncs of the target are judged by their age, although there may be no managed nodes and \
                     nothing to sync. " (runbook(Alert::SsmSyncManagedNodesUnknown))
                }
                @for failures in &failures { (reason_article(context, FailedCall::NodeLookup, failures)) }
            }
        }
    }
}

/// How the limit on the last success of a sync depends on managed nodes.
pub(super) fn of_success(assessed: AssessedSync<'_>, now: UnixSeconds) -> Markup {
    let success = assessed.sync.last_successful_sync.or(assessed.sync.created);
    let is_excused = success.is_some_and(|at| now - at > assessed.max_success_age.as_secs_f64())
        && matches!(assessed.health, Health::Healthy | Health::InProgress);
    let limit = is_excused.then(|| duration::format(assessed.max_success_age));
    html! {
        @if let Some(note) = note(assessed.managed_nodes) {
            p.raw {
                (note)
                @match (assessed.managed_nodes, &limit) {
                    (Some(ManagedNodes::Unknown(failure)), _) => { " (" code { (failure.reason) } ")" },
                    (_, Some(limit)) => { ", so the limit of " (limit) " does not apply" },
                    _ => {},
                }
            }
        }
        @if let Some(limit) = limit { (counted_from(assessed, &limit, now)) }
    }
}

/// How the limit on the run of a sync that is in progress depends on managed nodes.
pub(super) fn of_run(assessed: AssessedSync<'_>, now: UnixSeconds) -> Markup {
    let AssessedSync { sync, health, max_run_time, managed_nodes, .. } = assessed;
    let is_running = health == Health::InProgress && sync.last_status == Some(SyncStatus::InProgress);
    let is_long = run_without_success(sync).is_some_and(|begun| now - begun > max_run_time.as_secs_f64());
    let limit = duration::format(max_run_time);
    html! {
        @if is_running && is_long {
            @if managed_nodes == Some(ManagedNodes::Absent) {
                p.raw { "no managed nodes here, so the limit of " (limit) " does not apply" }
            } @else { (counted_from(assessed, &limit, now)) }
        }
    }
}

/// Says that a limit counts from the last lookup that found no nodes. Empty if there are none now, or if
/// each lookup found some.
fn counted_from(assessed: AssessedSync<'_>, limit: &str, now: UnixSeconds) -> Markup {
    let idle_until = assessed.idle_until.filter(|_| assessed.managed_nodes != Some(ManagedNodes::Absent));
    html! {
        @if let Some(at) = idle_until {
            p.raw { "there were no managed nodes here " (age(at, now)) ", so the limit of " (limit) " counts from then" }
        }
    }
}

/// The note under the account in the list of targets.
pub(super) fn of_target(target: &AssessedTarget) -> Markup {
    html! {
        @if target.managed_nodes() == Some(ManagedNodes::Absent) {
            p.raw { (note(target.managed_nodes()).unwrap_or_default()) }
        }
    }
}

/// Why the managed nodes of the target of a sync are unknown, and what to do about it.
pub(super) fn unknown(target: &AssessedTarget, assessed: AssessedSync<'_>) -> Markup {
    let Some(ManagedNodes::Unknown(failure)) = assessed.managed_nodes else { return html! {} };
    let guide = remedy::for_failures(failure.reason, [failure]);
    html! {
        p.note {
            strong { "Managed nodes are unknown" } ": " (guide.title) " (" code { (failure.reason) } "). "
            "Consecutive failures: " (target.state().nodes.consecutive_failures) "."
        }
        p { (backticks_to_code(guide.remedy)) " " (runbook(Alert::SsmSyncManagedNodesUnknown)) }
    }
}

/// The facts about managed nodes that matter for a sync, as rows of a list: terms and values.
pub(super) fn facts(
    target: &AssessedTarget,
    assessed: AssessedSync<'_>,
    now: UnixSeconds,
) -> Vec<(&'static str, Markup)> {
    let Some(nodes) = target.managed_nodes().filter(|_| assessed.sync.sync_type == SyncType::ToDestination)
    else {
        return Vec::new();
    };
    let state = target.state();
    let found = match nodes {
        ManagedNodes::Present => html! { "present" },
        ManagedNodes::Absent => html! { "none" },
        ManagedNodes::Unknown(failure) => html! { "unknown: " code { (failure.reason) } },
        ManagedNodes::Pending => html! { span.none { "not looked up yet" } },
    };
    let mut facts = vec![("In this account and region", found)];
    if let ManagedNodes::Unknown(failure) = nodes {
        facts.push(("Error", html! { p.message { (untrusted(&failure.message)) } }));
    }
    facts.push(("Last successful lookup", when(state.nodes.last_checked, now, NO_SUCCESS)));
    if let Some(at) = state.nodes.last_absent.filter(|_| nodes != ManagedNodes::Absent) {
        facts.push(("Last found none", when(Some(at), now, "never")));
    }
    if assessed.managed_nodes.is_none() {
        let ignored =
            html! { "does not depend on managed nodes: a rule sets " code { "ignore_managed_nodes" } };
        facts.push(("Health", ignored));
    }
    facts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::health::HealthPolicy;
    use crate::model::{DataSync, Failure, Reason};
    use crate::status::tests::{NOW, account, store, sync, target};

    const HOUR: f64 = 3600.0;
    const DAY: f64 = 24.0 * HOUR;

    fn assessed<'a>(
        sync: &'a DataSync,
        health: Health,
        managed_nodes: Option<ManagedNodes<'a>>,
        idle_until: Option<UnixSeconds>,
    ) -> AssessedSync<'a> {
        let (max_success_age, max_run_time) = (Duration::from_hours(48), Duration::from_hours(2));
        AssessedSync { sync, health, max_success_age, max_run_time, managed_nodes, idle_until }
    }

    #[test]
    fn a_healthy_sync_beyond_its_limit_says_why() {
        let failure = Failure::new(Reason::Timeout, "");
        let unknown = Some(ManagedNodes::Unknown(&failure));
        let (present, absent) = (Some(ManagedNodes::Present), Some(ManagedNodes::Absent));
        let idle = Some(NOW - 5.0 * HOUR);
        let (new, old) = (&sync("a", Some(NOW - HOUR)), &sync("a", Some(NOW - 40.0 * DAY)));
        let created = &DataSync { created: Some(NOW - 40.0 * DAY), ..sync("a", None) };
        for (idle_until, sync, health, nodes, text) in [
            (idle, new, Health::Healthy, absent, "no managed nodes here"),
            (idle, old, Health::Healthy, absent, "no managed nodes here, so the limit of 2d does not apply"),
            (
                idle,
                created,
                Health::Healthy,
                absent,
                "no managed nodes here, so the limit of 2d does not apply",
            ),
            (idle, old, Health::Failed, absent, "no managed nodes here"),
            (idle, new, Health::Healthy, present, ""),
            (
                idle,
                old,
                Health::Healthy,
                present,
                "there were no managed nodes here 5h ago, so the limit of 2d counts from then",
            ),
            (
                idle,
                old,
                Health::Healthy,
                unknown,
                "managed nodes are unknown (timeout)there were no managed nodes here 5h ago, so the limit of 2d counts from then",
            ),
            (idle, old, Health::Stale, unknown, "managed nodes are unknown (timeout)"),
            (None, new, Health::Healthy, unknown, "managed nodes are unknown (timeout)"),
            // The health does not depend on managed nodes.
            (None, old, Health::Stale, None, ""),
        ] {
            let html = of_success(assessed(sync, health, nodes, idle_until), NOW).into_string();
            assert_eq!(without_tags(&html), text, "{health:?} {nodes:?}");
        }
    }

    #[test]
    fn a_run_beyond_its_limit_that_is_not_stuck_says_why() {
        let running = |begun: f64, success: f64| DataSync {
            last_status: Some(SyncStatus::InProgress),
            last_sync: Some(NOW - begun),
            ..sync("a", Some(NOW - success))
        };
        let (present, absent) = (Some(ManagedNodes::Present), Some(ManagedNodes::Absent));
        let (long, short) = (&running(3.0 * HOUR, DAY), &running(HOUR, DAY));
        let works = &running(3.0 * HOUR, HOUR);
        for (sync, nodes, text) in [
            (long, absent, "no managed nodes here, so the limit of 2h does not apply"),
            (long, present, "there were no managed nodes here 1h ago, so the limit of 2h counts from then"),
            (short, absent, ""),
            (works, absent, ""),
            (long, None, ""),
        ] {
            let idle_until = nodes.map(|_| NOW - HOUR);
            let html = of_run(assessed(sync, Health::InProgress, nodes, idle_until), NOW).into_string();
            assert_eq!(without_tags(&html), text, "{nodes:?}");
        }
    }

    #[test]
    fn a_rule_that_ignores_managed_nodes_is_named() {
        let account = crate::fleet::Account {
            managed_nodes_interval: Some(Duration::from_hours(6)),
            ..crate::fleet::Account::clone(&account(1, None))
        };
        let store = store(vec![(target(&account.into(), "eu-west-1"), Some(Ok(Vec::new())))]);
        let target = AssessedTarget::of_slot(&store, &store.slots()[0], &HealthPolicy::default(), NOW);
        let sync = sync("a", Some(NOW));
        let terms = |nodes| {
            let facts = facts(&target, assessed(&sync, Health::Healthy, nodes, None), NOW);
            facts
                .into_iter()
                .map(|(term, value)| (term, without_tags(&value.into_string())))
                .collect::<Vec<_>>()
        };
        let pending = [
            ("In this account and region", "not looked up yet".to_owned()),
            ("Last successful lookup", NO_SUCCESS.to_owned()),
        ];
        assert_eq!(terms(target.managed_nodes()), pending);
        let ignored = "does not depend on managed nodes: a rule sets ignore_managed_nodes".to_owned();
        assert_eq!(terms(None), [&pending[..], &[("Health", ignored)]].concat());
    }

    fn without_tags(html: &str) -> String {
        html.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect()
    }
}
