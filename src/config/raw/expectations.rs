//! The keys of `expectations`, how their values are parsed, and how they are shown on the status page.
//! The keys of a request are the names of the parameters of `CreateResourceDataSync`.

use std::path::PathBuf;

use schemars::JsonSchema;
use strum::VariantArray as _;

use super::alternatives::{AnyOf, List, Nullable};
use super::health::Limit;
use super::request_shapes::{BucketRegionShape, KmsKeyShape, SourceRegionShape, UnitShape, of_one_type};
use super::{OptionalList, non_null};
use crate::config::mapping::mappings;
use crate::config::scalar::{FromText, Shown, printable};
use crate::config::shape::{exactly_one_of, in_order};
use crate::expectations::{Presence, TextPattern};
use crate::fleet::{AccountEntry, OrganizationalUnitId, RegionOrPattern};
use crate::model::limits::MAX_TEXT_CHARS;
use crate::model::{ManagedBy, SyncType};
use crate::printable::excerpt;

#[derive(Debug, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(title = "Expectation", transform = in_order::<Self>)]
#[schemars(transform = exactly_one_of(&["request", "request_file", "preset"]))]
pub(in crate::config) struct RawExpectation {
    /// Name in metrics, log and status page: letters, digits, `-` and `_`; unique.
    pub(in crate::config) name: Shown<ExpectationName>,
    /// Account ids, or account names with the wildcards `*` and `?`. An entry with `!` in front excludes, wherever
    /// it stands in the list.
    #[serde(default, skip_serializing_if = "OptionalList::is_absent")]
    #[schemars(example = ["prod-*", "!prod-test", "111122223333"])]
    pub(in crate::config) accounts: OptionalList<AccountEntry>,
    /// The accounts of these units and of all units below them. Needs `organization`.
    #[serde(default, skip_serializing_if = "OptionalList::is_absent")]
    #[schemars(example = ["ou-abcd-11111111"])]
    pub(in crate::config) organizational_units: OptionalList<OrganizationalUnitId>,
    /// Regions, by name or wildcard.
    #[serde(default, skip_serializing_if = "OptionalList::is_absent")]
    #[schemars(example = ["eu-*"])]
    pub(in crate::config) regions: OptionalList<RegionOrPattern>,
    /// Which syncs the expectation is about, besides their type and name: those that these services, or the
    /// `customer`, manage.
    #[serde(default, skip_serializing_if = "OptionalList::is_absent")]
    #[schemars(example = ["customer"])]
    pub(in crate::config) managed_by: OptionalList<ManagedBy>,
    /// `required`: a sync as described has to be there. `allowed`: if the sync is there, it has to be as
    /// described. `forbidden`: no sync as described may be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = Presence::default().as_str()))]
    pub(in crate::config) presence: Option<Shown<Presence>>,
    /// The parameters of `CreateResourceDataSync`. A parameter that is not named is not compared. A text may
    /// have the wildcards `*` and `?` and the placeholders `{account_id}`, `{region}` and `{partition}`, or be
    /// a list of which any will do; null means that the field has to be absent.
    #[serde(default, deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawRequest")]
    pub(in crate::config) request: Option<RawRequest>,
    /// Instead of `request`: the JSON file for `aws ssm create-resource-data-sync --cli-input-json`, relative
    /// to the configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::config) request_file: Option<Shown<RequestFile>>,
    /// Instead of `request`: a sync that AWS creates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::config) preset: Option<Shown<Preset>>,
    /// How old the last success of the syncs may be that the expectation is about. Without it, `health` decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"26h")]
    pub(in crate::config) max_success_age: Option<Shown<Limit>>,
    /// How long a run of these syncs may be in progress. Without it, `health` decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"1h")]
    pub(in crate::config) max_run_time: Option<Shown<Limit>>,
}

/// The parameters of `CreateResourceDataSync`.
#[derive(Debug, Default, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self", default, rename_all = "PascalCase")]
#[schemars(title = "Request", transform = in_order::<Self>)]
#[schemars(transform = of_one_type)]
pub(in crate::config) struct RawRequest {
    /// Name of the sync, or names of which any will do. Without this key, any name.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AnyOf<ExpectedName>")]
    #[schemars(example = &"org-inventory")]
    pub(in crate::config) sync_name: Option<AnyOf<ExpectedName>>,
    /// Type of the sync.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Shown<SyncType>")]
    #[schemars(extend("default" = SyncType::ToDestination.as_str()))]
    pub(in crate::config) sync_type: Option<Shown<SyncType>>,
    /// The bucket, for `SyncToDestination` only.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawS3Destination")]
    pub(in crate::config) s3_destination: Option<RawS3Destination>,
    /// The accounts and regions, for `SyncFromSource` only.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawSyncSource")]
    pub(in crate::config) sync_source: Option<RawSyncSource>,
}

#[derive(Debug, Default, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self", default, rename_all = "PascalCase")]
#[schemars(title = "Destination", transform = in_order::<Self>)]
pub(in crate::config) struct RawS3Destination {
    /// Name of the bucket.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Nullable<AnyOf<TextPattern>>")]
    #[schemars(example = &"org-inventory-{region}")]
    pub(in crate::config) bucket_name: Option<Nullable<AnyOf<TextPattern>>>,
    /// Prefix of the objects in the bucket.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Nullable<AnyOf<TextPattern>>")]
    #[schemars(example = &"ssm")]
    pub(in crate::config) prefix: Option<Nullable<AnyOf<TextPattern>>>,
    /// Format of the objects.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Nullable<AnyOf<TextPattern>>")]
    #[schemars(example = &"JsonSerDe")]
    pub(in crate::config) sync_format: Option<Nullable<AnyOf<TextPattern>>>,
    /// Region of the bucket, in the partition of the targets.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Nullable<AnyOf<BucketRegionShape>>")]
    pub(in crate::config) region: Option<Nullable<AnyOf<TextPattern>>>,
    /// ARN of the key. If it names a region, that has to be the region of the bucket.
    #[serde(rename = "AWSKMSKeyARN", deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Nullable<AnyOf<KmsKeyShape>>")]
    pub(in crate::config) kms_key_arn: Option<Nullable<AnyOf<TextPattern>>>,
    /// How the data is shared. AWS does not always report this field.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawDestinationDataSharing")]
    pub(in crate::config) destination_data_sharing: Option<RawDestinationDataSharing>,
}

#[derive(Debug, Default, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self", default, rename_all = "PascalCase")]
#[schemars(title = "Data sharing", transform = in_order::<Self>)]
pub(in crate::config) struct RawDestinationDataSharing {
    /// Type of the sharing.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Nullable<AnyOf<TextPattern>>")]
    #[schemars(example = &"Organization")]
    pub(in crate::config) destination_data_sharing_type: Option<Nullable<AnyOf<TextPattern>>>,
}

#[derive(Debug, Default, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self", default, rename_all = "PascalCase")]
#[schemars(title = "Source", transform = in_order::<Self>)]
pub(in crate::config) struct RawSyncSource {
    /// `AwsOrganizations` or `SingleAccountMultiRegions`; letter case does not matter.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Nullable<AnyOf<TextPattern>>")]
    #[schemars(example = &"AwsOrganizations")]
    pub(in crate::config) source_type: Option<Nullable<AnyOf<TextPattern>>>,
    /// Which part of the organization.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawOrganizationsSource")]
    pub(in crate::config) aws_organizations_source: Option<RawOrganizationsSource>,
    /// Region names, compared as a whole, in any order. Required if the `presence` is `required`.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Nullable<List<SourceRegionShape>>")]
    #[schemars(example = ["eu-west-1"])]
    pub(in crate::config) source_regions: Option<Nullable<List<TextPattern>>>,
    /// Whether regions that AWS opens later are included.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Nullable<Shown<bool>>")]
    #[schemars(example = true)]
    pub(in crate::config) include_future_regions: Option<Nullable<Shown<bool>>>,
    /// Whether all sources of operational data are enabled.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Nullable<Shown<bool>>")]
    #[schemars(example = false)]
    pub(in crate::config) enable_all_ops_data_sources: Option<Nullable<Shown<bool>>>,
}

#[derive(Debug, Default, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self", default, rename_all = "PascalCase")]
#[schemars(title = "Source in an organization", transform = in_order::<Self>)]
pub(in crate::config) struct RawOrganizationsSource {
    /// `EntireOrganization` or `OrganizationalUnits`.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Nullable<AnyOf<TextPattern>>")]
    #[schemars(example = &"OrganizationalUnits")]
    pub(in crate::config) organization_source_type: Option<Nullable<AnyOf<TextPattern>>>,
    /// Units, compared as a whole, in any order. Requires `OrganizationSourceType: OrganizationalUnits`.
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Nullable<Vec<RawOrganizationalUnit>>")]
    pub(in crate::config) organizational_units: Option<Nullable<Vec<RawOrganizationalUnit>>>,
}

#[derive(Debug, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self", rename_all = "PascalCase")]
#[schemars(title = "Organizational unit", transform = in_order::<Self>)]
pub(in crate::config) struct RawOrganizationalUnit {
    /// Id of the unit.
    #[schemars(with = "Shown<UnitShape>")]
    pub(in crate::config) organizational_unit_id: Shown<TextPattern>,
}

mappings! {
    shown: RawExpectation, RawRequest, RawS3Destination, RawDestinationDataSharing, RawSyncSource, RawOrganizationsSource, RawOrganizationalUnit,
}

/// The maximum length of the name of a sync, as the model of the API declares it.
pub(super) const MAX_SYNC_NAME: usize = 64;

/// The maximum length of a path on Linux.
pub(super) const MAX_PATH: usize = 4096;

/// The maximum length of the name of an expectation.
pub(super) const MAX_EXPECTATION_NAME: usize = 64;

/// The name of an expectation: letters, digits, `-` and `_`.
#[derive(Debug)]
pub(in crate::config) struct ExpectationName(pub(in crate::config) String);

impl FromText for ExpectationName {
    const EXPECTED: &'static str = "a name of letters, digits, `-` and `_`";

    fn from_text(text: &str) -> Result<Self, String> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if text.is_empty() {
            return Err("the name is empty; expected letters, digits, `-` and `_`, such as `org-inventory`"
                .to_owned());
        }
        if text.len() > MAX_EXPECTATION_NAME || !text.bytes().all(is_allowed) {
            return Err(format!(
                "`{text}` is not the name of an expectation; expected at most {MAX_EXPECTATION_NAME} letters, digits, `-` and `_`"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromText for Presence {
    const EXPECTED: &'static str = "required, allowed or forbidden";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            let names: Vec<&str> = Self::VARIANTS.iter().map(|presence| presence.as_str()).collect();
            format!("`{text}` is not valid; expected one of {}", names.join(", "))
        })
    }
}

/// A pattern for the names of syncs.
#[derive(Debug)]
pub(in crate::config) struct ExpectedName(pub(in crate::config) TextPattern);

impl FromText for ExpectedName {
    const EXPECTED: &'static str = "the name of a sync";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err(
                "the name of the sync is empty; set a name, or remove the key for any name".to_owned()
            );
        }
        let name = TextPattern::from_text(text)?;
        match name.literal_text() {
            Some(literal) if literal.chars().count() > MAX_SYNC_NAME => {
                Err(format!("the name `{text}` is too long; expected at most {MAX_SYNC_NAME} characters"))
            }
            _ => Ok(Self(name)),
        }
    }
}

/// The name of a file with a request in JSON.
#[derive(Debug)]
pub(in crate::config) struct RequestFile(pub(in crate::config) PathBuf);

impl FromText for RequestFile {
    const EXPECTED: &'static str = "the path of a file";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the path is empty; set the path of a file, such as `request.json`".to_owned());
        }
        if text.len() > MAX_PATH || text.contains('\0') {
            return Err(format!(
                "`{text}` is not the path of a file; expected at most {MAX_PATH} bytes without NUL characters"
            ));
        }
        Ok(Self(text.into()))
    }
}

/// A sync that a service of AWS creates, by the service that needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub(in crate::config) enum Preset {
    Inspector,
    UnifiedConsole,
}

impl FromText for Preset {
    const EXPECTED: &'static str = "the name of a preset";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            let names: Vec<&str> = Self::VARIANTS.iter().map(Into::into).collect();
            format!("`{text}` is not a preset; expected one of {}", names.join(", "))
        })
    }
}

impl FromText for TextPattern {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err(format!("the text \"{}\" contains control characters; remove them", excerpt(text)));
        }
        if text.len() > MAX_TEXT_CHARS {
            return Err(format!("the text `{text}` is too long; expected at most {MAX_TEXT_CHARS} bytes"));
        }
        Self::parse(text).map_err(|error| error.to_string())
    }
}

printable! { ExpectationName, ExpectedName, Presence, Preset, RequestFile, TextPattern }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scalar::tests::error;

    #[test]
    fn an_error_repeats_only_the_beginning_of_a_long_or_multi_line_text() {
        let long = "x".repeat(1_000_000);
        for text in ["s\n", "s\0", "s\u{1b}[31m", "", &long] {
            for error in [
                error::<ExpectationName>(text),
                error::<ExpectedName>(text),
                error::<Presence>(text),
                error::<Preset>(text),
                error::<TextPattern>(text),
            ] {
                assert!(!error.contains(char::is_control), "{error:?}");
                assert!(error.len() < 500, "{error}");
            }
        }
    }
}
