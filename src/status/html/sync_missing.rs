//! The pages instead of the page about one sync, if there is no such sync or if the address names
//! none.

use maud::{Markup, html};

use super::components::{backticks_to_code, icon, untrusted, when};
use super::expectation_labels::subject;
use super::sync_page::{collected, concern_section, of_account, page};
use super::what_to_do::what_to_do;
use crate::expectations::{Expectation, ExpectationState, Violation};
use crate::health::{AssessedTarget, Health, HealthPolicy, remedy};
use crate::model::UnixSeconds;
use crate::printable::excerpt;
use crate::status::PageState;
use crate::status::query::PageQuery;
use crate::status::sync_lookup::{MissingSync, SyncKey};
use crate::status::text::pluralize;
use crate::status::verdict::Mark;

/// The page about a sync that does not exist: what was looked for, and what there is.
pub(in crate::status) fn missing_page(
    state: &PageState,
    key: &SyncKey,
    missing: &MissingSync,
    policy: &HealthPolicy,
    now: UnixSeconds,
) -> Markup {
    let required_by = required_by(key, missing, policy);
    let (mark, heading) = match required_by.first() {
        Some((expectation, _)) if expectation.request.single_name().is_some() => {
            (Mark::NotAsExpected, "This sync is required and does not exist")
        }
        _ => (Mark::Health(Health::NoSyncs), "No such sync"),
    };
    let body = html! {
        section class={ "headline sync-headline " (mark.as_str()) } aria-label="Summary" {
            h1 { (icon(mark)) span { (heading) } }
            (situation(state, missing, now))
        }
        @if let Some(target) = &missing.target {
            @for (expectation, violation) in &required_by { (requirement(target, expectation, violation)) }
            @for concern in target.concerns() {
                @if concern.missing_sync() == Some(&*key.name) && concern.sync_type.as_str() == key.sync_type {
                    (concern_section(target, &concern))
                }
            }
        }
        section #wanted aria-labelledby="wanted-heading" {
            h2 #wanted-heading { "Looked for" }
            div.fields { div.field-group { dl {
                @for (term, value) in [
                    ("Account", &key.account), ("Region", &key.region), ("Type", &key.sync_type), ("Name", &key.name),
                ] { div { dt { (term) } dd { (untrusted(&excerpt(value))) } } }
            } } }
            p.hint { "All four have to be exactly as in the labels of the metrics." }
        }
        @if !missing.similar.is_empty() {
            section #similar aria-labelledby="similar-heading" {
                h2 #similar-heading { "Similar syncs" }
                ul.similar { @for similar in &missing.similar {
                    li {
                        a href=(similar.link) { (untrusted(&similar.name)) }
                        span.sub {
                            " " (untrusted(&similar.sync_type)) ", account " (untrusted(&similar.account)) ", " (similar.region)
                        }
                    }
                } }
            }
        }
    };
    page(state, &format!("{heading} – SSM Sync Exporter"), &html! {}, &body)
}

/// The expectations that are violated because there is no sync like the one that was looked for. Those
/// that require this very sync come first.
fn required_by<'a>(
    key: &SyncKey,
    missing: &'a MissingSync,
    policy: &'a HealthPolicy,
) -> Vec<(&'a Expectation, &'a Violation)> {
    let Some(target) = &missing.target else { return Vec::new() };
    let is_missing = target.judgements().iter().filter(|it| it.state == ExpectationState::Missing);
    let mut required_by: Vec<_> = is_missing
        .filter_map(|judgement| {
            let expectation = policy.expectations.get(judgement.expectation)?;
            let is_about = expectation.request.sync_type.as_str() == key.sync_type
                && expectation.accepts_name(&key.name, &target.observed());
            Some((expectation, judgement.violations.first().filter(|_| is_about)?))
        })
        .collect();
    required_by.sort_by_key(|(expectation, _)| expectation.request.single_name().is_none());
    required_by
}

fn requirement(target: &AssessedTarget, expectation: &Expectation, violation: &Violation) -> Markup {
    let advice = remedy::for_violation(target, expectation, violation.subject, violation.field);
    let this_sync = expectation.request.single_name().is_some();
    let all_targets = PageQuery { expectation: expectation.name.clone(), ..PageQuery::default() };
    html! {
        section.required {
            h2 { "What to do: " (advice.title) }
            p {
                "The expectation " a href={ "./" (all_targets.link()) } { (expectation.name) } " requires "
                @if this_sync { "this sync." } @else { "at least one sync like this one." }
            }
            p.hint { (subject(expectation)) }
            (what_to_do(&advice))
        }
    }
}

/// Whether the exporter polls the target, and the state of the target.
fn situation(state: &PageState, missing: &MissingSync, now: UnixSeconds) -> Markup {
    let Some(target) = &missing.target else {
        return html! {
            @if missing.regions.is_empty() {
                p { "This exporter does not poll the account." }
            } @else {
                p {
                    "This exporter polls the account, but not in this region. It polls it in "
                    @for (index, region) in missing.regions.iter().enumerate() { @if index > 0 { ", " } (region) } "."
                }
            }
            @if state.info.shard.is_one_of_many() {
                p { "It is one of several shards, and another shard may poll the account in this region." }
            }
        };
    };
    html! {
        @match (target.up(), target.knows_syncs()) {
            (None, _) => {
                p { "The account is polled in this region, but it has not been collected yet, so its syncs are not known." }
            },
            (Some(_), false) => {
                p { "The target is down, and its last known syncs are no longer served." }
                (collected(target, now))
            },
            (Some(is_up), true) => {
                @let number = pluralize(target.syncs().len(), "sync");
                p {
                    "The account has " (number) " in this region as of the last successful collection, "
                    (when(target.state().last_success, now, "an unknown time")) ", and this is not one of them. It may have been "
                    "deleted since the link was made."
                }
                @if !is_up { (collected(target, now)) }
            },
        }
        p { a href={ "./" (link_to_target(target)) } { "Show the account in this region" } }
    }
}

fn link_to_target(target: &AssessedTarget) -> String {
    let region = Some(target.target().region.clone());
    PageQuery { region, ..of_account(&target.display_id()) }.link()
}

/// The page for an address that names no sync.
pub(in crate::status) fn invalid_page(state: &PageState, problems: &[String]) -> Markup {
    let body = html! {
        section.headline.sync-headline.no_syncs aria-label="Summary" {
            h1 { (icon(Health::NoSyncs)) span { "This address does not name a sync" } }
            @for problem in problems { p { (backticks_to_code(problem)) } }
            p {
                "The address of the page about a sync has four parameters: "
                code { "/sync?account=ID&region=REGION&type=TYPE&name=NAME" }
                ", the labels " code { "aws_account_id" } ", " code { "aws_region" } ", " code { "sync_type" } " and "
                code { "sync_name" } " of its metrics."
            }
            p { a href="./" { "Show all accounts" } }
        }
    };
    page(state, "Invalid address – SSM Sync Exporter", &html! {}, &body)
}
