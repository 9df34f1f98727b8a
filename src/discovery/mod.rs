//! Determines the targets from the configured accounts, the accounts of an organization and
//! the regions that accounts have enabled. Lookups provide the latter two. Discovery also determines
//! which of the organizational units that the configuration names contain each account.
//!
//! Each change is published as a new [`TargetList`] for the
//! [scheduler](crate::scheduler). Discovery does not know when targets are polled or
//! whether polling succeeds.
//!
//! Lookups are repeated at the refresh interval. A lookup that fails is retried with
//! back-off, independently of all others. Until the lookup succeeds, its last result is
//! kept, so no account is dropped because a lookup failed. An account whose regions could
//! never be listed is polled in the regions that are always enabled, so that the account
//! and its failure are visible. If only units cannot be listed, the accounts are updated
//! nevertheless, and the last known units are kept.
//!
//! A configuration that names all accounts and regions needs no lookups.

mod log;
mod lookup;
mod lookup_queue;
mod narrowing;
mod organization;
mod planner;
mod regions;
mod sources;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

pub(crate) use lookup::{AwsLookups, LookupKind, LookupObserver, Lookups};
pub(crate) use sources::OrganizationListing;
pub use sources::{
    AccountSources, AccountUnits, ConfiguredAccount, Member, MemberAccess, Members, Organization,
};

use crate::failure_log::{FailureLog, Problem, Subject};
use crate::fleet::{Account, AccountKey, FailingLookups, NotPolled, RegionName, Shard, TargetList};
use crate::model::{Failure, FailureScope, Reason};
use log::{Counts, DiscoveryLog};
use lookup::{LookupKey, LookupRequest, LookupResult};
use lookup_queue::LookupQueue;
use planner::{AccountRegions, EnabledRegions};

/// The maximum delay between a result and the new target list. Other lookups in progress
/// may end within the delay, and then all results are published together.
const PUBLISH_DELAY: Duration = Duration::from_millis(200);

/// The settings that a reload can change.
#[derive(Debug)]
pub(crate) struct Settings<L> {
    /// Makes the lookups.
    pub(crate) lookups: Arc<L>,
    /// The accounts to poll and their regions.
    pub(crate) sources: AccountSources,
    /// The maximum number of concurrent lookups.
    pub(crate) concurrency: NonZeroUsize,
}

/// Keeps the target list up to date.
#[derive(Debug)]
pub(crate) struct Discovery<L> {
    settings: Arc<Settings<L>>,
    settings_updates: watch::Receiver<Arc<Settings<L>>>,
    shard: Shard,
    observer: Arc<dyn LookupObserver>,
    target_list: watch::Sender<Arc<TargetList>>,
    queue: LookupQueue,
    /// Whether lookups that succeeded are repeated after the refresh interval.
    refreshes: bool,
    /// The accounts of the organization. `None` until they have been listed.
    members: Option<Members>,
    /// Whether `members` were listed with previous settings.
    members_are_outdated: bool,
    /// Whether the last listing of the organization lacks only the units of the accounts.
    only_units_failed: bool,
    /// All accounts to poll.
    accounts: Vec<AccountRegions>,
    /// What the narrowing of the sources selects although it is not polled, as far as the accounts tell.
    not_polled: Vec<NotPolled>,
    /// The enabled regions of each account for which they must be looked up.
    enabled_regions: HashMap<AccountKey, EnabledRegions>,
    log: DiscoveryLog,
    failure_log: Arc<FailureLog>,
}

impl<L: Lookups> Discovery<L> {
    /// Discovers the targets of `shard` according to the latest of `settings`. The
    /// returned receiver already holds the first target list, with all targets that need
    /// no lookup. `replica` is the name of this exporter; exporters with different names
    /// make the same lookup at different times.
    pub(crate) fn new(
        mut settings: watch::Receiver<Arc<Settings<L>>>,
        shard: Shard,
        replica: String,
        observer: Arc<dyn LookupObserver>,
        failure_log: Arc<FailureLog>,
    ) -> (Self, watch::Receiver<Arc<TargetList>>) {
        let current = Arc::clone(&settings.borrow_and_update());
        let (target_list, receiver) = watch::channel(Arc::default());
        let mut discovery = Self {
            settings: current,
            settings_updates: settings,
            shard,
            observer,
            target_list,
            queue: LookupQueue::new(replica),
            refreshes: true,
            members: None,
            members_are_outdated: false,
            only_units_failed: false,
            accounts: Vec::new(),
            not_polled: Vec::new(),
            enabled_regions: HashMap::new(),
            log: DiscoveryLog::default(),
            failure_log,
        };
        if discovery.settings.sources.organization.is_some() {
            discovery.queue.schedule_now(LookupKey::Organization);
        }
        discovery.update_accounts();
        discovery.publish();
        (discovery, receiver)
    }

    /// Repeats only lookups that fail, for one-shot mode. The refresh interval then does
    /// not limit their back-off.
    pub(crate) fn without_refresh(self) -> Self {
        Self { refreshes: false, ..self }
    }

    /// Makes lookups and publishes target lists until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut tasks: JoinSet<LookupResult> = JoinSet::new();
        // The lookup of each task.
        let mut in_progress: HashMap<Id, LookupKey> = HashMap::new();
        let mut publish_at: Option<Instant> = None;
        self.log_changes();

        loop {
            while tasks.len() < self.settings.concurrency.get() {
                let Some(key) = self.queue.pop_due() else { break };
                match self.request(&key) {
                    Some(request) => {
                        let lookups = Arc::clone(&self.settings.lookups);
                        let task = tasks.spawn(async move { request.send(&*lookups).await });
                        in_progress.insert(task.id(), key);
                    }
                    None => self.queue.remove(&key),
                }
            }
            if tasks.is_empty() {
                if publish_at.take().is_some() {
                    self.publish();
                }
                self.log_changes();
            }

            tokio::select! {
                () = shutdown.cancelled() => break,
                Ok(()) = self.settings_updates.changed() => {
                    if self.reconfigure() {
                        // Lookups in progress were started with the previous settings.
                        tasks = JoinSet::new();
                        self.queue.restart(in_progress.drain().map(|(_, key)| key));
                        publish_at = None;
                        self.publish();
                    }
                }
                Some(ended) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                    let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
                    let Some(key) = in_progress.remove(&id) else { continue };
                    let result = match ended {
                        Ok((_, result)) => result,
                        Err(error) => key.failed_result(panicked(&error)),
                    };
                    if self.handle_result(&key, result) {
                        publish_at.get_or_insert(Instant::now() + PUBLISH_DELAY);
                    }
                    let refresh_interval = self.refresh_interval(&key);
                    self.queue.delay(key, refresh_interval);
                }
                () = self.queue.delay_elapsed() => {}
                () = tokio::time::sleep_until(publish_at.unwrap_or_else(Instant::now)), if publish_at.is_some() => {
                    publish_at = None;
                    self.publish();
                }
            }
        }
    }

    /// `None` if lookups that succeeded are not repeated.
    fn refresh_interval(&self, key: &LookupKey) -> Option<Duration> {
        self.refreshes.then(|| self.settings.sources.refresh_interval_of(key))
    }

    /// The request for a lookup; `None` if its result is no longer needed.
    fn request(&self, key: &LookupKey) -> Option<LookupRequest> {
        match key {
            LookupKey::Organization => {
                let organization = self.settings.sources.organization.clone()?;
                Some(LookupRequest::Organization(Box::new(organization)))
            }
            LookupKey::Regions(key) if !self.enabled_regions.contains_key(key) => None,
            LookupKey::Regions(key) => {
                // If the account has several entries, only those with wildcards have a
                // session policy that allows listing regions.
                let may_list =
                    |entry: &&AccountRegions| entry.regions.needs_discovery() && entry.account.key() == *key;
                let entry = self.accounts.iter().find(may_list)?;
                Some(LookupRequest::Regions(Arc::clone(&entry.account)))
            }
        }
    }

    /// Records the result of a lookup. Returns whether a new target list should be
    /// published.
    fn handle_result(&mut self, key: &LookupKey, result: LookupResult) -> bool {
        let Update { changed, failure } = match result {
            LookupResult::Organization(result) => self.update_members(result),
            // The account may have left the organization during the lookup.
            LookupResult::Regions(account, _) if !self.enabled_regions.contains_key(&account) => {
                return false;
            }
            LookupResult::Regions(account, result) => self.update_regions(account, result),
        };
        self.observer.lookup_ended(key.kind(), failure.is_none());
        match failure {
            None => self.queue.record_success(key),
            Some(failure) => self.queue.record_failure(key, failure),
        }
        changed || self.target_list.borrow().failing_lookups != self.failing_lookups()
    }

    fn failing_lookups(&self) -> FailingLookups {
        let mut failing = self.queue.failing_lookups();
        if self.only_units_failed {
            failing.units = failing.organization.take();
        }
        failing
    }

    fn update_members(&mut self, result: Result<OrganizationListing, Failure>) -> Update {
        self.only_units_failed = matches!(&result, Ok(listing) if listing.units_failure.is_some());
        match result {
            Ok(OrganizationListing { mut members, units_failure }) => {
                self.log.organization_listed(members.accounts.len());
                self.update_units(&mut members, units_failure.as_ref());
                let were_outdated = std::mem::take(&mut self.members_are_outdated);
                let changed = self.members.as_ref() != Some(&members) || were_outdated;
                if changed {
                    self.members = Some(members);
                    self.update_accounts();
                }
                Update { changed, failure: units_failure }
            }
            Err(failure) => {
                let kept = self.members.as_ref().map_or(0, |members| members.accounts.len());
                self.log.organization_failed(&failure, kept);
                Update { changed: false, failure: Some(failure) }
            }
        }
    }

    /// Logs the listing of the units of `members`. If it failed, the last known units are kept. They
    /// lack the accounts that have joined since.
    fn update_units(&mut self, members: &mut Members, failure: Option<&Failure>) {
        match failure {
            None => {
                self.log.units_listed();
                let organization = self.settings.sources.organization.as_ref();
                if let (Some(organization), Some(units)) = (organization, &members.units) {
                    self.log
                        .log_warnings(planner::units_without_accounts(&organization.tracked_units, units));
                }
            }
            Some(failure) => {
                self.log.units_failed(failure);
                if let Some(previous) = &self.members {
                    members.units.clone_from(&previous.units);
                    members.listed_units.clone_from(&previous.listed_units);
                }
            }
        }
    }

    fn update_regions(&mut self, account: AccountKey, result: Result<Vec<RegionName>, Failure>) -> Update {
        let subject = Subject::enabled_regions(account.to_string());
        match &result {
            Ok(_) => self.failure_log.recovered(subject, None),
            // The credential store logs failures to obtain credentials.
            Err(Failure { scope: FailureScope::Credentials, .. }) => self.failure_log.forget(&subject),
            Err(failure) => self.failure_log.failed(subject, Problem::RegionsNotListed, failure),
        }
        let enabled = self.enabled_regions.entry(account).or_insert(EnabledRegions::Pending);
        let (new, failure) = match result {
            Ok(mut regions) => {
                regions.sort();
                (EnabledRegions::Known(regions.into()), None)
            }
            Err(failure) if *enabled == EnabledRegions::Pending => (EnabledRegions::Unknown, Some(failure)),
            Err(failure) => (enabled.clone(), Some(failure)),
        };
        let changed = *enabled != new;
        *enabled = new;
        Update { changed, failure }
    }

    /// Applies the latest settings. Returns whether they may change lookups or targets.
    /// Results of lookups with the previous settings are kept until the next lookup
    /// replaces them. The accounts of the organization are dropped if the latest settings
    /// have no organization, or most likely another one.
    fn reconfigure(&mut self) -> bool {
        let settings = Arc::clone(&self.settings_updates.borrow_and_update());
        let previous = std::mem::replace(&mut self.settings, settings);
        let current = Arc::clone(&self.settings);
        // The operator may have fixed the cause of a failure before the reload.
        self.queue.retry_failing();
        if previous.sources == current.sources && Arc::ptr_eq(&previous.lookups, &current.lookups) {
            return false;
        }
        match (&previous.sources.organization, &current.sources.organization) {
            (_, None) => self.members = None,
            // With a different administrator account, it is most likely another organization.
            (Some(previous), Some(current)) if previous.administrator.id != current.administrator.id => {
                self.members = None;
            }
            // It is most likely the same organization, listed or accessed in another way. Its
            // accounts are kept until it has been listed again.
            _ => self.members_are_outdated = self.members.is_some(),
        }
        self.update_accounts();
        if current.sources.organization.is_some() {
            self.queue.schedule_now(LookupKey::Organization);
        }
        if previous.sources.refresh_interval != current.sources.refresh_interval {
            let refreshes = self.refreshes;
            self.queue
                .apply_refresh_intervals(|key| refreshes.then(|| current.sources.refresh_interval_of(key)));
        }
        true
    }

    /// Recomputes the accounts to poll. Schedules a lookup of the regions of each account
    /// that newly needs one, and drops the lookups and results of accounts that no longer
    /// need one, for example because they have left the organization.
    fn update_accounts(&mut self) {
        let (accounts, warnings) = planner::accounts(&self.settings.sources, self.members.as_ref());
        let sources = &self.settings.sources;
        let has_all_accounts = sources.organization.is_none() || self.members.is_some();
        (self.accounts, self.not_polled) = narrowing::narrowed(sources, accounts, has_all_accounts);
        self.log.log_warnings(warnings);
        let mut previous = std::mem::take(&mut self.enabled_regions);
        let need_lookup: HashSet<AccountKey> = self
            .accounts
            .iter()
            .filter(|entry| entry.regions.needs_discovery())
            .map(|entry| entry.account.key())
            .collect();
        for key in need_lookup {
            let enabled = previous.remove(&key).unwrap_or_else(|| {
                self.queue.schedule_now(LookupKey::Regions(key.clone()));
                EnabledRegions::Pending
            });
            self.enabled_regions.insert(key, enabled);
        }
        for key in previous.into_keys() {
            self.failure_log.forget(&Subject::enabled_regions(key.to_string()));
            self.queue.remove(&LookupKey::Regions(key));
        }
        let mut accounts_to_call: Vec<&Account> = self.accounts.iter().map(|entry| &*entry.account).collect();
        accounts_to_call.extend(
            self.settings.sources.organization.iter().map(|organization| &*organization.administrator),
        );
        self.settings.lookups.retain(&accounts_to_call);
    }

    fn publish(&mut self) {
        let organization_is_pending = self.settings.sources.organization.is_some()
            && (self.members.is_none() || self.members_are_outdated);
        let (mut target_list, warnings) =
            planner::target_list(&self.accounts, &self.enabled_regions, organization_is_pending, self.shard);
        target_list.failing_lookups = self.failing_lookups();
        target_list.accounts =
            Arc::new(planner::polled_accounts(&self.accounts, &self.enabled_regions, |key| {
                self.queue.failure(&LookupKey::Regions(key))
            }));
        target_list.not_polled.clone_from(&self.not_polled);
        if target_list.pending_lookups == 0 && self.not_polled.is_empty() {
            let selected = &self.settings.sources.narrowing;
            target_list.not_polled =
                narrowing::regions_not_enabled(selected, &self.accounts, &self.enabled_regions);
        }
        // A pending lookup may still find a region that a wildcard matches.
        if target_list.pending_lookups == 0 {
            self.log.log_warnings(warnings);
        }
        debug!(
            targets = target_list.targets.len(),
            pending = target_list.pending_lookups,
            "target list computed"
        );
        self.target_list.send_if_modified(|current| {
            let changed = **current != target_list;
            if changed {
                *current = Arc::new(target_list);
            }
            changed
        });
    }

    fn log_changes(&mut self) {
        let (targets, has_pending_lookups) = {
            let target_list = self.target_list.borrow();
            (target_list.targets.len(), target_list.pending_lookups > 0)
        };
        self.log.log_counts(Counts { accounts: self.accounts.len(), targets, has_pending_lookups });
    }
}

/// The effect of a lookup's result.
struct Update {
    /// Whether accounts or regions have changed.
    changed: bool,
    failure: Option<Failure>,
}

impl AccountSources {
    fn refresh_interval_of(&self, key: &LookupKey) -> Duration {
        match (key, &self.organization) {
            (LookupKey::Organization, Some(organization)) => organization.refresh_interval,
            _ => self.refresh_interval,
        }
    }
}

/// A panic in one lookup is a failure of that lookup only.
fn panicked(error: &JoinError) -> Failure {
    // The panic hook has logged the location with the same task number. The message of the panic
    // is not shown, because it may contain a secret.
    Failure::new(Reason::Other, format!("the lookup panicked in task {}, which is a bug", error.id()))
}

#[cfg(test)]
mod tests;
