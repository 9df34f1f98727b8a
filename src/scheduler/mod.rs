//! Decides when each target is collected, and limits the collections in flight.
//!
//! Every target has one `Job`, which is in one of three states: delayed until it is due,
//! ready but waiting for the concurrency limits, or in flight. The job of a removed target
//! is dropped instead of started. The outcome of a collection does not affect any other
//! target.
//!
//! New targets are collected as soon as the limits allow. After that, each target is
//! collected at a fixed offset within the interval, so that the requests to AWS are spread
//! evenly.
//!
//! Managed-node lookups have their own schedule, see `node_lookups`.
//!
//! The scheduler calls the collector through `Collect` and records its reports in the
//! snapshot. It does not know where the target list comes from.

mod delayed;
mod job;
mod node_lookups;
mod permanent;
mod queue;
mod summary;
mod timing;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::clock::{Clock, millis};
use crate::collector::Collect;
use crate::failure_log::{FailureLog, Problem, Subject};
use crate::fleet::TargetList;
use crate::health::HealthPolicy;
use crate::model::{Failure, FailureScope, Reason};
use crate::snapshot::{Change, InvalidItems, NodeReport, Report, Slot, Store};
use delayed::DelayedJobs;
use job::Job;
use node_lookups::{Event, NodeLookups};
use permanent::is_permanent;
use queue::ReadyQueue;
use summary::Summary;
use timing::Timing;

const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// The summary interval in one-shot mode, which logs only the first summary: longer than
/// the process runs.
const NEVER: Duration = Duration::from_hours(10 * 365 * 24);

/// The settings that a reload can change.
#[derive(Debug)]
pub(crate) struct Settings<C> {
    pub(crate) collector: Arc<C>,
    /// The time between two regular collections of a target.
    pub(crate) interval: Duration,
    /// The maximum number of collections in flight.
    pub(crate) concurrency: NonZeroUsize,
    /// What the syncs in the summary are judged by.
    pub(crate) health: Arc<HealthPolicy>,
}

/// Collects all targets of the latest target list once per interval.
#[derive(Debug)]
pub(crate) struct Scheduler<C> {
    settings: Arc<Settings<C>>,
    new_settings: watch::Receiver<Arc<Settings<C>>>,
    store: Arc<Store>,
    target_lists: watch::Receiver<Arc<TargetList>>,
    replica: String,
    clock: Clock,
    /// Whether to collect each target only once.
    is_single_round: bool,
    /// The slots of the first target list, which [`run`](Self::run) schedules.
    first_slots: Vec<Arc<Slot>>,
    failure_log: Arc<FailureLog>,
}

impl<C: Collect> Scheduler<C> {
    /// Stores the first target list immediately, so that its targets are served as not
    /// collected yet. `replica` is the name of this exporter, such as its host name.
    /// Exporters with different names poll the same targets at different offsets.
    pub(crate) fn new(
        mut new_settings: watch::Receiver<Arc<Settings<C>>>,
        store: Arc<Store>,
        mut target_lists: watch::Receiver<Arc<TargetList>>,
        replica: String,
        clock: Clock,
        failure_log: Arc<FailureLog>,
    ) -> Self {
        let first_slots = store.set_targets(&target_lists.borrow_and_update());
        let settings = Arc::clone(&new_settings.borrow_and_update());
        Self {
            settings,
            new_settings,
            store,
            target_lists,
            replica,
            clock,
            is_single_round: false,
            first_slots,
            failure_log,
        }
    }

    /// Collects each target only once, for one-shot mode. This includes targets that are
    /// added later.
    pub(crate) fn single_round(self) -> Self {
        Self { is_single_round: true, ..self }
    }

    /// Runs until `shutdown` is cancelled, then drops the collections in flight, because
    /// their reports would no longer be served.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut timing = self.timing();
        let mut ready = ReadyQueue::default();
        ready.set_limits(self.settings.concurrency, &self.target_lists.borrow());
        let mut delayed = DelayedJobs::default();
        let mut running: JoinSet<Report> = JoinSet::new();
        let mut in_flight: HashMap<Id, Job> = HashMap::new();
        let mut lookups = NodeLookups::new(self.replica.clone(), self.clock.clone(), self.is_single_round);
        lookups.set_limits(self.settings.concurrency, &self.target_lists.borrow());
        lookups.set_slots(&self.store.slots(), &self.first_slots);
        push_first_jobs(&mut ready, std::mem::take(&mut self.first_slots), &timing);
        let mut summary = Summary::new();
        let mut heartbeat = tokio::time::interval(HEARTBEAT_INTERVAL);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);

        loop {
            while running.len() < self.settings.concurrency.get() {
                let Some(job) = ready.pop() else { break };
                if job.slot.is_removed() {
                    ready.finished(&job);
                    continue;
                }
                let job = Job { last_started: Instant::now(), ..job };
                let (collector, slot) = (Arc::clone(&self.settings.collector), Arc::clone(&job.slot));
                // Boxed, because the future is large and the runtime moves it several times.
                let task = running.spawn(Box::pin(async move { collector.collect(&slot.target()).await }));
                in_flight.insert(task.id(), job);
            }
            self.store.stats.set_in_flight(running.len());
            // Collections come first.
            lookups.start(&self.settings, running.len() < self.settings.concurrency.get());
            let summary_interval = if self.is_single_round { NEVER } else { self.settings.interval };
            // The first summary waits for the first lookups, because they decide which syncs are stale.
            let is_idle = running.is_empty() && lookups.is_idle();
            let summary_due = summary.due(summary_interval, is_idle, &self.store);

            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                _ = heartbeat.tick() => self.store.stats.heartbeat(),
                Ok(()) = self.new_settings.changed() => {
                    let settings = Arc::clone(&self.new_settings.borrow_and_update());
                    let old_settings = std::mem::replace(&mut self.settings, settings);
                    ready.set_limits(self.settings.concurrency, &self.target_lists.borrow());
                    lookups.set_limits(self.settings.concurrency, &self.target_lists.borrow());
                    if self.settings.interval != old_settings.interval {
                        timing = self.timing();
                        for job in delayed.take_all() {
                            delayed.push(job.next(&timing).0);
                        }
                        // Collections missed in the old interval are not overruns of the new one.
                        let now = Instant::now();
                        for job in in_flight.values_mut().chain(ready.jobs_mut()) {
                            job.overruns_from = Some(now);
                        }
                    }
                }
                // Checked after the settings (`biased`): a reload sends the settings first,
                // and new targets must be collected with the new settings.
                Ok(()) = self.target_lists.changed() => {
                    let list = Arc::clone(&self.target_lists.borrow_and_update());
                    ready.set_limits(self.settings.concurrency, &list);
                    lookups.set_limits(self.settings.concurrency, &list);
                    let new_slots = self.store.set_targets(&list);
                    lookups.set_slots(&self.store.slots(), &new_slots);
                    push_first_jobs(&mut ready, new_slots, &timing);
                    delayed.retain(|job| !job.slot.is_removed());
                    self.forget_failures_of_others(&list);
                }
                Some(ended) = running.join_next_with_id(), if !running.is_empty() => {
                    let (id, report) = match ended {
                        Ok((id, report)) => (id, report),
                        Err(error) => (error.id(), self.panicked(&error)),
                    };
                    let Some(job) = in_flight.remove(&id) else { continue };
                    ready.finished(&job);
                    if job.slot.is_removed() {
                        continue;
                    }
                    let has_forgotten_nodes = self.record(&job.slot, report);
                    lookups.collected(&job.slot, has_forgotten_nodes);
                    summary.count(&job.slot.state());
                    if self.is_single_round {
                        continue;
                    }
                    let (next, overruns) = job.next(&timing);
                    self.store.stats.add_overruns(overruns);
                    delayed.push(next);
                }
                Some(job) = delayed.next() => ready.push(job),
                Some(event) = lookups.next_event() => match event {
                    Event::Due(job) => lookups.due(job),
                    Event::Ended(id, ended) => {
                        let Some((job, report)) = lookups.ended(id, ended) else { continue };
                        self.record_lookup(&job.slot, report);
                        lookups.next(job, &timing);
                    }
                },
                () = tokio::time::sleep_until(summary_due) => {
                    summary.log_and_reset(&self.store, &self.settings.health, self.clock.now());
                },
            }
        }
        if self.is_single_round {
            self.log_pending_summary(&mut summary, running.is_empty());
        }
        self.store.stats.set_in_flight(0);
    }

    /// Logs the first summary if only managed-node lookups, which a single round may not wait for, have
    /// delayed it.
    fn log_pending_summary(&self, summary: &mut Summary, is_idle: bool) {
        if summary.due(NEVER, is_idle, &self.store) <= Instant::now() {
            summary.log_and_reset(&self.store, &self.settings.health, self.clock.now());
        }
    }

    fn timing(&self) -> Timing {
        Timing::new(self.settings.interval, self.replica.clone(), self.clock.now())
    }

    /// Forgets the failures of targets that are not in `list`, and of managed-node lookups whose results
    /// have been forgotten.
    fn forget_failures_of_others(&self, list: &TargetList) {
        let names: HashSet<String> = list.targets.iter().map(ToString::to_string).collect();
        let is_failing = |slot: &&Arc<Slot>| slot.state().nodes.failure.is_some();
        let slots = self.store.slots();
        let lookups: HashSet<String> =
            slots.iter().filter(is_failing).map(|slot| slot.target().to_string()).collect();
        self.failure_log.retain_targets(|name| names.contains(name), |name| lookups.contains(name));
    }

    /// Records the report in the store, and logs how it changes the state of the target. Returns whether
    /// the results of managed-node lookups have been forgotten, because they are those of another account.
    fn record(&self, slot: &Slot, report: Report) -> bool {
        let took_ms = millis(report.took);
        let success = report.outcome.is_ok();
        let target = slot.target();
        let (account, region) = (target.account.display_id(report.account.as_ref()), target.region.as_str());
        debug!(account, region, success, took_ms, "collection finished");
        let subject = || Subject::target(target.to_string(), account.clone(), region);
        if success {
            self.log_invalid_items(
                Subject::items_of_target(target.to_string(), account.clone(), region),
                report.invalid_items.as_ref(),
            );
        }
        let had_nodes = slot.state().nodes.has_result();
        let change = self.store.record(slot, report);
        let forgot_nodes = had_nodes && !slot.state().nodes.has_result();
        if forgot_nodes {
            self.failure_log.forget(&lookup_subject(slot));
        }
        self.log_change(change, subject, |reason| {
            if is_permanent(reason) { Problem::RegionUnavailable } else { Problem::TargetFailing }
        });
        forgot_nodes
    }

    /// Records the report of a managed-node lookup in the store, and logs when lookups begin to fail and
    /// when they succeed again.
    fn record_lookup(&self, slot: &Slot, report: NodeReport) {
        let change = self.store.record_managed_nodes(slot, report);
        self.log_change(change, || lookup_subject(slot), |_| Problem::NodesUnknown);
    }

    /// Logs when a subject begins to fail, and when it succeeds again.
    fn log_change(&self, change: Change, subject: impl Fn() -> Subject, problem: impl Fn(Reason) -> Problem) {
        match change {
            Change::None => {}
            // The credential store logs these failures, once for all targets that share the
            // credentials.
            Change::StartedFailing(Failure { scope: FailureScope::Credentials, .. })
            | Change::ReasonChanged(Failure { scope: FailureScope::Credentials, .. }) => {
                self.failure_log.forget(&subject());
            }
            Change::StartedFailing(failure) | Change::ReasonChanged(failure) => {
                self.failure_log.failed(subject(), problem(failure.reason), &failure);
            }
            Change::Recovered { failures, .. } => self.failure_log.recovered(subject(), Some(failures)),
        }
    }

    /// Logs when AWS begins to list items that cannot be used, and when it no longer does.
    fn log_invalid_items(&self, subject: Subject, invalid_items: Option<&InvalidItems>) {
        let Some(InvalidItems { number, example }) = invalid_items else {
            self.failure_log.recovered(subject, None);
            return;
        };
        let message = match number {
            1 => format!("1 item: {example}"),
            more => format!("{more} items, the first: {example}"),
        };
        let failure = Failure::new(Reason::InvalidResponse, message);
        self.failure_log.failed(subject, Problem::InvalidItems, &failure);
    }

    /// The report of a collection that panicked. Only its own target fails.
    fn panicked(&self, error: &JoinError) -> Report {
        Report {
            account: None,
            ended: self.clock.now(),
            took: Duration::ZERO,
            outcome: Err(panic_failure("the collection", error)),
            invalid_items: None,
        }
    }
}

/// The failure of a task that panicked. `what` names its work.
fn panic_failure(what: &str, error: &JoinError) -> Failure {
    // The panic hook has logged the location with the same task number. The message of the
    // panic is not shown, because it may contain a secret.
    Failure::new(Reason::Other, format!("{what} panicked in task {}, which is a bug", error.id()))
}

/// The managed-node lookup of a target, for the log.
fn lookup_subject(slot: &Slot) -> Subject {
    let (target, state) = (slot.target(), slot.state());
    let account = target.account.display_id(state.account.as_ref());
    Subject::nodes_of_target(target.to_string(), account, target.region.as_str())
}

/// Makes the first collections of new targets ready, in the order of their offsets.
fn push_first_jobs(ready: &mut ReadyQueue, mut slots: Vec<Arc<Slot>>, timing: &Timing) {
    slots.sort_by_cached_key(|slot| timing.offset(&slot.target()));
    for slot in slots {
        ready.push(Job::first(slot));
    }
}

#[cfg(test)]
mod tests;
