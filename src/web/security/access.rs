//! Who may ask, how often, and by what kind of connection: the rules in force.
//!
//! Where they come from is not known here. They are put into force as a whole, and
//! hold for the next connection and the next request.

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

use crate::web::handlers::{HEALTHY, READY};
use crate::web::response::{Body, PLAIN, response};
use crate::web::security::password::{NoRandomness, Passwords, Users, Verdict};
use crate::web::security::tls::Tls;

/// What a client is told that has to say who it is.
const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"ssm-sync-exporter\", charset=\"UTF-8\"");

/// How often requests may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// From one request to the next, on average. Not zero.
    pub interval: Duration,
    /// How many may come at once.
    pub burst: NonZeroU32,
}

/// A path that can be left open while others need a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenPath(&'static str);

/// A path that cannot be left open.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` cannot be left open; only /-/healthy and /-/ready can")]
pub struct InvalidOpenPath(String);

impl FromStr for OpenPath {
    type Err = InvalidOpenPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = [HEALTHY, READY].into_iter().find(|path| *path == text);
        found.map(Self).ok_or_else(|| InvalidOpenPath(text.to_owned()))
    }
}

/// The rules. By default everybody may ask, without TLS.
#[derive(Debug, Default)]
pub struct Rules {
    /// TLS, or plain HTTP.
    pub tls: Option<Tls>,
    /// What every answer has in its head.
    pub headers: HeaderMap,
    /// Who may ask; everybody, if there is none.
    pub users: Users,
    /// What may be asked by everybody even so.
    pub open_paths: Vec<OpenPath>,
    /// How often requests may come.
    pub rate_limit: Option<RateLimit>,
}

/// Keeps to the rules.
pub struct Guard {
    in_force: ArcSwap<InForce>,
    passwords: Passwords,
}

/// Rules, and what goes with them.
pub(in crate::web) struct InForce {
    rules: Rules,
    limiter: Option<Arc<DefaultDirectRateLimiter>>,
    /// Cancelled when connections are to be of another kind.
    outdated: CancellationToken,
}

impl InForce {
    /// What new connections are like, and when they are no longer to be so.
    pub(in crate::web) fn tls(&self) -> (Option<&Tls>, &CancellationToken) {
        (self.rules.tls.as_ref(), &self.outdated)
    }

    /// Puts what every answer has to have into one.
    pub(in crate::web) fn complete<B>(&self, response: &mut Response<B>) {
        for (name, value) in &self.rules.headers {
            response.headers_mut().insert(name, value.clone());
        }
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("rules", &self.in_force.load().rules).finish_non_exhaustive()
    }
}

impl Guard {
    /// Keeps to `rules` until others are put into force.
    ///
    /// # Errors
    /// The system has no random numbers, without which passwords cannot be kept
    /// secret.
    pub fn new(rules: Rules) -> Result<Self, NoRandomness> {
        let limiter = rules.rate_limit.and_then(limiter);
        let in_force = InForce { rules, limiter, outdated: CancellationToken::new() };
        Ok(Self { in_force: ArcSwap::from_pointee(in_force), passwords: Passwords::new()? })
    }

    /// Keeps to `rules` from now on. What stays the same of them goes on: a limit
    /// that has been used up is not filled up again, and connections are ended, once
    /// they are idle, only if TLS is another.
    pub fn put_in_force(&self, mut rules: Rules) {
        let before = self.in_force.load_full();
        let limiter = if rules.rate_limit == before.rules.rate_limit {
            before.limiter.clone()
        } else {
            rules.rate_limit.and_then(limiter)
        };
        let same = match (&rules.tls, &before.rules.tls) {
            (None, None) => true,
            (Some(now), Some(then)) => now.is_like(then),
            _ => false,
        };
        if same {
            // With the sessions that clients can take up again.
            rules.tls.clone_from(&before.rules.tls);
        }
        let outdated = if same { before.outdated.clone() } else { CancellationToken::new() };
        self.in_force.store(Arc::new(InForce { rules, limiter, outdated }));
        if !same {
            before.outdated.cancel();
        }
    }

    /// The rules as they are now.
    pub(in crate::web) fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// Whether a request may be answered; if not, the answer that it gets.
    pub(in crate::web) async fn admit<B>(
        &self,
        in_force: &InForce,
        request: &Request<B>,
    ) -> Result<(), Response<Body>> {
        let rules = &in_force.rules;
        let path = request.uri().path();
        // A flood of others is no reason to call the exporter dead.
        if rules.open_paths.iter().any(|open| open.0 == path) {
            return Ok(());
        }
        if in_force.limiter.as_ref().is_some_and(|limiter| limiter.check().is_err()) {
            return Err(response(StatusCode::TOO_MANY_REQUESTS, PLAIN, "too many requests\n"));
        }
        if rules.users.is_empty() {
            return Ok(());
        }
        let verdict = match credentials(request.headers()) {
            Some((user, password)) => self.passwords.check(&rules.users, &user, password).await,
            None => Verdict::Wrong,
        };
        match verdict {
            Verdict::Right => Ok(()),
            Verdict::Wrong => {
                let mut refusal = response(StatusCode::UNAUTHORIZED, PLAIN, "unauthorized\n");
                refusal.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
                Err(refusal)
            }
            Verdict::Busy => {
                let text = "too many passwords are being checked\n";
                Err(response(StatusCode::TOO_MANY_REQUESTS, PLAIN, text))
            }
        }
    }
}

fn limiter(limit: RateLimit) -> Option<Arc<DefaultDirectRateLimiter>> {
    let quota = Quota::with_period(limit.interval)?.allow_burst(limit.burst);
    Some(Arc::new(DefaultDirectRateLimiter::direct(quota)))
}

/// The user and the password of a request that has both.
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

    async fn status(guard: &Guard, path: &str, authorization: Option<&str>) -> u16 {
        let mut request = Request::new(());
        *request.uri_mut() = path.parse().unwrap();
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.parse().unwrap());
        }
        let in_force = guard.in_force();
        match guard.admit(&in_force, &request).await {
            Ok(()) => 200,
            Err(refusal) => refusal.status().as_u16(),
        }
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn rules(user: &str, password: &str) -> Rules {
        let hash = bcrypt::hash(password, 4).unwrap().parse().unwrap();
        Rules { users: [(user.to_owned(), hash)].into(), ..Rules::default() }
    }

    #[test]
    fn credentials_are_read_as_they_are_written() {
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, text.parse().unwrap())]);
            credentials(&headers).map(|(user, password)| (user, password.expose_secret().to_owned()))
        };
        let found = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(read("Basic YW5uOng="), found("ann", "x"));
        assert_eq!(read("bAsIc  YW5uOng="), found("ann", "x"));
        assert_eq!(read(&basic("ann:a:b")), found("ann", "a:b"));
        assert_eq!(read(&basic(":")), found("", ""));
        for text in ["", "Basic", "Basic ", "Basic !", "Bearer YW5uOng=", &basic("ann")] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn only_open_paths_need_no_password() {
        let guard =
            Guard::new(Rules { open_paths: vec!["/-/healthy".parse().unwrap()], ..rules("ann", "secret") })
                .unwrap();
        for (path, expected) in
            [("/-/healthy", 200), ("/-/healthy/", 401), ("/-/ready", 401), ("/", 401), ("/metrics", 401)]
        {
            assert_eq!(status(&guard, path, None).await, expected, "{path}");
            assert_eq!(status(&guard, path, Some(&basic("ann:secret"))).await, 200, "{path}");
        }
        for text in ["/metrics", "/", "/-/reload", ""] {
            assert!(text.parse::<OpenPath>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn new_rules_hold_for_the_next_request() {
        let guard = Guard::new(rules("ann", "old")).unwrap();
        assert_eq!(status(&guard, "/", Some(&basic("ann:old"))).await, 200);
        guard.put_in_force(rules("ann", "new"));
        assert_eq!(status(&guard, "/", Some(&basic("ann:old"))).await, 401);
        assert_eq!(status(&guard, "/", Some(&basic("ann:new"))).await, 200);
        guard.put_in_force(Rules::default());
        assert_eq!(status(&guard, "/", None).await, 200);
    }

    #[tokio::test]
    async fn a_limit_that_is_used_up_is_not_filled_up_by_the_same_rules() {
        let limited = |burst| Rules {
            rate_limit: Some(RateLimit {
                interval: Duration::from_hours(1),
                burst: NonZeroU32::new(burst).unwrap(),
            }),
            ..Rules::default()
        };
        let guard = Guard::new(limited(2)).unwrap();
        for expected in [200, 200, 429, 429] {
            assert_eq!(status(&guard, "/", None).await, expected);
        }
        guard.put_in_force(limited(2));
        assert_eq!(status(&guard, "/", None).await, 429);
        guard.put_in_force(limited(1));
        assert_eq!(status(&guard, "/", None).await, 200);
        assert_eq!(status(&guard, "/", None).await, 429);
    }
}
