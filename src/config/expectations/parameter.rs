//! Checks and converts single parameters of a request.

use std::collections::BTreeSet;

use crate::config::error::ConfigError;
use crate::config::raw::{AnyOf, Nullable};
use crate::config::scalar::Shown;
use crate::config::setting::Setting;
use crate::expectations::{ExpectedFlag, ExpectedSet, ExpectedText, Presence, TextPattern};
use crate::fleet::{Partition, RegionName};
use crate::printable::excerpt;

const EMPTY_LIST: &str = "the list is empty; add a value, or set `null` if the field has to be absent";

/// The rest of the expectation that a request belongs to.
#[derive(Clone, Copy)]
pub(super) struct RequestContext<'a> {
    pub(super) presence: Presence,
    /// The partitions of the targets, if they are known.
    pub(super) partitions: Option<&'a [Partition]>,
}

/// What a text has to be.
///
/// # Errors
/// The list is empty, or the first error that `check` returns for a value.
pub(super) fn expected_text(
    raw: Nullable<AnyOf<TextPattern>>,
    setting: &Setting<'_>,
    check: impl Fn(&TextPattern) -> Result<(), String>,
) -> Result<ExpectedText, ConfigError> {
    let texts = match raw {
        Nullable::Null => return Ok(ExpectedText::Absent),
        Nullable::Value(texts) => texts,
    };
    if texts.values().is_empty() {
        return Err(setting.invalid(EMPTY_LIST));
    }
    for (index, text) in texts.values().iter().enumerate() {
        let setting = match texts {
            AnyOf::One(_) => setting.clone(),
            AnyOf::List(_) => setting.at(index),
        };
        check(&text.value).map_err(|message| setting.invalid(shortened(&message, &text.value)))?;
    }
    Ok(ExpectedText::AnyOf(texts.into_values()))
}

/// What a list has to have.
///
/// # Errors
/// The list is empty, an entry has a wildcard, or the first error that `check` returns for an entry.
/// `entry` returns the setting of the entry with this index.
pub(super) fn expected_set<'a>(
    raw: Nullable<Vec<TextPattern>>,
    setting: &Setting<'a>,
    entry: impl Fn(usize) -> Setting<'a>,
    check: impl Fn(&TextPattern) -> Result<(), String>,
) -> Result<ExpectedSet, ConfigError> {
    let values = match raw {
        Nullable::Null => return Ok(ExpectedSet::Absent),
        Nullable::Value(values) => values,
    };
    if values.is_empty() {
        return Err(setting.invalid(EMPTY_LIST));
    }
    for (index, value) in values.iter().enumerate() {
        let checked = if value.is_literal() {
            check(value)
        } else {
            Err(format!(
                "`{value}` has a wildcard, but the list is compared as a whole; add each value to the list"
            ))
        };
        checked.map_err(|message| entry(index).invalid(shortened(&message, value)))?;
    }
    Ok(ExpectedSet::Exactly(values))
}

pub(super) fn expected_flag(raw: Nullable<Shown<bool>>) -> ExpectedFlag {
    match raw {
        Nullable::Null => ExpectedFlag::Absent,
        Nullable::Value(value) => ExpectedFlag::Is(value.into_value()),
    }
}

/// The message, which may repeat the text, with only the beginning of a long text.
fn shortened(message: &str, text: &TextPattern) -> String {
    let text = text.to_string();
    message.replace(&text, &excerpt(&text))
}

impl RequestContext<'_> {
    /// Checks the name of a region, if the text is one.
    pub(super) fn check_region(&self, text: &TextPattern) -> Result<(), String> {
        let Some(name) = text.literal_text() else { return Ok(()) };
        let region: RegionName = name.parse().map_err(|error| format!("{error}"))?;
        self.check_partition(name, region.partition())
    }

    /// Checks that there are targets in the partition that `what` is in.
    pub(super) fn check_partition(&self, what: &str, partition: Partition) -> Result<(), String> {
        let Some(partitions) = self.partitions.filter(|partitions| !partitions.contains(&partition)) else {
            return Ok(());
        };
        let partitions: BTreeSet<&str> = partitions.iter().map(|partition| partition.as_str()).collect();
        let partitions = partitions.into_iter().collect::<Vec<_>>().join(" and ");
        Err(format!(
            "`{what}` is in the partition {partition}, but the targets are in {partitions}; a sync cannot leave its partition"
        ))
    }
}
