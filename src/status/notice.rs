//! States of the exporter itself because of which the page does not show the whole truth: a
//! configuration that could not be reloaded, or targets that may be missing or outdated.
//!
//! Each condition is that of the alert about it in `deploy/prometheus/alerts.yml`, without the time
//! for which it has to hold.

use std::collections::BTreeSet;

use super::overview::{FleetOverview, TargetRow};
use crate::fleet::FailingLookups;
use crate::health::{Alert, Health};
use crate::model::{Failure, Reason, UnixSeconds};

/// A target that was last collected longer ago is overdue, in seconds.
const OVERDUE_AFTER: f64 = 7200.0;

/// Why the last reload of the configuration failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReloadFailure {
    /// The error in one line, without secrets.
    pub(super) message: String,
    pub(super) at: UnixSeconds,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Notice<'a> {
    ReloadFailed(&'a ReloadFailure),
    /// The accounts of the organization cannot be listed.
    OrganizationNotListed(&'a Failure),
    /// The organizational units that the configuration names cannot be listed.
    UnitsNotListed(&'a Failure),
    /// The enabled regions of accounts cannot be listed, not only because the accounts are down.
    RegionsNotListed {
        accounts: usize,
    },
    /// There is nothing to poll.
    NoTargets,
    /// More than half of the targets are down, in several accounts.
    MostTargetsDown,
    /// Expectations that are about no target, so that they check nothing.
    ExpectationsMatchNothing(Vec<&'a str>),
    /// Targets that were collected at some time, but not for hours.
    Overdue {
        targets: usize,
    },
}

impl<'a> Notice<'a> {
    /// The notices that apply, most severe first. For one of several shards it is normal to have no
    /// targets, and that an expectation is about none of them.
    pub(super) fn all(
        overview: &'a FleetOverview,
        reload_failure: Option<&'a ReloadFailure>,
        is_one_of_many_shards: bool,
    ) -> Vec<Self> {
        let FleetOverview { targets, pending_lookups, failing_lookups, .. } = overview;
        let FailingLookups { organization, units, accounts } = &**failing_lookups;
        let mut notices = Vec::new();
        notices.extend(reload_failure.map(Self::ReloadFailed));
        notices.extend(organization.as_ref().map(Self::OrganizationNotListed));
        notices.extend(units.as_ref().map(Self::UnitsNotListed));
        let down = targets.iter().filter(|target| target.health() == Health::Down);
        let accounts_down: BTreeSet<&str> = down.map(|target| target.account.as_str()).collect();
        if *accounts > accounts_down.len() {
            notices.push(Self::RegionsNotListed { accounts: *accounts });
        }
        let discovery_is_running = *pending_lookups > 0 && organization.is_none();
        if targets.is_empty() && !discovery_is_running && !is_one_of_many_shards {
            notices.push(Self::NoTargets);
        }
        let down = overview.target_counts.get(Health::Down);
        let collected = targets.len() - overview.target_counts.get(Health::NotCollected);
        if down * 2 > collected && accounts_down.len() > 1 {
            notices.push(Self::MostTargetsDown);
        }
        let without_targets = overview.expectations().into_iter().filter(|row| row.matches_nothing);
        let without_targets: Vec<&str> = without_targets.map(|row| row.expectation.name.as_str()).collect();
        if !without_targets.is_empty() && !is_one_of_many_shards {
            notices.push(Self::ExpectationsMatchNothing(without_targets));
        }
        let is_overdue = |target: &&TargetRow| {
            // A target that AWS refuses permanently is retried only rarely.
            let is_refused = target
                .failure()
                .is_some_and(|failure| matches!(failure.reason, Reason::RegionDisabled | Reason::ScpDenied));
            let last = target.assessed.state().last.as_ref();
            !is_refused && last.is_some_and(|last| overview.now - last.ended > OVERDUE_AFTER)
        };
        let overdue = targets.iter().filter(is_overdue).count();
        if overdue > 0 {
            notices.push(Self::Overdue { targets: overdue });
        }
        notices
    }

    pub(super) fn alert(&self) -> Alert {
        match self {
            Self::ReloadFailed(_) => Alert::SsmSyncExporterReloadFailed,
            Self::OrganizationNotListed(_) | Self::UnitsNotListed(_) | Self::RegionsNotListed { .. } => {
                Alert::SsmSyncDiscoveryFailing
            }
            Self::NoTargets => Alert::SsmSyncNothingPolled,
            Self::MostTargetsDown => Alert::SsmSyncMostTargetsDown,
            Self::ExpectationsMatchNothing(_) => Alert::SsmSyncExpectationMatchesNothing,
            Self::Overdue { .. } => Alert::SsmSyncTargetNotCollected,
        }
    }

    /// For the title of the page. `None` if the verdict on the targets says the same.
    pub(super) fn title(&self) -> Option<&'static str> {
        match self {
            Self::ReloadFailed(_) => Some("Reload failed"),
            Self::OrganizationNotListed(_) => Some("Organization not listed"),
            Self::UnitsNotListed(_) => Some("Units not listed"),
            Self::RegionsNotListed { .. } => Some("Regions not listed"),
            Self::NoTargets => Some("No targets"),
            Self::ExpectationsMatchNothing(_) => Some("Expectation without targets"),
            Self::Overdue { .. } => Some("Targets not collected"),
            Self::MostTargetsDown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fleet::TargetList;
    use crate::status::tests::{NOW, account, failed, store, target};

    #[test]
    fn most_targets_are_down_if_more_than_half_in_several_accounts_are() {
        let (one, two) = (account(1, None), account(2, None));
        let notices = |down: usize| {
            let all = [(&one, "eu-west-1"), (&two, "eu-west-1"), (&one, "eu-west-2"), (&two, "eu-west-2")];
            let targets = all.into_iter().enumerate().map(|(index, (account, region))| {
                let outcome = if index < down { Err(failed(Reason::Timeout)) } else { Ok(Vec::new()) };
                (target(account, region), Some(outcome))
            });
            let store = store(targets.collect());
            let overview = FleetOverview::new(&store, &Arc::default(), NOW);
            Notice::all(&overview, None, false) == [Notice::MostTargetsDown]
        };
        assert_eq!([1, 2, 3, 4].map(notices), [false, false, true, true]);
        let only_account = store(vec![(target(&one, "eu-west-1"), Some(Err(failed(Reason::Timeout))))]);
        let overview = FleetOverview::new(&only_account, &Arc::default(), NOW);
        assert_eq!(Notice::all(&overview, None, false), []);
    }

    #[test]
    fn a_target_that_was_not_collected_for_hours_is_overdue_unless_aws_refuses_it() {
        let account = account(1, None);
        let store = store(vec![
            (target(&account, "eu-west-1"), Some(Ok(Vec::new()))),
            (target(&account, "eu-west-2"), Some(Err(failed(Reason::RegionDisabled)))),
            (target(&account, "eu-west-3"), None),
        ]);
        let notices = |after: f64| {
            let overview = FleetOverview::new(&store, &Arc::default(), NOW + after);
            let notices = Notice::all(&overview, None, false);
            notices.into_iter().map(|notice| notice.title()).collect::<Vec<_>>()
        };
        // The targets were collected a minute before.
        assert_eq!(notices(OVERDUE_AFTER - 60.0), []);
        assert_eq!(notices(OVERDUE_AFTER), [Some("Targets not collected")]);
    }

    #[test]
    fn regions_that_cannot_be_listed_because_the_account_is_down_are_no_notice() {
        let store = store(vec![(target(&account(1, None), "eu-west-1"), Some(Err(failed(Reason::Timeout))))]);
        let titles = |accounts| {
            let targets = store.slots().iter().map(|slot| (*slot.target()).clone()).collect();
            let failing_lookups = FailingLookups { accounts, ..FailingLookups::default() };
            store.set_targets(&TargetList { targets, failing_lookups, ..TargetList::default() });
            let overview = FleetOverview::new(&store, &Arc::default(), NOW);
            let notices = Notice::all(&overview, None, false);
            notices.into_iter().map(|notice| notice.title()).collect::<Vec<_>>()
        };
        assert_eq!(titles(1), []);
        assert_eq!(titles(2), [Some("Regions not listed")]);
    }
}
