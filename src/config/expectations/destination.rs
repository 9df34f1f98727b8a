//! Checks and converts `S3Destination`.

use super::parameter::{RequestContext, expected_text};
use crate::config::error::ConfigError;
use crate::config::raw::RawS3Destination;
use crate::config::setting::Setting;
use crate::expectations::{ExpectedSync, ExpectedText, TextPattern};
use crate::fleet::Partition;

/// Adds the destination in `setting` to what is expected.
pub(super) fn expect(
    expected: &mut ExpectedSync,
    raw: RawS3Destination,
    setting: &Setting<'_>,
    context: RequestContext<'_>,
) -> Result<(), ConfigError> {
    let RawS3Destination { bucket_name, prefix, sync_format, region, kms_key_arn, destination_data_sharing } =
        raw;
    let text = |raw, key| expected_text(raw, &setting.at(key), |_| Ok(()));
    expected.bucket_name = bucket_name.map(|raw| text(raw, "BucketName")).transpose()?;
    expected.bucket_prefix = prefix.map(|raw| text(raw, "Prefix")).transpose()?;
    expected.sync_format = sync_format.map(|raw| text(raw, "SyncFormat")).transpose()?;
    let region = region
        .map(|raw| expected_text(raw, &setting.at("Region"), |text| context.check_region(text)))
        .transpose()?;
    let check_key = |key: &TextPattern| check_kms_key(key, region.as_ref(), context);
    expected.kms_key_arn =
        kms_key_arn.map(|raw| expected_text(raw, &setting.at("AWSKMSKeyARN"), check_key)).transpose()?;
    expected.bucket_region = region;
    if let Some(raw) = destination_data_sharing.and_then(|raw| raw.destination_data_sharing_type) {
        let setting = setting.at("DestinationDataSharing").at("DestinationDataSharingType");
        expected.sharing_type = Some(expected_text(raw, &setting, |_| Ok(()))?);
    }
    Ok(())
}

/// Checks the ARN of a key, as far as it is written without wildcards and placeholders.
fn check_kms_key(
    key: &TextPattern,
    bucket_region: Option<&ExpectedText>,
    context: RequestContext<'_>,
) -> Result<(), String> {
    let text = key.to_string();
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "kms", region, _, _] = parts.as_slice() else {
        return match key.literal_text() {
            Some(text) => Err(format!(
                "`{text}` is not the ARN of a KMS key; expected an ARN such as \
                 `arn:aws:kms:eu-west-1:111122223333:key/*`"
            )),
            // A wildcard may stand for several parts.
            None => Ok(()),
        };
    };
    if let Ok(partition) = partition.parse::<Partition>() {
        context.check_partition(&text, partition)?;
    }
    let is_literal = !region.contains(['*', '?', '{', '}']);
    match bucket_region.and_then(literal_texts) {
        Some(regions) if is_literal && !regions.contains(region) => Err(format!(
            "the key is in {region}, but `Region` is {}; a bucket and its key have to be in the same region",
            regions.join(" or ")
        )),
        _ => Ok(()),
    }
}

/// The values, if none of them has wildcards or placeholders.
fn literal_texts(text: &ExpectedText) -> Option<Vec<&str>> {
    match text {
        ExpectedText::Absent => None,
        ExpectedText::AnyOf(patterns) => patterns.iter().map(TextPattern::literal_text).collect(),
    }
}
