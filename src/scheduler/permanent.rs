//! Which regions are refused, for the log.

use std::collections::HashMap;

use crate::fleet::RegionName;
use crate::model::Reason;

/// Whether what failed for `reason` will hardly mend by itself: the region is
/// disabled, or the organization forbids the call.
pub(super) fn is_permanent(reason: Reason) -> bool {
    matches!(reason, Reason::RegionDisabled | Reason::ScpDenied)
}

/// How many targets of each region have been refused. An organization refuses a
/// region to all of its accounts, and one line for each of them would be too
/// many.
#[derive(Debug, Default)]
pub(super) struct PermanentFailures(HashMap<(RegionName, Reason), u64>);

impl PermanentFailures {
    /// One more has begun to be refused. Returns how many they are, if the log is
    /// to be told: of the first, and each time they have doubled.
    pub(super) fn one_more(&mut self, region: &RegionName, reason: Reason) -> Option<u64> {
        let number = self.0.entry((region.clone(), reason)).or_default();
        *number += 1;
        number.is_power_of_two().then_some(*number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_of_the_first_and_of_every_doubling() {
        let mut refused = PermanentFailures::default();
        let region: RegionName = "me-south-1".parse().unwrap();
        let told: Vec<u64> = (0..1000).filter_map(|_| refused.one_more(&region, Reason::ScpDenied)).collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!(refused.one_more(&region, Reason::RegionDisabled), Some(1));
    }
}
