//! The targets for which a call fails: those that are down, and those whose managed nodes are unknown.
//! Targets that fail in the same way share a row.

use maud::{Markup, html};

use super::Context;
use super::components::{account, backticks_to_code, message, runbook_of_cause, when};
use crate::health::{Health, remedy};
use crate::model::{Reason, UnixSeconds};
use crate::snapshot::TargetState;
use crate::status::overview::{FailureGroup, FailuresForReason, GroupKey};
use crate::status::query::{HealthFilter, PageQuery};
use crate::status::text::{pluralize, with_commas};

/// The number of groups that are shown for each reason.
const GROUPS_PER_REASON: usize = 5;

pub(super) const NO_SUCCESS: &str = "none since the exporter started";

/// The call that fails.
#[derive(Clone, Copy)]
pub(super) enum FailedCall {
    Collection,
    NodeLookup,
}

impl FailedCall {
    /// The query for the targets that fail alike.
    fn select_alike(self, query: &PageQuery, reason: Reason) -> PageQuery {
        let (health, reason) = match self {
            Self::Collection => (HealthFilter::Only(Health::Down), Some(reason)),
            // The filter by reason is about targets that are down.
            Self::NodeLookup => (HealthFilter::ManagedNodesUnknown, None),
        };
        PageQuery { health: Some(health), reason, ..query.first_pages() }
    }

    fn consecutive_failures(self, state: &TargetState) -> u64 {
        match self {
            Self::Collection => state.consecutive_failures,
            Self::NodeLookup => state.nodes.consecutive_failures,
        }
    }

    fn last_success(self, state: &TargetState) -> Option<UnixSeconds> {
        match self {
            Self::Collection => state.last_success,
            Self::NodeLookup => state.nodes.last_checked,
        }
    }
}

/// The targets that are down, by reason, and what to do about each reason.
pub(super) fn section(context: Context<'_>) -> Markup {
    let failures = context.overview.failures(context.query);
    let targets: usize = failures.iter().map(|failures| failures.target_count).sum();
    html! {
        @if !failures.is_empty() {
            section #causes aria-labelledby="causes-heading" {
                h2 #causes-heading { "Targets down " span.total { (with_commas(targets)) } }
                p.hint {
                    "A target is one account in one region. While the exporter cannot poll it, the syncs of the last successful \
                     collection stay visible for " code { "stale_after" } "."
                }
                @for failures in &failures { (reason_article(context, FailedCall::Collection, failures)) }
            }
        }
    }
}

/// The targets for which a call fails for one reason, and what to do about it.
pub(super) fn reason_article(
    context: Context<'_>,
    call: FailedCall,
    failures: &FailuresForReason<'_>,
) -> Markup {
    let all = failures.groups.iter().flat_map(|group| group.targets.iter().map(|(_, failure)| *failure));
    let guide = remedy::for_failures(failures.reason, all);
    let alike = call.select_alike(context.query, failures.reason);
    let hidden_groups = failures.groups.len().saturating_sub(GROUPS_PER_REASON);
    html! {
        article.cause {
            h3 { (guide.title) " " code { (failures.reason) } " " span.total { (pluralize(failures.target_count, "target")) } }
            p.advice { b { "What to do: " } (backticks_to_code(guide.remedy)) " " (runbook_of_cause(&guide)) }
            table.list {
                thead { tr {
                    th.where scope="col" { "Account or region" }
                    th.why scope="col" { "Message" }
                    th.number scope="col" { "Failed in a row" }
                    th.when scope="col" { "Last success" }
                } }
                tbody {
                    @for group in failures.groups.iter().take(GROUPS_PER_REASON) { (group_row(context, call, &alike, group)) }
                }
            }
            @if hidden_groups > 0 {
                p.more {
                    a href={ (alike.link()) "#targets" } { "Show all " (pluralize(failures.target_count, "target")) }
                    " (" (pluralize(hidden_groups, "row")) " not shown)"
                }
            }
        }
    }
}

/// A row for a group of targets. `alike` is the query for all targets that fail alike.
fn group_row(context: Context<'_>, call: FailedCall, alike: &PageQuery, group: &FailureGroup<'_>) -> Markup {
    let now = context.overview.now;
    let failures = group.targets.iter().map(|(target, _)| call.consecutive_failures(target.assessed.state()));
    let most_failures = failures.clone().max().unwrap_or_default();
    let failures_are_equal = failures.clone().min() == Some(most_failures);
    // The last success of the target that has been failing for longest. A target without any success counts
    // as the oldest.
    let successes = group.targets.iter().map(|(target, _)| call.last_success(target.assessed.state()));
    let oldest_success = successes.min_by(|one, other| {
        let or_oldest = |at: &Option<UnixSeconds>| at.unwrap_or(f64::NEG_INFINITY);
        or_oldest(one).total_cmp(&or_oldest(other))
    });
    let number = group.targets.len();
    let example = group.targets.first().map(|(_, failure)| failure.message.as_str());
    let messages_differ = group.targets.iter().any(|(_, failure)| Some(failure.message.as_str()) != example);
    let targets_link = |query: PageQuery| format!("{}#targets", query.link());
    html! {
        tr {
            th.where scope="row" {
                @match group.key {
                    GroupKey::Account { account: id, name } => {
                        @let query = PageQuery { account: id.to_owned(), ..alike.clone() };
                        (account(id, name, context.query))
                        @if let [(only, _)] = group.targets.as_slice() { span.region { (only.region()) } }
                        @else { a.count href=(targets_link(query)) { "in " (pluralize(number, "region")) } }
                    },
                    GroupKey::Region(region) => {
                        @let query = PageQuery { region: Some(region.clone()), ..alike.clone() };
                        span.region { (region) }
                        a.count href=(targets_link(query)) { "in " (pluralize(number, "account")) }
                    },
                }
            }
            td.why {
                @if let Some(example) = example {
                    @if messages_differ { span.sub { "for example" } }
                    (message(example))
                }
            }
            td.number data-label="Failed in a row" {
                @if !failures_are_equal { "up to " } (times(most_failures))
            }
            td.when data-label="Last success" { (when(oldest_success.flatten(), now, NO_SUCCESS)) }
        }
    }
}

pub(super) fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        more => format!("{} times", with_commas(usize::try_from(more).unwrap_or(usize::MAX))),
    }
}
