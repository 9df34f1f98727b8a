//! How many scrapes are under way at once.
//!
//! One that has taken longer than Prometheus waits has nobody left who wants it. It
//! gives its place up when another comes, so that those who read slowly or not at
//! all cannot keep Prometheus out.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// After how long a scrape gives up its place: Prometheus's default timeout.
const LONG: Duration = Duration::from_secs(10);

/// All scrapes that are under way.
#[derive(Debug)]
pub(in crate::web) struct Scrapes {
    /// `None` for no limit.
    limit: Option<NonZeroUsize>,
    /// In the order in which they began.
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    scrapes: Vec<Scrape>,
}

#[derive(Debug)]
struct Scrape {
    number: u64,
    begun: Instant,
    cut: CancellationToken,
}

/// The place of a scrape, free again when this is dropped.
#[derive(Debug)]
pub(in crate::web) struct Place {
    scrapes: Arc<Scrapes>,
    number: u64,
}

impl Scrapes {
    /// With at most `limit` of them; none for 0.
    pub(in crate::web) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit: NonZeroUsize::new(limit), under_way: Mutex::default() })
    }

    /// A place for one more, which `cut` ends. `None` if all are taken.
    pub(in crate::web) fn begin(self: &Arc<Self>, cut: &CancellationToken) -> Option<Place> {
        let mut under_way = self.under_way.lock();
        if self.limit.is_some_and(|limit| under_way.scrapes.len() >= limit.get()) {
            if under_way.scrapes.first().is_none_or(|oldest| oldest.begun.elapsed() <= LONG) {
                return None;
            }
            under_way.scrapes.remove(0).cut.cancel();
        }
        let number = under_way.next;
        under_way.next += 1;
        under_way.scrapes.push(Scrape { number, begun: Instant::now(), cut: cut.clone() });
        Some(Place { scrapes: Arc::clone(self), number })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.scrapes.under_way.lock().scrapes.retain(|scrape| scrape.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_takes_too_long_gives_up_its_place() {
        let scrapes = Scrapes::new(2);
        let cuts: [CancellationToken; 4] = std::array::from_fn(|_| CancellationToken::new());
        let first = scrapes.begin(&cuts[0]).unwrap();
        let second = scrapes.begin(&cuts[1]).unwrap();
        assert!(scrapes.begin(&cuts[2]).is_none());
        drop(second);
        let second = scrapes.begin(&cuts[1]).unwrap();
        advance(LONG).await;
        assert!(scrapes.begin(&cuts[2]).is_none());
        advance(Duration::from_millis(1)).await;
        let third = scrapes.begin(&cuts[2]).unwrap();
        assert!(cuts[0].is_cancelled(), "the oldest goes");
        assert!(!cuts[1].is_cancelled() && !cuts[2].is_cancelled());
        // Its place has been given away and is not free a second time.
        drop(first);
        assert_eq!(scrapes.under_way.lock().scrapes.len(), 2);
        drop((second, third));
        assert!(scrapes.begin(&cuts[3]).is_some());
    }

    #[test]
    fn none_is_no_limit() {
        let scrapes = Scrapes::new(0);
        let places: Vec<_> = (0..1000).map(|_| scrapes.begin(&CancellationToken::new())).collect();
        assert!(places.iter().all(Option::is_some));
    }
}
