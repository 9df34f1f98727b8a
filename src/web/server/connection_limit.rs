//! Who is connected, and who has to go when there is no more room.
//!
//! A connection is either waiting, for a handshake, a request or the rest of one,
//! or it is answering. Who has waited longest makes room for a newcomer, and if nobody
//! waits, who has been answered for longest, longer than anybody needs; so that
//! nobody can keep others out, neither by doing nothing nor by taking no answer,
//! however many connections it takes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// After how long one that is being answered may have to make room: Prometheus's
/// default timeout.
const LONG: Duration = Duration::from_secs(10);

/// How long one that has been answered has to wait until it counts as waiting. What is
/// left of the answer may still be on its way, and who asks again and again without
/// reading hardly waits.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for a seat until it is looked again whether somebody has to go.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// All seats, taken and free.
#[derive(Debug)]
pub(in crate::web) struct Seats {
    free: Arc<Semaphore>,
    taken: Mutex<HashMap<u64, Arc<Sitter>>>,
    next: AtomicU64,
    /// A connection has begun to wait.
    waits: Notify,
}

/// What is known of a connection.
#[derive(Debug)]
struct Sitter {
    state: Mutex<State>,
    cut: CancellationToken,
}

#[derive(Debug)]
enum State {
    /// Since when, and since when it was being answered before.
    Waiting { since: Instant, busy: Option<Instant> },
    /// Since when it has not waited, and its requests, by number, and when each began.
    Answering { busy: Instant, requests: Vec<(u64, Instant)> },
    /// It has had to go.
    Evicted,
}

/// A place for one connection, free again when this is dropped.
#[derive(Debug)]
pub(in crate::web) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    sitter: Arc<Sitter>,
    requests: Arc<AtomicU64>,
    _permit: OwnedSemaphorePermit,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(in crate::web) struct Answering {
    seats: Arc<Seats>,
    sitter: Arc<Sitter>,
    request: u64,
}

impl Seats {
    pub(in crate::web) fn new(number: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(number)),
            taken: Mutex::default(),
            next: AtomicU64::new(0),
            waits: Notify::new(),
        })
    }

    /// A seat for a newcomer. If none is free, somebody has to go; if nobody can be
    /// sent away yet, the newcomer waits.
    pub(in crate::web) async fn take(self: &Arc<Self>) -> Option<Seat> {
        let free = || Arc::clone(&self.free);
        let permit = loop {
            if let Ok(permit) = free().try_acquire_owned() {
                break permit;
            }
            // One that goes does so at once, but somebody else may take its seat.
            let evicted = self.evict();
            tokio::select! {
                permit = free().acquire_owned() => break permit.ok()?,
                () = self.waits.notified(), if !evicted => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let state = Mutex::new(State::Waiting { since: Instant::now(), busy: None });
        let sitter = Arc::new(Sitter { state, cut: CancellationToken::new() });
        self.taken.lock().insert(number, Arc::clone(&sitter));
        Some(Seat { seats: Arc::clone(self), number, sitter, requests: Arc::default(), _permit: permit })
    }

    /// Sends somebody away. `false` if there is nobody who can be.
    pub(in crate::web) fn evict(&self) -> bool {
        let taken = self.taken.lock();
        loop {
            let now = Instant::now();
            let first = taken
                .values()
                .filter_map(|sitter| Some((sitter.state.lock().turn(now)?, sitter)))
                .min_by_key(|(turn, _)| *turn);
            let Some((turn, sitter)) = first else { return false };
            let mut state = sitter.state.lock();
            // A request may have come since.
            if state.turn(now) == Some(turn) {
                *state = State::Evicted;
                sitter.cut.cancel();
                return true;
            }
        }
    }
}

impl State {
    /// When its turn to go is, among others: first those that wait, then those
    /// that have been busy for long, then those that have just been answered. `None`
    /// if it may stay.
    fn turn(&self, now: Instant) -> Option<(u8, Instant)> {
        match *self {
            Self::Waiting { since, busy: None } => Some((0, since)),
            Self::Waiting { since, .. } if now - since >= PAUSE => Some((0, since)),
            Self::Waiting { busy: Some(busy), .. } | Self::Answering { busy, .. } if now - busy > LONG => {
                Some((1, busy))
            }
            Self::Waiting { since, .. } => Some((2, since)),
            Self::Answering { .. } | Self::Evicted => None,
        }
    }
}

impl Seat {
    /// Cancelled when the connection has to end at once.
    pub(in crate::web) fn cut(&self) -> &CancellationToken {
        &self.sitter.cut
    }

    /// How many requests there have been, and whether none is being answered.
    pub(in crate::web) fn pace(&self) -> Pace {
        Pace { sitter: Arc::clone(&self.sitter), requests: Arc::clone(&self.requests) }
    }

    /// Notes that a request has come. `None` if the connection has to go.
    pub(in crate::web) fn answering(&self) -> Option<Answering> {
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut state = self.sitter.state.lock();
        match &mut *state {
            State::Waiting { since, busy } => {
                let busy = busy.filter(|_| now - *since < PAUSE).unwrap_or(now);
                *state = State::Answering { busy, requests: vec![(request, now)] };
            }
            State::Answering { requests, .. } => requests.push((request, now)),
            State::Evicted => return None,
        }
        Some(Answering { seats: Arc::clone(&self.seats), sitter: Arc::clone(&self.sitter), request })
    }

    /// Returns when the connection has waited for `idle`, or for `first` without a
    /// single request, or when an answer has taken `longest`.
    pub(in crate::web) async fn outstayed(&self, first: Duration, idle: Duration, longest: Duration) {
        loop {
            let now = Instant::now();
            let patience = if self.requests.load(Ordering::Relaxed) == 0 { first } else { idle };
            let until = match &*self.sitter.state.lock() {
                State::Waiting { since, .. } => *since + patience,
                State::Answering { requests, .. } => {
                    let first = requests.iter().map(|(_, begun)| *begun).min();
                    let until = first.map_or(now, |begun| begun + longest);
                    if until <= now {
                        return;
                    }
                    // It may begin to wait before.
                    until.min(now + idle)
                }
                State::Evicted => return,
            };
            if until <= now {
                return;
            }
            sleep_until(until).await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken.lock().remove(&self.number);
    }
}

impl Answering {
    /// Ends the connection when cancelled.
    pub(in crate::web) fn cut(&self) -> &CancellationToken {
        &self.sitter.cut
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.sitter.state.lock();
        if let State::Answering { busy, requests } = &mut *state {
            requests.retain(|(request, _)| *request != self.request);
            if requests.is_empty() {
                *state = State::Waiting { since: Instant::now(), busy: Some(*busy) };
                self.seats.waits.notify_one();
            }
        }
    }
}

/// How far a connection has got.
#[derive(Debug)]
pub(in crate::web) struct Pace {
    sitter: Arc<Sitter>,
    requests: Arc<AtomicU64>,
}

impl Pace {
    /// The number of requests so far, unless one is being answered.
    pub(in crate::web) fn waits_for(&self) -> Option<u64> {
        let waiting = matches!(*self.sitter.state.lock(), State::Waiting { .. });
        waiting.then(|| self.requests.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    /// The task of a connection: goes when it has to.
    async fn leave(seat: Seat) {
        seat.cut().clone().cancelled().await;
        drop(seat);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_longest_makes_room() {
        let seats = Seats::new(3);
        let first = seats.take().await.unwrap();
        advance(SOON).await;
        let second = seats.take().await.unwrap();
        advance(SOON).await;
        let third = seats.take().await.unwrap();
        // The first has had a request, so it is the second that has waited longest.
        advance(SOON).await;
        drop(first.answering().unwrap());
        let (fourth, ()) = tokio::join!(seats.take(), leave(second));
        assert!(fourth.is_some());
        assert!(!first.cut().is_cancelled() && !third.cut().is_cancelled());
        let (fifth, ()) = tokio::join!(seats.take(), leave(third));
        assert!(fifth.is_some() && !first.cut().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_being_answered_stays_until_the_end() {
        let seats = Seats::new(1);
        let seat = seats.take().await.unwrap();
        let (one, two) = (seat.answering().unwrap(), seat.answering().unwrap());
        assert!(timeout(Duration::from_secs(4), seats.take()).await.is_err());
        drop(one);
        assert!(timeout(Duration::from_secs(4), seats.take()).await.is_err());
        assert!(!seat.cut().is_cancelled());
        let newcomer = seats.take();
        let end = async {
            drop(two);
            leave(seat).await;
        };
        assert!(tokio::join!(newcomer, end).0.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_no_answer_makes_room_in_time() {
        // Regression: clients that left no room for an answer kept their seats.
        let seats = Seats::new(2);
        let (first, second) = (seats.take().await.unwrap(), seats.take().await.unwrap());
        let _stuck = first.answering().unwrap();
        advance(Duration::from_secs(1)).await;
        let _answering = second.answering().unwrap();
        let (cut, before) = (first.cut().clone(), Instant::now());
        let (newcomer, ()) = tokio::join!(seats.take(), leave(first));
        assert!(newcomer.is_some() && cut.is_cancelled() && !second.cut().is_cancelled());
        assert!(before.elapsed() <= LONG + LOOK_AGAIN, "{:?}", before.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn asking_again_and_again_does_not_make_one_younger() {
        let seats = Seats::new(1);
        let seat = seats.take().await.unwrap();
        let mut answering = seat.answering().unwrap();
        for _ in 0..11 {
            advance(Duration::from_secs(1)).await;
            drop(answering);
            answering = seat.answering().unwrap();
        }
        assert!(seats.evict());
        assert!(seat.cut().is_cancelled());
        // But a pause does.
        let seats = Seats::new(1);
        let seat = seats.take().await.unwrap();
        for _ in 0..11 {
            let answering = seat.answering().unwrap();
            advance(Duration::from_secs(1)).await;
            drop(answering);
            advance(PAUSE).await;
        }
        let _answering = seat.answering().unwrap();
        assert!(!seats.evict());
    }

    #[tokio::test]
    async fn a_request_that_comes_too_late_is_not_answered() {
        let seats = Seats::new(1);
        let seat = seats.take().await.unwrap();
        assert!(seats.evict());
        assert!(seat.answering().is_none());
        assert!(!seats.evict(), "nobody goes twice");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_outstays() {
        let (first, idle, longest) =
            (Duration::from_secs(10), Duration::from_secs(90), Duration::from_mins(2));
        let stayed = async |seat: &Seat| {
            let before = Instant::now();
            seat.outstayed(first, idle, longest).await;
            before.elapsed().as_secs()
        };
        let seats = Seats::new(2);
        let seat = seats.take().await.unwrap();
        assert_eq!(stayed(&seat).await, 10, "without a request");
        let seat = seats.take().await.unwrap();
        drop(seat.answering());
        assert_eq!(stayed(&seat).await, 90, "after one");
        let answering = seat.answering();
        assert_eq!(stayed(&seat).await, 120, "in the midst of an answer");
        drop(answering);
        let answering = seat.answering();
        let end = async {
            sleep_until(Instant::now() + Duration::from_secs(100)).await;
            drop(answering);
        };
        assert_eq!(tokio::join!(stayed(&seat), end).0, 190, "from when it begins to wait");
    }
}
