//! The calls of STS: assuming a role, and asking whose credentials they are.

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials;
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;

use super::errors;
use super::instrumentation::Observe;
use crate::fleet::{AccountId, Role};
use crate::model::{Failure, Reason};

/// Why a role could not be assumed.
pub(super) struct AssumeRoleFailure {
    pub(super) failure: Failure,
    /// Whether it is because the credentials for it have ended.
    pub(super) expired: bool,
}

impl From<Failure> for AssumeRoleFailure {
    fn from(failure: Failure) -> Self {
        Self { failure, expired: false }
    }
}

/// Whether it is the service that is in trouble, and not the role.
pub(super) fn is_of_sts(reason: Reason) -> bool {
    matches!(reason, Reason::Timeout | Reason::Connection | Reason::ServerError | Reason::Throttled)
}

/// Assumes a role. A failure for the reason `credentials` means that `lent`
/// were not taken.
pub(super) async fn assume(
    config: &SdkConfig,
    lent: &Credentials,
    role: &Role,
    observe: Observe,
) -> Result<Credentials, AssumeRoleFailure> {
    let arn = &role.arn;
    let region = config.region().map_or("", |region| region.as_ref());
    let answer = sts_client(config, lent, observe)
        .assume_role()
        .role_arn(arn.as_str())
        .role_session_name(role.session_name.expand(arn.account(), region))
        .set_external_id(role.external_id.as_ref().map(|id| id.expose().to_owned()))
        .set_policy(role.policy.document())
        .send()
        .await
        .map_err(|error| {
            let Failure { reason, message, .. } = errors::failure(&error);
            let expired = matches!(error.code(), Some("ExpiredToken" | "ExpiredTokenException"));
            let message = format!("cannot assume the role {arn}: {message}");
            AssumeRoleFailure { failure: Failure::new(errors::of_role(reason), message), expired }
        })?;
    let lacking =
        |what| Failure::new(Reason::InvalidResponse, format!("AssumeRole of {arn} brought no {what}"));
    let credentials = answer.credentials.ok_or_else(|| lacking("credentials"))?;
    let expiry = credentials.expiration.try_into().map_err(|_| lacking("time of expiry"))?;
    Ok(Credentials::builder()
        .access_key_id(credentials.access_key_id)
        .secret_access_key(credentials.secret_access_key)
        .session_token(credentials.session_token)
        .expiry(expiry)
        .account_id(AccountId::as_str(arn.account()))
        .provider_name("SsmSyncExporterAssumeRole")
        .build())
}

/// Whose credentials they are, which needs no permission.
pub(super) async fn caller(
    config: &SdkConfig,
    credentials: &Credentials,
    observe: Observe,
) -> Result<AccountId, Failure> {
    let sts = sts_client(config, credentials, observe);
    let identity = sts.get_caller_identity().send().await.map_err(|error| errors::failure(&error))?;
    let id = identity.account().unwrap_or_default();
    id.parse().map_err(|error| Failure::new(Reason::InvalidResponse, format!("GetCallerIdentity: {error}")))
}

/// A client of STS with these credentials and no others.
fn sts_client(config: &SdkConfig, credentials: &Credentials, observe: Observe) -> aws_sdk_sts::Client {
    let config = aws_sdk_sts::config::Builder::from(config)
        .credentials_provider(credentials.clone())
        .identity_cache(IdentityCache::no_cache())
        .interceptor(observe)
        .build();
    aws_sdk_sts::Client::from_conf(config)
}
