//! One request for all who want the same thing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::model::Failure;

/// How long the first failure stands for all who ask. Each one after it stands
/// twice as long.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// The longest that a failure stands.
const ASK_AGAIN_AT_LAST: Duration = Duration::from_mins(5);

/// A value that is fetched when it is asked for and kept for a while. Those who
/// ask while it is being fetched wait for the same request, and a failure is
/// theirs as well: without that, all targets of an account would queue to hear
/// one after the other that there is no answer.
#[derive(Debug)]
pub(super) struct SingleFlight<T> {
    current: Mutex<Arc<OnceCell<Kept<T>>>>,
    /// How many requests have failed since the last good one.
    failures: AtomicU32,
    /// How many requests are under way.
    under_way: AtomicU32,
}

/// What has been fetched.
#[derive(Debug)]
struct Kept<T> {
    outcome: Result<Arc<T>, Failure>,
    /// `None` keeps it for good.
    until: Option<Instant>,
}

/// How a request went.
#[derive(Debug)]
pub(super) enum Fetched<T> {
    /// A value, and for how long to keep it; without that, for good.
    Value(Arc<T>, Option<Duration>),
    /// None, and it is not to be asked for again at once.
    Failed(Failure),
    /// It has not even been asked for, because of a failure that is kept
    /// elsewhere.
    NotAsked(Failure),
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self { current: Mutex::default(), failures: AtomicU32::new(0), under_way: AtomicU32::new(0) }
    }
}

impl<T> SingleFlight<T> {
    /// The value that is kept, or what `fetch` brings.
    ///
    /// # Errors
    /// That of `fetch`, now or a while ago.
    pub(super) async fn get(&self, fetch: impl Future<Output = Fetched<T>>) -> Result<Arc<T>, Failure> {
        let cell = {
            let mut current = self.current.lock();
            let over = |kept: &Kept<T>| kept.until.is_some_and(|until| until <= Instant::now());
            if current.get().is_some_and(over) {
                *current = Arc::default();
            }
            Arc::clone(&current)
        };
        let kept = cell.get_or_init(|| async {
            let under_way = UnderWay::new(&self.under_way);
            let fetched = fetch.await;
            drop(under_way);
            let now = Instant::now();
            match fetched {
                Fetched::Value(value, keep) => {
                    self.failures.store(0, Ordering::Relaxed);
                    Kept { outcome: Ok(value), until: keep.map(|keep| now + keep) }
                }
                Fetched::Failed(failure) => {
                    let before = self.failures.fetch_add(1, Ordering::Relaxed);
                    Kept { outcome: Err(failure), until: Some(now + ask_again(before)) }
                }
                Fetched::NotAsked(failure) => Kept { outcome: Err(failure), until: Some(now) },
            }
        });
        kept.await.outcome.clone()
    }

    /// Whether a request is under way, for which one would have to wait.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    /// Drops a value that turned out to be of no use. A newer one stays.
    pub(super) fn discard(&self, value: &Arc<T>) {
        self.replace(value, Arc::default());
    }

    /// Puts a failure in the place of a value that turned out to be of no use,
    /// if it has not been replaced already; the more failures there were
    /// `before`, the longer it stands.
    pub(super) fn refuse(&self, value: &Arc<T>, failure: Failure, before: u32) -> bool {
        let kept = Kept { outcome: Err(failure), until: Some(Instant::now() + ask_again(before)) };
        self.replace(value, Arc::new(OnceCell::new_with(Some(kept))))
    }

    fn replace(&self, value: &Arc<T>, by: Arc<OnceCell<Kept<T>>>) -> bool {
        let mut current = self.current.lock();
        let is_it = |kept: &Kept<T>| kept.outcome.as_ref().is_ok_and(|kept| Arc::ptr_eq(kept, value));
        let replaced = current.get().is_some_and(is_it);
        if replaced {
            *current = by;
        }
        replaced
    }
}

/// How long a failure stands that so many came before.
fn ask_again(before: u32) -> Duration {
    ASK_AGAIN.saturating_mul(1 << before.min(16)).min(ASK_AGAIN_AT_LAST)
}

/// Counts a request for as long as it is there: who asks may give up.
struct UnderWay<'a>(&'a AtomicU32);

impl<'a> UnderWay<'a> {
    fn new(number: &'a AtomicU32) -> Self {
        number.fetch_add(1, Ordering::Relaxed);
        Self(number)
    }
}

impl Drop for UnderWay<'_> {
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
    struct Counted {
        flight: SingleFlight<u32>,
        fetched: AtomicU32,
    }

    impl Counted {
        async fn get(&self, good: bool) -> Result<u32, Failure> {
            let fetch = async {
                sleep(Duration::from_secs(1)).await;
                let number = self.fetched.fetch_add(1, Ordering::SeqCst) + 1;
                if good {
                    Fetched::Value(Arc::new(number), Some(Duration::from_mins(1)))
                } else {
                    Fetched::Failed(Failure::new(Reason::Other, number.to_string()))
                }
            };
            self.flight.get(fetch).await.map(|value| *value)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_get_the_outcome_of_one_request() {
        let counted = Counted::default();
        assert_eq!(
            tokio::join!(counted.get(true), counted.get(true), counted.get(true)),
            (Ok(1), Ok(1), Ok(1))
        );
        advance(Duration::from_secs(59)).await;
        assert_eq!(counted.get(true).await, Ok(1));
        advance(Duration::from_secs(1)).await;
        assert_eq!(counted.get(true).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_for_a_while_and_each_for_twice_as_long() {
        let counted = Counted::default();
        let failure = |number: u32| Err(Failure::new(Reason::Other, number.to_string()));
        assert_eq!(tokio::join!(counted.get(false), counted.get(false)), (failure(1), failure(1)));
        let mut asked = Vec::new();
        let started = Instant::now();
        while started.elapsed() < Duration::from_mins(20) {
            let before = counted.fetched.load(Ordering::SeqCst);
            assert!(counted.get(false).await.is_err());
            if counted.fetched.load(Ordering::SeqCst) > before {
                asked.push(started.elapsed().as_secs());
            }
            advance(Duration::from_secs(1)).await;
        }
        let pauses: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // A request takes a second, and is only made when somebody asks.
        assert_eq!(pauses, [11, 21, 41, 81, 161, 301, 301]);
        advance(ASK_AGAIN_AT_LAST).await;
        let number = counted.fetched.load(Ordering::SeqCst);
        assert_eq!(counted.get(true).await, Ok(number + 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_is_kept_elsewhere_is_not_kept_here() {
        let flight = SingleFlight::default();
        let failure = Failure::new(Reason::Other, "of somebody else");
        let not_asked = async { Fetched::NotAsked(failure.clone()) };
        assert_eq!(flight.get(not_asked).await, Err(failure.clone()));
        assert_eq!(flight.get(async { Fetched::Value(Arc::new(1), None) }).await, Ok(Arc::new(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_the_request_to_the_next() {
        let counted = Counted::default();
        let impatient = tokio::time::timeout(Duration::from_millis(500), counted.get(true));
        let (first, second) = tokio::join!(impatient, counted.get(true));
        assert!(first.is_err());
        assert_eq!(second, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_discarded_is_fetched_anew_but_what_is_newer_stays() {
        let flight = SingleFlight::default();
        let first = flight.get(async { Fetched::Value(Arc::new(1), None) }).await.unwrap();
        flight.discard(&first);
        assert_eq!(*flight.get(async { Fetched::Value(Arc::new(2), None) }).await.unwrap(), 2);
        flight.discard(&first);
        assert_eq!(*flight.get(async { Fetched::Value(Arc::new(3), None) }).await.unwrap(), 2);
    }
}
