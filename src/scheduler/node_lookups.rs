//! Decides when the managed nodes of each target are looked up, and limits the lookups in flight.
//!
//! Lookups have their own schedule, with the interval that is configured for each account. Lookups
//! yield to collections: a lookup starts only if its target is up, and only while another collection
//! could start as well, except that one lookup at a time may start if collections have left no room for a
//! whole interval. Lookups do not count towards the limit on collections, so a lookup in flight never
//! keeps a collection from starting.
//!
//! The first lookup of a target follows its first good collection. After that, each lookup is at a
//! fixed offset within its interval. A failed lookup is retried after the interval of collections,
//! then after twice as long, and so on, up to its own interval. If the region is disabled or denied by a
//! service control policy, the lookup is not retried before the next regular one.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::Settings;
use super::delayed::DelayedJobs;
use super::job::Job;
use super::panic_failure;
use super::permanent::is_permanent;
use super::queue::ReadyQueue;
use super::timing::{FailureStreak, Timing};
use crate::clock::Clock;
use crate::collector::Collect;
use crate::fleet::TargetList;
use crate::snapshot::{NodeReport, Slot};

/// Lookups may add this fraction of the concurrency of collections, as a divisor.
const CONCURRENCY_DIVISOR: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// All lookups. The job of each target with lookups is in one of four states: waiting for a good
/// collection, delayed until it is due, ready, or in flight.
#[derive(Debug)]
pub(super) struct NodeLookups {
    replica: String,
    clock: Clock,
    is_single_round: bool,
    /// Every job, with the interval that it was scheduled with.
    scheduled: HashMap<SlotId, Duration>,
    waiting: HashMap<SlotId, Job>,
    delayed: DelayedJobs,
    ready: ReadyQueue,
    running: JoinSet<NodeReport>,
    in_flight: HashMap<Id, Job>,
    max_in_flight: usize,
    /// Since when no further collection could have started.
    without_room_since: Option<Instant>,
}

/// Identifies a slot by its address, which no other slot has while a job refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct SlotId(usize);

impl SlotId {
    fn of(slot: &Arc<Slot>) -> Self {
        Self(Arc::as_ptr(slot).addr())
    }
}

/// What happens next.
pub(super) enum Event {
    /// A job is due.
    Due(Job),
    /// A lookup has ended, or panicked.
    Ended(Id, Result<NodeReport, JoinError>),
}

impl NodeLookups {
    pub(super) fn new(replica: String, clock: Clock, is_single_round: bool) -> Self {
        Self {
            replica,
            clock,
            is_single_round,
            scheduled: HashMap::new(),
            waiting: HashMap::new(),
            delayed: DelayedJobs::default(),
            ready: ReadyQueue::default(),
            running: JoinSet::new(),
            in_flight: HashMap::new(),
            max_in_flight: 1,
            without_room_since: None,
        }
    }

    /// Derives the limits from the `concurrency` of collections and from the accounts and regions in
    /// `list`.
    pub(super) fn set_limits(&mut self, concurrency: NonZeroUsize, list: &TargetList) {
        let limit = concurrency.div_ceil(CONCURRENCY_DIVISOR);
        self.max_in_flight = limit.get();
        self.ready.set_limits(limit, list);
    }

    /// Schedules lookups for those targets of `slots` that have them enabled, and for no others.
    ///
    /// The targets of `new_slots` are about to be collected. Their lookups wait for that collection.
    pub(super) fn set_slots(&mut self, slots: &[Arc<Slot>], new_slots: &[Arc<Slot>]) {
        for job in self.delayed.take_all().chain(std::mem::take(&mut self.waiting).into_values()) {
            let id = SlotId::of(&job.slot);
            match self.scheduled.get(&id).copied().zip(lookup_interval(&job.slot)) {
                None => _ = self.scheduled.remove(&id),
                Some((old, new)) => {
                    self.scheduled.insert(id, new);
                    let due = if old == new { job.due } else { self.rescheduled(&job, new) };
                    let is_forgotten = !job.slot.state().nodes.has_result();
                    let due = if is_forgotten { due.min(Instant::now()) } else { due };
                    self.schedule(Job { due, ..job });
                }
            }
        }
        for slot in new_slots {
            if let Some(interval) = lookup_interval(slot) {
                self.scheduled.insert(SlotId::of(slot), interval);
                self.waiting.insert(SlotId::of(slot), Job::first(Arc::clone(slot)));
            }
        }
        // Targets that existed before, and whose lookups were just enabled.
        for slot in slots {
            if let Some(interval) = lookup_interval(slot)
                && !self.scheduled.contains_key(&SlotId::of(slot))
            {
                self.scheduled.insert(SlotId::of(slot), interval);
                self.schedule(Job::first(Arc::clone(slot)));
            }
        }
    }

    /// When `job`, which has not started, is due if the interval of lookups becomes `interval`. The change
    /// postpones neither a lookup that is due nor the retry of one that failed.
    fn rescheduled(&self, job: &Job, interval: Duration) -> Instant {
        let regular = self.timing(interval).next_regular(&job.slot.target(), job.last_started);
        let is_retry = FailureStreak::of_lookups(&job.slot.state()).is_some();
        if is_retry || job.due <= Instant::now() { regular.min(job.due) } else { regular }
    }

    /// Must be called when a collection of a target has been recorded. If the target is up, its lookup
    /// no longer waits for that. `has_forgotten` says whether the results of its lookups have been
    /// forgotten; the next lookup then follows the next good collection.
    pub(super) fn collected(&mut self, slot: &Arc<Slot>, has_forgotten: bool) {
        if has_forgotten && let Some(job) = self.delayed.remove(slot) {
            self.schedule(Job { due: Instant::now(), ..job });
        }
        if is_up(slot)
            && let Some(job) = self.waiting.remove(&SlotId::of(slot))
        {
            self.ready.push(job);
        }
    }

    /// Whether no lookup is ready or in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.ready.is_empty()
    }

    /// Starts the lookups that are ready, as far as the limits allow. `has_room` says whether a further
    /// collection could start as well.
    ///
    /// If there has been no room for the interval of collections, one lookup at a time starts, because a
    /// target without nodes that is no longer looked up could hide that its syncs have become stale.
    pub(super) fn start<C: Collect>(&mut self, settings: &Settings<C>, has_room: bool) {
        let max_in_flight = if has_room {
            self.without_room_since = None;
            self.max_in_flight
        } else {
            let since = *self.without_room_since.get_or_insert_with(Instant::now);
            usize::from(since.elapsed() >= settings.interval)
        };
        while self.running.len() < max_in_flight {
            let Some(job) = self.ready.pop() else { break };
            if lookup_interval(&job.slot).is_none() {
                self.finish(&job);
                continue;
            }
            if !is_up(&job.slot) {
                // The target went down while the job was ready.
                self.ready.finished(&job);
                self.waiting.insert(SlotId::of(&job.slot), job);
                continue;
            }
            let job = Job { last_started: Instant::now(), ..job };
            let (collector, slot) = (Arc::clone(&settings.collector), Arc::clone(&job.slot));
            let task = self
                .running
                .spawn(Box::pin(async move { collector.look_up_managed_nodes(&slot.target()).await }));
            self.in_flight.insert(task.id(), job);
        }
    }

    /// Waits until a job is due or a lookup ends. `None` if nothing is scheduled. No event is lost if
    /// the future is dropped.
    pub(super) async fn next_event(&mut self) -> Option<Event> {
        tokio::select! {
            Some(ended) = self.running.join_next_with_id() => Some(match ended {
                Ok((id, report)) => Event::Ended(id, Ok(report)),
                Err(error) => Event::Ended(error.id(), Err(error)),
            }),
            Some(job) = self.delayed.next() => Some(Event::Due(job)),
            else => None,
        }
    }

    /// Makes a job ready that is due, or lets it wait until its target is up.
    pub(super) fn due(&mut self, job: Job) {
        self.schedule(Job { due: Instant::now(), ..job });
    }

    /// A lookup that has ended, and its report. `None` if the target no longer has lookups. When the
    /// report has been recorded, [`next`](Self::next) must be called.
    pub(super) fn ended(
        &mut self,
        id: Id,
        ended: Result<NodeReport, JoinError>,
    ) -> Option<(Job, NodeReport)> {
        let job = self.in_flight.remove(&id)?;
        self.ready.finished(&job);
        if lookup_interval(&job.slot).is_none() {
            self.scheduled.remove(&SlotId::of(&job.slot));
            return None;
        }
        let report = ended.unwrap_or_else(|error| self.panicked(&error));
        Some((job, report))
    }

    /// Schedules the lookup after `job`, whose report has been recorded. `timing` is that of
    /// collections.
    pub(super) fn next(&mut self, job: Job, timing: &Timing) {
        let Some(interval) = lookup_interval(&job.slot).filter(|_| !self.is_single_round) else { return };
        let target = job.slot.target();
        let streak = FailureStreak::of_lookups(&job.slot.state());
        let regular = self.timing(interval).next_regular(&target, job.last_started);
        let due = match streak {
            Some(streak) if !is_permanent(streak.reason) => regular.min(timing.retry(&target, streak)),
            _ => regular,
        };
        let timed_out = streak.is_some_and(FailureStreak::timed_out);
        self.scheduled.insert(SlotId::of(&job.slot), interval);
        self.delayed.push(Job { due, timed_out, ..job });
    }

    /// Delays the job until it is due. A due job is ready if its target is up, and waits otherwise.
    fn schedule(&mut self, job: Job) {
        if job.due > Instant::now() {
            self.delayed.push(job);
        } else if is_up(&job.slot) {
            self.ready.push(job);
        } else {
            self.waiting.insert(SlotId::of(&job.slot), job);
        }
    }

    fn finish(&mut self, job: &Job) {
        self.ready.finished(job);
        self.scheduled.remove(&SlotId::of(&job.slot));
    }

    fn timing(&self, interval: Duration) -> Timing {
        Timing::new(interval, self.replica.clone(), self.clock.now())
    }

    /// The report of a lookup that panicked.
    fn panicked(&self, error: &JoinError) -> NodeReport {
        let outcome = Err(panic_failure("the managed-node lookup", error));
        NodeReport { account: None, ended: self.clock.now(), outcome }
    }
}

/// The interval of the target's managed-node lookups. `None` if lookups are not enabled, or if the
/// target was removed.
fn lookup_interval(slot: &Slot) -> Option<Duration> {
    slot.target().account.managed_nodes_interval.filter(|_| !slot.is_removed())
}

fn is_up(slot: &Slot) -> bool {
    slot.state().allows_lookups()
}
