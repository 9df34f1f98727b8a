//! What is to be polled, and what of it is still unresolved.

use super::Target;
use crate::model::Failure;

/// What is to be polled, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetList {
    /// The targets, each once.
    pub targets: Vec<Target>,
    /// How many answers are still pending that may bring more: the accounts of
    /// an organization, the regions of an account.
    pub pending: usize,
    /// What could not be found out.
    pub unresolved: Unresolved,
}

/// What could not be found out when it was last asked, so that targets may be
/// missing from the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unresolved {
    /// Why the accounts of the organization could not be listed.
    pub organization: Option<Failure>,
    /// How many accounts do not tell which regions they have enabled.
    pub accounts: usize,
}
