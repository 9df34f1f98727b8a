//! Failures that last until somebody changes the account or the organization: disabled and
//! denied regions.

use crate::model::Reason;

/// Whether a failure for `reason` is permanent: the region is disabled, or a service control
/// policy denies the call.
pub(super) fn is_permanent(reason: Reason) -> bool {
    matches!(reason, Reason::RegionDisabled | Reason::ScpDenied)
}
