//! Who makes a call, by static keys or by those of a session.

use std::sync::Arc;
use std::time::Duration;

use super::World;
use crate::policy::Policy;
use crate::sigv4;

/// How many uses of AssumeRole are remembered.
const MAX_ASSUMED: usize = 100_000;

/// Credentials that AssumeRole handed out.
#[derive(Clone, Debug)]
pub(super) struct Session {
    caller: Caller,
    expires: f64,
}

/// Who makes a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
    /// What it may do at most, if that is not everything.
    pub(crate) policy: Option<Arc<Policy>>,
}

/// A use of AssumeRole that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumed {
    /// The ARN of the role.
    pub role: String,
    /// The name of the session.
    pub session_name: String,
    /// The external id that was given.
    pub external_id: Option<String>,
    /// The session policy that was given, word for word.
    pub policy: Option<String>,
    /// The region of the STS that was asked.
    pub region: String,
    /// The account that assumed the role.
    pub caller_account: String,
}

/// Why a caller is not known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    Key,
    Expired,
}

impl World {
    /// The static access key of an account; every secret key goes with it.
    #[must_use]
    pub fn access_key(account: &str) -> String {
        format!("AKIA{account}FAKE")
    }

    /// How long the credentials of AssumeRole are valid, whatever was asked
    /// for.
    pub fn set_session_lifetime(&self, lifetime: Option<Duration>) {
        self.lock().session_lifetime = lifetime;
    }

    /// Whether access keys are taken that another stand-in has handed out, moto
    /// say, with any session token or none. They have to tell the account as
    /// those of AWS do, and it has to be in this world.
    pub fn trust_foreign_keys(&self, trust: bool) {
        self.lock().trusts_foreign_keys = trust;
    }

    /// Every use of AssumeRole that succeeded, in their order; not more than
    /// the first 100,000.
    #[must_use]
    pub fn assumed(&self) -> Vec<Assumed> {
        self.lock().assumed.clone()
    }

    /// Remembers a use of AssumeRole.
    pub(crate) fn remember(&self, assumed: Assumed) {
        let mut inner = self.lock();
        if inner.assumed.len() < MAX_ASSUMED {
            inner.assumed.push(assumed);
        }
    }

    /// Whose access key it is.
    pub(crate) fn caller(&self, access_key: &str, token: Option<&str>, now: f64) -> Result<Caller, Unknown> {
        let inner = self.lock();
        if let Some(session) = inner.sessions.get(access_key) {
            // The keys of a session are worth nothing without its token.
            if token != Some(session_token(access_key).as_str()) {
                return Err(Unknown::Key);
            }
            return if session.expires > now { Ok(session.caller.clone()) } else { Err(Unknown::Expired) };
        }
        let own = access_key.strip_prefix("AKIA").and_then(|rest| rest.strip_suffix("FAKE"));
        let own = own.map(ToOwned::to_owned);
        let account = own.or_else(|| sigv4::account_of(access_key).filter(|_| inner.trusts_foreign_keys));
        let account = account.filter(|id| inner.accounts.contains_key(id)).ok_or(Unknown::Key)?;
        Ok(Caller {
            arn: format!("arn:aws:iam::{account}:user/fake"),
            account,
            user_id: "AIDAFAKEFAKEFAKEFAKE".to_owned(),
            policy: None,
        })
    }

    /// Hands out credentials; returns the access key and the time of expiry.
    pub(crate) fn open_session(&self, caller: Caller, asked: Duration, now: f64) -> (String, f64) {
        let mut inner = self.lock();
        let lifetime = inner.session_lifetime.unwrap_or(asked);
        let key = format!("ASIA{:016}", inner.sessions.len());
        let expires = now + lifetime.as_secs_f64();
        inner.sessions.insert(key.clone(), Session { caller, expires });
        (key, expires)
    }
}

/// The token that goes with the access key of a session.
pub(crate) fn session_token(access_key: &str) -> String {
    format!("fake-token-{access_key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_keys_of_another_stand_in_if_told_so() {
        let world = World::new();
        world.add_account("111122223333");
        let account = |key, token| world.caller(key, token, 0.0).map(|caller| caller.account);
        assert_eq!(account("ASIARTX3GSDSQOR23P5J", Some("token")), Err(Unknown::Key));
        world.trust_foreign_keys(true);
        assert_eq!(account("ASIARTX3GSDSQOR23P5J", Some("token")).as_deref(), Ok("111122223333"));
        assert_eq!(account("AKIARTX3GSDSWWOVC2GE", None).as_deref(), Ok("111122223333"));
        // Of 222233334444.
        assert_eq!(account("AKIATHPRDSKWHP7VXEV6", None), Err(Unknown::Key));
        assert_eq!(account("AKIA111122223333FAKE", None).as_deref(), Ok("111122223333"));
    }
}
