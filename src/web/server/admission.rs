//! Limits on what clients occupy, and how the places are shared between the clients.
//!
//! A peer can be one client or, behind a NAT gateway or a reverse proxy, many. A peer may
//! therefore have most of the places (not all, so that others find some free), and within a
//! peer, a connection may have some of them. When there is no place for a client, an occupant
//! that makes no use of its place is evicted: first those of the peer with the most places,
//! and never one of a peer that has no more places than the client's own. If there is
//! none, the client waits for a short time. The client whose peer has the fewest places is
//! admitted first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::web::peer::Peer;

/// How often a waiting client checks whether an occupant can be evicted by now.
const RETRY_EVICTION: Duration = Duration::from_millis(200);

/// How many places there are.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Limits {
    pub(in crate::web) total: usize,
    pub(in crate::web) per_peer: usize,
    pub(in crate::web) per_connection: usize,
    /// How many clients may wait for a place.
    pub(in crate::web) waiting: usize,
    /// How long a client may wait.
    pub(in crate::web) patience: Duration,
}

/// Who occupies a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) struct Client {
    pub(in crate::web) peer: Peer,
    /// The number of the connection.
    pub(in crate::web) connection: u64,
}

/// What occupies a place.
pub(in crate::web) trait Occupant {
    /// How readily the occupant is evicted; `None` if it must stay. `admitted` is when it got
    /// its place.
    fn eviction_rank(&self, admitted: Instant, now: Instant) -> Option<EvictionRank>;

    /// Ends the occupant. Returns `false` if its rank is no longer `rank`.
    fn evict(&self, admitted: Instant, now: Instant, rank: EvictionRank) -> bool;
}

/// An occupant of a lower class is evicted first, and within a class of the same peer and
/// connection the one with the earlier time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::web) struct EvictionRank {
    pub(in crate::web) class: EvictionClass,
    pub(in crate::web) since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::web) enum EvictionClass {
    /// Nothing happens: an idle connection, or a response that its client does not read.
    Inactive,
    /// Active, but for longer than an honest client would be.
    Slow,
    /// Active until a moment ago.
    JustInactive,
    /// Active. Evicted only for a client whose peer would still have at most half as many
    /// places.
    Active,
}

/// Admits clients up to [`Limits`].
#[derive(Debug)]
pub(in crate::web) struct Admission<O> {
    limits: Limits,
    state: Mutex<State<O>>,
}

#[derive(Debug)]
struct State<O> {
    next_id: u64,
    occupied: BTreeMap<u64, Place<O>>,
    /// In the order of arrival.
    waiting: Vec<Waiter<O>>,
}

#[derive(Debug)]
struct Place<O> {
    client: Client,
    occupant: Arc<O>,
    admitted: Instant,
}

#[derive(Debug)]
struct Waiter<O> {
    id: u64,
    client: Client,
    occupant: Arc<O>,
    admit: oneshot::Sender<()>,
}

/// A request for a place. Dropping it withdraws the request.
#[derive(Debug)]
pub(in crate::web) struct Ticket<O: Occupant> {
    entry: Entry<O>,
    admitted: oneshot::Receiver<()>,
}

/// A place, which is free again when this is dropped.
#[derive(Debug)]
pub(in crate::web) struct AdmissionPermit<O: Occupant>(
    #[expect(dead_code, reason = "held until dropped")] Entry<O>,
);

/// Removes a waiter or a place when it is dropped.
#[derive(Debug)]
struct Entry<O: Occupant> {
    admission: Arc<Admission<O>>,
    id: u64,
}

impl<O: Occupant> Admission<O> {
    pub(in crate::web) fn new(limits: Limits) -> Arc<Self> {
        let state = State { next_id: 0, occupied: BTreeMap::new(), waiting: Vec::new() };
        Arc::new(Self { limits, state: Mutex::new(state) })
    }

    /// Requests a place for `occupant`. If too many clients wait for places, the last one of
    /// the peer that has the most of them is refused.
    pub(in crate::web) fn request(self: &Arc<Self>, client: Client, occupant: Arc<O>) -> Ticket<O> {
        let (admit, admitted) = oneshot::channel();
        let mut state = self.state.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.waiting.push(Waiter { id, client, occupant, admit });
        state.admit_waiting(&self.limits);
        if state.waiting.len() > self.limits.waiting {
            state.refuse_one();
        }
        Ticket { entry: Entry { admission: Arc::clone(self), id }, admitted }
    }

    /// Evicts an occupant as if for a client without any. Returns `false` if all must stay.
    pub(in crate::web) fn evict_one(&self) -> bool {
        self.state.lock().evict(|_, _, class| class < EvictionClass::Active)
    }
}

impl<O: Occupant> State<O> {
    fn held_by_peer(&self, peer: Peer) -> usize {
        self.occupied.values().filter(|place| place.client.peer == peer).count()
    }

    fn held_by_connection(&self, connection: u64) -> usize {
        self.occupied.values().filter(|place| place.client.connection == connection).count()
    }

    /// Admits as many waiting clients as possible.
    fn admit_waiting(&mut self, limits: &Limits) {
        loop {
            let mut order: Vec<usize> = (0..self.waiting.len()).collect();
            order.sort_by_cached_key(|index| {
                let Client { peer, connection } = self.waiting[*index].client;
                (self.held_by_peer(peer), self.held_by_connection(connection), *index)
            });
            let has_room = |index: &usize| self.make_room(self.waiting[*index].client, limits);
            let Some(index) = order.into_iter().find(has_room) else { return };
            let Waiter { id, client, occupant, admit } = self.waiting.remove(index);
            self.occupied.insert(id, Place { client, occupant, admitted: Instant::now() });
            // Fails if the client has just given up. Its `Entry` then frees the place.
            let _admitted = admit.send(());
        }
    }

    /// Ensures that there is a place for a client, by an eviction if need be.
    fn make_room(&mut self, client: Client, limits: &Limits) -> bool {
        let held = self.held_by_peer(client.peer);
        if self.held_by_connection(client.connection) >= limits.per_connection {
            return self.evict(|other, _, class| other == client && class < EvictionClass::Active);
        }
        if held >= limits.per_peer {
            return self.evict(|other, _, class| other.peer == client.peer && class < EvictionClass::Active);
        }
        if self.occupied.len() < limits.total {
            return true;
        }
        self.evict(|other, held_by_other, class| match class {
            EvictionClass::Active => held_by_other >= 2 * (held + 1),
            _ => other.peer == client.peer || held_by_other > held,
        })
    }

    /// Evicts the first of the occupants that may be evicted. `may_evict` gets the client of an
    /// occupant, how many places its peer has, and the occupant's class.
    fn evict(&mut self, may_evict: impl Fn(Client, usize, EvictionClass) -> bool) -> bool {
        let (mut by_peer, mut by_connection) = (HashMap::new(), HashMap::new());
        for Place { client, .. } in self.occupied.values() {
            *by_peer.entry(client.peer).or_insert(0) += 1;
            *by_connection.entry(client.connection).or_insert(0) += 1;
        }
        let now = Instant::now();
        loop {
            let candidates = self.occupied.iter().filter_map(|(id, place)| {
                let (client, rank) = (place.client, place.occupant.eviction_rank(place.admitted, now)?);
                let held_by_peer = by_peer[&client.peer];
                may_evict(client, held_by_peer, rank.class).then(|| {
                    let held = (Reverse(held_by_peer), Reverse(by_connection[&client.connection]));
                    ((rank.class, held, rank.since), *id, rank)
                })
            });
            let Some((_, id, rank)) = candidates.min_by_key(|(order, ..)| *order) else { return false };
            // Otherwise the occupant has become active in between.
            if self.occupied[&id].evict(now, rank) {
                self.occupied.remove(&id);
                return true;
            }
        }
    }

    /// Refuses the last waiter of the peer with the most waiters.
    fn refuse_one(&mut self) {
        let waiting = |peer| self.waiting.iter().filter(|waiter| waiter.client.peer == peer).count();
        let last = (0..self.waiting.len()).max_by_key(|index| waiting(self.waiting[*index].client.peer));
        if let Some(index) = last {
            self.waiting.remove(index);
        }
    }
}

impl<O: Occupant> Place<O> {
    fn evict(&self, now: Instant, rank: EvictionRank) -> bool {
        self.occupant.evict(self.admitted, now, rank)
    }
}

impl<O: Occupant> Ticket<O> {
    /// Waits for a place. `None` if the client is refused or has waited for too long.
    pub(in crate::web) async fn admitted(mut self) -> Option<AdmissionPermit<O>> {
        let admission = Arc::clone(&self.entry.admission);
        let deadline = Instant::now() + admission.limits.patience;
        loop {
            let retry = deadline.min(Instant::now() + RETRY_EVICTION);
            tokio::select! {
                biased;
                admitted = &mut self.admitted => return admitted.ok().map(|()| AdmissionPermit(self.entry)),
                () = sleep_until(retry) => {}
            }
            if Instant::now() >= deadline {
                return None;
            }
            admission.state.lock().admit_waiting(&admission.limits);
        }
    }
}

impl<O: Occupant> Drop for Entry<O> {
    fn drop(&mut self) {
        let mut state = self.admission.state.lock();
        state.waiting.retain(|waiter| waiter.id != self.id);
        if state.occupied.remove(&self.id).is_some() {
            state.admit_waiting(&self.admission.limits);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::time::advance;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    const LIMITS: Limits =
        Limits { total: 8, per_peer: 6, per_connection: 2, waiting: 4, patience: PATIENCE };

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
        Client { peer, connection }
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
    async fn the_peer_with_the_most_places_loses_the_one_without_use_for_longest() {
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
    async fn a_peer_never_evicts_one_that_has_no_more_places() {
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
    async fn the_wait_has_an_end_and_leaves_nothing_behind() {
        let admission = Admission::new(Limits { total: 1, per_peer: 1, ..LIMITS });
        let (_, permit) = occupy(&admission, client(1, 0), None).await;
        let before = Instant::now();
        assert!(!is_admitted(&admission, client(1, 1)).await);
        assert_eq!(before.elapsed(), PATIENCE);
        drop(admission.request(client(1, 2), fake(None)));
        assert!(admission.state.lock().waiting.is_empty());
        drop(permit);
        assert!(admission.state.lock().occupied.is_empty());
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
        assert!(other.admitted().await.is_some());
    }
}
