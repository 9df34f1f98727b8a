//! What is expected of one sync, and how it compares, field by field.

use maud::{Markup, html};

use super::expectation_labels::{field_label, found, state_badge, subject, wanted};
use super::what_to_do::what_to_do;
use crate::expectations::{
    ComparedField, Expectation, ExpectationState, Field, Judgement, Outcome, Presence, ViolationSubject,
};
use crate::health::{HealthPolicy, remedy};
use crate::status::query::PageQuery;
use crate::status::sync_lookup::FoundSync;
use crate::status::text::pluralize;

/// An expectation that is about a sync.
struct SyncExpectation<'a> {
    expectation: &'a Expectation,
    judgement: &'a Judgement,
    fields: Vec<ComparedField>,
    /// How the sync violates the expectation, if it does.
    violation: Option<(ViolationSubject, Field)>,
}

/// Whether the sync violates an expectation.
pub(super) fn is_violated(found: &FoundSync) -> bool {
    found.target.is_violated_by(found.index)
}

/// The expectations that are about the sync: those that it violates first, with what to do.
pub(super) fn section(found: &FoundSync, policy: &HealthPolicy) -> Markup {
    let mut expectations = expectations(found, policy);
    expectations.sort_by_key(|expectation| expectation.violation.is_none());
    html! {
        @if !expectations.is_empty() {
            section #expectations aria-labelledby="expectations-heading" {
                h2 #expectations-heading { "What is expected" }
                @for expectation in &expectations { (article(found, expectation)) }
            }
        }
    }
}

fn expectations<'a>(found: &'a FoundSync, policy: &'a HealthPolicy) -> Vec<SyncExpectation<'a>> {
    let Some(sync) = found.sync() else { return Vec::new() };
    let about_sync = |judgement: &'a Judgement| {
        let expectation = policy.expectations.get(judgement.expectation)?;
        let fields = expectation.compared_fields(sync.sync, &found.target.observed())?;
        let violation = judgement.violation_by(found.index);
        let violation = violation.map(|violation| (violation.subject, violation.field));
        Some(SyncExpectation { expectation, judgement, fields, violation })
    };
    found.target.judgements().iter().filter_map(about_sync).collect()
}

fn article(found: &FoundSync, of_sync: &SyncExpectation<'_>) -> Markup {
    let SyncExpectation { expectation, judgement, fields, violation } = of_sync;
    let all_targets = PageQuery { expectation: expectation.name.clone(), ..PageQuery::default() };
    let is_unknown = judgement.state == ExpectationState::Unknown;
    // The target may violate the expectation by another sync.
    let state = if violation.is_none() && !is_unknown { ExpectationState::Met } else { judgement.state };
    html! {
        article.expectation {
            h3 { a href={ "./" (all_targets.link()) } { (expectation.name) } " " (state_badge(state)) }
            p.hint { (subject(expectation)) }
            p { (explanation(of_sync)) }
            @if !is_unknown && !fields.is_empty() { (comparison(fields)) }
            @if let Some((subject, field)) = violation {
                @let advice = remedy::for_violation(&found.target, expectation, *subject, *field);
                h4 { "What to do" }
                (what_to_do(&advice))
            }
        }
    }
}

/// How the sync compares with the expectation, in full sentences.
fn explanation(of_sync: &SyncExpectation<'_>) -> String {
    let SyncExpectation { expectation, judgement, fields, violation } = of_sync;
    if judgement.state == ExpectationState::Unknown {
        return "It is not known whether the expectation is about this account, or what it wants there, or some syncs of \
                the account could not be read."
            .to_owned();
    }
    let number = |outcome| fields.iter().filter(|field| field.outcome == outcome).count();
    let (different, not_reported) = (number(Outcome::Different), number(Outcome::NotReported));
    let verdict = match different {
        0 => "This sync is as described.".to_owned(),
        1 => "In this sync, 1 field is different.".to_owned(),
        more => format!("In this sync, {more} fields are different."),
    };
    let verdict = match (expectation.presence, violation, different) {
        (Presence::Required, _, _) if expectation.request.single_name().is_some() => {
            format!("This sync is required. {verdict}")
        }
        (Presence::Required, None, 1..) if judgement.state == ExpectationState::Met => {
            format!("At least one such sync is required, and another one is as described. {verdict}")
        }
        (Presence::Required, _, 1..) => {
            format!("At least one such sync is required, and none is as described. {verdict}")
        }
        (Presence::Required, _, 0) => format!("At least one such sync is required. {verdict}"),
        (Presence::Allowed, _, _) => format!("Every such sync has to be as described. {verdict}"),
        (Presence::Forbidden, None, 0) => {
            "No such sync may be as described. It is not known whether this one is, because AWS does not report all fields.".to_owned()
        }
        (Presence::Forbidden, _, _) => format!("No such sync may be as described. {verdict}"),
    };
    match not_reported {
        0 => verdict,
        number => {
            format!(
                "{verdict} AWS does not report {}, which could not be compared.",
                pluralize(number, "field")
            )
        }
    }
}

fn comparison(fields: &[ComparedField]) -> Markup {
    html! {
        table.list.comparison {
            thead { tr {
                th scope="col" { "Field" }
                th scope="col" { "Wanted" }
                th scope="col" { "Found" }
                th.number scope="col" { "Comparison" }
            } }
            tbody { @for field in fields {
                tr.different[field.outcome == Outcome::Different] {
                    th scope="row" { (field_label(field.field)) }
                    td data-label="Wanted" { (wanted(field.wanted.as_deref())) }
                    td data-label="Found" { (found(field.found.as_deref())) }
                    td.number data-label="Comparison" { (outcome(field.outcome)) }
                }
            } }
        }
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Equal => "equal",
        Outcome::Different => "different",
        Outcome::NotReported => "not reported",
    }
}
