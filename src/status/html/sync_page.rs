//! The page about one sync: its health and why, what to do about it, and every field that AWS
//! reports.

use maud::{Markup, html};

use super::components::{
    NOT_AS_EXPECTED, age, backticks_to_code, badge, freshness, icon, label, meaning, not_as_expected_badge,
    owning_service, untrusted,
};
use super::header::settings;
use super::managed_nodes;
use super::what_to_do::what_to_do;
use super::{document, sprite};
use super::{sync_expectations, sync_fields};
use crate::health::{
    AssessedSync, AssessedTarget, Concern, ConcernKind, Health, HealthPolicy, explain, remedy,
};
use crate::model::UnixSeconds;
use crate::printable::escape_control_characters;
use crate::status::PageState;
use crate::status::aws_console::console_link;
use crate::status::query::PageQuery;
use crate::status::sync_lookup::FoundSync;
use crate::status::verdict::Mark;

pub(in crate::status) fn sync_page(
    state: &PageState,
    found: &FoundSync,
    policy: &HealthPolicy,
    now: UnixSeconds,
) -> Markup {
    let Some(sync) = found.sync() else { return html! {} };
    let name = escape_control_characters(&sync.sync.name);
    let mark = mark(found, sync.health);
    let status = if mark == Mark::NotAsExpected { NOT_AS_EXPECTED } else { label(sync.health) };
    let title = format!("{status}: {name} – SSM Sync Exporter");
    let concerns = found.concerns();
    let body = html! {
        (headline(found, sync, mark, now))
        @if let Some(advice) = remedy::for_sync(&found.target, sync) {
            section #what-to-do aria-labelledby="what-to-do-heading" {
                h2 #what-to-do-heading { "What to do: " (advice.title) }
                (what_to_do(&advice))
            }
        }
        (sync_expectations::section(found, policy))
        @for concern in &concerns { (concern_section(&found.target, concern)) }
        section #fields aria-labelledby="fields-heading" {
            h2 #fields-heading { "As AWS reports it" }
            p.hint { "A field that AWS left out is shown as “not reported”." }
            (sync_fields::fields(&found.target, sync, now))
        }
    };
    page(state, &title, &breadcrumb(&found.target, &name), &body)
}

/// A page in the style of the status page, with a header that leads back there.
pub(super) fn page(state: &PageState, title: &str, breadcrumb: &Markup, body: &Markup) -> Markup {
    let content = html! {
        (sprite())
        a.skip href="#main" { "Skip to main content" }
        header.top {
            p.brand { a href="./" { "SSM Sync Exporter" } span.sub { "AWS Systems Manager resource data syncs" } }
            nav aria-label="Exporter" {
                a href="./" { "Status page" }
                a href={ "." (state.info.telemetry_path) } { "Metrics" }
            }
            (settings())
        }
        main #main { (breadcrumb) (body) }
    };
    document(state, title, &content)
}

/// The way from the status page to the sync.
fn breadcrumb(target: &AssessedTarget, name: &str) -> Markup {
    let account = target.display_id();
    let region = &target.target().region;
    html! {
        nav.breadcrumb aria-label="Breadcrumb" {
            ol {
                li { a href="./" { "All accounts" } }
                li {
                    a href={ "./" (of_account(&account).link()) } {
                        @if let Some(name) = &target.target().account.name { (untrusted(name)) " " }
                        (untrusted(&account))
                    }
                }
                li {
                    @let query = PageQuery { region: Some(region.clone()), ..of_account(&account) };
                    a href={ "./" (query.link()) } { (region) }
                }
                li aria-current="page" { (untrusted(name)) }
            }
        }
    }
}

pub(super) fn of_account(account: &str) -> PageQuery {
    PageQuery { account: account.to_owned(), ..PageQuery::default() }
}

/// What the headline stands for. It is never green while the sync violates an expectation.
fn mark(found: &FoundSync, health: Health) -> Mark {
    match health {
        problem if problem.is_problem() => Mark::Health(problem),
        _ if sync_expectations::is_violated(found) => Mark::NotAsExpected,
        other => Mark::Health(other),
    }
}

fn headline(found: &FoundSync, sync: AssessedSync<'_>, mark: Mark, now: UnixSeconds) -> Markup {
    let target = &found.target;
    let health = sync.health;
    let region = &target.target().region;
    html! {
        section class={ "headline sync-headline " (mark.as_str()) } aria-label="Summary" {
            h1 { (icon(mark)) span { (untrusted(&sync.sync.name)) } }
            p.verdict { span title=(meaning(health)) { (badge(health)) } " " (backticks_to_code(&explain(&sync, &found.limit_origins, now))) }
            @if sync_expectations::is_violated(found) {
                p.verdict { (not_as_expected_badge()) " See " a href="#expectations" { "what is expected" } "." }
            }
            (managed_nodes::unknown(target, sync))
            (collected(target, now))
            p.links {
                @if let Some(service) = owning_service(sync.sync.managed_by()) { "Owned by " (service) ". " }
                @if let Some(link) = console_link(region, &sync.sync.sync_type) {
                    a href=(link) rel="noreferrer" { "AWS console for " (region) }
                    " (sign in to account " (untrusted(&target.display_id())) ")"
                }
            }
        }
    }
}

/// How old the data on the page is, and why it is not newer.
pub(super) fn collected(target: &AssessedTarget, now: UnixSeconds) -> Markup {
    let state = target.state();
    let last_success = state.last_success.map(|at| age(at, now));
    html! {
        (freshness(now, &html! {
            @if let Some(last_success) = &last_success { " Last successful collection: " (last_success) "." }
        }))
        @match state.last.as_ref().and_then(|last| last.failure.as_ref()) {
            None => {},
            Some(failure) => {
                @let guide = remedy::for_failures(failure.reason, [failure]);
                p.note {
                    strong { (badge(Health::Down)) " The target is down" } ": " (guide.title) " (" code { (failure.reason) } "). "
                    @if last_success.is_none() { "No collection has succeeded since the exporter started. " }
                    "Consecutive failures: " (state.consecutive_failures) "."
                }
                p.message { (untrusted(&failure.message)) }
                p {
                    (backticks_to_code(guide.remedy)) " "
                    a href=(guide.runbook_url()) rel="noreferrer" { "Runbook" }
                }
            },
        }
    }
}

pub(super) fn concern_section(target: &AssessedTarget, concern: &Concern) -> Markup {
    let advice = remedy::for_concern(target, concern);
    let heading = match concern.kind {
        ConcernKind::QuotaUsed => "Quota used up",
        ConcernKind::QuotaNearlyUsed => "Quota nearly used up",
        ConcernKind::InspectorSyncBlocked => "Amazon Inspector",
        ConcernKind::UnifiedConsoleSyncMissing => "Unified console",
        ConcernKind::AllOpsDataSources | ConcernKind::FutureRegions => "Costs",
    };
    html! {
        section.concern id=(concern.kind.as_str()) {
            h2 { (heading) ": " (advice.title) }
            (what_to_do(&advice))
        }
    }
}
