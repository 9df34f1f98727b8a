//! Checks and converts the key `health`.

use std::collections::BTreeSet;

use super::error::ConfigError;
use super::raw::{Limit, RawHealth, RawHealthRule};
use super::scalar::Shown;
use super::selectors;
use super::setting::Setting;
use crate::fleet::OrganizationalUnitId;
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
    let default_limits = SyncLimits {
        max_success_age: raw.max_success_age.value.0,
        max_run_time: raw.max_run_time.value.0,
        ..SyncLimits::default()
    };
    let mut rules: Vec<HealthRule> = Vec::new();
    for (index, raw) in raw.rules.unwrap_or_default().into_iter().enumerate() {
        let setting = setting.at("rules").at(index);
        if raw.max_success_age.is_none() && raw.max_run_time.is_none() && raw.ignore_managed_nodes.is_none() {
            let message =
                "the rule changes nothing; set `max_success_age`, `max_run_time` or `ignore_managed_nodes`";
            return Err(setting.invalid(message));
        }
        if rules.last().is_some_and(HealthRule::matches_everything) {
            let message = "has no effect, because the rule before it matches every sync; move it up";
            return Err(setting.invalid(message));
        }
        rules.push(rule(raw, &setting, has_organization)?);
    }
    Ok(HealthPolicy { default_limits, rules, quota, ..HealthPolicy::default() })
}

/// Warnings about rules that have no effect because managed nodes are not looked up. `setting` is that of `health`.
pub(super) fn warnings(policy: &HealthPolicy, has_lookups: bool, setting: &Setting<'_>) -> Vec<String> {
    if has_lookups {
        return Vec::new();
    }
    let is_ineffective = |(_, rule): &(usize, &HealthRule)| rule.ignore_managed_nodes == Some(true);
    let warning = |(index, _)| {
        let message = "has no effect, because `managed_nodes` is not enabled for any account";
        setting.at("rules").at(index).at("ignore_managed_nodes").invalid(message).to_string()
    };
    policy.rules.iter().enumerate().filter(is_ineffective).map(warning).collect()
}

/// The units that rules and expectations name, each once and in a fixed order, so that the
/// organization is not listed again when other parts of them change.
pub(super) fn named_units(policy: &HealthPolicy) -> Vec<OrganizationalUnitId> {
    let of_rules = policy.rules.iter().map(|rule| &rule.targets);
    let of_expectations = policy.expectations.iter().map(|expectation| &expectation.targets);
    let units = of_rules.chain(of_expectations).flat_map(|targets| &targets.organizational_units);
    units.cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

fn rule(
    raw: RawHealthRule,
    setting: &Setting<'_>,
    has_organization: bool,
) -> Result<HealthRule, ConfigError> {
    let RawHealthRule {
        accounts,
        organizational_units,
        regions,
        sync_types,
        sync_names,
        managed_by,
        max_success_age,
        max_run_time,
        ignore_managed_nodes,
    } = raw;
    let limit = |limit: Option<Shown<Limit>>| limit.map(|limit| limit.value.0);
    let sync_names = selectors::entries(sync_names, &setting.at("sync_names"))?;
    Ok(HealthRule {
        targets: selectors::targets(accounts, organizational_units, regions, setting, has_organization)?,
        sync_types: selectors::entries(sync_types, &setting.at("sync_types"))?,
        sync_names: sync_names.into_iter().map(|name| name.0).collect(),
        managed_by: selectors::entries(managed_by, &setting.at("managed_by"))?,
        max_success_age: limit(max_success_age),
        max_run_time: limit(max_run_time),
        ignore_managed_nodes: ignore_managed_nodes.map(Shown::into_value),
    })
}
