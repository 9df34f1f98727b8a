//! The pairs of sample encoding and content coding that clients requested recently.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::millis;
use crate::metrics::sample_encoding::SampleEncoding;
use crate::negotiation::ContentCoding;

/// How long a request counts as recent: longer than any usual scrape interval.
const RECENT: Duration = Duration::from_mins(10);

/// When each pair of sample encoding and content coding was last requested.
#[derive(Debug)]
pub(super) struct RecentRequests {
    origin: Instant,
    /// Milliseconds since `origin`, plus one; 0 if never requested.
    last_requests: [[AtomicU64; ContentCoding::ALL.len()]; SampleEncoding::ALL.len()],
}

impl RecentRequests {
    pub(super) fn new(now: Instant) -> Self {
        Self { origin: now, last_requests: Default::default() }
    }

    pub(super) fn record(&self, encoding: SampleEncoding, coding: ContentCoding, now: Instant) {
        self.last_requests[encoding as usize][coding as usize].store(self.stamp(now), Ordering::Relaxed);
    }

    /// All pairs that were requested recently.
    pub(super) fn all(&self, now: Instant) -> Vec<(SampleEncoding, ContentCoding)> {
        let pairs = SampleEncoding::ALL
            .into_iter()
            .flat_map(|encoding| ContentCoding::ALL.map(|coding| (encoding, coding)));
        pairs.filter(|(encoding, coding)| self.contains(*encoding, *coding, now)).collect()
    }

    pub(super) fn contains(&self, encoding: SampleEncoding, coding: ContentCoding, now: Instant) -> bool {
        let oldest = self.stamp(now).saturating_sub(millis(RECENT)).max(1);
        self.last_requests[encoding as usize][coding as usize].load(Ordering::Relaxed) >= oldest
    }

    fn stamp(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.origin)).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_recent_for_ten_minutes() {
        let start = Instant::now();
        let recent_requests = RecentRequests::new(start);
        assert_eq!(recent_requests.all(start), []);
        recent_requests.record(SampleEncoding::Text, ContentCoding::Gzip, start);
        recent_requests.record(
            SampleEncoding::Protobuf,
            ContentCoding::Identity,
            start + Duration::from_secs(5),
        );
        let text = (SampleEncoding::Text, ContentCoding::Gzip);
        let protobuf = (SampleEncoding::Protobuf, ContentCoding::Identity);
        assert_eq!(recent_requests.all(start + RECENT), [text, protobuf]);
        assert_eq!(recent_requests.all(start + RECENT + Duration::from_secs(5)), [protobuf]);
        assert_eq!(recent_requests.all(start + RECENT + Duration::from_secs(6)), []);
        recent_requests.record(SampleEncoding::Text, ContentCoding::Gzip, start + RECENT * 2);
        assert_eq!(recent_requests.all(start + RECENT * 2), [text]);
    }
}
