//! Access control: TLS, passwords, response headers and the rate limit, as one set of
//! rules that can be replaced while the server runs.
//!
//! The rules come from the web configuration file, but this module knows neither files nor
//! their format. New rules apply to the next connection and the next request.
//!
//! The rate limit counts requests that need no password or have the right one. Requests that fail
//! authentication must not use it up, so they have a budget of the same size for each peer
//! ([`rate_limit`](super::rate_limit)). A used-up budget only turns the 401 of further failures into
//! 429. Passwords are still checked, because a client with the right one may have the same address
//! as one that guesses. [`password`](super::password) decides the order of the checks.

use std::str::FromStr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, Response, StatusCode};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::gate::Caller;
use crate::web::paths::{HEALTHY, READY};
use crate::web::response::{Body, TEXT_PLAIN, response};
use crate::web::security::password::{PasswordVerifier, RandomnessError, Verdict};
use crate::web::security::password_hash::Users;
use crate::web::security::rate_limit::{RateLimit, RateLimiter};
use crate::web::security::tls::Tls;

const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"ssm-sync-exporter\", charset=\"UTF-8\"");

/// A path that neither needs a password nor counts against the rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExcludedPath(&'static str);

/// A path that cannot be excluded. Only the two health paths can.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` cannot be excluded from authentication; expected /-/healthy or /-/ready")]
pub struct InvalidExcludedPath(String);

impl FromStr for ExcludedPath {
    type Err = InvalidExcludedPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [HEALTHY, READY].into_iter().find(|path| *path == text);
        known.map(Self).ok_or_else(|| InvalidExcludedPath(text.to_owned()))
    }
}

/// The rules for connections and requests. By default, everyone may send requests over plain
/// HTTP.
#[derive(Debug, Default)]
pub struct AccessRules {
    /// The TLS settings; `None` for plain HTTP.
    pub tls: Option<Tls>,
    /// Headers that are added to every response.
    pub headers: HeaderMap,
    /// The users with their password hashes. No password is needed if this is empty.
    pub users: Users,
    /// The paths that need no password and do not count against the rate limit.
    pub excluded_paths: Vec<ExcludedPath>,
    /// The limit on the rate of requests; `None` for no limit.
    pub rate_limit: Option<RateLimit>,
}

/// Enforces [`AccessRules`].
pub struct AccessControl {
    active: ArcSwap<ActiveRules>,
    passwords: PasswordVerifier,
}

/// Rules with the state that enforcing them needs.
pub(in crate::web) struct ActiveRules {
    rules: AccessRules,
    limiter: Option<Arc<RateLimiter>>,
    /// Cancelled when the TLS settings are replaced, so that existing connections end.
    tls_replaced: CancellationToken,
}

impl ActiveRules {
    /// The TLS settings of new connections, and a token that is cancelled when those
    /// settings are replaced.
    pub(in crate::web) fn tls(&self) -> (Option<&Tls>, &CancellationToken) {
        (self.rules.tls.as_ref(), &self.tls_replaced)
    }

    pub(in crate::web) fn add_headers<B>(&self, response: &mut Response<B>) {
        for (name, value) in &self.rules.headers {
            response.headers_mut().insert(name, value.clone());
        }
    }
}

impl std::fmt::Debug for AccessControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessControl").field("rules", &self.active.load().rules).finish_non_exhaustive()
    }
}

impl AccessControl {
    /// Enforces `rules` until [`apply`](Self::apply) replaces them.
    ///
    /// # Errors
    /// The system provides no random numbers, which the cache of passwords needs.
    pub fn new(rules: AccessRules) -> Result<Self, RandomnessError> {
        let limiter = rules.rate_limit.and_then(RateLimiter::new);
        let active = ActiveRules { rules, limiter, tls_replaced: CancellationToken::new() };
        Ok(Self { active: ArcSwap::from_pointee(active), passwords: PasswordVerifier::new()? })
    }

    /// Replaces the rules. If the rate limit is unchanged, it keeps its state, so a reload
    /// does not reset an exhausted limit. If the TLS settings have changed, existing
    /// connections are closed once they are idle.
    pub fn apply(&self, mut rules: AccessRules) {
        let previous = self.active.load_full();
        let limiter = if rules.rate_limit == previous.rules.rate_limit {
            previous.limiter.clone()
        } else {
            rules.rate_limit.and_then(RateLimiter::new)
        };
        let same_tls = match (&rules.tls, &previous.rules.tls) {
            (None, None) => true,
            (Some(new), Some(old)) => new.is_same_as(old),
            _ => false,
        };
        if same_tls {
            // Keeps the TLS sessions that clients can resume.
            rules.tls.clone_from(&previous.rules.tls);
        }
        let tls_replaced = if same_tls { previous.tls_replaced.clone() } else { CancellationToken::new() };
        self.active.store(Arc::new(ActiveRules { rules, limiter, tls_replaced }));
        if !same_tls {
            previous.tls_replaced.cancel();
        }
    }

    pub(in crate::web) fn current_rules(&self) -> Arc<ActiveRules> {
        self.active.load_full()
    }

    /// Checks a request against the passwords and the rate limit.
    ///
    /// # Errors
    /// The response to a request that is refused.
    pub(in crate::web) async fn check<B>(
        &self,
        active: &ActiveRules,
        request: &Request<B>,
        caller: Caller,
    ) -> Result<(), Response<Body>> {
        let ActiveRules { rules, limiter, .. } = active;
        let path = request.uri().path();
        // Checked before the rate limit, so that other clients' requests cannot make a liveness
        // probe fail.
        if rules.excluded_paths.iter().any(|excluded| excluded.0 == path) {
            return Ok(());
        }
        if !rules.users.is_empty() {
            match self.authenticate(rules, request.headers(), caller).await {
                Verdict::Accepted => {}
                Verdict::Rejected => {
                    let is_limited =
                        limiter.as_ref().is_some_and(|limiter| !limiter.admit_failure(caller.peer));
                    return Err(if is_limited { too_many_requests() } else { unauthorized() });
                }
                Verdict::Busy => return Err(too_many_requests()),
            }
        }
        if limiter.as_ref().is_some_and(|limiter| !limiter.admit()) {
            return Err(too_many_requests());
        }
        Ok(())
    }

    async fn authenticate(&self, rules: &AccessRules, headers: &HeaderMap, caller: Caller) -> Verdict {
        let Some((user, password)) = credentials(headers) else { return Verdict::Rejected };
        let verdict = self.passwords.check(&rules.users, &user, password, caller).await;
        // The rules may have been replaced while the check waited.
        let current = self.current_rules();
        if current.rules.users.get(&user) == rules.users.get(&user) { verdict } else { Verdict::Rejected }
    }
}

fn unauthorized() -> Response<Body> {
    let mut refusal = response(StatusCode::UNAUTHORIZED, TEXT_PLAIN, "Unauthorized\n");
    refusal.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
    refusal
}

fn too_many_requests() -> Response<Body> {
    response(StatusCode::TOO_MANY_REQUESTS, TEXT_PLAIN, "Too Many Requests\n")
}

/// The user and password of a request with basic authentication.
fn credentials(headers: &HeaderMap) -> Option<(String, SecretString)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.into()))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use secrecy::ExposeSecret as _;

    use super::*;

    /// The status of the response to a request from this client.
    async fn status_for(
        access: &AccessControl,
        caller: Caller,
        path: &str,
        authorization: Option<&str>,
    ) -> u16 {
        let mut request = Request::new(());
        *request.uri_mut() = path.parse().unwrap();
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.parse().unwrap());
        }
        let active = access.current_rules();
        match access.check(&active, &request, caller).await {
            Ok(()) => 200,
            Err(refusal) => refusal.status().as_u16(),
        }
    }

    fn caller(peer: u8) -> Caller {
        Caller { peer: [192, 0, 2, peer].into(), connection: 0, refusals: 0 }
    }

    async fn status(access: &AccessControl, path: &str, authorization: Option<&str>) -> u16 {
        status_for(access, caller(1), path, authorization).await
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn rules(user: &str, password: &str) -> AccessRules {
        let hash = bcrypt::hash(password, 4).unwrap().parse().unwrap();
        AccessRules { users: [(user.to_owned(), hash)].into(), ..AccessRules::default() }
    }

    #[test]
    fn credentials_of_basic_authentication_are_parsed() {
        let parse = |text: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, text.parse().unwrap())]);
            credentials(&headers).map(|(user, password)| (user, password.expose_secret().to_owned()))
        };
        let expected = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(parse("Basic YW5uOng="), expected("ann", "x"));
        assert_eq!(parse("bAsIc  YW5uOng="), expected("ann", "x"));
        assert_eq!(parse(&basic("ann:a:b")), expected("ann", "a:b"));
        assert_eq!(parse(&basic(":")), expected("", ""));
        for text in ["", "Basic", "Basic ", "Basic !", "Bearer YW5uOng=", &basic("ann")] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn only_excluded_paths_need_no_password() {
        let access = AccessControl::new(AccessRules {
            excluded_paths: vec!["/-/healthy".parse().unwrap()],
            ..rules("ann", "secret")
        })
        .unwrap();
        for (path, expected) in
            [("/-/healthy", 200), ("/-/healthy/", 401), ("/-/ready", 401), ("/", 401), ("/metrics", 401)]
        {
            assert_eq!(status(&access, path, None).await, expected, "{path}");
            assert_eq!(status(&access, path, Some(&basic("ann:secret"))).await, 200, "{path}");
        }
        for text in ["/metrics", "/", "/-/reload", ""] {
            assert!(text.parse::<ExcludedPath>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn replaced_rules_apply_to_the_next_request() {
        let access = AccessControl::new(rules("ann", "old")).unwrap();
        assert_eq!(status(&access, "/", Some(&basic("ann:old"))).await, 200);
        access.apply(rules("ann", "new"));
        assert_eq!(status(&access, "/", Some(&basic("ann:old"))).await, 401);
        assert_eq!(status(&access, "/", Some(&basic("ann:new"))).await, 200);
        access.apply(AccessRules::default());
        assert_eq!(status(&access, "/", None).await, 200);
    }

    #[tokio::test]
    async fn an_exhausted_rate_limit_stays_exhausted_when_the_same_rules_are_applied() {
        let limited = |burst| AccessRules {
            rate_limit: Some(RateLimit {
                interval: Duration::from_hours(1),
                burst: NonZeroU32::new(burst).unwrap(),
            }),
            ..AccessRules::default()
        };
        let access = AccessControl::new(limited(2)).unwrap();
        for expected in [200, 200, 429, 429] {
            assert_eq!(status(&access, "/", None).await, expected);
        }
        access.apply(limited(2));
        assert_eq!(status(&access, "/", None).await, 429);
        access.apply(limited(1));
        assert_eq!(status(&access, "/", None).await, 200);
        assert_eq!(status(&access, "/", None).await, 429);
    }

    fn limited(user: &str, password: &str, burst: u32) -> AccessRules {
        let interval = Duration::from_hours(1);
        let rate_limit = Some(RateLimit { interval, burst: NonZeroU32::new(burst).unwrap() });
        AccessRules { rate_limit, ..rules(user, password) }
    }

    /// Regression: requests without a password used up the rate limit of those with one.
    #[tokio::test]
    async fn failed_requests_have_a_limit_of_their_own_for_each_peer() {
        let access = AccessControl::new(limited("ann", "secret", 20)).unwrap();
        let (right, wrong) = (basic("ann:secret"), basic("ann:wrong"));
        for (peer, authorization) in [(1, None), (2, Some(&wrong))] {
            for number in 0..40 {
                let authorization = authorization.map(String::as_str);
                let status = status_for(&access, caller(peer), "/metrics", authorization).await;
                assert_eq!(status, if number < 20 { 401 } else { 429 }, "request {number} of {peer}");
            }
        }
        // The right password is accepted from the same peers, first unverified, then cached.
        for number in 0..20 {
            let peer = 1 + number % 2;
            assert_eq!(status_for(&access, caller(peer), "/metrics", Some(&right)).await, 200, "{number}");
        }
        // The configured limit holds for those who have the password.
        assert_eq!(status_for(&access, caller(3), "/metrics", Some(&right)).await, 429);
        // A reload renews neither budget.
        access.apply(limited("ann", "secret", 20));
        assert_eq!(status_for(&access, caller(3), "/metrics", Some(&right)).await, 429);
        assert_eq!(status_for(&access, caller(1), "/metrics", None).await, 429);
        assert_eq!(status_for(&access, caller(4), "/metrics", None).await, 401);
    }

    /// Checks wait for each other, so a reload may come in between.
    #[tokio::test]
    async fn a_user_who_is_removed_while_the_check_waits_is_refused() {
        let access = AccessControl::new(rules("ann", "secret")).unwrap();
        for (replaced, expected) in [(rules("bob", "secret"), 401), (rules("ann", "other"), 401)] {
            access.apply(rules("ann", "secret"));
            let turn = access.passwords.gate.enter(caller(1)).await.unwrap();
            let login = basic("ann:secret");
            let login = status(&access, "/", Some(&login));
            let replace = async {
                tokio::task::yield_now().await;
                access.apply(replaced);
                drop(turn);
            };
            assert_eq!(tokio::join!(login, replace).0, expected);
        }
        // The same rules again, as a reload applies them, change nothing.
        let AccessRules { users, .. } = rules("ann", "secret");
        let same = || AccessRules { users: users.clone(), ..AccessRules::default() };
        access.apply(same());
        let turn = access.passwords.gate.enter(caller(1)).await.unwrap();
        let login = basic("ann:secret");
        let login = status(&access, "/", Some(&login));
        let replace = async {
            tokio::task::yield_now().await;
            access.apply(same());
            drop(turn);
        };
        assert_eq!(tokio::join!(login, replace).0, 200);
    }
}
