//! What is served under which path.

mod metrics;
mod status;
mod telemetry_path;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

pub use metrics::{Asked, Exposed, Exposition};
pub use status::{Asset, Making, NoPage, Page};
pub use telemetry_path::{InvalidTelemetryPath, TelemetryPath};

use crate::readiness::NotReady;
use crate::web::response::{Body, PLAIN, response};

pub(in crate::web) const HEALTHY: &str = "/-/healthy";
pub(in crate::web) const READY: &str = "/-/ready";
const RELOAD: &str = "/-/reload";

/// What is served, each from somewhere else.
pub struct Site {
    /// The path of the metrics.
    pub telemetry_path: TelemetryPath,
    /// What is served there.
    pub exposition: Arc<dyn Exposition>,
    /// What is served under `/`.
    pub page: Arc<dyn Page>,
    /// Says whether there is something to show.
    pub ready: Box<dyn Fn() -> Result<(), NotReady> + Send + Sync>,
    /// Reads the configuration anew. `None` where that may not be asked for over HTTP.
    pub reload: Option<Arc<dyn Reload>>,
}

/// What `POST /-/reload` does.
pub trait Reload: Send + Sync {
    /// Reads the configuration anew and puts it into force.
    ///
    /// # Errors
    /// What is wrong with it, in one line and free of secrets; then all is as it was.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;
}

/// What is served under which path.
pub struct Routes(Site);

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").field("telemetry_path", &self.0.telemetry_path).finish_non_exhaustive()
    }
}

impl Routes {
    /// The way to all of `site`.
    #[must_use]
    pub fn new(site: Site) -> Self {
        Self(site)
    }

    /// Whether the metrics are asked for.
    pub(in crate::web) fn is_scrape<B>(&self, request: &Request<B>) -> bool {
        request.uri().path() == self.0.telemetry_path.as_str()
            && matches!(*request.method(), Method::GET | Method::HEAD)
    }

    /// Answers a request: at once, but for one that asks for the page or a reload.
    pub(in crate::web) async fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let (method, path) = (request.method(), request.uri().path());
        let metrics = self.0.telemetry_path.as_str();
        if path == RELOAD {
            return match *method {
                Method::POST => self.reload().await,
                _ => not_allowed("POST"),
            };
        }
        let asset = self.0.page.assets().iter().find(|asset| asset.path == path);
        if path != metrics && asset.is_none() && ![HEALTHY, READY, "/"].contains(&path) {
            return response(StatusCode::NOT_FOUND, PLAIN, "not found\n");
        }
        // The body of an answer to HEAD is left out later.
        if !matches!(*method, Method::GET | Method::HEAD) {
            return not_allowed("GET, HEAD");
        }
        if let Some(asset) = asset {
            return status::answer_asset(asset);
        }
        match path {
            path if path == metrics => metrics::answer(&*self.0.exposition, request),
            HEALTHY => response(StatusCode::OK, PLAIN, "healthy\n"),
            READY => self.ready(),
            _ => status::answer(&*self.0.page, request.uri().query().unwrap_or_default()).await,
        }
    }

    fn ready(&self) -> Response<Body> {
        let Err(NotReady { uncollected: waiting, targets, pending }) = (self.0.ready)() else {
            return response(StatusCode::OK, PLAIN, "ready\n");
        };
        let mut text =
            format!("not ready: {waiting} of {targets} targets have not had their first collection");
        if pending > 0 {
            text += ", and there may be more: an organization or accounts are still being asked";
        }
        text += "\n";
        response(StatusCode::SERVICE_UNAVAILABLE, PLAIN, text)
    }

    async fn reload(&self) -> Response<Body> {
        let Some(reload) = &self.0.reload else {
            let text = "not enabled: start it with --web.enable-lifecycle, or send SIGHUP\n";
            return response(StatusCode::FORBIDDEN, PLAIN, text);
        };
        match reload.reload().await {
            Ok(()) => response(StatusCode::OK, PLAIN, "reloaded\n"),
            // As Prometheus answers.
            Err(why) => response(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, why + "\n"),
        }
    }
}

fn not_allowed(instead: &'static str) -> Response<Body> {
    let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "method not allowed\n");
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(instead));
    refusal
}
