//! Obtains, caches and refreshes credentials.
//!
//! Credentials are obtained before a call is made. Left to the SDK, they would be obtained
//! during the call: every target of an account would send its own request for credentials,
//! and a failure to obtain them would look like a failure of the call.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;
use tracing::warn;

use super::credential_check::check_credentials;
use super::errors;
use super::instrumentation::ApiObserver;
use super::lifetime::{Lifetime, Validity};
use super::origin::CredentialOrigin;
use super::panics::catch_panic;
use super::recording::Recording;
use super::sdk::{SdkConfigLoader, check_timeout};
use super::single_flight::{Fetched, SingleFlight};
use super::sts::{AssumeRoleFailure, assume_role, is_sts_unavailable};
use super::verdict::{CachedVerdict, Verdict};
use crate::failure_log::{FailureLog, Problem, Subject};
use crate::fleet::{AccountId, RegionName, Role};
use crate::model::{Failure, Reason};

/// The time between a failed refresh and the next attempt, while the previous
/// credentials are still valid.
const REFRESH_RETRY: Duration = Duration::from_secs(30);

/// The minimum time between two replacements of credentials that AWS had accepted before it
/// rejected them. A service and STS that are wrong about them would otherwise cause a request for
/// credentials in every collection.
const REPLACE_INTERVAL: Duration = Duration::from_mins(1);

/// The minimum time between two refreshes of credentials that a service has rejected, but of which
/// STS does not say whether they are valid.
const UNCONFIRMED_REFRESH_INTERVAL: Duration = Duration::from_mins(5);

/// How long STS must not have failed before it counts as recovered.
const STS_RECOVERY: Duration = Duration::from_mins(1);

/// How many roles may be assumed concurrently with the same credentials. The quota of STS is
/// 600 requests per second, account and region. (IAM user guide, quotas.)
const MAX_CONCURRENT_ASSUME_ROLE: usize = 16;

/// Where credentials come from.
#[derive(Clone, Debug)]
pub(super) enum CredentialSource {
    /// A profile, or the SDK's default chain.
    Sdk(SdkConfigLoader),
    /// What a recording has of a profile, or of the default chain.
    Recorded { profile: Option<String>, recording: Arc<Recording> },
    /// A role to assume.
    Role {
        /// The SDK's configuration, with the region of the STS endpoint. (Credentials from
        /// a regional endpoint are valid in all regions, those from the global endpoint are
        /// not.)
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
            Self::Sdk(SdkConfigLoader { profile, .. }) | Self::Recorded { profile, .. } => match profile {
                Some(profile) => write!(f, "profile {profile}"),
                None => f.write_str("default chain"),
            },
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
    /// The latest credentials and the time until which a collection may start with them.
    /// `None` if they do not expire.
    latest: Mutex<Option<(Arc<CachedCredentials>, Instant)>>,
    /// Where the credentials of a profile or default chain come from.
    pub(super) origin: OnceCell<CredentialOrigin>,
    /// How the last attempt to obtain credentials ended. `None` if there was none, or not with the base
    /// credentials that it needs.
    last_fetch: Mutex<Option<Result<Arc<CachedCredentials>, Failure>>>,
    /// The number of consecutive times that AWS has rejected new credentials.
    rejections: AtomicU32,
    /// How many of the latest credentials had little time left when they were obtained. See
    /// [`Lifetime::is_short`].
    short_lived: AtomicU32,
    /// When rejected credentials were last evicted.
    last_eviction: Mutex<Option<Instant>>,
    /// Whether it was logged that credentials had expired already when they were obtained.
    expiry_logged: AtomicBool,
    /// The time of the last failure of STS itself when a role was assumed with these
    /// credentials. The first such failure was logged. `None` once STS has recovered.
    sts_failure: Mutex<Option<Instant>>,
    /// Limits how many roles are assumed concurrently with these credentials.
    assume_role_permits: Semaphore,
    failure_log: Arc<FailureLog>,
    /// Identifies this store in `failure_log`.
    id: u64,
}

/// Credentials, and what has been learned about them.
#[derive(Debug)]
pub(crate) struct CachedCredentials {
    pub(crate) credentials: Credentials,
    /// The client that uses these credentials, created on first use.
    pub(super) ssm_client: Mutex<Option<aws_sdk_ssm::Client>>,
    /// The account that the credentials belong to, looked up on first use.
    pub(super) account: SingleFlight<AccountId>,
    /// What STS said when a service had rejected the credentials.
    pub(super) verdict: CachedVerdict,
    /// Whether AWS has accepted the credentials at least once.
    accepted: AtomicBool,
    /// The regions in which SSM has accepted the credentials.
    accepted_in: Mutex<BTreeSet<RegionName>>,
}

impl CredentialStore {
    /// A store for the credentials of `source`. A profile or default chain must provide
    /// them within `timeout`, which is half of the timeout of a collection.
    pub(super) fn new(
        source: CredentialSource,
        timeout: Duration,
        failure_log: &Arc<FailureLog>,
    ) -> Arc<Self> {
        Arc::new(Self {
            source,
            timeout,
            cache: SingleFlight::default(),
            latest: Mutex::default(),
            origin: OnceCell::new(),
            last_fetch: Mutex::default(),
            rejections: AtomicU32::new(0),
            short_lived: AtomicU32::new(0),
            last_eviction: Mutex::default(),
            expiry_logged: AtomicBool::new(false),
            sts_failure: Mutex::default(),
            assume_role_permits: Semaphore::new(MAX_CONCURRENT_ASSUME_ROLE),
            failure_log: Arc::clone(failure_log),
            id: failure_log.next_id(),
        })
    }

    pub(super) fn source(&self) -> &CredentialSource {
        &self.source
    }

    /// How the last attempt to obtain credentials ended. `None` if there was none, or not with the base
    /// credentials that it needs.
    pub(super) fn last_fetch(&self) -> Option<Result<Arc<CachedCredentials>, Failure>> {
        self.last_fetch.lock().clone()
    }

    /// The cached credentials, or new ones.
    ///
    /// # Errors
    /// No credentials could be obtained, now or recently. The store logs the failure, so
    /// the caller need not.
    pub(crate) async fn get(&self) -> Result<Arc<CachedCredentials>, Failure> {
        // During a refresh, all callers but the first continue with the previous
        // credentials if they are still valid.
        if self.cache.is_fetching()
            && let Some((cached, _)) = self.still_valid()
        {
            return Ok(cached);
        }
        self.cache.get(self.fetch()).await.map_err(Failure::with_credentials_scope)
    }

    /// Removes credentials that STS has rejected, unless newer ones have replaced them. New
    /// credentials are obtained immediately if AWS has accepted the old ones before, because
    /// they have probably expired. Otherwise new ones would probably be rejected as well:
    /// `failure` is cached in their place, with a back-off, and logged. Returns whether it is
    /// cached.
    pub(crate) fn reject(&self, cached: &Arc<CachedCredentials>, failure: &Failure) -> bool {
        if !cached.accepted.load(Ordering::Relaxed) {
            // A service and STS that were wrong about the previous credentials may be the first that
            // these are sent to. The other services get the time to accept them.
            let replaced_others =
                self.last_eviction.lock().is_some_and(|last| last.elapsed() < REPLACE_INTERVAL);
            if !replaced_others {
                self.cache_rejection(cached, failure);
            }
            return !replaced_others;
        }
        if self.evict_after(REPLACE_INTERVAL, cached) {
            let mut latest = self.latest.lock();
            if latest.as_ref().is_some_and(|(latest, _)| Arc::ptr_eq(latest, cached)) {
                *latest = None;
            }
        }
        false
    }

    /// Makes the next caller obtain new credentials. Those that AWS has rejected stay in use if
    /// that fails, because STS did not say whether they are valid.
    pub(crate) fn refresh(&self, rejected: &Arc<CachedCredentials>) {
        self.evict_after(UNCONFIRMED_REFRESH_INTERVAL, rejected);
    }

    /// Evicts `cached`, unless credentials were evicted less than `interval` ago or newer ones
    /// have replaced them. Returns whether they were evicted.
    fn evict_after(&self, interval: Duration, cached: &Arc<CachedCredentials>) -> bool {
        let mut last = self.last_eviction.lock();
        let is_recent = last.is_some_and(|last| last.elapsed() < interval);
        let is_evicted = !is_recent && self.cache.evict(cached);
        if is_evicted {
            *last = Some(Instant::now());
        }
        is_evicted
    }

    /// Caches `failure` in place of credentials that AWS has rejected, unless newer ones
    /// have replaced them.
    fn cache_rejection(&self, cached: &Arc<CachedCredentials>, failure: &Failure) {
        let earlier_rejections = self.rejections.load(Ordering::Relaxed);
        // Credentials that have meanwhile replaced `cached` stay: AWS may accept them.
        if self.cache.replace_with_failure(cached, failure.clone(), earlier_rejections) {
            self.rejections.store(earlier_rejections.saturating_add(1), Ordering::Relaxed);
            *self.latest.lock() = None;
            *self.last_fetch.lock() = Some(Err(failure.clone()));
            self.log_change(Some(failure));
        }
    }

    /// Records that AWS has accepted the credentials.
    pub(crate) fn record_acceptance(&self, cached: &CachedCredentials) {
        cached.accepted.store(true, Ordering::Relaxed);
        if self.rejections.load(Ordering::Relaxed) > 0 && self.rejections.swap(0, Ordering::Relaxed) > 0 {
            self.log_change(None);
        }
    }

    /// Records that a role was assumed with these credentials.
    fn record_assumed_role(&self, cached: &CachedCredentials) {
        self.record_acceptance(cached);
        // One success does not mean that STS has recovered: it may fail for other roles.
        let recovered = self.sts_failure.lock().take_if(|last| last.elapsed() >= STS_RECOVERY);
        if recovered.is_some() {
            self.failure_log.recovered(self.roles(), None);
        }
    }

    /// Records that STS was unavailable when a role was assumed with these credentials. No
    /// other role can be assumed then either, so this is logged once for all roles.
    fn record_sts_failure(&self, failure: &Failure) {
        let previous = self.sts_failure.lock().replace(Instant::now());
        if previous.is_none() {
            self.failure_log.failed(self.roles(), Problem::NoRoles, failure);
        }
    }

    async fn fetch(&self) -> Fetched<CachedCredentials> {
        let obtained = catch_panic("the request for credentials", self.obtain()).await;
        let obtained = obtained.unwrap_or_else(Obtained::Failure);
        self.tell_observer(&obtained);
        match obtained {
            Obtained::Credentials(credentials, validity) => {
                // After AWS has rejected credentials, recovery is logged only when it accepts
                // new ones.
                if self.rejections.load(Ordering::Relaxed) == 0 {
                    self.log_change(None);
                }
                let Lifetime { refresh_after, expires_after, .. } = self.lifetime(validity);
                let cached = Arc::new(CachedCredentials {
                    credentials,
                    ssm_client: Mutex::default(),
                    account: SingleFlight::default(),
                    verdict: CachedVerdict::default(),
                    accepted: AtomicBool::new(false),
                    accepted_in: Mutex::default(),
                });
                // A collection that starts with these credentials should end before they
                // expire. The timeout of a collection is twice that of this store.
                let usable_for =
                    |lifetime: Duration| lifetime.saturating_sub((self.timeout * 2).min(lifetime / 4));
                *self.latest.lock() = expires_after
                    .map(|lifetime| (Arc::clone(&cached), Instant::now() + usable_for(lifetime)));
                *self.last_fetch.lock() = Some(Ok(Arc::clone(&cached)));
                Fetched::Value(cached, Some(refresh_after))
            }
            Obtained::Failure(failure) => {
                self.log_change(Some(&failure));
                *self.last_fetch.lock() = Some(Err(failure.clone()));
                self.reuse_latest().unwrap_or(Fetched::Failed(failure))
            }
            Obtained::StsUnavailable(failure) => {
                *self.last_fetch.lock() = Some(Err(failure.clone()));
                self.reuse_latest().unwrap_or(Fetched::Failed(failure))
            }
            Obtained::NoBaseCredentials(failure) => {
                self.reuse_latest().unwrap_or(Fetched::NotCached(failure))
            }
        }
    }

    /// Tells who observes the requests to AWS which credentials they are made with.
    fn tell_observer(&self, obtained: &Obtained) {
        let CredentialSource::Sdk(loader) = &self.source else { return };
        let Some(observer) = &loader.settings.exchange_observer.0 else { return };
        let profile = loader.profile.as_deref();
        match obtained {
            Obtained::Credentials(credentials, _) => observer.credentials_obtained(profile, Ok(credentials)),
            Obtained::Failure(failure)
            | Obtained::StsUnavailable(failure)
            | Obtained::NoBaseCredentials(failure) => observer.credentials_obtained(profile, Err(failure)),
        }
    }

    /// The lifetime of new credentials, which depends on that of the previous ones.
    fn lifetime(&self, validity: Validity) -> Lifetime {
        let earlier_short = self.short_lived.load(Ordering::Relaxed);
        let lifetime = Lifetime::new(validity, earlier_short);
        let short_lived = if lifetime.is_short { earlier_short.saturating_add(1) } else { 0 };
        self.short_lived.store(short_lived, Ordering::Relaxed);
        if !self.expiry_logged.swap(lifetime.has_expired, Ordering::Relaxed) && lifetime.has_expired {
            warn!(
                source = %self.source,
                retry_after = ?lifetime.refresh_after,
                "new credentials have already expired, or the clock of this host is ahead"
            );
        }
        lifetime
    }

    /// The latest credentials, and for how much longer a collection may start with them.
    /// `None` if that time is over, or if the credentials do not expire.
    fn still_valid(&self) -> Option<(Arc<CachedCredentials>, Duration)> {
        let latest = self.latest.lock();
        let (cached, end) = latest.as_ref()?;
        let usable_for = end.saturating_duration_since(Instant::now());
        (!usable_for.is_zero()).then(|| (Arc::clone(cached), usable_for))
    }

    /// After a failed refresh, caches the latest credentials until the next attempt, if
    /// they are still valid.
    fn reuse_latest(&self) -> Option<Fetched<CachedCredentials>> {
        let (cached, usable_for) = self.still_valid()?;
        Some(Fetched::Value(cached, Some(usable_for.min(REFRESH_RETRY))))
    }

    async fn obtain(&self) -> Obtained {
        match &self.source {
            CredentialSource::Sdk(source) => {
                match tokio::time::timeout(self.timeout, Box::pin(source.credentials())).await {
                    Ok(Ok(credentials)) => {
                        let validity = Validity::until(credentials.expiry());
                        Obtained::checked(credentials, validity)
                    }
                    Ok(Err(error)) => Obtained::Failure(errors::credentials_failure(&error)),
                    Err(_elapsed) => {
                        let message = format!("no credentials within {:?}", self.timeout);
                        Obtained::Failure(Failure::new(Reason::Timeout, message))
                    }
                }
            }
            CredentialSource::Recorded { profile, recording } => match recording.credentials(profile) {
                Ok(access_key_id) => {
                    let (secret, provider) = ("recorded", "recording");
                    let credentials = Credentials::new(access_key_id, secret, None, None, provider);
                    Obtained::checked(credentials, Validity::Unlimited)
                }
                Err(failure) => Obtained::Failure(failure),
            },
            // Assuming a role needs no timeout: the SDK limits each call to STS.
            CredentialSource::Role { config, base, role, observer } => {
                let cached = match Box::pin(base.get()).await {
                    Ok(cached) => cached,
                    Err(failure) => return Obtained::NoBaseCredentials(failure),
                };
                // The semaphore is never closed.
                let _permit = base.assume_role_permits.acquire().await;
                match Box::pin(assume_role(config, &cached.credentials, role, observer)).await {
                    Ok((credentials, validity)) => {
                        base.record_assumed_role(&cached);
                        Obtained::checked(credentials, validity)
                    }
                    // STS returns the same error if the role's account has not enabled the
                    // region of the STS endpoint. `GetCallerIdentity` returns it only if the
                    // credentials are invalid.
                    Err(AssumeRoleFailure { failure, credentials_expired })
                        if failure.rejects_credentials =>
                    {
                        let timeout = check_timeout(self.timeout * 2);
                        match cached.verdict.get(config, &cached.credentials, observer, timeout).await {
                            Verdict::Accepted => Obtained::Failure(failure),
                            Verdict::Unknown => {
                                base.refresh(&cached);
                                Obtained::Failure(failure)
                            }
                            Verdict::Rejected if credentials_expired => {
                                if base.reject(&cached, &failure) {
                                    Obtained::NoBaseCredentials(failure)
                                } else {
                                    Obtained::Failure(failure)
                                }
                            }
                            Verdict::Rejected => {
                                // STS would reject the credentials for every other role, too.
                                base.cache_rejection(&cached, &failure);
                                Obtained::NoBaseCredentials(failure)
                            }
                        }
                    }
                    Err(AssumeRoleFailure { failure, .. }) if is_sts_unavailable(&failure) => {
                        base.record_sts_failure(&failure);
                        Obtained::StsUnavailable(failure)
                    }
                    Err(AssumeRoleFailure { failure, .. }) => Obtained::Failure(failure),
                }
            }
        }
    }

    /// Logs when credentials can no longer be obtained, when the reason changes,
    /// and when they can be obtained again. The targets that share the credentials do
    /// not log that themselves.
    fn log_change(&self, failure: Option<&Failure>) {
        let subject = Subject::credentials(self.id, self.source.to_string());
        match failure {
            Some(failure) => self.failure_log.failed(subject, Problem::NoCredentials, failure),
            None => self.failure_log.recovered(subject, None),
        }
    }

    /// The roles that are assumed with these credentials, in the failure log.
    fn roles(&self) -> Subject {
        Subject::roles(self.id, self.source.to_string())
    }
}

impl Drop for CredentialStore {
    fn drop(&mut self) {
        self.failure_log.forget(&Subject::credentials(self.id, String::new()));
        self.failure_log.forget(&self.roles());
    }
}

/// The outcome of an attempt to obtain credentials.
enum Obtained {
    Credentials(Credentials, Validity),
    /// The source did not provide credentials. This store logs and caches the failure.
    Failure(Failure),
    /// STS is unavailable. The store of the base credentials has logged the failure.
    StsUnavailable(Failure),
    /// There are no valid credentials to assume the role with. The store of the base
    /// credentials has logged and cached the failure.
    NoBaseCredentials(Failure),
}

impl Obtained {
    /// A failure if the credentials cannot be used.
    fn checked(credentials: Credentials, validity: Validity) -> Self {
        match check_credentials(&credentials) {
            Ok(()) => Self::Credentials(credentials, validity),
            Err(failure) => Self::Failure(failure),
        }
    }
}

impl CachedCredentials {
    /// Records that SSM has accepted the credentials in `region`.
    pub(crate) fn mark_accepted_in(&self, region: &RegionName) {
        let mut accepted_in = self.accepted_in.lock();
        // Clones the name only if the region is new.
        if !accepted_in.contains(region) {
            accepted_in.insert(region.clone());
        }
    }

    /// Whether AWS has accepted the credentials in other regions, but never in `region`.
    pub(crate) fn accepted_only_outside(&self, region: &RegionName) -> bool {
        let accepted_in = self.accepted_in.lock();
        !accepted_in.is_empty() && !accepted_in.contains(region)
    }
}
