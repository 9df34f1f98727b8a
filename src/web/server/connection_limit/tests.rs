use std::net::IpAddr;

use tokio::time::{advance, timeout};

use super::*;
use crate::web::server::progress::STALLED_AFTER;

const MOMENT: Duration = Duration::from_millis(1);

fn peer() -> Peer {
    IpAddr::from([192, 0, 2, 1]).into()
}

/// Closes the connection when it is evicted, as its task does.
async fn close_when_evicted(permit: ConnectionPermit) {
    permit.close_token().clone().cancelled().await;
    drop(permit);
}

#[tokio::test(start_paused = true)]
async fn the_connection_that_has_been_idle_longest_is_evicted() {
    let limit = ConnectionLimit::new(3);
    let first = limit.acquire(peer()).await.unwrap();
    advance(MOMENT).await;
    let second = limit.acquire(peer()).await.unwrap();
    advance(MOMENT).await;
    let third = limit.acquire(peer()).await.unwrap();
    // The first connection has had a request since, so the second has been idle longest.
    advance(MOMENT).await;
    drop(first.begin_request(CancellationToken::new()).unwrap());
    let (fourth, ()) = tokio::join!(limit.acquire(peer()), close_when_evicted(second));
    assert!(fourth.is_some());
    assert!(!first.close_token().is_cancelled() && !third.close_token().is_cancelled());
    let (fifth, ()) = tokio::join!(limit.acquire(peer()), close_when_evicted(third));
    assert!(fifth.is_some() && !first.close_token().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_busy_connection_stays_until_its_last_response() {
    let limit = ConnectionLimit::new(1);
    let permit = limit.acquire(peer()).await.unwrap();
    let (one, two) = (
        permit.begin_request(CancellationToken::new()).unwrap(),
        permit.begin_request(CancellationToken::new()).unwrap(),
    );
    assert!(timeout(Duration::from_secs(4), limit.acquire(peer())).await.is_err());
    drop(one);
    assert!(timeout(Duration::from_secs(4), limit.acquire(peer())).await.is_err());
    assert!(!permit.close_token().is_cancelled());
    let next = limit.acquire(peer());
    let end = async {
        drop(two);
        close_when_evicted(permit).await;
    };
    assert!(tokio::join!(next, end).0.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_client_reads_nothing_is_evicted_in_time() {
    // Regression: clients that did not read their response kept their connections.
    let limit = ConnectionLimit::new(2);
    let (first, second) = (limit.acquire(peer()).await.unwrap(), limit.acquire(peer()).await.unwrap());
    let _stuck = first.begin_request(CancellationToken::new()).unwrap();
    advance(Duration::from_secs(1)).await;
    let _active = second.begin_request(CancellationToken::new()).unwrap();
    let (evicted, before) = (first.close_token().clone(), Instant::now());
    let (next, ()) = tokio::join!(limit.acquire(peer()), close_when_evicted(first));
    assert!(next.is_some() && evicted.is_cancelled() && !second.close_token().is_cancelled());
    assert!(before.elapsed() <= EVICTABLE_AFTER_BUSY + Duration::from_secs(1), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_pause_do_not_protect_a_connection() {
    let limit = ConnectionLimit::new(1);
    let permit = limit.acquire(peer()).await.unwrap();
    let mut active = permit.begin_request(CancellationToken::new()).unwrap();
    for _ in 0..11 {
        advance(Duration::from_secs(1)).await;
        drop(active);
        active = permit.begin_request(CancellationToken::new()).unwrap();
    }
    assert!(limit.evict_one());
    assert!(permit.close_token().is_cancelled());
    // Pauses between the requests do protect it.
    let limit = ConnectionLimit::new(1);
    let permit = limit.acquire(peer()).await.unwrap();
    for _ in 0..11 {
        let active = permit.begin_request(CancellationToken::new()).unwrap();
        advance(Duration::from_secs(1)).await;
        drop(active);
        advance(IDLE_GRACE).await;
    }
    let _active = permit.begin_request(CancellationToken::new()).unwrap();
    assert!(!limit.evict_one());
}

#[tokio::test]
async fn a_request_on_an_evicted_connection_is_not_answered() {
    let limit = ConnectionLimit::new(1);
    let permit = limit.acquire(peer()).await.unwrap();
    assert_eq!(permit.begin_request(CancellationToken::new()).unwrap().peer(), peer());
    assert!(limit.evict_one());
    assert!(permit.begin_request(CancellationToken::new()).is_none());
    assert!(!limit.evict_one(), "no connection is evicted twice");
}

#[tokio::test(start_paused = true)]
async fn idle_and_slow_connections_time_out() {
    let (first_request, idle, response) =
        (Duration::from_secs(10), Duration::from_secs(90), Duration::from_mins(2));
    let seconds_until_timeout = async |permit: &ConnectionPermit| {
        let before = Instant::now();
        permit.timed_out(first_request, idle, response).await;
        before.elapsed().as_secs()
    };
    let limit = ConnectionLimit::new(2);
    let permit = limit.acquire(peer()).await.unwrap();
    assert_eq!(seconds_until_timeout(&permit).await, 10, "before the first request");
    let permit = limit.acquire(peer()).await.unwrap();
    drop(permit.begin_request(CancellationToken::new()));
    assert_eq!(seconds_until_timeout(&permit).await, 90, "after a request");
    let active = permit.begin_request(CancellationToken::new());
    assert_eq!(seconds_until_timeout(&permit).await, 120, "during a response");
    drop(active);
    let active = permit.begin_request(CancellationToken::new());
    let end = async {
        sleep_until(Instant::now() + Duration::from_secs(100)).await;
        drop(active);
    };
    assert_eq!(
        tokio::join!(seconds_until_timeout(&permit), end).0,
        190,
        "counted from the end of the response"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_responses_are_all_stalled_counts_as_idle() {
    let limit = ConnectionLimit::new(1);
    let permit = limit.acquire(peer()).await.unwrap();
    let requests: [ActiveRequest; 2] =
        std::array::from_fn(|_| permit.begin_request(CancellationToken::new()).unwrap());
    requests[0].progress().begin();
    advance(STALLED_AFTER).await;
    assert!(!limit.evict_one(), "the second response is still being prepared");
    requests[1].progress().begin();
    advance(STALLED_AFTER).await;
    requests[0].progress().sent(100_000);
    assert!(!limit.evict_one(), "the first response progresses");
    advance(STALLED_AFTER).await;
    assert!(limit.evict_one());
}

#[tokio::test(start_paused = true)]
async fn a_peer_cannot_keep_others_out_with_busy_connections() {
    let limit = ConnectionLimit::new(8);
    let other = IpAddr::from([192, 0, 2, 2]).into();
    let mut busy = Vec::new();
    for _ in 0..6 {
        let permit = limit.acquire(peer()).await.unwrap();
        busy.push((permit.begin_request(CancellationToken::new()), permit));
    }
    let before = Instant::now();
    // Two places are left for others.
    let idle = limit.acquire(other).await.unwrap();
    let _second = limit.acquire(other).await.unwrap();
    assert!(timeout(Duration::from_secs(1), limit.acquire(peer())).await.is_err());
    assert!(!idle.close_token().is_cancelled(), "a peer evicts none of one with fewer connections");
    let third = IpAddr::from([192, 0, 2, 3]).into();
    let _third = limit.acquire(third).await.unwrap();
    assert!(before.elapsed() <= Duration::from_secs(1));
    assert!(idle.close_token().is_cancelled() || busy[0].1.close_token().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn the_timeouts_of_a_connection_do_not_count_its_wait() {
    let limit = ConnectionLimit::new(1);
    let first = limit.acquire(peer()).await.unwrap();
    let _stuck = first.begin_request(CancellationToken::new()).unwrap();
    let (second, ()) = tokio::join!(limit.acquire(peer()), close_when_evicted(first));
    let before = Instant::now();
    let second = second.unwrap();
    let response = Duration::from_mins(2);
    second.timed_out(Duration::from_secs(10), Duration::from_secs(90), response).await;
    assert_eq!(before.elapsed(), Duration::from_secs(10));
}
