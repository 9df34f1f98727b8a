//! Turns panics into failures. A panic in the SDK or in this crate is a bug, but must not
//! affect more than the collection or lookup that it occurs in.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use crate::model::{Failure, Reason};

/// The output of `work`.
///
/// # Errors
/// `work` panicked. `what` says what it was, for the message. The panic hook has logged the
/// panic itself. `work` is dropped; the caller drops what it may have left in an
/// inconsistent state.
pub(crate) async fn catch_panic<T>(what: &str, work: impl Future<Output = T>) -> Result<T, Failure> {
    let caught = AssertUnwindSafe(work).catch_unwind().await;
    caught.map_err(|_panic| Failure::new(Reason::Other, format!("{what} panicked, which is a bug")))
}
