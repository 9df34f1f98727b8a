//! The limit on concurrent scrapes.
//!
//! Prometheus abandons a scrape that takes longer than its scrape timeout. A scrape that has
//! taken longer than [`SLOW_SCRAPE`] is therefore cancelled when another scrape needs its
//! place. Clients that read slowly or not at all cannot keep Prometheus out.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, Permit};

/// How long a scrape may take before it can be cancelled for another one: Prometheus's
/// default scrape timeout.
const SLOW_SCRAPE: Duration = Duration::from_secs(10);

/// Limits the concurrent scrapes, and tracks those in progress.
#[derive(Debug)]
pub(in crate::web) struct ScrapeLimit {
    /// `None` if scrapes are not limited.
    gate: Option<Gate>,
    scrapes: Mutex<Scrapes>,
}

#[derive(Debug, Default)]
struct Scrapes {
    next_id: u64,
    /// The oldest comes first.
    running: Vec<Scrape>,
}

#[derive(Debug)]
struct Scrape {
    id: u64,
    started: Instant,
    cancel: CancellationToken,
    permit: Option<Permit>,
}

/// Permission for one scrape to run, until this is dropped.
#[derive(Debug)]
pub(in crate::web) struct ScrapePermit {
    limit: Arc<ScrapeLimit>,
    id: u64,
}

impl ScrapeLimit {
    /// Allows at most `limit` concurrent scrapes; 0 is no limit.
    pub(in crate::web) fn new(limit: usize) -> Arc<Self> {
        let gate = (limit > 0).then(|| Gate::new(limit));
        Arc::new(Self { gate, scrapes: Mutex::default() })
    }

    /// Admits a scrape. `cancel` is cancelled if the scrape must make room for another one.
    /// `None` if the limit is reached and no scrape in progress is slow enough to be
    /// cancelled.
    pub(in crate::web) fn begin(self: &Arc<Self>, cancel: &CancellationToken) -> Option<ScrapePermit> {
        let mut scrapes = self.scrapes.lock();
        let permit = match &self.gate {
            None => None,
            Some(gate) => Some(gate.try_enter().or_else(|| scrapes.cancel_oldest_if_slow())?),
        };
        let id = scrapes.next_id;
        scrapes.next_id += 1;
        scrapes.running.push(Scrape { id, started: Instant::now(), cancel: cancel.clone(), permit });
        Some(ScrapePermit { limit: Arc::clone(self), id })
    }
}

impl Scrapes {
    /// Cancels the oldest scrape, if it is slow, and returns its permit.
    fn cancel_oldest_if_slow(&mut self) -> Option<Permit> {
        if self.running.first()?.started.elapsed() <= SLOW_SCRAPE {
            return None;
        }
        let Scrape { cancel, permit, .. } = self.running.remove(0);
        cancel.cancel();
        permit
    }
}

impl Drop for ScrapePermit {
    fn drop(&mut self) {
        self.limit.scrapes.lock().running.retain(|scrape| scrape.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_slow_scrape_is_cancelled_for_another() {
        let limit = ScrapeLimit::new(2);
        let cancel: [CancellationToken; 4] = std::array::from_fn(|_| CancellationToken::new());
        let first = limit.begin(&cancel[0]).unwrap();
        let second = limit.begin(&cancel[1]).unwrap();
        assert!(limit.begin(&cancel[2]).is_none());
        drop(second);
        let second = limit.begin(&cancel[1]).unwrap();
        advance(SLOW_SCRAPE).await;
        assert!(limit.begin(&cancel[2]).is_none());
        advance(Duration::from_millis(1)).await;
        let third = limit.begin(&cancel[2]).unwrap();
        assert!(cancel[0].is_cancelled(), "the oldest is cancelled");
        assert!(!cancel[1].is_cancelled() && !cancel[2].is_cancelled());
        // `third` took over the permit of `first`, so dropping `first` frees nothing.
        drop(first);
        assert_eq!(limit.scrapes.lock().running.len(), 2);
        drop((second, third));
        assert!(limit.begin(&cancel[3]).is_some());
    }

    #[test]
    fn zero_is_no_limit() {
        let limit = ScrapeLimit::new(0);
        let permits: Vec<_> = (0..1000).map(|_| limit.begin(&CancellationToken::new())).collect();
        assert!(permits.iter().all(Option::is_some));
    }
}
