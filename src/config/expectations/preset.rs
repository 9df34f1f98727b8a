//! Requests for the syncs that services of AWS create. They name only what AWS documents, so that no
//! sync counts as different that the service created.

use strum::VariantArray as _;

use crate::config::raw::Preset;
use crate::expectations::{ExpectedSync, TextPattern};
use crate::model::{SyncType, UNIFIED_CONSOLE_SYNC};

impl Preset {
    pub(super) fn expected_sync(self) -> ExpectedSync {
        let (sync_type, name) = match self {
            // The name, and that the sync sends inventory to a bucket of Amazon Inspector: "Scanning
            // Amazon EC2 instances" in the user guide of Amazon Inspector.
            Self::Inspector => (SyncType::ToDestination, "InspectorResourceDataSync-do-not-delete"),
            // The name: the parameter `SyncName` of `ListNodes` in the API reference of Systems Manager.
            // The type: the condition of the AWS managed policy `SSMQuickSetupRolePolicy` for the syncs
            // `AWS-QuickSetup-*`.
            Self::UnifiedConsole => (SyncType::FromSource, UNIFIED_CONSOLE_SYNC),
        };
        ExpectedSync { names: vec![TextPattern::literal(name)], ..ExpectedSync::any(sync_type) }
    }
}

/// The type of the sync with this name, if a service of AWS creates it.
pub(super) fn type_of_sync(name: &TextPattern) -> Option<SyncType> {
    let presets = Preset::VARIANTS.iter().map(|preset| preset.expected_sync());
    presets.filter(|sync| sync.single_name() == Some(name)).map(|sync| sync.sync_type).next()
}
