//! Why targets are down, and what to do about it. Names between backticks are configuration keys and
//! actions. The texts are those of the [guide](CauseGuide) to each cause.

use crate::health::{AccessCauseKind, CauseGuide};
use crate::model::{Failure, Reason};

/// Explains failures of which no more is known than their reason.
fn for_reason(reason: Reason) -> CauseGuide {
    CauseGuide::of_access(AccessCauseKind::of_reason(reason))
}

/// Explains failures for the same reason: by their cause if all of them have the same one.
pub(crate) fn for_failures<'a>(
    reason: Reason,
    failures: impl IntoIterator<Item = &'a Failure>,
) -> CauseGuide {
    let mut kinds = failures.into_iter().map(AccessCauseKind::of_failure);
    match kinds.next() {
        Some(first) if kinds.all(|kind| kind == first) => CauseGuide::of_access(first),
        _ => for_reason(reason),
    }
}
