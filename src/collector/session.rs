//! How each account is reached: the SDK's configuration with the account's
//! credentials in it, made once and shared by all of its targets.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::meta::region::ProvideRegion as _;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_ssm::config::retry::RetryPartition;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use tokio::sync::OnceCell;
use tracing::debug;

use super::classify;
use super::credentials::RoleProvider;
use super::observe::{Discovery, Observe, Observer};
use crate::model::{Failure, Reason};
use crate::target::{Access, Account, AccountId, InvalidRegion, RegionName, Target};

/// How often the SDK tries a call before it gives up, the first time
/// included. The scheduler's next round is the retry beyond that.
const ATTEMPTS: u32 = 3;

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

/// The way to each account. Accounts with the same access share it.
#[derive(Debug)]
pub struct Sessions(HashMap<Access, Session>);

/// The way to one account.
#[derive(Debug)]
pub(super) struct Session {
    config: SdkConfig,
    id: OnceCell<AccountId>,
    /// Set once it has been tried to check a given id.
    checked: OnceCell<()>,
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
        let http_client = http_client();
        let mut sessions = HashMap::new();
        let mut starts: HashMap<(Option<String>, Option<RegionName>), SdkConfig> = HashMap::new();
        for (account, region) in accounts {
            if sessions.contains_key(&account.access) {
                continue;
            }
            let key = (account.access.profile.clone(), region);
            if !starts.contains_key(&key) {
                let start = load(&key, settings, timeout, http_client.clone()).await;
                starts.insert(key.clone(), start);
            }
            let start = starts[&key].clone();
            let config = account.access.roles.iter().fold(start, |config, role| {
                let provider = RoleProvider::new(&config, role.clone(), Observe::new(observer));
                config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
            });
            sessions.insert(
                account.access.clone(),
                Session { config, id: OnceCell::new(), checked: OnceCell::new() },
            );
        }
        Self(sessions)
    }

    /// The region that goes with the account's credentials, if there is one.
    ///
    /// # Errors
    /// What is given for one is none.
    pub fn default_region(&self, account: &Account) -> Result<Option<RegionName>, InvalidRegion> {
        let region = self.of(account).and_then(|session| session.config.region());
        region.map(|region| region.as_ref().parse()).transpose()
    }

    pub(super) fn of(&self, account: &Account) -> Option<&Session> {
        self.0.get(&account.access)
    }
}

impl Session {
    /// A client for the target. It is cheap: connections, credentials and
    /// configuration are those of the session.
    pub(super) fn client(&self, account: &str, target: &Target) -> aws_sdk_ssm::config::Builder {
        aws_sdk_ssm::config::Builder::from(&self.config)
            .region(Region::new(target.region.as_str().to_owned()))
            // The SDK meters its retries by partition, by default one for
            // each service and region: one account that AWS throttles would
            // use up the retries of all others there.
            .retry_partition(RetryPartition::new(format!("ssm-{account}-{}", target.region)))
    }

    /// Checks that the credentials belong to the account whose id is `given`.
    /// AWS is asked once and not for long; where it cannot be asked, say in a
    /// network that leads to SSM only, the given id is believed.
    ///
    /// # Errors
    /// They belong to another account, whose syncs would be shown as those of
    /// the given one.
    pub(super) async fn check_account_id(
        &self,
        given: &AccountId,
        observer: &Arc<dyn Observer>,
    ) -> Result<(), Failure> {
        self.checked
            .get_or_init(|| async {
                let asked = tokio::time::timeout(CHECK_TIMEOUT, self.account_id(observer)).await;
                if !matches!(asked, Ok(Ok(_))) {
                    debug!(account = given.as_str(), "cannot check the id of an account, so it is believed");
                }
            })
            .await;
        match self.id.get() {
            Some(id) if id != given => Err(Failure::new(
                Reason::Credentials,
                format!(
                    "the credentials belong to the account {id} and not to {given}, as the configuration says"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// The account that the credentials belong to. AWS is asked once.
    pub(super) async fn account_id(&self, observer: &Arc<dyn Observer>) -> Result<&AccountId, Failure> {
        self.id
            .get_or_try_init(|| async {
                let id = self.ask_account_id(observer).await;
                observer.discovery(match id {
                    Ok(_) => Discovery::Succeeded("identity"),
                    Err(_) => Discovery::Failed("identity"),
                });
                id
            })
            .await
    }

    async fn ask_account_id(&self, observer: &Arc<dyn Observer>) -> Result<AccountId, Failure> {
        let config =
            aws_sdk_sts::config::Builder::from(&self.config).interceptor(Observe::new(observer)).build();
        let identity = aws_sdk_sts::Client::from_conf(config)
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| classify::failure(&error))?;
        let id = identity.account().unwrap_or_default();
        id.parse()
            .map_err(|error| Failure::new(Reason::InvalidResponse, format!("GetCallerIdentity: {error}")))
    }
}

async fn load(
    (profile, region): &(Option<String>, Option<RegionName>),
    settings: &AwsSettings,
    timeout: Duration,
    http_client: SharedHttpClient,
) -> SdkConfig {
    // One share is left for the pauses between the attempts.
    let attempt = timeout / (ATTEMPTS + 1);
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
        .identity_cache(IdentityCache::lazy().load_timeout(timeout).build());
    if let Ok(name) = AppName::new("ssm-sync-exporter") {
        loader = loader.app_name(name);
    }
    loader = loader.profile_files(settings.profile_files());
    let region = region.as_ref().map(|region| Region::new(region.as_str().to_owned()));
    if let Some(profile) = profile {
        // The default chain would ask the environment first, and list the
        // syncs of some other account under this one's name.
        let config = ProviderConfig::without_region()
            .with_region(match &region {
                Some(region) => Some(region.clone()),
                None => profile_region(profile, settings).await,
            })
            .with_http_client(http_client.clone());
        let credentials = ProfileFileCredentialsProvider::builder()
            .configure(&config)
            .profile_files(settings.profile_files())
            .profile_name(profile)
            .build();
        loader = loader.profile_name(profile).credentials_provider(credentials);
    }
    if let Some(region) = region {
        loader = loader.region(region);
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

/// The region that a profile names.
async fn profile_region(profile: &str, settings: &AwsSettings) -> Option<Region> {
    ProfileFileRegionProvider::builder()
        .profile_files(settings.profile_files())
        .profile_name(profile)
        .build()
        .region()
        .await
}

/// One client, and so one pool of connections, for everything. The SDK's own
/// default would be one for each service client, and would not go through a
/// proxy.
fn http_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        if let Some(settings) = settings {
            connector = connector.connector_settings(settings.clone());
        }
        if let Some(sleep) = components.and_then(RuntimeComponents::sleep_impl) {
            connector = connector.sleep_impl(sleep);
        }
        connector.tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc)).build()
    })
}
