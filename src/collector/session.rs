//! How each account is reached: the SDK's configuration with the account's
//! credentials in it, made once and shared by all of its targets.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::identity::IdentityCache;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_ssm::config::retry::RetryPartition;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use tracing::debug;

use super::classify;
use super::credentials::{self, CredentialStore, Lent, Source};
use super::flight::Flight;
use super::observe::{Discovery, Observe, Observer};
use crate::model::{Failure, Reason};
use crate::target::{Access, Account, AccountId, InvalidRegion, RegionName, Target};

/// How often the SDK tries a call before it gives up, the first time
/// included. The scheduler's next round is the retry beyond that.
const ATTEMPTS: u32 = 3;

/// How many attempts a collection has time for: for its credentials and for
/// its lists, if all go wrong for long, and some of it left for the pauses
/// between them.
const SHARES: u32 = 8;

/// How long to wait for the answer when a given account id is checked.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// How AWS is called.
#[derive(Clone, Debug, Default)]
pub struct AwsSettings {
    /// Whether to use the FIPS endpoints.
    pub use_fips: bool,
    /// Whether to use the endpoints that answer over IPv6, too.
    pub use_dualstack: bool,
    /// Where all calls go instead of AWS's own endpoints.
    pub endpoint_url: Option<String>,
    /// The file to read profiles from, instead of what `AWS_CONFIG_FILE` says.
    pub shared_config_file: Option<PathBuf>,
    /// The file to read credentials of profiles from, instead of what
    /// `AWS_SHARED_CREDENTIALS_FILE` says.
    pub shared_credentials_file: Option<PathBuf>,
}

impl AwsSettings {
    fn profile_files(&self) -> EnvConfigFiles {
        let mut files = EnvConfigFiles::builder()
            .include_default_config_file(self.shared_config_file.is_none())
            .include_default_credentials_file(self.shared_credentials_file.is_none());
        if let Some(path) = &self.shared_config_file {
            files = files.with_file(EnvConfigFileKind::Config, path);
        }
        if let Some(path) = &self.shared_credentials_file {
            files = files.with_file(EnvConfigFileKind::Credentials, path);
        }
        files.build()
    }
}

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
    id: Flight<AccountId>,
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
        let http_client = http_client(settings);
        let mut by_access = HashMap::new();
        let mut default_regions = HashMap::new();
        let mut starts: HashMap<(Option<String>, Option<Region>), SdkConfig> = HashMap::new();
        let mut stores: HashMap<Access, Arc<CredentialStore>> = HashMap::new();
        for (account, named) in accounts {
            let Access { profile, roles } = &account.access;
            let region = home_region(profile.as_deref(), named.as_ref(), settings).await;
            let key = (profile.clone(), region);
            if !starts.contains_key(&key) {
                let start = load(&key, settings, timeout, http_client.clone()).await;
                starts.insert(key.clone(), start);
            }
            let config = starts[&key].clone();
            if named.is_none() {
                let region = config.region().map(ToString::to_string);
                default_regions.insert(profile.clone(), region);
            }
            if by_access.contains_key(&account.access) {
                continue;
            }
            let mut access = Access { profile: profile.clone(), roles: Vec::new() };
            let mut credentials = Arc::clone(stores.entry(access.clone()).or_insert_with(|| {
                // A configuration without a provider is not made by `load`.
                let provider = config.credentials_provider();
                let provider = provider.unwrap_or_else(|| SharedCredentialsProvider::new(NoCredentials));
                CredentialStore::new(Source::Provider(provider), timeout / 2)
            }));
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
            let session = Session { config, credentials, id: Flight::default() };
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
    /// the given one.
    pub(super) async fn check_account_id(
        &self,
        given: &AccountId,
        observer: &Arc<dyn Observer>,
    ) -> Result<(), Failure> {
        let error = match tokio::time::timeout(CHECK_TIMEOUT, self.account_id(observer)).await {
            Ok(Ok(id)) if id == *given => return Ok(()),
            Ok(Ok(id)) => {
                let message = format!(
                    "the credentials belong to the account {id} and not to {given}, as the configuration says"
                );
                return Err(Failure::new(Reason::Credentials, message));
            }
            Ok(Err(failure)) => failure.message,
            Err(_) => format!("no answer within {CHECK_TIMEOUT:?}"),
        };
        debug!(
            account = given.as_str(),
            error, "cannot check the id of an account, so it is believed for now"
        );
        Ok(())
    }

    /// The account that the credentials belong to. AWS is asked until it has
    /// said so once.
    pub(super) async fn account_id(&self, observer: &Arc<dyn Observer>) -> Result<AccountId, Failure> {
        let id = self.id.get(async {
            // The call is large, and rarely made.
            let id = Box::pin(self.ask_account_id(observer)).await;
            observer.discovery(match id {
                Ok(_) => Discovery::Succeeded("identity"),
                Err(_) => Discovery::Failed("identity"),
            });
            Ok((id?, None))
        });
        id.await.map(|id| AccountId::clone(&id))
    }

    async fn ask_account_id(&self, observer: &Arc<dyn Observer>) -> Result<AccountId, Failure> {
        let lent = self.credentials.get().await?;
        let sts = credentials::sts_client(&self.config, &lent.credentials, Observe::new(observer));
        let identity = sts.get_caller_identity().send().await.map_err(|error| classify::failure(&error))?;
        let id = identity.account().unwrap_or_default();
        id.parse()
            .map_err(|error| Failure::new(Reason::InvalidResponse, format!("GetCallerIdentity: {error}")))
    }
}

/// Stands in where there is no provider of credentials.
#[derive(Debug)]
struct NoCredentials;

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded(
            "there is no provider of credentials",
        )))
    }
}

/// The region whose STS is asked: that of the credentials, if it lies in the
/// same partition as the account's own regions; else the first of those. `None`
/// where only the instance that we run on can tell.
async fn home_region(
    profile: Option<&str>,
    named: Option<&RegionName>,
    settings: &AwsSettings,
) -> Option<Region> {
    let mut of_profile = ProfileFileRegionProvider::builder().profile_files(settings.profile_files());
    if let Some(profile) = profile {
        of_profile = of_profile.profile_name(profile);
    }
    let (of_profile, of_environment) = (of_profile.build(), EnvironmentVariableRegionProvider::new());
    let found = match profile {
        Some(_) => RegionProviderChain::first_try(of_profile).or_else(of_environment),
        None => RegionProviderChain::first_try(of_environment).or_else(of_profile),
    };
    let found = found.region().await;
    let Some(named) = named else { return found };
    let partition =
        |region: &Region| region.as_ref().parse::<RegionName>().ok().map(|region| region.partition());
    found
        .filter(|region| partition(region) == Some(named.partition()))
        .or_else(|| Some(Region::new(named.as_str().to_owned())))
}

async fn load(
    (profile, region): &(Option<String>, Option<Region>),
    settings: &AwsSettings,
    timeout: Duration,
    http_client: SharedHttpClient,
) -> SdkConfig {
    let attempt = timeout / SHARES;
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(attempt)
        .connect_timeout(attempt.min(Duration::from_secs(5)))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client.clone())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        // The deadline of the attempt covers a body that stops coming.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .profile_files(settings.profile_files());
    if let Ok(name) = AppName::new("ssm-sync-exporter") {
        loader = loader.app_name(name);
    }
    if let Some(profile) = profile {
        // The default chain would ask the environment first, and list the
        // syncs of some other account under this one's name.
        let config =
            ProviderConfig::without_region().with_region(region.clone()).with_http_client(http_client);
        let credentials = ProfileFileCredentialsProvider::builder()
            .configure(&config)
            .profile_files(settings.profile_files())
            .profile_name(profile)
            .build();
        loader = loader.profile_name(profile).credentials_provider(credentials);
    }
    if let Some(region) = region {
        loader = loader.region(region.clone());
    }
    // What is not asked for here is left to AWS_USE_FIPS_ENDPOINT and the like.
    if settings.use_fips {
        loader = loader.use_fips(true);
    }
    if settings.use_dualstack {
        loader = loader.use_dual_stack(true);
    }
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

/// One client, and so one pool of connections, for everything. The SDK's own
/// default would be one for each service client, and would not go through a
/// proxy.
fn http_client(settings: &AwsSettings) -> SharedHttpClient {
    // An endpoint without TLS is a stand-in for AWS nearby, not AWS: no proxy
    // for the world outside leads there.
    let nearby = settings.endpoint_url.as_ref().is_some_and(|url| url.starts_with("http://"));
    Builder::new().build_with_connector_fn(move |settings, components| {
        let proxy = if nearby { ProxyConfig::disabled() } else { ProxyConfig::from_env() };
        let mut connector = Connector::builder().proxy_config(proxy);
        if let Some(settings) = settings {
            connector = connector.connector_settings(settings.clone());
        }
        if let Some(sleep) = components.and_then(RuntimeComponents::sleep_impl) {
            connector = connector.sleep_impl(sleep);
        }
        connector.tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc)).build()
    })
}
