//! The health of syncs and targets: one definition for metrics, the status page, the API, one-shot
//! mode and the scheduler's summary.
//!
//! The health of a sync follows from the fields that AWS last returned for the sync and from the
//! configured limits ([`HealthPolicy`]). The health of a target follows from its last collection
//! and the health of its syncs. [`AssessedTarget`] has both, at one point in time, and knows when
//! they will change if nothing new is collected. [`explain`] says why a sync has its health,
//! [`remedy`] says what to do about a problem, and [`Concern`] is what needs attention although nothing
//! is broken.
//!
//! This module does not know about pages, output formats or logs.

mod access;
mod alert;
mod assessment;
mod cause;
mod cause_guide;
mod concern;
mod difference;
mod explanation;
mod policy;
pub(crate) mod remedy;
mod sync_health;

use strum::VariantArray;

pub(crate) use access::{AccessCauseKind, CheckedStep};
pub(crate) use alert::{Alert, runbook_url_of_cause};
pub(crate) use assessment::{AssessedSync, AssessedTarget};
pub(crate) use cause::FailureCause;
pub(crate) use cause_guide::CauseGuide;
pub(crate) use concern::{Concern, ConcernKind, cost_risks};
pub(crate) use difference::{ABSENT, Difference, EMPTY_LIST, NOT_REPORTED};
pub(crate) use explanation::explain;
pub use policy::HealthPolicy;
pub(crate) use policy::{ExpectationRule, HealthRule, LimitOrigin, LimitOrigins, SyncLimits};
pub(crate) use sync_health::run_without_success;

/// The health of a sync or a target: worst first, then the two values of a target without
/// known syncs. A target whose last collection succeeded has the health of its worst sync,
/// or [`NoSyncs`](Self::NoSyncs).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Health {
    /// The last collection of the target failed.
    Down,
    /// The last attempt of the sync failed.
    Failed,
    /// AWS reports a state of the sync's source. Every documented state is a fault.
    SourceFault,
    /// The last success of the sync is longer ago than the policy allows.
    Stale,
    /// The sync has been running for longer than the policy allows, without a success since the
    /// run began.
    Stuck,
    /// The sync is running. AWS never stops reporting some working syncs as running, so such
    /// a sync is a problem only if its last success is too long ago.
    InProgress,
    Healthy,
    /// The target has not been collected yet.
    NotCollected,
    /// The target was collected and has no syncs.
    NoSyncs,
}

impl Health {
    /// Every value, in the order of the declaration.
    pub(crate) const ALL: &[Self] = Self::VARIANTS;

    /// The values that a sync can have, worst first. A target can have them as well.
    pub(crate) const SYNC_VALUES: [Self; 6] =
        [Self::Failed, Self::SourceFault, Self::Stale, Self::Stuck, Self::InProgress, Self::Healthy];

    /// The values that only a target can have.
    pub(crate) const TARGET_ONLY_VALUES: [Self; 3] = [Self::Down, Self::NotCollected, Self::NoSyncs];

    /// Whether an operator has to act: the target is down, or the sync failed, has a source
    /// fault, is stale or is stuck.
    pub(crate) fn is_problem(self) -> bool {
        self <= Self::Stuck
    }

    /// Whether a sync counts as failed: not only [`Failed`](Self::Failed), but also
    /// [`SourceFault`](Self::SourceFault). A stale or stuck sync does not count.
    pub(crate) fn is_failed_sync(self) -> bool {
        matches!(self, Self::Failed | Self::SourceFault)
    }

    /// The severity as a number for grids, from 0 for healthy to 6 for down. `None` if the target has
    /// not been collected yet.
    pub(crate) fn severity(self) -> Option<u8> {
        Some(match self {
            Self::Down => 6,
            Self::Failed => 5,
            Self::SourceFault => 4,
            Self::Stale => 3,
            Self::Stuck => 2,
            Self::InProgress => 1,
            Self::Healthy | Self::NoSyncs => 0,
            Self::NotCollected => return None,
        })
    }

    /// The name in labels, in JSON, in URLs and in style sheets, such as `source_fault`.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How many syncs or targets have each health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HealthCounts([usize; Health::ALL.len()]);

impl HealthCounts {
    pub(crate) fn add(&mut self, health: Health) {
        self.0[health as usize] += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, other)| *count += other);
    }

    pub(crate) fn get(&self, health: Health) -> usize {
        self.0[health as usize]
    }

    pub(crate) fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// The number of [problems](Health::is_problem).
    pub(crate) fn problems(&self) -> usize {
        Health::ALL.iter().filter(|health| health.is_problem()).map(|health| self.get(*health)).sum()
    }

    /// The number of [failed syncs](Health::is_failed_sync).
    pub(crate) fn failed_syncs(&self) -> usize {
        Health::ALL.iter().filter(|health| health.is_failed_sync()).map(|health| self.get(*health)).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{DataSync, SyncStatus, SyncType, UnixSeconds};

    /// A sync to a bucket whose last attempt succeeded.
    pub(crate) fn sync(name: &str, last_success: Option<UnixSeconds>) -> DataSync {
        DataSync {
            last_status: Some(SyncStatus::Successful),
            last_sync: last_success,
            last_successful_sync: last_success,
            ..DataSync::new(SyncType::ToDestination, name.to_owned())
        }
    }

    #[test]
    fn counts_are_summed_by_health() {
        let mut counts = HealthCounts::default();
        for health in Health::ALL {
            counts.add(*health);
        }
        counts.add(Health::Down);
        assert_eq!((counts.get(Health::Down), counts.get(Health::NoSyncs), counts.total()), (2, 1, 10));
        assert_eq!((counts.problems(), counts.failed_syncs()), (6, 2));
        let mut twice = counts;
        twice.merge(&counts);
        assert_eq!(twice.total(), 20);
    }

    #[test]
    fn names_round_trip() {
        let names: Vec<&str> = Health::ALL.iter().map(|health| health.as_str()).collect();
        assert_eq!(
            names,
            [
                "down",
                "failed",
                "source_fault",
                "stale",
                "stuck",
                "in_progress",
                "healthy",
                "not_collected",
                "no_syncs"
            ]
        );
        for health in Health::ALL {
            assert_eq!(health.as_str().parse(), Ok(*health));
        }
    }
}
