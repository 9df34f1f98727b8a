//! Access control: TLS, passwords, response headers and the rate limit, as one set of
//! rules that can be replaced while the server runs.
//!
//! The rules come from the web configuration file, but this module knows neither files nor
//! their format. New rules apply to the next connection and the next request.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use governor::{DefaultDirectRateLimiter, Quota};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, Response, StatusCode};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::web::paths::{HEALTHY, READY};
use crate::web::response::{Body, TEXT_PLAIN, response};
use crate::web::security::password::{PasswordVerifier, RandomnessError, Users, Verdict};
use crate::web::security::tls::Tls;

const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"ssm-sync-exporter\", charset=\"UTF-8\"");

/// A limit on the rate of requests, over all clients together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The average time between two requests. Not zero.
    pub interval: Duration,
    /// The largest burst of requests that is admitted.
    pub burst: NonZeroU32,
}

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
    limiter: Option<Arc<DefaultDirectRateLimiter>>,
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
    /// The system provides no random numbers, which the cache of verified passwords needs.
    pub fn new(rules: AccessRules) -> Result<Self, RandomnessError> {
        let limiter = rules.rate_limit.and_then(limiter);
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
            rules.rate_limit.and_then(limiter)
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

    /// Checks a request against the rate limit and the passwords.
    ///
    /// # Errors
    /// The response to a request that is refused.
    pub(in crate::web) async fn check<B>(
        &self,
        active: &ActiveRules,
        request: &Request<B>,
    ) -> Result<(), Response<Body>> {
        let rules = &active.rules;
        let path = request.uri().path();
        // Checked before the rate limit, so that other clients' requests cannot make a liveness
        // probe fail.
        if rules.excluded_paths.iter().any(|excluded| excluded.0 == path) {
            return Ok(());
        }
        if active.limiter.as_ref().is_some_and(|limiter| limiter.check().is_err()) {
            return Err(response(StatusCode::TOO_MANY_REQUESTS, TEXT_PLAIN, "too many requests\n"));
        }
        if rules.users.is_empty() {
            return Ok(());
        }
        let verdict = match credentials(request.headers()) {
            Some((user, password)) => self.passwords.check(&rules.users, &user, password).await,
            None => Verdict::Rejected,
        };
        match verdict {
            Verdict::Accepted => Ok(()),
            Verdict::Rejected => {
                let mut refusal = response(StatusCode::UNAUTHORIZED, TEXT_PLAIN, "unauthorized\n");
                refusal.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
                Err(refusal)
            }
            Verdict::Busy => {
                let text = "too many password checks in progress\n";
                Err(response(StatusCode::TOO_MANY_REQUESTS, TEXT_PLAIN, text))
            }
        }
    }
}

fn limiter(limit: RateLimit) -> Option<Arc<DefaultDirectRateLimiter>> {
    let quota = Quota::with_period(limit.interval)?.allow_burst(limit.burst);
    Some(Arc::new(DefaultDirectRateLimiter::direct(quota)))
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
    use secrecy::ExposeSecret as _;

    use super::*;

    async fn status(access: &AccessControl, path: &str, authorization: Option<&str>) -> u16 {
        let mut request = Request::new(());
        *request.uri_mut() = path.parse().unwrap();
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.parse().unwrap());
        }
        let active = access.current_rules();
        match access.check(&active, &request).await {
            Ok(()) => 200,
            Err(refusal) => refusal.status().as_u16(),
        }
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
}
