//! Limits how many places clients occupy (a place is an open connection or a response in
//! progress), and shares the places fairly between clients.
//!
//! A peer can be one client or, behind a NAT gateway or a reverse proxy, many. A peer may
//! therefore have most of the places (not all, so that others find some free), and each of its
//! connections some of them. When there is no place for a client, an occupant that makes no use
//! of its place is evicted. The peer with the most places loses one first, and a peer never loses
//! one to a peer that has as many. If no occupant can be evicted, the client waits for a short
//! time. The waiting client whose peer has the fewest places is admitted first. Of the clients of
//! one peer, that is the one whose connection has the fewest places and waiting requests, then the
//! fewest refusals. If too many wait, the client that would be admitted last is refused.
//!
//! [`FairGate`](crate::gate::FairGate) solves a different problem: its work is short and cannot
//! be evicted, so only the order of the queue decides.

mod entries;

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::web::peer::Peer;
use entries::Entries;

/// How often the waiting clients check whether an occupant can be evicted by now.
const RETRY_EVICTION: Duration = Duration::from_millis(100);

/// How many places there are, and how clients may wait for them.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Limits {
    pub(in crate::web) total: usize,
    pub(in crate::web) per_peer: usize,
    pub(in crate::web) per_connection: usize,
    /// How many clients may wait for a place.
    pub(in crate::web) waiting: usize,
    /// How long a client may wait.
    pub(in crate::web) max_wait: Duration,
}

/// The client that occupies or requests a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) struct Client {
    pub(in crate::web) peer: Peer,
    /// The number of the connection.
    pub(in crate::web) connection: u64,
    /// How many requests of the connection have been refused or cancelled for another.
    pub(in crate::web) refusals: u32,
}

/// A connection or response that occupies a place.
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
    /// An idle connection, or a response that its client does not read.
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
    occupied: Entries<Place<O>>,
    /// In the order of arrival.
    waiting: Entries<Waiter<O>>,
    /// When the waiting clients last checked whether an occupant can be evicted.
    last_retry: Instant,
}

#[derive(Debug)]
struct Place<O> {
    occupant: Arc<O>,
    admitted: Instant,
}

#[derive(Debug)]
struct Waiter<O> {
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
        let (occupied, waiting) = (Entries::new(), Entries::new());
        let state = State { next_id: 0, occupied, waiting, last_retry: Instant::now() };
        Arc::new(Self { limits, state: Mutex::new(state) })
    }

    /// Requests a place for `occupant`. If too many clients wait for places, one of them is
    /// refused.
    pub(in crate::web) fn request(self: &Arc<Self>, client: Client, occupant: Arc<O>) -> Ticket<O> {
        let (admit, admitted) = oneshot::channel();
        let mut state = self.state.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.waiting.insert(id, client, Waiter { occupant, admit });
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
    /// Admits as many waiting clients as possible.
    fn admit_waiting(&mut self, limits: &Limits) {
        while let Some(id) = self.next_to_admit(limits) {
            let Some((client, Waiter { occupant, admit })) = self.waiting.remove(id) else { return };
            self.occupied.insert(id, client, Place { occupant, admitted: Instant::now() });
            // Fails if the client has just given up. Its `Entry` then frees the place.
            let _admitted = admit.send(());
        }
    }

    /// The first of the waiting clients for which there is a place now.
    fn next_to_admit(&mut self, limits: &Limits) -> Option<u64> {
        let mut order: Vec<_> = self.waiting.iter().map(|(id, client, _)| (id, client)).collect();
        order.sort_by_cached_key(|(id, client)| {
            (self.occupied.of_peer(client.peer), self.demand_of_connection(*client), *id)
        });
        // There is a place for either all or none of the clients of a peer, except for those whose
        // connection has its share.
        let mut without_place = HashSet::new();
        let has_room = |(_, client): &(u64, Client)| {
            let has_share = self.occupied.of_connection(client.connection) >= limits.per_connection;
            let kind = (client.peer, has_share.then_some(client.connection));
            if without_place.contains(&kind) {
                return false;
            }
            let has_room = self.make_room(*client, limits);
            if !has_room {
                without_place.insert(kind);
            }
            has_room
        };
        order.into_iter().find(has_room).map(|(id, _)| id)
    }

    /// The places and waiting requests of a connection, then its refusals.
    fn demand_of_connection(&self, Client { connection, refusals, .. }: Client) -> (usize, u32) {
        (self.occupied.of_connection(connection) + self.waiting.of_connection(connection), refusals)
    }

    /// Ensures that there is a place for a client, by an eviction if need be.
    fn make_room(&mut self, client: Client, limits: &Limits) -> bool {
        let held = self.occupied.of_peer(client.peer);
        if self.occupied.of_connection(client.connection) >= limits.per_connection {
            return self.evict(|other, _, class| {
                other.connection == client.connection && class < EvictionClass::Active
            });
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
        let now = Instant::now();
        loop {
            let candidates = self.occupied.iter().filter_map(|(id, client, place)| {
                let rank = place.occupant.eviction_rank(place.admitted, now)?;
                let held_by_peer = self.occupied.of_peer(client.peer);
                may_evict(client, held_by_peer, rank.class).then(|| {
                    let held_by_connection = self.occupied.of_connection(client.connection);
                    let held = (Reverse(held_by_peer), Reverse(held_by_connection));
                    ((rank.class, held, rank.since), id, rank, place)
                })
            });
            let Some((_, id, rank, place)) = candidates.min_by_key(|(order, ..)| *order) else {
                return false;
            };
            // If the eviction fails, the occupant has become active in between, and the next one is
            // tried.
            if place.occupant.evict(place.admitted, now, rank) {
                self.occupied.remove(id);
                return true;
            }
        }
    }

    /// Refuses the last waiter of the most demanding connection of the peer that has the most
    /// places and waiters. A client with many requests therefore does not use up the queue.
    fn refuse_one(&mut self) {
        let demand = |id, client: Client| {
            let of_peer = self.occupied.of_peer(client.peer) + self.waiting.of_peer(client.peer);
            (of_peer, self.demand_of_connection(client), id)
        };
        let last = self.waiting.iter().map(|(id, client, _)| demand(id, client)).max();
        if let Some((.., id)) = last {
            self.waiting.remove(id);
        }
    }

    /// Admits clients that had to wait until an occupant could be evicted. Every waiting client
    /// calls this, but once in a while is enough for all of them.
    fn retry(&mut self, limits: &Limits) {
        if self.last_retry.elapsed() >= RETRY_EVICTION {
            self.last_retry = Instant::now();
            self.admit_waiting(limits);
        }
    }
}

impl<O: Occupant> Ticket<O> {
    /// Waits for a place. `None` if the client is refused or has waited for too long.
    pub(in crate::web) async fn admitted(mut self) -> Option<AdmissionPermit<O>> {
        let admission = Arc::clone(&self.entry.admission);
        let deadline = Instant::now() + admission.limits.max_wait;
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
            admission.state.lock().retry(&admission.limits);
        }
    }
}

impl<O: Occupant> Drop for Entry<O> {
    fn drop(&mut self) {
        let mut state = self.admission.state.lock();
        state.waiting.remove(self.id);
        if state.occupied.remove(self.id).is_some() {
            state.admit_waiting(&self.admission.limits);
        }
    }
}

#[cfg(test)]
mod tests;
