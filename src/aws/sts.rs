//! The calls to STS: assuming a role, and looking up the account that credentials
//! belong to.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;

use super::clock_skew::RetryAfterClockSkew;
use super::errors;
use super::instrumentation::{ApiObserver, ObserveRequests};
use super::sdk::own_retry_partition;
use crate::fleet::{AccountId, Role};
use crate::model::{Failure, Reason, limits};

/// Why a role could not be assumed.
pub(super) struct AssumeRoleFailure {
    pub(super) failure: Failure,
    /// Whether the credentials that the call was made with have expired.
    pub(super) credentials_expired: bool,
}

impl From<Failure> for AssumeRoleFailure {
    fn from(failure: Failure) -> Self {
        Self { failure, credentials_expired: false }
    }
}

/// Whether a failure to assume a role means that no role can be assumed, although STS may
/// accept the credentials: STS is unavailable, or it rejects signatures, most likely because
/// the host's clock is wrong.
pub(super) fn is_sts_unavailable(failure: &Failure) -> bool {
    match failure.reason {
        Reason::Timeout | Reason::Connection | Reason::ServerError | Reason::Throttled => true,
        Reason::Credentials => !failure.rejects_credentials,
        _ => false,
    }
}

/// Assumes a role. The region of `config` is that of the STS endpoint.
///
/// # Errors
/// [`Failure::rejects_credentials`] means that STS rejected `credentials`, or that the role's
/// account has not enabled the region of the STS endpoint.
pub(super) async fn assume_role(
    config: &SdkConfig,
    credentials: &Credentials,
    role: &Role,
    observer: &Arc<dyn ApiObserver>,
) -> Result<Credentials, AssumeRoleFailure> {
    let arn = &role.arn;
    let region = config.region().map_or("", |region| region.as_ref());
    let response = sts_client(config, credentials, observer)
        .assume_role()
        .role_arn(arn.as_str())
        .role_session_name(role.session_name.expand(arn.account(), region))
        .set_external_id(role.external_id.as_ref().map(|id| id.expose().to_owned()))
        .set_policy(role.policy.document())
        .send()
        .await
        .map_err(|error| {
            let failure = errors::call_failure(&error);
            let reason = errors::assume_role_reason(failure.reason);
            let message = format!("cannot assume the role {arn}: {}", failure.message);
            AssumeRoleFailure {
                failure: Failure { reason, message, ..failure },
                credentials_expired: matches!(error.code(), Some("ExpiredToken" | "ExpiredTokenException")),
            }
        })?;
    let missing = |what| {
        let message = format!("cannot assume the role {arn}: the response has no {what}");
        Failure::new(Reason::InvalidResponse, message)
    };
    let assumed = response.credentials.ok_or_else(|| missing("credentials"))?;
    let expiry = assumed.expiration.try_into().map_err(|_| missing("valid expiration"))?;
    Ok(Credentials::builder()
        .access_key_id(assumed.access_key_id)
        .secret_access_key(assumed.secret_access_key)
        .session_token(assumed.session_token)
        .expiry(expiry)
        .account_id(AccountId::as_str(arn.account()))
        .provider_name("SsmSyncExporterAssumeRole")
        .build())
}

/// The account that the credentials belong to. The call needs no permission.
pub(super) async fn caller_account(
    config: &SdkConfig,
    credentials: &Credentials,
    observer: &Arc<dyn ApiObserver>,
) -> Result<AccountId, Failure> {
    let sts = sts_client(config, credentials, observer);
    let identity = sts.get_caller_identity().send().await.map_err(|error| errors::call_failure(&error))?;
    let id = identity.account().unwrap_or_default();
    limits::check_text("the account id", id)
        .and_then(|()| id.parse().map_err(|error| Failure::new(Reason::InvalidResponse, format!("{error}"))))
        .map_err(|failure| failure.in_context("the response to GetCallerIdentity"))
}

/// An STS client that uses only `credentials`. A client makes one call, so it shares neither
/// its retries nor the measured clock skew with other calls.
fn sts_client(
    config: &SdkConfig,
    credentials: &Credentials,
    observer: &Arc<dyn ApiObserver>,
) -> aws_sdk_sts::Client {
    let observe =
        ObserveRequests::new(observer).with_error::<AssumeRoleError>().with_error::<GetCallerIdentityError>();
    let config = aws_sdk_sts::config::Builder::from(config)
        .credentials_provider(credentials.clone())
        .identity_cache(IdentityCache::no_cache())
        .interceptor(observe)
        .retry_classifier(RetryAfterClockSkew)
        .retry_partition(own_retry_partition())
        .build();
    aws_sdk_sts::Client::from_conf(config)
}
