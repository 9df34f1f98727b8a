//! Checks and converts the key `health`.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use super::error::ConfigError;
use super::key_path::KeyPath;
use super::layers::Layers;
use super::raw::{Limit, RawHealth, RawHealthRule};
use super::scalar::Shown;
use crate::fleet::{OrganizationalUnitId, TargetSelector};
use crate::health::{HealthPolicy, HealthRule, SyncLimits};
use crate::model::Quota;

/// The policy of `raw` and `quota`.
///
/// # Errors
/// The first rule that has no effect, or that selects by what is not known.
pub(super) fn policy(
    raw: RawHealth,
    quota: Quota,
    has_organization: bool,
    layers: &Layers,
) -> Result<HealthPolicy, ConfigError> {
    let path = KeyPath::default().join("health").join("rules");
    let invalid = |path: &KeyPath, message: &dyn Display| ConfigError::Invalid {
        place: layers.place(path),
        message: format!("{path}: {message}"),
    };
    let default_limits =
        SyncLimits { max_success_age: raw.max_success_age.value.0, max_run_time: raw.max_run_time.value.0 };
    let mut rules: Vec<HealthRule> = Vec::new();
    for (index, raw) in raw.rules.unwrap_or_default().into_iter().enumerate() {
        let path = path.join(index);
        if let Some(key) = empty_list(&raw) {
            let message = "the list is empty; add an entry, or remove the key to select everything";
            return Err(invalid(&path.join(key), &message));
        }
        if raw.max_success_age.is_none() && raw.max_run_time.is_none() {
            let message = "the rule changes nothing; set `max_success_age` or `max_run_time`";
            return Err(invalid(&path, &message));
        }
        if raw.organizational_units.is_some() && !has_organization {
            let message =
                "requires `organization`, because units are known only of an organization's accounts";
            return Err(invalid(&path.join("organizational_units"), &message));
        }
        if rules.last().is_some_and(HealthRule::matches_everything) {
            let message = "has no effect, because the rule before it matches every sync; move it up";
            return Err(invalid(&path, &message));
        }
        rules.push(rule(raw));
    }
    Ok(HealthPolicy { default_limits, rules, quota, expectations: Vec::new() })
}

/// The units that rules name, each once and in a fixed order, so that the organization is not listed
/// again when only rules change.
pub(super) fn named_units(policy: &HealthPolicy) -> Vec<OrganizationalUnitId> {
    let units = policy.rules.iter().flat_map(|rule| &rule.targets.organizational_units);
    units.cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// The key of the first list without entries. A rule with such a list would match no sync, which is
/// a mistake.
fn empty_list(raw: &RawHealthRule) -> Option<&'static str> {
    fn is_empty<T>(list: Option<&Vec<T>>) -> bool {
        list.is_some_and(Vec::is_empty)
    }
    [
        ("accounts", is_empty(raw.accounts.as_ref())),
        ("organizational_units", is_empty(raw.organizational_units.as_ref())),
        ("regions", is_empty(raw.regions.as_ref())),
        ("sync_types", is_empty(raw.sync_types.as_ref())),
        ("sync_names", is_empty(raw.sync_names.as_ref())),
        ("managed_by", is_empty(raw.managed_by.as_ref())),
    ]
    .into_iter()
    .find_map(|(key, is_empty)| is_empty.then_some(key))
}

fn rule(raw: RawHealthRule) -> HealthRule {
    fn values<T>(list: Option<Vec<Shown<T>>>) -> Vec<T> {
        Shown::into_values(list.unwrap_or_default())
    }
    let limit = |limit: Option<Shown<Limit>>| -> Option<Duration> { limit.map(|limit| limit.value.0) };
    HealthRule {
        targets: TargetSelector {
            accounts: values(raw.accounts).into_iter().collect(),
            organizational_units: values(raw.organizational_units),
            regions: values(raw.regions),
        },
        sync_types: values(raw.sync_types),
        sync_names: values(raw.sync_names).into_iter().map(|name| name.0).collect(),
        managed_by: values(raw.managed_by),
        max_success_age: limit(raw.max_success_age),
        max_run_time: limit(raw.max_run_time),
    }
}
