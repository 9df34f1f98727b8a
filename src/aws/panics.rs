//! Turns panics into failures. A panic in the SDK or in this crate is a bug, but must not
//! affect more than the collection or lookup that it occurs in.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use crate::model::{Failure, Reason};

/// The output of `work`, or a failure if it panicked. `what` names the work in the message.
/// The panic hook logs the panic itself. The caller must drop whatever state `work` may have
/// left inconsistent.
// Not an `async fn`, whose future would have room for `work` twice.
pub(crate) fn catch_panic<T>(
    what: &str,
    work: impl Future<Output = T>,
) -> impl Future<Output = Result<T, Failure>> {
    let failed = move || Failure::new(Reason::Other, format!("{what} panicked, which is a bug"));
    AssertUnwindSafe(work).catch_unwind().map(move |caught| caught.map_err(|_panic| failed()))
}
