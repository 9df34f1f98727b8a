//! The session of each account: the SDK's configuration and the account's
//! credentials, created once and shared by all of its targets.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileSet;
use aws_sdk_ssm::config::retry::RetryPartition;
use aws_sdk_ssm::config::{Region, SharedInterceptor};
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tracing::debug;

use super::ambient;
use super::clock_skew::{self, RetryAfterClockSkew};
use super::credential_process::CredentialProcesses;
use super::credentials::{CachedCredentials, CredentialSource, CredentialStore};
use super::endpoints::{self, EndpointKind};
use super::environment::Environment;
use super::http_client::HttpClients;
use super::instrumentation::ApiObserver;
use super::outbound::{CaBundle, CaBundles};
use super::profile::{self, Resolution};
use super::recording::Recording;
use super::sdk::{self, AwsSettings, DefaultRegion, SdkConfigLoader};
use super::shared_config::{ParsedFiles, SharedConfig};
use super::single_flight::Fetched;
use super::sts;
use super::verdict::Verdict;
use crate::failure_log::FailureLog;
use crate::fleet::{Access, Account, AccountId, Partition, RegionName};
use crate::model::{Failure, Reason};

/// The sessions of all accounts, each created on first use. Accounts with the same
/// access share a session. Role chains that begin with the same roles share the
/// credentials of those roles.
#[derive(Debug)]
pub(crate) struct Sessions {
    settings: AwsSettings,
    environment: Environment,
    collection_timeout: Duration,
    observer: Arc<dyn ApiObserver>,
    failure_log: Arc<FailureLog>,
    http_clients: HttpClients,
    processes: Arc<CredentialProcesses>,
    parsed_files: Arc<ParsedFiles>,
    ca_bundles: CaBundles,
    /// The region of the EC2 instance by the address of the instance metadata service. Outside of EC2,
    /// each lookup takes seconds.
    instance_regions: Mutex<HashMap<String, Arc<OnceCell<Option<Region>>>>>,
    profile_configs: Mutex<HashMap<ProfileConfigKey, Arc<OnceCell<Arc<ProfileConfig>>>>>,
    by_access: Mutex<HashMap<SessionKey, Arc<Session>>>,
    credential_stores: Mutex<HashMap<SessionKey, Weak<CredentialStore>>>,
}

/// How an account is accessed, and its partition if that is known. Regions are not part
/// of the key, because credentials are valid in all regions of a partition.
type SessionKey = (Access, Option<Partition>);

fn session_key(account: &Account) -> SessionKey {
    (account.access.clone(), account.default_region.as_ref().map(RegionName::partition))
}

/// The profile (`None` is the default chain) and the account's `default_region`. The
/// latter is called the home region here, because the profile has a default region, too.
type ProfileConfigKey = (Option<String>, Option<RegionName>);

/// The SDK's configuration of a profile or the default chain, before any role is
/// assumed.
#[derive(Debug)]
struct ProfileConfig {
    /// The credentials before any role is assumed.
    base: CredentialSource,
    config: Arc<SdkConfig>,
    /// The configuration of SSM clients, without credentials.
    ssm_config: aws_sdk_ssm::Config,
    /// The certificate authorities that the profile names.
    ca_bundle: Option<CaBundle>,
    /// Where the default region is from.
    region_origin: Option<String>,
    diagnosis: Diagnosis,
}

/// What is wrong with the environment and the shared AWS configuration of an account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diagnosis {
    /// Describes a setting that cannot be used for calls.
    pub(crate) invalid_setting: Option<String>,
    /// Where a region could be set, or why there is none: the end of an error about that.
    pub(crate) missing_region: String,
    /// Why the profile provides no credentials at the moment.
    pub(crate) unusable_profile: Option<String>,
    /// Describes an endpoint to which requests are sent unencrypted over a network.
    pub(crate) unencrypted_endpoint: Option<String>,
}

/// The SDK's configuration and the credentials for accounts with the same access.
#[derive(Debug)]
pub(crate) struct Session {
    /// The configuration of clients of any service. The caller sets the credentials.
    pub(crate) config: Arc<SdkConfig>,
    /// The configuration of SSM clients, without credentials.
    ssm_config: aws_sdk_ssm::Config,
    pub(crate) credentials: Arc<CredentialStore>,
    pub(crate) observer: Arc<dyn ApiObserver>,
    /// See [`sdk::check_timeout`].
    check_timeout: Duration,
    /// Lives as long as the session. An entry is small, so those of regions that are no longer
    /// polled are not removed.
    ssm_regions: Mutex<HashMap<RegionName, SsmRegion>>,
}

/// What the SDK remembers between the calls to SSM in one region. No two targets share it.
#[derive(Clone, Debug)]
struct SsmRegion {
    clock_skew: SharedInterceptor,
    retry_partition: RetryPartition,
}

impl Sessions {
    /// The timeouts for obtaining credentials and for each attempt of a call are fractions
    /// of `collection_timeout`.
    pub(crate) fn new(
        settings: AwsSettings,
        collection_timeout: Duration,
        observer: Arc<dyn ApiObserver>,
        processes: Arc<CredentialProcesses>,
        failure_log: Arc<FailureLog>,
    ) -> Self {
        let http_clients = HttpClients::new(&settings, sdk::exchange_timeout(collection_timeout));
        // A recording has what matters of it.
        let environment = match settings.recording {
            Some(_) => Environment::empty(),
            None => Environment::of_process(),
        };
        Self {
            settings,
            environment,
            collection_timeout,
            observer,
            failure_log,
            http_clients,
            processes,
            parsed_files: Arc::default(),
            ca_bundles: CaBundles::default(),
            instance_regions: Mutex::default(),
            profile_configs: Mutex::default(),
            by_access: Mutex::default(),
            credential_stores: Mutex::default(),
        }
    }

    /// The region in the SDK's configuration of the account, if there is one: see
    /// [`sdk::sts_region`]. For an account whose partition is not known, and without the
    /// `sts_region` setting, it is the default region of the credentials: that of the
    /// environment, the profile, or the metadata of the EC2 instance.
    ///
    /// # Errors
    /// The region that is set there is not a valid region name.
    pub(crate) async fn sdk_region(&self, account: &Account) -> Result<Option<RegionName>, String> {
        let profile_config = self.profile_config(account).await;
        let Some(region) = profile_config.config.region() else { return Ok(None) };
        let origin = profile_config.region_origin.as_deref().unwrap_or("the instance metadata service");
        region.as_ref().parse().map(Some).map_err(|error| format!("{error}; it is set by {origin}"))
    }

    /// The certificate authorities that the profile of the account names.
    pub(crate) async fn ca_bundle(&self, account: &Account) -> Option<CaBundle> {
        self.profile_config(account).await.ca_bundle.clone()
    }

    /// What is wrong with the environment and the shared AWS configuration of the account.
    pub(crate) async fn diagnosis(&self, account: &Account) -> Diagnosis {
        self.profile_config(account).await.diagnosis.clone()
    }

    /// The variant of the endpoints that the SDK uses for the account, according to the
    /// exporter's configuration, the environment and the shared AWS configuration.
    pub(crate) async fn endpoint_kind(&self, account: &Account) -> EndpointKind {
        let config = &self.profile_config(account).await.config;
        EndpointKind {
            fips: config.use_fips().unwrap_or_default(),
            dualstack: config.use_dual_stack().unwrap_or_default(),
        }
    }

    /// The URL that replaces the endpoints of AWS for the account, wherever it is set.
    pub(crate) async fn endpoint_url(&self, account: &Account) -> Option<String> {
        self.profile_config(account).await.config.endpoint_url().map(ToOwned::to_owned)
    }

    /// Drops all sessions except those of `accounts`, and the credentials that no
    /// remaining session uses.
    pub(crate) fn retain<'a>(&self, accounts: impl IntoIterator<Item = &'a Account>) {
        let kept: HashSet<SessionKey> = accounts.into_iter().map(session_key).collect();
        self.by_access.lock().retain(|key, _| kept.contains(key));
        self.credential_stores.lock().retain(|_, store| store.strong_count() > 0);
    }

    /// The session of the account, if any call needed one. Sends no request.
    pub(crate) fn existing(&self, account: &Account) -> Option<Arc<Session>> {
        self.by_access.lock().get(&session_key(account)).map(Arc::clone)
    }

    pub(crate) async fn get(&self, account: &Account) -> Arc<Session> {
        let key = session_key(account);
        if let Some(session) = self.by_access.lock().get(&key) {
            return Arc::clone(session);
        }
        let profile_config = self.profile_config(account).await;
        let session = Session {
            config: Arc::clone(&profile_config.config),
            ssm_config: profile_config.ssm_config.clone(),
            credentials: self.credential_store(&profile_config, &key),
            observer: Arc::clone(&self.observer),
            check_timeout: sdk::check_timeout(self.collection_timeout),
            ssm_regions: Mutex::default(),
        };
        let session = Arc::new(session);
        // A concurrent caller may have created the session meanwhile.
        Arc::clone(self.by_access.lock().entry(key).or_insert(session))
    }

    async fn profile_config(&self, account: &Account) -> Arc<ProfileConfig> {
        let key = (account.access.profile.clone(), account.default_region.clone());
        let cell = Arc::clone(self.profile_configs.lock().entry(key.clone()).or_default());
        Arc::clone(cell.get_or_init(|| async { Arc::new(Box::pin(self.load(key)).await) }).await)
    }

    async fn load(&self, key: ProfileConfigKey) -> ProfileConfig {
        match &self.settings.recording {
            Some(recording) => self.load_recorded(recording, key),
            None => self.load_from_host(key).await,
        }
    }

    /// The configuration for a recording. Nothing of the host is read: neither its environment nor its
    /// profiles. What they contributed is in the recorded configuration.
    fn load_recorded(
        &self,
        recording: &Arc<Recording>,
        (profile, home_region): ProfileConfigKey,
    ) -> ProfileConfig {
        let region = sdk::sts_region(self.settings.sts_region.as_ref(), None, home_region.as_ref());
        let config = sdk::config_for_recording(region, self.http_clients.get(None), self.collection_timeout);
        let ssm_config =
            aws_sdk_ssm::config::Builder::from(&config).identity_cache(IdentityCache::no_cache()).build();
        let base = CredentialSource::Recorded { profile, recording: Arc::clone(recording) };
        ProfileConfig {
            base,
            config: Arc::new(config),
            ssm_config,
            ca_bundle: None,
            region_origin: None,
            diagnosis: Diagnosis::default(),
        }
    }

    /// Reads the shared AWS configuration. Sends no request, except that it asks the instance
    /// metadata service for a region if [`sdk::sts_region`] determines none.
    async fn load_from_host(&self, (profile, home_region): ProfileConfigKey) -> ProfileConfig {
        let (settings, environment) = (&self.settings, &self.environment);
        let files = settings.shared_config(environment, profile.as_deref(), &self.parsed_files);
        let (profiles, unreadable) = match files.profiles().await {
            Ok(profiles) => (profiles, None),
            Err(error) => (ProfileSet::default(), Some(error.to_string())),
        };
        let default = sdk::default_region(environment, &files, &profiles, profile.is_some());
        let (default, region_origin) =
            default.map(|DefaultRegion { name, origin }| (Region::new(name), origin)).unzip();
        let region = sdk::sts_region(settings.sts_region.as_ref(), default, home_region.as_ref());
        let (ca_bundle, unusable_ca_bundle) =
            match sdk::ca_bundle(settings, environment, &files, &profiles, &self.ca_bundles) {
                Ok(ca_bundle) => (ca_bundle, None),
                Err(error) => (None, Some(error)),
            };
        let trusted = settings.outbound.ca_bundle.as_ref().or(ca_bundle.as_ref());
        let mut loader = SdkConfigLoader {
            profile,
            region,
            settings: settings.clone(),
            environment: environment.clone(),
            collection_timeout: self.collection_timeout,
            http_client: self.http_clients.get(trusted),
            processes: Arc::clone(&self.processes),
            parsed_files: Arc::clone(&self.parsed_files),
        };
        if loader.region.is_none() {
            loader.region = self.instance_region(&loader, &profiles).await;
        }
        let config = loader.load(&files, &profiles).await;
        let ssm_config =
            aws_sdk_ssm::config::Builder::from(&config).identity_cache(IdentityCache::no_cache()).build();
        let invalid_setting = sdk::invalid_setting(environment, &files, &profiles);
        // The setting of the configuration has precedence, and it is valid.
        let unusable_url = || settings.endpoint_url.is_none().then(|| endpoints::unusable_url(&config))?;
        let unencrypted_endpoint =
            settings.endpoint_url.is_none().then(|| endpoints::unencrypted_url(&config)).flatten();
        let diagnosis = Diagnosis {
            invalid_setting: invalid_setting.or(unusable_ca_bundle).or_else(unusable_url),
            missing_region: files.describe_missing_region(),
            unusable_profile: unreadable.or_else(|| self.unusable_profile(&loader, &files, &profiles)),
            unencrypted_endpoint,
        };
        let (base, config) = (CredentialSource::Sdk(loader), Arc::new(config));
        ProfileConfig { base, config, ssm_config, ca_bundle, region_origin, diagnosis }
    }

    /// The region of the EC2 instance, looked up once for all accounts.
    async fn instance_region(&self, loader: &SdkConfigLoader, profiles: &ProfileSet) -> Option<Region> {
        let endpoint = ambient::metadata_endpoint(&self.environment, profiles).ok()?;
        let cell = Arc::clone(self.instance_regions.lock().entry(endpoint).or_default());
        cell.get_or_init(|| Box::pin(loader.instance_region(profiles))).await.clone()
    }

    /// Why the selected profile provides no credentials. `None` if it is not used.
    fn unusable_profile(
        &self,
        loader: &SdkConfigLoader,
        files: &SharedConfig,
        profiles: &ProfileSet,
    ) -> Option<String> {
        // In the default chain, keys in the environment take precedence.
        if loader.profile.is_none() && self.environment.get("AWS_ACCESS_KEY_ID").is_some() {
            return None;
        }
        if let Err(error) = files.check_selected() {
            return Some(error.to_string());
        }
        match profile::resolve(profiles, files, &self.environment) {
            Ok(Resolution::NoCredentials) if loader.profile.is_some() => {
                Some(files.no_credentials().to_string())
            }
            Ok(_) => files.unreadable_named_file().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// The stores of the credentials that are in use.
    pub(super) fn credential_stores(&self) -> Vec<Arc<CredentialStore>> {
        self.credential_stores.lock().values().filter_map(Weak::upgrade).collect()
    }

    /// The store for the credentials that `access` leads to: those of its last role, or
    /// those of the profile or default chain if it has no roles. Role chains that begin
    /// with the same profile and roles share the stores for these.
    fn credential_store(
        &self,
        profile_config: &ProfileConfig,
        (access, partition): &SessionKey,
    ) -> Arc<CredentialStore> {
        let mut stores = self.credential_stores.lock();
        let mut get_or_create = |access: &Access, source: &dyn Fn() -> CredentialSource| {
            let key = (access.clone(), *partition);
            if let Some(store) = stores.get(&key).and_then(Weak::upgrade) {
                return store;
            }
            let store = CredentialStore::new(source(), self.collection_timeout / 2, &self.failure_log);
            stores.insert(key, Arc::downgrade(&store));
            store
        };
        let mut chain = Access { profile: access.profile.clone(), roles: Vec::new() };
        let mut store = get_or_create(&chain, &|| profile_config.base.clone());
        for role in &access.roles {
            chain.roles.push(role.clone());
            store = get_or_create(&chain, &|| CredentialSource::Role {
                config: Arc::clone(&profile_config.config),
                base: Arc::clone(&store),
                role: role.clone(),
                observer: Arc::clone(&self.observer),
            });
        }
        store
    }
}

impl Session {
    /// The SSM client that uses the `cached` credentials, for all regions. Creating a client
    /// takes much of the CPU time of a call, and one client per target would take more
    /// memory than the whole snapshot. Each call needs the configuration of its
    /// [region](Self::ssm_region_config).
    pub(crate) fn ssm_client(&self, cached: &CachedCredentials) -> aws_sdk_ssm::Client {
        let mut client = cached.ssm_client.lock();
        let client = client.get_or_insert_with(|| {
            let config =
                self.ssm_config.to_builder().credentials_provider(cached.credentials.clone()).build();
            aws_sdk_ssm::Client::from_conf(config)
        });
        client.clone()
    }

    /// Drops the SSM client, and what the SDK remembers of `region`, after a panic that their
    /// state may have caused. The next call starts with new ones. Calls in progress, in other
    /// regions, keep theirs.
    pub(crate) fn drop_ssm_client(&self, cached: &CachedCredentials, region: &RegionName) {
        *cached.ssm_client.lock() = None;
        self.ssm_regions.lock().remove(region);
    }

    /// The part of the configuration of a call to SSM that depends on the region. The caller
    /// adds [`ObserveRequests`](super::ObserveRequests), so that requests are counted.
    pub(crate) fn ssm_region_config(&self, region: &RegionName) -> aws_sdk_ssm::config::Builder {
        let mut regions = self.ssm_regions.lock();
        let known = regions.get(region).cloned();
        let SsmRegion { clock_skew, retry_partition } = known.unwrap_or_else(|| {
            let new =
                SsmRegion { clock_skew: clock_skew::memory(), retry_partition: sdk::own_retry_partition() };
            regions.entry(region.clone()).or_insert(new).clone()
        });
        drop(regions);
        let mut config = aws_sdk_ssm::Config::builder()
            .region(Region::new(region.as_str().to_owned()))
            .retry_partition(retry_partition)
            .retry_classifier(RetryAfterClockSkew);
        config.push_interceptor(clock_skew);
        config
    }

    /// Checks that the credentials belong to the account with the `configured` id. If
    /// the lookup fails, for example because only SSM can be reached from this network,
    /// the configured id is trusted for now. The result of the lookup is cached.
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

    /// Called after a service has rejected `cached` with `failure`. Replaces the credentials if
    /// STS rejects them as well, and returns what STS says.
    pub(crate) async fn credentials_rejected(
        &self,
        cached: &Arc<CachedCredentials>,
        failure: &Failure,
    ) -> Verdict {
        let check = cached.verdict.get(&self.config, &cached.credentials, &self.observer, self.check_timeout);
        let verdict = Box::pin(check).await;
        match verdict {
            Verdict::Accepted => {}
            Verdict::Rejected => _ = self.credentials.reject(cached, failure),
            Verdict::Unknown => self.credentials.refresh(cached),
        }
        verdict
    }

    /// The account that the credentials belong to, looked up once. A failed lookup is
    /// repeated after a back-off.
    ///
    /// # Errors
    /// The lookup failed or exceeded `timeout`, now or recently.
    pub(crate) async fn account_id(
        &self,
        cached: &CachedCredentials,
        timeout: Duration,
    ) -> Result<AccountId, Failure> {
        let lookup = cached.account.get(async {
            // Boxed, because the future is large and rarely polled. The timeout is
            // inside, so that a timeout is cached as well.
            let response = tokio::time::timeout(
                timeout,
                Box::pin(sts::caller_account(&self.config, &cached.credentials, &self.observer)),
            )
            .await;
            let result = response.unwrap_or_else(|_elapsed| {
                let message = format!("GetCallerIdentity: no answer within {timeout:?}");
                Err(Failure::new(Reason::Timeout, message))
            });
            self.observer.identity_lookup_ended(result.is_ok());
            match result {
                Ok(id) => Fetched::Value(Arc::new(id), None),
                Err(failure) => Fetched::Failed(failure),
            }
        });
        lookup.await.map(|id| AccountId::clone(&id))
    }
}
