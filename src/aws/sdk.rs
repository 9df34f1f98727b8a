//! The SDK's configuration: endpoints, time-outs, retries, proxies, and where
//! credentials start from.

use std::path::PathBuf;
use std::time::Duration;

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
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use super::endpoints::EndpointKind;
use crate::fleet::RegionName;

/// How often the SDK tries a call before it gives up, the first time
/// included. The scheduler's next round is the retry beyond that.
const ATTEMPTS: u32 = 3;

/// How many attempts a collection has time for: for its credentials and for
/// its lists, if all go wrong for long, and some of it left for the pauses
/// between them.
const SHARES: u32 = 8;

/// What a single attempt of a call may take of the `timeout` of a collection.
pub(super) fn attempt_timeout(timeout: Duration) -> Duration {
    timeout / SHARES
}

/// How AWS is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// Whether to use the FIPS endpoints.
    pub use_fips: bool,
    /// Whether to use the endpoints that answer over IPv6, too.
    pub use_dualstack: bool,
    /// The region whose STS is asked, for accounts of its partition.
    pub sts_region: Option<RegionName>,
    /// Where all calls go instead of AWS's own endpoints.
    pub endpoint_url: Option<String>,
    /// The file to read profiles from, instead of what `AWS_CONFIG_FILE` says.
    pub shared_config_file: Option<PathBuf>,
    /// The file to read credentials of profiles from, instead of what
    /// `AWS_SHARED_CREDENTIALS_FILE` says.
    pub shared_credentials_file: Option<PathBuf>,
}

impl AwsSettings {
    /// How services are called as far as it is set here. The environment and
    /// the shared AWS configuration may add to it.
    #[must_use]
    pub fn endpoint_kind(&self) -> EndpointKind {
        EndpointKind { fips: self.use_fips, dualstack: self.use_dualstack }
    }

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

/// What the SDK's configuration is made from: a profile, or the default chain,
/// in a region.
#[derive(Clone, Debug)]
pub(super) struct SdkConfigSource {
    pub(super) profile: Option<String>,
    /// Where none is given, it is that which the SDK finds.
    pub(super) region: Option<Region>,
    pub(super) settings: AwsSettings,
    /// That of a collection.
    pub(super) timeout: Duration,
    pub(super) http_client: SharedHttpClient,
}

impl SdkConfigSource {
    /// Looks the credentials up. The SDK's providers read a profile once and
    /// keep to what they found, even if it was nothing; so each look-up has
    /// providers of its own, and what the operator mends is mended.
    pub(super) async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        match self.load().await.credentials_provider() {
            Some(provider) => provider.provide_credentials().await,
            None => Err(CredentialsError::not_loaded("there is no provider of credentials")),
        }
    }

    /// The configuration.
    pub(super) async fn load(&self) -> SdkConfig {
        let Self { profile, region, settings, timeout, http_client } = self;
        let attempt = attempt_timeout(*timeout);
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
            loader = loader.profile_name(profile).credentials_provider(self.of_profile(profile));
        }
        if let Some(region) = region {
            loader = loader.region(region.clone());
        }
        // What is not asked for here is left to AWS_USE_FIPS_ENDPOINT and the
        // like.
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

    /// The credentials of a profile and of nothing else. The default chain
    /// would ask the environment first, and list the syncs of some other
    /// account under this one's name.
    fn of_profile(&self, profile: &str) -> ProfileFileCredentialsProvider {
        let settings = &self.settings;
        let config = ProviderConfig::without_region()
            .with_region(self.region.clone())
            .with_use_fips(settings.use_fips.then_some(true))
            .with_use_dual_stack(settings.use_dualstack.then_some(true))
            .with_http_client(self.http_client.clone());
        ProfileFileCredentialsProvider::builder()
            .configure(&config)
            .profile_files(settings.profile_files())
            .profile_name(profile)
            .build()
    }
}

/// The region that goes with the credentials of a profile, or of the default
/// chain. `None` where only the instance that we run on can tell.
pub(super) async fn credentials_region(profile: Option<&str>, settings: &AwsSettings) -> Option<Region> {
    let mut of_profile = ProfileFileRegionProvider::builder().profile_files(settings.profile_files());
    if let Some(profile) = profile {
        of_profile = of_profile.profile_name(profile);
    }
    let (of_profile, of_environment) = (of_profile.build(), EnvironmentVariableRegionProvider::new());
    let found = match profile {
        Some(_) => RegionProviderChain::first_try(of_profile).or_else(of_environment),
        None => RegionProviderChain::first_try(of_environment).or_else(of_profile),
    };
    found.region().await
}

/// The region whose STS is asked for an account whose `home` is known: the one
/// that is set, or that of the credentials, if it lies in the same partition; or
/// else the home. A region that not every account has enabled is only taken if
/// it is set: the accounts that have not enabled it do not take what comes from
/// there. (IAM user guide, managing STS in an AWS region.)
pub(super) fn home_region(
    set: Option<&RegionName>,
    of_credentials: Option<Region>,
    home: Option<&RegionName>,
) -> Option<Region> {
    let Some(home) = home else { return set.map(region).or(of_credentials) };
    let near = |region: &&RegionName| region.partition() == home.partition();
    if let Some(set) = set.filter(near) {
        return Some(region(set));
    }
    let of_credentials = of_credentials.and_then(|region| region.as_ref().parse().ok());
    let of_credentials =
        of_credentials.filter(|region: &RegionName| near(&region) && region.is_always_enabled());
    Some(region(&of_credentials.unwrap_or_else(|| home.clone())))
}

fn region(name: &RegionName) -> Region {
    Region::new(name.as_str().to_owned())
}

/// One client, and so one pool of connections, for everything. The SDK's own
/// default would be one for each service client, and would not go through a
/// proxy.
pub(super) fn http_client(settings: &AwsSettings) -> SharedHttpClient {
    // An endpoint without TLS is a stand-in for AWS nearby, not AWS: no proxy
    // for the world outside leads there.
    let nearby = settings.endpoint_url.as_ref().is_some_and(|url| url.starts_with("http://"));
    let client = Builder::new().build_with_connector_fn(move |settings, components| {
        let proxy = if nearby { ProxyConfig::disabled() } else { ProxyConfig::from_env() };
        let mut connector = Connector::builder().proxy_config(proxy);
        if let Some(settings) = settings {
            connector = connector.connector_settings(settings.clone());
        }
        if let Some(sleep) = components.and_then(RuntimeComponents::sleep_impl) {
            connector = connector.sleep_impl(sleep);
        }
        connector.tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc)).build()
    });
    SharedHttpClient::new(Unprepared(client))
}

/// An HTTP client that is not got ready anew for every client of a service that
/// is given it. The SDK would have it read all certificates then, only to see
/// that it can, and that costs as much as a call.
#[derive(Debug)]
struct Unprepared(SharedHttpClient);

impl HttpClient for Unprepared {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}
