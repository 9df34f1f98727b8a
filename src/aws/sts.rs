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

use super::clock_skew::RetryAfterClockSkew;
use super::credential_check::ASSUME_ROLE_PROVIDER;
use super::errors;
use super::instrumentation::{ApiObserver, ObserveRequests};
use super::lifetime::{REFRESH_BEFORE_EXPIRY, Validity};
use super::response_date::ResponseDate;
use super::sdk::own_retry_partition;
use crate::clock::Clock;
use crate::fleet::{AccountId, Role};
use crate::model::{Failure, Reason, UnixSeconds, limits};

/// How long the credentials of an assumed role are valid if the request does not set a
/// duration. (STS API reference, `AssumeRole`.)
const DEFAULT_DURATION: Duration = Duration::from_hours(1);

/// After how long the credentials of an assumed role are renewed.
pub(crate) const ROLE_RENEWAL_INTERVAL: Duration = DEFAULT_DURATION.saturating_sub(REFRESH_BEFORE_EXPIRY);

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

/// Assumes a role. Returns the credentials and how long they are valid. The region of
/// `config` is that of the STS endpoint.
///
/// # Errors
/// [`Failure::rejects_credentials`] means that STS rejected `credentials`, or that the role's
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
            let failure = errors::call_failure(&error);
            let reason = errors::assume_role_reason(failure.reason);
            let message = format!("cannot assume the role {arn}: {}", failure.message);
            AssumeRoleFailure {
                failure: Failure { reason, message, ..failure },
                credentials_expired: matches!(error.code(), Some("ExpiredToken" | "ExpiredTokenException")),
            }
        })?;
    let assumed = response.credentials.ok_or_else(|| {
        let message = format!("cannot assume the role {arn}: the response has no credentials");
        Failure::new(Reason::InvalidResponse, message)
    })?;
    let validity = validity(assumed.expiration, date.get(), Clock::system().now());
    // Without an expiry: it would be compared with the clock of this host.
    let credentials = Credentials::builder()
        .access_key_id(assumed.access_key_id)
        .secret_access_key(assumed.secret_access_key)
        .session_token(assumed.session_token)
        .account_id(AccountId::as_str(arn.account()))
        .provider_name(ASSUME_ROLE_PROVIDER)
        .build();
    Ok((credentials, validity))
}

/// How long the credentials of an assumed role are valid: the time until their expiration,
/// either by AWS's clock (the `Date` of the response) or by the clock of this host. Either clock
/// may be wrong. A clock that is ahead makes valid credentials look as if they had expired, so
/// the longer time counts, but never more than was requested.
fn validity(expiration: DateTime, date: Option<DateTime>, now: UnixSeconds) -> Validity {
    let until_expiration = |now: UnixSeconds| {
        Duration::try_from_secs_f64(expiration.as_secs_f64() - now).unwrap_or(Duration::ZERO)
    };
    let by_date = date.map_or(DEFAULT_DURATION, |date| until_expiration(date.as_secs_f64()));
    Validity::Known(by_date.max(until_expiration(now)).min(DEFAULT_DURATION))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assumed_role_is_valid_until_its_expiration_by_the_later_clock() {
        const NOW: i64 = 1_763_800_000;
        let at = |seconds_from_now: i64| Some(DateTime::from_secs(NOW + seconds_from_now));
        let ancient = Some(DateTime::from_secs(i64::MIN));
        for (expiration, date, host_ahead, seconds) in [
            (NOW + 3600, at(0), 0, 3600),
            (NOW + 8, at(0), 0, 8),
            (NOW - 1, at(0), 0, 0),
            // The clock of the host is wrong.
            (NOW + 3600, at(0), 3600, 3600),
            (NOW + 3600, at(0), -3600, 3600),
            // The date is wrong.
            (NOW + 3600, at(3600), 0, 3600),
            (NOW + 8, at(3600), 0, 8),
            (NOW + 3600, ancient, 0, 3600),
            (NOW + 3600, None, 3600, 3600),
            // The expiration is wrong.
            (253_402_300_799, at(0), 0, 3600),
            (0, at(0), 0, 0),
            (i64::MIN, at(0), 0, 0),
            (i64::MAX, ancient, 0, 3600),
        ] {
            let expected = Validity::Known(Duration::from_secs(seconds));
            #[expect(clippy::cast_precision_loss, reason = "exact for this time")]
            let now = (NOW + host_ahead) as f64;
            assert_eq!(validity(DateTime::from_secs(expiration), date, now), expected, "{expiration}");
        }
    }
}
