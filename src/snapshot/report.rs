//! The report that the collector returns to the scheduler.

use std::time::Duration;

use crate::fleet::AccountId;
use crate::model::{DataSync, Failure, UnixSeconds};

/// The result of one collection of one target. A failed collection returns a report instead
/// of an error, because its time, its duration and the account id are needed as well.
#[derive(Debug)]
pub struct Report {
    /// The account id, if the collection asked STS for it.
    pub account: Option<AccountId>,
    /// When the collection ended.
    pub ended: UnixSeconds,
    /// The duration of the collection.
    pub took: Duration,
    /// All syncs of the target without duplicates, or why the collection failed.
    pub outcome: Result<Vec<DataSync>, Failure>,
    /// The items that AWS listed but that could not be used.
    pub invalid_items: Option<InvalidItems>,
}

/// Items in a list of syncs that could not be used. The other items of the list are not affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidItems {
    /// How many there are, at least one.
    pub number: u64,
    /// What is wrong with the first of them.
    pub example: String,
}
