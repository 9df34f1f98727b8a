//! Credentials of a role, by `sts:AssumeRole`.
//!
//! The SDK has a provider for this, but its calls cannot be counted and its
//! errors do not tell a denied role from a broken connection.

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use secrecy::ExposeSecret as _;

use super::classify::{self, Classified};
use super::observe::Observe;
use crate::model::{Failure, Reason};
use crate::target::{AccountId, Role};

/// Assumes a role. It does not cache: the SDK's identity cache asks it anew
/// shortly before the credentials expire, and once for all who wait.
#[derive(Debug)]
pub(super) struct RoleProvider {
    sts: aws_sdk_sts::Client,
    role: Role,
}

impl RoleProvider {
    /// Assumes `role` with the credentials, and at the region's endpoint, of
    /// `start`. (Sessions from a regional endpoint are valid in all regions,
    /// those from the global one are not.)
    pub(super) fn new(start: &SdkConfig, role: Role, observe: Observe) -> Self {
        let config = aws_sdk_sts::config::Builder::from(start).interceptor(observe).build();
        Self { sts: aws_sdk_sts::Client::from_conf(config), role }
    }

    async fn assume(&self) -> provider::Result {
        let role = &self.role;
        let answer = self
            .sts
            .assume_role()
            .role_arn(role.arn.as_str())
            .role_session_name(role.session_name.as_str())
            .set_external_id(role.external_id.as_ref().map(|id| id.expose_secret().to_owned()))
            .send()
            .await
            .map_err(|error| {
                let Failure { reason, message } = classify::failure(&error);
                let reason = match reason {
                    Reason::AccessDenied => Reason::AssumeRoleDenied,
                    reason => reason,
                };
                failed(reason, format!("cannot assume the role {}: {message}", role.arn))
            })?;
        let credentials = answer.credentials.ok_or_else(|| {
            failed(Reason::InvalidResponse, format!("AssumeRole of {} brought no credentials", role.arn))
        })?;
        let expiry = credentials.expiration.try_into().map_err(|_| {
            failed(Reason::InvalidResponse, format!("AssumeRole of {} brought no time of expiry", role.arn))
        })?;
        Ok(Credentials::builder()
            .access_key_id(credentials.access_key_id)
            .secret_access_key(credentials.secret_access_key)
            .session_token(credentials.session_token)
            .expiry(expiry)
            .account_id(AccountId::as_str(role.arn.account()))
            .provider_name("SsmSyncExporterAssumeRole")
            .build())
    }
}

impl ProvideCredentials for RoleProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}

fn failed(reason: Reason, message: String) -> CredentialsError {
    CredentialsError::provider_error(Classified(Failure { reason, message }))
}
