//! Where credentials come from, and how long they are cached.
//!
//! Credentials are obtained before a call is made. The SDK would obtain them in
//! the middle of the call, so every target of an account would send a request of
//! its own for them, and a failure to obtain them would look like a failure of
//! the call.

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
use super::instrumentation::ApiObserver;
use super::sdk::SdkConfigSource;
use super::single_flight::{Fetched, SingleFlight};
use super::sts::{AssumeRoleFailure, assume_role, caller_account, is_sts_unavailable};
use crate::clock::Clock;
use crate::fleet::{AccountId, RegionName, Role};
use crate::model::{Failure, Reason};

/// How long before they expire credentials are refreshed, or half of their
/// lifetime if that is shorter.
const REFRESH_BEFORE_EXPIRY: Duration = Duration::from_mins(5);

/// How long credentials that do not expire are cached. The operator may have
/// changed them meanwhile.
const TTL_WITHOUT_EXPIRY: Duration = Duration::from_mins(15);

/// After a failed refresh: how long the previous credentials, while they are
/// valid, are used before the next attempt.
const REFRESH_RETRY: Duration = Duration::from_secs(30);

/// How long after its last failure STS counts as recovered.
const STS_RECOVERY: Duration = Duration::from_mins(1);

/// How many roles are assumed concurrently with the same credentials. AWS allows
/// an account 600 requests a second in a region. (IAM user guide, quotas.)
const MAX_CONCURRENT_ASSUME_ROLE: usize = 16;

/// Where credentials come from.
#[derive(Debug)]
pub(super) enum CredentialSource {
    /// A profile, or the SDK's default chain.
    Sdk(SdkConfigSource),
    /// A role that is assumed.
    Role {
        /// Its region decides which endpoint of STS is called. (Sessions from a
        /// regional endpoint are valid in all regions, those from the global
        /// endpoint are not.)
        config: Arc<SdkConfig>,
        /// The credentials that assume the role.
        base: Arc<CredentialStore>,
        role: Role,
        observer: Arc<dyn ApiObserver>,
    },
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sdk(SdkConfigSource { profile: Some(profile), .. }) => write!(f, "profile {profile}"),
            Self::Sdk(_) => f.write_str("default chain"),
            Self::Role { role, .. } => role.arn.fmt(f),
        }
    }
}

/// Caches the credentials of one source, refreshes them, and logs when they
/// cannot be obtained.
#[derive(Debug)]
pub(crate) struct CredentialStore {
    source: CredentialSource,
    timeout: Duration,
    cache: SingleFlight<CachedCredentials>,
    /// The latest credentials that expire, and until when a collection may start
    /// with them.
    latest: Mutex<Option<(Arc<CachedCredentials>, Instant)>>,
    /// The failure that was logged last, until credentials are obtained again.
    logged_failure: Mutex<Option<Reason>>,
    /// How often in a row STS has rejected these credentials.
    rejections: AtomicU32,
    /// Why and when STS last failed to answer when a role was to be assumed with
    /// these credentials. The first such failure was logged.
    sts_failure: Mutex<Option<(Reason, Instant)>>,
    /// Limits how many roles are assumed concurrently with these credentials.
    assume_role_permits: Semaphore,
}

/// Credentials, and what has been learned about them.
#[derive(Debug)]
pub(crate) struct CachedCredentials {
    pub(crate) credentials: Credentials,
    /// The client that uses them, created on first use.
    pub(super) ssm: OnceLock<aws_sdk_ssm::Client>,
    /// The account that they belong to, looked up on first use.
    pub(super) account: SingleFlight<AccountId>,
    /// The regions in which AWS has accepted them.
    accepted_in: Mutex<BTreeSet<RegionName>>,
}

impl CredentialStore {
    /// A store for the credentials of `source`. Obtaining them may take `timeout`.
    pub(super) fn new(source: CredentialSource, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            source,
            timeout,
            cache: SingleFlight::default(),
            latest: Mutex::default(),
            logged_failure: Mutex::default(),
            rejections: AtomicU32::new(0),
            sts_failure: Mutex::default(),
            assume_role_permits: Semaphore::new(MAX_CONCURRENT_ASSUME_ROLE),
        })
    }

    /// The cached credentials, or new ones.
    ///
    /// # Errors
    /// No credentials could be obtained, now or recently. The store logs that, so
    /// the caller need not.
    pub(crate) async fn get(&self) -> Result<Arc<CachedCredentials>, Failure> {
        // During a refresh, all callers but the first go on with credentials that
        // are still valid.
        if self.cache.is_fetching()
            && let Some((cached, _)) = self.still_valid()
        {
            return Ok(cached);
        }
        self.cache.get(self.fetch()).await.map_err(Failure::of_credentials)
    }

    /// Evicts credentials that AWS does not accept any longer, unless newer ones
    /// have replaced them.
    pub(crate) fn evict(&self, cached: &Arc<CachedCredentials>) {
        let mut latest = self.latest.lock();
        if latest.as_ref().is_some_and(|(latest, _)| Arc::ptr_eq(latest, cached)) {
            *latest = None;
        }
        drop(latest);
        self.cache.evict(cached);
    }

    /// STS has rejected these credentials, and would for every other role. The
    /// failure is cached in their place, so that they are not obtained again at
    /// the next call.
    fn reject(&self, cached: &Arc<CachedCredentials>, failure: &Failure) {
        let earlier = self.rejections.load(Ordering::Relaxed);
        // Newer credentials may be accepted.
        if self.cache.replace_with_failure(cached, failure.clone(), earlier) {
            self.rejections.store(earlier + 1, Ordering::Relaxed);
            *self.latest.lock() = None;
            self.log_change(Some(failure));
        }
    }

    /// A role was assumed with these credentials.
    fn role_assumed(&self) {
        if self.rejections.swap(0, Ordering::Relaxed) > 0 {
            self.log_change(None);
        }
        let mut sts_failure = self.sts_failure.lock();
        // STS has not recovered while it fails for some of the roles.
        if sts_failure.is_some_and(|(_, last)| last.elapsed() >= STS_RECOVERY) {
            *sts_failure = None;
            info!(source = %self.source, "can assume roles again");
        }
    }

    /// STS did not answer, or is throttling. This concerns every role that is
    /// assumed with these credentials, so it is logged once for all of them.
    fn sts_unavailable(&self, failure: &Failure) {
        let before = self.sts_failure.lock().replace((failure.reason, Instant::now()));
        if before.is_none() {
            let Failure { reason, message, .. } = failure;
            warn!(source = %self.source, %reason, error = message, "cannot assume roles");
        }
    }

    async fn fetch(&self) -> Fetched<CachedCredentials> {
        match self.obtain().await {
            Obtained::Credentials(credentials) => {
                // After a rejection, only STS can tell whether these are accepted.
                if self.rejections.load(Ordering::Relaxed) == 0 {
                    self.log_change(None);
                }
                let Lifetime { refresh_after, expires_after } = lifetime(&credentials);
                let cached = Arc::new(CachedCredentials {
                    credentials,
                    ssm: OnceLock::new(),
                    account: SingleFlight::default(),
                    accepted_in: Mutex::default(),
                });
                // A collection that starts with them must end before they expire.
                let usable_for =
                    |expires: Duration| expires.saturating_sub((self.timeout * 2).min(expires / 4));
                *self.latest.lock() =
                    expires_after.map(|expires| (Arc::clone(&cached), Instant::now() + usable_for(expires)));
                Fetched::Value(cached, Some(refresh_after))
            }
            Obtained::Failure(failure) => {
                self.log_change(Some(&failure));
                self.reuse_latest().unwrap_or(Fetched::Failed(failure))
            }
            Obtained::StsUnavailable(failure) => self.reuse_latest().unwrap_or(Fetched::Failed(failure)),
            Obtained::NoBaseCredentials(failure) => {
                self.reuse_latest().unwrap_or(Fetched::NotCached(failure))
            }
        }
    }

    /// The latest credentials and for how long they may still be used, if at all.
    fn still_valid(&self) -> Option<(Arc<CachedCredentials>, Duration)> {
        let latest = self.latest.lock();
        let (cached, end) = latest.as_ref()?;
        let usable_for = end.saturating_duration_since(Instant::now());
        (!usable_for.is_zero()).then(|| (Arc::clone(cached), usable_for))
    }

    /// After a failed refresh: the latest credentials, if they are still valid,
    /// until the next attempt.
    fn reuse_latest(&self) -> Option<Fetched<CachedCredentials>> {
        let (cached, usable_for) = self.still_valid()?;
        Some(Fetched::Value(cached, Some(usable_for.min(REFRESH_RETRY))))
    }

    async fn obtain(&self) -> Obtained {
        match &self.source {
            CredentialSource::Sdk(source) => {
                match tokio::time::timeout(self.timeout, Box::pin(source.credentials())).await {
                    Ok(Ok(credentials)) => Obtained::Credentials(credentials),
                    Ok(Err(error)) => Obtained::Failure(errors::credentials_failure(&error)),
                    Err(_elapsed) => {
                        let message = format!("no credentials within {:?}", self.timeout);
                        Obtained::Failure(Failure::new(Reason::Timeout, message))
                    }
                }
            }
            // The SDK's timeouts limit this one.
            CredentialSource::Role { config, base, role, observer } => {
                let cached = match Box::pin(base.get()).await {
                    Ok(cached) => cached,
                    Err(failure) => return Obtained::NoBaseCredentials(failure),
                };
                // The semaphore is never closed.
                let _permit = base.assume_role_permits.acquire().await;
                match Box::pin(assume_role(config, &cached.credentials, role, observer)).await {
                    Ok(credentials) => {
                        base.role_assumed();
                        Obtained::Credentials(credentials)
                    }
                    Err(AssumeRoleFailure { failure, credentials_expired: true }) => {
                        base.evict(&cached);
                        Obtained::Failure(failure)
                    }
                    Err(AssumeRoleFailure { failure, .. }) if failure.reason == Reason::Credentials => {
                        // STS answers the same if only the role's account has not
                        // enabled the region of STS.
                        match Box::pin(caller_account(config, &cached.credentials, observer)).await {
                            Err(of_caller) if of_caller.reason == Reason::Credentials => {
                                base.reject(&cached, &failure);
                                Obtained::NoBaseCredentials(failure)
                            }
                            _ => Obtained::Failure(failure),
                        }
                    }
                    Err(AssumeRoleFailure { failure, .. }) if is_sts_unavailable(failure.reason) => {
                        base.sts_unavailable(&failure);
                        Obtained::StsUnavailable(failure)
                    }
                    Err(AssumeRoleFailure { failure, .. }) => Obtained::Failure(failure),
                }
            }
        }
    }

    /// Logs when credentials can no longer be obtained, when the reason changes,
    /// and when they can be obtained again. The targets that share them do not
    /// log it.
    fn log_change(&self, failure: Option<&Failure>) {
        let before =
            std::mem::replace(&mut *self.logged_failure.lock(), failure.map(|failure| failure.reason));
        let source = &self.source;
        match (before, failure) {
            (before, Some(Failure { reason, message, .. })) if before != Some(*reason) => {
                warn!(%source, %reason, error = message, "cannot obtain credentials");
            }
            (Some(_), None) => info!(%source, "can obtain credentials again"),
            _ => {}
        }
    }
}

/// The outcome of an attempt to obtain credentials.
enum Obtained {
    Credentials(Credentials),
    /// The source has none, or refuses them.
    Failure(Failure),
    /// STS did not answer, which the store of the base credentials has logged.
    StsUnavailable(Failure),
    /// There are no credentials to assume the role with. The store of the base
    /// credentials has logged and cached that.
    NoBaseCredentials(Failure),
}

impl CachedCredentials {
    /// Records that AWS has accepted them in `region`.
    pub(crate) fn mark_accepted_in(&self, region: &RegionName) {
        // Avoids a copy of the name for a region that is recorded already.
        let mut accepted_in = self.accepted_in.lock();
        if !accepted_in.contains(region) {
            accepted_in.insert(region.clone());
        }
    }

    /// Whether AWS has accepted them in other regions, but never in `region`.
    pub(crate) fn accepted_only_outside(&self, region: &RegionName) -> bool {
        let accepted_in = self.accepted_in.lock();
        !accepted_in.is_empty() && !accepted_in.contains(region)
    }
}

/// How long credentials are used.
struct Lifetime {
    refresh_after: Duration,
    /// `None` if they do not expire.
    expires_after: Option<Duration>,
}

fn lifetime(credentials: &Credentials) -> Lifetime {
    let Some(expiry) = credentials.expiry() else {
        return Lifetime { refresh_after: TTL_WITHOUT_EXPIRY, expires_after: None };
    };
    // AWS's times are of the real world, whatever clock a test uses.
    let expiry = expiry.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = Duration::try_from_secs_f64(Clock::system().now()).unwrap_or_default();
    let left = expiry.saturating_sub(now);
    Lifetime {
        refresh_after: left.saturating_sub(REFRESH_BEFORE_EXPIRY.min(left / 2)),
        expires_after: Some(left),
    }
}
