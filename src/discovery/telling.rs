//! What the log is told, each thing once and in one line for all accounts.

use std::collections::HashSet;

use tracing::{info, warn};

use super::planning::Oddity;
use crate::model::Failure;
use crate::target::AccountKey;

/// What the log has been told.
#[derive(Debug, Default)]
pub(super) struct Told {
    oddities: HashSet<Oddity>,
    /// How many accounts do not tell their regions.
    silent: usize,
    /// How many accounts and targets there are.
    numbers: (usize, usize),
}

impl Told {
    /// There is something odd about the plan.
    pub(super) fn oddities(&mut self, oddities: Vec<Oddity>) {
        for oddity in oddities {
            if !self.oddities.insert(oddity.clone()) {
                continue;
            }
            match oddity {
                Oddity::ListedToo(account) => {
                    info!(%account, "an account of the organization is listed, too, and polled as listed");
                }
                Oddity::MatchesNothing(pattern) => {
                    warn!(pattern, "a wildcard matches no region that is enabled in any account");
                }
            }
        }
    }

    /// These accounts do not tell which regions they have enabled.
    pub(super) fn silent(&mut self, mut accounts: Vec<(&AccountKey, &Failure)>) {
        if accounts.len() == self.silent {
            return;
        }
        self.silent = accounts.len();
        accounts.sort_by_key(|(key, _)| *key);
        match accounts.first() {
            Some((example, Failure { reason, message, .. })) => {
                warn!(
                    accounts = accounts.len(), %example, %reason, error = message,
                    "accounts do not tell which regions they have enabled; those known before are polled, or those \
                     that every account has"
                );
            }
            None => info!("all accounts tell which regions they have enabled again"),
        }
    }

    /// There are so many accounts and targets; no more are to come unless
    /// something is still awaited.
    pub(super) fn numbers(&mut self, accounts: usize, targets: usize, awaited: usize) {
        if self.numbers == (accounts, targets) {
            return;
        }
        self.numbers = (accounts, targets);
        info!(accounts, targets, "what is to be polled");
        if targets == 0 && awaited == 0 {
            warn!("there is nothing to poll");
        }
    }
}
