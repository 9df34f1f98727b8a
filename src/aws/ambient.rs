//! The sources of the default credential chain that come after the environment and the profile: a
//! web identity, a container, and the EC2 instance.
//!
//! The SDK's chain tries them in the same order. Here, the files that they need are checked first,
//! blank variables count as not set, and the error about the last source says what else was tried.

use std::error::Error;
use std::fmt;
use std::path::Path;

use aws_config::Region;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::profile::ProfileSet;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};

use super::environment::{CONTAINER_URIS, Environment, RELATIVE_URI, WebIdentity};
use super::profile_source::read_token;
use crate::printable::path_excerpt;

const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
const METADATA_ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const METADATA_MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";

/// No source has credentials.
#[derive(Debug)]
struct NoCredentials {
    /// The profile, and what else is worth a mention.
    tried: String,
    instance: CredentialsError,
}

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tried = &self.tried;
        write!(
            f,
            "found no credentials in the environment, {tried} or a container, and none of the EC2 instance"
        )
    }
}

impl Error for NoCredentials {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The error itself says only that a provider was not enabled.
        self.instance.source()
    }
}

/// Obtains the credentials of the first source that is set up. `tried` describes the profile that
/// has none.
pub(super) async fn credentials(
    config: &ProviderConfig,
    environment: &Environment,
    profiles: &ProfileSet,
    tried: String,
) -> Result<Credentials, CredentialsError> {
    if let Some(identity) = environment.web_identity().map_err(CredentialsError::invalid_configuration)? {
        return web_identity(config, identity).await;
    }
    if is_in_container(environment) {
        return ContainerProvider::new(config, environment).provide_credentials().await;
    }
    let instance = instance_provider(config, environment, profiles);
    let instance = instance.map_err(CredentialsError::invalid_configuration)?;
    match instance.provide_credentials().await {
        Err(instance @ CredentialsError::CredentialsNotLoaded(_)) => {
            Err(CredentialsError::invalid_configuration(NoCredentials { tried, instance }))
        }
        result => result,
    }
}

async fn web_identity(
    config: &ProviderConfig,
    WebIdentity { token_file, role_arn, session_name }: WebIdentity,
) -> Result<Credentials, CredentialsError> {
    check_token_file(&token_file, "AWS_WEB_IDENTITY_TOKEN_FILE")?;
    let session_name = session_name.unwrap_or_else(|| "ssm-sync-exporter".to_owned());
    WebIdentityTokenCredentialsProvider::builder()
        .static_configuration(StaticConfiguration {
            web_identity_token_file: token_file,
            role_arn,
            session_name,
        })
        .configure(config)
        .build()
        .provide_credentials()
        .await
}

fn check_token_file(path: &Path, variable: &str) -> Result<(), CredentialsError> {
    read_token(path).map(drop).map_err(|problem| {
        let path = path_excerpt(path);
        CredentialsError::invalid_configuration(format!("the file {path} that {variable} names {problem}"))
    })
}

fn is_in_container(environment: &Environment) -> bool {
    CONTAINER_URIS.iter().any(|name| environment.get(name).is_some())
}

/// Provides the credentials of an ECS task or an EKS pod.
#[derive(Debug)]
pub(super) struct ContainerProvider {
    sdk: EcsCredentialsProvider,
    environment: Environment,
}

impl ContainerProvider {
    pub(super) fn new(config: &ProviderConfig, environment: &Environment) -> Self {
        let sdk = EcsCredentialsProvider::builder().configure(config).build();
        Self { sdk, environment: environment.clone() }
    }

    /// Checks what the SDK would take literally, or wait for.
    fn check(&self) -> Result<(), CredentialsError> {
        let blank = [RELATIVE_URI, TOKEN_FILE].into_iter().find(|name| self.environment.is_blank(name));
        match (blank, self.environment.get(TOKEN_FILE)) {
            (Some(variable), _) => Err(CredentialsError::invalid_configuration(format!(
                "the environment variable {variable} is empty; unset it, or set it as the container platform does"
            ))),
            (None, Some(path)) => check_token_file(Path::new(&path), TOKEN_FILE),
            (None, None) => Ok(()),
        }
    }
}

impl ProvideCredentials for ContainerProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            if is_in_container(&self.environment) {
                self.check()?;
            }
            self.sdk.provide_credentials().await
        })
    }
}

/// The provider of the credentials of the EC2 instance.
///
/// # Errors
/// The address of the instance metadata service is invalid.
pub(super) fn instance_provider(
    config: &ProviderConfig,
    environment: &Environment,
    profiles: &ProfileSet,
) -> Result<ImdsCredentialsProvider, String> {
    let client = metadata_client(config, environment, profiles)?;
    Ok(ImdsCredentialsProvider::builder().configure(config).imds_client(client).build())
}

/// The region of the EC2 instance, if there is one.
pub(super) async fn instance_region(
    config: &ProviderConfig,
    environment: &Environment,
    profiles: &ProfileSet,
) -> Option<Region> {
    let client = metadata_client(config, environment, profiles).ok()?;
    ImdsRegionProvider::builder().configure(config).imds_client(client).build().region().await
}

/// A client of the instance metadata service. The SDK would look for its address in profile files
/// that it reads itself.
fn metadata_client(
    config: &ProviderConfig,
    environment: &Environment,
    profiles: &ProfileSet,
) -> Result<imds::Client, String> {
    let endpoint = metadata_endpoint(environment, profiles)?;
    let client = imds::Client::builder().configure(config).endpoint(&endpoint);
    Ok(client
        .map_err(|_| format!("the address {endpoint} of the instance metadata service is invalid"))?
        .build())
}

/// The address of the instance metadata service.
///
/// # Errors
/// The environment or the profile has an invalid one.
pub(super) fn metadata_endpoint(environment: &Environment, profiles: &ProfileSet) -> Result<String, String> {
    let in_profile = |key: &'static str| {
        let value = profiles.get(key).filter(|value| !value.trim().is_empty())?;
        Some((value.to_owned(), format!("the `{key}` of the profile")))
    };
    let in_environment =
        |name: &str| Some((environment.get(name)?, format!("the environment variable {name}")));
    let endpoint = in_environment(METADATA_ENDPOINT).or_else(|| in_profile("ec2_metadata_service_endpoint"));
    if let Some((endpoint, origin)) = endpoint {
        let is_url = endpoint.parse::<http::Uri>().is_ok_and(|uri| {
            uri.scheme_str() == Some("http")
                && uri.authority().is_some_and(|host| !host.as_str().contains('@'))
        });
        // It may contain a password.
        return if is_url {
            Ok(endpoint)
        } else {
            Err(format!("{origin} is invalid; expected a URL such as `http://169.254.169.254`"))
        };
    }
    let mode = in_environment(METADATA_MODE).or_else(|| in_profile("ec2_metadata_service_endpoint_mode"));
    match mode {
        Some((mode, _)) if mode.eq_ignore_ascii_case("ipv6") => Ok("http://[fd00:ec2::254]".to_owned()),
        Some((mode, origin)) if !mode.eq_ignore_ascii_case("ipv4") => {
            Err(format!("{origin} is invalid; expected `IPv4` or `IPv6`"))
        }
        _ => Ok("http://169.254.169.254".to_owned()),
    }
}
