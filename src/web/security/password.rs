//! Verifies passwords against bcrypt hashes.
//!
//! By design, bcrypt occupies a core for a tenth of a second or more. Passwords are therefore
//! verified on the blocking thread pool, one at a time, and successes are cached. The cache
//! holds keyed hashes (HMAC with a random key of this process), so that a dump of the
//! process's memory reveals no password and nothing that helps to guess one offline.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::SystemRandom;
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use tracing::error;

use crate::gate::{Full, Gate};

/// How many password checks may wait. Only a client that guesses passwords needs a longer
/// queue.
const MAX_QUEUED: usize = 32;

/// How many successful checks are cached.
const MAX_CACHED: usize = 128;

/// The highest accepted bcrypt cost. At the next higher cost, a single check would occupy a
/// core for about half a minute.
const MAX_COST: u32 = 18;

/// The bcrypt hash of a password.
#[derive(Clone)]
pub struct PasswordHash(Arc<SecretString>);

/// Why a text is not accepted as a bcrypt hash. The message does not contain the text, because
/// the text may be the password itself.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPasswordHash {
    /// Not the format of a bcrypt hash.
    #[error(
        "not a bcrypt hash; expected 60 characters that begin with $2y$10$, as `htpasswd -nBC 10 \"\" | tr -d ':\\n'` prints"
    )]
    Format,
    /// The cost is above 18.
    #[error(
        "the cost {0} of the bcrypt hash is too high; the highest accepted cost is {MAX_COST}, and 10 is usual"
    )]
    Cost(u32),
}

impl FromStr for PasswordHash {
    type Err = InvalidPasswordHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: bcrypt::HashParts = text.parse().map_err(|_| InvalidPasswordHash::Format)?;
        match parts.get_cost() {
            4..=MAX_COST => Ok(Self(Arc::new(text.into()))),
            0..4 => Err(InvalidPasswordHash::Format),
            cost => Err(InvalidPasswordHash::Cost(cost)),
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// Password hashes by user name.
pub type Users = BTreeMap<String, PasswordHash>;

/// The result of a password check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Verdict {
    Accepted,
    /// The password is wrong, or the user does not exist.
    Rejected,
    /// The queue is full.
    Busy,
}

type Verify = fn(&SecretString, &PasswordHash) -> bool;

/// Verifies passwords and caches successes.
pub(in crate::web) struct PasswordVerifier {
    key: hmac::Key,
    cache: Mutex<Cache>,
    gate: Gate,
    verify: Verify,
}

/// The tokens of successful checks (see [`PasswordVerifier::token`]).
#[derive(Default)]
struct Cache {
    /// The value of `lookups` when each token was last used.
    last_used: HashMap<[u8; 32], u64>,
    lookups: u64,
}

/// The system provides no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system provides no random numbers")]
pub struct RandomnessError;

impl PasswordVerifier {
    pub(in crate::web) fn new() -> Result<Self, RandomnessError> {
        // The format of the hash was checked when it was parsed.
        Self::with_verify(|password, hash| {
            bcrypt::verify(password.expose_secret(), hash.0.expose_secret()).unwrap_or(false)
        })
    }

    fn with_verify(verify: Verify) -> Result<Self, RandomnessError> {
        Ok(Self {
            key: hmac::Key::generate(HMAC_SHA256, &SystemRandom::new()).map_err(|_| RandomnessError)?,
            cache: Mutex::default(),
            gate: Gate::new(1, MAX_QUEUED),
            verify,
        })
    }

    /// Whether `password` is that of `user`. Rejecting an unknown user takes as long as
    /// rejecting a wrong password, so that timing does not reveal which users exist.
    pub(in crate::web) async fn check(&self, users: &Users, user: &str, password: SecretString) -> Verdict {
        let Some(hash) = users.get(user).or_else(|| self.decoy(users, user)).cloned() else {
            return Verdict::Rejected;
        };
        let token = self.token(&[user, hash.0.expose_secret(), password.expose_secret()]);
        // A removed user may have the same decoy hash as before, so the cache alone does
        // not prove that the user exists. It is looked up for unknown users as well, so that
        // they take the same path.
        let exists = users.contains_key(user);
        if self.is_cached(&token) && exists {
            return Verdict::Accepted;
        }
        let verification = self.gate.run_queued(async |permit| {
            // The same password may have been verified while this check was queued.
            if self.is_cached(&token) && exists {
                return Ok(true);
            }
            let verify = self.verify;
            // The blocking task continues if the client disconnects, so it keeps the permit.
            tokio::task::spawn_blocking(move || {
                let matches = verify(&password, &hash);
                drop(permit);
                matches
            })
            .await
        });
        match verification.await {
            Err(Full) => Verdict::Busy,
            Ok(Ok(true)) if exists => {
                self.cache(token);
                Verdict::Accepted
            }
            Ok(Ok(_)) => Verdict::Rejected,
            Ok(Err(error)) => {
                // The panic hook has logged the location. The message may contain the password.
                error!(task = %error.id(), "a password check panicked, which is a bug");
                Verdict::Rejected
            }
        }
    }

    /// The hash that is verified for an unknown user. The same name always gets the same hash,
    /// but clients cannot predict which.
    fn decoy<'a>(&self, users: &'a Users, user: &str) -> Option<&'a PasswordHash> {
        let token = self.token(&[user]);
        let index =
            token.iter().fold(0, |index, byte| (index * 256 + usize::from(*byte)) % users.len().max(1));
        users.values().nth(index)
    }

    /// A keyed hash of `texts`.
    fn token(&self, texts: &[&str]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for text in texts {
            // With the lengths, `a` + `bc` differs from `ab` + `c`.
            context.update(&text.len().to_be_bytes());
            context.update(text.as_bytes());
        }
        let mut token = [0; 32];
        token.copy_from_slice(context.sign().as_ref());
        token
    }

    /// Whether a success is cached. A hit counts as a use of the cached success.
    fn is_cached(&self, token: &[u8; 32]) -> bool {
        let mut cache = self.cache.lock();
        cache.lookups += 1;
        let now = cache.lookups;
        cache.last_used.get_mut(token).map(|last| *last = now).is_some()
    }

    /// Caches a success. If the cache is full, evicts the least recently used success.
    fn cache(&self, token: [u8; 32]) {
        let mut cache = self.cache.lock();
        let oldest = cache.last_used.iter().min_by_key(|(_, last)| **last).map(|(token, _)| *token);
        if let Some(oldest) = oldest.filter(|_| cache.last_used.len() >= MAX_CACHED) {
            cache.last_used.remove(&oldest);
        }
        let now = cache.lookups;
        cache.last_used.insert(token, now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::logging::captured::ThreadLog;

    /// A hash with the lowest cost.
    fn hash(password: &str) -> PasswordHash {
        bcrypt::hash(password, 4).unwrap().parse().unwrap()
    }

    fn users(names: &[&str]) -> Users {
        names.iter().map(|name| ((*name).to_owned(), hash(&format!("password of {name}")))).collect()
    }

    #[tokio::test]
    async fn only_the_password_of_an_existing_user_is_accepted() {
        let passwords = PasswordVerifier::new().unwrap();
        let users = users(&["ann", "bob"]);
        for (user, password, verdict) in [
            ("ann", "password of ann", Verdict::Accepted),
            ("ann", "password of bob", Verdict::Rejected),
            ("bob", "password of bob", Verdict::Accepted),
            ("bob", "", Verdict::Rejected),
            ("", "", Verdict::Rejected),
            ("eve", "password of ann", Verdict::Rejected),
            ("eve", "password of bob", Verdict::Rejected),
        ] {
            for _ in 0..2 {
                assert_eq!(
                    passwords.check(&users, user, password.into()).await,
                    verdict,
                    "{user} {password}"
                );
            }
        }
        assert_eq!(passwords.check(&Users::new(), "ann", "password of ann".into()).await, Verdict::Rejected);
    }

    #[tokio::test]
    async fn an_unknown_user_costs_as_much_as_a_known_one() {
        static CHECKS: AtomicUsize = AtomicUsize::new(0);
        let passwords = PasswordVerifier::with_verify(|_, _| {
            CHECKS.fetch_add(1, Ordering::SeqCst);
            // Even a password that matches the decoy by chance is rejected.
            true
        })
        .unwrap();
        let users = users(&["ann"]);
        for _ in 0..3 {
            assert_eq!(passwords.check(&users, "eve", "x".into()).await, Verdict::Rejected);
        }
        assert_eq!(CHECKS.swap(0, Ordering::SeqCst), 3);
        for _ in 0..3 {
            assert_eq!(passwords.check(&users, "ann", "x".into()).await, Verdict::Accepted);
        }
        assert_eq!(CHECKS.load(Ordering::SeqCst), 1, "a success is cached");
        // A changed hash invalidates the cached success.
        let changed = self::users(&["ann"]);
        assert_eq!(passwords.check(&changed, "ann", "x".into()).await, Verdict::Accepted);
        assert_eq!(CHECKS.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_cached_success_does_not_survive_the_removal_of_the_user() {
        // Regression: the decoy of a removed user was the hash that it had before.
        let passwords = PasswordVerifier::new().unwrap();
        let hash = hash("secret");
        let named = |name: &str| Users::from([(name.to_owned(), hash.clone())]);
        assert_eq!(passwords.check(&named("ann"), "ann", "secret".into()).await, Verdict::Accepted);
        assert_eq!(passwords.check(&named("robert"), "ann", "secret".into()).await, Verdict::Rejected);
        assert_eq!(passwords.check(&named("robert"), "robert", "secret".into()).await, Verdict::Accepted);
    }

    #[tokio::test]
    async fn the_cache_is_bounded_and_evicts_the_least_recently_used() {
        let passwords = PasswordVerifier::with_verify(|_, _| true).unwrap();
        let users = users(&["ann"]);
        for number in 0..=2 * MAX_CACHED {
            passwords.check(&users, "ann", "often".into()).await;
            passwords.check(&users, "ann", number.to_string().into()).await;
        }
        assert_eq!(passwords.cache.lock().last_used.len(), MAX_CACHED);
        let hash = users["ann"].0.expose_secret();
        assert!(
            passwords.is_cached(&passwords.token(&["ann", hash, "often"])),
            "a frequently used password stays cached"
        );
        assert!(!passwords.is_cached(&passwords.token(&["ann", hash, "0"])));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_password_is_verified_at_a_time_and_the_queue_is_bounded() {
        static CONCURRENT: AtomicUsize = AtomicUsize::new(0);
        let passwords = Arc::new(
            PasswordVerifier::with_verify(|_, _| {
                assert_eq!(CONCURRENT.fetch_add(1, Ordering::SeqCst), 0);
                std::thread::sleep(std::time::Duration::from_millis(2));
                CONCURRENT.fetch_sub(1, Ordering::SeqCst);
                false
            })
            .unwrap(),
        );
        let users = Arc::new(users(&["ann"]));
        // No check runs before all are queued.
        let permit = passwords.gate.enter().await.unwrap();
        let mut checks = tokio::task::JoinSet::new();
        for number in 0..=MAX_QUEUED {
            let (passwords, users) = (Arc::clone(&passwords), Arc::clone(&users));
            checks.spawn(async move { passwords.check(&users, "ann", number.to_string().into()).await });
        }
        while passwords.gate.available_admissions() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(passwords.check(&users, "ann", "one more".into()).await, Verdict::Busy);
        drop(permit);
        assert!(checks.join_all().await.into_iter().all(|verdict| verdict == Verdict::Rejected));
    }

    #[test]
    fn a_text_that_is_not_a_hash_is_refused_and_not_shown() {
        let valid = bcrypt::hash("x", 4).unwrap();
        assert!(valid.replace("$2b$", "$2y$").parse::<PasswordHash>().is_ok());
        let error = |text: &str| text.parse::<PasswordHash>().unwrap_err().to_string();
        for text in
            ["", "hunter2", "$2y$10$", &valid[..59], &valid.replace("$04$", "$03$"), &valid.replace('$', "%")]
        {
            let error = error(text);
            assert!(error.starts_with("not a bcrypt hash"), "{error}");
            assert!(text.len() < 5 || !error.contains(text) || text == "$2y$10$", "{error}");
        }
        assert!(error(&valid.replace("$04$", "$19$")).starts_with("the cost 19 of the bcrypt hash "));
        assert_eq!(format!("{:?}", valid.parse::<PasswordHash>().unwrap()), "PasswordHash");
    }

    #[tokio::test]
    async fn a_check_that_panics_is_rejected_and_its_message_is_not_logged() {
        let log = ThreadLog::start();
        let passwords =
            PasswordVerifier::with_verify(|password, _| panic!("{}", password.expose_secret())).unwrap();
        let verdict = passwords.check(&users(&["ann"]), "ann", "password of ann".into()).await;
        assert_eq!(verdict, Verdict::Rejected);
        let log = log.finish();
        assert!(log.contains("message=\"a password check panicked, which is a bug\" task="), "{log}");
        assert!(!log.contains("password of ann"), "{log}");
    }
}
