//! The families with series for each target: the results of its collections, and the number
//! of its syncs.

use std::collections::BTreeMap;

use super::family::{Family, Kind, SampleSource, SampleWriter, count, flag};
use crate::health::{AssessedSync, AssessedTarget, Health};
use crate::model::{Reason, SyncType};
use crate::snapshot::ManagedNodes;

const fn family(
    name: &'static str,
    help: &'static str,
    kind: Kind,
    samples: fn(&AssessedTarget, &mut SampleWriter),
) -> Family {
    Family { name, help, kind, source: SampleSource::Target(samples) }
}

pub(super) const FAMILIES: [Family; 16] = [
    family(
        "ssm_sync_exporter_target_info",
        "Name and AWS partition of a target that should be polled, as labels, whether polling it succeeds or not. Always 1.",
        Kind::Gauge,
        |target, samples| {
            let name = target.target().account.name.as_deref();
            samples.add(
                &[("account_name", name), ("partition", Some(target.target().partition().as_str()))],
                1.0,
            );
        },
    ),
    family(
        "ssm_sync_exporter_target_up",
        "1 if the last collection of a target succeeded, 0 if it failed. Absent until the first collection has ended.",
        Kind::Gauge,
        |target, samples| samples.add_if_known(target.up().map(flag)),
    ),
    family(
        "ssm_sync_exporter_target_down_reason",
        "Reason why the last collection of a target failed. 1 while the target is down, absent otherwise.",
        Kind::Gauge,
        |target, samples| {
            if let Some(failure) = target.state().last.as_ref().and_then(|last| last.failure.as_ref()) {
                let account_name = target.target().account.name.as_deref();
                samples
                    .add(&[("reason", Some(failure.reason.as_str())), ("account_name", account_name)], 1.0);
            }
        },
    ),
    family(
        "ssm_sync_exporter_target_last_collection_timestamp_seconds",
        "Unix time in seconds at which the last collection of a target ended, successful or failed.",
        Kind::Gauge,
        |target, samples| samples.add_if_known(target.state().last.as_ref().map(|last| last.ended)),
    ),
    family(
        "ssm_sync_exporter_target_last_success_timestamp_seconds",
        "Unix time in seconds at which the last successful collection of a target ended.",
        Kind::Gauge,
        |target, samples| samples.add_if_known(target.state().last_success),
    ),
    family(
        "ssm_sync_exporter_target_collection_duration_seconds",
        "Duration in seconds of the last collection of a target, successful or failed.",
        Kind::Gauge,
        |target, samples| {
            samples.add_if_known(target.state().last.as_ref().map(|last| last.took.as_secs_f64()));
        },
    ),
    family(
        "ssm_sync_exporter_target_consecutive_failures",
        "Number of collections of a target that failed since the last successful one. 0 after a success.",
        Kind::Gauge,
        |target, samples| samples.add(&[], count(target.state().consecutive_failures)),
    ),
    family(
        "ssm_sync_exporter_target_collections_total",
        "Total number of collections of a target that have ended, successful or failed.",
        Kind::Counter,
        |target, samples| samples.add(&[], count(target.state().collections)),
    ),
    family(
        "ssm_sync_exporter_target_collection_failures_total",
        "Total number of failed collections of a target, by reason. A reason appears with its first failure.",
        Kind::Counter,
        |target, samples| {
            for &reason in Reason::ALL {
                // Zeros for every reason of every target would make up most of the exposition.
                let failures = target.state().failures(reason);
                if failures > 0 {
                    samples.add(&[("reason", Some(reason.as_str()))], count(failures));
                }
            }
        },
    ),
    family(
        "ssm_sync_exporter_invalid_items_total",
        "Total number of listed resource data syncs that could not be read, for example because they have no name. Appears with the first such item of a target.",
        Kind::Counter,
        |target, samples| {
            let number = target.state().invalid_items_total;
            if number > 0 {
                samples.add(&[], count(number));
            }
        },
    ),
    family(
        "aws_ssm_managed_nodes_present",
        "1 if the last managed-node lookup of a target found managed nodes, 0 if it found none. Absent while unknown: before the first lookup, after a failed one, and without managed_nodes.enabled in the configuration.",
        Kind::Gauge,
        |target, samples| {
            let is_present = match target.managed_nodes() {
                Some(ManagedNodes::Present) => Some(true),
                Some(ManagedNodes::Absent) => Some(false),
                Some(ManagedNodes::Pending | ManagedNodes::Unknown(_)) | None => None,
            };
            samples.add_if_known(is_present.map(flag));
        },
    ),
    family(
        "aws_ssm_managed_nodes_last_checked_timestamp_seconds",
        "Unix time in seconds at which the last successful managed-node lookup of a target ended.",
        Kind::Gauge,
        |target, samples| {
            samples.add_if_known(target.managed_nodes().and(target.state().nodes.last_checked));
        },
    ),
    family(
        "ssm_sync_exporter_managed_nodes_down_reason",
        "Reason why the last managed-node lookup of a target failed. 1 until a lookup succeeds, absent otherwise.",
        Kind::Gauge,
        |target, samples| {
            if let Some(ManagedNodes::Unknown(failure)) = target.managed_nodes() {
                samples.add(&[("reason", Some(failure.reason.as_str()))], 1.0);
            }
        },
    ),
    family(
        "aws_ssm_resource_data_syncs",
        "Number of resource data syncs of one type in a target, as of the last good collection.",
        Kind::Gauge,
        |target, samples| {
            if !target.knows_syncs() {
                return;
            }
            // A type without syncs is exposed as 0.
            let mut counts: BTreeMap<&SyncType, u64> =
                SyncType::KNOWN.iter().map(|known| (known, 0)).collect();
            for AssessedSync { sync, .. } in target.syncs() {
                *counts.entry(&sync.sync_type).or_default() += 1;
            }
            for (sync_type, number) in counts {
                samples.add(&[("sync_type", Some(sync_type.as_str()))], count(number));
            }
        },
    ),
    family(
        "aws_ssm_resource_data_syncs_by_health",
        "Number of resource data syncs in a target, by type, health and owner. Each sync counts once, with the worst health that applies. Judged by the last good collection and the configured limits. Absent instead of 0.",
        Kind::Gauge,
        |target, samples| {
            let mut counts: BTreeMap<(&SyncType, Health, &str), u64> = BTreeMap::new();
            for AssessedSync { sync, health, .. } in target.syncs() {
                *counts.entry((&sync.sync_type, health, sync.managed_by().as_str())).or_default() += 1;
            }
            for ((sync_type, health, managed_by), number) in counts {
                samples.add(
                    &[
                        ("sync_type", Some(sync_type.as_str())),
                        ("health", Some(health.as_str())),
                        ("managed_by", Some(managed_by)),
                    ],
                    count(number),
                );
            }
        },
    ),
    family(
        "ssm_sync_exporter_target_health",
        "Worst health of a target and its syncs as a number: 0 healthy or no syncs, 1 in progress, 2 stuck, 3 stale, 4 source fault, 5 failed, 6 down. Absent until the first collection has ended.",
        Kind::Gauge,
        |target, samples| {
            if let Some(severity) = target.health.severity() {
                samples
                    .add(&[("account_name", target.target().account.name.as_deref())], f64::from(severity));
            }
        },
    ),
];
