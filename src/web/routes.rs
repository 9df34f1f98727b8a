//! What is served under which path.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, VARY,
};
use hyper::{Method, Request, Response, StatusCode};
use tracing::{debug, error};

use super::body::{Pieces, Streamed};
use crate::negotiation::{Accept, Coding};
use crate::readiness::NotReady;

const HEALTHY: &str = "/-/healthy";
const READY: &str = "/-/ready";

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// All of it is as of now.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The path of the metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryPath(String);

/// A text that cannot be the path of the metrics.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a path such as `/metrics`: it begins with `/`, is not below `/-/`, and has letters, digits and `-._~/` only"
)]
pub struct InvalidTelemetryPath;

impl FromStr for TelemetryPath {
    type Err = InvalidTelemetryPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        if text.starts_with('/') && !text.starts_with("/-/") && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTelemetryPath)
        }
    }
}

impl Default for TelemetryPath {
    fn default() -> Self {
        Self("/metrics".to_owned())
    }
}

impl fmt::Display for TelemetryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is served under the path of the metrics.
pub trait Exposition: Send + Sync {
    /// What is asked for, as it is now. It must not wait for anything.
    ///
    /// # Errors
    /// What is wrong with what is asked for, for the client to read.
    fn expose(&self, asked: &Asked) -> Result<Exposed, String>;
}

/// What a client asks of an [`Exposition`].
#[derive(Debug)]
pub struct Asked {
    /// The media types it likes.
    pub accept: Accept,
    /// How the body is to be compressed.
    pub coding: Coding,
    /// The families it wants, if it names any.
    pub collect: Vec<String>,
    /// The families it does not want.
    pub exclude: Vec<String>,
}

/// An exposition on its way.
pub struct Exposed {
    /// Its media type.
    pub content_type: String,
    /// Its body, compressed as it was asked for.
    pub pieces: Pieces,
}

/// A body, whole or made while it is sent.
type Body = Either<Full<Bytes>, Streamed>;

/// Says whether there is something to show.
type Ready = Box<dyn Fn() -> Result<(), NotReady> + Send + Sync>;

/// What is served under which path.
pub struct Routes {
    telemetry_path: TelemetryPath,
    exposition: Arc<dyn Exposition>,
    ready: Ready,
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").field("telemetry_path", &self.telemetry_path).finish_non_exhaustive()
    }
}

impl Routes {
    /// Serves `exposition` under `telemetry_path`, and what `ready`
    /// says beside it.
    pub fn new(
        telemetry_path: TelemetryPath,
        exposition: Arc<dyn Exposition>,
        ready: impl Fn() -> Result<(), NotReady> + Send + Sync + 'static,
    ) -> Self {
        Self { telemetry_path, exposition, ready: Box::new(ready) }
    }

    /// Answers a request, at once.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let (method, path) = (request.method(), request.uri().path());
        let response = self.route(request);
        debug!(%method, path, status = response.status().as_u16(), "request");
        response
    }

    fn route<B>(&self, request: &Request<B>) -> Response<Body> {
        let (method, path) = (request.method(), request.uri().path());
        let known = path == self.telemetry_path.0 || [HEALTHY, READY, "/"].contains(&path);
        if !known {
            return response(StatusCode::NOT_FOUND, PLAIN, "not found\n");
        }
        // hyper leaves the body of an answer to HEAD out by itself.
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "method not allowed\n");
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        if path == self.telemetry_path.0 {
            return self.expose(request);
        }
        match path {
            HEALTHY => response(StatusCode::OK, PLAIN, "healthy\n"),
            READY => match (self.ready)() {
                Ok(()) => response(StatusCode::OK, PLAIN, "ready\n"),
                Err(NotReady { waiting, targets, awaited }) => {
                    let mut text = format!(
                        "not ready: {waiting} of {targets} targets have not had their first collection"
                    );
                    if awaited > 0 {
                        text += ", and there may be more: an organization or accounts are still being asked";
                    }
                    text += "\n";
                    response(StatusCode::SERVICE_UNAVAILABLE, PLAIN, text)
                }
            },
            _ => response(StatusCode::OK, HTML, self.landing_page()),
        }
    }

    fn expose<B>(&self, request: &Request<B>) -> Response<Body> {
        let query = request.uri().query().unwrap_or_default();
        let named = |name: &str| {
            let pairs = form_urlencoded::parse(query.as_bytes());
            pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
        };
        let asked = Asked {
            accept: Accept::read(values(request.headers(), &ACCEPT)),
            coding: Coding::best(values(request.headers(), &ACCEPT_ENCODING)),
            collect: named("collect[]"),
            exclude: named("exclude[]"),
        };
        let exposed = match self.exposition.expose(&asked) {
            Ok(exposed) => exposed,
            Err(why) => return response(StatusCode::BAD_REQUEST, PLAIN, why + "\n"),
        };
        let Ok(content_type) = HeaderValue::try_from(exposed.content_type) else {
            error!("the type of the exposition does not fit in a header, which is a bug");
            return response(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, "cannot make the exposition\n");
        };
        let mut response = Response::new(Either::Right(Streamed::new(exposed.pieces)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        if let Some(coding) = asked.coding.token() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        headers.insert(CACHE_CONTROL, NOT_KEPT);
        response
    }

    fn landing_page(&self) -> String {
        // The path holds nothing that would have to be escaped.
        let metrics = &self.telemetry_path;
        format!(
            "<!doctype html>\n\
             <html lang=\"en\">\n\
             <head><meta charset=\"utf-8\"><title>SSM Sync Exporter</title></head>\n\
             <body>\n\
             <h1>SSM Sync Exporter</h1>\n\
             <p>AWS Systems Manager resource data syncs for Prometheus.</p>\n\
             <ul>\n\
             <li><a href=\"{metrics}\">Metrics</a></li>\n\
             <li><a href=\"{HEALTHY}\">Healthy</a></li>\n\
             <li><a href=\"{READY}\">Ready</a></li>\n\
             </ul>\n\
             </body>\n\
             </html>\n"
        )
    }
}

/// All values of a header that are texts.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

fn response(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CACHE_CONTROL, NOT_KEPT);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_metrics_that_would_hide_others_are_refused() {
        for text in ["/metrics", "/", "/a/b.c_d~e"] {
            assert!(text.parse::<TelemetryPath>().is_ok(), "{text}");
        }
        for text in ["", "metrics", "/-/ready", "/-/x", "/a?b", "/a b", "/ä", "/<script>"] {
            assert!(text.parse::<TelemetryPath>().is_err(), "{text}");
        }
    }
}
