//! Checks and converts the key `health`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::error::ConfigError;
use super::raw::{Limit, RawHealth, RawHealthRule};
use super::scalar::Shown;
use super::setting::Setting;
use crate::fleet::{OrganizationalUnitId, TargetSelector};
use crate::health::{HealthPolicy, HealthRule, SyncLimits};
use crate::model::Quota;

/// The policy of `raw`, which was read from `setting`, and of `quota`. It has no expectations.
///
/// # Errors
/// The first rule that has no effect, or that selects by what is not known.
pub(super) fn policy(
    raw: RawHealth,
    quota: Quota,
    has_organization: bool,
    setting: &Setting<'_>,
) -> Result<HealthPolicy, ConfigError> {
    let default_limits =
        SyncLimits { max_success_age: raw.max_success_age.value.0, max_run_time: raw.max_run_time.value.0 };
    let mut rules: Vec<HealthRule> = Vec::new();
    for (index, raw) in raw.rules.unwrap_or_default().into_iter().enumerate() {
        let setting = setting.at("rules").at(index);
        if let Some(key) = empty_list(&raw) {
            let message = "the list is empty; add an entry, or remove the key to select everything";
            return Err(setting.at(key).invalid(message));
        }
        if raw.max_success_age.is_none() && raw.max_run_time.is_none() {
            let message = "the rule changes nothing; set `max_success_age` or `max_run_time`";
            return Err(setting.invalid(message));
        }
        if !raw.organizational_units.is_absent() && !has_organization {
            let message =
                "requires `organization`, because units are known only of an organization's accounts";
            return Err(setting.at("organizational_units").invalid(message));
        }
        if rules.last().is_some_and(HealthRule::matches_everything) {
            let message = "has no effect, because the rule before it matches every sync; move it up";
            return Err(setting.invalid(message));
        }
        rules.push(rule(raw));
    }
    Ok(HealthPolicy { default_limits, rules, quota, expectations: Vec::new() })
}

/// The units that rules and expectations name, each once and in a fixed order, so that the
/// organization is not listed again when other parts of them change.
pub(super) fn named_units(policy: &HealthPolicy) -> Vec<OrganizationalUnitId> {
    let of_rules = policy.rules.iter().map(|rule| &rule.targets);
    let of_expectations = policy.expectations.iter().map(|expectation| &expectation.targets);
    let units = of_rules.chain(of_expectations).flat_map(|targets| &targets.organizational_units);
    units.cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// The key of the first list without entries. A rule with such a list would match no sync, which is
/// a mistake.
fn empty_list(raw: &RawHealthRule) -> Option<&'static str> {
    [
        ("accounts", raw.accounts.is_empty()),
        ("organizational_units", raw.organizational_units.is_empty()),
        ("regions", raw.regions.is_empty()),
        ("sync_types", raw.sync_types.is_empty()),
        ("sync_names", raw.sync_names.is_empty()),
        ("managed_by", raw.managed_by.is_empty()),
    ]
    .into_iter()
    .find_map(|(key, is_empty)| is_empty.then_some(key))
}

fn rule(raw: RawHealthRule) -> HealthRule {
    let limit = |limit: Option<Shown<Limit>>| -> Option<Duration> { limit.map(|limit| limit.value.0) };
    HealthRule {
        targets: TargetSelector {
            accounts: raw.accounts.into_values().into_iter().collect(),
            organizational_units: raw.organizational_units.into_values(),
            regions: raw.regions.into_values(),
        },
        sync_types: raw.sync_types.into_values(),
        sync_names: raw.sync_names.into_values().into_iter().map(|name| name.0).collect(),
        managed_by: raw.managed_by.into_values(),
        max_success_age: limit(raw.max_success_age),
        max_run_time: limit(raw.max_run_time),
    }
}
