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
    warnings: HashSet<Warning>,
    /// The reason that was logged last. `None` once the organization's accounts have been
    /// listed again.
    organization_failure: Option<Reason>,
    /// The number of accounts whose enabled regions cannot be listed, as logged last.
    logged_failing_accounts: usize,
    counts: Option<Counts>,
}

/// The size of the target list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) accounts: usize,
    pub(super) targets: usize,
    /// Whether lookups are pending that may add targets.
    pub(super) has_pending_lookups: bool,
}

impl DiscoveryLog {
    pub(super) fn warnings(&mut self, warnings: Vec<Warning>) {
        for warning in warnings {
            if !self.warnings.insert(warning.clone()) {
                continue;
            }
            match warning {
                Warning::OverridesOrganization(account) => {
                    info!(%account, "entry in `accounts` overrides the organization's");
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

    /// `kept` is the number of last known accounts that are still polled.
    pub(super) fn organization_failed(&mut self, failure: &Failure, kept: usize) {
        let Failure { reason, message, scope, .. } = failure;
        // The credential store logs failures to obtain credentials, so they are skipped here.
        if *scope != FailureScope::Credentials && self.organization_failure.replace(*reason) != Some(*reason)
        {
            warn!(%reason, error = message, kept, "cannot list the organization's accounts");
        }
    }

    /// Logs the number of accounts whose enabled regions cannot be listed. The number may
    /// grow slowly, so it is logged again only when it has doubled. `failing` contains all
    /// of these accounts; if it is empty, the recovery is logged.
    pub(super) fn regions_failed(&mut self, failing: &[(&AccountKey, &Failure)]) {
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

    pub(super) fn counts(&mut self, counts: Counts) {
        if self.counts.replace(counts) == Some(counts) {
            return;
        }
        let Counts { accounts, targets, has_pending_lookups } = counts;
        if !has_pending_lookups && targets == 0 {
            warn!(accounts, "no targets to poll");
        } else if targets > 0 {
            info!(accounts, targets, "target list changed");
        }
    }
}
