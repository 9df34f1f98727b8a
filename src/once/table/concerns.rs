//! What needs attention although nothing is broken.

use std::collections::BTreeMap;

use super::super::{Results, pluralize, target_name};
use super::look::HEADING;
use super::managed_nodes;
use super::places::write_list;
use crate::health::ConcernKind;
use crate::model::{SyncType, UNIFIED_CONSOLE_SYNC};
use crate::terminal::{Page, Word, words};

/// Writes two lines for each kind of concern, and for each cause of failed managed-node lookups: what it
/// is, and where.
pub(super) fn write(page: &mut Page, results: &Results) {
    let mut places: BTreeMap<(ConcernKind, SyncType), Vec<String>> = BTreeMap::new();
    for target in &results.targets {
        for concern in target.concerns() {
            let mut place = target_name(target);
            if let Some(assessed) = concern.sync.and_then(|index| target.syncs().nth(index)) {
                place = format!("{place}/{}", assessed.sync.name);
            }
            places.entry((concern.kind, concern.sync_type)).or_default().push(place);
        }
    }
    if places.is_empty() && !managed_nodes::is_unknown_anywhere(results) {
        return;
    }
    page.separate();
    page.paragraph(0, 0, [Word::new("Needs attention").styled(HEADING)]);
    for ((kind, sync_type), places) in places {
        let number = Word::new(&format!("{}:", pluralize(places.len(), noun(kind))));
        page.paragraph(2, 2, [number].into_iter().chain(words(&describe(kind, &sync_type))));
        write_list(page, 4, "in", &places);
    }
    managed_nodes::write_failures(page, results);
}

fn describe(kind: ConcernKind, sync_type: &SyncType) -> String {
    match kind {
        ConcernKind::QuotaUsed => format!("quota of {sync_type} used up, no further sync can be created"),
        ConcernKind::QuotaNearlyUsed => format!("quota of {sync_type} nearly used up"),
        ConcernKind::InspectorSyncBlocked => {
            "no quota left for the sync of Amazon Inspector, so its scans of instances fail".to_owned()
        }
        ConcernKind::UnifiedConsoleSyncMissing => {
            format!("managed nodes, but not the required sync {UNIFIED_CONSOLE_SYNC} of the unified console")
        }
        ConcernKind::AllOpsDataSources => {
            "all OpsData sources enabled for an organization, AWS charges for OpsData".to_owned()
        }
        ConcernKind::FutureRegions => {
            "future regions included for an organization, AWS charges for OpsData".to_owned()
        }
    }
}

/// What a concern of this kind is about.
fn noun(kind: ConcernKind) -> &'static str {
    match kind {
        ConcernKind::QuotaUsed
        | ConcernKind::QuotaNearlyUsed
        | ConcernKind::InspectorSyncBlocked
        | ConcernKind::UnifiedConsoleSyncMissing => "target",
        ConcernKind::AllOpsDataSources | ConcernKind::FutureRegions => "sync",
    }
}
