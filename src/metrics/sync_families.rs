//! The families with one or more series for each resource data sync.

use super::family::{Family, Kind, SampleSource, SampleWriter, count, flag};
use crate::model::{DataSync, SharingType, SourceState, SyncStatus, UnixSeconds};

const fn gauge(name: &'static str, help: &'static str, samples: fn(&DataSync, &mut SampleWriter)) -> Family {
    Family { name, help, kind: Kind::Gauge, source: SampleSource::Sync(samples) }
}

const fn age(name: &'static str, help: &'static str, since: fn(&DataSync) -> Option<UnixSeconds>) -> Family {
    Family { name, help, kind: Kind::Gauge, source: SampleSource::SyncAge(since) }
}

pub(super) const FAMILIES: [Family; 14] = [
    gauge(
        "aws_ssm_resource_data_sync_info",
        "Destination, source and manager of a resource data sync as labels, as of the last good collection. Always 1.",
        |sync, samples| {
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
        |sync, samples| {
            if let Some(status) = &sync.last_status {
                state_set(
                    "status",
                    SyncStatus::KNOWN.iter().map(SyncStatus::as_str),
                    Some(status.as_str()),
                    samples,
                );
            }
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_last_sync_timestamp_seconds",
        "Unix time in seconds of the last attempt of a resource data sync, as of the last good collection.",
        |sync, samples| samples.add_if_known(sync.last_sync),
    ),
    gauge(
        "aws_ssm_resource_data_sync_last_successful_sync_timestamp_seconds",
        "Unix time in seconds of the last successful attempt of a resource data sync, as of the last good collection.",
        |sync, samples| samples.add_if_known(sync.last_successful_sync),
    ),
    gauge(
        "aws_ssm_resource_data_sync_created_timestamp_seconds",
        "Unix time in seconds at which a resource data sync was created, as of the last good collection.",
        |sync, samples| samples.add_if_known(sync.created),
    ),
    gauge(
        "aws_ssm_resource_data_sync_last_modified_timestamp_seconds",
        "Unix time in seconds at which a resource data sync was last modified, as of the last good collection.",
        |sync, samples| samples.add_if_known(sync.last_modified),
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
        |sync, samples| {
            if let Some(destination) = &sync.destination {
                let reported = destination.sharing.as_ref().map_or("NotReported", SharingType::as_str);
                state_set(
                    "sharing_type",
                    SharingType::KNOWN.iter().map(SharingType::as_str),
                    Some(reported),
                    samples,
                );
            }
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_source_state",
        "Fault in the source of a resource data sync, as of the last good collection. 1 for the state that AWS reports, 0 for the other known ones; all 0 if AWS reports no fault.",
        |sync, samples| {
            if let Some(source) = &sync.source {
                let reported = source.state.as_ref().map(SourceState::as_str);
                state_set("state", SourceState::KNOWN.iter().map(SourceState::as_str), reported, samples);
            }
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_source_regions",
        "Number of AWS regions that a resource data sync reads from, as of the last good collection.",
        |sync, samples| {
            samples.add_if_known(sync.source.as_ref().and_then(|from| optional_count(from.region_count)));
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_source_organizational_units",
        "Number of organizational units that a resource data sync reads from, as of the last good collection.",
        |sync, samples| {
            samples.add_if_known(
                sync.source.as_ref().and_then(|from| optional_count(from.organizational_unit_count)),
            );
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_source_include_future_regions",
        "1 if a resource data sync also reads from regions that AWS adds in the future, 0 if not, as of the last good collection.",
        |sync, samples| {
            samples.add_if_known(sync.source.as_ref().and_then(|from| from.include_future_regions).map(flag));
        },
    ),
    gauge(
        "aws_ssm_resource_data_sync_source_enable_all_ops_data_sources",
        "1 if a resource data sync reads from all OpsData sources, 0 if not, as of the last good collection.",
        |sync, samples| {
            samples.add_if_known(
                sync.source.as_ref().and_then(|from| from.enable_all_ops_data_sources).map(flag),
            );
        },
    ),
];

/// Adds a sample for each of the `known` values: 1 for the reported one, 0 for the
/// others. A reported value that is not among them is added under its own name.
fn state_set<'a>(
    label: &str,
    known: impl Iterator<Item = &'a str>,
    reported: Option<&str>,
    samples: &mut SampleWriter,
) {
    let mut is_known = false;
    for value in known {
        let is_reported = reported == Some(value);
        is_known |= is_reported;
        samples.add(&[(label, Some(value))], flag(is_reported));
    }
    if let (false, Some(unknown)) = (is_known, reported) {
        samples.add(&[(label, Some(unknown))], 1.0);
    }
}

fn optional_count(number: Option<usize>) -> Option<f64> {
    number.map(|number| count(number as u64))
}
