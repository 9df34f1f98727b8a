//! The keys of `health`, how their values are parsed, and how they are shown on the status page.

use std::str::FromStr as _;
use std::time::Duration;

use schemars::JsonSchema;
use strum::VariantArray as _;

use super::{MAX_NAME, OptionalList, non_null_list};
use crate::config::mapping::mappings;
use crate::config::scalar::{FromText, Shown, from_text_by_from_str, printable};
use crate::config::shape::{at_least_one_of, in_order};
use crate::fleet::{AccountEntry, OrganizationalUnitId, RegionOrPattern};
use crate::model::{ManagedBy, SyncType};
use crate::wildcard::Wildcard;

#[derive(Debug, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(title = "Health", transform = in_order::<Self>)]
pub(in crate::config) struct RawHealth {
    /// How old the last success of a sync may be. An older one makes the sync stale.
    pub(in crate::config) max_success_age: Shown<Limit>,
    /// How long a run may be in progress. A longer one makes the sync stuck.
    pub(in crate::config) max_run_time: Shown<Limit>,
    /// Other limits for some syncs. The first rule that matches a sync applies; what it leaves open is the
    /// default above. A rule matches if all of its selectors do.
    #[serde(default, deserialize_with = "non_null_list", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<RawHealthRule>", extend("default" = []))]
    pub(in crate::config) rules: Option<Vec<RawHealthRule>>,
}

#[derive(Debug, Default, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self", default)]
#[schemars(title = "Rule of health", transform = in_order::<Self>)]
#[schemars(transform = at_least_one_of(&["max_success_age", "max_run_time", "ignore_managed_nodes"]))]
pub(in crate::config) struct RawHealthRule {
    /// Account ids, or account names with the wildcards `*` and `?`. An entry with `!` in front excludes, wherever
    /// it stands in the list.
    #[serde(skip_serializing_if = "OptionalList::is_absent")]
    #[schemars(example = ["prod-*", "!prod-test", "111122223333"])]
    pub(in crate::config) accounts: OptionalList<AccountEntry>,
    /// The accounts of these units and of all units below them. Needs `organization`.
    #[serde(skip_serializing_if = "OptionalList::is_absent")]
    #[schemars(example = ["ou-abcd-11111111"])]
    pub(in crate::config) organizational_units: OptionalList<OrganizationalUnitId>,
    /// Regions, by name or wildcard.
    #[serde(skip_serializing_if = "OptionalList::is_absent")]
    #[schemars(example = ["eu-*"])]
    pub(in crate::config) regions: OptionalList<RegionOrPattern>,
    /// Types of syncs.
    #[serde(skip_serializing_if = "OptionalList::is_absent")]
    #[schemars(example = ["SyncToDestination"])]
    pub(in crate::config) sync_types: OptionalList<SyncType>,
    /// Names of syncs, with the wildcards `*` and `?`.
    #[serde(skip_serializing_if = "OptionalList::is_absent")]
    #[schemars(example = ["org-*"])]
    pub(in crate::config) sync_names: OptionalList<SyncNamePattern>,
    /// Who manages the syncs, as in the label of the metrics.
    #[serde(skip_serializing_if = "OptionalList::is_absent")]
    #[schemars(example = ["customer"])]
    pub(in crate::config) managed_by: OptionalList<ManagedBy>,
    /// How old the last success of these syncs may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"30d")]
    pub(in crate::config) max_success_age: Option<Shown<Limit>>,
    /// How long a run of these syncs may be in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"1h")]
    pub(in crate::config) max_run_time: Option<Shown<Limit>>,
    /// Judges these syncs by their age alone, even if there are no managed nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = true)]
    pub(in crate::config) ignore_managed_nodes: Option<Shown<bool>>,
}

mappings! {
    shown: RawHealth, RawHealthRule,
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
