//! Checks and converts the keys `managed_nodes` of the top level and of the entries that inherit from it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::MIN_INTERVAL;
use super::error::ConfigError;
use super::raw::{RawManagedNodes, RawManagedNodesOfEntry};
use super::scalar::Shown;
use super::setting::Setting;

/// Whether and how often managed nodes are looked up in the targets of the top level or of an entry.
#[derive(Clone)]
pub(super) struct ManagedNodes<'a> {
    is_enabled: bool,
    interval: Duration,
    /// The key that sets the interval.
    interval_setting: Setting<'a>,
}

impl<'a> ManagedNodes<'a> {
    /// The settings of the top level, read from `setting`.
    ///
    /// # Errors
    /// The interval is too short.
    pub(super) fn new(raw: &RawManagedNodes, setting: &Setting<'a>) -> Result<Self, ConfigError> {
        let interval_setting = setting.at("interval");
        let interval = checked(raw.interval.value, &interval_setting)?;
        Ok(Self { is_enabled: raw.enabled.value, interval, interval_setting })
    }

    /// The settings of an entry, read from `setting`. Keys that it leaves out are inherited.
    ///
    /// # Errors
    /// The interval is too short.
    pub(super) fn of_entry(
        &self,
        raw: Option<RawManagedNodesOfEntry>,
        setting: &Setting<'a>,
    ) -> Result<Self, ConfigError> {
        let RawManagedNodesOfEntry { enabled, interval } = raw.unwrap_or_default();
        let mut settings = self.clone();
        settings.is_enabled = enabled.map_or(self.is_enabled, Shown::into_value);
        if let Some(interval) = interval {
            settings.interval_setting = setting.at("interval");
            settings.interval = checked(interval.value, &settings.interval_setting)?;
        }
        Ok(settings)
    }

    /// The time between two lookups of a target. `None` if there are none.
    pub(super) fn lookup_interval(&self) -> Option<Duration> {
        self.is_enabled.then_some(self.interval)
    }
}

fn checked(interval: Duration, setting: &Setting<'_>) -> Result<Duration, ConfigError> {
    if interval < MIN_INTERVAL {
        let message = format!("`{interval:?}` is too short; expected at least {MIN_INTERVAL:?}");
        return Err(setting.invalid(message));
    }
    Ok(interval)
}

/// Warnings about intervals that are shorter than that of collections. Entries that inherit the same interval share a
/// warning.
pub(super) fn warnings(entries: &[ManagedNodes<'_>], collection_interval: Duration) -> Vec<String> {
    let is_short = |entry: &&ManagedNodes<'_>| {
        entry.lookup_interval().is_some_and(|interval| interval < collection_interval)
    };
    let warning = |entry: &ManagedNodes<'_>| {
        let message =
            "is shorter than `interval`, so managed nodes are looked up more often than syncs are collected";
        entry.interval_setting.invalid(message).to_string()
    };
    let mut distinct = BTreeSet::new();
    entries.iter().filter(is_short).map(warning).filter(|warning| distinct.insert(warning.clone())).collect()
}
