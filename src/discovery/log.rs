//! What the log is told, each thing once and in one line for all accounts.

use std::collections::HashSet;

use tracing::{info, warn};

use super::planner::Warning;
use crate::fleet::AccountKey;
use crate::model::{Failure, Reason};

/// What the log has been told.
#[derive(Debug, Default)]
pub(super) struct DiscoveryLog {
    warnings: HashSet<Warning>,
    /// Why the organization could not be listed of late.
    organization: Option<Reason>,
    /// How many accounts do not tell their regions.
    silent: usize,
    /// How many accounts and targets there are, and whether there may be more.
    numbers: Option<(usize, usize, bool)>,
}

impl DiscoveryLog {
    /// There is something odd about the plan.
    pub(super) fn warnings(&mut self, warnings: Vec<Warning>) {
        for warning in warnings {
            if !self.warnings.insert(warning.clone()) {
                continue;
            }
            match warning {
                Warning::ListedToo(account) => {
                    info!(%account, "an account of the organization is listed, too, and polled as listed");
                }
                Warning::MatchesNothing(pattern) => {
                    warn!(pattern, "a wildcard matches no region that is enabled in any account");
                }
            }
        }
    }

    /// The organization has been listed.
    pub(super) fn listed(&mut self, accounts: usize) {
        if self.organization.take().is_some() {
            info!(accounts, "the accounts of the organization can be listed again");
        }
    }

    /// The organization could not be listed; so many accounts are `kept`.
    pub(super) fn not_listed(&mut self, failure: &Failure, kept: usize) {
        let Failure { reason, message, logged, .. } = failure;
        if !logged && self.organization.replace(*reason) != Some(*reason) {
            warn!(%reason, error = message, kept, "the accounts of the organization cannot be listed");
        }
    }

    /// These accounts do not tell which regions they have enabled. Their number
    /// may rise slowly: it is told each time it has doubled.
    pub(super) fn silent(&mut self, accounts: &[(&AccountKey, &Failure)]) {
        let number = accounts.len();
        match accounts.iter().min_by_key(|(key, _)| *key) {
            Some((example, Failure { reason, message, .. })) if number >= (2 * self.silent).max(1) => {
                self.silent = number;
                warn!(
                    accounts = number, %example, %reason, error = message,
                    "accounts do not tell which regions they have enabled; those known before are polled, or those \
                     that every account has"
                );
            }
            None if self.silent > 0 => {
                self.silent = 0;
                info!("all accounts tell which regions they have enabled again");
            }
            _ => {}
        }
    }

    /// There are so many accounts and targets, and maybe more.
    pub(super) fn numbers(&mut self, accounts: usize, targets: usize, more: bool) {
        if self.numbers.replace((accounts, targets, more)) == Some((accounts, targets, more)) {
            return;
        }
        if !more && targets == 0 {
            warn!(accounts, "there is nothing to poll");
        } else if targets > 0 {
            info!(accounts, targets, "what is to be polled");
        }
    }
}
