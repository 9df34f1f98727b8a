//! In which ways the exposition has lately been asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::dialect::Dialect;
use crate::clock::millis;
use crate::negotiation::Coding;

/// For how long something stays wanted: longer than Prometheus ever waits
/// between two scrapes.
const LASTS: Duration = Duration::from_mins(10);

/// When the exposition was last asked for, in each way.
#[derive(Debug)]
pub(super) struct Demand {
    since: Instant,
    /// In milliseconds from `since` on, and one more; 0 is never.
    last: [[AtomicU64; Coding::ALL.len()]; Dialect::ALL.len()],
}

impl Demand {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, last: Default::default() }
    }

    /// It is asked for now.
    pub(super) fn note(&self, dialect: Dialect, coding: Coding, now: Instant) {
        self.last[dialect as usize][coding as usize].store(self.stamp(now), Ordering::Relaxed);
    }

    /// In which ways it has lately been asked for.
    pub(super) fn wanted(&self, now: Instant) -> Vec<(Dialect, Coding)> {
        let all = Dialect::ALL.into_iter().flat_map(|dialect| Coding::ALL.map(|coding| (dialect, coding)));
        all.filter(|(dialect, coding)| self.wants(*dialect, *coding, now)).collect()
    }

    /// Whether it has lately been asked for in this way.
    pub(super) fn wants(&self, dialect: Dialect, coding: Coding, now: Instant) -> bool {
        let oldest = self.stamp(now).saturating_sub(millis(LASTS)).max(1);
        self.last[dialect as usize][coding as usize].load(Ordering::Relaxed) >= oldest
    }

    fn stamp(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.since)).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_wanted_for_a_while() {
        let start = Instant::now();
        let demand = Demand::new(start);
        assert_eq!(demand.wanted(start), []);
        demand.note(Dialect::Text, Coding::Gzip, start);
        demand.note(Dialect::Protobuf, Coding::Identity, start + Duration::from_secs(5));
        let text = (Dialect::Text, Coding::Gzip);
        let protobuf = (Dialect::Protobuf, Coding::Identity);
        assert_eq!(demand.wanted(start + LASTS), [text, protobuf]);
        assert_eq!(demand.wanted(start + LASTS + Duration::from_secs(5)), [protobuf]);
        assert_eq!(demand.wanted(start + LASTS + Duration::from_secs(6)), []);
        demand.note(Dialect::Text, Coding::Gzip, start + LASTS * 2);
        assert_eq!(demand.wanted(start + LASTS * 2), [text]);
    }
}
