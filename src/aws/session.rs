//! The session of each account: the SDK's configuration and the account's
//! credentials, created once and shared by all of its targets.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tracing::debug;

use super::credentials::{CachedCredentials, CredentialSource, CredentialStore};
use super::endpoints::EndpointKind;
use super::instrumentation::ApiObserver;
use super::sdk::{self, AwsSettings, SdkConfigSource};
use super::single_flight::Fetched;
use super::sts;
use crate::fleet::{Access, Account, AccountId, InvalidRegion, Partition, RegionName};
use crate::model::{Failure, Reason};

/// The longest that checking a configured account id may take.
const MAX_CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The sessions of all accounts, each created on first use. Accounts with the
/// same access share one, and role chains share the credentials of the roles
/// that they have in common.
#[derive(Debug)]
pub(crate) struct Sessions {
    settings: AwsSettings,
    timeout: Duration,
    observer: Arc<dyn ApiObserver>,
    http_client: SharedHttpClient,
    base_configs: Mutex<HashMap<BaseConfigKey, Arc<OnceCell<Arc<BaseConfig>>>>>,
    by_access: Mutex<HashMap<SessionKey, Arc<Session>>>,
    credential_stores: Mutex<HashMap<SessionKey, Weak<CredentialStore>>>,
}

/// How an account is accessed, and the partition whose STS is called, if it is
/// known. Credentials are valid in all regions of a partition.
type SessionKey = (Access, Option<Partition>);

fn session_key(account: &Account) -> SessionKey {
    (account.access.clone(), account.default_region.as_ref().map(RegionName::partition))
}

/// A profile (`None` is the default chain), and the home region of the account.
type BaseConfigKey = (Option<String>, Option<RegionName>);

/// The SDK's configuration before any role is assumed.
#[derive(Debug)]
struct BaseConfig {
    source: SdkConfigSource,
    config: Arc<SdkConfig>,
    /// What all clients of SSM have in common.
    ssm: aws_sdk_ssm::Config,
}

/// Access to the accounts that are reached with the same credentials.
#[derive(Debug)]
pub(crate) struct Session {
    /// For clients of any service; without credentials of the account.
    pub(crate) config: Arc<SdkConfig>,
    /// What all clients of SSM have in common.
    ssm: aws_sdk_ssm::Config,
    pub(crate) credentials: Arc<CredentialStore>,
    pub(crate) observer: Arc<dyn ApiObserver>,
    check_timeout: Duration,
}

impl Sessions {
    /// Creates no session yet. `timeout` is that of a collection; each attempt of
    /// a call gets a share of it.
    pub(crate) fn new(settings: AwsSettings, timeout: Duration, observer: Arc<dyn ApiObserver>) -> Self {
        let http_client = sdk::http_client(&settings);
        Self {
            settings,
            timeout,
            observer,
            http_client,
            base_configs: Mutex::default(),
            by_access: Mutex::default(),
            credential_stores: Mutex::default(),
        }
    }

    /// The default region of the account's credentials, if there is one: from the
    /// environment, the profile, or the metadata of the EC2 instance.
    ///
    /// # Errors
    /// The value that is set is not the name of a region.
    pub(crate) async fn default_region(
        &self,
        account: &Account,
    ) -> Result<Option<RegionName>, InvalidRegion> {
        let base = self.base_config(account).await;
        base.config.region().map(|region| region.as_ref().parse()).transpose()
    }

    /// Which endpoints are used for the account, by our configuration, the
    /// environment and the shared AWS configuration together.
    pub(crate) async fn endpoint_kind(&self, account: &Account) -> EndpointKind {
        let config = &self.base_config(account).await.config;
        EndpointKind {
            fips: config.use_fips().unwrap_or_default(),
            dualstack: config.use_dual_stack().unwrap_or_default(),
        }
    }

    /// Drops the sessions of all other accounts than these, and the credentials
    /// that only those used.
    pub(crate) fn retain<'a>(&self, accounts: impl IntoIterator<Item = &'a Account>) {
        let kept: HashSet<SessionKey> = accounts.into_iter().map(session_key).collect();
        self.by_access.lock().retain(|key, _| kept.contains(key));
        self.credential_stores.lock().retain(|_, store| store.strong_count() > 0);
    }

    /// The session of `account`.
    pub(crate) async fn get(&self, account: &Account) -> Arc<Session> {
        let key = session_key(account);
        if let Some(session) = self.by_access.lock().get(&key) {
            return Arc::clone(session);
        }
        let base = self.base_config(account).await;
        let session = Session {
            config: Arc::clone(&base.config),
            ssm: base.ssm.clone(),
            credentials: self.credential_store(&base, &key),
            observer: Arc::clone(&self.observer),
            check_timeout: MAX_CHECK_TIMEOUT.min(sdk::attempt_timeout(self.timeout)),
        };
        // A concurrent caller may have created it meanwhile.
        let session = Arc::new(session);
        Arc::clone(self.by_access.lock().entry(key).or_insert(session))
    }

    async fn base_config(&self, account: &Account) -> Arc<BaseConfig> {
        let key = (account.access.profile.clone(), account.default_region.clone());
        let cell = Arc::clone(self.base_configs.lock().entry(key.clone()).or_default());
        Arc::clone(cell.get_or_init(|| async { Arc::new(self.load(key).await) }).await)
    }

    /// Reads the shared AWS configuration. The only request that this may send is
    /// to the instance metadata service, where nothing else names a region.
    async fn load(&self, (profile, home): BaseConfigKey) -> BaseConfig {
        let default_region = sdk::default_region(profile.as_deref(), &self.settings).await;
        let source = SdkConfigSource {
            profile,
            region: sdk::sts_region(self.settings.sts_region.as_ref(), default_region, home.as_ref()),
            settings: self.settings.clone(),
            timeout: self.timeout,
            http_client: self.http_client.clone(),
        };
        let config = source.load().await;
        let ssm =
            aws_sdk_ssm::config::Builder::from(&config).identity_cache(IdentityCache::no_cache()).build();
        BaseConfig { source, config: Arc::new(config), ssm }
    }

    /// The store of the credentials at the end of a role chain. Stores of the
    /// credentials on the way to it are shared between chains.
    fn credential_store(&self, base: &BaseConfig, (access, partition): &SessionKey) -> Arc<CredentialStore> {
        let mut stores = self.credential_stores.lock();
        let mut get_or_create = |access: &Access, source: &dyn Fn() -> CredentialSource| {
            let key = (access.clone(), *partition);
            if let Some(store) = stores.get(&key).and_then(Weak::upgrade) {
                return store;
            }
            let store = CredentialStore::new(source(), self.timeout / 2);
            stores.insert(key, Arc::downgrade(&store));
            store
        };
        let mut chain = Access { profile: access.profile.clone(), roles: Vec::new() };
        let mut store = get_or_create(&chain, &|| CredentialSource::Sdk(base.source.clone()));
        for role in &access.roles {
            chain.roles.push(role.clone());
            store = get_or_create(&chain, &|| CredentialSource::Role {
                config: Arc::clone(&base.config),
                base: Arc::clone(&store),
                role: role.clone(),
                observer: Arc::clone(&self.observer),
            });
        }
        store
    }
}

impl Session {
    /// The client of SSM with these credentials, for any region. Creating one
    /// takes much of the CPU time of a call, and one client per target would take
    /// more memory than the whole snapshot. Requests are reported only if the
    /// caller adds [`ObserveRequests`](super::ObserveRequests) to the call.
    pub(crate) fn ssm<'a>(&self, cached: &'a CachedCredentials) -> &'a aws_sdk_ssm::Client {
        cached.ssm.get_or_init(|| {
            let config = self.ssm.to_builder().credentials_provider(cached.credentials.clone()).build();
            aws_sdk_ssm::Client::from_conf(config)
        })
    }

    /// Checks that the credentials belong to the account with the `configured`
    /// id. If STS cannot be asked, for example because the network only leads to
    /// SSM, the configured id is trusted for now. STS's answer is cached.
    ///
    /// # Errors
    /// The credentials belong to another account, so its syncs would be shown
    /// under the wrong id.
    pub(crate) async fn check_account_id(
        &self,
        cached: &CachedCredentials,
        configured: &AccountId,
    ) -> Result<(), Failure> {
        match self.account_id(cached, self.check_timeout).await {
            Ok(id) if id == *configured => Ok(()),
            Ok(id) => Err(Failure::wrong_account(format!(
                "the credentials belong to the account {id}, but the configuration says {configured}"
            ))),
            Err(Failure { message: error, .. }) => {
                debug!(account = configured.as_str(), error, "cannot check the account id");
                Ok(())
            }
        }
    }

    /// Whether STS accepts the credentials. The call needs no permission.
    pub(crate) async fn are_accepted_by_sts(&self, cached: &CachedCredentials) -> bool {
        self.account_id(cached, self.check_timeout).await.is_ok()
    }

    /// The account that the credentials belong to. STS is asked once, and again
    /// after a failure.
    ///
    /// # Errors
    /// STS did not tell within `timeout`, now or recently.
    pub(crate) async fn account_id(
        &self,
        cached: &CachedCredentials,
        timeout: Duration,
    ) -> Result<AccountId, Failure> {
        let id = cached.account.get(async {
            // Boxed, because the future is large and rarely polled. The timeout is
            // inside, so that running into it is cached.
            let lookup = tokio::time::timeout(
                timeout,
                Box::pin(sts::caller_account(&self.config, &cached.credentials, &self.observer)),
            )
            .await;
            let id = lookup.unwrap_or_else(|_elapsed| {
                let message = format!("GetCallerIdentity: no answer within {timeout:?}");
                Err(Failure::new(Reason::Timeout, message))
            });
            self.observer.identity_lookup_ended(id.is_ok());
            match id {
                Ok(id) => Fetched::Value(Arc::new(id), None),
                Err(failure) => Fetched::Failed(failure),
            }
        });
        id.await.map(|id| AccountId::clone(&id))
    }
}
