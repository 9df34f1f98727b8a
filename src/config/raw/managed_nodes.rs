//! The keys of `managed_nodes`, how their values are parsed, and how they are shown on the status page.

use std::time::Duration;

use schemars::JsonSchema;

use crate::config::mapping::mappings;
use crate::config::scalar::Shown;
use crate::config::shape::in_order;

#[derive(Debug, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(title = "Managed nodes", transform = in_order::<Self>)]
pub(in crate::config) struct RawManagedNodes {
    /// Looks up whether each target has managed nodes, which needs `ssm:DescribeInstanceInformation`. A target
    /// without managed nodes has no inventory, so its syncs to buckets are neither stale nor stuck.
    pub(in crate::config) enabled: Shown<bool>,
    /// Time from one lookup of a target to the next; at least `1s`. A lookup is one call.
    pub(in crate::config) interval: Shown<Duration>,
}

#[derive(Debug, Default, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self", default)]
#[schemars(title = "Managed nodes of an entry", transform = in_order::<Self>)]
pub(in crate::config) struct RawManagedNodesOfEntry {
    /// Whether to look up managed nodes. Overrides the top level.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = true)]
    pub(in crate::config) enabled: Option<Shown<bool>>,
    /// Time from one lookup of a target to the next; at least `1s`. Overrides the top level.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"6h")]
    pub(in crate::config) interval: Option<Shown<Duration>>,
}

mappings! {
    shown: RawManagedNodes, RawManagedNodesOfEntry,
}
