//! Checks and converts `SyncSource`.

use super::parameter::{RequestContext, expected_flag, expected_set, expected_text};
use crate::config::error::ConfigError;
use crate::config::raw::{List, Nullable, RawOrganizationalUnit, RawOrganizationsSource, RawSyncSource};
use crate::config::setting::Setting;
use crate::expectations::{ExpectedSync, ExpectedText, Presence, TextPattern};
use crate::fleet::OrganizationalUnitId;
use crate::model::Source;

/// Adds the source in `setting` to what is expected.
pub(super) fn expect(
    expected: &mut ExpectedSync,
    raw: RawSyncSource,
    setting: &Setting<'_>,
    context: RequestContext<'_>,
) -> Result<(), ConfigError> {
    let RawSyncSource {
        source_type,
        aws_organizations_source,
        source_regions,
        include_future_regions,
        enable_all_ops_data_sources,
    } = raw;
    if context.presence == Presence::Required && source_regions.is_none() {
        let message = "the key `SourceRegions` is missing, which every source has; add it, for example \
                       `SourceRegions: [eu-west-1]`";
        return Err(setting.invalid(message));
    }
    expected.source_type =
        source_type.map(|raw| expected_text(raw, &setting.at("SourceType"), |_| Ok(()))).transpose()?;
    if let Some(raw) = aws_organizations_source {
        expect_organization(expected, raw, &setting.at("AwsOrganizationsSource"))?;
    }
    if let Some(raw) = source_regions {
        let setting = setting.at("SourceRegions");
        let regions = raw.map(List::into_values);
        let entry = |index| setting.at(index);
        expected.source_regions =
            Some(expected_set(regions, &setting, entry, |region| context.check_region(region))?);
    }
    expected.include_future_regions = include_future_regions.map(expected_flag);
    expected.enable_all_ops_data_sources = enable_all_ops_data_sources.map(expected_flag);
    Ok(())
}

fn expect_organization(
    expected: &mut ExpectedSync,
    raw: RawOrganizationsSource,
    setting: &Setting<'_>,
) -> Result<(), ConfigError> {
    let RawOrganizationsSource { organization_source_type, organizational_units } = raw;
    if expected.source_type.as_ref().is_some_and(is_single_account) {
        let message = "conflicts with `SourceType: SingleAccountMultiRegions`; remove it, or set \
                       `SourceType: AwsOrganizations`";
        return Err(setting.invalid(message));
    }
    expected.organization_source_type = organization_source_type
        .map(|raw| expected_text(raw, &setting.at("OrganizationSourceType"), |_| Ok(())))
        .transpose()?;
    let Some(raw) = organizational_units else { return Ok(()) };
    let setting = setting.at("OrganizationalUnits");
    if matches!(raw, Nullable::Value(_))
        && !expected.organization_source_type.as_ref().is_some_and(may_be_units)
    {
        return Err(setting.invalid("requires `OrganizationSourceType: OrganizationalUnits`; add it"));
    }
    let entry = |index| setting.at(index).at("OrganizationalUnitId");
    expected.organizational_units = Some(expected_set(raw.map(unit_ids), &setting, entry, check_unit)?);
    Ok(())
}

fn is_single_account(source_type: &ExpectedText) -> bool {
    match source_type {
        ExpectedText::Absent => false,
        ExpectedText::AnyOf(patterns) => {
            patterns.iter().all(|pattern| pattern.literal_text().is_some_and(Source::is_single_account_type))
        }
    }
}

/// Whether units may be what the organization's data comes from.
fn may_be_units(organization_source_type: &ExpectedText) -> bool {
    match organization_source_type {
        ExpectedText::Absent => false,
        ExpectedText::AnyOf(patterns) => patterns
            .iter()
            .any(|pattern| pattern.literal_text().is_none_or(|text| text == "OrganizationalUnits")),
    }
}

fn unit_ids(units: Vec<RawOrganizationalUnit>) -> Vec<TextPattern> {
    units.into_iter().map(|unit| unit.organizational_unit_id.into_value()).collect()
}

fn check_unit(unit: &TextPattern) -> Result<(), String> {
    match unit.literal_text().map(str::parse::<OrganizationalUnitId>) {
        Some(Err(error)) => Err(error.to_string()),
        _ => Ok(()),
    }
}
