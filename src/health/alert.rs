//! The alerts that ship with the exporter, in `deploy/prometheus/alerts.yml`, and where the runbook
//! describes each. The status page links to the runbook for everything that raises an alert.

use super::{ConcernKind, Health};
use crate::expectations::ExpectationState;

/// Where the runbook is published.
const RUNBOOK: &str = "https://github.com/ssm-sync-exporter/ssm-sync-exporter/blob/main/deploy/runbook.md";

/// An alert about what the status page shows: syncs, targets, and the exporter itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[expect(clippy::enum_variant_names, reason = "the variants have the names of the alerts")]
pub(crate) enum Alert {
    SsmSyncFailed,
    SsmSyncSourceFault,
    SsmSyncStale,
    SsmSyncStuck,
    SsmSyncMissing,
    SsmSyncDrifted,
    SsmSyncForbidden,
    SsmSyncExpectationMatchesNothing,
    SsmSyncQuotaUsed,
    SsmSyncQuotaNearlyUsed,
    SsmSyncInspectorSyncBlocked,
    SsmSyncCostRisk,
    SsmSyncUnifiedConsoleSyncMissing,
    SsmSyncManagedNodesUnknown,
    SsmSyncTargetDown,
    SsmSyncTargetRefused,
    SsmSyncMostTargetsDown,
    SsmSyncTargetNotCollected,
    SsmSyncDiscoveryFailing,
    SsmSyncNothingPolled,
    SsmSyncExporterReloadFailed,
}

impl Alert {
    /// The alert that a problem of a sync raises.
    pub(crate) fn of_sync(health: Health) -> Option<Self> {
        match health {
            Health::Failed => Some(Self::SsmSyncFailed),
            Health::SourceFault => Some(Self::SsmSyncSourceFault),
            Health::Stale => Some(Self::SsmSyncStale),
            Health::Stuck => Some(Self::SsmSyncStuck),
            _ => None,
        }
    }

    /// The alert that a violation of an expectation raises.
    pub(crate) fn of_violation(state: ExpectationState) -> Option<Self> {
        match state {
            ExpectationState::Missing => Some(Self::SsmSyncMissing),
            ExpectationState::Drifted => Some(Self::SsmSyncDrifted),
            ExpectationState::Forbidden => Some(Self::SsmSyncForbidden),
            ExpectationState::Met | ExpectationState::Unknown => None,
        }
    }

    pub(crate) fn of_concern(kind: ConcernKind) -> Self {
        match kind {
            ConcernKind::QuotaUsed => Self::SsmSyncQuotaUsed,
            ConcernKind::QuotaNearlyUsed => Self::SsmSyncQuotaNearlyUsed,
            ConcernKind::InspectorSyncBlocked => Self::SsmSyncInspectorSyncBlocked,
            ConcernKind::UnifiedConsoleSyncMissing => Self::SsmSyncUnifiedConsoleSyncMissing,
            ConcernKind::AllOpsDataSources | ConcernKind::FutureRegions => Self::SsmSyncCostRisk,
        }
    }

    /// The name of the alert, such as `SsmSyncFailed`.
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }

    /// The section of the runbook about the alert.
    pub(crate) fn runbook_url(self) -> String {
        format!("{RUNBOOK}#{}", self.name().to_lowercase())
    }
}

/// The section of the runbook about a cause, as the label `cause` has it.
pub(crate) fn runbook_url_of_cause(cause: &str) -> String {
    format!("{RUNBOOK}#cause-{}", cause.to_lowercase())
}
