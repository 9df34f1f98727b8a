//! Identifies callers by static access keys or by session credentials.

use std::sync::Arc;
use std::time::Duration;

use super::{Identity, World};
use crate::iam;
use crate::policy::{Policy, PolicyKind, Principal};
use crate::sigv4;

/// Maximum number of recorded AssumeRole calls.
const MAX_ASSUMED_ROLES: usize = 100_000;

/// Session credentials issued by AssumeRole.
#[derive(Clone, Debug)]
pub(super) struct Session {
    caller: Caller,
    expires: f64,
}

/// The identity of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
    pub(crate) identity: Identity,
    /// The session policy, if there is one.
    pub(crate) policy: Option<Arc<Policy>>,
}

impl Caller {
    /// The caller as policies name it.
    pub(crate) fn principal(&self) -> Principal {
        let identity = match &self.identity {
            Identity::User => self.arn.clone(),
            Identity::Role(name) => {
                let partition = self.arn.split(':').nth(1).unwrap_or("aws");
                format!("arn:{partition}:iam::{}:role/{name}", self.account)
            }
        };
        Principal { account: self.account.clone(), identity, session: self.arn.clone() }
    }
}

/// A successful call of AssumeRole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssumedRole {
    /// The ARN of the role.
    pub role: String,
    /// The name of the session.
    pub session_name: String,
    /// The external id in the request.
    pub external_id: Option<String>,
    /// The text of the session policy in the request.
    pub policy: Option<String>,
    /// The region of the STS endpoint.
    pub region: String,
    /// The account that assumed the role.
    pub caller_account: String,
}

/// The credentials of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCredentials {
    /// The access key.
    pub access_key_id: String,
    /// The secret key. Any other works as well.
    pub secret_access_key: String,
    /// The session token.
    pub session_token: String,
}

/// Why credentials were rejected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CredentialError {
    UnknownKey,
    Expired,
}

impl World {
    /// The static access key of an account. It works with any secret key.
    #[must_use]
    pub fn access_key(account: &str) -> String {
        format!("AKIA{account}FAKE")
    }

    /// Overrides how long the credentials of AssumeRole are valid, whatever the request asks for.
    pub fn set_session_lifetime(&self, lifetime: Option<Duration>) {
        self.lock().session_lifetime = lifetime;
    }

    /// Makes all credentials of AssumeRole expire now.
    pub fn expire_sessions(&self) {
        for session in self.lock().sessions.values_mut() {
            session.expires = f64::NEG_INFINITY;
        }
    }

    /// Sets whether to accept access keys of other emulators, such as moto, with or without a
    /// session token. The account id must be encoded in the key as in keys of AWS, and the account
    /// must exist.
    pub fn trust_foreign_keys(&self, trust: bool) {
        self.lock().trusts_foreign_keys = trust;
    }

    /// The successful calls of AssumeRole in order. Only the first 100,000 are kept.
    #[must_use]
    pub fn assumed_roles(&self) -> Vec<AssumedRole> {
        self.lock().assumed_roles.clone()
    }

    /// Records a successful call of AssumeRole.
    pub(crate) fn record_assumed_role(&self, assumed: AssumedRole) {
        let mut inner = self.lock();
        if inner.assumed_roles.len() < MAX_ASSUMED_ROLES {
            inner.assumed_roles.push(assumed);
        }
    }

    /// Credentials of a role for an hour, as a client obtains them from a program that assumes the role
    /// on its behalf. `policy` is the session policy.
    ///
    /// # Errors
    /// The policy is malformed.
    pub fn session_credentials(
        &self,
        account: &str,
        role: &str,
        policy: Option<&str>,
    ) -> Result<SessionCredentials, String> {
        let policy = policy.map(|text| Policy::parse(text, PolicyKind::Identity)).transpose()?;
        let caller = Caller {
            account: account.to_owned(),
            arn: format!("arn:aws:sts::{account}:assumed-role/{role}/brokered"),
            user_id: "AROAFAKEFAKEFAKEFAKE:brokered".to_owned(),
            identity: Identity::role(role),
            policy: policy.map(Arc::new),
        };
        let now = self.now();
        let (access_key_id, _) = self.open_session(caller, Duration::from_hours(1), now);
        Ok(SessionCredentials {
            secret_access_key: format!("fake-secret-{access_key_id}"),
            session_token: session_token(&access_key_id),
            access_key_id,
        })
    }

    /// Identifies the caller by access key and session token.
    pub(crate) fn caller(
        &self,
        access_key: &str,
        token: Option<&str>,
        now: f64,
    ) -> Result<Caller, CredentialError> {
        let inner = self.lock();
        if let Some(session) = inner.sessions.get(access_key) {
            // Session credentials are only valid with their token.
            if token != Some(session_token(access_key).as_str()) {
                return Err(CredentialError::UnknownKey);
            }
            return if session.expires > now {
                Ok(session.caller.clone())
            } else {
                Err(CredentialError::Expired)
            };
        }
        let own_key = access_key.strip_prefix("AKIA").and_then(|rest| rest.strip_suffix("FAKE"));
        let account = own_key.map(ToOwned::to_owned);
        let account = account.or_else(|| sigv4::account_of(access_key).filter(|_| inner.trusts_foreign_keys));
        let account =
            account.filter(|id| inner.accounts.contains_key(id)).ok_or(CredentialError::UnknownKey)?;
        Ok(Caller {
            arn: format!("arn:aws:iam::{account}:user/{}", iam::USER),
            account,
            user_id: "AIDAFAKEFAKEFAKEFAKE".to_owned(),
            identity: Identity::User,
            policy: None,
        })
    }

    /// Issues session credentials. Returns the access key and the time of expiry in seconds since
    /// the Unix epoch.
    pub(crate) fn open_session(&self, caller: Caller, requested: Duration, now: f64) -> (String, f64) {
        let mut inner = self.lock();
        let lifetime = inner.session_lifetime.unwrap_or(requested);
        let key = format!("ASIA{:016}", inner.sessions.len());
        let expires = now + lifetime.as_secs_f64();
        inner.sessions.insert(key.clone(), Session { caller, expires });
        (key, expires)
    }
}

/// The session token for an access key of a session.
pub(crate) fn session_token(access_key: &str) -> String {
    format!("fake-token-{access_key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_emulators_are_only_accepted_on_request() {
        let world = World::new();
        world.add_account("111122223333");
        let account = |key, token| world.caller(key, token, 0.0).map(|caller| caller.account);
        assert_eq!(account("ASIARTX3GSDSQOR23P5J", Some("token")), Err(CredentialError::UnknownKey));
        world.trust_foreign_keys(true);
        assert_eq!(account("ASIARTX3GSDSQOR23P5J", Some("token")).as_deref(), Ok("111122223333"));
        assert_eq!(account("AKIARTX3GSDSWWOVC2GE", None).as_deref(), Ok("111122223333"));
        // A key of 222233334444, which does not exist.
        assert_eq!(account("AKIATHPRDSKWHP7VXEV6", None), Err(CredentialError::UnknownKey));
        assert_eq!(account("AKIA111122223333FAKE", None).as_deref(), Ok("111122223333"));
    }
}
