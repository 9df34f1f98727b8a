//! The calls to STS: assuming a role, and looking up the account that credentials
//! belong to.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError;
use aws_smithy_types::DateTime;
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;

use super::errors;
use super::instrumentation::{ApiObserver, ObserveRequests};
use super::lifetime::Validity;
use super::response_date::ResponseDate;
use crate::fleet::{AccountId, Role};
use crate::model::{Failure, Reason};

/// The name of the provider in the credentials of assumed roles.
pub(super) const PROVIDER_NAME: &str = "SsmSyncExporterAssumeRole";

/// How long the credentials of an assumed role are valid if the request does not set a
/// duration. (STS API reference, `AssumeRole`.)
const DEFAULT_DURATION: Duration = Duration::from_hours(1);

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

/// Whether `reason` means that STS itself is unavailable, so that no role can be assumed.
pub(super) fn is_sts_unavailable(reason: Reason) -> bool {
    matches!(reason, Reason::Timeout | Reason::Connection | Reason::ServerError | Reason::Throttled)
}

/// Assumes a role. Returns the credentials and how long they are valid. The region of
/// `config` is that of the STS endpoint.
///
/// # Errors
/// [`Reason::Credentials`] means that STS rejected `credentials`, or that the role's
/// account has not enabled the region of the STS endpoint.
pub(super) async fn assume_role(
    config: &SdkConfig,
    credentials: &Credentials,
    role: &Role,
    observer: &Arc<dyn ApiObserver>,
) -> Result<(Credentials, Validity), AssumeRoleFailure> {
    let arn = &role.arn;
    let region = config.region().map_or("", |region| region.as_ref());
    let date = ResponseDate::default();
    let response = sts_client(config, credentials, observer)
        .assume_role()
        .role_arn(arn.as_str())
        .role_session_name(role.session_name.expand(arn.account(), region))
        .set_external_id(role.external_id.as_ref().map(|id| id.expose().to_owned()))
        .set_policy(role.policy.document())
        .customize()
        .interceptor(date.clone())
        .send()
        .await
        .map_err(|error| {
            let Failure { reason, message, .. } = errors::call_failure(&error);
            let message = format!("cannot assume the role {arn}: {message}");
            AssumeRoleFailure {
                failure: Failure::new(errors::assume_role_reason(reason), message),
                credentials_expired: matches!(error.code(), Some("ExpiredToken" | "ExpiredTokenException")),
            }
        })?;
    let assumed = response.credentials.ok_or_else(|| {
        let message = format!("cannot assume the role {arn}: the response has no credentials");
        Failure::new(Reason::InvalidResponse, message)
    })?;
    let validity = validity(assumed.expiration, date.get());
    // Without an expiry: it would be compared with the clock of this host.
    let credentials = Credentials::builder()
        .access_key_id(assumed.access_key_id)
        .secret_access_key(assumed.secret_access_key)
        .session_token(assumed.session_token)
        .account_id(AccountId::as_str(arn.account()))
        .provider_name(PROVIDER_NAME)
        .build();
    Ok((credentials, validity))
}

/// How long the credentials of an assumed role are valid, by AWS's clock: the time from
/// the `Date` of the response until the expiration. Never longer than requested, and as long
/// as requested if the response has no `Date`.
fn validity(expiration: DateTime, date: Option<DateTime>) -> Validity {
    let left = date.map_or(DEFAULT_DURATION, |date| {
        let seconds = expiration.secs().saturating_sub(date.secs());
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    });
    Validity::Known(left.min(DEFAULT_DURATION))
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
    id.parse().map_err(|error| Failure::new(Reason::InvalidResponse, format!("GetCallerIdentity: {error}")))
}

/// An STS client that uses only `credentials`.
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
        .build();
    aws_sdk_sts::Client::from_conf(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assumed_role_is_valid_from_the_date_of_the_response() {
        let date = DateTime::from_secs(1_763_800_000);
        for (expiration, date, seconds) in [
            (1_763_803_600, Some(date), 3600),
            (1_763_800_008, Some(date), 8),
            (1_763_799_999, Some(date), 0),
            (253_402_300_799, Some(date), 3600),
            (0, Some(date), 0),
            (i64::MIN, Some(date), 0),
            (i64::MAX, Some(DateTime::from_secs(i64::MIN)), 3600),
            (0, None, 3600),
        ] {
            let expected = Validity::Known(Duration::from_secs(seconds));
            assert_eq!(validity(DateTime::from_secs(expiration), date), expected, "{expiration}");
        }
    }
}
