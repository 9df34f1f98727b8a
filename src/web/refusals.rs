//! Counts and logs refused requests, handshakes and connections.
//!
//! A refusal is marked where it is decided, as an extension of its response
//! ([`refused_as_busy`]) or by its status (401, 403, 429), and recorded in one place, where the
//! peer is known. Refused handshakes and closed connections have no response and are recorded
//! directly.
//!
//! The caller passes in the counter, so this module knows no metrics. The first refusal of each
//! reason is logged immediately, then one line a minute has the number of further ones. Nothing
//! that a client has sent is logged.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use parking_lot::Mutex;
use strum::{EnumCount, IntoStaticStr, VariantArray};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::web::peer::Peer;
use crate::web::response::{Body, TEXT_PLAIN, response};

/// The shortest time between two log messages about the same reason.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// How often [`Refusals::run`] looks for refusals that are to be logged.
const LOG_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Why a connection or request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumCount, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum RefusalReason {
    /// A TLS handshake failed. Clients that disconnect without sending a byte do not count,
    /// because port scans and TCP health checks do that.
    TlsHandshake,
    /// A request had no password or a wrong one (401), or is not permitted (403).
    Unauthorized,
    /// A request exceeded the rate limit, or could not wait for a password check (429).
    RateLimited,
    /// A scrape, a status page or a document exceeded the limit on concurrent ones (503), or was cancelled for
    /// another because its client read it too slowly.
    TooManyRequests,
    /// A connection was closed to admit another.
    TooManyConnections,
}

impl RefusalReason {
    /// All reasons.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The value of the label `reason`, and the name in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Why `response` refuses its request. `None` if it does not. A 503 counts only if it is
    /// marked, because `/-/ready` responds with that status, too.
    pub(in crate::web) fn of<B>(response: &Response<B>) -> Option<Self> {
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Self::Unauthorized),
            StatusCode::TOO_MANY_REQUESTS => Some(Self::RateLimited),
            _ => response.extensions().get().copied(),
        }
    }
}

/// Counts refusals. Implemented in [`metrics`](crate::metrics).
pub trait CountRefusals: Send + Sync {
    /// Counts a refusal. Must not block.
    fn refused(&self, reason: RefusalReason);
}

/// The response to a request beyond a limit on concurrent requests.
pub(in crate::web) fn refused_as_busy(text: &'static str) -> Response<Body> {
    let mut refusal = response(StatusCode::SERVICE_UNAVAILABLE, TEXT_PLAIN, text);
    refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    refusal.extensions_mut().insert(RefusalReason::TooManyRequests);
    refusal
}

/// Counts and logs refusals.
pub(in crate::web) struct Refusals {
    counter: Arc<dyn CountRefusals>,
    log: Mutex<[LogState; RefusalReason::COUNT]>,
}

/// The refusals for one reason that have not been logged.
#[derive(Clone, Copy, Default)]
struct LogState {
    last_logged: Option<Instant>,
    number: u64,
    last_peer: Option<Peer>,
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").finish_non_exhaustive()
    }
}

impl Refusals {
    pub(in crate::web) fn new(counter: Arc<dyn CountRefusals>) -> Arc<Self> {
        Arc::new(Self { counter, log: Mutex::default() })
    }

    /// Counts a refusal. Logs it if it is the first for its reason within a minute.
    pub(in crate::web) fn record(&self, reason: RefusalReason, peer: Peer) {
        self.counter.refused(reason);
        let mut log = self.log.lock();
        let state = &mut log[reason as usize];
        state.number += 1;
        state.last_peer = Some(peer);
        let due = state.take_if_due();
        drop(log);
        write_log(reason, due);
    }

    /// Logs the refusals of each minute until `shutdown`, then the rest.
    pub(in crate::web) async fn run(&self, shutdown: &CancellationToken) {
        while shutdown.run_until_cancelled(sleep(LOG_CHECK_INTERVAL)).await.is_some() {
            self.log_pending(LogState::take_if_due);
        }
        self.log_pending(LogState::take);
    }

    fn log_pending(&self, take: fn(&mut LogState) -> Option<(u64, Peer)>) {
        for reason in RefusalReason::ALL {
            let due = take(&mut self.log.lock()[*reason as usize]);
            write_log(*reason, due);
        }
    }
}

impl LogState {
    /// Takes the refusals, unless the last ones were logged less than a minute ago.
    fn take_if_due(&mut self) -> Option<(u64, Peer)> {
        let is_due = self.last_logged.is_none_or(|last| last.elapsed() >= LOG_INTERVAL);
        if is_due { self.take() } else { None }
    }

    fn take(&mut self) -> Option<(u64, Peer)> {
        let peer = self.last_peer?;
        let number = std::mem::take(&mut self.number);
        (self.last_peer, self.last_logged) = (None, Some(Instant::now()));
        Some((number, peer))
    }
}

fn write_log(reason: RefusalReason, due: Option<(u64, Peer)>) {
    if let Some((number, last_peer)) = due {
        warn!(reason = reason.name(), number, %last_peer, "requests refused");
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::*;
    use crate::logging::captured::Lines;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl CountRefusals for Counter {
        fn refused(&self, _reason: RefusalReason) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn peer(number: u8) -> Peer {
        IpAddr::from([192, 0, 2, number]).into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_refusals_logs_its_first_and_then_a_line_a_minute() {
        let (log, _guard) = Lines::of("refusals");
        let counter = Arc::new(Counter::default());
        let refusals = Refusals::new(Arc::clone(&counter) as _);
        let shutdown = CancellationToken::new();
        let (running, stop) = (Arc::clone(&refusals), shutdown.clone());
        let mut task = JoinSet::new();
        task.spawn(async move { running.run(&stop).await });

        for number in 1..=200 {
            refusals.record(RefusalReason::Unauthorized, peer(number));
        }
        refusals.record(RefusalReason::TlsHandshake, peer(7));
        assert_eq!(
            log.take(),
            [
                "WARN requests refused reason=unauthorized number=1 last_peer=192.0.2.1",
                "WARN requests refused reason=tls_handshake number=1 last_peer=192.0.2.7",
            ]
        );
        sleep(Duration::from_secs(59)).await;
        assert_eq!(log.take(), [""; 0]);
        sleep(Duration::from_secs(7)).await;
        assert_eq!(
            log.take(),
            ["WARN requests refused reason=unauthorized number=199 last_peer=192.0.2.200"]
        );
        // After a quiet minute, the first is logged immediately again.
        sleep(Duration::from_mins(10)).await;
        refusals.record(RefusalReason::Unauthorized, peer(1));
        assert_eq!(log.take().len(), 1);
        refusals.record(RefusalReason::Unauthorized, peer(2));
        assert_eq!(log.take().len(), 0);
        shutdown.cancel();
        task.join_all().await;
        assert_eq!(log.take(), ["WARN requests refused reason=unauthorized number=1 last_peer=192.0.2.2"]);
        assert_eq!(counter.0.load(Ordering::Relaxed), 203);
    }

    #[test]
    fn only_marked_responses_with_status_503_are_refusals() {
        let reason =
            |status: u16| RefusalReason::of(&response(StatusCode::from_u16(status).unwrap(), TEXT_PLAIN, ""));
        assert_eq!(reason(401), Some(RefusalReason::Unauthorized));
        assert_eq!(reason(403), Some(RefusalReason::Unauthorized));
        assert_eq!(reason(429), Some(RefusalReason::RateLimited));
        for status in [200, 400, 404, 405, 500, 503] {
            assert_eq!(reason(status), None, "{status}");
        }
        assert_eq!(RefusalReason::of(&refused_as_busy("busy\n")), Some(RefusalReason::TooManyRequests));
    }
}
