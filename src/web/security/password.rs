//! Verifies passwords against bcrypt hashes.
//!
//! By design, bcrypt occupies a core for a tenth of a second or more. Passwords are therefore
//! verified on the blocking thread pool, one at a time. Clients that guess passwords must not
//! keep others out meanwhile:
//!
//! - A password that has been accepted before is accepted without waiting.
//! - A password that has been rejected before is rejected without a check.
//! - Every other check waits in a [`FairGate`], whose queue has room for a check on most of the
//!   connections that the server admits.
//! - If a check had to wait for long, its rejection is delayed, so that the client cannot guess
//!   again immediately.
//!
//! There is no limit on the guesses of an address, because it would refuse a client with the right
//! password behind the same NAT gateway. While 60 connections of that address guess, the first
//! check of such a client waits for at most 90 others. It waits for only a few if it has another
//! address, if those connections have been refused before, or if no guess arrives after it. At the
//! usual cost of 10, either is less than the scrape timeout of Prometheus.
//!
//! The caches hold keyed hashes (HMAC with a random key of this process), never passwords.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::SystemRandom;
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, sleep, timeout};
use tracing::error;

use crate::gate::{Caller, FairGate, Gate};
use crate::web::security::password_hash::{PasswordHash, Users};
use crate::web::security::token_cache::{Token, TokenCache};

/// How many password checks may wait. Together with [`MAX_DELAYED`], this leaves some of the
/// connections that the server admits to clients that need not wait.
const MAX_QUEUED: usize = 384;

/// How long a check may wait. At the usual cost, no check waits that long.
const MAX_WAIT: Duration = Duration::from_mins(2);

/// A rejection is delayed by [`REJECTION_DELAY`] if its check has waited for longer than this.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// Less than the scrape timeout of Prometheus, so that a wrong password in its configuration
/// shows up there as status 401.
const REJECTION_DELAY: Duration = Duration::from_secs(8);

/// How many rejections may be delayed at a time, because each occupies a connection.
const MAX_DELAYED: usize = 64;

/// How many accepted passwords are cached.
const MAX_ACCEPTED: usize = 128;

/// How many rejected passwords are cached.
const MAX_REJECTED: usize = 1024;

/// The result of a password check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Verdict {
    Accepted,
    /// The password is wrong, or the user does not exist.
    Rejected,
    /// Too many checks wait, and the peer of this one has the most. Or the check waited too long.
    Busy,
}

type Verify = fn(&SecretString, &PasswordHash) -> bool;

/// Verifies passwords and caches the results.
pub(in crate::web) struct PasswordVerifier {
    key: hmac::Key,
    results: Arc<Mutex<Results>>,
    pub(super) gate: FairGate,
    delayed: Gate,
    verify: Verify,
}

/// The tokens of earlier checks (see [`PasswordVerifier::token`]). They are kept apart, so that
/// wrong passwords evict no right ones.
#[derive(Debug)]
struct Results {
    accepted: TokenCache,
    rejected: TokenCache,
}

impl Results {
    fn get(&mut self, token: &Token) -> Option<Verdict> {
        let (is_accepted, is_rejected) = (self.accepted.contains(token), self.rejected.contains(token));
        match (is_accepted, is_rejected) {
            (true, _) => Some(Verdict::Accepted),
            (false, true) => Some(Verdict::Rejected),
            (false, false) => None,
        }
    }

    fn insert(&mut self, token: Token, verdict: Verdict) {
        match verdict {
            Verdict::Accepted => self.accepted.insert(token),
            Verdict::Rejected => self.rejected.insert(token),
            Verdict::Busy => {}
        }
    }
}

/// The system provides no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system provides no random numbers")]
pub struct RandomnessError;

impl PasswordVerifier {
    pub(in crate::web) fn new() -> Result<Self, RandomnessError> {
        // The format of the hash was checked when it was parsed.
        Self::with_verify(|password, hash| {
            bcrypt::verify(password.expose_secret(), hash.text()).unwrap_or(false)
        })
    }

    fn with_verify(verify: Verify) -> Result<Self, RandomnessError> {
        let results =
            Results { accepted: TokenCache::new(MAX_ACCEPTED), rejected: TokenCache::new(MAX_REJECTED) };
        Ok(Self {
            key: hmac::Key::generate(HMAC_SHA256, &SystemRandom::new()).map_err(|_| RandomnessError)?,
            results: Arc::new(Mutex::new(results)),
            gate: FairGate::new(1, MAX_QUEUED),
            delayed: Gate::new(MAX_DELAYED),
            verify,
        })
    }

    /// Whether `password` is that of `user`. Rejecting an unknown user takes as long as
    /// rejecting a wrong password, so that timing does not reveal which users exist.
    pub(in crate::web) async fn check(
        &self,
        users: &Users,
        user: &str,
        password: SecretString,
        caller: Caller,
    ) -> Verdict {
        let Some(hash) = users.get(user).or_else(|| self.decoy(users, user)).cloned() else {
            return Verdict::Rejected;
        };
        // An unknown user has the hash of another. If a reload adds or removes the user, the
        // cached results of the other case must not apply.
        let exists = users.contains_key(user);
        let kind = if exists { "known" } else { "unknown" };
        let token = self.token(&[kind, user, hash.text(), password.expose_secret()]);
        if let Some(verdict) = self.cached(&token) {
            return verdict;
        }
        let queued = Instant::now();
        let Ok(Ok(turn)) = timeout(MAX_WAIT, self.gate.enter(caller)).await else {
            self.delay().await;
            return Verdict::Busy;
        };
        let has_waited_long = queued.elapsed() > LONG_WAIT;
        // The same password may have been verified while this check was queued.
        if let Some(verdict) = self.cached(&token) {
            return verdict;
        }
        let (verify, results) = (self.verify, Arc::clone(&self.results));
        // The blocking task continues if the client disconnects, so it keeps the turn, and
        // caches the result for the next request of the client.
        let verification = tokio::task::spawn_blocking(move || {
            let matches = verify(&password, &hash);
            let verdict = if matches && exists { Verdict::Accepted } else { Verdict::Rejected };
            results.lock().insert(token, verdict);
            drop(turn);
            verdict
        });
        let verdict = verification.await.unwrap_or_else(|error| {
            // The panic hook has logged the location. The message may contain the password.
            error!(task = %error.id(), "a password check panicked, which is a bug");
            Verdict::Rejected
        });
        if verdict == Verdict::Rejected && has_waited_long {
            self.delay().await;
        }
        verdict
    }

    async fn delay(&self) {
        if let Some(_permit) = self.delayed.try_enter() {
            sleep(REJECTION_DELAY).await;
        }
    }

    fn cached(&self, token: &Token) -> Option<Verdict> {
        self.results.lock().get(token)
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
    fn token(&self, texts: &[&str]) -> Token {
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
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Waker};

    use tokio::task::JoinSet;

    use super::*;
    use crate::logging::captured::ThreadLog;

    const CALLER: Caller = Caller { peer: IpAddr::V4(Ipv4Addr::LOCALHOST), connection: 0, refusals: 0 };

    /// A hash with the lowest cost.
    fn hash(password: &str) -> PasswordHash {
        bcrypt::hash(password, 4).unwrap().parse().unwrap()
    }

    fn users(names: &[&str]) -> Users {
        names.iter().map(|name| ((*name).to_owned(), hash(&format!("password of {name}")))).collect()
    }

    async fn check(passwords: &PasswordVerifier, users: &Users, user: &str, password: &str) -> Verdict {
        passwords.check(users, user, password.into(), CALLER).await
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
                assert_eq!(check(&passwords, &users, user, password).await, verdict, "{user} {password}");
            }
        }
        assert_eq!(check(&passwords, &Users::new(), "ann", "password of ann").await, Verdict::Rejected);
    }

    #[tokio::test]
    async fn an_unknown_user_costs_as_much_as_a_known_one() {
        static CHECKS: AtomicUsize = AtomicUsize::new(0);
        let passwords = PasswordVerifier::with_verify(|password, _| {
            CHECKS.fetch_add(1, Ordering::SeqCst);
            // Even a password that matches the decoy by chance is rejected.
            password.expose_secret() == "x"
        })
        .unwrap();
        let users = users(&["ann"]);
        for (user, password, verdict) in [
            ("eve", "x", Verdict::Rejected),
            ("eve", "y", Verdict::Rejected),
            ("ann", "x", Verdict::Accepted),
            ("ann", "y", Verdict::Rejected),
        ] {
            for _ in 0..3 {
                assert_eq!(check(&passwords, &users, user, password).await, verdict, "{user} {password}");
            }
            assert_eq!(CHECKS.swap(0, Ordering::SeqCst), 1, "{user} {password}: the result is cached");
        }
        // A changed hash invalidates the cached results.
        let changed = self::users(&["ann"]);
        assert_eq!(check(&passwords, &changed, "ann", "x").await, Verdict::Accepted);
        assert_eq!(check(&passwords, &changed, "ann", "y").await, Verdict::Rejected);
        assert_eq!(CHECKS.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_cached_result_does_not_survive_the_addition_or_removal_of_the_user() {
        // Regression: the decoy of a removed user was the hash that it had before.
        let passwords = PasswordVerifier::new().unwrap();
        let hash = hash("secret");
        let named = |name: &str| Users::from([(name.to_owned(), hash.clone())]);
        assert_eq!(check(&passwords, &named("ann"), "ann", "secret").await, Verdict::Accepted);
        assert_eq!(check(&passwords, &named("robert"), "ann", "secret").await, Verdict::Rejected);
        assert_eq!(check(&passwords, &named("robert"), "robert", "secret").await, Verdict::Accepted);
        assert_eq!(check(&passwords, &named("ann"), "ann", "secret").await, Verdict::Accepted);
    }

    #[tokio::test]
    async fn wrong_passwords_do_not_evict_a_right_one() {
        let passwords =
            PasswordVerifier::with_verify(|password, _| password.expose_secret() == "right").unwrap();
        let users = users(&["ann"]);
        assert_eq!(check(&passwords, &users, "ann", "right").await, Verdict::Accepted);
        for number in 0..MAX_REJECTED + 10 {
            check(&passwords, &users, "ann", &number.to_string()).await;
        }
        let _running = passwords.gate.enter(CALLER).await.unwrap();
        assert_eq!(check(&passwords, &users, "ann", "right").await, Verdict::Accepted, "without waiting");
    }

    #[tokio::test(start_paused = true)]
    async fn one_password_is_verified_at_a_time_and_the_queue_is_bounded() {
        static CONCURRENT: AtomicUsize = AtomicUsize::new(0);
        let passwords = PasswordVerifier::with_verify(|password, _| {
            assert_eq!(CONCURRENT.fetch_add(1, Ordering::SeqCst), 0);
            std::thread::yield_now();
            CONCURRENT.fetch_sub(1, Ordering::SeqCst);
            password.expose_secret() == "right"
        });
        let (passwords, users) = (Arc::new(passwords.unwrap()), Arc::new(users(&["ann"])));
        // No check runs before all are queued.
        let turn = passwords.gate.enter(CALLER).await.unwrap();
        let mut checks = JoinSet::new();
        let mut start = |password: String, connection| {
            let (passwords, users, caller) =
                (Arc::clone(&passwords), Arc::clone(&users), Caller { connection, ..CALLER });
            checks.spawn(async move { passwords.check(&users, "ann", password.into(), caller).await });
        };
        (0..MAX_QUEUED + 40).for_each(|number| start(number.to_string(), 0));
        // Regression: a right password was refused while the queue was full.
        start("right".to_owned(), 1);
        // The paused clock moves once all of them wait.
        sleep(Duration::from_millis(1)).await;
        assert_eq!(passwords.gate.waiting(), MAX_QUEUED);
        drop(turn);
        let verdicts = checks.join_all().await;
        let number = |verdict| verdicts.iter().filter(|other| **other == verdict).count();
        assert_eq!(number(Verdict::Accepted), 1);
        assert_eq!(number(Verdict::Busy), 41, "guesses of the same connection");
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_does_not_wait_forever() {
        let passwords = PasswordVerifier::with_verify(|_, _| true).unwrap();
        let _stuck = passwords.gate.enter(CALLER).await.unwrap();
        assert_eq!(check(&passwords, &users(&["ann"]), "ann", "x").await, Verdict::Busy);
        assert_eq!(passwords.gate.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rejection_is_delayed_only_if_its_check_had_to_wait() {
        let passwords =
            PasswordVerifier::with_verify(|password, _| password.expose_secret() == "right").unwrap();
        let users = users(&["ann"]);
        for (password, wait, expected) in [
            ("right", LONG_WAIT * 2, Duration::ZERO),
            ("wrong", LONG_WAIT * 2, REJECTION_DELAY),
            ("wrong again", LONG_WAIT / 2, Duration::ZERO),
        ] {
            let turn = passwords.gate.enter(CALLER).await.unwrap();
            let release = async {
                sleep(wait).await;
                drop(turn);
                Instant::now()
            };
            let response = async {
                check(&passwords, &users, "ann", password).await;
                Instant::now()
            };
            let (released, responded) = tokio::join!(release, response);
            assert!(responded - released >= expected, "{password}");
            assert!(responded - released <= expected + LONG_WAIT, "{password}");
        }
    }

    #[tokio::test]
    async fn the_result_for_a_client_that_has_gone_is_cached() {
        static RUNNING: Mutex<()> = Mutex::new(());
        let running = RUNNING.lock();
        let passwords = PasswordVerifier::with_verify(|_, _| {
            drop(RUNNING.lock());
            true
        })
        .unwrap();
        let users = users(&["ann"]);
        let mut first = Box::pin(check(&passwords, &users, "ann", "x"));
        assert!(poll(&mut first).is_pending());
        drop(first);
        drop(running);
        let _next_turn = passwords.gate.enter(CALLER).await.unwrap();
        assert_eq!(check(&passwords, &users, "ann", "x").await, Verdict::Accepted);
    }

    fn poll<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> Poll<T> {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn a_check_that_panics_is_rejected_and_its_message_is_not_logged() {
        let log = ThreadLog::start();
        let passwords =
            PasswordVerifier::with_verify(|password, _| panic!("{}", password.expose_secret())).unwrap();
        let verdict = passwords.check(&users(&["ann"]), "ann", "password of ann".into(), CALLER).await;
        assert_eq!(verdict, Verdict::Rejected);
        let log = log.finish();
        assert!(log.contains("message=\"a password check panicked, which is a bug\" task="), "{log}");
        assert!(!log.contains("password of ann"), "{log}");
    }
}
