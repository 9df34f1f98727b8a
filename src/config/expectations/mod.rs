//! Checks and converts the key `expectations`.

mod conflicts;
mod destination;
mod parameter;
mod polled;
mod preset;
mod request;
mod request_file;
mod source;

use std::collections::HashMap;
use std::path::Path;

use super::error::ConfigError;
use super::raw::{Limit, OptionalList, RawExpectation};
use super::scalar::Shown;
use super::selectors;
use super::setting::Setting;
use crate::expectations::{Expectation, ExpectedSync, MAX_EXPECTATIONS, Presence, TextPattern};
use crate::fleet::{AccountEntry, AccountId, RegionOrPattern};
use crate::health::ExpectationRule;
use crate::model::{ManagedBy, Quota};
use parameter::RequestContext;
pub(super) use polled::Polled;
pub(super) use request_file::read_request_file;

/// The rest of the configuration, as far as it matters for expectations.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// Where relative paths of files start.
    pub(super) directory: &'a Path,
    pub(super) polled: &'a Polled<'a>,
    pub(super) quota: Quota,
}

/// The expectations of `raw`, which was read from `setting`, and the limits that are set beside them.
/// Reads the files that they name.
///
/// # Errors
/// The first expectation that is not valid, has no effect, or contradicts another one.
pub(super) fn expectations(
    raw: Option<Vec<RawExpectation>>,
    setting: &Setting<'_>,
    context: Context<'_>,
) -> Result<(Vec<Expectation>, Vec<ExpectationRule>), ConfigError> {
    let Some(raw) = raw else { return Ok((Vec::new(), Vec::new())) };
    if raw.is_empty() {
        return Err(setting.invalid("the list is empty; add an expectation, or remove the key"));
    }
    if raw.len() > MAX_EXPECTATIONS {
        return Err(setting.invalid(format!(
            "found {} expectations; expected at most {MAX_EXPECTATIONS}, because each adds a series for every target",
            raw.len()
        )));
    }
    let (mut expectations, mut rules) = (Vec::with_capacity(raw.len()), Vec::new());
    let mut indexes: HashMap<String, usize> = HashMap::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let setting = setting.at(index);
        if let Some(first) = indexes.insert(raw.name.value.0.clone(), index) {
            let message = format!(
                "the name `{}` is already used by expectations[{first}]; choose another one",
                raw.name.value.0
            );
            return Err(setting.at("name").invalid(message));
        }
        let limit = |limit: &Option<Shown<Limit>>| limit.as_ref().map(|limit| limit.value.0);
        let (max_success_age, max_run_time) = (limit(&raw.max_success_age), limit(&raw.max_run_time));
        if max_success_age.is_some() || max_run_time.is_some() {
            rules.push(ExpectationRule { expectation: index, max_success_age, max_run_time });
        }
        expectations.push(expectation(raw, &setting, context)?);
    }
    match conflicts::find(&expectations, context.quota, context.polled) {
        Some(conflict) => Err(setting.at(conflict.expectation).invalid(conflict.message)),
        None => Ok((expectations, rules)),
    }
}

fn expectation(
    raw: RawExpectation,
    setting: &Setting<'_>,
    context: Context<'_>,
) -> Result<Expectation, ConfigError> {
    let RawExpectation {
        name,
        accounts,
        organizational_units,
        regions,
        managed_by,
        presence,
        request,
        request_file,
        preset,
        max_success_age: _,
        max_run_time: _,
    } = raw;
    check_polled(&accounts, &regions, setting, context.polled)?;
    let has_organization = context.polled.has_organization();
    let targets = selectors::targets(accounts, organizational_units, regions, setting, has_organization)?;
    let managed_by = selectors::entries(managed_by, &setting.at("managed_by"))?;
    let presence = presence.map(Shown::into_value).unwrap_or_default();
    let partitions = context.polled.partitions(&targets.regions);
    let request_context = RequestContext { presence, partitions: partitions.as_deref() };
    let request = match (request, request_file, preset) {
        (Some(raw), None, None) => request::expected_sync(raw, &setting.at("request"), request_context)?,
        (None, Some(file), None) => {
            let path = context.directory.join(file.into_value().0);
            let (raw, layers) = request_file::read(&path, &setting.at("request_file"))?;
            request::expected_sync(raw, &Setting::root(&layers), request_context)?
        }
        (None, None, Some(_)) if presence == Presence::Allowed => {
            let message = "`allowed` has no effect with a preset, which names no parameter to compare; \
                           use `required` or `forbidden`";
            return Err(setting.at("presence").invalid(message));
        }
        (None, None, Some(preset)) => preset.into_value().expected_sync(),
        (None, None, None) => {
            return Err(setting.invalid("the request is missing; set `request`, `request_file` or `preset`"));
        }
        (Some(_), Some(_), _) => return Err(conflicting(setting, "request_file", "request")),
        (Some(_), _, Some(_)) => return Err(conflicting(setting, "preset", "request")),
        (_, Some(_), Some(_)) => return Err(conflicting(setting, "preset", "request_file")),
    };
    check_managers(&request, &managed_by, setting)?;
    Ok(Expectation { name: name.into_value().0, targets, managed_by, presence, request })
}

fn conflicting(setting: &Setting<'_>, key: &str, other: &str) -> ConfigError {
    setting.at(key).invalid(format!("conflicts with `{other}`; keep one of the two"))
}

/// Checks that the accounts and regions that are selected by id and by name may be polled.
fn check_polled(
    accounts: &OptionalList<AccountEntry>,
    regions: &OptionalList<RegionOrPattern>,
    setting: &Setting<'_>,
    polled: &Polled<'_>,
) -> Result<(), ConfigError> {
    for (index, entry) in accounts.values().enumerate() {
        if let Some(id) = entry.included_id().filter(|id| !polled.may_include_account(id)) {
            let message = if polled.excludes(id) {
                format!(
                    "{id} is in `organization.exclude_accounts`, so it is not polled; remove it from one of the two"
                )
            } else {
                format!(
                    "the account {id} is not polled; add it to the top-level `accounts`, or remove it here"
                )
            };
            return Err(setting.at("accounts").at(index).invalid(message));
        }
    }
    // Which accounts have a name is not known here.
    let ids: Option<Vec<&AccountId>> = accounts.values().map(AccountEntry::included_id).collect();
    let ids = ids.unwrap_or_default();
    for (index, entry) in regions.values().enumerate() {
        if let RegionOrPattern::Region(region) = entry
            && !polled.may_include_region(region, &ids)
        {
            let message = match ids.as_slice() {
                [] => format!(
                    "the region {region} is not polled; add it to the top-level `regions`, or remove it here"
                ),
                _ => format!(
                    "the region {region} is not polled in the accounts of this expectation; add it to their `regions`, or remove it here"
                ),
            };
            return Err(setting.at("regions").at(index).invalid(message));
        }
    }
    Ok(())
}

/// Checks that one of the managers can have created a sync with one of the names.
fn check_managers(
    request: &ExpectedSync,
    managed_by: &[ManagedBy],
    setting: &Setting<'_>,
) -> Result<(), ConfigError> {
    let names: Option<Vec<&str>> = request.names.iter().map(TextPattern::literal_text).collect();
    let managers = names.unwrap_or_default().into_iter().map(ManagedBy::from_sync_name);
    let managers: Vec<ManagedBy> = managers.collect();
    if let (false, [first, ..]) = (managed_by.is_empty(), &managers[..])
        && !managers.iter().any(|manager| managed_by.contains(manager))
    {
        let message = format!(
            "no sync is selected, because a sync with this `SyncName` is managed by {}; change the list or remove it",
            first.as_str()
        );
        return Err(setting.at("managed_by").invalid(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
