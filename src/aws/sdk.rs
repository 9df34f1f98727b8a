//! The SDK's configuration: endpoints, timeouts, retries, and the initial credentials,
//! before any role is assumed.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_sts::config::retry::RetryPartition;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::{Env, Fs};

use super::credential_check::{CheckedProvider, EnvironmentProvider, check_environment};
use super::credential_process::{CredentialProcesses, ProcessProvider};
use super::endpoints::EndpointKind;
use super::outbound::{CaBundle, OutboundSettings};
use super::profile::{self, Base, BaseSource, ProfileChain};
use crate::fleet::RegionName;

/// The maximum number of attempts that the SDK makes for a call, including the
/// first. If all fail, the next collection of the target tries again.
const MAX_ATTEMPTS: u32 = 3;

/// How many attempts fit into the timeout of a collection: enough to exhaust
/// [`MAX_ATTEMPTS`] while obtaining credentials and again while listing syncs, including
/// the back-off.
const ATTEMPTS_PER_COLLECTION: u32 = 8;

/// The maximum time for a lookup whose failure is tolerated: whether a configured account
/// id is right, or whether STS accepts credentials.
const MAX_CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout of such a lookup within a collection.
pub(super) fn check_timeout(collection_timeout: Duration) -> Duration {
    MAX_CHECK_TIMEOUT.min(attempt_timeout(collection_timeout))
}

/// The timeout of one attempt of a call.
pub(super) fn attempt_timeout(collection_timeout: Duration) -> Duration {
    collection_timeout / ATTEMPTS_PER_COLLECTION
}

/// The timeout of the request and the response of an attempt. It ends a little before the attempt
/// does, because its error names the destination of the request.
pub(super) fn exchange_timeout(collection_timeout: Duration) -> Duration {
    attempt_timeout(collection_timeout) * 15 / 16
}

/// The timeout of a connection, its TLS handshake included. It is shorter than that of the response,
/// so that the error says which of the two it is about.
fn connect_timeout(collection_timeout: Duration) -> Duration {
    (attempt_timeout(collection_timeout) * 7 / 8).min(Duration::from_secs(5))
}

/// A retry partition for one client. The SDK limits the retries of all calls within a
/// partition together, by default of all calls to a service in a region. One throttled
/// account would then use up the retries of the others.
pub(crate) fn own_retry_partition() -> RetryPartition {
    RetryPartition::custom("ssm-sync-exporter").build()
}

/// The `aws` section of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// Whether to use the FIPS endpoints.
    pub use_fips: bool,
    /// Whether to use the dual-stack endpoints, reachable over IPv4 and IPv6.
    pub use_dualstack: bool,
    /// The region of the STS endpoint, for accounts in the partition of this region.
    pub sts_region: Option<RegionName>,
    /// Replaces the endpoints of all AWS services.
    pub endpoint_url: Option<String>,
    /// Overrides `AWS_CONFIG_FILE`, the file with the profiles.
    pub shared_config_file: Option<PathBuf>,
    /// Overrides `AWS_SHARED_CREDENTIALS_FILE`, the file with the credentials of
    /// profiles.
    pub shared_credentials_file: Option<PathBuf>,
    /// The proxies and certificate authorities of the environment.
    pub outbound: Arc<OutboundSettings>,
}

impl AwsSettings {
    /// The endpoint variants that these settings enable. The environment and the
    /// shared AWS configuration may enable others as well.
    #[must_use]
    pub fn endpoint_kind(&self) -> EndpointKind {
        EndpointKind { fips: self.use_fips, dualstack: self.use_dualstack }
    }

    fn profile_files(&self) -> EnvConfigFiles {
        self.profile_files_and("")
    }

    /// The profile files and, with precedence, a configuration file with the contents
    /// `additional`.
    fn profile_files_and(&self, additional: &str) -> EnvConfigFiles {
        let mut files = EnvConfigFiles::builder()
            .include_default_config_file(self.shared_config_file.is_none())
            .include_default_credentials_file(self.shared_credentials_file.is_none());
        if let Some(path) = &self.shared_config_file {
            files = files.with_file(EnvConfigFileKind::Config, path);
        }
        if let Some(path) = &self.shared_credentials_file {
            files = files.with_file(EnvConfigFileKind::Credentials, path);
        }
        files.with_contents(EnvConfigFileKind::Config, additional).build()
    }
}

/// Loads the SDK's configuration for a profile or for the default credential chain.
#[derive(Clone, Debug)]
pub(super) struct SdkConfigLoader {
    /// `None` uses the default credential chain.
    pub(super) profile: Option<String>,
    /// The region of the STS endpoint. If `None`, the SDK determines a default region.
    pub(super) region: Option<Region>,
    pub(super) settings: AwsSettings,
    /// The timeout of a collection, from which that of a call's attempt is derived.
    pub(super) collection_timeout: Duration,
    pub(super) http_client: SharedHttpClient,
    pub(super) processes: Arc<CredentialProcesses>,
}

impl SdkConfigLoader {
    /// Obtains the credentials of the profile or the default chain. This creates new
    /// providers every time, so that an operator can add or correct a profile without a
    /// restart. The SDK's providers read a profile once and keep the result, even if the
    /// profile was missing.
    pub(super) async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        if self.profile.is_none() {
            // In the default chain, the environment takes precedence over profiles.
            match EnvironmentProvider.provide_credentials().await {
                Err(CredentialsError::CredentialsNotLoaded(_)) => {}
                result => return result,
            }
        }
        if let Some(provider) = self.chain_provider().await? {
            return provider.provide_credentials().await;
        }
        let config = self.load().await;
        let Some(provider) = config.credentials_provider() else {
            return Err(CredentialsError::not_loaded("no credentials provider is configured"));
        };
        let result = provider.provide_credentials().await;
        if let Err(error) = &result
            && self.profile.is_none()
        {
            // The error of the SDK may not say that its cause is in the environment.
            check_environment(error).await.map_err(CredentialsError::invalid_configuration)?;
        }
        result
    }

    pub(super) async fn load(&self) -> SdkConfig {
        let Self { profile, region, settings, .. } = self;
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(self.http_client.clone())
            .timeout_config(self.timeouts())
            .retry_config(retries())
            // The attempt timeout also covers a stalled body.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .profile_files(settings.profile_files());
        if let Ok(name) = AppName::new("ssm-sync-exporter") {
            loader = loader.app_name(name);
        }
        if let Some(profile) = profile {
            let provider = self.profile_provider(profile).profile_files(settings.profile_files()).build();
            loader = loader.profile_name(profile).credentials_provider(provider);
        }
        if let Some(region) = region {
            loader = loader.region(region.clone());
        }
        // `use_fips` and `use_dual_stack` are set only to `true`. `false` would override
        // the environment and the shared AWS configuration.
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

    /// The provider for a profile that leads to a role or to a `credential_process`. `None` if
    /// the SDK's own provider will do.
    ///
    /// # Errors
    /// The profile is unusable.
    async fn chain_provider(&self) -> Result<Option<ProfileFileCredentialsProvider>, CredentialsError> {
        let (profile, files) = (self.profile.clone().map(Cow::Owned), self.settings.profile_files());
        // The error of the SDK's own provider does not name the file and the line.
        let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), &files, profile)
            .await
            .map_err(CredentialsError::invalid_configuration)?;
        let chain = profile::resolve(&profiles).map_err(CredentialsError::invalid_configuration)?;
        Ok(chain.map(|chain| self.provider_of_chain(profiles.selected_profile(), chain)))
    }

    fn provider_of_chain(&self, profile: &str, chain: ProfileChain) -> ProfileFileCredentialsProvider {
        let provider = self.profile_provider(profile);
        let Some(Base { source, profile_file }) = chain.base else {
            return provider.profile_files(self.settings.profile_files()).build();
        };
        let base = match source {
            BaseSource::Process(process) => SharedCredentialsProvider::new(ProcessProvider {
                process,
                processes: Arc::clone(&self.processes),
                timeout: self.collection_timeout * 7 / 15,
            }),
            BaseSource::Profile(name) => SharedCredentialsProvider::new(
                self.profile_provider(&name).profile_files(self.settings.profile_files()).build(),
            ),
        };
        provider
            .profile_files(self.settings.profile_files_and(&profile_file))
            .with_custom_provider(profile::CREDENTIAL_SOURCE, CheckedProvider(base))
            .build()
    }

    /// A provider of the credentials of `profile` and no others. The default chain would
    /// prefer credentials in the environment, so the syncs of another account could be
    /// exported under the id of the profile's account.
    fn profile_provider(&self, profile: &str) -> aws_config::profile::credentials::Builder {
        let settings = &self.settings;
        let config = ProviderConfig::without_region()
            .with_region(self.region.clone())
            .with_use_fips(settings.use_fips.then_some(true))
            .with_use_dual_stack(settings.use_dualstack.then_some(true))
            .with_retry_config(retries())
            .with_timeout_config(self.timeouts())
            .with_http_client(self.http_client.clone());
        let container = EcsCredentialsProvider::builder().configure(&config).build();
        // The SDK assumes roles with the credentials of these sources.
        ProfileFileCredentialsProvider::builder()
            .configure(&config)
            .profile_name(profile)
            .with_custom_provider("Environment", CheckedProvider(EnvironmentProvider))
            .with_custom_provider("EcsContainer", CheckedProvider(container))
    }

    fn timeouts(&self) -> TimeoutConfig {
        let attempt_timeout = attempt_timeout(self.collection_timeout);
        TimeoutConfig::builder()
            .operation_attempt_timeout(attempt_timeout)
            .connect_timeout(connect_timeout(self.collection_timeout))
            .build()
    }
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS)
}

/// The default region according to the profile and the environment. A configured
/// profile takes precedence over the environment; the `default` profile does not.
/// `None` if neither the profile nor the environment has a region. The instance metadata
/// service, which may have one, is not asked.
pub(super) async fn default_region(profile: Option<&str>, settings: &AwsSettings) -> Option<Region> {
    let mut from_profile = ProfileFileRegionProvider::builder().profile_files(settings.profile_files());
    if let Some(profile) = profile {
        from_profile = from_profile.profile_name(profile);
    }
    let (from_profile, from_environment) = (from_profile.build(), EnvironmentVariableRegionProvider::new());
    let chain = match profile {
        Some(_) => RegionProviderChain::first_try(from_profile).or_else(from_environment),
        None => RegionProviderChain::first_try(from_environment).or_else(from_profile),
    };
    chain.region().await
}

/// The certificate authorities that the profile names with `ca_bundle`, unless the environment names
/// others.
///
/// # Errors
/// The profile, and why its file cannot be used.
pub(super) async fn ca_bundle(
    profile: Option<&str>,
    settings: &AwsSettings,
) -> Result<Option<CaBundle>, String> {
    if settings.outbound.ca_bundle.is_some() {
        return Ok(None);
    }
    let selected = profile.map(|profile| Cow::Owned(profile.to_owned()));
    let files = settings.profile_files();
    // Profile files that cannot be read are reported when the credentials are obtained.
    let Ok(profiles) = aws_config::profile::load(&Fs::real(), &Env::real(), &files, selected).await else {
        return Ok(None);
    };
    let Some(path) = profiles.get("ca_bundle").map(str::trim).filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    match CaBundle::read(Path::new(path)) {
        Ok(ca_bundle) => Ok(Some(ca_bundle)),
        Err(error) => Err(format!("`ca_bundle` of the profile `{}`: {error}", profiles.selected_profile())),
    }
}

/// The region of the STS endpoint: the first of these that is in the account's partition.
///
/// 1. `configured`, the `sts_region` setting
/// 2. `default`, see [`default_region`], unless it is an opt-in region: accounts that have
///    not enabled an opt-in region do not accept credentials from its STS (IAM user guide,
///    managing STS in an AWS region)
/// 3. `home`, a region of the account's partition
///
/// If the account's partition is not known, `home` is `None`. The result is then
/// `configured` or else `default`, even if it is an opt-in region.
pub(super) fn sts_region(
    configured: Option<&RegionName>,
    default: Option<Region>,
    home: Option<&RegionName>,
) -> Option<Region> {
    let Some(home) = home else { return configured.map(sdk_region).or(default) };
    let in_partition = |region: &&RegionName| region.partition() == home.partition();
    if let Some(configured) = configured.filter(in_partition) {
        return Some(sdk_region(configured));
    }
    let default = default.and_then(|region| region.as_ref().parse().ok());
    let default = default.filter(|region: &RegionName| in_partition(&region) && region.is_always_enabled());
    Some(sdk_region(&default.unwrap_or_else(|| home.clone())))
}

fn sdk_region(name: &RegionName) -> Region {
    Region::new(name.as_str().to_owned())
}
