//! The limits on concurrent responses that hold much memory while they are sent: scrapes and
//! status pages with the documents.
//!
//! Clients that read slowly or not at all cannot keep Prometheus out. When another client needs
//! a place, a response that its client has not read for [`STALLED_AFTER`] is cancelled. If there
//! is none, one that has taken longer than [`SLOW_RESPONSE`] is cancelled, because Prometheus
//! would have abandoned it by then. A cancelled response counts as a refused request. See
//! [`admission`](super::admission) for the order.
//!
//! [`STALLED_AFTER`]: super::progress::STALLED_AFTER

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::web::refusals::{RefusalReason, Refusals};
use crate::web::server::admission::{
    Admission, AdmissionPermit, EvictionClass, EvictionRank, Limits, Occupant,
};
use crate::web::server::connection_limit::{ActiveRequest, RequestCanceller};
use crate::web::server::progress::Progress;

/// How long a response may take before it can be cancelled for another one: Prometheus's
/// default scrape timeout.
const SLOW_RESPONSE: Duration = Duration::from_secs(10);

/// How long a request may wait for a place: longer than the time until a stalled response can
/// be cancelled, and half of Prometheus's default scrape timeout.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// How many requests may wait for a place: half of the limit on connections.
const MAX_WAITING: usize = 256;

/// Limits the concurrent responses of one kind.
#[derive(Debug)]
pub(in crate::web) struct ResponseLimit {
    admission: Arc<Admission<LimitedResponse>>,
    refusals: Arc<Refusals>,
}

/// Permission for one response, until this is dropped.
pub(in crate::web) type ResponsePermit = AdmissionPermit<LimitedResponse>;

#[derive(Debug)]
pub(in crate::web) struct LimitedResponse {
    progress: Arc<Progress>,
    canceller: RequestCanceller,
    refusals: Arc<Refusals>,
}

impl ResponseLimit {
    /// Allows at most `limit` concurrent responses, three quarters of them to one peer, and a
    /// quarter to one connection. 0 is no limit. Cancelled responses are recorded as `refusals`.
    pub(in crate::web) fn new(limit: usize, refusals: Arc<Refusals>) -> Self {
        let total = if limit == 0 { usize::MAX } else { limit };
        let limits = Limits {
            total,
            per_peer: total - total / 4,
            per_connection: total.div_ceil(4),
            waiting: MAX_WAITING,
            max_wait: MAX_WAIT,
        };
        Self { admission: Admission::new(limits), refusals }
    }

    /// Admits the response to a request. `None` if there is no place for it, and none becomes
    /// free or can be taken from another response soon.
    pub(in crate::web) async fn admit(&self, request: &ActiveRequest) -> Option<ResponsePermit> {
        let response = LimitedResponse {
            progress: Arc::clone(request.progress()),
            canceller: request.canceller(),
            refusals: Arc::clone(&self.refusals),
        };
        self.admission.request(request.client(), Arc::new(response)).admitted().await
    }
}

impl Occupant for LimitedResponse {
    fn eviction_rank(&self, admitted: Instant, now: Instant) -> Option<EvictionRank> {
        let (class, since) = match self.progress.stalled_since(now) {
            Some(since) => (EvictionClass::Inactive, since),
            None if now - admitted > SLOW_RESPONSE => (EvictionClass::Slow, admitted),
            None => return None,
        };
        Some(EvictionRank { class, since })
    }

    fn evict(&self, admitted: Instant, now: Instant, rank: EvictionRank) -> bool {
        let is_unchanged = self.eviction_rank(admitted, now) == Some(rank);
        if is_unchanged {
            let peer = self.canceller.cancel();
            self.refusals.record(RefusalReason::TooManyRequests, peer);
        }
        is_unchanged
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::time::advance;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::web::peer::Peer;
    use crate::web::refusals::CountRefusals;
    use crate::web::server::connection_limit::{ConnectionLimit, ConnectionPermit};
    use crate::web::server::progress::STALLED_AFTER;

    struct Uncounted;

    impl CountRefusals for Uncounted {
        fn refused(&self, _reason: RefusalReason) {}
    }

    fn response_limit(limit: usize) -> ResponseLimit {
        ResponseLimit::new(limit, Refusals::new(Arc::new(Uncounted)))
    }

    fn peer(last: u8) -> Peer {
        IpAddr::from([192, 0, 2, last]).into()
    }

    async fn connect(limit: &Arc<ConnectionLimit>, last: u8) -> ConnectionPermit {
        limit.acquire(peer(last)).await.unwrap()
    }

    fn begin(connection: &ConnectionPermit) -> ActiveRequest {
        connection.begin_request(CancellationToken::new()).unwrap()
    }

    /// A response that has begun to be sent.
    async fn respond(
        limit: &ResponseLimit,
        connection: &ConnectionPermit,
    ) -> (ActiveRequest, ResponsePermit) {
        let request = begin(connection);
        let permit = limit.admit(&request).await.unwrap();
        request.progress().begin();
        request.progress().sent(100_000);
        (request, permit)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_response_is_cancelled_for_another() {
        let (connections, limit) = (ConnectionLimit::new(8), response_limit(2));
        let (one, two) = (connect(&connections, 1).await, connect(&connections, 2).await);
        let (stalled, _stalled_place) = respond(&limit, &one).await;
        let (active, _active_place) = respond(&limit, &two).await;
        let other = begin(&connect(&connections, 3).await);
        let before = Instant::now();
        let progress = async {
            loop {
                active.progress().sent(100_000);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::select! {
            admitted = limit.admit(&other) => assert!(admitted.is_some()),
            () = progress => {}
        }
        assert!(stalled.is_cancelled() && !active.is_cancelled());
        assert!(before.elapsed() >= STALLED_AFTER && before.elapsed() < MAX_WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_progresses_is_cancelled_only_once_it_is_slow() {
        let (connections, limit) = (ConnectionLimit::new(8), response_limit(1));
        let (request, _place) = respond(&limit, &connect(&connections, 1).await).await;
        let other = begin(&connect(&connections, 2).await);
        for _ in 0..SLOW_RESPONSE.as_secs() {
            request.progress().sent(100_000);
            let admitted = tokio::time::timeout(Duration::from_millis(1), limit.admit(&other)).await;
            assert!(admitted.is_err() && !request.is_cancelled());
            advance(Duration::from_millis(999)).await;
        }
        request.progress().sent(100_000);
        advance(Duration::from_millis(1)).await;
        assert!(limit.admit(&other).await.is_some());
        assert!(request.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_cannot_occupy_the_places_of_its_peer() {
        // Regression: three HTTP/2 connections occupied all places.
        let (connections, limit) = (ConnectionLimit::new(8), response_limit(40));
        let mut stalled = Vec::new();
        for _ in 0..3 {
            let connection = connect(&connections, 1).await;
            for _ in 0..10 {
                stalled.push(respond(&limit, &connection).await);
            }
            let one_more = begin(&connection);
            let admitted = tokio::time::timeout(Duration::from_secs(1), limit.admit(&one_more)).await;
            assert!(admitted.is_err(), "a quarter of the places is enough for a connection");
            for (request, _) in &stalled {
                request.progress().sent(100_000);
            }
        }
        let before = Instant::now();
        let other = begin(&connect(&connections, 2).await);
        assert!(limit.admit(&other).await.is_some());
        assert_eq!(before.elapsed(), Duration::ZERO, "places are left for other peers");
        let same_peer = begin(&connect(&connections, 1).await);
        assert!(limit.admit(&same_peer).await.is_some());
        assert!(before.elapsed() < MAX_WAIT, "a stalled response of the peer makes room");
    }

    #[tokio::test(start_paused = true)]
    async fn zero_is_no_limit() {
        let (connections, limit) = (ConnectionLimit::new(1), response_limit(0));
        let connection = connect(&connections, 1).await;
        let mut responses = Vec::new();
        for _ in 0..1000 {
            responses.push(respond(&limit, &connection).await);
        }
        assert_eq!(responses.len(), 1000);
    }
}
