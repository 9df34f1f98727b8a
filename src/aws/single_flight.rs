//! A cache of one value. Concurrent callers share a single fetch of the value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::panics::catch_panic;
use crate::model::Failure;

/// How long the first failure is cached. The time doubles with each consecutive
/// failure.
const INITIAL_BACKOFF: Duration = Duration::from_secs(5);

/// The maximum time that a failure is cached.
const MAX_BACKOFF: Duration = Duration::from_mins(5);

/// A value that is fetched on demand and cached. Callers that arrive during a
/// fetch wait for its outcome. Failures are shared and cached as well: otherwise
/// all targets of an account would send the same failing request, one after the
/// other.
#[derive(Debug)]
pub(super) struct SingleFlight<T> {
    current: Mutex<Arc<OnceCell<Cached<T>>>>,
    /// The number of fetches that have failed since the last success.
    failures: AtomicU32,
    /// The number of fetches in progress.
    in_progress: AtomicU32,
}

#[derive(Debug)]
struct Cached<T> {
    outcome: Result<Arc<T>, Failure>,
    /// `None` if the outcome never expires.
    expires: Option<Instant>,
}

/// The outcome of a fetch.
#[derive(Debug)]
pub(super) enum Fetched<T> {
    /// A value, and how long it is cached. `None` means that it is cached forever.
    Value(Arc<T>, Option<Duration>),
    /// A failure, which is cached with exponential back-off.
    Failed(Failure),
    /// A failure that is not cached here, because it is cached elsewhere.
    NotCached(Failure),
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self { current: Mutex::default(), failures: AtomicU32::new(0), in_progress: AtomicU32::new(0) }
    }
}

impl<T> SingleFlight<T> {
    /// The cached value, or the one that `fetch` provides.
    ///
    /// # Errors
    /// `fetch` failed, now or recently.
    pub(super) async fn get(&self, fetch: impl Future<Output = Fetched<T>>) -> Result<Arc<T>, Failure> {
        let cell = {
            let mut current = self.current.lock();
            let expired = |cached: &Cached<T>| cached.expires.is_some_and(|at| at <= Instant::now());
            if current.get().is_some_and(expired) {
                *current = Arc::default();
            }
            Arc::clone(&current)
        };
        let cached = cell.get_or_init(|| async {
            let in_progress = FetchGuard::new(&self.in_progress);
            // Without this, every waiting caller would panic in turn.
            let fetched = catch_panic("the request", fetch).await.unwrap_or_else(Fetched::Failed);
            drop(in_progress);
            let now = Instant::now();
            match fetched {
                Fetched::Value(value, ttl) => {
                    self.failures.store(0, Ordering::Relaxed);
                    Cached { outcome: Ok(value), expires: ttl.map(|ttl| now + ttl) }
                }
                Fetched::Failed(failure) => {
                    let earlier_failures = self.failures.fetch_add(1, Ordering::Relaxed);
                    Cached { outcome: Err(failure), expires: Some(now + backoff(earlier_failures)) }
                }
                Fetched::NotCached(failure) => Cached { outcome: Err(failure), expires: Some(now) },
            }
        });
        cached.await.outcome.clone()
    }

    /// Whether a caller would have to wait for a fetch.
    pub(super) fn is_fetching(&self) -> bool {
        self.in_progress.load(Ordering::Relaxed) > 0
    }

    /// Evicts `value`, unless a newer one has replaced it. Returns whether it was evicted.
    pub(super) fn evict(&self, value: &Arc<T>) -> bool {
        self.replace(value, Arc::default())
    }

    /// Replaces `value` with `failure`, unless a newer outcome has replaced it. How long
    /// the failure is cached increases with the number of `earlier_failures`. Returns
    /// whether `value` was replaced.
    pub(super) fn replace_with_failure(
        &self,
        value: &Arc<T>,
        failure: Failure,
        earlier_failures: u32,
    ) -> bool {
        let cached =
            Cached { outcome: Err(failure), expires: Some(Instant::now() + backoff(earlier_failures)) };
        self.replace(value, Arc::new(OnceCell::new_with(Some(cached))))
    }

    fn replace(&self, value: &Arc<T>, replacement: Arc<OnceCell<Cached<T>>>) -> bool {
        let mut current = self.current.lock();
        let is_current =
            |cached: &Cached<T>| cached.outcome.as_ref().is_ok_and(|cached| Arc::ptr_eq(cached, value));
        let replaced = current.get().is_some_and(is_current);
        if replaced {
            *current = replacement;
        }
        replaced
    }
}

/// How long a failure is cached.
fn backoff(earlier_failures: u32) -> Duration {
    INITIAL_BACKOFF.saturating_mul(1 << earlier_failures.min(16)).min(MAX_BACKOFF)
}

/// Counts a fetch as in progress until it ends or its caller gives up.
struct FetchGuard<'a>(&'a AtomicU32);

impl<'a> FetchGuard<'a> {
    fn new(in_progress: &'a AtomicU32) -> Self {
        in_progress.fetch_add(1, Ordering::Relaxed);
        Self(in_progress)
    }
}

impl Drop for FetchGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::{advance, sleep};

    use super::*;
    use crate::model::Reason;

    #[derive(Default)]
    struct CountingFetcher {
        flight: SingleFlight<u32>,
        fetched: AtomicU32,
    }

    impl CountingFetcher {
        async fn get(&self, succeeds: bool) -> Result<u32, Failure> {
            let fetch = async {
                sleep(Duration::from_secs(1)).await;
                let number = self.fetched.fetch_add(1, Ordering::SeqCst) + 1;
                if succeeds {
                    Fetched::Value(Arc::new(number), Some(Duration::from_mins(1)))
                } else {
                    Fetched::Failed(Failure::new(Reason::Other, number.to_string()))
                }
            };
            self.flight.get(fetch).await.map(|value| *value)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_callers_share_one_fetch_until_its_value_expires() {
        let fetcher = CountingFetcher::default();
        assert_eq!(
            tokio::join!(fetcher.get(true), fetcher.get(true), fetcher.get(true)),
            (Ok(1), Ok(1), Ok(1))
        );
        advance(Duration::from_secs(59)).await;
        assert_eq!(fetcher.get(true).await, Ok(1));
        advance(Duration::from_secs(1)).await;
        assert_eq!(fetcher.get(true).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_shared_and_cached_with_exponential_backoff() {
        let fetcher = CountingFetcher::default();
        let failure = |number: u32| Err(Failure::new(Reason::Other, number.to_string()));
        assert_eq!(tokio::join!(fetcher.get(false), fetcher.get(false)), (failure(1), failure(1)));
        let mut fetched_at = Vec::new();
        let started = Instant::now();
        while started.elapsed() < Duration::from_mins(20) {
            let before = fetcher.fetched.load(Ordering::SeqCst);
            assert!(fetcher.get(false).await.is_err());
            if fetcher.fetched.load(Ordering::SeqCst) > before {
                fetched_at.push(started.elapsed().as_secs());
            }
            advance(Duration::from_secs(1)).await;
        }
        let pauses: Vec<u64> = fetched_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // A fetch takes a second, and starts only when a caller asks for the value.
        assert_eq!(pauses, [11, 21, 41, 81, 161, 301, 301]);
        advance(MAX_BACKOFF).await;
        let number = fetcher.fetched.load(Ordering::SeqCst);
        assert_eq!(fetcher.get(true).await, Ok(number + 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_is_cached_elsewhere_is_not_cached() {
        let flight = SingleFlight::default();
        let failure = Failure::new(Reason::Other, "cached elsewhere");
        let not_cached = async { Fetched::NotCached(failure.clone()) };
        assert_eq!(flight.get(not_cached).await, Err(failure.clone()));
        assert_eq!(flight.get(async { Fetched::Value(Arc::new(1), None) }).await, Ok(Arc::new(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_caller_fetches_if_the_first_gives_up() {
        let fetcher = CountingFetcher::default();
        let giving_up = tokio::time::timeout(Duration::from_millis(500), fetcher.get(true));
        let (first, second) = tokio::join!(giving_up, fetcher.get(true));
        assert!(first.is_err());
        assert_eq!(second, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_a_failure_that_is_shared_and_cached() {
        let flight = SingleFlight::<u32>::default();
        let fetch = || async {
            sleep(Duration::from_secs(1)).await;
            panic!("the fetch panics");
        };
        let failure = Err(Failure::new(Reason::Other, "the request panicked, which is a bug"));
        let shared = async { unreachable!("the failure is shared") };
        assert_eq!(tokio::join!(flight.get(fetch()), flight.get(shared)), (failure.clone(), failure.clone()));
        assert!(!flight.is_fetching());
        advance(INITIAL_BACKOFF).await;
        assert_eq!(flight.get(fetch()).await, failure, "the second back-off is longer");
        advance(INITIAL_BACKOFF).await;
        assert_eq!(flight.get(async { Fetched::Value(Arc::new(1), None) }).await, failure);
        advance(INITIAL_BACKOFF).await;
        assert_eq!(flight.get(async { Fetched::Value(Arc::new(1), None) }).await, Ok(Arc::new(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_evicted_value_is_fetched_again_and_a_newer_one_is_not_evicted() {
        let flight = SingleFlight::default();
        let first = flight.get(async { Fetched::Value(Arc::new(1), None) }).await.unwrap();
        assert!(flight.evict(&first));
        assert_eq!(*flight.get(async { Fetched::Value(Arc::new(2), None) }).await.unwrap(), 2);
        assert!(!flight.evict(&first));
        assert_eq!(*flight.get(async { Fetched::Value(Arc::new(3), None) }).await.unwrap(), 2);
    }
}
