//! How each account is reached: the SDK's configuration, with the account's
//! credentials to put into it, made once and shared by all of its targets.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tracing::debug;

use super::credentials::{CachedCredentials, CredentialStore, Source};
use super::endpoints::EndpointKind;
use super::instrumentation::{Finding, Observe, Observer};
use super::sdk::{self, AwsSettings, SdkConfigSource};
use super::single_flight::Fetched;
use super::sts;
use crate::fleet::{Access, Account, AccountId, InvalidRegion, Partition, RegionName};
use crate::model::{Failure, Reason};

/// How long to wait for the answer when a given account id is checked.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The way to every account, made when it is first gone. Accounts with the
/// same access share it, and chains of roles share what they have in common.
#[derive(Debug)]
pub struct Sessions {
    settings: AwsSettings,
    timeout: Duration,
    observer: Arc<dyn Observer>,
    http_client: SharedHttpClient,
    starts: Mutex<HashMap<StartKey, Arc<OnceCell<Arc<BaseConfig>>>>>,
    by_access: Mutex<HashMap<WayKey, Arc<Session>>>,
    stores: Mutex<HashMap<WayKey, Weak<CredentialStore>>>,
}

/// Credentials, and the partition in which they are asked for, if it is known. All of
/// its regions will do.
type WayKey = (Access, Option<Partition>);

fn way(account: &Account) -> WayKey {
    (account.access.clone(), account.default_region.as_ref().map(RegionName::partition))
}

/// A profile, or the default chain; and the region to be near to.
type StartKey = (Option<String>, Option<RegionName>);

/// Where the way to an account starts: with the credentials that we have.
#[derive(Debug)]
struct BaseConfig {
    recipe: SdkConfigSource,
    config: Arc<SdkConfig>,
    /// What all clients of SSM have in common.
    ssm: aws_sdk_ssm::Config,
}

/// The way to one account.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) config: Arc<SdkConfig>,
    ssm: aws_sdk_ssm::Config,
    pub(crate) credentials: Arc<CredentialStore>,
    check_timeout: Duration,
}

impl Sessions {
    /// No way yet. `timeout` is that of a collection; a single attempt of a
    /// call gets a share of it.
    #[must_use]
    pub fn new(settings: AwsSettings, timeout: Duration, observer: Arc<dyn Observer>) -> Self {
        let http_client = sdk::http_client(&settings);
        Self {
            settings,
            timeout,
            observer,
            http_client,
            starts: Mutex::default(),
            by_access: Mutex::default(),
            stores: Mutex::default(),
        }
    }

    /// The region that goes with the account's credentials, if there is one:
    /// from the environment, the profile, or the instance that we run on.
    ///
    /// # Errors
    /// What is given for one is none.
    pub async fn default_region(&self, account: &Account) -> Result<Option<RegionName>, InvalidRegion> {
        let start = self.start(account).await;
        start.config.region().map(|region| region.as_ref().parse()).transpose()
    }

    /// How the account's services are called, by all that is set.
    pub async fn endpoint_kind(&self, account: &Account) -> EndpointKind {
        let config = &self.start(account).await.config;
        EndpointKind {
            fips: config.use_fips().unwrap_or_default(),
            dualstack: config.use_dual_stack().unwrap_or_default(),
        }
    }

    /// Gives up the ways to all but these accounts, and with them their
    /// credentials.
    pub fn retain<'a>(&self, accounts: impl IntoIterator<Item = &'a Account>) {
        let kept: HashSet<WayKey> = accounts.into_iter().map(way).collect();
        self.by_access.lock().retain(|way, _| kept.contains(way));
        self.stores.lock().retain(|_, store| store.strong_count() > 0);
    }

    /// Who is told of calls.
    pub(crate) fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// The way to `account`.
    pub(crate) async fn of(&self, account: &Account) -> Arc<Session> {
        let way = way(account);
        if let Some(session) = self.by_access.lock().get(&way) {
            return Arc::clone(session);
        }
        let start = self.start(account).await;
        let session = Session {
            config: Arc::clone(&start.config),
            ssm: start.ssm.clone(),
            credentials: self.credentials(&start, &way),
            check_timeout: CHECK_TIMEOUT.min(sdk::attempt_timeout(self.timeout)),
        };
        // Another one may have been faster; then its way is used.
        let session = Arc::new(session);
        Arc::clone(self.by_access.lock().entry(way).or_insert(session))
    }

    async fn start(&self, account: &Account) -> Arc<BaseConfig> {
        let key = (account.access.profile.clone(), account.default_region.clone());
        let cell = Arc::clone(self.starts.lock().entry(key.clone()).or_default());
        Arc::clone(cell.get_or_init(|| async { Arc::new(self.load(key).await) }).await)
    }

    /// Reads the shared AWS configuration. Nothing is asked for, except that
    /// the region of an instance's credentials is looked up where nothing else
    /// names one.
    async fn load(&self, (profile, home): StartKey) -> BaseConfig {
        let of_credentials = sdk::credentials_region(profile.as_deref(), &self.settings).await;
        let recipe = SdkConfigSource {
            profile,
            region: sdk::home_region(self.settings.sts_region.as_ref(), of_credentials, home.as_ref()),
            settings: self.settings.clone(),
            timeout: self.timeout,
            http_client: self.http_client.clone(),
        };
        let config = recipe.load().await;
        let ssm = aws_sdk_ssm::config::Builder::from(&config)
            .identity_cache(IdentityCache::no_cache())
            .interceptor(Observe::new(&self.observer))
            .build();
        BaseConfig { recipe, config: Arc::new(config), ssm }
    }

    fn credentials(&self, start: &BaseConfig, (access, partition): &WayKey) -> Arc<CredentialStore> {
        let mut stores = self.stores.lock();
        let mut store_of = |access: &Access, source: &dyn Fn() -> Source| {
            let key = (access.clone(), *partition);
            if let Some(store) = stores.get(&key).and_then(Weak::upgrade) {
                return store;
            }
            let store = CredentialStore::new(source(), self.timeout / 2);
            stores.insert(key, Arc::downgrade(&store));
            store
        };
        let mut so_far = Access { profile: access.profile.clone(), roles: Vec::new() };
        let mut credentials = store_of(&so_far, &|| Source::LookUp(start.recipe.clone()));
        for role in &access.roles {
            so_far.roles.push(role.clone());
            credentials = store_of(&so_far, &|| Source::Role {
                config: Arc::clone(&start.config),
                start: Arc::clone(&credentials),
                role: role.clone(),
                observe: Observe::new(&self.observer),
            });
        }
        credentials
    }
}

impl Session {
    /// The client of SSM with these credentials, for any region. Making one
    /// costs much of what a call does, and keeping one for each target would
    /// take more memory than all that is known of them.
    pub(crate) fn ssm<'a>(&self, lent: &'a CachedCredentials) -> &'a aws_sdk_ssm::Client {
        lent.ssm.get_or_init(|| {
            let config = self.ssm.to_builder().credentials_provider(lent.credentials.clone()).build();
            aws_sdk_ssm::Client::from_conf(config)
        })
    }

    /// Checks that the credentials belong to the account whose id is `given`.
    /// Once AWS has said so it is not asked again. Where it cannot be asked,
    /// say in a network that leads to SSM only, the given id is believed for
    /// the time being.
    ///
    /// # Errors
    /// They belong to another account, whose syncs would be shown as those of
    /// the given one; or there are none.
    pub(crate) async fn check_account_id(
        &self,
        lent: &CachedCredentials,
        given: &AccountId,
        observer: &Arc<dyn Observer>,
    ) -> Result<(), Failure> {
        match self.account_id(lent, self.check_timeout, observer).await {
            Ok(id) if id == *given => Ok(()),
            Ok(id) => Err(Failure::wrong_account(format!(
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

    /// Whether STS takes the credentials, which needs no permission.
    pub(crate) async fn are_good(&self, lent: &CachedCredentials, observer: &Arc<dyn Observer>) -> bool {
        self.account_id(lent, self.check_timeout, observer).await.is_ok()
    }

    /// The account that the credentials belong to, which AWS tells once.
    ///
    /// # Errors
    /// It does not, within `limit`.
    pub(crate) async fn account_id(
        &self,
        lent: &CachedCredentials,
        limit: Duration,
        observer: &Arc<dyn Observer>,
    ) -> Result<AccountId, Failure> {
        let id = lent.account.get(async {
            // The call is large, and rarely made. Its limit is in here, so that
            // running out of it is an outcome that is kept.
            let asked = tokio::time::timeout(
                limit,
                Box::pin(sts::caller(&self.config, &lent.credentials, Observe::new(observer))),
            )
            .await;
            let id = asked.unwrap_or_else(|_elapsed| {
                Err(Failure::new(Reason::Timeout, format!("GetCallerIdentity: no answer within {limit:?}")))
            });
            observer.found(match id {
                Ok(_) => Finding::Succeeded("identity"),
                Err(_) => Finding::Failed("identity"),
            });
            match id {
                Ok(id) => Fetched::Value(Arc::new(id), None),
                Err(failure) => Fetched::Failed(failure),
            }
        });
        id.await.map(|id| AccountId::clone(&id))
    }
}
