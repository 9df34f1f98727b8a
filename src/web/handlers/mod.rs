//! The routes:
//!
//! - `GET /metrics` (or the telemetry path): the exposition
//! - `GET /-/healthy`: 200 while the process lives
//! - `GET /-/ready`: 200 once every target has had its first collection or a timeout has
//!   passed (see [`readiness`](crate::readiness)); 503 before that
//! - `POST /-/reload`: reload the configuration, if enabled
//! - `GET /`: the status page; `GET /-/status.*`: its assets
//! - `GET /sync`: the page about one sync
//! - `GET /api/v1/status`: the state of the fleet as a JSON document
//!
//! A request that a page of another site makes a browser send gets 403, unless it is `GET` or
//! `HEAD` (see [`cross_site`]).
//!
//! `HEAD` works wherever `GET` does. Other methods get 405 with `Allow`, other paths 404. A path
//! with dot segments or repeated slashes is redirected to the route that it names. `OPTIONS *` gets
//! 200 with `Allow`.
//! The caller passes in the implementation of each route as [`Handlers`], so this module
//! knows neither metrics nor configuration.

mod cross_site;
mod document;
mod entity_tag;
mod metrics;
mod status;
mod telemetry_path;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use hyper::header::{ALLOW, HeaderMap, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, Request, Response, StatusCode};

pub use document::{DocumentError, DocumentFuture, ServeDocument, StatusDocument};
pub use metrics::{MetricsRequest, MetricsResponse, ServeMetrics};
pub use status::{Asset, PageError, PageFuture, RenderPage, SyncPage, SyncPageFuture, SyncPageOutcome};
pub use telemetry_path::{InvalidTelemetryPath, TelemetryPath};

use crate::gate::Gate;
use crate::readiness::NotReady;
use crate::web::paths::{HEALTHY, READY, SYNC};
use crate::web::refusals::refused_as_busy;
use crate::web::request::path::cleaned;
use crate::web::response::{Body, TEXT_PLAIN, response};

const RELOAD: &str = "/-/reload";

const DOCUMENT: &str = "/api/v1/status";

/// The implementation of each route.
pub struct Handlers {
    /// The path of the metrics.
    pub telemetry_path: TelemetryPath,
    /// Serves the telemetry path.
    pub metrics: Arc<dyn ServeMetrics>,
    /// Serves `/`, its assets and `/sync`.
    pub page: Arc<dyn RenderPage>,
    /// Serves `/api/v1/status`.
    pub document: Arc<dyn ServeDocument>,
    /// Determines the response to `/-/ready`.
    pub ready: Box<dyn Fn() -> Result<(), NotReady> + Send + Sync>,
    /// Serves `/-/reload`. `None` if reloading over HTTP is not enabled.
    pub reload: Option<Arc<dyn Reload>>,
}

/// Reloads the configuration on `POST /-/reload`.
pub trait Reload: Send + Sync {
    /// Reloads the configuration and applies it.
    ///
    /// # Errors
    /// What is wrong with the configuration, in one line without secrets. The old
    /// configuration then stays in force.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;
}

/// The limit on concurrent requests for a reload. One reload serves all requests that arrived
/// before it began.
const MAX_RELOADS: usize = 64;

/// Dispatches requests to [`Handlers`].
pub struct Router {
    handlers: Handlers,
    reload_gate: Gate,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("telemetry_path", &self.handlers.telemetry_path)
            .finish_non_exhaustive()
    }
}

impl Router {
    /// A router that dispatches to `handlers`.
    #[must_use]
    pub fn new(handlers: Handlers) -> Self {
        Self { handlers, reload_gate: Gate::new(MAX_RELOADS) }
    }

    /// Whether the request is for the metrics.
    pub(in crate::web) fn is_scrape<B>(&self, request: &Request<B>) -> bool {
        request.uri().path() == self.handlers.telemetry_path.as_str() && is_safe(request.method())
    }

    /// Whether the request is for the status page, for the page about one sync, or for the document
    /// with the content of the status page.
    pub(in crate::web) fn is_page<B>(&self, request: &Request<B>) -> bool {
        ["/", SYNC, DOCUMENT].contains(&request.uri().path())
            && is_safe(request.method())
            && !self.is_scrape(request)
    }

    /// Responds to a request. Only the status page, the document and reloads take time; the
    /// other handlers return immediately.
    pub(in crate::web) async fn respond<B>(&self, request: &Request<B>) -> Response<Body> {
        let (method, path) = (request.method(), request.uri().path());
        let telemetry_path = self.handlers.telemetry_path.as_str();
        // GET and HEAD change nothing, and browsers do not show the responses to foreign pages.
        if !is_safe(method)
            && let Err(reason) = cross_site::check(request)
        {
            return response(StatusCode::FORBIDDEN, TEXT_PLAIN, reason);
        }
        match path {
            RELOAD if *method == Method::POST => return self.reload().await,
            RELOAD => return method_not_allowed("POST"),
            // `*` is no path but means the server itself. No other method may have it.
            "*" => return self.server_options(),
            _ if *method == Method::CONNECT => return method_not_allowed("GET, HEAD"),
            _ if !self.is_route(path) => {
                let clean = cleaned(path).filter(|clean| *clean == RELOAD || self.is_route(clean));
                let redirect = clean.and_then(|clean| redirect(&clean, request.uri().query()));
                return redirect
                    .unwrap_or_else(|| response(StatusCode::NOT_FOUND, TEXT_PLAIN, "not found\n"));
            }
            _ => {}
        }
        // HEAD is handled like GET here. `RequestService` and hyper remove the body.
        if !is_safe(method) {
            return method_not_allowed("GET, HEAD");
        }
        if let Some(asset) = self.asset(path) {
            return status::respond_with_asset(asset);
        }
        let query = request.uri().query().unwrap_or_default();
        match path {
            path if path == telemetry_path => metrics::respond(&*self.handlers.metrics, request),
            HEALTHY => response(StatusCode::OK, TEXT_PLAIN, "healthy\n"),
            READY => self.ready(),
            SYNC => status::respond_with_sync(&*self.handlers.page, query).await,
            DOCUMENT => document::respond(&*self.handlers.document, request).await,
            _ => status::respond(&*self.handlers.page, query).await,
        }
    }

    /// Whether the path serves GET.
    fn is_route(&self, path: &str) -> bool {
        path == self.handlers.telemetry_path.as_str()
            || [HEALTHY, READY, SYNC, "/", DOCUMENT].contains(&path)
            || self.asset(path).is_some()
    }

    fn asset(&self, path: &str) -> Option<&Asset> {
        self.handlers.page.assets().iter().find(|asset| asset.path == path)
    }

    /// Responds to `OPTIONS *` with the methods of all routes (RFC 9110, section 9.3.7).
    fn server_options(&self) -> Response<Body> {
        let allowed =
            if self.handlers.reload.is_some() { "GET, HEAD, OPTIONS, POST" } else { "GET, HEAD, OPTIONS" };
        let mut options = response(StatusCode::OK, TEXT_PLAIN, "");
        options.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        options
    }

    /// Responds to a request of a fuzz target, as if access was granted.
    #[cfg(fuzzing)]
    pub(crate) async fn respond_in_full<B>(&self, mut request: Request<B>) -> Response<hyper::body::Bytes> {
        use http_body_util::BodyExt as _;

        let response = match crate::web::request::normalize(&mut request) {
            Ok(()) => self.respond(&request).await,
            Err(malformed) => malformed.response(request.version()),
        };
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Response::from_parts(head, body)
    }

    fn ready(&self) -> Response<Body> {
        let Err(NotReady { uncollected, targets, pending_lookups }) = (self.handlers.ready)() else {
            return response(StatusCode::OK, TEXT_PLAIN, "ready\n");
        };
        let mut text =
            format!("not ready: {uncollected} of {targets} targets have not had their first collection");
        if pending_lookups > 0 {
            text += "; discovery is still in progress, so there may be more targets";
        }
        text += "\n";
        response(StatusCode::SERVICE_UNAVAILABLE, TEXT_PLAIN, text)
    }

    async fn reload(&self) -> Response<Body> {
        let Some(reload) = &self.handlers.reload else {
            let text =
                "reloading over HTTP is not enabled; start with --web.enable-lifecycle, or send SIGHUP\n";
            return response(StatusCode::FORBIDDEN, TEXT_PLAIN, text);
        };
        let Some(_permit) = self.reload_gate.try_enter() else {
            return refused_as_busy("too many concurrent requests for a reload\n");
        };
        match reload.reload().await {
            Ok(()) => response(StatusCode::OK, TEXT_PLAIN, "reloaded\n"),
            // The status is that of Prometheus's own reload endpoint.
            Err(message) => response(StatusCode::INTERNAL_SERVER_ERROR, TEXT_PLAIN, message + "\n"),
        }
    }
}

/// Whether requests with this method change nothing.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// All values of a header, except those with characters other than visible ASCII.
fn header_texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, TEXT_PLAIN, "method not allowed\n");
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    refusal
}

/// Redirects to a route, and keeps the method and the query.
fn redirect(route: &str, query: Option<&str>) -> Option<Response<Body>> {
    let location = query.map_or_else(|| route.to_owned(), |query| format!("{route}?{query}"));
    let location = HeaderValue::try_from(location).ok()?;
    let mut redirect = response(StatusCode::TEMPORARY_REDIRECT, TEXT_PLAIN, "see the Location header\n");
    redirect.headers_mut().insert(LOCATION, location);
    Some(redirect)
}
