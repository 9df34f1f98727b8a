//! Every field of a sync, in groups.

use maud::{Markup, html};

use super::components::{owning_service, untrusted, when};
use super::expectation_labels::field_label;
use super::managed_nodes;
use crate::expectations::Field;
use crate::health::{AssessedSync, AssessedTarget, EMPTY_LIST, NOT_REPORTED};
use crate::model::{
    Destination, ManagedBy, SharingType, Source, SourceState, SyncStatus, SyncType, UnixSeconds,
};

pub(super) fn fields(target: &AssessedTarget, assessed: AssessedSync<'_>, now: UnixSeconds) -> Markup {
    let sync = assessed.sync;
    // The fields of the other type are shown only if AWS reports some.
    let shows_destination = sync.destination.is_some() || sync.sync_type != SyncType::FromSource;
    let shows_source = sync.source.is_some() || sync.sync_type != SyncType::ToDestination;
    let (no_destination, no_source) = (Destination::default(), Source::default());
    html! {
        div.fields {
            (group("Sync", &html! {
                (text("Name", Some(&sync.name)))
                (text("Type", Some(sync.sync_type.as_str())))
                (row("Owner", &owner(sync.managed_by())))
                (time("Created", sync.created, now))
                (time("Last changed", sync.last_modified, now))
            }))
            (group("Last run", &html! {
                (text("Status", sync.last_status.as_ref().map(SyncStatus::as_str)))
                (row("Message", &match &sync.last_status_message {
                    Some(message) => html! { p.message { (untrusted(message)) } },
                    None => not_reported(),
                }))
                (time("Last attempt", sync.last_sync, now))
                (time("Last success", sync.last_successful_sync, now))
            }))
            @if shows_destination { (destination(sync.destination.as_ref().unwrap_or(&no_destination))) }
            @if shows_source { (source(sync.source.as_ref().unwrap_or(&no_source))) }
            @let nodes = managed_nodes::facts(target, assessed, now);
            @if !nodes.is_empty() {
                (group("Managed nodes", &html! { @for (term, value) in &nodes { (row(term, value)) } }))
            }
        }
    }
}

fn destination(destination: &Destination) -> Markup {
    group(
        "S3 destination",
        &html! {
            (text(field_label(Field::BucketName), destination.bucket_name.as_deref()))
            (text(field_label(Field::BucketPrefix), destination.prefix.as_deref()))
            (text(field_label(Field::BucketRegion), destination.region.as_deref()))
            (text(field_label(Field::KmsKeyArn), destination.kms_key_arn.as_deref()))
            (text(field_label(Field::SyncFormat), destination.format.as_deref()))
            (text(field_label(Field::SharingType), destination.sharing.as_ref().map(SharingType::as_str)))
        },
    )
}

fn source(source: &Source) -> Markup {
    group(
        "Source",
        &html! {
            (text("Source state", source.state.as_ref().map(SourceState::as_str)))
            (text(field_label(Field::SourceType), source.source_type.as_deref()))
            (text(field_label(Field::OrganizationSourceType), source.organization_source_type.as_deref()))
            (list(field_label(Field::OrganizationalUnits), source.organizational_units.as_deref()))
            (list(field_label(Field::SourceRegions), source.regions.as_deref()))
            (flag(field_label(Field::IncludeFutureRegions), source.include_future_regions))
            (flag(field_label(Field::EnableAllOpsDataSources), source.enable_all_ops_data_sources))
        },
    )
}

fn group(heading: &str, rows: &Markup) -> Markup {
    html! {
        div.field-group { h3 { (heading) } dl { (rows) } }
    }
}

fn row(term: &str, value: &Markup) -> Markup {
    html! { div { dt { (term) } dd { (value) } } }
}

fn text(term: &str, value: Option<&str>) -> Markup {
    row(term, &value.map_or_else(not_reported, untrusted))
}

fn time(term: &str, at: Option<UnixSeconds>, now: UnixSeconds) -> Markup {
    row(term, &when(at, now, NOT_REPORTED))
}

fn flag(term: &str, value: Option<bool>) -> Markup {
    text(term, value.map(|value| if value { "yes" } else { "no" }))
}

fn list(term: &str, values: Option<&[String]>) -> Markup {
    row(
        term,
        &match values {
            None => not_reported(),
            Some([]) => html! { span.none { (EMPTY_LIST) } },
            Some(values) => html! { ul.values { @for value in values { li { (untrusted(value)) } } } },
        },
    )
}

fn not_reported() -> Markup {
    html! { span.none { (NOT_REPORTED) } }
}

fn owner(managed_by: ManagedBy) -> Markup {
    html! {
        (owning_service(managed_by).unwrap_or("customer"))
        " " span.sub { "(told from the name)" }
    }
}
