//! The list of targets that discovery hands to the scheduler.

use super::Target;
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
