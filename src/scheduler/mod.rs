//! When each target is collected, and how many at once.
//!
//! Every target is in exactly one of three places: waiting for its next turn,
//! due but held back by the limits on collections under way, or being
//! collected. (One that is gone is dropped when its turn comes.) What a
//! collection brings is of no concern to any other target.
//!
//! At the start all targets are collected as fast as the limit allows, because
//! nothing is known yet. From then on each has its own place in the interval,
//! so that AWS sees a trickle and not a wave.

mod due;
mod refused;
mod timing;

use std::collections::HashMap;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;
use tracing::{debug, error, info, warn};

use crate::clock::Clock;
use crate::collector::Collect;
use crate::model::{Failure, Reason, Report};
use crate::snapshot::{Change, Slot, Store};
use crate::target::Plan;
use due::Due;
use refused::{Refused, is_for_good};
use timing::{Failing, Timing};

/// How often, and how many at once.
#[derive(Clone, Debug)]
pub struct Rhythm {
    /// From one collection of a target to its next.
    pub interval: Duration,
    /// How many collections may be under way.
    pub concurrency: NonZeroUsize,
    /// What this exporter is called among those that poll the same targets.
    pub replica: String,
}

/// Drives the collections of all targets of a plan.
#[derive(Debug)]
pub struct Scheduler<C> {
    collector: Arc<C>,
    store: Arc<Store>,
    plans: watch::Receiver<Arc<Plan>>,
    rhythm: Rhythm,
    clock: Clock,
    first: Vec<Arc<Slot>>,
    refused: Refused,
}

/// A target's turn.
#[derive(Clone, Debug)]
struct Turn {
    /// Whose.
    slot: Arc<Slot>,
    /// When the target is, or was, to be collected.
    due: Instant,
    /// Whether that is at the target's place in the interval. It is not at the
    /// first time, nor after a pause.
    at_its_place: bool,
    /// Whether it hung when it was last collected.
    suspect: bool,
}

impl<C: Collect> Scheduler<C> {
    /// A scheduler that has `collector` collect every target of the latest of
    /// `plans`, and keeps the reports in `store`. The first plan is taken in at
    /// once, so that its targets show.
    pub fn new(
        collector: C,
        store: Arc<Store>,
        mut plans: watch::Receiver<Arc<Plan>>,
        rhythm: Rhythm,
        clock: Clock,
    ) -> Self {
        let first = store.adopt(&plans.borrow_and_update());
        Self {
            collector: Arc::new(collector),
            store,
            plans,
            rhythm,
            clock,
            first,
            refused: Refused::default(),
        }
    }

    /// Collects until `shutdown`. Collections that are then under way are
    /// dropped: nobody would see what they bring.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let timing = Timing::new(self.rhythm.interval, self.rhythm.replica.clone(), self.clock.now());
        let mut due = Due::new(self.rhythm.concurrency.get());
        due.share_out(&self.plans.borrow());
        let mut waiting: DelayQueue<Turn> = DelayQueue::new();
        let mut running: JoinSet<Report> = JoinSet::new();
        let mut turns: HashMap<Id, (Turn, Instant)> = HashMap::new();
        enlist(&mut due, std::mem::take(&mut self.first), &timing);

        loop {
            while running.len() < self.rhythm.concurrency.get() {
                let Some(turn) = due.pop() else { break };
                if turn.slot.is_gone() {
                    due.ended(&turn);
                    continue;
                }
                let (collector, slot) = (Arc::clone(&self.collector), Arc::clone(&turn.slot));
                // Boxed, because the runtime moves a task about several times, and
                // this one is large.
                let task = running.spawn(Box::pin(async move { collector.collect(&slot.target()).await }));
                turns.insert(task.id(), (turn, Instant::now()));
            }
            self.store.activity.set_in_flight(running.len());

            tokio::select! {
                () = shutdown.cancelled() => break,
                Ok(()) = self.plans.changed() => {
                    let plan = Arc::clone(&self.plans.borrow_and_update());
                    due.share_out(&plan);
                    enlist(&mut due, self.store.adopt(&plan), &timing);
                }
                Some(ended) = running.join_next_with_id(), if !running.is_empty() => {
                    let (id, report) = match ended {
                        Ok((id, report)) => (id, report),
                        Err(error) => (error.id(), self.panicked(&error)),
                    };
                    let Some((turn, begun)) = turns.remove(&id) else { continue };
                    due.ended(&turn);
                    let Turn { slot, due: was_due, at_its_place, .. } = turn;
                    if slot.is_gone() {
                        continue;
                    }
                    let failing = self.take_in(&slot, report);
                    let regular = timing.regular(&slot.target(), begun);
                    let counts_from = if at_its_place { was_due } else { begun };
                    let missed = timing.missed(&slot.target(), counts_from, regular);
                    self.store.activity.add_overruns(missed);
                    let next = timing.next(&slot.target(), regular, failing);
                    let hung = |failing: Failing| matches!(failing.reason, Reason::Timeout | Reason::Connection);
                    let (at_its_place, suspect) = (next == regular, failing.is_some_and(hung));
                    waiting.insert_at(Turn { slot, due: next, at_its_place, suspect }, next);
                }
                Some(expired) = poll_fn(|context| waiting.poll_expired(context)), if !waiting.is_empty() => {
                    due.push(expired.into_inner());
                }
            }
        }
        self.store.activity.set_in_flight(0);
    }

    /// Keeps the report, and says whether the target fails.
    fn take_in(&mut self, slot: &Slot, report: Report) -> Option<Failing> {
        let took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX);
        let good = report.outcome.is_ok();
        let target = slot.target();
        let (account, region) = (target.account.shown(report.account.as_ref()), target.region.as_str());
        debug!(account, region, good, took_ms, "collection ended");
        match self.store.record(slot, report) {
            // It is that of many targets, and one line is enough for them all.
            Change::None
            | Change::Failing(Failure { logged: true, .. })
            | Change::FailingOtherwise(Failure { logged: true, .. })
            | Change::Recovered { last: Failure { logged: true, .. }, .. } => {}
            Change::Failing(Failure { reason, message, .. })
            | Change::FailingOtherwise(Failure { reason, message, .. })
                if is_for_good(reason) =>
            {
                if let Some(accounts) = self.refused.one_more(&target.region, reason) {
                    warn!(
                        region, %reason, accounts, example = account, error = message,
                        "a region is refused, and polled rarely from now on"
                    );
                }
            }
            Change::Failing(Failure { reason, message, .. }) => {
                warn!(account, region, %reason, error = message, "collections of a target have begun to fail");
            }
            Change::FailingOtherwise(Failure { reason, message, .. }) => {
                warn!(account, region, %reason, error = message, "collections of a target fail for another reason now");
            }
            Change::Recovered { failures, last } if is_for_good(last.reason) => {
                debug!(account, region, failures, "a region is not refused any longer");
            }
            Change::Recovered { failures, .. } => {
                info!(account, region, failures, "collections of a target succeed again");
            }
        }
        let state = slot.state();
        let failure = state.last.as_ref()?.failure.as_ref()?;
        Some(Failing {
            reason: failure.reason,
            times: state.consecutive_failures,
            // A role that was throttled says nothing of the calls to come.
            asked_for_fewer: failure.reason == Reason::Throttled && !failure.logged,
        })
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

/// The first turn of a target is at once.
fn enlist(due: &mut Due, mut slots: Vec<Arc<Slot>>, timing: &Timing) {
    slots.sort_by_cached_key(|slot| timing.place(&slot.target()));
    let now = Instant::now();
    for slot in slots {
        due.push(Turn { slot, due: now, at_its_place: false, suspect: false });
    }
}

#[cfg(test)]
mod tests;
