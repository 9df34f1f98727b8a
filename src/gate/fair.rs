//! A limit on concurrent work, with a queue that clients share fairly.
//!
//! Some clients may try to keep others out of the queue. They can open many connections,
//! reconnect for each request, and send many concurrent requests on one connection. Behind a NAT
//! gateway or a reverse proxy, they share their address with honest clients. The queue therefore
//! combines two orders:
//!
//! - Two of three turns are round robin over the connections: the caller that has waited longest
//!   runs, and the other callers of its connection move to the back. A caller therefore waits for
//!   at most one and a half turns per connection in the queue, whatever the others do.
//! - Every third turn is for the least demanding caller. Callers are compared by the number of
//!   callers of their peer in the queue, then of their connection, then by the refusals of their
//!   connection. The newest of equally demanding callers comes first. A client that neither floods
//!   the queue nor shares its address with one that does therefore waits for a few turns only,
//!   however long the queue is.
//!
//! If the queue is full, the most demanding caller is refused, so a caller is refused only if its
//! own peer fills the queue. Of equally demanding callers, the one that has waited longest is
//! refused. If it tries again immediately on the same connection, it is more demanding than
//! before, and does not keep a new client out.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The client on whose behalf work waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The address of the client, or its network.
    pub(crate) peer: IpAddr,
    /// The number of the connection. No two connections have the same.
    pub(crate) connection: u64,
    /// How many requests on this connection have been refused.
    pub(crate) refusals: u32,
}

/// The queue was full, and this caller was the most demanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Limits how many callers run concurrently and how many wait.
#[derive(Clone, Debug)]
pub(crate) struct FairGate(Arc<Mutex<Queue>>);

/// Permission to run. The next caller has its turn when this is dropped. It can be moved to
/// a task that outlives the caller.
#[derive(Debug)]
pub(crate) struct Turn(FairGate);

#[derive(Debug)]
struct Queue {
    /// How many further callers could run. Not 0 only if no caller waits.
    free: usize,
    capacity: usize,
    waiting: Vec<Waiting>,
    next_number: u64,
    turns: u64,
}

#[derive(Debug)]
struct Waiting {
    /// In order of arrival.
    number: u64,
    /// In the order in which connections take turns.
    position: u64,
    caller: Caller,
    turn: oneshot::Sender<Turn>,
}

/// Removes a caller from the queue when it stops waiting.
struct Place {
    gate: FairGate,
    number: u64,
}

impl FairGate {
    /// Lets `concurrency` callers run, and up to `capacity` wait.
    pub(crate) fn new(concurrency: usize, capacity: usize) -> Self {
        let waiting = Vec::new();
        Self(Arc::new(Mutex::new(Queue { free: concurrency, capacity, waiting, next_number: 0, turns: 0 })))
    }

    /// Waits for a turn. Dropping the future removes the caller from the queue.
    ///
    /// # Errors
    /// The queue is full, now or later while the caller waits.
    pub(crate) async fn enter(&self, caller: Caller) -> Result<Turn, Full> {
        let (sender, turn) = oneshot::channel();
        let (number, displaced) = {
            let mut queue = self.0.lock();
            if queue.free > 0 {
                queue.free -= 1;
                return Ok(Turn(self.clone()));
            }
            queue.push(caller, sender)
        };
        let _place = Place { gate: self.clone(), number };
        // Dropping its sender refuses the displaced caller, which may be this one.
        drop(displaced);
        turn.await.map_err(|_displaced| Full)
    }

    /// How many callers wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.0.lock().waiting.len()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut queue = self.0.0.lock();
            let next = queue.pop();
            if next.is_none() {
                queue.free += 1;
            }
            next
        };
        if let Some(next) = next {
            // If the caller has just left, the turn comes back, and dropping it passes it on.
            drop(next.turn.send(Turn(self.0.clone())));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.0.lock().waiting.retain(|waiting| waiting.number != self.number);
    }
}

impl Queue {
    /// Adds a caller. Returns its number, and the caller that has to leave if the queue is
    /// full.
    fn push(&mut self, caller: Caller, turn: oneshot::Sender<Turn>) -> (u64, Option<Waiting>) {
        let number = self.take_number();
        self.waiting.push(Waiting { number, position: number, caller, turn });
        let displaced = if self.waiting.len() > self.capacity {
            let demand = self.demand();
            (0..self.waiting.len()).max_by_key(|index| {
                let waiting = &self.waiting[*index];
                (demand(waiting), Reverse(waiting.number))
            })
        } else {
            None
        };
        (number, displaced.map(|index| self.waiting.swap_remove(index)))
    }

    /// Removes the caller whose turn is next.
    fn pop(&mut self) -> Option<Waiting> {
        self.turns = self.turns.wrapping_add(1);
        let indices = 0..self.waiting.len();
        let next = if self.turns.is_multiple_of(3) {
            let demand = self.demand();
            indices.min_by_key(|index| (demand(&self.waiting[*index]), Reverse(self.waiting[*index].number)))
        } else {
            indices.min_by_key(|index| (self.waiting[*index].position, self.waiting[*index].number))
        };
        let next = self.waiting.swap_remove(next?);
        let back = self.take_number();
        for other in &mut self.waiting {
            if other.caller.connection == next.caller.connection {
                other.position = back;
            }
        }
        Some(next)
    }

    /// Measures how demanding a caller is.
    fn demand(&self) -> impl Fn(&Waiting) -> (usize, usize, u32) + use<> {
        let (mut by_peer, mut by_connection) = (HashMap::new(), HashMap::new());
        for Waiting { caller, .. } in &self.waiting {
            *by_peer.entry(caller.peer).or_default() += 1;
            *by_connection.entry(caller.connection).or_default() += 1;
        }
        move |Waiting { caller: Caller { peer, connection, refusals }, .. }| {
            let count = |count: Option<&usize>| count.copied().unwrap_or_default();
            (count(by_peer.get(peer)), count(by_connection.get(connection)), *refusals)
        }
    }

    fn take_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Entering<'a> = Pin<Box<dyn Future<Output = Result<Turn, Full>> + 'a>>;

    fn caller(peer: u8, connection: u64, refusals: u32) -> Caller {
        Caller { peer: IpAddr::from([192, 0, 2, peer]), connection, refusals }
    }

    fn poll(entering: &mut Entering<'_>) -> Poll<Result<Turn, Full>> {
        entering.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Puts callers in the queue, in this order.
    fn queue(gate: &FairGate, callers: impl IntoIterator<Item = Caller>) -> Vec<Entering<'_>> {
        let enter = |caller| {
            let mut entering: Entering<'_> = Box::pin(gate.enter(caller));
            assert!(!matches!(poll(&mut entering), Poll::Ready(Ok(_))), "all turns are taken");
            entering
        };
        callers.into_iter().map(enter).collect()
    }

    /// How many turns a caller waits, the running one included, while each of `others` that
    /// has its turn is replaced by the next of `replacements`.
    fn turns_until(
        login: Caller,
        others: &[Caller],
        mut replacements: impl FnMut(Caller) -> Option<Caller>,
    ) -> usize {
        let gate = FairGate::new(1, 256);
        let mut first: Entering<'_> = Box::pin(gate.enter(caller(99, 0, 0)));
        let Poll::Ready(Ok(turn)) = poll(&mut first) else { panic!("the gate is free") };
        let mut running = Some(turn);
        let mut entering: Vec<_> = others.iter().copied().zip(queue(&gate, others.iter().copied())).collect();
        let mut login = queue(&gate, [login]).pop().unwrap();
        for turns in 1..1000 {
            drop(running.take());
            if let Poll::Ready(turn) = poll(&mut login) {
                drop(turn.unwrap());
                return turns;
            }
            let mut again = Vec::new();
            entering.retain_mut(|(other, entering)| match poll(entering) {
                Poll::Pending => true,
                Poll::Ready(turn) => {
                    if let Ok(turn) = turn {
                        running = Some(turn);
                        again.extend(replacements(*other));
                    }
                    false
                }
            });
            assert!(running.is_some(), "every turn is passed on");
            for other in again {
                entering.push((other, queue(&gate, [other]).pop().unwrap()));
            }
        }
        panic!("never")
    }

    #[tokio::test]
    async fn callers_beyond_the_limit_wait_and_a_dropped_turn_is_passed_on() {
        let gate = FairGate::new(2, 2);
        let first = gate.enter(caller(1, 1, 0)).await.unwrap();
        let second = gate.enter(caller(1, 2, 0)).await.unwrap();
        let mut waiting = queue(&gate, [caller(1, 3, 0), caller(1, 4, 0)]);
        // A caller that leaves is skipped, even if it has been given its turn already.
        drop(first);
        drop(waiting.remove(0));
        let Poll::Ready(Ok(third)) = poll(&mut waiting[0]) else { panic!("still waiting") };
        assert_eq!(gate.waiting(), 0);
        drop((second, third));
        let _both = (gate.enter(caller(1, 5, 0)).await.unwrap(), gate.enter(caller(1, 6, 0)).await.unwrap());
        assert!(poll(&mut queue(&gate, [caller(1, 7, 0)])[0]).is_pending());
        assert_eq!(gate.waiting(), 0, "a dropped caller leaves the queue");
    }

    #[test]
    fn a_client_waits_a_few_turns_however_many_requests_another_has() {
        let flood: Vec<_> = (1..=250).map(|number| caller(1, number, 0)).collect();
        for replace in [|_| None, |other: Caller| Some(Caller { refusals: other.refusals + 1, ..other })] {
            assert!(turns_until(caller(2, 500, 0), &flood, replace) <= 3);
        }
    }

    #[test]
    fn a_client_with_the_address_of_a_flood_waits_a_round_of_its_connections() {
        let login = caller(1, 5000, 0);
        // 60 connections with a request each, which keep sending requests.
        let persistent: Vec<_> = (1..=60).map(|number| caller(1, number, 5)).collect();
        let again = |other: Caller| Some(Caller { refusals: other.refusals + 1, ..other });
        assert!(turns_until(login, &persistent, again) <= 3);
        // The same, when none has been refused before.
        let fresh: Vec<_> = (1..=60).map(|number| caller(1, number, 0)).collect();
        assert!(turns_until(login, &fresh, again) <= 3);
        assert!(turns_until(login, &fresh, |_| None) <= 3);
        // Each request on a connection of its own.
        let mut next = 100;
        let reconnect = |_| {
            next += 1;
            Some(caller(1, next, 0))
        };
        assert!(turns_until(login, &fresh, reconnect) <= 91);
        // Several requests at a time on each connection.
        let streams: Vec<_> = (0..240).map(|number| caller(1, 1 + number % 60, 0)).collect();
        assert!(turns_until(login, &streams, again) <= 91);
        // Each request from an address of its own.
        let mut next: u32 = 1000;
        let elsewhere = |_| {
            next += 1;
            Some(Caller { peer: Ipv4Addr::from_bits(next).into(), ..caller(1, next.into(), 0) })
        };
        let mut mixed: Vec<_> = (1..=59).map(|number| caller(2, number, 0)).collect();
        mixed.push(caller(1, 60, 9));
        assert!(turns_until(Caller { refusals: 1, ..login }, &mixed, elsewhere) <= 91);
    }

    #[test]
    fn a_full_queue_displaces_its_most_demanding_caller() {
        let gate = FairGate::new(0, 4);
        let refused = |waiting: &mut [Entering<'_>]| -> Vec<usize> {
            (0..waiting.len()).filter(|index| poll(&mut waiting[*index]).is_ready()).collect()
        };
        // The peer with the most callers, and of its connections the one with the most, which
        // loses its oldest.
        let mut waiting =
            queue(&gate, [(1, 1), (1, 2), (1, 2), (2, 3)].map(|(peer, id)| caller(peer, id, 0)));
        waiting.extend(queue(&gate, [caller(3, 4, 7)]));
        assert_eq!(refused(&mut waiting), [1]);
        drop(waiting);
        // Of connections with as many callers, the one that has been refused most. This may be
        // the new caller.
        let mut waiting =
            queue(&gate, [0, 2, 1, 0].map(|refusals| caller(1, 10 + u64::from(refusals), refusals)));
        drop(waiting.pop());
        waiting.extend(queue(&gate, [caller(1, 20, 0), caller(1, 21, 0)]));
        assert_eq!(refused(&mut waiting), [1]);
        let mut newest: Entering<'_> = Box::pin(gate.enter(caller(1, 22, 5)));
        assert!(matches!(poll(&mut newest), Poll::Ready(Err(Full))));
        assert_eq!(gate.waiting(), 4);
    }
}
