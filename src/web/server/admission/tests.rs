use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::advance;

use super::*;

const MAX_WAIT: Duration = Duration::from_secs(5);

const LIMITS: Limits = Limits { total: 8, per_peer: 6, per_connection: 2, waiting: 4, max_wait: MAX_WAIT };

/// An occupant with the class that a test gives it.
#[derive(Debug)]
struct Fake {
    class: Mutex<Option<EvictionClass>>,
    evicted: AtomicBool,
}

impl Occupant for Fake {
    fn eviction_rank(&self, admitted: Instant, _: Instant) -> Option<EvictionRank> {
        self.class.lock().map(|class| EvictionRank { class, since: admitted })
    }

    fn evict(&self, admitted: Instant, now: Instant, rank: EvictionRank) -> bool {
        let unchanged = self.eviction_rank(admitted, now) == Some(rank);
        self.evicted.fetch_or(unchanged, Ordering::SeqCst);
        unchanged
    }
}

impl Fake {
    fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::SeqCst)
    }
}

fn fake(class: Option<EvictionClass>) -> Arc<Fake> {
    Arc::new(Fake { class: Mutex::new(class), evicted: AtomicBool::new(false) })
}

fn client(peer: u8, connection: u64) -> Client {
    let peer = std::net::IpAddr::from(Ipv4Addr::new(192, 0, 2, peer)).into();
    Client { peer, connection, refusals: 0 }
}

/// Admits an occupant that stays, without a wait.
async fn occupy(
    admission: &Arc<Admission<Fake>>,
    client: Client,
    class: Option<EvictionClass>,
) -> (Arc<Fake>, AdmissionPermit<Fake>) {
    let occupant = fake(class);
    let before = Instant::now();
    let permit = admission.request(client, Arc::clone(&occupant)).admitted().await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
    (occupant, permit)
}

async fn is_admitted(admission: &Arc<Admission<Fake>>, client: Client) -> bool {
    admission.request(client, fake(None)).admitted().await.is_some()
}

#[tokio::test(start_paused = true)]
async fn a_peer_and_a_connection_may_have_only_some_of_the_places() {
    let admission = Admission::new(LIMITS);
    let mut permits = Vec::new();
    for connection in 0..3 {
        for _ in 0..2 {
            permits.push(occupy(&admission, client(1, connection), None).await);
        }
        assert!(!is_admitted(&admission, client(1, connection)).await, "the connection has its share");
    }
    assert!(!is_admitted(&admission, client(1, 3)).await, "the peer has its share");
    permits.push(occupy(&admission, client(2, 4), None).await);
    permits.push(occupy(&admission, client(3, 5), None).await);
    assert!(!is_admitted(&admission, client(4, 6)).await, "all places are taken");
    permits.truncate(7);
    assert!(is_admitted(&admission, client(4, 6)).await);
}

#[tokio::test(start_paused = true)]
async fn the_peer_with_the_most_places_loses_its_longest_inactive_one() {
    let admission = Admission::new(LIMITS);
    let inactive = Some(EvictionClass::Inactive);
    let one = occupy(&admission, client(1, 0), inactive).await;
    let mut many = Vec::new();
    for number in 0..6 {
        advance(Duration::from_secs(1)).await;
        let class = if number == 0 { None } else { inactive };
        many.push(occupy(&admission, client(2, number), class).await);
    }
    let _last = occupy(&admission, client(3, 7), inactive).await;
    let (next, _permit) = occupy(&admission, client(4, 8), None).await;
    let evicted: Vec<bool> = many.iter().map(|(occupant, _)| occupant.is_evicted()).collect();
    assert_eq!(evicted, [false, true, false, false, false, false]);
    assert!(!one.0.is_evicted() && !next.is_evicted());
}

#[tokio::test(start_paused = true)]
async fn a_peer_never_evicts_an_occupant_of_a_peer_with_as_few_places() {
    let admission = Admission::new(LIMITS);
    let inactive = Some(EvictionClass::Inactive);
    let mut permits = Vec::new();
    for number in 0..4 {
        permits.push(occupy(&admission, client(1, number), None).await);
        permits.push(occupy(&admission, client(2, 10 + number), inactive).await);
    }
    assert!(!is_admitted(&admission, client(1, 20)).await);
    // It may evict its own.
    assert!(is_admitted(&admission, client(2, 21)).await);
    assert!(is_admitted(&admission, client(3, 22)).await);
}

#[tokio::test(start_paused = true)]
async fn an_active_occupant_is_evicted_only_if_its_peer_has_far_more_places() {
    let limits = Limits { total: 4, per_peer: 4, ..LIMITS };
    let admission = Admission::new(limits);
    let active = Some(EvictionClass::Active);
    let mut permits = Vec::new();
    for number in 0..3 {
        permits.push(occupy(&admission, client(1, number), active).await);
    }
    permits.push(occupy(&admission, client(2, 4), active).await);
    assert!(!is_admitted(&admission, client(1, 5)).await);
    assert!(!is_admitted(&admission, client(2, 6)).await, "3 is not far more than 2");
    let (_, _permit) = occupy(&admission, client(3, 7), active).await;
    assert!(permits[0].0.is_evicted());
}

#[tokio::test(start_paused = true)]
async fn a_client_waits_until_an_occupant_can_be_evicted() {
    let admission = Admission::new(Limits { total: 1, per_peer: 1, ..LIMITS });
    let (occupant, _permit) = occupy(&admission, client(1, 0), None).await;
    let before = Instant::now();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        *occupant.class.lock() = Some(EvictionClass::Inactive);
    };
    assert!(tokio::join!(is_admitted(&admission, client(1, 1)), stop).0);
    assert!(before.elapsed() <= Duration::from_secs(2) + RETRY_EVICTION);
    assert!(occupant.is_evicted());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_waited_too_long_is_refused_and_leaves_the_queue() {
    let admission = Admission::new(Limits { total: 1, per_peer: 1, ..LIMITS });
    let (_, permit) = occupy(&admission, client(1, 0), None).await;
    let before = Instant::now();
    assert!(!is_admitted(&admission, client(1, 1)).await);
    assert_eq!(before.elapsed(), MAX_WAIT);
    drop(admission.request(client(1, 2), fake(None)));
    assert!(admission.state.lock().waiting.len() == 0);
    drop(permit);
    assert!(admission.state.lock().occupied.len() == 0);
}

#[tokio::test(start_paused = true)]
async fn a_free_place_is_given_to_the_peer_with_the_fewest() {
    let admission = Admission::new(Limits { total: 2, per_peer: 2, ..LIMITS });
    let (_, first) = occupy(&admission, client(1, 0), None).await;
    let (_, _second) = occupy(&admission, client(1, 1), None).await;
    let greedy = admission.request(client(1, 2), fake(None));
    let modest = admission.request(client(2, 3), fake(None));
    drop(first);
    assert!(modest.admitted().await.is_some());
    // `modest` was dropped, so there is a place for the other one now.
    assert!(greedy.admitted().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_a_peer_cannot_fill_it_for_others() {
    let admission = Admission::new(Limits { total: 1, per_peer: 1, ..LIMITS });
    let (_, permit) = occupy(&admission, client(1, 0), None).await;
    let mut tickets: Vec<_> =
        (1..=10).map(|number| admission.request(client(1, number), fake(None))).collect();
    assert_eq!(admission.state.lock().waiting.len(), LIMITS.waiting);
    let other = admission.request(client(2, 11), fake(None));
    let before = Instant::now();
    assert!(tickets.pop().unwrap().admitted().await.is_none());
    assert_eq!(before.elapsed(), Duration::ZERO, "refused without a wait");
    drop(permit);
    assert!(tickets.remove(0).admitted().await.is_some());
    drop(tickets);
    assert!(other.admitted().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn peers_with_places_cannot_fill_the_queue_for_a_peer_without_any() {
    let admission = Admission::new(LIMITS);
    let mut permits = Vec::new();
    for number in 0..8 {
        permits.push(occupy(&admission, client(number, number.into()), None).await);
    }
    let attackers: Vec<_> = (0..4).map(|number| admission.request(client(number, 10), fake(None))).collect();
    let other = admission.request(client(9, 20), fake(None));
    drop(permits.pop());
    let before = Instant::now();
    assert!(other.admitted().await.is_some());
    assert_eq!(before.elapsed(), Duration::ZERO);
    drop(attackers);
}

/// Regression: a scrape was refused when 20 connections of its address had 16 requests each.
#[tokio::test(start_paused = true)]
async fn connections_with_many_requests_neither_fill_the_queue_nor_come_first() {
    let limits = Limits { total: 1, per_peer: 1, waiting: 8, ..LIMITS };
    let admission = Admission::new(limits);
    let (_, permit) = occupy(&admission, client(1, 0), None).await;
    let attackers: Vec<_> =
        (0..20).map(|number| admission.request(client(1, number % 2), fake(None))).collect();
    let other = admission.request(client(1, 2), fake(None));
    assert_eq!(admission.state.lock().waiting.len(), limits.waiting);
    drop(permit);
    let before = Instant::now();
    assert!(other.admitted().await.is_some());
    assert_eq!(before.elapsed(), Duration::ZERO);
    drop(attackers);
}

#[tokio::test(start_paused = true)]
async fn of_two_connections_the_one_that_has_been_refused_less_comes_first() {
    let admission = Admission::new(Limits { total: 1, per_peer: 1, ..LIMITS });
    let (_, permit) = occupy(&admission, client(1, 0), None).await;
    let refused = admission.request(Client { refusals: 1, ..client(1, 1) }, fake(None));
    let other = admission.request(client(1, 2), fake(None));
    drop(permit);
    let before = Instant::now();
    assert!(other.admitted().await.is_some());
    assert_eq!(before.elapsed(), Duration::ZERO);
    drop(refused);
}
