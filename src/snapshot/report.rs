//! The result of a collection.

use std::time::Duration;

use crate::fleet::AccountId;
use crate::model::{DataSync, Failure, UnixSeconds};

/// The result of one collection of one target. A failed collection is a report too, not
/// an `Err`, because its time, its duration and the account id matter as well.
#[derive(Debug)]
pub struct Report {
    /// The account id, if the collection asked STS for it.
    pub account: Option<AccountId>,
    /// When the collection ended.
    pub ended: UnixSeconds,
    /// The duration of the collection.
    pub took: Duration,
    /// All syncs of the target, each once; or why the collection failed.
    pub outcome: Result<Vec<DataSync>, Failure>,
}
