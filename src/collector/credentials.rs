//! Credentials: where they come from, and how long they are kept.
//!
//! They are had before a call is made and not, as the SDK would, in the middle
//! of it: so that all targets of an account share one request for them, good
//! or bad, and so that what goes wrong there is not taken for a fault of the
//! call.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials;
use secrecy::ExposeSecret as _;

use super::classify;
use super::flight::Flight;
use super::observe::Observe;
use super::sdk::Recipe;
use crate::clock::Clock;
use crate::model::{Failure, Reason};
use crate::target::{AccountId, RegionName, Role};

/// How long before their end credentials are renewed, unless they live too
/// short for that.
const RENEW_BEFORE: Duration = Duration::from_mins(5);

/// How long credentials without an end are kept before they are looked up
/// again, in case the operator has changed them.
const LOOK_UP_AGAIN: Duration = Duration::from_mins(15);

/// Where credentials come from.
#[derive(Debug)]
pub(super) enum Source {
    /// A profile, or the SDK's default chain.
    LookUp(Recipe),
    /// A role, assumed with the credentials of another store.
    Role {
        /// The configuration whose region's endpoint is asked. (Sessions from a
        /// regional endpoint are valid in all regions, those from the global
        /// one are not.)
        config: Box<SdkConfig>,
        /// Whose credentials assume the role.
        start: Arc<CredentialStore>,
        /// The role.
        role: Role,
        /// Is told of the calls.
        observe: Observe,
    },
}

/// Keeps the credentials of one source.
#[derive(Debug)]
pub(super) struct CredentialStore {
    source: Source,
    timeout: Duration,
    current: Flight<Lent>,
}

/// Credentials, and what is known of them.
#[derive(Debug)]
pub(super) struct Lent {
    pub(super) credentials: Credentials,
    /// The account that they belong to, once somebody has asked.
    pub(super) account: Flight<AccountId>,
    /// The regions in which AWS has taken them.
    worked: Mutex<BTreeSet<RegionName>>,
}

impl CredentialStore {
    /// Keeps what `source` gives, which has `timeout` to do so.
    pub(super) fn new(source: Source, timeout: Duration) -> Arc<Self> {
        Arc::new(Self { source, timeout, current: Flight::default() })
    }

    /// The credentials; those that are kept, or new ones.
    ///
    /// # Errors
    /// There are none to be had, or were none a moment ago.
    pub(super) async fn get(&self) -> Result<Arc<Lent>, Failure> {
        self.current.get(self.fetch()).await
    }

    /// Drops `lent`, which AWS does not take any more. Newer ones stay.
    pub(super) fn discard(&self, lent: &Arc<Lent>) {
        self.current.discard(lent);
    }

    async fn fetch(&self) -> Result<(Lent, Option<Duration>), Failure> {
        let credentials = match &self.source {
            Source::LookUp(recipe) => tokio::time::timeout(self.timeout, Box::pin(recipe.credentials()))
                .await
                .map_err(|_elapsed| {
                    Failure::new(Reason::Timeout, format!("no credentials came within {:?}", self.timeout))
                })?
                .map_err(|error| classify::credentials_failure(&error))?,
            // The SDK's own timeouts end this one.
            Source::Role { config, start, role, observe } => {
                Box::pin(assume(config, start, role, observe.clone())).await?
            }
        };
        let keep = keep_for(&credentials);
        Ok((Lent { credentials, account: Flight::default(), worked: Mutex::default() }, Some(keep)))
    }
}

impl Lent {
    /// AWS has taken them in `region`.
    pub(super) fn worked_in(&self, region: &RegionName) {
        self.worked().insert(region.clone());
    }

    /// Whether AWS has taken them elsewhere but never in `region`.
    pub(super) fn work_only_elsewhere(&self, region: &RegionName) -> bool {
        let worked = self.worked();
        !worked.is_empty() && !worked.contains(region)
    }

    fn worked(&self) -> MutexGuard<'_, BTreeSet<RegionName>> {
        self.worked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn assume(
    config: &SdkConfig,
    start: &CredentialStore,
    role: &Role,
    observe: Observe,
) -> Result<Credentials, Failure> {
    let lent = start.get().await?;
    let arn = &role.arn;
    let answer = sts_client(config, &lent.credentials, observe)
        .assume_role()
        .role_arn(arn.as_str())
        .role_session_name(role.session_name.as_str())
        .set_external_id(role.external_id.as_ref().map(|id| id.expose_secret().to_owned()))
        .send()
        .await
        .map_err(|error| {
            let Failure { reason, message, .. } = classify::failure(&error);
            if reason == Reason::Credentials {
                start.discard(&lent);
            }
            Failure::new(classify::of_role(reason), format!("cannot assume the role {arn}: {message}"))
        })?;
    let lacking =
        |what| Failure::new(Reason::InvalidResponse, format!("AssumeRole of {arn} brought no {what}"));
    let credentials = answer.credentials.ok_or_else(|| lacking("credentials"))?;
    let expiry = credentials.expiration.try_into().map_err(|_| lacking("time of expiry"))?;
    Ok(Credentials::builder()
        .access_key_id(credentials.access_key_id)
        .secret_access_key(credentials.secret_access_key)
        .session_token(credentials.session_token)
        .expiry(expiry)
        .account_id(AccountId::as_str(arn.account()))
        .provider_name("SsmSyncExporterAssumeRole")
        .build())
}

/// A client of STS with these credentials and no others.
pub(super) fn sts_client(
    config: &SdkConfig,
    credentials: &Credentials,
    observe: Observe,
) -> aws_sdk_sts::Client {
    let config = aws_sdk_sts::config::Builder::from(config)
        .credentials_provider(credentials.clone())
        .identity_cache(IdentityCache::no_cache())
        .interceptor(observe)
        .build();
    aws_sdk_sts::Client::from_conf(config)
}

fn keep_for(credentials: &Credentials) -> Duration {
    let Some(expiry) = credentials.expiry() else { return LOOK_UP_AGAIN };
    // AWS's times are of the real world, whatever clock a test shows.
    let expiry = expiry.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = Duration::try_from_secs_f64(Clock::system().now()).unwrap_or_default();
    let left = expiry.saturating_sub(now);
    left.saturating_sub(RENEW_BEFORE.min(left / 2))
}
