//! The top of the page: the verdict, how fresh it is, and what keeps it from being complete.

use maud::{Markup, html};

use super::Context;
use super::components::{age, backticks_to_code, concern_label, freshness, icon, runbook, untrusted};
use super::managed_nodes;
use crate::health::{AccessCauseKind, Alert, CauseGuide, CheckedStep, Health};
use crate::model::{Failure, UnixSeconds};
use crate::status::notice::{Notice, ReloadFailure};
use crate::status::text::{pluralize, with_commas};
use crate::status::verdict::Mark;

/// The number of expectations that a notice names.
const MAX_NAMES: usize = 5;

/// The verdict with its notices.
pub(super) fn headline(context: Context<'_>) -> Markup {
    let Context { overview, query, verdict, notices, .. } = context;
    let not_collected = overview.target_counts.get(Health::NotCollected);
    html! {
        section class={ "headline " (verdict.mark.as_str()) } aria-label="Summary" {
            h1 { (icon(verdict.mark)) span { (backticks_to_code(&verdict.text)) } }
            @let oldest = context.overview.oldest_success();
            (freshness(overview.now, &html! {
                @if let Some(oldest) = oldest { " Oldest data: " (age(oldest, overview.now)) "." }
            }))
            @for it in notices { (notice(it, overview.now)) }
            @if not_collected > 0 {
                p {
                    @if not_collected < overview.targets.len() {
                        "Not collected yet: " (with_commas(not_collected)) " of " (pluralize(overview.targets.len(), "target")) ". "
                    }
                    "If this lasts longer than a few intervals: " (runbook(Alert::SsmSyncTargetNotCollected))
                }
            }
            @if overview.pending_lookups > 0 && overview.failing_lookups.organization.is_none() {
                p { "Discovery of accounts or regions has not finished, so targets may be missing." }
            }
            @if overview.failing_lookups.accounts > 0 && !notices.iter().any(|it| matches!(it, Notice::RegionsNotListed { .. })) {
                p {
                    "Of the accounts that are down, the enabled regions of " (with_commas(overview.failing_lookups.accounts))
                    " cannot be listed either."
                }
            }
            (managed_nodes::counts(context))
            @if overview.concern_counts.keys().any(|kind| !kind.is_trouble()) { p { (notes(context)) } }
            @for note in &query.notes { p.note { (note) } }
        }
    }
}

/// What does not change the verdict, and can be read further below.
fn notes(context: Context<'_>) -> Markup {
    let notes = context.overview.concern_counts.iter().filter(|(kind, _)| !kind.is_trouble());
    html! {
        @for (index, (kind, targets)) in notes.enumerate() {
            @if index == 0 { a href="#notes" { "Notes on quotas, nodes and costs" } ": " } @else { ", " }
            (concern_label(*kind)) " (" (with_commas(*targets)) ")"
        }
    }
}

/// A state of the exporter because of which the page may not show everything.
fn notice(notice: &Notice<'_>, now: UnixSeconds) -> Markup {
    let text = match notice {
        Notice::ReloadFailed(ReloadFailure { message, at }) => html! {
            strong { "The configuration could not be reloaded" } " (" (age(*at, now)) "): " (sentence(message)) " "
            "The previous configuration stays in force, but the exporter would not start with the new one."
        },
        Notice::OrganizationNotListed(failure @ Failure { reason, message, .. }) => html! {
            strong { "Cannot list the accounts of the organization" }
            " (" code { (reason) } "), so new accounts may be missing: " (sentence(message)) " "
            (backticks_to_code(for_organization(failure)))
        },
        Notice::UnitsNotListed(failure @ Failure { reason, message, .. }) => html! {
            strong { "Cannot list the organizational units of the configuration" }
            " (" code { (reason) } "), so what depends on them may be unknown or outdated: " (sentence(message)) " "
            (backticks_to_code(for_organization(failure)))
        },
        Notice::RegionsNotListed { accounts } => html! {
            strong { "Cannot list the enabled regions of " (pluralize(*accounts, "account")) }
            ", so regions may be missing. Allow account:ListRegions in the role's policy, or list the regions in "
            code { "regions" } "."
        },
        Notice::NoTargets => html! {
            strong { "Nothing is polled" } ", so a failing sync would go unnoticed."
        },
        Notice::MostTargetsDown => html! {
            strong { "Most targets are down" }
            ", so the cause is probably on the exporter's side: its credentials, its network path to AWS, or the policy of its role."
        },
        Notice::ExpectationsMatchNothing(names) => html! {
            strong { (pluralize(names.len(), "expectation")) " without targets" } ": "
            @for (index, name) in names.iter().take(MAX_NAMES).enumerate() {
                @if index > 0 { ", " }
                code { (name) }
            }
            @if names.len() > MAX_NAMES { " and " (with_commas(names.len() - MAX_NAMES)) " more" }
            ". Such an expectation checks nothing; its accounts, units or regions are probably misspelt."
        },
        Notice::Overdue { targets } => html! {
            strong { (pluralize(*targets, "target")) " not collected for more than 2 hours" }
            ", so the state of their syncs may have changed."
        },
    };
    html! { p.notice { (icon(Mark::Warning)) span { (text) " " (runbook(notice.alert())) } } }
}

/// A text from AWS or about the configuration, with a full stop at its end.
fn sentence(text: &str) -> Markup {
    html! { (untrusted(text)) @if !text.ends_with(['.', '?', '!']) { "." } }
}

/// What to do if the accounts of the organization cannot be listed.
fn for_organization(failure: &Failure) -> &'static str {
    CauseGuide::of_access(AccessCauseKind::of_step(failure, CheckedStep::ListAccounts)).remedy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{FailingLookups, TargetList};
    use crate::model::Reason;
    use crate::snapshot::Store;
    use crate::status::tests::html_of;

    #[tokio::test]
    async fn a_failing_lookup_is_shown_with_its_message_and_its_remedy() {
        // Regression: the page did not mention that the organization could not be listed.
        let store = Store::new(std::time::Duration::from_mins(30));
        let denied = Failure::new(Reason::AccessDenied, "not allowed <b>");
        let failing_lookups =
            FailingLookups { organization: Some(denied), accounts: 2, ..FailingLookups::default() };
        store.set_targets(&TargetList { pending_lookups: 1, failing_lookups, ..TargetList::default() });
        let page = html_of(store, "").await;
        for part in [
            "Cannot list the accounts of the organization",
            "not allowed &lt;b&gt;",
            "organizations:ListAccounts",
            "Cannot list the enabled regions of 2 accounts",
            "#ssmsyncdiscoveryfailing",
            "#ssmsyncnothingpolled",
            "<title>(3) Organization not listed, Regions not listed, No targets · SSM Sync Exporter</title>",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[tokio::test]
    async fn units_that_cannot_be_listed_are_shown_although_all_accounts_are_known() {
        let store = Store::new(std::time::Duration::from_mins(30));
        let unknown_unit = Failure::new(Reason::Other, "ou-abcd-11111111: not found");
        let failing_lookups = FailingLookups { units: Some(unknown_unit), ..FailingLookups::default() };
        store.set_targets(&TargetList { failing_lookups, ..TargetList::default() });
        let page = html_of(store, "").await;
        for part in [
            "Cannot list the organizational units",
            "ou-abcd-11111111: not found",
            "#ssmsyncdiscoveryfailing",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("Cannot list the accounts"), "{page}");
    }
}
