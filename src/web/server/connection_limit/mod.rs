//! The limit on open connections, and which connection is closed when the limit is reached.
//!
//! A connection is either idle (before or during a handshake, or between requests) or
//! busy with responses. When the limit is reached, the connection that has been idle longest,
//! or whose client has not read a response for a while, is closed to admit a new one. If
//! there is none, the connection that has been busy longest is closed if it has been busy for
//! more than [`EVICTABLE_AFTER_BUSY`]. Peers with many connections lose theirs first (see
//! [`admission`](super::admission)). A client therefore cannot lock others out, whether it sends
//! nothing or reads nothing, and however many connections it opens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::gate::{Caller, Gate, Permit};
use crate::web::peer::Peer;
use crate::web::server::admission::{
    Admission, AdmissionPermit, Client, EvictionClass, EvictionRank, Limits, Occupant, Ticket,
};
use crate::web::server::progress::Progress;

/// How long a connection may be busy before it can be evicted: Prometheus's default
/// scrape timeout.
const EVICTABLE_AFTER_BUSY: Duration = Duration::from_secs(10);

/// For how long after a response an idle connection still counts as busy, or is evicted after
/// all other idle ones. A client that sends requests without a pause is idle only for moments.
const IDLE_GRACE: Duration = Duration::from_millis(100);

/// How long a new connection may wait: longer than it takes until a busy connection can
/// be evicted.
const MAX_WAIT: Duration = Duration::from_secs(12);

/// Limits the open connections, and tracks whether they are idle.
#[derive(Debug)]
pub(in crate::web) struct ConnectionLimit {
    admission: Arc<Admission<Connection>>,
    /// Limits the sockets: those of open connections, of new connections that wait to be admitted
    /// and of evicted connections that are about to close.
    sockets: Gate,
    next_id: AtomicU64,
}

#[derive(Debug)]
struct Connection {
    peer: Peer,
    id: u64,
    /// How many requests of the connection have been refused, or cancelled for another.
    refusals: AtomicU32,
    state: Mutex<State>,
    close: CancellationToken,
}

#[derive(Debug)]
enum State {
    Idle {
        since: Instant,
        /// When the last busy period began, if there was one. A pause between requests that is
        /// shorter than [`IDLE_GRACE`] does not end a busy period.
        busy_since: Option<Instant>,
    },
    Busy {
        /// When the busy period began.
        since: Instant,
        requests: Vec<RequestInProgress>,
    },
    Evicted,
}

#[derive(Debug)]
struct RequestInProgress {
    number: u64,
    started: Instant,
    progress: Arc<Progress>,
}

/// A new connection that waits to be admitted.
#[derive(Debug)]
pub(in crate::web) struct ConnectionTicket {
    ticket: Ticket<Connection>,
    connection: Arc<Connection>,
    socket: Permit,
}

/// Permission for one connection to be open, until this is dropped.
#[derive(Debug)]
pub(in crate::web) struct ConnectionPermit {
    connection: Arc<Connection>,
    /// How many requests the connection has had.
    request_count: Arc<AtomicU64>,
    _permit: AdmissionPermit<Connection>,
    _socket: Permit,
}

/// A request whose response is not complete, until this is dropped.
#[derive(Debug)]
pub(in crate::web) struct ActiveRequest {
    connection: Arc<Connection>,
    number: u64,
    progress: Arc<Progress>,
    cancel: CancellationToken,
}

/// Cancels a request to make room for another.
#[derive(Debug)]
pub(in crate::web) struct RequestCanceller {
    connection: Arc<Connection>,
    cancel: CancellationToken,
}

impl ConnectionLimit {
    /// Allows at most `limit` open connections, three quarters of them to one peer.
    pub(in crate::web) fn new(limit: usize) -> Arc<Self> {
        let waiting = (limit / 8).max(1);
        let admission = Admission::new(Limits {
            total: limit,
            per_peer: limit - limit / 4,
            per_connection: 1,
            waiting,
            max_wait: MAX_WAIT,
        });
        Arc::new(Self { admission, sockets: Gate::new(limit + 2 * waiting), next_id: AtomicU64::new(0) })
    }

    /// Waits until there may be another socket. Evicted connections close without delay, so
    /// the wait is short.
    pub(in crate::web) async fn socket(&self) -> Option<Permit> {
        self.sockets.enter().await
    }

    /// Requests that a new connection is admitted.
    pub(in crate::web) fn request(&self, peer: Peer, socket: Permit) -> ConnectionTicket {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let state = Mutex::new(State::Idle { since: Instant::now(), busy_since: None });
        let connection = Arc::new(Connection {
            peer,
            id,
            refusals: AtomicU32::new(0),
            state,
            close: CancellationToken::new(),
        });
        let ticket =
            self.admission.request(Client { peer, connection: id, refusals: 0 }, Arc::clone(&connection));
        ConnectionTicket { ticket, connection, socket }
    }

    #[cfg(test)]
    pub(in crate::web) async fn acquire(&self, peer: Peer) -> Option<ConnectionPermit> {
        let socket = self.socket().await?;
        self.request(peer, socket).admitted().await
    }

    /// Evicts one connection. Returns `false` if no connection may be evicted now.
    pub(in crate::web) fn evict_one(&self) -> bool {
        self.admission.evict_one()
    }
}

impl ConnectionTicket {
    /// The client that has opened the connection.
    pub(in crate::web) fn peer(&self) -> Peer {
        self.connection.peer
    }

    /// Waits until the connection is admitted. `None` if it is refused, because all connections
    /// are busy.
    pub(in crate::web) async fn admitted(self) -> Option<ConnectionPermit> {
        let Self { ticket, connection, socket } = self;
        let permit = ticket.admitted().await?;
        // The timeouts do not count the wait.
        if let State::Idle { since, .. } = &mut *connection.state.lock() {
            *since = Instant::now();
        }
        Some(ConnectionPermit { connection, request_count: Arc::default(), _permit: permit, _socket: socket })
    }
}

impl Occupant for Connection {
    fn eviction_rank(&self, _: Instant, now: Instant) -> Option<EvictionRank> {
        self.state.lock().eviction_rank(now)
    }

    fn evict(&self, _: Instant, now: Instant, rank: EvictionRank) -> bool {
        let mut state = self.state.lock();
        let is_unchanged = state.eviction_rank(now) == Some(rank);
        if is_unchanged {
            *state = State::Evicted;
            self.close.cancel();
        }
        is_unchanged
    }
}

impl State {
    /// `None` if the connection has been evicted.
    fn eviction_rank(&self, now: Instant) -> Option<EvictionRank> {
        let (class, since) = match self {
            Self::Idle { since, busy_since: None } => (EvictionClass::Inactive, *since),
            Self::Idle { since, .. } if now - *since >= IDLE_GRACE => (EvictionClass::Inactive, *since),
            Self::Idle { busy_since: Some(busy), .. } if now - *busy > EVICTABLE_AFTER_BUSY => {
                (EvictionClass::Slow, *busy)
            }
            Self::Idle { since, .. } => (EvictionClass::JustInactive, *since),
            Self::Busy { since, requests } => match stalled_since(requests, now) {
                Some(stalled) => (EvictionClass::Inactive, stalled),
                None if now - *since > EVICTABLE_AFTER_BUSY => (EvictionClass::Slow, *since),
                None => (EvictionClass::Active, *since),
            },
            Self::Evicted => return None,
        };
        Some(EvictionRank { class, since })
    }
}

/// When the last of the responses of a connection stalled. `None` unless all are stalled.
fn stalled_since(requests: &[RequestInProgress], now: Instant) -> Option<Instant> {
    let stalled = requests.iter().map(|request| request.progress.stalled_since(now));
    stalled.collect::<Option<Vec<_>>>()?.into_iter().max()
}

impl ConnectionPermit {
    /// The client that has opened the connection.
    pub(in crate::web) fn peer(&self) -> Peer {
        self.connection.peer
    }

    /// Cancelled when the connection has to close immediately.
    pub(in crate::web) fn close_token(&self) -> &CancellationToken {
        &self.connection.close
    }

    /// Whether the connection is closed to admit another.
    pub(in crate::web) fn is_evicted(&self) -> bool {
        matches!(*self.connection.state.lock(), State::Evicted)
    }

    /// A handle for reading the progress of the connection's requests.
    pub(in crate::web) fn request_counter(&self) -> RequestCounter {
        RequestCounter {
            connection: Arc::clone(&self.connection),
            request_count: Arc::clone(&self.request_count),
        }
    }

    /// Marks the connection as busy with a new request, which `cancel` cancels. `None` if the
    /// connection has been evicted.
    pub(in crate::web) fn begin_request(&self, cancel: CancellationToken) -> Option<ActiveRequest> {
        let number = self.request_count.fetch_add(1, Ordering::Relaxed);
        let (now, progress) = (Instant::now(), Arc::<Progress>::default());
        let request = RequestInProgress { number, started: now, progress: Arc::clone(&progress) };
        let mut state = self.connection.state.lock();
        match &mut *state {
            State::Idle { since, busy_since } => {
                let since = busy_since.filter(|_| now - *since < IDLE_GRACE).unwrap_or(now);
                *state = State::Busy { since, requests: vec![request] };
            }
            State::Busy { requests, .. } => requests.push(request),
            State::Evicted => return None,
        }
        Some(ActiveRequest { connection: Arc::clone(&self.connection), number, progress, cancel })
    }

    /// Returns when the connection has been idle for too long (`first_request_timeout` if it
    /// has had no request yet, otherwise `idle_timeout`), when a response has taken
    /// `response_timeout`, or when the connection turns out to be evicted.
    pub(in crate::web) async fn timed_out(
        &self,
        first_request_timeout: Duration,
        idle_timeout: Duration,
        response_timeout: Duration,
    ) {
        loop {
            let now = Instant::now();
            let has_had_request = self.request_count.load(Ordering::Relaxed) > 0;
            let deadline = match &*self.connection.state.lock() {
                State::Idle { since, .. } if has_had_request => *since + idle_timeout,
                State::Idle { since, .. } => *since + first_request_timeout,
                State::Busy { requests, .. } => {
                    let oldest = requests.iter().map(|request| request.started).min();
                    let response_deadline = oldest.map_or(now, |started| started + response_timeout);
                    if response_deadline <= now {
                        return;
                    }
                    // If the connection becomes idle now, it times out after `idle_timeout`, which
                    // may be before the response deadline.
                    response_deadline.min(now + idle_timeout)
                }
                State::Evicted => return,
            };
            if deadline <= now {
                return;
            }
            sleep_until(deadline).await;
        }
    }
}

impl ActiveRequest {
    /// The client that has sent the request.
    pub(in crate::web) fn peer(&self) -> Peer {
        self.connection.peer
    }

    /// The client for the limits on responses.
    pub(in crate::web) fn client(&self) -> Client {
        let Connection { id, peer, refusals, .. } = &*self.connection;
        Client { peer: *peer, connection: *id, refusals: refusals.load(Ordering::Relaxed) }
    }

    /// The client for the queue of password checks.
    pub(in crate::web) fn caller(&self) -> Caller {
        let Connection { id, peer, refusals, .. } = &*self.connection;
        Caller { peer: peer.address(), connection: *id, refusals: refusals.load(Ordering::Relaxed) }
    }

    /// Counts a refused request of the connection.
    pub(in crate::web) fn count_refusal(&self) {
        self.connection.refusals.fetch_add(1, Ordering::Relaxed);
    }

    /// How far the response has been sent.
    pub(in crate::web) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    pub(in crate::web) fn canceller(&self) -> RequestCanceller {
        RequestCanceller { connection: Arc::clone(&self.connection), cancel: self.cancel.clone() }
    }

    #[cfg(test)]
    pub(in crate::web) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

impl RequestCanceller {
    /// Cancels the request, and returns its client. Over HTTP/1, this closes the connection.
    pub(in crate::web) fn cancel(&self) -> Peer {
        self.connection.refusals.fetch_add(1, Ordering::Relaxed);
        self.cancel.cancel();
        self.connection.peer
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let mut state = self.connection.state.lock();
        if let State::Busy { since, requests } = &mut *state {
            requests.retain(|request| request.number != self.number);
            if requests.is_empty() {
                *state = State::Idle { since: Instant::now(), busy_since: Some(*since) };
            }
        }
    }
}

/// How many requests a connection has had, and whether it is idle.
#[derive(Debug)]
pub(in crate::web) struct RequestCounter {
    connection: Arc<Connection>,
    request_count: Arc<AtomicU64>,
}

impl RequestCounter {
    /// The number of the next request, counted from 0. `None` while the connection is busy.
    pub(in crate::web) fn next_request_number(&self) -> Option<u64> {
        let is_idle = matches!(*self.connection.state.lock(), State::Idle { .. });
        is_idle.then(|| self.request_count.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;
