//! How each account is reached: the SDK's configuration with the account's
//! credentials in it, made once and shared by all of its targets.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::{Region, SdkConfig};
use aws_sdk_ssm::config::retry::RetryPartition;
use tracing::debug;

use super::classify;
use super::credentials::{self, CredentialStore, Lent, Source};
use super::observe::{Discovery, Observe, Observer};
use super::sdk::{self, AwsSettings, Recipe};
use crate::model::{Failure, Reason};
use crate::target::{Access, Account, AccountId, InvalidRegion, RegionName, Target};

/// How long to wait for the answer when a given account id is checked.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The way to each account. Accounts with the same access share it, and chains
/// of roles share what they have in common.
#[derive(Debug)]
pub struct Sessions {
    by_access: HashMap<Access, Session>,
    /// What was found where an account names no region, by profile.
    default_regions: HashMap<Option<String>, Option<String>>,
}

/// The way to one account.
#[derive(Debug)]
pub(super) struct Session {
    config: SdkConfig,
    pub(super) credentials: Arc<CredentialStore>,
    check_timeout: Duration,
}

impl Sessions {
    /// Reads the shared AWS configuration of every profile and prepares the
    /// way to every account. Nothing is asked for yet, except that the
    /// region of an instance's credentials may be looked up where no region
    /// is named. Each account comes with a region of its own, if it has one.
    ///
    /// `timeout` is that of a collection; a single attempt of a call gets a
    /// share of it.
    pub async fn prepare<'a>(
        accounts: impl IntoIterator<Item = (&'a Account, Option<RegionName>)>,
        settings: &AwsSettings,
        timeout: Duration,
        observer: &Arc<dyn Observer>,
    ) -> Self {
        let http_client = sdk::http_client(settings);
        let mut by_access = HashMap::new();
        let mut default_regions = HashMap::new();
        let mut regions: HashMap<Option<String>, Option<Region>> = HashMap::new();
        let mut starts: HashMap<(Option<String>, Option<Region>), (Recipe, SdkConfig)> = HashMap::new();
        let mut stores: HashMap<Access, Arc<CredentialStore>> = HashMap::new();
        for (account, named) in accounts {
            let Access { profile, roles } = &account.access;
            if !regions.contains_key(profile) {
                let region = sdk::credentials_region(profile.as_deref(), settings).await;
                regions.insert(profile.clone(), region);
            }
            let region = sdk::home_region(regions[profile].clone(), named.as_ref());
            let key = (profile.clone(), region);
            if !starts.contains_key(&key) {
                let (profile, region) = key.clone();
                let recipe = Recipe {
                    profile,
                    region,
                    settings: settings.clone(),
                    timeout,
                    http_client: http_client.clone(),
                };
                let config = recipe.load().await;
                starts.insert(key.clone(), (recipe, config));
            }
            let (recipe, config) = starts[&key].clone();
            if named.is_none() {
                let region = config.region().map(ToString::to_string);
                default_regions.insert(profile.clone(), region);
            }
            if by_access.contains_key(&account.access) {
                continue;
            }
            let mut access = Access { profile: profile.clone(), roles: Vec::new() };
            let start = || CredentialStore::new(Source::LookUp(recipe), timeout / 2);
            let mut credentials = Arc::clone(stores.entry(access.clone()).or_insert_with(start));
            for role in roles {
                access.roles.push(role.clone());
                credentials = Arc::clone(stores.entry(access.clone()).or_insert_with(|| {
                    let source = Source::Role {
                        config: Box::new(config.clone()),
                        start: Arc::clone(&credentials),
                        role: role.clone(),
                        observe: Observe::new(observer),
                    };
                    CredentialStore::new(source, timeout / 2)
                }));
            }
            let session = Session {
                config,
                credentials,
                check_timeout: CHECK_TIMEOUT.min(sdk::attempt_timeout(timeout)),
            };
            by_access.insert(access, session);
        }
        Self { by_access, default_regions }
    }

    /// The region that goes with the account's credentials, if there is one.
    ///
    /// # Errors
    /// What is given for one is none.
    pub fn default_region(&self, account: &Account) -> Result<Option<RegionName>, InvalidRegion> {
        let found = self.default_regions.get(&account.access.profile).and_then(Option::as_ref);
        found.map(|region| region.parse()).transpose()
    }

    pub(super) fn of(&self, account: &Account) -> Option<&Session> {
        self.by_access.get(&account.access)
    }
}

impl Session {
    /// The configuration of a client for the target. It is cheap: connections
    /// are those of the session.
    pub(super) fn client(&self, account: &str, target: &Target, lent: &Lent) -> aws_sdk_ssm::config::Builder {
        aws_sdk_ssm::config::Builder::from(&self.config)
            .region(Region::new(target.region.as_str().to_owned()))
            .credentials_provider(lent.credentials.clone())
            .identity_cache(IdentityCache::no_cache())
            // The SDK meters its retries by partition, by default one for
            // each service and region: one account that AWS throttles would
            // use up the retries of all others there.
            .retry_partition(RetryPartition::new(format!("ssm-{account}-{}", target.region)))
    }

    /// Checks that the credentials belong to the account whose id is `given`.
    /// Once AWS has said so it is not asked again. Where it cannot be asked,
    /// say in a network that leads to SSM only, the given id is believed for
    /// the time being.
    ///
    /// # Errors
    /// They belong to another account, whose syncs would be shown as those of
    /// the given one; or there are none.
    pub(super) async fn check_account_id(
        &self,
        lent: &Lent,
        given: &AccountId,
        observer: &Arc<dyn Observer>,
    ) -> Result<(), Failure> {
        match self.account_id(lent, self.check_timeout, observer).await {
            Ok(id) if id == *given => Ok(()),
            Ok(id) => Err(Failure::disowning(format!(
                "the credentials belong to the account {id} and not to {given}, as the configuration says"
            ))),
            Err(Failure { message: error, .. }) => {
                debug!(
                    account = given.as_str(),
                    error, "cannot check the id of an account, so it is believed for now"
                );
                Ok(())
            }
        }
    }

    /// The account that the credentials belong to, which AWS tells once.
    ///
    /// # Errors
    /// It does not, within `limit`.
    pub(super) async fn account_id(
        &self,
        lent: &Lent,
        limit: Duration,
        observer: &Arc<dyn Observer>,
    ) -> Result<AccountId, Failure> {
        let id = lent.account.get(async {
            // The call is large, and rarely made. Its limit is in here, so that
            // running out of it is an outcome that is kept.
            let asked = tokio::time::timeout(limit, Box::pin(self.ask_account_id(lent, observer))).await;
            let id = asked.unwrap_or_else(|_elapsed| {
                Err(Failure::new(Reason::Timeout, format!("GetCallerIdentity: no answer within {limit:?}")))
            });
            observer.discovery(match id {
                Ok(_) => Discovery::Succeeded("identity"),
                Err(_) => Discovery::Failed("identity"),
            });
            Ok((id?, None))
        });
        id.await.map(|id| AccountId::clone(&id))
    }

    async fn ask_account_id(&self, lent: &Lent, observer: &Arc<dyn Observer>) -> Result<AccountId, Failure> {
        let sts = credentials::sts_client(&self.config, &lent.credentials, Observe::new(observer));
        let identity = sts.get_caller_identity().send().await.map_err(|error| classify::failure(&error))?;
        let id = identity.account().unwrap_or_default();
        id.parse()
            .map_err(|error| Failure::new(Reason::InvalidResponse, format!("GetCallerIdentity: {error}")))
    }
}
