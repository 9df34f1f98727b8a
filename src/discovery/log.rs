//! Logs changes in discovery, except failures that may concern many accounts, which the
//! [`FailureLog`](crate::failure_log::FailureLog) logs.

use std::collections::HashSet;

use tracing::{info, warn};

use super::planner::Warning;
use crate::model::{Failure, FailureScope, Reason};

/// Remembers what has been logged, so that only changes are logged.
#[derive(Debug, Default)]
pub(super) struct DiscoveryLog {
    logged_warnings: HashSet<Warning>,
    /// The reason that was logged last. `None` once the organization's accounts have been
    /// listed again.
    organization_failure: Option<Reason>,
    /// The same for the units of the accounts.
    units_failure: Option<Reason>,
    logged_counts: Option<Counts>,
}

/// The size of the target list, and whether it may still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) accounts: usize,
    pub(super) targets: usize,
    /// Whether lookups are pending that may add targets.
    pub(super) has_pending_lookups: bool,
}

impl DiscoveryLog {
    pub(super) fn log_warnings(&mut self, warnings: Vec<Warning>) {
        for warning in warnings {
            if !self.logged_warnings.insert(warning.clone()) {
                continue;
            }
            match warning {
                Warning::OverridesOrganization(account) => {
                    info!(%account, "account of the organization is polled as configured in `accounts`");
                }
                Warning::MatchesNoRegion(pattern) => {
                    warn!(pattern, "wildcard matches no enabled region of any account");
                }
                Warning::NoAccountInUnit(unit) => {
                    warn!(%unit, "organizational unit contains no account or does not exist");
                }
            }
        }
    }

    pub(super) fn organization_listed(&mut self, accounts: usize) {
        if self.organization_failure.take().is_some() {
            info!(accounts, "can list the organization's accounts again");
        }
    }

    /// `still_polled_accounts` is the number of accounts of the last successful listing, which
    /// are still polled.
    pub(super) fn organization_failed(&mut self, failure: &Failure, still_polled_accounts: usize) {
        let Failure { reason, message, scope, .. } = failure;
        // The credential store logs failures to obtain credentials, so they are skipped here.
        if *scope != FailureScope::Credentials && self.organization_failure.replace(*reason) != Some(*reason)
        {
            warn!(%reason, error = message, still_polled_accounts, "cannot list the organization's accounts");
        }
    }

    pub(super) fn units_listed(&mut self) {
        if self.units_failure.take().is_some() {
            info!("can list the organizational units of the configuration again");
        }
    }

    /// The accounts have been listed, but not all units that the configuration names.
    pub(super) fn units_failed(&mut self, failure: &Failure) {
        let Failure { reason, message, .. } = failure;
        if self.units_failure.replace(*reason) != Some(*reason) {
            warn!(%reason, error = message, "cannot list the organizational units of the configuration");
        }
    }

    pub(super) fn log_counts(&mut self, counts: Counts) {
        if self.logged_counts.replace(counts) == Some(counts) {
            return;
        }
        let Counts { accounts, targets, has_pending_lookups } = counts;
        if !has_pending_lookups && targets == 0 {
            warn!(accounts, "no targets to poll");
        } else if targets > 0 {
            info!(accounts, targets, "polling targets");
        }
    }
}
