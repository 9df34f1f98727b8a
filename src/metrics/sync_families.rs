//! The families with one or more series for each resource data sync.

use std::collections::BTreeSet;

use super::family::{Family, Kind, SampleSource, SampleWriter, count, flag};
use crate::health::{self, AssessedSync, AssessedTarget};
use crate::model::{DataSync, SharingType, SourceState, SyncStatus, UnixSeconds};

const fn gauge(
    name: &'static str,
    help: &'static str,
    samples: fn(AssessedSync<'_>, &AssessedTarget, &mut SampleWriter),
) -> Family {
    Family { name, help, kind: Kind::Gauge, source: SampleSource::Sync(samples) }
}

const fn age(name: &'static str, help: &'static str, since: fn(&DataSync) -> Option<UnixSeconds>) -> Family {
    Family { name, help, kind: Kind::Gauge, source: SampleSource::SyncAge(since) }
}

pub(super) const FAMILIES: [Family; 19] = [
    gauge(
        "aws_ssm_resource_data_sync_info",
        "Destination, source and manager of a resource data sync as labels, as of the last good collection. Always 1.",
        |AssessedSync { sync, .. }, _, samples| {
            let destination = sync.destination.as_ref();
            let source = sync.source.as_ref();
            samples.add(
                &[
                    ("bucket_name", destination.and_then(|to| to.bucket_name.as_deref())),
                    ("bucket_prefix", destination.and_then(|to| to.prefix.as_deref())),
                    ("bucket_region", destination.and_then(|to| to.region.as_deref())),
                    ("sync_format", destination.and_then(|to| to.format.as_deref())),
                    ("kms_key_arn", destination.and_then(|to| to.kms_key_arn.as_deref())),
                    ("source_type", source.and_then(|from| from.source_type.as_deref())),
                    (
                        "organization_source_type",
                        source.and_then(|from| from.organization_source_type.as_deref()),
                    ),
                    ("managed_by", Some(sync.managed_by().as_str())),
                ],
                1.0,
            );
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_last_status",
        "Status of the last attempt of a resource data sync, as of the last good collection. 1 for the status that AWS reports, 0 for the other known ones.",
        |AssessedSync { sync, .. }, _, samples| {
            if let Some(status) = &sync.last_status {
                samples.add_states(
                    "status",
                    SyncStatus::KNOWN.iter().map(SyncStatus::as_str),
                    Some(status.as_str()),
                );
            }
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_last_sync_timestamp_seconds",
        "Unix time in seconds of the last attempt of a resource data sync, as of the last good collection.",
        |AssessedSync { sync, .. }, _, samples| samples.add_if_known(sync.last_sync),
    ),
    gauge(
        "aws_ssm_resource_data_sync_last_successful_sync_timestamp_seconds",
        "Unix time in seconds of the last successful attempt of a resource data sync, as of the last good collection.",
        |AssessedSync { sync, .. }, _, samples| samples.add_if_known(sync.last_successful_sync),
    ),
    gauge(
        "aws_ssm_resource_data_sync_created_timestamp_seconds",
        "Unix time in seconds at which a resource data sync was created, as of the last good collection.",
        |AssessedSync { sync, .. }, _, samples| samples.add_if_known(sync.created),
    ),
    gauge(
        "aws_ssm_resource_data_sync_last_modified_timestamp_seconds",
        "Unix time in seconds at which a resource data sync was last modified, as of the last good collection.",
        |AssessedSync { sync, .. }, _, samples| samples.add_if_known(sync.last_modified),
    ),
    age(
        "aws_ssm_resource_data_sync_last_sync_age_seconds",
        "Seconds from the last attempt of a resource data sync to this scrape. Keeps growing while AWS cannot be reached.",
        |sync| sync.last_sync,
    ),
    age(
        "aws_ssm_resource_data_sync_last_successful_sync_age_seconds",
        "Seconds from the last successful attempt of a resource data sync to this scrape. Keeps growing while AWS cannot be reached.",
        |sync| sync.last_successful_sync,
    ),
    gauge(
        "aws_ssm_resource_data_sync_destination_data_sharing",
        "Sharing type of the destination of a resource data sync, as of the last good collection. 1 for the type that AWS reports, or for NotReported if AWS reports none; 0 for the other known ones.",
        |AssessedSync { sync, .. }, _, samples| {
            if let Some(destination) = &sync.destination {
                let reported = destination.sharing.as_ref().map_or("NotReported", SharingType::as_str);
                samples.add_states(
                    "sharing_type",
                    SharingType::KNOWN.iter().map(SharingType::as_str),
                    Some(reported),
                );
            }
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_source_state",
        "Fault in the source of a resource data sync, as of the last good collection. 1 for the state that AWS reports, 0 for the other known ones; all 0 if AWS reports no fault.",
        |AssessedSync { sync, .. }, _, samples| {
            if let Some(source) = &sync.source {
                let reported = source.state.as_ref().map(SourceState::as_str);
                samples.add_states("state", SourceState::KNOWN.iter().map(SourceState::as_str), reported);
            }
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_source_regions",
        "Number of AWS regions that a resource data sync reads from, as of the last good collection.",
        |AssessedSync { sync, .. }, _, samples| {
            let regions = sync.source.as_ref().and_then(|from| from.regions.as_ref());
            samples.add_if_known(regions.map(|regions| count(regions.len() as u64)));
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_source_region",
        "AWS region that a resource data sync reads from, as of the last good collection. Always 1.",
        |AssessedSync { sync, .. }, _, samples| {
            let regions = sync.source.as_ref().and_then(|from| from.regions.as_deref());
            one_for_each("source_region", regions, samples);
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_source_organizational_units",
        "Number of organizational units that a resource data sync reads from, as of the last good collection.",
        |AssessedSync { sync, .. }, _, samples| {
            let units = sync.source.as_ref().and_then(|from| from.organizational_units.as_ref());
            samples.add_if_known(units.map(|units| count(units.len() as u64)));
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_source_organizational_unit",
        "Organizational unit that a resource data sync reads from, as of the last good collection. Always 1.",
        |AssessedSync { sync, .. }, _, samples| {
            let units = sync.source.as_ref().and_then(|from| from.organizational_units.as_deref());
            one_for_each("organizational_unit_id", units, samples);
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_source_include_future_regions",
        "1 if a resource data sync also reads from regions that AWS adds in the future, 0 if not, as of the last good collection.",
        |AssessedSync { sync, .. }, _, samples| {
            samples.add_if_known(sync.source.as_ref().and_then(|from| from.include_future_regions).map(flag));
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_source_enable_all_ops_data_sources",
        "1 if a resource data sync reads from all OpsData sources, 0 if not, as of the last good collection.",
        |AssessedSync { sync, .. }, _, samples| {
            samples.add_if_known(
                sync.source.as_ref().and_then(|from| from.enable_all_ops_data_sources).map(flag),
            );
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_problem",
        "Worst problem of a resource data sync: failed, source_fault, stale or stuck. Judged by the last good collection and the configured limits. 1 while the problem lasts, absent otherwise.",
        |sync, target, samples| {
            if sync.health.is_problem() {
                let destination = sync.sync.destination.as_ref();
                samples.add(
                    &[
                        ("problem", Some(sync.health.as_str())),
                        ("cause", sync.cause()),
                        ("account_name", target.target().account.name.as_deref()),
                        ("bucket_name", destination.and_then(|to| to.bucket_name.as_deref())),
                        ("managed_by", Some(sync.sync.managed_by().as_str())),
                    ],
                    1.0,
                );
            }
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_max_success_age_seconds",
        "Configured maximum age in seconds of the last success of a resource data sync. With an older success the sync is stale.",
        |sync, _, samples| samples.add(&[], sync.max_success_age.as_secs_f64()),
    ),
    gauge(
        "aws_ssm_resource_data_sync_cost_risk",
        "Setting of a resource data sync that can cause unexpected costs, because AWS charges for OpsData: all_ops_data_sources or future_regions. Only for syncs that read from an organization. 1 while the setting is on, absent otherwise.",
        |sync, target, samples| {
            for setting in health::cost_risks(sync.sync) {
                samples.add(
                    &[
                        ("setting", Some(setting.as_str())),
                        ("account_name", target.target().account.name.as_deref()),
                    ],
                    1.0,
                );
            }
        },
    ),
];

/// Adds a sample with the value 1 for each distinct value. AWS may list a value twice, but a
/// series must not occur twice.
fn one_for_each(label: &str, values: Option<&[String]>, samples: &mut SampleWriter) {
    let distinct: BTreeSet<&str> = values.unwrap_or_default().iter().map(String::as_str).collect();
    for value in distinct {
        samples.add(&[(label, Some(value))], 1.0);
    }
}
