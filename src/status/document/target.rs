//! The targets and syncs of the document.

use serde::{Serialize, Serializer};

use super::expectation::ExpectationItem;
use super::{rfc3339, sync_counts};
use crate::expectations::Expectation;
use crate::health::{AssessedSync, AssessedTarget, Concern, HealthCounts};
use crate::model::{Destination, Reason, SharingType, Source, SourceState, SyncStatus};
use crate::snapshot::ManagedNodes;
use crate::status::managed_nodes;

/// A target.
#[derive(Debug, Serialize)]
pub(super) struct Target<'a> {
    #[serde(flatten)]
    head: TargetHead<'a>,
    /// Those that are about the target.
    expectations: Vec<ExpectationItem<'a>>,
    /// Left out if the syncs are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    syncs: Option<Vec<SyncItem<'a>>>,
}

/// A target up to its expectations and syncs.
#[derive(Debug, Serialize)]
pub(super) struct TargetHead<'a> {
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
    health: &'static str,
    /// The health of all syncs of the target. Left out if they are not known.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "sync_counts_if_known")]
    syncs_by_health: Option<HealthCounts>,
    /// Left out if the syncs are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    concerns: Option<Vec<ConcernItem<'a>>>,
    /// Left out if lookups are not enabled for the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    managed_nodes: Option<ManagedNodesItem<'a>>,
}

/// The results of managed-node lookups.
#[derive(Debug, Serialize)]
struct ManagedNodesItem<'a> {
    state: &'static str,
    /// When AWS last answered a lookup.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<String>,
    /// Why the last lookup failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

/// What needs attention although nothing is broken.
#[derive(Debug, Serialize)]
struct ConcernItem<'a> {
    kind: &'static str,
    sync_type: String,
    /// The sync that the concern is about. Left out if the concern is about all syncs of the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_name: Option<&'a str>,
    /// How many syncs of the type there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<u64>,
    /// How many syncs of the type there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(super) struct SyncItem<'a> {
    sync_type: &'a str,
    sync_name: &'a str,
    managed_by: &'static str,
    health: &'static str,
    /// Why the sync failed, or the fault of its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    max_success_age_seconds: u64,
    max_run_time_seconds: u64,
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

#[derive(Debug, Serialize)]
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

#[derive(Debug, Serialize)]
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

impl<'a> Target<'a> {
    /// The target with these of its syncs.
    pub(super) fn new(
        assessed: &'a AssessedTarget,
        expectations: &'a [Expectation],
        syncs: impl Iterator<Item = AssessedSync<'a>>,
    ) -> Self {
        let judgements = assessed.judgements().iter();
        let expectations = judgements
            .filter_map(|judgement| ExpectationItem::new(assessed, expectations, judgement))
            .collect();
        let syncs = assessed.knows_syncs().then(|| syncs.map(|sync| SyncItem::new(&sync)).collect());
        Self { head: TargetHead::new(assessed), expectations, syncs }
    }
}

impl<'a> TargetHead<'a> {
    pub(super) fn new(assessed: &'a AssessedTarget) -> Self {
        let target = assessed.target();
        let last = assessed.state().last.as_ref();
        let failure = last.and_then(|last| last.failure.as_ref());
        let knows_syncs = assessed.knows_syncs();
        Self {
            aws_account_id: assessed.display_id(),
            account_name: target.account.name.as_deref(),
            aws_region: target.region.as_str(),
            partition: target.partition().as_str(),
            up: assessed.up(),
            reason: failure.map(|failure| Reason::as_str(failure.reason)),
            message: failure.map(|failure| failure.message.as_str()),
            collected_at: last.and_then(|last| rfc3339(last.ended)),
            duration_seconds: last.map(|last| last.took.as_secs_f64()),
            health: assessed.health.as_str(),
            syncs_by_health: knows_syncs.then(|| assessed.sync_counts()),
            concerns: knows_syncs.then(|| concerns(assessed)),
            managed_nodes: assessed.managed_nodes().map(|nodes| ManagedNodesItem::new(assessed, nodes)),
        }
    }
}

impl<'a> ManagedNodesItem<'a> {
    fn new(assessed: &'a AssessedTarget, nodes: ManagedNodes<'a>) -> Self {
        let failure = match nodes {
            ManagedNodes::Unknown(failure) => Some(failure),
            _ => None,
        };
        Self {
            state: managed_nodes::state(nodes),
            checked_at: assessed.state().nodes.last_checked.and_then(rfc3339),
            reason: failure.map(|failure| Reason::as_str(failure.reason)),
            message: failure.map(|failure| failure.message.as_str()),
        }
    }
}

fn concerns(assessed: &AssessedTarget) -> Vec<ConcernItem<'_>> {
    let item = |concern: Concern| ConcernItem {
        kind: concern.kind.as_str(),
        sync_type: concern.sync_type.to_string(),
        sync_name: concern.missing_sync().or_else(|| Some(assessed.sync(concern.sync?)?.sync.name.as_str())),
        used: concern.quota.map(|(used, _)| used),
        quota: concern.quota.map(|(_, quota)| quota),
    };
    assessed.concerns().into_iter().map(item).collect()
}

#[expect(clippy::ref_option, reason = "the signature that serde requires")]
fn sync_counts_if_known<S: Serializer>(
    counts: &Option<HealthCounts>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match counts {
        Some(counts) => sync_counts(counts, serializer),
        None => serializer.serialize_none(),
    }
}

impl<'a> SyncItem<'a> {
    pub(super) fn new(assessed: &AssessedSync<'a>) -> Self {
        let AssessedSync { sync, health, max_success_age, max_run_time, .. } = *assessed;
        Self {
            sync_type: sync.sync_type.as_str(),
            sync_name: &sync.name,
            managed_by: sync.managed_by().as_str(),
            health: health.as_str(),
            cause: assessed.cause(),
            max_success_age_seconds: max_success_age.as_secs(),
            max_run_time_seconds: max_run_time.as_secs(),
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
