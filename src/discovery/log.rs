//! Logs changes in discovery. A failure that concerns many accounts is logged once for all
//! of them.

use std::collections::HashSet;

use tracing::{info, warn};

use super::planner::Warning;
use crate::fleet::AccountKey;
use crate::model::{Failure, FailureScope, Reason};

/// Remembers what has been logged, so that only changes are logged.
#[derive(Debug, Default)]
pub(super) struct DiscoveryLog {
    logged_warnings: HashSet<Warning>,
    /// The reason that was logged last. `None` once the organization's accounts have been
    /// listed again.
    organization_failure: Option<Reason>,
    /// The number of accounts whose enabled regions cannot be listed, as logged last.
    logged_failing_accounts: usize,
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

    /// `failing` is every account whose enabled regions cannot currently be listed. Their
    /// number may grow slowly, so it is logged again only when it has doubled. The recovery is
    /// logged when `failing` is empty.
    pub(super) fn failing_accounts(&mut self, failing: &[(&AccountKey, &Failure)]) {
        let number = failing.len();
        match failing.iter().min_by_key(|(key, _)| *key) {
            Some((example, Failure { reason, message, .. }))
                if number >= (2 * self.logged_failing_accounts).max(1) =>
            {
                self.logged_failing_accounts = number;
                warn!(
                    accounts = number, %example, %reason, error = message,
                    "cannot list the enabled regions of accounts"
                );
            }
            None if self.logged_failing_accounts > 0 => {
                self.logged_failing_accounts = 0;
                info!("can list the enabled regions of all accounts again");
            }
            _ => {}
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
