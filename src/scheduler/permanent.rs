//! Failures that do not go away by themselves: regions that are disabled or denied.

use std::collections::HashMap;

use crate::fleet::RegionName;
use crate::model::Reason;

/// Whether a failure for `reason` lasts until somebody changes the account or the
/// organization: the region is disabled, or a service control policy denies the call.
pub(super) fn is_permanent(reason: Reason) -> bool {
    matches!(reason, Reason::RegionDisabled | Reason::ScpDenied)
}

/// Counts permanent failures of each region, to limit what is logged: a policy that denies
/// a region denies it to all accounts of an organization.
#[derive(Debug, Default)]
pub(super) struct PermanentFailures(HashMap<(RegionName, Reason), u64>);

impl PermanentFailures {
    /// Counts a target whose permanent failure has begun. Returns the number so far if it
    /// is to be logged, which is the case for 1, 2, 4, 8 and so on.
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
    fn the_first_failure_of_a_region_and_each_doubling_are_logged() {
        let mut failures = PermanentFailures::default();
        let region: RegionName = "me-south-1".parse().unwrap();
        let logged: Vec<u64> =
            (0..1000).filter_map(|_| failures.record(&region, Reason::ScpDenied)).collect();
        assert_eq!(logged, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!(failures.record(&region, Reason::RegionDisabled), Some(1));
    }
}
