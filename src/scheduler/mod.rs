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

mod delayed;
mod permanent;
mod queue;
mod summary;
mod timing;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::clock::{Clock, millis};
use crate::collector::Collect;
use crate::fleet::TargetList;
use crate::model::{Failure, FailureScope, Reason};
use crate::snapshot::Report;
use crate::snapshot::{Change, Slot, Store};
use delayed::DelayedTurns;
use permanent::{PermanentFailures, is_permanent};
use queue::ReadyQueue;
use summary::Summary;
use timing::{Failing, Timing};

/// How often the store is shown that the scheduler lives.
const PULSE: Duration = Duration::from_millis(500);

/// Who collects, how often, and how much at once.
#[derive(Debug)]
pub struct Settings<C> {
    /// Who collects.
    pub collector: Arc<C>,
    /// From one collection of a target to its next.
    pub interval: Duration,
    /// How many collections may be under way.
    pub concurrency: NonZeroUsize,
}

/// Drives the collections of all targets of a plan.
#[derive(Debug)]
pub struct Scheduler<C> {
    settings: Arc<Settings<C>>,
    later_settings: watch::Receiver<Arc<Settings<C>>>,
    store: Arc<Store>,
    plans: watch::Receiver<Arc<TargetList>>,
    replica: String,
    clock: Clock,
    first: Vec<Arc<Slot>>,
    refused: PermanentFailures,
}

/// A target's turn.
#[derive(Clone, Debug)]
struct Turn {
    /// Whose.
    slot: Arc<Slot>,
    /// When the target is, or was, to be collected.
    due: Instant,
    /// When its last collection began; before the first, when it came.
    begun: Instant,
    /// From when on the turns of its place count as missed. Without it, from when it
    /// is collected: the first time, and after a pause.
    counts_from: Option<Instant>,
    /// Whether it hung when it was last collected.
    suspect: bool,
}

impl Turn {
    /// The next turn, and how many have been missed by now.
    fn next(self, timing: &Timing) -> (Self, u64) {
        let target = self.slot.target();
        let failing = Failing::of(&self.slot.state());
        let regular = timing.regular(&target, self.begun);
        let missed = timing.missed(&target, self.counts_from.unwrap_or(self.begun), regular);
        let due = timing.next(&target, regular, failing);
        let hung = |failing: Failing| matches!(failing.reason, Reason::Timeout | Reason::Connection);
        let counts_from = (due == regular).then_some(due);
        (Self { due, counts_from, suspect: failing.is_some_and(hung), ..self }, missed)
    }
}

impl<C: Collect> Scheduler<C> {
    /// A scheduler that collects every target of the latest of `plans` by the latest
    /// of `settings`, and keeps the reports in `store`. The first plan is taken in
    /// at once, so that its targets show. `replica` is what this exporter is called
    /// among those that poll the same targets.
    pub fn new(
        mut settings: watch::Receiver<Arc<Settings<C>>>,
        store: Arc<Store>,
        mut plans: watch::Receiver<Arc<TargetList>>,
        replica: String,
        clock: Clock,
    ) -> Self {
        let first = store.adopt(&plans.borrow_and_update());
        let now = Arc::clone(&settings.borrow_and_update());
        Self {
            settings: now,
            later_settings: settings,
            store,
            plans,
            replica,
            clock,
            first,
            refused: PermanentFailures::default(),
        }
    }

    /// Collects until `shutdown`. Collections that are then under way are
    /// dropped: nobody would see what they bring.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut timing = self.timing();
        let mut due = ReadyQueue::default();
        due.share_out(self.settings.concurrency, &self.plans.borrow());
        let mut waiting = DelayedTurns::default();
        let mut running: JoinSet<Report> = JoinSet::new();
        let mut turns: HashMap<Id, Turn> = HashMap::new();
        enlist(&mut due, std::mem::take(&mut self.first), &timing);
        let mut summary = Summary::new();
        let mut pulse = tokio::time::interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);

        loop {
            while running.len() < self.settings.concurrency.get() {
                let Some(turn) = due.pop() else { break };
                if turn.slot.is_gone() {
                    due.ended(&turn);
                    continue;
                }
                let turn = Turn { begun: Instant::now(), ..turn };
                let (collector, slot) = (Arc::clone(&self.settings.collector), Arc::clone(&turn.slot));
                // Boxed, because the runtime moves a task about several times, and
                // this one is large.
                let task = running.spawn(Box::pin(async move { collector.collect(&slot.target()).await }));
                turns.insert(task.id(), turn);
            }
            self.store.stats.set_in_flight(running.len());
            let summary_due = summary.due(self.settings.interval, running.is_empty(), &self.store);

            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                _ = pulse.tick() => self.store.stats.heartbeat(),
                Ok(()) = self.later_settings.changed() => {
                    let settings = Arc::clone(&self.later_settings.borrow_and_update());
                    let before = std::mem::replace(&mut self.settings, settings);
                    due.share_out(self.settings.concurrency, &self.plans.borrow());
                    if self.settings.interval != before.interval {
                        timing = self.timing();
                        for turn in waiting.take() {
                            waiting.push(turn.next(&timing).0);
                        }
                        // None has missed a turn of the new interval yet.
                        let now = Instant::now();
                        for turn in turns.values_mut().chain(due.turns_mut()) {
                            turn.counts_from = Some(now);
                        }
                    }
                }
                // After the settings, by which it may have been made.
                Ok(()) = self.plans.changed() => {
                    let plan = Arc::clone(&self.plans.borrow_and_update());
                    due.share_out(self.settings.concurrency, &plan);
                    enlist(&mut due, self.store.adopt(&plan), &timing);
                    waiting.retain(|turn| !turn.slot.is_gone());
                }
                Some(ended) = running.join_next_with_id(), if !running.is_empty() => {
                    let (id, report) = match ended {
                        Ok((id, report)) => (id, report),
                        Err(error) => (error.id(), self.panicked(&error)),
                    };
                    let Some(turn) = turns.remove(&id) else { continue };
                    due.ended(&turn);
                    if turn.slot.is_gone() {
                        continue;
                    }
                    self.take_in(&turn.slot, report);
                    summary.count(&turn.slot.state());
                    let (next, missed) = turn.next(&timing);
                    self.store.stats.add_overruns(missed);
                    waiting.push(next);
                }
                Some(turn) = waiting.next() => due.push(turn),
                () = tokio::time::sleep_until(summary_due) => summary.tell(&self.store, self.clock.now()),
            }
        }
        self.store.stats.set_in_flight(0);
    }

    fn timing(&self) -> Timing {
        Timing::new(self.settings.interval, self.replica.clone(), self.clock.now())
    }

    /// Keeps the report, and tells the log what is new.
    fn take_in(&mut self, slot: &Slot, report: Report) {
        let took_ms = millis(report.took);
        let good = report.outcome.is_ok();
        let target = slot.target();
        let (account, region) = (target.account.shown(report.account.as_ref()), target.region.as_str());
        debug!(account, region, good, took_ms, "collection ended");
        match self.store.record(slot, report) {
            // The credential store logs these, once for all targets.
            Change::None
            | Change::Failing(Failure { scope: FailureScope::Credentials, .. })
            | Change::FailingOtherwise(Failure { scope: FailureScope::Credentials, .. })
            | Change::Recovered { last: Failure { scope: FailureScope::Credentials, .. }, .. } => {}
            Change::Failing(Failure { reason, message, .. })
            | Change::FailingOtherwise(Failure { reason, message, .. })
                if is_permanent(reason) =>
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
            Change::Recovered { failures, last } if is_permanent(last.reason) => {
                debug!(account, region, failures, "a region is not refused any longer");
            }
            Change::Recovered { failures, .. } => {
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

/// The first turn of a target is at once.
fn enlist(due: &mut ReadyQueue, mut slots: Vec<Arc<Slot>>, timing: &Timing) {
    slots.sort_by_cached_key(|slot| timing.place(&slot.target()));
    let now = Instant::now();
    for slot in slots {
        due.push(Turn { slot, due: now, begun: now, counts_from: None, suspect: false });
    }
}

#[cfg(test)]
mod tests;
