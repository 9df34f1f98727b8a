//! Failures that last until somebody changes the account or the organization: disabled and
//! denied regions.

use std::collections::HashMap;

use crate::fleet::RegionName;
use crate::model::Reason;

/// Whether a failure for `reason` is permanent: the region is disabled, or a service control
/// policy denies the call.
pub(super) fn is_permanent(reason: Reason) -> bool {
    matches!(reason, Reason::RegionDisabled | Reason::ScpDenied)
}

/// Counts the permanent failures of each region to limit how often they are logged: a policy
/// that denies a region usually does so for many accounts.
#[derive(Debug, Default)]
pub(super) struct PermanentFailures(HashMap<(RegionName, Reason), u64>);

impl PermanentFailures {
    /// Counts a target that starts failing permanently. Returns the number of such targets
    /// so far if it should be logged: at 1, 2, 4, 8 and so on.
    pub(super) fn record(&mut self, region: &RegionName, reason: Reason) -> Option<u64> {
        let number = self.0.entry((region.clone(), reason)).or_default();
        *number += 1;
        number.is_power_of_two().then_some(*number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_in_a_region_and_each_doubling_are_logged() {
        let mut failures = PermanentFailures::default();
        let region: RegionName = "me-south-1".parse().unwrap();
        let logged: Vec<u64> =
            (0..1000).filter_map(|_| failures.record(&region, Reason::ScpDenied)).collect();
        assert_eq!(logged, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!(failures.record(&region, Reason::RegionDisabled), Some(1));
    }
}
