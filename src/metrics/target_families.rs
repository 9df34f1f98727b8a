//! The families about targets: what there is in each, and how it fares.

use std::collections::BTreeMap;

use prometheus::proto::MetricFamily;

use super::family::{Header, Kind, Samples, TargetFamily, count, flag, label, target_labels};
use crate::model::{Quota, Reason, SyncType};
use crate::snapshot::{Snapshot, TargetView};

const fn family(
    name: &'static str,
    help: &'static str,
    kind: Kind,
    samples: fn(&TargetView, &mut Samples<'_>),
) -> TargetFamily {
    TargetFamily { header: Header { name, help, kind }, samples }
}

/// One series or a few for each target.
pub(super) const FAMILIES: [TargetFamily; 8] = [
    family(
        "ssm_sync_exporter_target_info",
        "Every account and region that should be polled, whether it can be or not; always 1.",
        Kind::Gauge,
        |view, samples| {
            let name = view.target().account.name.as_deref();
            samples
                .add(&[("account_name", name), ("partition", Some(view.target().partition().as_str()))], 1.0);
        },
    ),
    family(
        "ssm_sync_exporter_target_up",
        "Whether the last collection of a target succeeded (1) or not (0).",
        Kind::Gauge,
        |view, samples| samples.add_if_known(view.up().map(flag)),
    ),
    family(
        "ssm_sync_exporter_target_last_collection_timestamp_seconds",
        "Unix time at which the last collection of a target ended, good or bad.",
        Kind::Gauge,
        |view, samples| samples.add_if_known(view.state.last.as_ref().map(|last| last.ended)),
    ),
    family(
        "ssm_sync_exporter_target_last_success_timestamp_seconds",
        "Unix time at which the last good collection of a target ended.",
        Kind::Gauge,
        |view, samples| samples.add_if_known(view.state.last_success),
    ),
    family(
        "ssm_sync_exporter_target_collection_duration_seconds",
        "How long the last collection of a target took.",
        Kind::Gauge,
        |view, samples| samples.add_if_known(view.state.last.as_ref().map(|last| last.took.as_secs_f64())),
    ),
    family(
        "ssm_sync_exporter_target_consecutive_failures",
        "Number of collections of a target that have failed since its last good one.",
        Kind::Gauge,
        |view, samples| samples.add(&[], count(view.state.consecutive_failures)),
    ),
    family(
        "ssm_sync_exporter_target_collections_total",
        "Number of collections of a target, good or bad.",
        Kind::Counter,
        |view, samples| samples.add(&[], count(view.state.collections)),
    ),
    family(
        "ssm_sync_exporter_target_collection_failures_total",
        "Number of collections of a target that have failed, by reason.",
        Kind::Counter,
        |view, samples| {
            for reason in Reason::ALL {
                // All reasons of all targets would be most of the exposition,
                // and nearly all of it zeros.
                let failures = view.state.failures(reason);
                if failures > 0 {
                    samples.add(&[("reason", Some(reason.as_str()))], count(failures));
                }
            }
        },
    ),
];

/// The families with a series for each target and sync type.
pub(super) fn of_types(snapshot: &Snapshot, quota: &Quota) -> impl Iterator<Item = MetricFamily> {
    let syncs = Header {
        name: "aws_ssm_resource_data_syncs",
        help: "Number of resource data syncs of a type, as of the last good collection.",
        kind: Kind::Gauge,
    };
    let limit = Header {
        name: "aws_ssm_resource_data_sync_quota",
        help: "Number of resource data syncs of a type that there may be in an account and region.",
        kind: Kind::Gauge,
    };
    let (mut of_syncs, mut of_limit) = (Vec::new(), Vec::new());
    for view in &snapshot.targets {
        let labels = |sync_type: &SyncType| {
            let mut labels = target_labels(view);
            labels.push(label("sync_type", sync_type.as_str()));
            labels
        };
        for sync_type in SyncType::KNOWN {
            if let Some(quota) = quota.of(sync_type) {
                Samples::new(limit.kind, labels(sync_type), &mut of_limit).add(&[], f64::from(quota));
            }
        }
        if let Some(found) = view.syncs() {
            // A type without syncs is shown with 0.
            let mut numbers: BTreeMap<&SyncType, u64> =
                SyncType::KNOWN.iter().map(|known| (known, 0)).collect();
            for sync in found {
                *numbers.entry(&sync.sync_type).or_default() += 1;
            }
            for (sync_type, number) in numbers {
                Samples::new(syncs.kind, labels(sync_type), &mut of_syncs).add(&[], count(number));
            }
        }
    }
    [syncs.family(of_syncs), limit.family(of_limit)].into_iter().flatten()
}
