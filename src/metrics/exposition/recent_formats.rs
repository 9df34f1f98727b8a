//! In which ways the exposition has lately been asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::super::sample_encoding::SampleEncoding;
use crate::clock::millis;
use crate::negotiation::Coding;

/// For how long something stays wanted: longer than Prometheus ever waits
/// between two scrapes.
const LASTS: Duration = Duration::from_mins(10);

/// When the exposition was last asked for, in each way.
#[derive(Debug)]
pub(in crate::metrics) struct RecentFormats {
    since: Instant,
    /// In milliseconds from `since` on, and one more; 0 is never.
    last: [[AtomicU64; Coding::ALL.len()]; SampleEncoding::ALL.len()],
}

impl RecentFormats {
    pub(in crate::metrics) fn new(now: Instant) -> Self {
        Self { since: now, last: Default::default() }
    }

    /// It is asked for now.
    pub(in crate::metrics) fn note(&self, encoding: SampleEncoding, coding: Coding, now: Instant) {
        self.last[encoding as usize][coding as usize].store(self.stamp(now), Ordering::Relaxed);
    }

    /// In which ways it has lately been asked for.
    pub(in crate::metrics) fn wanted(&self, now: Instant) -> Vec<(SampleEncoding, Coding)> {
        let all =
            SampleEncoding::ALL.into_iter().flat_map(|encoding| Coding::ALL.map(|coding| (encoding, coding)));
        all.filter(|(encoding, coding)| self.wants(*encoding, *coding, now)).collect()
    }

    /// Whether it has lately been asked for in this way.
    pub(in crate::metrics) fn wants(&self, encoding: SampleEncoding, coding: Coding, now: Instant) -> bool {
        let oldest = self.stamp(now).saturating_sub(millis(LASTS)).max(1);
        self.last[encoding as usize][coding as usize].load(Ordering::Relaxed) >= oldest
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
        let recent_formats = RecentFormats::new(start);
        assert_eq!(recent_formats.wanted(start), []);
        recent_formats.note(SampleEncoding::Text, Coding::Gzip, start);
        recent_formats.note(SampleEncoding::Protobuf, Coding::Identity, start + Duration::from_secs(5));
        let text = (SampleEncoding::Text, Coding::Gzip);
        let protobuf = (SampleEncoding::Protobuf, Coding::Identity);
        assert_eq!(recent_formats.wanted(start + LASTS), [text, protobuf]);
        assert_eq!(recent_formats.wanted(start + LASTS + Duration::from_secs(5)), [protobuf]);
        assert_eq!(recent_formats.wanted(start + LASTS + Duration::from_secs(6)), []);
        recent_formats.note(SampleEncoding::Text, Coding::Gzip, start + LASTS * 2);
        assert_eq!(recent_formats.wanted(start + LASTS * 2), [text]);
    }
}
