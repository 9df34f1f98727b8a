//! The families with series for each target: the results of its collections, and the number
//! of its syncs.

use std::collections::BTreeMap;

use super::family::{Family, Kind, SampleSource, SampleWriter, count, flag};
use crate::model::{Quota, Reason, SyncType};
use crate::snapshot::TargetView;

const fn family(
    name: &'static str,
    help: &'static str,
    kind: Kind,
    samples: fn(&TargetView, &Quota, &mut SampleWriter),
) -> Family {
    Family { name, help, kind, source: SampleSource::Target(samples) }
}

pub(super) const FAMILIES: [Family; 11] = [
    family(
        "ssm_sync_exporter_target_info",
        "Name and AWS partition of a target that should be polled, as labels, whether polling it succeeds or not. Always 1.",
        Kind::Gauge,
        |view, _, samples| {
            let name = view.target().account.name.as_deref();
            samples
                .add(&[("account_name", name), ("partition", Some(view.target().partition().as_str()))], 1.0);
        },
    ),
    family(
        "ssm_sync_exporter_target_up",
        "1 if the last collection of a target succeeded, 0 if it failed. Absent until the first collection has ended.",
        Kind::Gauge,
        |view, _, samples| samples.add_if_known(view.up().map(flag)),
    ),
    family(
        "ssm_sync_exporter_target_down_reason",
        "Reason why the last collection of a target failed. 1 while the target is down, absent otherwise.",
        Kind::Gauge,
        |view, _, samples| {
            if let Some(failure) = view.state.last.as_ref().and_then(|last| last.failure.as_ref()) {
                samples.add(&[("reason", Some(failure.reason.as_str()))], 1.0);
            }
        },
    ),
    family(
        "ssm_sync_exporter_target_last_collection_timestamp_seconds",
        "Unix time in seconds at which the last collection of a target ended, successful or failed.",
        Kind::Gauge,
        |view, _, samples| samples.add_if_known(view.state.last.as_ref().map(|last| last.ended)),
    ),
    family(
        "ssm_sync_exporter_target_last_success_timestamp_seconds",
        "Unix time in seconds at which the last successful collection of a target ended.",
        Kind::Gauge,
        |view, _, samples| samples.add_if_known(view.state.last_success),
    ),
    family(
        "ssm_sync_exporter_target_collection_duration_seconds",
        "Duration in seconds of the last collection of a target, successful or failed.",
        Kind::Gauge,
        |view, _, samples| samples.add_if_known(view.state.last.as_ref().map(|last| last.took.as_secs_f64())),
    ),
    family(
        "ssm_sync_exporter_target_consecutive_failures",
        "Number of collections of a target that failed since the last successful one. 0 after a success.",
        Kind::Gauge,
        |view, _, samples| samples.add(&[], count(view.state.consecutive_failures)),
    ),
    family(
        "ssm_sync_exporter_target_collections_total",
        "Total number of collections of a target that have ended, successful or failed.",
        Kind::Counter,
        |view, _, samples| samples.add(&[], count(view.state.collections)),
    ),
    family(
        "ssm_sync_exporter_target_collection_failures_total",
        "Total number of failed collections of a target, by reason. A reason appears with its first failure.",
        Kind::Counter,
        |view, _, samples| {
            for &reason in Reason::ALL {
                // Zeros for every reason of every target would make up most of the exposition.
                let failures = view.state.failures(reason);
                if failures > 0 {
                    samples.add(&[("reason", Some(reason.as_str()))], count(failures));
                }
            }
        },
    ),
    family(
        "aws_ssm_resource_data_syncs",
        "Number of resource data syncs of one type in a target, as of the last good collection.",
        Kind::Gauge,
        |view, _, samples| {
            let Some(syncs) = view.syncs() else { return };
            // A type without syncs is exposed as 0.
            let mut counts: BTreeMap<&SyncType, u64> =
                SyncType::KNOWN.iter().map(|known| (known, 0)).collect();
            for sync in syncs {
                *counts.entry(&sync.sync_type).or_default() += 1;
            }
            for (sync_type, number) in counts {
                samples.add(&[("sync_type", Some(sync_type.as_str()))], count(number));
            }
        },
    ),
    family(
        "aws_ssm_resource_data_sync_quota",
        "Maximum number of resource data syncs of one type per account and region, as configured.",
        Kind::Gauge,
        |_, quota, samples| {
            for sync_type in SyncType::KNOWN {
                if let Some(quota) = quota.of(sync_type) {
                    samples.add(&[("sync_type", Some(sync_type.as_str()))], f64::from(quota));
                }
            }
        },
    ),
];
