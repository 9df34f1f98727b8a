//! What is known as one JSON document, for programs.
//!
//! Its keys are those of the metrics' labels and of AWS's fields. What AWS left out
//! is left out here. Keys may be added; none is renamed.

use serde::Serialize;

use super::{Known, is_failed};
use crate::build_info;
use crate::model::{
    DataSync, Destination, Reason, SharingType, Source, SourceState, SyncStatus, UnixSeconds,
};
use crate::snapshot::TargetView;

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    generated_at: Option<String>,
    /// The exporter's.
    version: &'static str,
    summary: Summary,
    /// In the order of the configuration and the organization.
    targets: Vec<Target<'a>>,
}

#[derive(Serialize)]
struct Summary {
    /// How many targets there are.
    targets: usize,
    /// How many of them were collected.
    targets_up: usize,
    /// How many could not be.
    targets_failed: usize,
    /// How many had no collection within `ready_after`.
    targets_not_collected: usize,
    /// Whether it could be found out which targets there are.
    targets_complete: bool,
    /// How many syncs there are.
    syncs: usize,
    /// How many of them have the status `Failed`, or a source with a fault.
    syncs_failed: usize,
}

#[derive(Serialize)]
struct Target<'a> {
    aws_account_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_name: Option<&'a str>,
    aws_region: &'a str,
    partition: &'a str,
    /// Left out if there was no collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    up: Option<bool>,
    /// Why it is not up.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collected_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<f64>,
    /// Left out where they are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    syncs: Option<Vec<Item<'a>>>,
}

#[derive(Serialize)]
struct Item<'a> {
    sync_type: &'a str,
    sync_name: &'a str,
    managed_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sync_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_successful_sync_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<ToDestination<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<FromSource<'a>>,
}

#[derive(Serialize)]
struct ToDestination<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_prefix: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_format: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sharing_type: Option<&'a str>,
}

#[derive(Serialize)]
struct FromSource<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_source_type: Option<&'a str>,
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    organizational_units: Option<usize>,
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    regions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_future_regions: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_all_ops_data_sources: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
}

/// The document, with a new line at its end.
///
/// # Errors
/// None is known.
pub(super) fn document(known: &Known) -> serde_json::Result<Vec<u8>> {
    let views = &known.views;
    let so_many = |up| views.iter().filter(|view| view.up() == up).count();
    let syncs = || views.iter().filter_map(TargetView::syncs).flatten();
    let summary = Summary {
        targets: views.len(),
        targets_up: so_many(Some(true)),
        targets_failed: so_many(Some(false)),
        targets_not_collected: so_many(None),
        targets_complete: known.complete,
        syncs: syncs().count(),
        syncs_failed: syncs().filter(|sync| is_failed(sync)).count(),
    };
    let document = Document {
        generated_at: time(known.now),
        version: build_info::VERSION,
        summary,
        targets: views.iter().map(target).collect(),
    };
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    Ok(text)
}

fn target(view: &TargetView) -> Target<'_> {
    let target = view.target();
    let last = view.state.last.as_ref();
    let failure = last.and_then(|last| last.failure.as_ref());
    Target {
        aws_account_id: target.account.display_id(view.state.account.as_ref()),
        account_name: target.account.name.as_deref(),
        aws_region: target.region.as_str(),
        partition: target.partition().as_str(),
        up: view.up(),
        reason: failure.map(|failure| Reason::as_str(failure.reason)),
        message: failure.map(|failure| failure.message.as_str()),
        collected_at: last.and_then(|last| time(last.ended)),
        duration_seconds: last.map(|last| last.took.as_secs_f64()),
        syncs: view.syncs().map(|syncs| syncs.iter().map(sync).collect()),
    }
}

fn sync(sync: &DataSync) -> Item<'_> {
    Item {
        sync_type: sync.sync_type.as_str(),
        sync_name: &sync.name,
        managed_by: sync.managed_by().as_str(),
        last_status: sync.last_status.as_ref().map(SyncStatus::as_str),
        last_status_message: sync.last_status_message.as_deref(),
        last_sync_time: sync.last_sync.and_then(time),
        last_successful_sync_time: sync.last_successful_sync.and_then(time),
        created_time: sync.created.and_then(time),
        last_modified_time: sync.last_modified.and_then(time),
        destination: sync.destination.as_ref().map(destination),
        source: sync.source.as_ref().map(source),
    }
}

fn destination(to: &Destination) -> ToDestination<'_> {
    ToDestination {
        bucket_name: to.bucket_name.as_deref(),
        bucket_prefix: to.prefix.as_deref(),
        bucket_region: to.region.as_deref(),
        sync_format: to.format.as_deref(),
        kms_key_arn: to.kms_key_arn.as_deref(),
        sharing_type: to.sharing.as_ref().map(SharingType::as_str),
    }
}

fn source(from: &Source) -> FromSource<'_> {
    FromSource {
        source_type: from.source_type.as_deref(),
        organization_source_type: from.organization_source_type.as_deref(),
        organizational_units: from.organizational_units,
        regions: from.regions,
        include_future_regions: from.include_future_regions,
        enable_all_ops_data_sources: from.enable_all_ops_data_sources,
        state: from.state.as_ref().map(SourceState::as_str),
    }
}

/// As RFC 3339 has it, in UTC and to the millisecond, as AWS tells times; `None` if
/// it is beyond the year 9999.
fn time(seconds: UnixSeconds) -> Option<String> {
    let since_epoch = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
    let time = jiff::Timestamp::from_duration(since_epoch).ok()?;
    Some(time.round(jiff::Unit::Millisecond).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        assert_eq!(time(1_763_800_000.0).unwrap(), "2025-11-22T08:26:40Z");
        assert_eq!(time(1_763_800_000.123).unwrap(), "2025-11-22T08:26:40.123Z");
        assert_eq!(time(-0.5).unwrap(), "1969-12-31T23:59:59.5Z");
        for beyond in [1e15, f64::INFINITY, f64::NAN] {
            assert_eq!(time(beyond), None);
        }
    }
}
