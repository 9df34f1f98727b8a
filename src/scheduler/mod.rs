//! When each target is collected, and how many at once.
//!
//! Every target is in exactly one of three places: waiting for its next turn,
//! due but held back by the limit on collections under way, or being
//! collected. So nothing here can grow without bound, and no target ever waits
//! for the outcome of another.
//!
//! At the start all targets are collected as fast as the limit allows, because
//! nothing is known yet. From then on each has its own place in the interval,
//! so that AWS sees a trickle and not a wave.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;
use tracing::{debug, error, info, warn};

use crate::clock::Clock;
use crate::collector::Collect;
use crate::model::{Failure, Reason, Report};
use crate::snapshot::{Change, Store};
use crate::target::Target;

/// Drives the collections of all targets of a [`Store`].
#[derive(Debug)]
pub struct Scheduler<C> {
    collector: Arc<C>,
    store: Arc<Store>,
    interval: Duration,
    concurrency: NonZeroUsize,
    clock: Clock,
}

/// A target's turn.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// Which target.
    index: usize,
    /// When it is, or was, to be collected.
    due: Instant,
}

impl<C: Collect> Scheduler<C> {
    /// A scheduler that has `collector` collect every target of `store` once
    /// in `interval`, up to `concurrency` of them at a time.
    pub fn new(
        collector: C,
        store: Arc<Store>,
        interval: Duration,
        concurrency: NonZeroUsize,
        clock: Clock,
    ) -> Self {
        Self { collector: Arc::new(collector), store, interval, concurrency, clock }
    }

    /// Collects until `shutdown`. Collections that are then under way are
    /// dropped: nobody would see what they bring.
    pub async fn run(self, shutdown: CancellationToken) {
        let started = Instant::now();
        let places = self.places();
        let mut due = first_turns(&places, started);
        let mut waiting: DelayQueue<Turn> = DelayQueue::with_capacity(places.len());
        let mut running: JoinSet<Report> = JoinSet::new();
        let mut turns: HashMap<Id, (Turn, Instant)> = HashMap::new();

        loop {
            while running.len() < self.concurrency.get() {
                let Some(turn) = due.pop_front() else { break };
                if let Some(target) = self.store.target(turn.index) {
                    let (collector, target) = (Arc::clone(&self.collector), target.clone());
                    let task = running.spawn(async move { collector.collect(&target).await });
                    turns.insert(task.id(), (turn, Instant::now()));
                }
            }
            self.store.activity.set_in_flight(running.len());

            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(ended) = running.join_next_with_id(), if !running.is_empty() => {
                    let (id, report) = match ended {
                        Ok((id, report)) => (id, report),
                        Err(error) => (error.id(), self.panicked(&error)),
                    };
                    if let Some((turn, begun)) = turns.remove(&id) {
                        self.take_in(turn.index, report);
                        let next = self.next_turn(started + places[turn.index], begun);
                        self.store.activity.add_overruns(missed(turn.due, next, self.interval));
                        waiting.insert_at(Turn { index: turn.index, due: next }, next);
                    }
                }
                Some(expired) = poll_fn(|context| waiting.poll_expired(context)), if !waiting.is_empty() => {
                    due.push_back(expired.into_inner());
                }
            }
        }
        self.store.activity.set_in_flight(0);
    }

    /// Where in the interval each target has its place.
    fn places(&self) -> Vec<Duration> {
        (0..self.store.len())
            .filter_map(|index| self.store.target(index))
            .map(|target| place(target, self.interval))
            .collect()
    }

    /// The next of the turns `first`, `first + interval`, ... of a target whose
    /// last collection began at `begun` and has ended now. It is never sooner
    /// than half an interval after the beginning: a target that was late, or
    /// has just started, is not asked twice in a row.
    fn next_turn(&self, first: Instant, begun: Instant) -> Instant {
        let earliest = Instant::now().max(begun + self.interval / 2);
        let since = earliest.saturating_duration_since(first).as_nanos();
        let turns = since.div_ceil(self.interval.as_nanos().max(1));
        first + self.interval * u32::try_from(turns).unwrap_or(u32::MAX)
    }

    fn take_in(&self, index: usize, report: Report) {
        let Some(target) = self.store.target(index) else { return };
        let took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX);
        let good = report.outcome.is_ok();
        let account = target.account.shown(report.account.as_ref());
        let region = target.region.as_str();
        debug!(account, region, good, took_ms, "collection ended");
        match self.store.record(index, report) {
            Change::None => {}
            Change::Failing(Failure { reason, message, .. }) => {
                warn!(account, region, %reason, error = message, "collections of a target have begun to fail");
            }
            Change::FailingOtherwise(Failure { reason, message, .. }) => {
                warn!(account, region, %reason, error = message, "collections of a target fail for another reason now");
            }
            Change::Recovered { failures } => {
                info!(account, region, failures, "collections of a target succeed again");
            }
        }
    }

    /// A panic in one collection is that target's failure and nobody else's.
    fn panicked(&self, error: &tokio::task::JoinError) -> Report {
        error!(%error, "a collection has panicked, which is a bug");
        Report {
            account: None,
            ended: self.clock.now(),
            took: Duration::ZERO,
            outcome: Err(Failure::new(Reason::Other, "the collection panicked, which is a bug")),
        }
    }
}

/// The first turn of every target is at once. They go in the order of their
/// places, which mixes the accounts: those that hang do not come all together.
fn first_turns(places: &[Duration], started: Instant) -> VecDeque<Turn> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|index| places[*index]);
    order.into_iter().map(|index| Turn { index, due: started }).collect()
}

/// A target's place in the interval. It depends on nothing but the target, so
/// that what else is configured does not move it.
fn place(target: &Target, interval: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    target.to_string().hash(&mut hasher);
    let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
    Duration::from_nanos(hasher.finish() % nanos)
}

/// How many turns lie between the one that has just been served and the next.
fn missed(due: Instant, next: Instant, interval: Duration) -> u64 {
    let intervals = next.duration_since(due).as_nanos() / interval.as_nanos().max(1);
    u64::try_from(intervals.saturating_sub(1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
