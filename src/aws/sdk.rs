//! The SDK's configuration: endpoints, timeouts, retries, and the initial credentials,
//! before any role is assumed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::profile::{ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_sts::config::retry::RetryPartition;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::ReconnectMode;

use super::ambient::{self, ContainerProvider};
use super::credential_check::{CheckedProvider, EnvironmentProvider, check_environment};
use super::credential_process::{CredentialProcesses, ProcessProvider};
use super::endpoints::EndpointKind;
use super::environment::Environment;
use super::exchange::ExchangeObserver;
use super::outbound::{CaBundle, CaBundles, OutboundSettings};
use super::profile::{self, Base, BaseSource, ProfileChain, Resolution};
use super::profile_source::sso_login;
use super::recording::Recording;
use super::shared_config::{ConfiguredPaths, MAX_CHAIN, ParsedFiles, SharedConfig};
use crate::error_chain::with_causes;
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

/// The endpoint of requests that are not sent. No host has such a name (RFC 6761).
const UNREACHABLE_ENDPOINT: &str = "https://recording.invalid";

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
    /// Answers in place of AWS. Not configurable.
    pub(crate) recording: Option<Arc<Recording>>,
    /// Who is told about each request. Not configurable.
    pub(crate) exchange_observer: ExchangeObserver,
}

impl AwsSettings {
    /// The endpoint variants that these settings enable. The environment and the
    /// shared AWS configuration may enable others as well.
    #[must_use]
    pub fn endpoint_kind(&self) -> EndpointKind {
        EndpointKind { fips: self.use_fips, dualstack: self.use_dualstack }
    }

    /// Reads the shared AWS configuration and selects `profile`.
    pub(super) fn shared_config(
        &self,
        environment: &Environment,
        profile: Option<&str>,
        parsed: &ParsedFiles,
    ) -> SharedConfig {
        let paths = ConfiguredPaths {
            config: self.shared_config_file.as_deref(),
            credentials: self.shared_credentials_file.as_deref(),
        };
        SharedConfig::read(paths, environment, profile, parsed)
    }
}

/// Loads the SDK's configuration for a profile or for the default credential chain.
#[derive(Clone, Debug)]
pub(super) struct SdkConfigLoader {
    /// `None` uses the default credential chain.
    pub(super) profile: Option<String>,
    /// The region of the STS endpoint, if one is known.
    pub(super) region: Option<Region>,
    pub(super) settings: AwsSettings,
    pub(super) environment: Environment,
    /// The timeout of a collection, from which that of a call's attempt is derived.
    pub(super) collection_timeout: Duration,
    pub(super) http_client: SharedHttpClient,
    pub(super) processes: Arc<CredentialProcesses>,
    pub(super) parsed_files: Arc<ParsedFiles>,
}

impl SdkConfigLoader {
    /// Obtains the credentials of the profile or the default chain. This reads the profile files
    /// every time, so that an operator can add or correct a profile without a restart. The SDK's
    /// providers read a profile once and keep the result, even if the profile was missing.
    pub(super) async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        if self.profile.is_none() {
            // In the default chain, the environment takes precedence over profiles.
            match EnvironmentProvider.provide_credentials().await {
                Err(CredentialsError::CredentialsNotLoaded(_)) => {}
                result => return result,
            }
        }
        let (profile, parsed) = (self.profile.as_deref(), &self.parsed_files);
        let files = self.settings.shared_config(&self.environment, profile, parsed);
        files.check_selected().map_err(CredentialsError::invalid_configuration)?;
        if let Some(error) = files.unreadable_configured_file() {
            return Err(CredentialsError::invalid_configuration(error));
        }
        let profiles = files.profiles().await.map_err(CredentialsError::invalid_configuration)?;
        let resolution = profile::resolve(&profiles, &files, &self.environment)
            .map_err(CredentialsError::invalid_configuration)?;
        let provider = match resolution {
            Resolution::Plain => self
                .profile_provider(profiles.selected_profile(), &profiles)
                .profile_files(files.for_sdk(""))
                .build(),
            Resolution::Chain(chain) => self.provider_of_chain(&profiles, &files, chain),
            Resolution::NoCredentials if self.profile.is_some() => {
                return Err(CredentialsError::invalid_configuration(files.no_credentials()));
            }
            Resolution::NoCredentials => return self.ambient_credentials(&files, &profiles).await,
        };
        provider.provide_credentials().await.map_err(|error| {
            // The token of the cache has not expired, but its session was ended.
            let has_ended = with_causes(&error).contains("UnauthorizedException");
            if has_ended { SsoSessionEnded::wrap(error, &profiles) } else { error }
        })
    }

    /// The credentials of the default chain if neither the environment nor a profile has any.
    async fn ambient_credentials(
        &self,
        files: &SharedConfig,
        profiles: &ProfileSet,
    ) -> Result<Credentials, CredentialsError> {
        let config = self.provider_config(profiles);
        let result =
            ambient::credentials(&config, &self.environment, profiles, files.describe_selected()).await;
        if let Err(error) = &result {
            // The error of the SDK may not say that its cause is in the environment.
            check_environment(error).map_err(CredentialsError::invalid_configuration)?;
        }
        result
    }

    pub(super) async fn load(&self, files: &SharedConfig, profiles: &ProfileSet) -> SdkConfig {
        let Self { region, settings, .. } = self;
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(self.http_client.clone())
            .timeout_config(self.timeouts())
            .retry_config(self.retries())
            // The attempt timeout also covers a stalled body.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .profile_files(files.for_sdk(""))
            .profile_name(profiles.selected_profile())
            // Without a region, the SDK would ask the instance metadata service, here and for tokens that no
            // call needs.
            .region(region.clone().unwrap_or(Region::from_static("unknown")))
            // Each client gets the credentials of `credentials`.
            .no_credentials();
        if let Ok(name) = AppName::new("ssm-sync-exporter") {
            loader = loader.app_name(name);
        }
        if let Some(use_fips) = self.use_fips(profiles) {
            loader = loader.use_fips(use_fips);
        }
        if let Some(use_dualstack) = self.use_dualstack(profiles) {
            loader = loader.use_dual_stack(use_dualstack);
        }
        if let Some(url) = &settings.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        loader.load().await.into_builder().region(region.clone()).build()
    }

    /// Whether to use FIPS endpoints. `None` if no setting says so.
    fn use_fips(&self, profiles: &ProfileSet) -> Option<bool> {
        let in_environment = self.environment.switch("AWS_USE_FIPS_ENDPOINT");
        let in_profile = || switch_of_profile(profiles, "use_fips_endpoint");
        self.settings.use_fips.then_some(true).or(in_environment).or_else(in_profile)
    }

    fn use_dualstack(&self, profiles: &ProfileSet) -> Option<bool> {
        let in_environment = self.environment.switch("AWS_USE_DUALSTACK_ENDPOINT");
        let in_profile = || switch_of_profile(profiles, "use_dualstack_endpoint");
        self.settings.use_dualstack.then_some(true).or(in_environment).or_else(in_profile)
    }

    fn provider_of_chain(
        &self,
        profiles: &ProfileSet,
        files: &SharedConfig,
        chain: ProfileChain,
    ) -> ProfileFileCredentialsProvider {
        let provider = self.profile_provider(profiles.selected_profile(), profiles);
        let Some(Base { source, profile_file }) = chain.base else {
            return provider.profile_files(files.for_sdk("")).build();
        };
        let base = match source {
            BaseSource::Process(process) => SharedCredentialsProvider::new(ProcessProvider {
                process,
                processes: Arc::clone(&self.processes),
                timeout: self.collection_timeout * 7 / 15,
            }),
            BaseSource::Profile(name) => SharedCredentialsProvider::new(
                self.profile_provider(&name, profiles).profile_files(files.for_sdk("")).build(),
            ),
        };
        provider
            .profile_files(files.for_sdk(&profile_file))
            .with_custom_provider(profile::CREDENTIAL_SOURCE, CheckedProvider(base))
            .build()
    }

    /// A provider of the credentials of `profile` and no others. The default chain would
    /// prefer credentials in the environment, so the syncs of another account could be
    /// exported under the id of the profile's account.
    fn profile_provider(
        &self,
        profile: &str,
        profiles: &ProfileSet,
    ) -> aws_config::profile::credentials::Builder {
        let config = self.provider_config(profiles);
        let container = ContainerProvider::new(&config, &self.environment);
        // The SDK assumes roles with the credentials of these sources.
        let provider = ProfileFileCredentialsProvider::builder()
            .configure(&config)
            .profile_name(profile)
            .with_custom_provider("Environment", CheckedProvider(EnvironmentProvider))
            .with_custom_provider("EcsContainer", CheckedProvider(container));
        match ambient::instance_provider(&config, &self.environment, profiles) {
            Ok(instance) => provider.with_custom_provider("Ec2InstanceMetadata", CheckedProvider(instance)),
            // The configuration is rejected with this error.
            Err(_invalid_address) => provider,
        }
    }

    /// What the SDK's providers of credentials share.
    fn provider_config(&self, profiles: &ProfileSet) -> ProviderConfig {
        ProviderConfig::without_region()
            .with_region(self.region.clone())
            .with_use_fips(self.use_fips(profiles))
            .with_use_dual_stack(self.use_dualstack(profiles))
            .with_retry_config(self.retries())
            .with_timeout_config(self.timeouts())
            .with_http_client(self.http_client.clone())
    }

    /// The region of the EC2 instance, if there is one.
    pub(super) async fn instance_region(&self, profiles: &ProfileSet) -> Option<Region> {
        ambient::instance_region(&self.provider_config(profiles), &self.environment, profiles).await
    }

    fn retries(&self) -> RetryConfig {
        retries(self.collection_timeout)
    }

    fn timeouts(&self) -> TimeoutConfig {
        let attempt_timeout = attempt_timeout(self.collection_timeout);
        TimeoutConfig::builder()
            .operation_attempt_timeout(attempt_timeout)
            .connect_timeout(connect_timeout(self.collection_timeout))
            .build()
    }
}

/// The retries of calls, for a timeout of collections.
fn retries(collection_timeout: Duration) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(MAX_ATTEMPTS)
        // All attempts and the back-off together take less than half of the timeout, so that the error
        // of a server that does not answer is the one that names the server.
        .with_max_backoff(collection_timeout / 20)
}

/// The SDK's configuration for calls that a recording answers. It reads neither the environment nor
/// profiles, and has no timeouts: a call that was not answered when it was recorded stays without an
/// answer, until what ended it then ends it again.
pub(super) fn config_for_recording(
    region: Option<Region>,
    http_client: SharedHttpClient,
    collection_timeout: Duration,
) -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http_client)
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SystemTimeSource::new())
        .timeout_config(TimeoutConfig::disabled())
        // There are no connections to close.
        .retry_config(retries(collection_timeout).with_reconnect_mode(ReconnectMode::ReuseAllConnections))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .endpoint_url(UNREACHABLE_ENDPOINT)
        .region(region);
    if let Ok(name) = AppName::new("ssm-sync-exporter") {
        config = config.app_name(name);
    }
    config.build()
}

/// The error of a profile whose session of IAM Identity Center has ended.
#[derive(Debug, thiserror::Error)]
#[error("the session of IAM Identity Center has ended; run `{login}`")]
struct SsoSessionEnded {
    login: String,
    source: CredentialsError,
}

impl SsoSessionEnded {
    fn wrap(source: CredentialsError, profiles: &ProfileSet) -> CredentialsError {
        let profile = along_source_profiles(profiles, "sso_role_name").map(|(_, profile)| profile);
        let profile = profile.unwrap_or(profiles.selected_profile());
        let login = sso_login(&SharedConfig::shown_name(profile));
        CredentialsError::invalid_configuration(Self { login, source })
    }
}

/// Describes the first setting of the SDK, in the environment or the profile, that has an invalid
/// value. The SDK would ignore most of these without a word.
pub(super) fn invalid_setting(
    environment: &Environment,
    files: &SharedConfig,
    profiles: &ProfileSet,
) -> Option<String> {
    let is_invalid = |key: &&str| {
        let value = profiles.get(key).unwrap_or_default();
        !value.is_empty() && !["true", "false"].iter().any(|valid| value.eq_ignore_ascii_case(valid))
    };
    let in_profile = || {
        let key = ["use_fips_endpoint", "use_dualstack_endpoint"].into_iter().find(is_invalid)?;
        let place = files.place(profiles.selected_profile(), key);
        Some(format!(
            "the `{key}` of the shared AWS configuration{place} is invalid; expected `true` or `false`"
        ))
    };
    let endpoint = || ambient::metadata_endpoint(environment, profiles).err();
    environment.invalid_switch().or_else(in_profile).or_else(endpoint)
}

fn switch_of_profile(profiles: &ProfileSet, key: &str) -> Option<bool> {
    profiles.get(key).filter(|value| !value.is_empty()).map(|value| value.eq_ignore_ascii_case("true"))
}

/// A default region, and where it is from.
pub(super) struct DefaultRegion {
    pub(super) name: String,
    pub(super) origin: String,
}

/// The default region according to the profile and the environment. A configured
/// profile takes precedence over the environment; the `default` profile does not.
/// `None` if neither the profile nor the environment has a region. The instance metadata
/// service, which may have one, is not asked.
pub(super) fn default_region(
    environment: &Environment,
    files: &SharedConfig,
    profiles: &ProfileSet,
    is_profile_configured: bool,
) -> Option<DefaultRegion> {
    let from_profile = || {
        let (name, profile) = along_source_profiles(profiles, "region")?;
        let origin = format!("the shared AWS configuration{}", files.place(profile, "region"));
        Some(DefaultRegion { name: name.to_owned(), origin })
    };
    let from_environment = || {
        let (name, variable) = environment.region()?;
        Some(DefaultRegion { name, origin: format!("the environment variable {variable}") })
    };
    if is_profile_configured {
        from_profile().or_else(from_environment)
    } else {
        from_environment().or_else(from_profile)
    }
}

/// The value of `key` in the selected profile or, as the SDK does for the region, in the first of its
/// source profiles that has one, with the name of that profile.
fn along_source_profiles<'a>(profiles: &'a ProfileSet, key: &str) -> Option<(&'a str, &'a str)> {
    let mut visited = Vec::new();
    let mut name = profiles.selected_profile();
    while !visited.contains(&name) && visited.len() < MAX_CHAIN {
        visited.push(name);
        let profile = profiles.get_profile(name)?;
        if let Some(value) = profile.get(key).filter(|value| !value.is_empty()) {
            return Some((value, name));
        }
        name = profile.get("source_profile")?;
    }
    None
}

/// The certificate authorities that the selected profile names with `ca_bundle`, unless the
/// environment names others.
///
/// # Errors
/// The place of the setting, and why its file cannot be used.
pub(super) fn ca_bundle(
    settings: &AwsSettings,
    environment: &Environment,
    files: &SharedConfig,
    profiles: &ProfileSet,
    bundles: &CaBundles,
) -> Result<Option<CaBundle>, String> {
    let path = profiles.get("ca_bundle").map(str::trim).filter(|path| !path.is_empty());
    let Some(path) = path.filter(|_| settings.outbound.ca_bundle.is_none()) else { return Ok(None) };
    bundles.get(&environment.expand_home(path)).map(Some).map_err(|error| {
        let place = files.place(profiles.selected_profile(), "ca_bundle");
        format!("the `ca_bundle` of the shared AWS configuration{place}: {error}")
    })
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
