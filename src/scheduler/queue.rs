//! Jobs that are due, and the limits that decide which job starts next.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::num::NonZeroUsize;

use super::job::Job;
use crate::fleet::{AccountKey, RegionName, TargetList};

/// Jobs that are due and wait to start.
///
/// The next job is taken from the account with the fewest collections in flight, and among
/// several such accounts, from the account that has waited longest. No single account or
/// region may use more than half of the concurrency if there are others, and targets that
/// timed out last time (see [`Job::timed_out`]) share at most half, so that hung targets
/// cannot starve healthy ones.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    accounts: HashMap<AccountKey, AccountQueue>,
    /// All accounts with queued jobs, ordered by collections in flight and ticket.
    order: BTreeSet<(usize, u64, AccountKey)>,
    regions: HashMap<RegionName, Group>,
    /// Targets that timed out last time.
    timed_out: Group,
    next_ticket: u64,
    concurrency: usize,
    /// The maximum number of collections in flight of an account.
    account_limit: usize,
    /// The maximum number of collections in flight of a region.
    region_limit: usize,
}

/// The jobs of an account.
#[derive(Debug, Default)]
struct AccountQueue {
    queued: VecDeque<Job>,
    in_flight: usize,
    /// Renewed each time the account is queued, so the account with the lowest ticket has
    /// waited longest.
    ticket: u64,
}

/// The jobs of targets that share a limit.
#[derive(Debug, Default)]
struct Group {
    in_flight: usize,
    /// Jobs that wait because the limit was reached when it was their turn.
    blocked: Vec<Job>,
}

impl ReadyQueue {
    /// Sets the concurrency, and derives the limits of accounts and regions from it and from
    /// the number of accounts and regions in `list`.
    pub(super) fn set_limits(&mut self, concurrency: NonZeroUsize, list: &TargetList) {
        self.concurrency = concurrency.get();
        let limit = |count: usize| if count > 1 { self.half() } else { self.concurrency };
        let accounts: HashSet<AccountKey> = list.targets.iter().map(|target| target.account.key()).collect();
        let regions: HashSet<&RegionName> = list.targets.iter().map(|target| &target.region).collect();
        (self.account_limit, self.region_limit) = (limit(accounts.len()), limit(regions.len()));
        // The new limits may admit blocked jobs. `pop` blocks the others again.
        let groups = self.regions.values_mut().chain([&mut self.timed_out]);
        let unblocked: Vec<Job> = groups.flat_map(|group| group.blocked.drain(..)).collect();
        for job in unblocked {
            self.push(job);
        }
    }

    /// All jobs, queued and blocked.
    pub(super) fn jobs_mut(&mut self) -> impl Iterator<Item = &mut Job> {
        let queued = self.accounts.values_mut().flat_map(|account| &mut account.queued);
        let groups = self.regions.values_mut().chain([&mut self.timed_out]);
        queued.chain(groups.flat_map(|group| &mut group.blocked))
    }

    /// Whether no job is queued or blocked.
    pub(super) fn is_empty(&self) -> bool {
        let mut groups = self.regions.values().chain([&self.timed_out]);
        self.order.is_empty() && groups.all(|group| group.blocked.is_empty())
    }

    fn half(&self) -> usize {
        self.concurrency.div_ceil(2)
    }

    pub(super) fn push(&mut self, job: Job) {
        let key = job.slot.target().account.key();
        let account = self.accounts.entry(key.clone()).or_default();
        account.queued.push_back(job);
        if account.queued.len() == 1 {
            account.ticket = self.next_ticket;
            self.next_ticket += 1;
            self.order.insert((account.in_flight, account.ticket, key));
        }
    }

    /// Removes and returns the job to start next, if the limits allow one. The job counts as
    /// in flight until it is passed to [`finished`](Self::finished). The caller enforces the
    /// total concurrency.
    pub(super) fn pop(&mut self) -> Option<Job> {
        let half = self.half();
        loop {
            if self.order.first()?.0 >= self.account_limit {
                return None;
            }
            let (_, _, key) = self.order.pop_first()?;
            let account = self.accounts.get_mut(&key)?;
            let job = account.queued.pop_front()?;
            let region = self.regions.entry(job.slot.target().region.clone()).or_default();
            let full_group = if region.in_flight >= self.region_limit {
                Some(&mut *region)
            } else if job.timed_out && self.timed_out.in_flight >= half {
                Some(&mut self.timed_out)
            } else {
                None
            };
            let started = match full_group {
                Some(group) => {
                    group.blocked.push(job);
                    None
                }
                None => {
                    account.in_flight += 1;
                    region.in_flight += 1;
                    self.timed_out.in_flight += usize::from(job.timed_out);
                    Some(job)
                }
            };
            if !account.queued.is_empty() {
                account.ticket = self.next_ticket;
                self.next_ticket += 1;
                self.order.insert((account.in_flight, account.ticket, key));
            } else if account.in_flight == 0 {
                self.accounts.remove(&key);
            }
            if started.is_some() {
                return started;
            }
        }
    }

    /// Must be called when a job from [`pop`](Self::pop) is no longer in flight.
    pub(super) fn finished(&mut self, job: &Job) {
        let target = job.slot.target();
        let key = target.account.key();
        if let Some(account) = self.accounts.get_mut(&key) {
            let old_position = (account.in_flight, account.ticket, key.clone());
            account.in_flight = account.in_flight.saturating_sub(1);
            if self.order.remove(&old_position) {
                self.order.insert((account.in_flight, account.ticket, key));
            } else if account.in_flight == 0 {
                self.accounts.remove(&key);
            }
        }
        let mut unblocked = Vec::new();
        if let Some(region) = self.regions.get_mut(&target.region) {
            region.in_flight = region.in_flight.saturating_sub(1);
            // Unblock all jobs, because the account of the first may have reached its
            // limit.
            unblocked.append(&mut region.blocked);
            if region.in_flight == 0 {
                self.regions.remove(&target.region);
            }
        }
        if job.timed_out {
            self.timed_out.in_flight = self.timed_out.in_flight.saturating_sub(1);
            unblocked.append(&mut self.timed_out.blocked);
        }
        for job in unblocked {
            self.push(job);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::fleet::{Account, Target, TargetList};
    use crate::snapshot::{Slot, Store};

    /// A queue with a job for each target. A target is written as a letter for the account
    /// and a digit for the region, such as `a1`.
    fn queue_of(concurrency: usize, targets: &str) -> ReadyQueue {
        let list = TargetList {
            targets: targets.split(' ').map(target).collect(),
            pending_lookups: 0,
            ..TargetList::default()
        };
        let mut queue = ReadyQueue::default();
        queue.set_limits(concurrency.try_into().unwrap(), &list);
        for slot in Store::new(Duration::ZERO).set_targets(&list) {
            queue.push(job(slot));
        }
        queue
    }

    /// Targets in region 9 timed out last time.
    fn job(slot: Arc<Slot>) -> Job {
        let timed_out = slot.target().region.as_str().ends_with('9');
        Job { timed_out, ..Job::first(slot) }
    }

    fn finish(queue: &mut ReadyQueue, text: &str) {
        let list = TargetList { targets: vec![target(text)], pending_lookups: 0, ..TargetList::default() };
        let slot = Store::new(Duration::ZERO).set_targets(&list).remove(0);
        queue.finished(&job(slot));
    }

    fn target(text: &str) -> Target {
        let (letter, digit) = text.split_at(1);
        Target {
            account: Arc::new(Account {
                id: Some(format!("{:012}", letter.as_bytes()[0]).parse().unwrap()),
                name: Some(letter.to_owned()),
                ..Account::default()
            }),
            region: format!("eu-west-{digit}").parse().unwrap(),
        }
    }

    /// Pops up to `number` jobs.
    fn pop(queue: &mut ReadyQueue, number: usize) -> String {
        let text = |job: Job| {
            let target = job.slot.target();
            format!(
                "{}{} ",
                target.account.name.as_deref().unwrap(),
                target.region.as_str().trim_start_matches("eu-west-")
            )
        };
        (0..number).filter_map(|_| queue.pop().map(text)).collect::<String>().trim_end().to_owned()
    }

    #[tokio::test]
    async fn accounts_are_served_in_rotation() {
        let mut queue = queue_of(100, "a1 a2 a3 a4 b1 b2 c1");
        assert_eq!(pop(&mut queue, 9), "a1 b1 c1 a2 b2 a3 a4");
    }

    #[tokio::test]
    async fn a_hung_account_leaves_half_of_the_concurrency_to_others() {
        let mut queue = queue_of(4, "a1 a2 a3 a4 a5 b1 b2 b3");
        // `a` hangs, `b` answers.
        assert_eq!(pop(&mut queue, 4), "a1 b1 a2 b2");
        for (finished, next) in [("b1", "b3"), ("b2", ""), ("b3", "")] {
            finish(&mut queue, finished);
            assert_eq!(pop(&mut queue, 1), next);
        }
        finish(&mut queue, "a2");
        assert_eq!(pop(&mut queue, 4), "a3");
    }

    #[tokio::test]
    async fn a_hung_region_leaves_half_of_the_concurrency_to_others() {
        let mut queue = queue_of(4, "a1 b1 c1 d1 e1 f2 g2 h2");
        assert_eq!(pop(&mut queue, 4), "a1 b1 f2 g2");
        finish(&mut queue, "f2");
        assert_eq!(pop(&mut queue, 4), "h2");
        finish(&mut queue, "g2");
        assert_eq!(pop(&mut queue, 4), "");
        finish(&mut queue, "b1");
        assert_eq!(pop(&mut queue, 4), "c1", "blocked jobs keep their order");
    }

    #[tokio::test]
    async fn targets_that_timed_out_leave_half_of_the_concurrency_to_others() {
        let mut queue = queue_of(4, "a9 b9 c9 d9 e1 f2 g3");
        assert_eq!(pop(&mut queue, 4), "a9 b9 e1 f2");
        finish(&mut queue, "e1");
        assert_eq!(pop(&mut queue, 4), "g3");
        finish(&mut queue, "g3");
        assert_eq!(pop(&mut queue, 4), "");
        finish(&mut queue, "a9");
        assert_eq!(pop(&mut queue, 4), "c9");
        finish(&mut queue, "b9");
        assert_eq!(pop(&mut queue, 4), "d9");
    }

    #[tokio::test]
    async fn a_single_account_or_region_may_use_the_whole_concurrency() {
        assert_eq!(pop(&mut queue_of(4, "a1 a2 a3 a4 a5"), 4), "a1 a2 a3 a4");
        assert_eq!(pop(&mut queue_of(4, "a1 b1 c1 d1 e1"), 4), "a1 b1 c1 d1");
        assert_eq!(pop(&mut queue_of(1, "a1 b2"), 1), "a1", "half of one is one");
    }

    #[tokio::test]
    async fn no_accounts_or_regions_are_kept_after_all_jobs_have_finished() {
        let mut queue = queue_of(4, "a1 b1 c1 d1 a2");
        let mut in_flight: VecDeque<String> = VecDeque::new();
        for _ in 0..10 {
            let started = pop(&mut queue, 4);
            in_flight.extend(started.split(' ').filter(|target| !target.is_empty()).map(ToOwned::to_owned));
            if let Some(first) = in_flight.pop_front() {
                finish(&mut queue, &first);
            }
        }
        assert!(queue.accounts.is_empty() && queue.order.is_empty() && queue.regions.is_empty(), "{queue:?}");
    }

    #[tokio::test]
    async fn a_blocked_job_does_not_wait_for_an_account_at_its_limit() {
        let mut queue = queue_of(2, "b2 a2 a1 c2");
        assert_eq!(pop(&mut queue, 2), "b2 a1");
        finish(&mut queue, "b2");
        assert_eq!(pop(&mut queue, 2), "c2", "a has reached its limit");
    }

    proptest! {
        #[test]
        fn no_job_is_lost_and_jobs_wait_only_for_a_reached_limit(
            targets in proptest::collection::hash_set("[a-f][1-9]", 1..30),
            concurrency in 1usize..9,
            steps in proptest::collection::vec(0usize..64, 200),
        ) {
            let targets: Vec<String> = targets.into_iter().collect();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _context = runtime.enter();
            let mut queue = queue_of(concurrency, &targets.join(" "));
            let mut in_flight: Vec<String> = Vec::new();
            let mut started = 0;
            for step in steps {
                while in_flight.len() < concurrency {
                    let next = pop(&mut queue, 1);
                    if next.is_empty() {
                        break;
                    }
                    started += 1;
                    in_flight.push(next);
                }
                // Each remaining job waits for its account, its region or other targets that
                // timed out.
                if in_flight.len() < concurrency {
                    let count = |is: &dyn Fn(&str) -> bool| in_flight.iter().filter(|target| is(target)).count();
                    let queued = queue.accounts.values().flat_map(|account| &account.queued);
                    let groups = queue.regions.values().chain([&queue.timed_out]);
                    for job in queued.chain(groups.flat_map(|group| &group.blocked)) {
                        let target = job.slot.target();
                        let letter = target.account.name.clone().unwrap();
                        let digit = target.region.as_str().trim_start_matches("eu-west-").to_owned();
                        let full = count(&|target| target.starts_with(&letter)) >= queue.account_limit
                            || count(&|target| target.ends_with(&digit)) >= queue.region_limit
                            || (job.timed_out && count(&|target| target.ends_with('9')) >= queue.half());
                        prop_assert!(full, "{letter}{digit} waits, in flight are {in_flight:?}");
                    }
                }
                if !in_flight.is_empty() {
                    let finished = in_flight.remove(step % in_flight.len());
                    finish(&mut queue, &finished);
                }
            }
            prop_assert_eq!(started, targets.len());
            prop_assert!(queue.accounts.is_empty() && queue.order.is_empty() && queue.regions.is_empty());
        }
    }
}
