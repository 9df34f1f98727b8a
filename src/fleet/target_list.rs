//! The targets to poll, and what discovery could not resolve yet.

use super::Target;
use crate::model::Failure;

/// The targets to poll, as far as discovery has resolved them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetList {
    /// The targets, each once.
    pub targets: Vec<Target>,
    /// The number of discovery lookups without a first result: the accounts of the
    /// organization, the regions of an account. More targets may follow from each.
    pub pending: usize,
    /// Lookups whose last attempt failed.
    pub unresolved: Unresolved,
}

/// Lookups whose last attempt failed, so that targets may be missing from the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unresolved {
    /// Why the accounts of the organization could not be listed.
    pub organization: Option<Failure>,
    /// The number of accounts whose enabled regions could not be listed.
    pub accounts: usize,
}
