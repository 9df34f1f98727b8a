//! Checks and converts the key `expectations`.

mod request;

use super::error::ConfigError;
use super::raw::RawExpectation;
use super::scalar::Shown;
use super::setting::Setting;
use crate::expectations::Expectation;
use crate::fleet::TargetSelector;

/// The expectations of `raw`, which was read from `setting`.
///
/// # Errors
/// The first expectation that contradicts itself or another one, or that has no effect.
pub(super) fn expectations(
    raw: Option<Vec<RawExpectation>>,
    setting: &Setting<'_>,
) -> Result<Vec<Expectation>, ConfigError> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    raw.into_iter().enumerate().map(|(index, raw)| expectation(raw, &setting.at(index))).collect()
}

fn expectation(raw: RawExpectation, setting: &Setting<'_>) -> Result<Expectation, ConfigError> {
    let Some(raw_request) = raw.request else {
        return Err(setting.invalid("the key `request` is missing"));
    };
    Ok(Expectation {
        name: raw.name.into_value().0,
        targets: TargetSelector {
            accounts: raw.accounts.into_values().into_iter().collect(),
            organizational_units: raw.organizational_units.into_values(),
            regions: raw.regions.into_values(),
        },
        managed_by: raw.managed_by.into_values(),
        presence: raw.presence.map(Shown::into_value).unwrap_or_default(),
        request: request::expected_sync(raw_request, &setting.at("request"))?,
    })
}

#[cfg(test)]
mod tests;
