//! Checks and converts the keys that select targets and syncs.

use super::error::ConfigError;
use super::raw::OptionalList;
use super::setting::Setting;
use crate::fleet::{AccountEntry, OrganizationalUnitId, RegionOrPattern, TargetSelector};

/// The entries of the list in `setting`; none if there is no list.
///
/// # Errors
/// The list is empty. It would select nothing, which is a mistake.
pub(super) fn entries<T>(list: OptionalList<T>, setting: &Setting<'_>) -> Result<Vec<T>, ConfigError> {
    if list.is_empty() {
        let message = "the list is empty; add an entry, or remove the key to select everything";
        return Err(setting.invalid(message));
    }
    Ok(list.into_values())
}

/// The targets that the keys below `setting` select.
///
/// # Errors
/// A list is empty, or selects by what is not known.
pub(super) fn targets(
    accounts: OptionalList<AccountEntry>,
    organizational_units: OptionalList<OrganizationalUnitId>,
    regions: OptionalList<RegionOrPattern>,
    setting: &Setting<'_>,
    has_organization: bool,
) -> Result<TargetSelector, ConfigError> {
    let units_setting = setting.at("organizational_units");
    let organizational_units = entries(organizational_units, &units_setting)?;
    if !organizational_units.is_empty() && !has_organization {
        let message = "requires `organization`, because units are known only of an organization's accounts";
        return Err(units_setting.invalid(message));
    }
    Ok(TargetSelector {
        accounts: entries(accounts, &setting.at("accounts"))?.into_iter().collect(),
        organizational_units,
        regions: entries(regions, &setting.at("regions"))?,
    })
}
