//! The words and badges for expectations.

use maud::{Markup, html};

use super::components::{icon, plain, untrusted};
use crate::expectations::{Expectation, ExpectationState, Field, Presence};
use crate::health::{Difference, EMPTY_LIST, Health, NOT_REPORTED};
use crate::model::{ManagedBy, SyncType};
use crate::status::verdict::Mark;

/// The name of a field of a sync on all pages.
pub(super) fn field_label(field: Field) -> &'static str {
    match field {
        Field::Presence => "Presence",
        Field::Forbidden => "Forbidden",
        Field::BucketName => "Bucket",
        Field::BucketPrefix => "Prefix",
        Field::BucketRegion => "Region of the bucket",
        Field::SyncFormat => "Format",
        Field::KmsKeyArn => "KMS key",
        Field::SharingType => "Sharing",
        Field::SourceType => "Source type",
        Field::OrganizationSourceType => "Organization source type",
        Field::OrganizationalUnits => "Organizational units",
        Field::SourceRegions => "Source regions",
        Field::IncludeFutureRegions => "Include future regions",
        Field::EnableAllOpsDataSources => "Enable all OpsData sources",
    }
}

pub(super) fn state_label(state: ExpectationState) -> &'static str {
    match state {
        ExpectationState::Met => "As expected",
        ExpectationState::Missing => "Missing",
        ExpectationState::Drifted => "Drifted",
        ExpectationState::Forbidden => "Forbidden",
        ExpectationState::Unknown => "Unknown",
    }
}

/// What a state says about a target, with names of configuration keys between backticks.
pub(super) fn state_meaning(state: ExpectationState) -> &'static str {
    match state {
        ExpectationState::Met => "Everything is as the expectation describes it, as far as AWS reports it.",
        ExpectationState::Missing => "A required sync does not exist.",
        ExpectationState::Drifted => "A sync exists and differs from what the expectation describes.",
        ExpectationState::Forbidden => "A sync exists that the expectation forbids.",
        ExpectationState::Unknown => {
            "It is not known which syncs the target has, or whether the expectation is about the target."
        }
    }
}

pub(super) fn state_mark(state: ExpectationState) -> Mark {
    match state {
        ExpectationState::Met => Mark::Health(Health::Healthy),
        ExpectationState::Unknown => Mark::Health(Health::NotCollected),
        ExpectationState::Missing | ExpectationState::Drifted | ExpectationState::Forbidden => {
            Mark::NotAsExpected
        }
    }
}

pub(super) fn state_badge(state: ExpectationState) -> Markup {
    let mark = state_mark(state);
    html! {
        span class={ "badge " (mark.as_str()) } title=(plain(state_meaning(state))) { (icon(mark)) (state_label(state)) }
    }
}

/// What an expectation is about, such as “required: sync to a bucket named `org-inventory`”.
pub(super) fn subject(expectation: &Expectation) -> Markup {
    let names = &expectation.request.names;
    let owners = &expectation.managed_by;
    html! {
        (presence(expectation.presence)) ": " (sync_of_type(&expectation.request.sync_type))
        @for (index, name) in names.iter().enumerate() {
            @if index == 0 { " named " } @else { " or " }
            code { (untrusted(&name.to_string())) }
        }
        @if !owners.is_empty() {
            ", managed by "
            @for (index, owner) in owners.iter().enumerate() { @if index > 0 { " or " } (ManagedBy::as_str(*owner)) }
        }
    }
}

fn presence(presence: Presence) -> &'static str {
    match presence {
        Presence::Required => "required",
        Presence::Allowed => "allowed",
        Presence::Forbidden => "forbidden",
    }
}

fn sync_of_type(sync_type: &SyncType) -> Markup {
    html! {
        @match sync_type {
            SyncType::ToDestination => { "sync to a bucket" },
            SyncType::FromSource => { "sync from a source" },
            SyncType::Unknown(other) => { "sync of type " (untrusted(other)) },
        }
    }
}

/// The text that is wanted, or a word if the field has to be absent.
pub(super) fn wanted(text: Option<&str>) -> Markup {
    html! {
        @match text {
            Some(text) => code { (untrusted(text)) },
            None => span.none { (crate::health::ABSENT) },
        }
    }
}

/// The text that AWS reports, or a word if it reports nothing.
pub(super) fn found(text: Option<&str>) -> Markup {
    html! {
        @match text {
            None => span.none { (NOT_REPORTED) },
            Some("") => span.none { (EMPTY_LIST) },
            Some(text) => code { (untrusted(text)) },
        }
    }
}

/// A field that differs, with what is wanted and what was found.
pub(super) fn difference(difference: &Difference<'_>) -> Markup {
    html! {
        div {
            dt { (field_label(difference.field)) }
            dd {
                span { "wanted " (wanted(difference.wanted.as_deref())) }
                span { "found " (found(difference.found.as_deref())) }
            }
        }
    }
}
