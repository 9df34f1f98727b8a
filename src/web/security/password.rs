//! Passwords, which are known only by their bcrypt hashes.
//!
//! A hash takes a tenth of a second of a core or more, on purpose. So hashes are
//! computed off the threads that serve, one at a time, and what has been found
//! right is remembered. Neither passwords nor what they could be guessed from by
//! somebody who reads our memory is kept, only what a key of this process makes of
//! them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::SystemRandom;
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use tracing::error;

/// How many passwords may be waiting for their turn: more than that come from
/// somebody who guesses.
const MAX_WAITING: usize = 32;

/// How many successes are remembered.
const MAX_KNOWN: usize = 128;

/// The cost above which a single check would take a core for a quarter of a minute
/// or more.
const MAX_COST: u32 = 18;

/// The bcrypt hash of a password.
#[derive(Clone)]
pub struct PasswordHash(Arc<SecretString>);

/// A text that is not the hash of a password. It is not shown: somebody may have
/// written the password itself.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPasswordHash {
    /// It is no hash of bcrypt's.
    #[error(
        "not a bcrypt hash such as `htpasswd -nBC 10 \"\" | tr -d ':\\n'` prints: 60 characters that begin with $2y$10$"
    )]
    Format,
    /// It would take too long.
    #[error(
        "a bcrypt hash of cost {0} takes far too long to check; the cost can be {MAX_COST} at most, and 10 is usual"
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

/// Those who may come in, by name.
pub type Users = BTreeMap<String, PasswordHash>;

/// What becomes of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Verdict {
    /// It is that of the user.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// Too many others are being checked.
    Busy,
}

type Verify = fn(&SecretString, &PasswordHash) -> bool;

/// What is known of passwords that have been seen.
pub(in crate::web) struct Passwords {
    key: hmac::Key,
    /// What was right, and when it last was, as a count.
    known: Mutex<Known>,
    /// One at a time.
    turn: Arc<Semaphore>,
    /// The one whose turn it is, and those that wait.
    waiting: Semaphore,
    verify: Verify,
}

#[derive(Default)]
struct Known {
    seen: HashMap<[u8; 32], u64>,
    count: u64,
}

/// There is no randomness to be had.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandomness;

impl Passwords {
    pub(in crate::web) fn new() -> Result<Self, NoRandomness> {
        // One that cannot be read has been looked at before, so it fits nothing.
        Self::verified_by(|password, hash| {
            bcrypt::verify(password.expose_secret(), hash.0.expose_secret()).unwrap_or(false)
        })
    }

    fn verified_by(verify: Verify) -> Result<Self, NoRandomness> {
        Ok(Self {
            key: hmac::Key::generate(HMAC_SHA256, &SystemRandom::new()).map_err(|_| NoRandomness)?,
            known: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
            waiting: Semaphore::new(1 + MAX_WAITING),
            verify,
        })
    }

    /// Whether `password` is that of `user`. A user that there is not takes as long
    /// to refuse as one that there is.
    pub(in crate::web) async fn check(&self, users: &Users, user: &str, password: SecretString) -> Verdict {
        let Some(hash) = users.get(user).or_else(|| self.stand_in(users, user)).cloned() else {
            return Verdict::Wrong;
        };
        let token = self.token(&[user, hash.0.expose_secret(), password.expose_secret()]);
        // What was right before it was taken away from a user is so no longer, even if the
        // stand-in is the same.
        let exists = users.contains_key(user);
        if self.is_known(&token) && exists {
            return Verdict::Right;
        }
        let Ok(_waiting) = self.waiting.try_acquire() else { return Verdict::Busy };
        // It is never closed.
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else { return Verdict::Busy };
        // Somebody with the same password may have had a turn meanwhile.
        if self.is_known(&token) && exists {
            return Verdict::Right;
        }
        let verify = self.verify;
        // It goes on if the client leaves, so it takes its turn along.
        let checked = tokio::task::spawn_blocking(move || {
            let fits = verify(&password, &hash);
            drop(turn);
            fits
        });
        match checked.await {
            Ok(true) if exists => {
                self.remember(token);
                Verdict::Right
            }
            Ok(_) => Verdict::Wrong,
            Err(error) => {
                error!(%error, "a password could not be checked, which is a bug");
                Verdict::Wrong
            }
        }
    }

    /// The hash that is checked for a user that there is not: always the same for
    /// the same name, and which one it is nobody can tell.
    fn stand_in<'a>(&self, users: &'a Users, user: &str) -> Option<&'a PasswordHash> {
        let token = self.token(&[user]);
        let number =
            token.iter().fold(0, |number, byte| (number * 256 + usize::from(*byte)) % users.len().max(1));
        users.values().nth(number)
    }

    fn token(&self, texts: &[&str]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for text in texts {
            // So that nobody can move the border between two of them.
            context.update(&text.len().to_be_bytes());
            context.update(text.as_bytes());
        }
        let mut token = [0; 32];
        token.copy_from_slice(context.sign().as_ref());
        token
    }

    fn is_known(&self, token: &[u8; 32]) -> bool {
        let mut known = self.known.lock();
        known.count += 1;
        let count = known.count;
        known.seen.get_mut(token).map(|last| *last = count).is_some()
    }

    /// In place of what has not been seen for longest, if there is no more room.
    fn remember(&self, token: [u8; 32]) {
        let mut known = self.known.lock();
        let oldest = known.seen.iter().min_by_key(|(_, last)| **last).map(|(token, _)| *token);
        if let Some(oldest) = oldest.filter(|_| known.seen.len() >= MAX_KNOWN) {
            known.seen.remove(&oldest);
        }
        let count = known.count;
        known.seen.insert(token, count);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// At the lowest cost.
    fn hash(password: &str) -> PasswordHash {
        bcrypt::hash(password, 4).unwrap().parse().unwrap()
    }

    fn users(names: &[&str]) -> Users {
        names.iter().map(|name| ((*name).to_owned(), hash(&format!("password of {name}")))).collect()
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_user_is_right() {
        let passwords = Passwords::new().unwrap();
        let users = users(&["ann", "bob"]);
        for (user, password, verdict) in [
            ("ann", "password of ann", Verdict::Right),
            ("ann", "password of bob", Verdict::Wrong),
            ("bob", "password of bob", Verdict::Right),
            ("bob", "", Verdict::Wrong),
            ("", "", Verdict::Wrong),
            ("eve", "password of ann", Verdict::Wrong),
            ("eve", "password of bob", Verdict::Wrong),
        ] {
            for _ in 0..2 {
                assert_eq!(
                    passwords.check(&users, user, password.into()).await,
                    verdict,
                    "{user} {password}"
                );
            }
        }
        assert_eq!(passwords.check(&Users::new(), "ann", "password of ann".into()).await, Verdict::Wrong);
    }

    #[tokio::test]
    async fn a_user_that_there_is_not_costs_as_much_as_one_that_there_is() {
        static CHECKS: AtomicUsize = AtomicUsize::new(0);
        let passwords = Passwords::verified_by(|_, _| {
            CHECKS.fetch_add(1, Ordering::SeqCst);
            // Even what fits by chance does not help.
            true
        })
        .unwrap();
        let users = users(&["ann"]);
        for _ in 0..3 {
            assert_eq!(passwords.check(&users, "eve", "x".into()).await, Verdict::Wrong);
        }
        assert_eq!(CHECKS.swap(0, Ordering::SeqCst), 3);
        for _ in 0..3 {
            assert_eq!(passwords.check(&users, "ann", "x".into()).await, Verdict::Right);
        }
        assert_eq!(CHECKS.load(Ordering::SeqCst), 1, "what was right is remembered");
        // A changed password ends what is remembered of the one before.
        let changed = self::users(&["ann"]);
        assert_eq!(passwords.check(&changed, "ann", "x".into()).await, Verdict::Right);
        assert_eq!(CHECKS.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_user_that_is_renamed_is_not_remembered() {
        // Regression: the stand-in for a user that is gone was the hash it had before.
        let passwords = Passwords::new().unwrap();
        let hash = hash("secret");
        let named = |name: &str| Users::from([(name.to_owned(), hash.clone())]);
        assert_eq!(passwords.check(&named("ann"), "ann", "secret".into()).await, Verdict::Right);
        assert_eq!(passwords.check(&named("robert"), "ann", "secret".into()).await, Verdict::Wrong);
        assert_eq!(passwords.check(&named("robert"), "robert", "secret".into()).await, Verdict::Right);
    }

    #[tokio::test]
    async fn no_more_than_some_successes_are_remembered() {
        let passwords = Passwords::verified_by(|_, _| true).unwrap();
        let users = users(&["ann"]);
        for number in 0..=2 * MAX_KNOWN {
            passwords.check(&users, "ann", "often".into()).await;
            passwords.check(&users, "ann", number.to_string().into()).await;
        }
        assert_eq!(passwords.known.lock().seen.len(), MAX_KNOWN);
        let hash = users["ann"].0.expose_secret();
        assert!(passwords.is_known(&passwords.token(&["ann", hash, "often"])), "what is seen often stays");
        assert!(!passwords.is_known(&passwords.token(&["ann", hash, "0"])));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_is_checked_at_a_time_and_few_may_wait() {
        static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
        let passwords = Arc::new(
            Passwords::verified_by(|_, _| {
                assert_eq!(AT_ONCE.fetch_add(1, Ordering::SeqCst), 0);
                std::thread::sleep(std::time::Duration::from_millis(2));
                AT_ONCE.fetch_sub(1, Ordering::SeqCst);
                false
            })
            .unwrap(),
        );
        let users = Arc::new(users(&["ann"]));
        // Nobody's turn comes until all have asked.
        let turn = Arc::clone(&passwords.turn).acquire_owned().await.unwrap();
        let mut checks = tokio::task::JoinSet::new();
        for number in 0..=MAX_WAITING {
            let (passwords, users) = (Arc::clone(&passwords), Arc::clone(&users));
            checks.spawn(async move { passwords.check(&users, "ann", number.to_string().into()).await });
        }
        while passwords.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(passwords.check(&users, "ann", "one more".into()).await, Verdict::Busy);
        drop(turn);
        assert!(checks.join_all().await.into_iter().all(|verdict| verdict == Verdict::Wrong));
    }

    #[test]
    fn what_is_no_hash_is_refused_and_not_shown() {
        let good = bcrypt::hash("x", 4).unwrap();
        assert!(good.replace("$2b$", "$2y$").parse::<PasswordHash>().is_ok());
        let bad = |text: &str| text.parse::<PasswordHash>().unwrap_err().to_string();
        for text in
            ["", "hunter2", "$2y$10$", &good[..59], &good.replace("$04$", "$03$"), &good.replace('$', "%")]
        {
            let said = bad(text);
            assert!(said.starts_with("not a bcrypt hash"), "{said}");
            assert!(text.len() < 5 || !said.contains(text) || text == "$2y$10$", "{said}");
        }
        assert!(bad(&good.replace("$04$", "$19$")).starts_with("a bcrypt hash of cost 19 "));
        assert_eq!(format!("{:?}", good.parse::<PasswordHash>().unwrap()), "PasswordHash");
    }
}
