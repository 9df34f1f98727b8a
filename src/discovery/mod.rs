//! Which targets there are: the accounts of an organization, and the regions
//! that accounts have enabled.
//!
//! What is found out becomes a [`Plan`], which is published whenever it has
//! changed. What cannot be found out is asked for again later, each question by
//! itself, and until then what was known stays: no account goes because a
//! question failed. An account whose regions were never told is polled in those
//! that every account has, so that it shows, and shows what ails it.
//!
//! A plain list of accounts and regions asks nothing.

mod fleet;
mod inquire;
mod organization;
mod planning;
mod regions;
mod telling;

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;
use tracing::{debug, error, info, warn};

pub use fleet::{Fleet, Listed, Member, MemberReach, Members, Organization};
pub use inquire::{Inquire, Inquirer};

use crate::aws::{Finding, Observer};
use crate::model::{Failure, Reason};
use crate::target::hash::hash;
use crate::target::{Account, AccountKey, Plan, RegionName, Shard};
use planning::{Enabled, Place};
use telling::Told;

/// How long to wait before a question that failed is asked again. Each time
/// it is twice as long, up to the interval of refreshing.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// How long answers are gathered before they become a plan, if more are to
/// come.
const GATHER: Duration = Duration::from_millis(200);

/// Keeps the plan up to date.
#[derive(Debug)]
pub struct Discovery<I> {
    inquirer: Arc<I>,
    fleet: Fleet,
    shard: Shard,
    concurrency: NonZeroUsize,
    observer: Arc<dyn Observer>,
    plans: watch::Sender<Arc<Plan>>,
    /// The accounts of the organization, once they have been listed.
    members: Option<Members>,
    /// Whether listing them has been tried.
    organization_answered: bool,
    places: Vec<Place>,
    enabled: HashMap<AccountKey, Enabled>,
    /// How often in a row each question has failed, and how at last.
    failing: HashMap<Question, (u32, Failure)>,
    told: Told,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Question {
    /// Which accounts an organization has.
    Members,
    /// Which regions an account has enabled.
    Regions(AccountKey),
}

/// A question with all that is needed to ask it.
enum Asking {
    Members(Box<Organization>),
    Regions(Arc<Account>),
}

/// What is answered.
#[derive(Debug)]
enum Answer {
    Members(Result<Members, Failure>),
    Regions(AccountKey, Result<Vec<RegionName>, Failure>),
}

impl Question {
    /// There is no answer.
    fn failed(self, failure: Failure) -> Answer {
        match self {
            Self::Members => Answer::Members(Err(failure)),
            Self::Regions(key) => Answer::Regions(key, Err(failure)),
        }
    }
}

impl<I: Inquire> Discovery<I> {
    /// Keeps a plan of that part of `fleet` that belongs to `shard`. The first
    /// plan, which is there at once, has all that needs no asking.
    pub fn new(
        inquirer: I,
        fleet: Fleet,
        shard: Shard,
        concurrency: NonZeroUsize,
        observer: Arc<dyn Observer>,
    ) -> (Self, watch::Receiver<Arc<Plan>>) {
        let (plans, receiver) = watch::channel(Arc::default());
        let mut discovery = Self {
            inquirer: Arc::new(inquirer),
            fleet,
            shard,
            concurrency,
            observer,
            plans,
            members: None,
            organization_answered: false,
            places: Vec::new(),
            enabled: HashMap::new(),
            failing: HashMap::new(),
            told: Told::default(),
        };
        discovery.resettle();
        discovery.publish();
        (discovery, receiver)
    }

    /// Asks until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut due: VecDeque<Question> = self.enabled.keys().cloned().map(Question::Regions).collect();
        if self.fleet.organization.is_some() {
            due.push_front(Question::Members);
        }
        let mut waiting: DelayQueue<Question> = DelayQueue::new();
        let mut running: JoinSet<Answer> = JoinSet::new();
        let mut asked: HashMap<Id, Question> = HashMap::new();
        let mut publish_at: Option<Instant> = None;
        self.tell();

        loop {
            while running.len() < self.concurrency.get() {
                let Some(question) = due.pop_front() else { break };
                if let Some(answering) = self.ask(&question) {
                    asked.insert(running.spawn(answering).id(), question);
                }
            }
            if publish_at.is_some() && running.is_empty() {
                publish_at = None;
                self.publish();
                self.tell();
            }

            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(ended) = running.join_next_with_id(), if !running.is_empty() => {
                    let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
                    let Some(question) = asked.remove(&id) else { continue };
                    let answer = match ended {
                        Ok((_, answer)) => answer,
                        Err(error) => question.clone().failed(panicked(&error)),
                    };
                    due.extend(self.take_in(&question, answer));
                    let pause = self.pause(&question);
                    waiting.insert(question, pause);
                    publish_at.get_or_insert(Instant::now() + GATHER);
                }
                Some(expired) = poll_fn(|context| waiting.poll_expired(context)), if !waiting.is_empty() => {
                    due.push_back(expired.into_inner());
                }
                () = tokio::time::sleep_until(publish_at.unwrap_or_else(Instant::now)), if publish_at.is_some() => {
                    publish_at = None;
                    self.publish();
                }
            }
        }
    }

    /// The way to the answer, if the question still stands.
    fn ask(&self, question: &Question) -> Option<impl Future<Output = Answer> + Send + use<I>> {
        let asking = match question {
            Question::Members => Asking::Members(Box::new(self.fleet.organization.clone()?)),
            Question::Regions(key) if !self.enabled.contains_key(key) => return None,
            Question::Regions(key) => {
                let place = self.places.iter().find(|place| place.account.key() == *key)?;
                Asking::Regions(Arc::clone(&place.account))
            }
        };
        let inquirer = Arc::clone(&self.inquirer);
        Some(async move {
            match asking {
                Asking::Members(organization) => Answer::Members(inquirer.members(&organization).await),
                Asking::Regions(account) => Answer::Regions(account.key(), inquirer.regions(&account).await),
            }
        })
    }

    /// Takes in an answer, and returns the questions that it raises.
    fn take_in(&mut self, question: &Question, answer: Answer) -> Vec<Question> {
        let (kind, failure) = match answer {
            Answer::Members(answer) => ("organization", self.take_in_members(answer).err()),
            Answer::Regions(key, answer) => ("regions", self.take_in_regions(&key, answer).err()),
        };
        match failure {
            None => {
                self.observer.found(Finding::Succeeded(kind));
                self.failing.remove(question);
            }
            Some(failure) => {
                self.observer.found(Finding::Failed(kind));
                let entry = self.failing.entry(question.clone()).or_insert_with(|| (0, failure.clone()));
                *entry = (entry.0 + 1, failure);
            }
        }
        match question {
            Question::Members => self.resettle(),
            Question::Regions(_) => Vec::new(),
        }
    }

    fn take_in_members(&mut self, answer: Result<Members, Failure>) -> Result<(), Failure> {
        let before = self.members.as_ref().map_or(0, |members| members.accounts.len());
        let was_failing = self.failing.contains_key(&Question::Members);
        self.organization_answered = true;
        match answer {
            Ok(members) => {
                if was_failing {
                    info!(
                        accounts = members.accounts.len(),
                        "the accounts of the organization can be listed again"
                    );
                }
                self.members = Some(members);
                Ok(())
            }
            Err(failure) => {
                if !was_failing && !failure.logged {
                    let Failure { reason, message, .. } = &failure;
                    warn!(%reason, error = message, kept = before, "the accounts of the organization cannot be listed");
                }
                Err(failure)
            }
        }
    }

    fn take_in_regions(
        &mut self,
        key: &AccountKey,
        answer: Result<Vec<RegionName>, Failure>,
    ) -> Result<(), Failure> {
        // The account may have gone meanwhile.
        let Some(enabled) = self.enabled.get_mut(key) else { return Ok(()) };
        match answer {
            Ok(mut regions) => {
                regions.sort();
                *enabled = Enabled::Known(regions.into());
                Ok(())
            }
            Err(failure) => {
                if *enabled == Enabled::Awaited {
                    *enabled = Enabled::Unknown;
                }
                Err(failure)
            }
        }
    }

    /// How long until the question is asked again.
    fn pause(&self, question: &Question) -> Duration {
        let refresh = match (question, &self.fleet.organization) {
            (Question::Members, Some(organization)) => organization.refresh_interval,
            _ => self.fleet.refresh_interval,
        };
        let pause = match self.failing.get(question) {
            None => refresh,
            Some((times, _)) => ASK_AGAIN.saturating_mul(1 << (times - 1).min(16)).min(refresh),
        };
        // A thousand accounts that were asked at once need not be so again.
        let jitter = u32::try_from(hash(&[&format!("{question:?}")]) % 100).unwrap_or_default();
        pause / 1000 * (1000 - jitter)
    }

    /// Lays out anew who is to be polled, and returns the questions about
    /// those who are new.
    fn resettle(&mut self) -> Vec<Question> {
        let (places, oddities) = planning::places(&self.fleet, self.members.as_ref());
        self.places = places;
        self.told.oddities(oddities);
        let mut before = std::mem::take(&mut self.enabled);
        let mut questions = Vec::new();
        for place in self.places.iter().filter(|place| place.regions.needs_discovery()) {
            let key = place.account.key();
            let enabled = before.remove(&key).unwrap_or_else(|| {
                questions.push(Question::Regions(key.clone()));
                Enabled::Awaited
            });
            self.enabled.insert(key, enabled);
        }
        for gone in before.into_keys() {
            self.failing.remove(&Question::Regions(gone));
        }
        let mut accounts: Vec<&Account> = self.places.iter().map(|place| &*place.account).collect();
        accounts.extend(self.fleet.organization.iter().map(|organization| &*organization.administrator));
        self.inquirer.retain(&accounts);
        questions
    }

    fn publish(&mut self) {
        let organization_awaited = self.fleet.organization.is_some() && !self.organization_answered;
        let (plan, oddities) = planning::plan(&self.places, &self.enabled, organization_awaited, self.shard);
        if plan.awaited == 0 {
            self.told.oddities(oddities);
        }
        debug!(targets = plan.targets.len(), awaited = plan.awaited, "a new plan");
        self.plans.send_replace(Arc::new(plan));
    }
    /// Tells the log what is new.
    fn tell(&mut self) {
        let silent = self.failing.iter().filter_map(|(question, (_, failure))| match question {
            Question::Regions(key) if !failure.logged => Some((key, failure)),
            _ => None,
        });
        self.told.silent(silent.collect());
        let (targets, awaited) = {
            let plan = self.plans.borrow();
            (plan.targets.len(), plan.awaited)
        };
        self.told.numbers(self.places.len(), targets, awaited);
    }
}

/// A panic is the failure of one question and of no other.
fn panicked(error: &JoinError) -> Failure {
    error!(%error, "asking has panicked, which is a bug");
    Failure::new(Reason::Other, "asking panicked, which is a bug")
}

#[cfg(test)]
mod tests;
