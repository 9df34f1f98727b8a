//! The results as one JSON document, for programs.
//!
//! The keys are a public interface: new keys may be added, but no key may be renamed. Keys are
//! named after the labels of the metrics and the fields of AWS. A field that AWS leaves out
//! is left out here as well.

use serde::Serialize;

use super::Results;
use crate::build_info;
use crate::health::{AssessedTarget, HealthCounts};
use crate::model::{
    DataSync, Destination, Reason, SharingType, Source, SourceState, SyncStatus, UnixSeconds,
};

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    generated_at: Option<String>,
    /// The version of the exporter.
    version: &'static str,
    summary: Summary,
    /// In the order of the target list.
    targets: Vec<Target<'a>>,
}

#[derive(Serialize)]
struct Summary {
    targets: usize,
    targets_up: usize,
    targets_failed: usize,
    /// Targets that were not collected within `ready_after`.
    targets_not_collected: usize,
    /// Whether discovery has found every target.
    targets_complete: bool,
    syncs: usize,
    /// Syncs whose status is `Failed` or whose source has a fault.
    syncs_failed: usize,
}

#[derive(Serialize)]
struct Target<'a> {
    aws_account_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_name: Option<&'a str>,
    aws_region: &'a str,
    partition: &'a str,
    /// Left out if the target was not collected.
    #[serde(skip_serializing_if = "Option::is_none")]
    up: Option<bool>,
    /// Why the target is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collected_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<f64>,
    /// Left out if the target was not collected successfully.
    #[serde(skip_serializing_if = "Option::is_none")]
    syncs: Option<Vec<SyncItem<'a>>>,
}

#[derive(Serialize)]
struct SyncItem<'a> {
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
    destination: Option<SyncDestination<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SyncSource<'a>>,
}

#[derive(Serialize)]
struct SyncDestination<'a> {
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
struct SyncSource<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_source_type: Option<&'a str>,
    /// The number of organizational units.
    #[serde(skip_serializing_if = "Option::is_none")]
    organizational_units: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organizational_unit_ids: Option<&'a [String]>,
    /// The number of source regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    regions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_regions: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_future_regions: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_all_ops_data_sources: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
}

/// Renders the document, with a newline at its end.
pub(super) fn document(results: &Results) -> serde_json::Result<Vec<u8>> {
    let mut sync_counts = HealthCounts::default();
    for target in &results.targets {
        sync_counts.merge(&target.sync_counts());
    }
    let summary = Summary {
        targets: results.targets.len(),
        targets_up: results.with_up(Some(true)).count(),
        targets_failed: results.with_up(Some(false)).count(),
        targets_not_collected: results.with_up(None).count(),
        targets_complete: results.targets_complete,
        syncs: sync_counts.total(),
        syncs_failed: sync_counts.failed_syncs(),
    };
    let document = Document {
        generated_at: rfc3339(results.now),
        version: build_info::VERSION,
        summary,
        targets: results.targets.iter().map(target).collect(),
    };
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    Ok(text)
}

fn target(assessed: &AssessedTarget) -> Target<'_> {
    let target = assessed.target();
    let last = assessed.state().last.as_ref();
    let failure = last.and_then(|last| last.failure.as_ref());
    Target {
        aws_account_id: assessed.display_id(),
        account_name: target.account.name.as_deref(),
        aws_region: target.region.as_str(),
        partition: target.partition().as_str(),
        up: assessed.up(),
        reason: failure.map(|failure| Reason::as_str(failure.reason)),
        message: failure.map(|failure| failure.message.as_str()),
        collected_at: last.and_then(|last| rfc3339(last.ended)),
        duration_seconds: last.map(|last| last.took.as_secs_f64()),
        syncs: assessed.knows_syncs().then(|| assessed.syncs().map(|assessed| sync(assessed.sync)).collect()),
    }
}

fn sync(sync: &DataSync) -> SyncItem<'_> {
    SyncItem {
        sync_type: sync.sync_type.as_str(),
        sync_name: &sync.name,
        managed_by: sync.managed_by().as_str(),
        last_status: sync.last_status.as_ref().map(SyncStatus::as_str),
        last_status_message: sync.last_status_message.as_deref(),
        last_sync_time: sync.last_sync.and_then(rfc3339),
        last_successful_sync_time: sync.last_successful_sync.and_then(rfc3339),
        created_time: sync.created.and_then(rfc3339),
        last_modified_time: sync.last_modified.and_then(rfc3339),
        destination: sync.destination.as_ref().map(destination),
        source: sync.source.as_ref().map(source),
    }
}

fn destination(destination: &Destination) -> SyncDestination<'_> {
    SyncDestination {
        bucket_name: destination.bucket_name.as_deref(),
        bucket_prefix: destination.prefix.as_deref(),
        bucket_region: destination.region.as_deref(),
        sync_format: destination.format.as_deref(),
        kms_key_arn: destination.kms_key_arn.as_deref(),
        sharing_type: destination.sharing.as_ref().map(SharingType::as_str),
    }
}

fn source(source: &Source) -> SyncSource<'_> {
    SyncSource {
        source_type: source.source_type.as_deref(),
        organization_source_type: source.organization_source_type.as_deref(),
        organizational_units: source.organizational_units.as_ref().map(Vec::len),
        organizational_unit_ids: source.organizational_units.as_deref(),
        regions: source.regions.as_ref().map(Vec::len),
        source_regions: source.regions.as_deref(),
        include_future_regions: source.include_future_regions,
        enable_all_ops_data_sources: source.enable_all_ops_data_sources,
        state: source.state.as_ref().map(SourceState::as_str),
    }
}

/// In UTC and to the millisecond, the precision of AWS. `None` beyond the year 9999.
fn rfc3339(seconds: UnixSeconds) -> Option<String> {
    let since_epoch = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
    let time = jiff::Timestamp::from_duration(since_epoch).ok()?;
    Some(time.round(jiff::Unit::Millisecond).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(1_763_800_000.0).unwrap(), "2025-11-22T08:26:40Z");
        assert_eq!(rfc3339(1_763_800_000.123).unwrap(), "2025-11-22T08:26:40.123Z");
        assert_eq!(rfc3339(-0.5).unwrap(), "1969-12-31T23:59:59.5Z");
        for beyond in [1e15, f64::INFINITY, f64::NAN] {
            assert_eq!(rfc3339(beyond), None);
        }
    }
}
