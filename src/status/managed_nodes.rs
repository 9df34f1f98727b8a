//! The results of managed-node lookups, as the page and the document show them.

use serde::Serialize;

use crate::health::AssessedTarget;
use crate::snapshot::ManagedNodes;

/// The number of targets in each state, of those with managed-node lookups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ManagedNodeCounts {
    pub(crate) present: usize,
    pub(crate) absent: usize,
    pub(crate) pending: usize,
    pub(crate) unknown: usize,
}

impl ManagedNodeCounts {
    /// Counts `targets`. `None` if lookups are not enabled for any of them.
    pub(crate) fn of<'a>(targets: impl IntoIterator<Item = &'a AssessedTarget>) -> Option<Self> {
        let mut counts = None;
        for target in targets {
            Self::add(&mut counts, target);
        }
        counts
    }

    /// Counts `target` if lookups are enabled for it.
    pub(crate) fn add(counts: &mut Option<Self>, target: &AssessedTarget) {
        let Some(nodes) = target.managed_nodes() else { return };
        let counts = counts.get_or_insert_default();
        *match nodes {
            ManagedNodes::Present => &mut counts.present,
            ManagedNodes::Absent => &mut counts.absent,
            ManagedNodes::Pending => &mut counts.pending,
            ManagedNodes::Unknown(_) => &mut counts.unknown,
        } += 1;
    }
}

/// The value in the document.
pub(super) fn state(nodes: ManagedNodes<'_>) -> &'static str {
    match nodes {
        ManagedNodes::Present => "present",
        ManagedNodes::Absent => "absent",
        ManagedNodes::Pending => "pending",
        ManagedNodes::Unknown(_) => "unknown",
    }
}

/// A note on a target, or on a sync whose health depends on managed nodes.
pub(crate) fn note(nodes: Option<ManagedNodes<'_>>) -> Option<&'static str> {
    match nodes? {
        ManagedNodes::Absent => Some("no managed nodes here"),
        ManagedNodes::Unknown(_) => Some("managed nodes are unknown"),
        ManagedNodes::Present | ManagedNodes::Pending => None,
    }
}
