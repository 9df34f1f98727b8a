//! Checks and converts a request of `CreateResourceDataSync`.

use super::parameter::RequestContext;
use super::{destination, preset, source};
use crate::config::error::ConfigError;
use crate::config::raw::RawRequest;
use crate::config::scalar::Shown;
use crate::config::setting::Setting;
use crate::expectations::{ExpectedSync, Presence, TextPattern};
use crate::model::SyncType;

/// The sync that the request in `setting` describes.
///
/// # Errors
/// The first parameter that is not valid or does not fit the others.
pub(super) fn expected_sync(
    raw: RawRequest,
    setting: &Setting<'_>,
    context: RequestContext<'_>,
) -> Result<ExpectedSync, ConfigError> {
    let RawRequest { sync_name, sync_type, s3_destination, sync_source } = raw;
    if sync_name.is_none() && sync_type.is_none() && s3_destination.is_none() && sync_source.is_none() {
        return Err(setting.invalid("the request is empty; set at least `SyncName` or `SyncType`"));
    }
    let destination_setting = setting.at("S3Destination");
    let source_setting = setting.at("SyncSource");
    let sync_type = match (sync_type.map(Shown::into_value), &s3_destination, &sync_source) {
        (None, Some(_), Some(_)) => {
            return Err(source_setting
                .invalid("conflicts with `S3Destination`, because a sync has one of the two; remove one"));
        }
        (None, None, Some(_)) => {
            return Err(setting.invalid("the key `SyncType` is missing; add `SyncType: SyncFromSource`"));
        }
        // The default of the API.
        (None, _, None) => SyncType::ToDestination,
        (Some(SyncType::FromSource), Some(_), _) => {
            return Err(destination_setting.invalid(
                "conflicts with `SyncType: SyncFromSource`; remove it, or set `SyncType: SyncToDestination`",
            ));
        }
        (Some(SyncType::ToDestination), _, Some(_)) => {
            return Err(source_setting.invalid(
                "conflicts with `SyncType: SyncToDestination`; remove it, or set `SyncType: SyncFromSource`",
            ));
        }
        (Some(sync_type), _, _) => sync_type,
    };
    let names: Vec<TextPattern> = match sync_name {
        Some(names) if names.values().is_empty() => {
            let message = "the list is empty; add a name, or remove the key for any name";
            return Err(setting.at("SyncName").invalid(message));
        }
        Some(names) => names.into_values().into_iter().map(|name| name.0).collect(),
        None => Vec::new(),
    };
    let mut expected = ExpectedSync { names, ..ExpectedSync::any(sync_type) };
    if let Some(name) = expected.single_name()
        && let Some(known) = preset::type_of_sync(name)
        && known != expected.sync_type
    {
        let message =
            format!("AWS creates `{name}` as {known}, so no sync is selected; set `SyncType: {known}`");
        return Err(setting.at("SyncType").invalid(message));
    }
    if let Some(raw) = s3_destination {
        destination::expect(&mut expected, raw, &destination_setting, context)?;
    }
    if let Some(raw) = sync_source {
        source::expect(&mut expected, raw, &source_setting, context)?;
    }
    if context.presence == Presence::Allowed && expected.values().next().is_none() {
        let message = "with `presence: allowed`, a request without a parameter to compare has no effect; \
                       add one, such as `S3Destination.BucketName`";
        return Err(setting.invalid(message));
    }
    Ok(expected)
}
