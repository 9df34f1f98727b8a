//! The keys of `health`, how their values are parsed, and how they are shown on the status page.

use std::str::FromStr as _;
use std::time::Duration;

use strum::VariantArray as _;

use super::{MAX_NAME, OptionalList, non_null_list};
use crate::config::scalar::{FromText, Shown, from_text_by_from_str, printable};
use crate::fleet::{AccountEntry, OrganizationalUnitId, RegionOrPattern};
use crate::model::{ManagedBy, SyncType};
use crate::wildcard::Wildcard;

#[derive(Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawHealth {
    pub(in crate::config) max_success_age: Shown<Limit>,
    pub(in crate::config) max_run_time: Shown<Limit>,
    #[serde(default, deserialize_with = "non_null_list", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) rules: Option<Vec<RawHealthRule>>,
}

#[derive(Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawHealthRule {
    #[serde(skip_serializing_if = "OptionalList::is_absent")]
    pub(in crate::config) accounts: OptionalList<AccountEntry>,
    #[serde(skip_serializing_if = "OptionalList::is_absent")]
    pub(in crate::config) organizational_units: OptionalList<OrganizationalUnitId>,
    #[serde(skip_serializing_if = "OptionalList::is_absent")]
    pub(in crate::config) regions: OptionalList<RegionOrPattern>,
    #[serde(skip_serializing_if = "OptionalList::is_absent")]
    pub(in crate::config) sync_types: OptionalList<SyncType>,
    #[serde(skip_serializing_if = "OptionalList::is_absent")]
    pub(in crate::config) sync_names: OptionalList<SyncNamePattern>,
    #[serde(skip_serializing_if = "OptionalList::is_absent")]
    pub(in crate::config) managed_by: OptionalList<ManagedBy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) max_success_age: Option<Shown<Limit>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) max_run_time: Option<Shown<Limit>>,
}

/// Ten years: a longer limit is a mistake.
const MAX_LIMIT: Duration = Duration::from_hours(3650 * 24);

/// A limit on the age of a success or on the duration of a run. It may be longer than other durations,
/// because no timer depends on it.
#[derive(Debug)]
pub(in crate::config) struct Limit(pub(in crate::config) Duration);

impl FromText for Limit {
    const EXPECTED: &'static str = "a duration, such as 90m, 48h or 30d";

    fn from_text(text: &str) -> Result<Self, String> {
        jiff::Span::from_str(text)
            .ok()
            .and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok())
            .and_then(|duration| Duration::try_from(duration).ok())
            .filter(|duration| !duration.is_zero() && *duration <= MAX_LIMIT)
            .map(Self)
            .ok_or_else(|| {
                format!("`{text}` is not a valid duration; expected more than 0s and at most 3650d, such as 90m, 48h or 30d")
            })
    }
}

/// A pattern for the names of syncs.
#[derive(Debug)]
pub(in crate::config) struct SyncNamePattern(pub(in crate::config) Wildcard);

impl FromText for SyncNamePattern {
    const EXPECTED: &'static str = "the name of a sync, or a pattern such as `license-manager-*`";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err(
                "the name of the sync is empty; set a name, or a pattern such as `license-manager-*`"
                    .to_owned(),
            );
        }
        // AWS allows at most 64 characters in the name of a sync.
        if text.len() > MAX_NAME {
            return Err(format!("the name `{text}` is too long; expected at most {MAX_NAME} bytes"));
        }
        Ok(Self(Wildcard::new(text)))
    }
}

impl FromText for SyncType {
    const EXPECTED: &'static str = "SyncToDestination or SyncFromSource";

    fn from_text(text: &str) -> Result<Self, String> {
        match Self::from(text) {
            Self::Unknown(_) => {
                Err(format!("`{text}` is not a type of syncs; expected SyncToDestination or SyncFromSource"))
            }
            known => Ok(known),
        }
    }
}

impl FromText for ManagedBy {
    const EXPECTED: &'static str = "who manages a sync";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            let names: Vec<&str> = Self::VARIANTS.iter().map(|manager| manager.as_str()).collect();
            format!("`{text}` manages no syncs; expected one of {}", names.join(", "))
        })
    }
}

printable! { AccountEntry, SyncType, SyncNamePattern, ManagedBy, Limit }

from_text_by_from_str! {
    AccountEntry: "an account id, or a pattern for account names such as `prod-*`",
}
