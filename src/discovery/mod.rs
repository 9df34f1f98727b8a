//! Which targets there are: the accounts of an organization, and the regions
//! that accounts have enabled.
//!
//! What is found out becomes a [`TargetList`], which is published whenever it has
//! changed. What cannot be found out is asked for again later, each question by
//! itself, and until then what was known stays: no account goes because a
//! question failed. An account whose regions were never told is polled in those
//! that every account has, so that it shows, and shows what ails it.
//!
//! A plain list of accounts and regions asks nothing.

mod log;
mod lookup;
mod organization;
mod planner;
mod regions;
mod sources;

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;
use tracing::{debug, error};

pub use lookup::{AwsLookups, Lookups};
pub use sources::{AccountSources, ListedAccount, Member, MemberAccess, Members, Organization};

use crate::aws::{Finding, Observer};
use crate::fleet::Unresolved;
use crate::fleet::stable_hash;
use crate::fleet::{Account, AccountKey, RegionName, Shard, TargetList};
use crate::model::{Failure, Reason};
use log::DiscoveryLog;
use planner::{AccountRegions, Enabled};

/// How long to wait before a question that failed is asked again. Each time
/// it is twice as long, up to the interval of refreshing.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// How long answers are gathered before they become a plan, if more are to
/// come.
const GATHER: Duration = Duration::from_millis(200);

/// What is asked for, and who knows the answers.
#[derive(Debug)]
pub struct Settings<I> {
    /// Who is asked.
    pub lookups: Arc<I>,
    /// The accounts to poll, and where to look in each.
    pub sources: AccountSources,
    /// How many questions are asked at once.
    pub concurrency: NonZeroUsize,
}

/// Keeps the plan up to date.
#[derive(Debug)]
pub struct Discovery<I> {
    settings: Arc<Settings<I>>,
    later_settings: watch::Receiver<Arc<Settings<I>>>,
    shard: Shard,
    observer: Arc<dyn Observer>,
    plans: watch::Sender<Arc<TargetList>>,
    replica: String,
    /// Whether a lookup that succeeded is repeated after the refresh interval.
    refreshes: bool,
    /// The accounts of the organization, once they have been listed.
    members: Option<Members>,
    /// Whether those were listed in another way than is asked for now.
    members_are_outdated: bool,
    places: Vec<AccountRegions>,
    enabled: HashMap<AccountKey, Enabled>,
    /// The questions to ask now.
    due: VecDeque<Lookup>,
    /// Those to ask later.
    waiting: DelayQueue<Lookup>,
    /// All of them and those that are being asked, each once; and where among
    /// the waiting ones they are.
    open: HashMap<Lookup, Option<Key>>,
    /// How often in a row each question has failed, and how at last.
    failing: HashMap<Lookup, (u32, Failure)>,
    log: DiscoveryLog,
}

/// What came of an answer.
struct Taken {
    /// Whether something is known now that was not.
    changed: bool,
    failure: Option<Failure>,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Lookup {
    /// Which accounts an organization has.
    Members,
    /// Which regions an account has enabled.
    Regions(AccountKey),
}

/// A question with all that is needed to ask it.
enum LookupRequest {
    Members(Box<Organization>),
    Regions(Arc<Account>),
}

/// What is answered.
#[derive(Debug)]
enum LookupResult {
    Members(Result<Members, Failure>),
    Regions(AccountKey, Result<Vec<RegionName>, Failure>),
}

impl Lookup {
    /// There is no answer.
    fn failed(self, failure: Failure) -> LookupResult {
        match self {
            Self::Members => LookupResult::Members(Err(failure)),
            Self::Regions(key) => LookupResult::Regions(key, Err(failure)),
        }
    }
}

impl<I: Lookups> Discovery<I> {
    /// Keeps a plan of that part of the sources in the latest of `settings` that
    /// belongs to `shard`. The first plan, which is there at once, has all that needs
    /// no asking. `replica` is what this exporter is called among those that ask
    /// the same.
    pub fn new(
        mut settings: watch::Receiver<Arc<Settings<I>>>,
        shard: Shard,
        replica: String,
        observer: Arc<dyn Observer>,
    ) -> (Self, watch::Receiver<Arc<TargetList>>) {
        let now = Arc::clone(&settings.borrow_and_update());
        let (plans, receiver) = watch::channel(Arc::default());
        let mut discovery = Self {
            settings: now,
            later_settings: settings,
            shard,
            observer,
            plans,
            replica,
            refreshes: true,
            members: None,
            members_are_outdated: false,
            places: Vec::new(),
            enabled: HashMap::new(),
            due: VecDeque::new(),
            waiting: DelayQueue::new(),
            open: HashMap::new(),
            failing: HashMap::new(),
            log: DiscoveryLog::default(),
        };
        if discovery.settings.sources.organization.is_some() {
            discovery.raise(Lookup::Members);
        }
        discovery.resettle();
        discovery.publish();
        (discovery, receiver)
    }

    /// Does not repeat lookups that succeeded, for one-shot mode. Those that fail are still
    /// retried.
    pub(crate) fn without_refresh(self) -> Self {
        Self { refreshes: false, ..self }
    }

    /// Asks until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut running: JoinSet<LookupResult> = JoinSet::new();
        let mut asked: HashMap<Id, Lookup> = HashMap::new();
        let mut publish_at: Option<Instant> = None;
        self.tell();

        loop {
            while running.len() < self.settings.concurrency.get() {
                let Some(question) = self.due.pop_front() else { break };
                // It may have been answered meanwhile, by one who was asked before it
                // was gone and came back.
                if self.open.get(&question) != Some(&None) {
                    continue;
                }
                match self.ask(&question) {
                    Some(answering) => drop(asked.insert(running.spawn(answering).id(), question)),
                    None => drop(self.open.remove(&question)),
                }
            }
            if running.is_empty() {
                if publish_at.take().is_some() {
                    self.publish();
                }
                self.tell();
            }

            tokio::select! {
                () = shutdown.cancelled() => break,
                Ok(()) = self.later_settings.changed() => {
                    if self.reconfigure() {
                        // Who is being asked now may answer what is not asked any longer.
                        running = JoinSet::new();
                        let again = asked.drain().map(|(_, question)| question);
                        self.due.extend(again.filter(|question| self.open.contains_key(question)));
                        publish_at = None;
                        self.publish();
                    }
                }
                Some(ended) = running.join_next_with_id(), if !running.is_empty() => {
                    let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
                    let Some(question) = asked.remove(&id) else { continue };
                    let answer = match ended {
                        Ok((_, answer)) => answer,
                        Err(error) => question.clone().failed(panicked(&error)),
                    };
                    if self.take_in(&question, answer) {
                        publish_at.get_or_insert(Instant::now() + GATHER);
                    }
                    self.postpone(question);
                }
                Some(expired) = poll_fn(|context| self.waiting.poll_expired(context)), if !self.waiting.is_empty() => {
                    let question = expired.into_inner();
                    self.open.insert(question.clone(), None);
                    self.due.push_back(question);
                }
                () = tokio::time::sleep_until(publish_at.unwrap_or_else(Instant::now)), if publish_at.is_some() => {
                    publish_at = None;
                    self.publish();
                }
            }
        }
    }

    /// The way to the answer, if the question still stands.
    fn ask(&self, question: &Lookup) -> Option<impl Future<Output = LookupResult> + Send + use<I>> {
        let asking = match question {
            Lookup::Members => LookupRequest::Members(Box::new(self.settings.sources.organization.clone()?)),
            Lookup::Regions(key) if !self.enabled.contains_key(key) => return None,
            Lookup::Regions(key) => {
                // Only these sessions may ask.
                let asks =
                    |place: &&AccountRegions| place.regions.needs_discovery() && place.account.key() == *key;
                let place = self.places.iter().find(asks)?;
                LookupRequest::Regions(Arc::clone(&place.account))
            }
        };
        let lookups = Arc::clone(&self.settings.lookups);
        Some(async move {
            match asking {
                LookupRequest::Members(organization) => {
                    LookupResult::Members(lookups.members(&organization).await)
                }
                LookupRequest::Regions(account) => {
                    LookupResult::Regions(account.key(), lookups.regions(&account).await)
                }
            }
        })
    }

    /// Takes in an answer, and says whether the plan has to be made anew.
    fn take_in(&mut self, question: &Lookup, answer: LookupResult) -> bool {
        let (kind, taken) = match answer {
            LookupResult::Members(answer) => ("organization", self.take_in_members(answer)),
            // The account may have gone meanwhile.
            LookupResult::Regions(key, _) if !self.enabled.contains_key(&key) => return false,
            LookupResult::Regions(key, answer) => ("regions", self.take_in_regions(key, answer)),
        };
        match taken.failure {
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
        taken.changed || self.plans.borrow().unresolved != self.owed()
    }

    fn take_in_members(&mut self, answer: Result<Members, Failure>) -> Taken {
        match answer {
            Ok(members) => {
                self.log.listed(members.accounts.len());
                let was_outdated = std::mem::take(&mut self.members_are_outdated);
                let changed = self.members.as_ref() != Some(&members) || was_outdated;
                if changed {
                    self.members = Some(members);
                    self.resettle();
                }
                Taken { changed, failure: None }
            }
            Err(failure) => {
                let kept = self.members.as_ref().map_or(0, |members| members.accounts.len());
                self.log.not_listed(&failure, kept);
                Taken { changed: false, failure: Some(failure) }
            }
        }
    }

    fn take_in_regions(&mut self, key: AccountKey, answer: Result<Vec<RegionName>, Failure>) -> Taken {
        let enabled = self.enabled.entry(key).or_insert(Enabled::Pending);
        let (now, failure) = match answer {
            Ok(mut regions) => {
                regions.sort();
                (Enabled::Known(regions.into()), None)
            }
            Err(failure) if *enabled == Enabled::Pending => (Enabled::Unknown, Some(failure)),
            Err(failure) => (enabled.clone(), Some(failure)),
        };
        let changed = *enabled != now;
        *enabled = now;
        Taken { changed, failure }
    }

    /// Which questions have failed when they were last asked.
    fn owed(&self) -> Unresolved {
        let organization = self.failing.get(&Lookup::Members).map(|(_, failure)| failure.clone());
        Unresolved { accounts: self.failing.len() - usize::from(organization.is_some()), organization }
    }

    /// How long until the question is asked again.
    fn pause(&self, question: &Lookup) -> Duration {
        let sources = &self.settings.sources;
        let refresh = match (question, &sources.organization) {
            (Lookup::Members, Some(organization)) => organization.refresh_interval,
            _ => sources.refresh_interval,
        };
        let pause = match self.failing.get(question) {
            None => refresh,
            Some((times, _)) => {
                let backoff = ASK_AGAIN.saturating_mul(1 << (times - 1).min(16));
                if self.refreshes { backoff.min(refresh) } else { backoff }
            }
        };
        // A thousand accounts that were asked at once need not be so again, nor
        // by several exporters at the same time.
        let jitter = stable_hash(&[&self.replica, &format!("{question:?}")]) % 100;
        let jitter = u32::try_from(jitter).unwrap_or_default();
        pause / 1000 * (1000 - jitter)
    }

    /// A question that is to be asked at once, even if it was to wait.
    fn raise(&mut self, question: Lookup) {
        match self.open.insert(question.clone(), None) {
            // It is due, or being asked.
            Some(None) => {}
            Some(Some(key)) => {
                self.waiting.remove(&key);
                self.due.push_back(question);
            }
            None => self.due.push_back(question),
        }
    }

    /// A question that is to be asked later.
    fn postpone(&mut self, question: Lookup) {
        if !self.refreshes && !self.failing.contains_key(&question) {
            self.open.remove(&question);
            return;
        }
        if let Some(waits) = self.open.get(&question) {
            if let Some(key) = waits {
                self.waiting.remove(key);
            }
            let key = self.waiting.insert(question.clone(), self.pause(&question));
            self.open.insert(question, Some(key));
        }
    }

    /// Takes in the latest settings, and says whether anything is to be asked in
    /// another way than before. What was found out stays until it has been asked anew,
    /// and what could not be found out is asked again at once.
    fn reconfigure(&mut self) -> bool {
        let settings = Arc::clone(&self.later_settings.borrow_and_update());
        let before = std::mem::replace(&mut self.settings, settings);
        let now = Arc::clone(&self.settings);
        // Whoever reloads the configuration may have mended what failed.
        for question in std::mem::take(&mut self.failing).into_keys() {
            self.raise(question);
        }
        if before.sources == now.sources && Arc::ptr_eq(&before.lookups, &now.lookups) {
            return false;
        }
        match (&before.sources.organization, &now.sources.organization) {
            (_, None) => self.members = None,
            (Some(before), Some(now)) if before.administrator.id != now.administrator.id => {
                // It is another organization.
                self.members = None;
            }
            // Most often it is the same, listed in another way or reached in one. Those
            // who are not in it any longer go when it has been listed again.
            _ => self.members_are_outdated = self.members.is_some(),
        }
        self.resettle();
        if now.sources.organization.is_some() {
            self.raise(Lookup::Members);
        }
        if before.sources.refresh_interval != now.sources.refresh_interval {
            let waiting = self.open.iter().filter(|(_, key)| key.is_some());
            let waiting: Vec<Lookup> = waiting.map(|(question, _)| question.clone()).collect();
            for question in waiting {
                self.postpone(question);
            }
        }
        true
    }

    /// Lays out anew who is to be polled, and raises questions about those who
    /// are new.
    fn resettle(&mut self) {
        let (places, warnings) = planner::places(&self.settings.sources, self.members.as_ref());
        self.places = places;
        self.log.warnings(warnings);
        let mut before = std::mem::take(&mut self.enabled);
        let asking: HashSet<AccountKey> = self
            .places
            .iter()
            .filter(|place| place.regions.needs_discovery())
            .map(|place| place.account.key())
            .collect();
        for key in asking {
            let enabled = before.remove(&key).unwrap_or_else(|| {
                self.raise(Lookup::Regions(key.clone()));
                Enabled::Pending
            });
            self.enabled.insert(key, enabled);
        }
        for gone in before.into_keys().map(Lookup::Regions) {
            self.failing.remove(&gone);
            if let Some(Some(key)) = self.open.remove(&gone) {
                self.waiting.remove(&key);
            }
        }
        let mut accounts: Vec<&Account> = self.places.iter().map(|place| &*place.account).collect();
        accounts.extend(
            self.settings.sources.organization.iter().map(|organization| &*organization.administrator),
        );
        self.settings.lookups.retain(&accounts);
    }

    fn publish(&mut self) {
        // Until they have been listed once, it is not known what there is.
        let organization_pending = self.settings.sources.organization.is_some()
            && (self.members.is_none() || self.members_are_outdated);
        let (mut plan, warnings) =
            planner::plan(&self.places, &self.enabled, organization_pending, self.shard);
        plan.unresolved = self.owed();
        if plan.pending == 0 {
            self.log.warnings(warnings);
        }
        debug!(targets = plan.targets.len(), pending = plan.pending, "a new plan");
        self.plans.send_if_modified(|before| {
            let changed = **before != plan;
            if changed {
                *before = Arc::new(plan);
            }
            changed
        });
    }

    /// Tells the log what is new.
    fn tell(&mut self) {
        let silent = self.failing.iter().filter_map(|(question, (_, failure))| match question {
            Lookup::Regions(key) if !failure.logged => Some((key, failure)),
            _ => None,
        });
        self.log.silent(&silent.collect::<Vec<_>>());
        let (targets, more) = {
            let plan = self.plans.borrow();
            (plan.targets.len(), plan.pending > 0)
        };
        self.log.numbers(self.places.len(), targets, more);
    }
}

/// A panic is the failure of one question and of no other.
fn panicked(error: &JoinError) -> Failure {
    error!(%error, "asking has panicked, which is a bug");
    Failure::new(Reason::Other, "asking panicked, which is a bug")
}

#[cfg(test)]
mod tests;
