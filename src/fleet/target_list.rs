//! The list of targets that discovery hands to the scheduler.

use std::sync::Arc;

use super::{Account, NotPolled, Target};
use crate::model::Failure;

/// The targets to poll, as far as discovery knows them, and what may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetList {
    /// The targets, each once.
    pub targets: Vec<Target>,
    /// The number of discovery lookups that may still add targets: the listing of the
    /// organization until it has succeeded, and the listing of an account's regions until its
    /// first attempt has ended.
    pub pending_lookups: usize,
    /// Discovery lookups whose last attempt failed.
    pub failing_lookups: FailingLookups,
    /// All accounts that are polled, also those without targets in this shard.
    pub accounts: Arc<Vec<PolledAccount>>,
    /// The accounts and regions of a [`Narrowing`](super::Narrowing) that are not polled.
    pub not_polled: Vec<NotPolled>,
}

/// An account that is polled, with the regions of one entry of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolledAccount {
    /// The account.
    pub account: Arc<Account>,
    /// Whether its enabled regions are known.
    pub region_lookup: RegionLookup,
}

/// The state of the lookup of the regions that an account has enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegionLookup {
    /// The configuration names all regions.
    NotNeeded,
    /// The first attempt has not ended.
    Pending,
    /// The last attempt succeeded.
    Succeeded,
    /// The last attempt failed.
    Failed(Failure),
}

/// Discovery lookups whose last attempt failed. Targets may be missing because of them, and the
/// organizational units of accounts may be outdated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailingLookups {
    /// Why the accounts of the organization could not be listed.
    pub organization: Option<Failure>,
    /// Why the organizational units that the configuration names could not be listed, although the
    /// accounts of the organization could.
    pub units: Option<Failure>,
    /// The number of accounts whose enabled regions could not be listed.
    pub accounts: usize,
}

impl FailingLookups {
    /// Whether targets may be missing.
    pub(crate) fn may_hide_targets(&self) -> bool {
        self.organization.is_some() || self.accounts > 0
    }
}
