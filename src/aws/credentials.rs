//! Credentials: where they come from, and how long they are kept.
//!
//! They are had before a call is made and not, as the SDK would, in the middle
//! of it: so that all targets of an account share one request for them, good
//! or bad, and so that what goes wrong there is not taken for a fault of the
//! call.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{info, warn};

use super::errors;
use super::instrumentation::Observe;
use super::sdk::SdkConfigSource;
use super::single_flight::{Fetched, SingleFlight};
use super::sts::{AssumeRoleFailure, assume, caller, is_of_sts};
use crate::clock::Clock;
use crate::fleet::{AccountId, RegionName, Role};
use crate::model::{Failure, Reason};

/// How long before their end credentials are renewed, unless they live too
/// short for that.
const RENEW_BEFORE: Duration = Duration::from_mins(5);

/// How long credentials without an end are kept before they are looked up
/// again, in case the operator has changed them.
const LOOK_UP_AGAIN: Duration = Duration::from_mins(15);

/// How long to go on with credentials that are still good before their renewal
/// is tried again.
const RENEW_AGAIN: Duration = Duration::from_secs(30);

/// How long STS has to have answered before the log is told that it does again.
const QUIET: Duration = Duration::from_mins(1);

/// How many roles are assumed at once with the same credentials.
const ASSUMING: usize = 16;

/// Where credentials come from.
#[derive(Debug)]
pub(super) enum Source {
    /// A profile, or the SDK's default chain.
    LookUp(SdkConfigSource),
    /// A role, assumed with the credentials of another store.
    Role {
        /// The configuration whose region's endpoint is asked. (Sessions from a
        /// regional endpoint are valid in all regions, those from the global
        /// one are not.)
        config: Arc<SdkConfig>,
        /// Whose credentials assume the role.
        start: Arc<CredentialStore>,
        /// The role.
        role: Role,
        /// Is told of the calls.
        observe: Observe,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LookUp(SdkConfigSource { profile: Some(profile), .. }) => write!(f, "profile {profile}"),
            Self::LookUp(_) => f.write_str("default chain"),
            Self::Role { role, .. } => role.arn.fmt(f),
        }
    }
}

/// Keeps the credentials of one source.
#[derive(Debug)]
pub(crate) struct CredentialStore {
    source: Source,
    timeout: Duration,
    current: SingleFlight<CachedCredentials>,
    /// The last ones, and the moment they end, if they do.
    last: Mutex<Option<(Arc<CachedCredentials>, Instant)>>,
    /// Why there have been no new ones of late. The log was told.
    trouble: Mutex<Option<Reason>>,
    /// How often in a row AWS has not taken them to assume a role.
    refusals: AtomicU32,
    /// Why, and when at last, STS did not answer when a role was to be assumed
    /// with them. The log was told.
    sts_trouble: Mutex<Option<(Reason, Instant)>>,
    /// How many roles may be assumed with them at once: AWS allows an account
    /// 600 a second in a region. (IAM user guide, quotas.)
    assuming: Semaphore,
}

/// Credentials, and what is known of them.
#[derive(Debug)]
pub(crate) struct CachedCredentials {
    pub(crate) credentials: Credentials,
    /// A client with them, once somebody has made one.
    pub(super) ssm: OnceLock<aws_sdk_ssm::Client>,
    /// The account that they belong to, once somebody has asked.
    pub(super) account: SingleFlight<AccountId>,
    /// The regions in which AWS has taken them.
    worked: Mutex<BTreeSet<RegionName>>,
}

impl CredentialStore {
    /// Keeps what `source` gives, which has `timeout` to do so.
    pub(super) fn new(source: Source, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            source,
            timeout,
            current: SingleFlight::default(),
            last: Mutex::default(),
            trouble: Mutex::default(),
            refusals: AtomicU32::new(0),
            sts_trouble: Mutex::default(),
            assuming: Semaphore::new(ASSUMING),
        })
    }

    /// The credentials; those that are kept, or new ones.
    ///
    /// # Errors
    /// There are none to be had, or were none a while ago.
    pub(crate) async fn get(&self) -> Result<Arc<CachedCredentials>, Failure> {
        // One who waits for the renewal of credentials that are still good is
        // enough.
        if self.current.is_under_way()
            && let Some((lent, _)) = self.still_good()
        {
            return Ok(lent);
        }
        self.current.get(self.fetch()).await
    }

    /// Drops `lent`, which AWS does not take any more. Newer ones stay.
    pub(crate) fn discard(&self, lent: &Arc<CachedCredentials>) {
        let mut last = self.last.lock();
        if last.as_ref().is_some_and(|(last, _)| Arc::ptr_eq(last, lent)) {
            *last = None;
        }
        drop(last);
        self.current.discard(lent);
    }

    /// STS does not take `lent`. They are not asked for again at once: all other
    /// roles would be refused as well. Returns the failure of all of them.
    fn refused(&self, lent: &Arc<CachedCredentials>, failure: Failure) -> Failure {
        let before = self.refusals.load(Ordering::Relaxed);
        // Newer ones may be better.
        if self.current.refuse(lent, failure.clone().logged(), before) {
            self.refusals.store(before + 1, Ordering::Relaxed);
            *self.last.lock() = None;
            self.tell(Some(&failure));
        }
        failure.logged()
    }

    /// STS has taken them to assume a role.
    fn accepted(&self) {
        if self.refusals.swap(0, Ordering::Relaxed) > 0 {
            self.tell(None);
        }
        let mut trouble = self.sts_trouble.lock();
        // While some roles can be assumed and others cannot, it goes on.
        if trouble.is_some_and(|(_, last)| last.elapsed() >= QUIET) {
            *trouble = None;
            info!(with = %self.source, "roles can be assumed again");
        }
    }

    /// STS does not answer, or not well. That is not about one role, and is
    /// told once for all that are assumed with these credentials.
    fn no_answer(&self, failure: &Failure) {
        let before = self.sts_trouble.lock().replace((failure.reason, Instant::now()));
        if before.is_none() {
            let Failure { reason, message, .. } = failure;
            warn!(with = %self.source, %reason, error = message, "roles cannot be assumed for now");
        }
    }

    async fn fetch(&self) -> Fetched<CachedCredentials> {
        match self.ask().await {
            Asked::Got(credentials) => {
                // Whether those that AWS did not take are better now is to be
                // seen.
                if self.refusals.load(Ordering::Relaxed) == 0 {
                    self.tell(None);
                }
                let keep = keep_for(&credentials);
                let lent = Arc::new(CachedCredentials {
                    credentials,
                    ssm: OnceLock::new(),
                    account: SingleFlight::default(),
                    worked: Mutex::default(),
                });
                // A collection that begins at the very end would outlive them.
                let good_for = |end: Duration| end.saturating_sub((self.timeout * 2).min(end / 4));
                *self.last.lock() = keep.end.map(|end| (Arc::clone(&lent), Instant::now() + good_for(end)));
                Fetched::Value(lent, Some(keep.renew))
            }
            Asked::Refused(failure) => {
                self.tell(Some(&failure));
                self.for_a_while().unwrap_or(Fetched::Failed(failure.logged()))
            }
            Asked::NoAnswer(failure) => self.for_a_while().unwrap_or(Fetched::Failed(failure)),
            Asked::Helpless(failure) => self.for_a_while().unwrap_or(Fetched::NotAsked(failure)),
        }
    }

    /// The last ones, if they are still good, and for how long.
    fn still_good(&self) -> Option<(Arc<CachedCredentials>, Duration)> {
        let last = self.last.lock();
        let (lent, end) = last.as_ref()?;
        let good_for = end.saturating_duration_since(Instant::now());
        (!good_for.is_zero()).then(|| (Arc::clone(lent), good_for))
    }

    /// The last ones, until their renewal is to be tried again.
    fn for_a_while(&self) -> Option<Fetched<CachedCredentials>> {
        let (lent, good_for) = self.still_good()?;
        Some(Fetched::Value(lent, Some(good_for.min(RENEW_AGAIN))))
    }

    async fn ask(&self) -> Asked {
        match &self.source {
            Source::LookUp(recipe) => {
                match tokio::time::timeout(self.timeout, Box::pin(recipe.credentials())).await {
                    Ok(Ok(credentials)) => Asked::Got(credentials),
                    Ok(Err(error)) => Asked::Refused(errors::credentials_failure(&error)),
                    Err(_elapsed) => {
                        let message = format!("no credentials came within {:?}", self.timeout);
                        Asked::Refused(Failure::new(Reason::Timeout, message))
                    }
                }
            }
            // The SDK's own timeouts end this one.
            Source::Role { config, start, role, observe } => {
                let lent = match Box::pin(start.get()).await {
                    Ok(lent) => lent,
                    Err(failure) => return Asked::Helpless(failure),
                };
                // The semaphore is never closed.
                let _one_of_few = start.assuming.acquire().await;
                match Box::pin(assume(config, &lent.credentials, role, observe.clone())).await {
                    Ok(credentials) => {
                        start.accepted();
                        Asked::Got(credentials)
                    }
                    Err(AssumeRoleFailure { failure, expired: true }) => {
                        start.discard(&lent);
                        Asked::Refused(failure)
                    }
                    // It may be the role's account that does not know them,
                    // because it has not enabled the region of STS.
                    Err(AssumeRoleFailure { failure, .. }) if failure.reason == Reason::Credentials => {
                        match Box::pin(caller(config, &lent.credentials, observe.clone())).await {
                            Err(of_all) if of_all.reason == Reason::Credentials => {
                                Asked::Helpless(start.refused(&lent, failure))
                            }
                            _ => Asked::Refused(failure),
                        }
                    }
                    Err(AssumeRoleFailure { failure, .. }) if is_of_sts(failure.reason) => {
                        start.no_answer(&failure);
                        Asked::NoAnswer(failure.logged())
                    }
                    Err(AssumeRoleFailure { failure, .. }) => Asked::Refused(failure),
                }
            }
        }
    }

    /// Tells the log when trouble begins, changes and ends. All targets of the
    /// account suffer from it, and would say the same.
    fn tell(&self, failure: Option<&Failure>) {
        let before = std::mem::replace(&mut *self.trouble.lock(), failure.map(|failure| failure.reason));
        let from = &self.source;
        match (before, failure) {
            (before, Some(Failure { reason, message, .. })) if before != Some(*reason) => {
                warn!(%from, %reason, error = message, "credentials cannot be had");
            }
            (Some(_), None) => info!(%from, "credentials can be had again"),
            _ => {}
        }
    }
}

/// What became of asking for credentials.
enum Asked {
    Got(Credentials),
    Refused(Failure),
    /// Nobody answered, which the log knows.
    NoAnswer(Failure),
    /// There are none to ask with.
    Helpless(Failure),
}

impl CachedCredentials {
    /// AWS has taken them in `region`.
    pub(crate) fn worked_in(&self, region: &RegionName) {
        // Most often it is known, and needs no copy of the name.
        let mut worked = self.worked.lock();
        if !worked.contains(region) {
            worked.insert(region.clone());
        }
    }

    /// Whether AWS has taken them elsewhere but never in `region`.
    pub(crate) fn work_only_elsewhere(&self, region: &RegionName) -> bool {
        let worked = self.worked.lock();
        !worked.is_empty() && !worked.contains(region)
    }
}

/// How long credentials are kept.
struct Keep {
    /// Until they are to be renewed.
    renew: Duration,
    /// Until they end.
    end: Option<Duration>,
}

fn keep_for(credentials: &Credentials) -> Keep {
    let Some(expiry) = credentials.expiry() else { return Keep { renew: LOOK_UP_AGAIN, end: None } };
    // AWS's times are of the real world, whatever clock a test shows.
    let expiry = expiry.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = Duration::try_from_secs_f64(Clock::system().now()).unwrap_or_default();
    let left = expiry.saturating_sub(now);
    Keep { renew: left.saturating_sub(RENEW_BEFORE.min(left / 2)), end: Some(left) }
}
