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
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use crate::target::RegionName;

/// How often the SDK tries a call before it gives up, the first time
/// included. The scheduler's next round is the retry beyond that.
const ATTEMPTS: u32 = 3;

/// How many attempts a collection has time for: for its credentials and for
/// its lists, if all go wrong for long, and some of it left for the pauses
/// between them.
const SHARES: u32 = 8;

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

/// Stands in where there is no provider of credentials.
#[derive(Debug)]
pub(super) struct NoCredentials;

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
pub(super) async fn home_region(
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

/// The SDK's configuration with the credentials of a profile, or of the default
/// chain, in a region; where none is given, in the one that the SDK finds.
///
/// `timeout` is that of a collection.
pub(super) async fn load(
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
pub(super) fn http_client(settings: &AwsSettings) -> SharedHttpClient {
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
