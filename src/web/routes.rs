//! What is served under which path.

use std::fmt;
use std::str::FromStr;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tracing::{debug, error};

use crate::readiness::NotReady;

const HEALTHY: &str = "/-/healthy";
const READY: &str = "/-/ready";

/// The text format, version 0.0.4, which every Prometheus reads.
const TEXT_FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
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

/// Makes the exposition.
type Exposition = Box<dyn Fn() -> Result<String, Box<dyn std::error::Error>> + Send + Sync>;

/// Says whether there is something to show.
type Ready = Box<dyn Fn() -> Result<(), NotReady> + Send + Sync>;

/// What is served under which path.
pub struct Routes {
    telemetry_path: TelemetryPath,
    exposition: Exposition,
    ready: Ready,
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").field("telemetry_path", &self.telemetry_path).finish_non_exhaustive()
    }
}

impl Routes {
    /// Serves what `exposition` makes under `telemetry_path`, and what `ready`
    /// says beside it.
    pub fn new(
        telemetry_path: TelemetryPath,
        exposition: impl Fn() -> Result<String, Box<dyn std::error::Error>> + Send + Sync + 'static,
        ready: impl Fn() -> Result<(), NotReady> + Send + Sync + 'static,
    ) -> Self {
        Self { telemetry_path, exposition: Box::new(exposition), ready: Box::new(ready) }
    }

    /// Answers a request, at once.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let (method, path) = (request.method(), request.uri().path());
        let response = self.route(method, path);
        debug!(%method, path, status = response.status().as_u16(), "request");
        response
    }

    fn route(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let known = path == self.telemetry_path.0 || [HEALTHY, READY, "/"].contains(&path);
        if !known {
            return response(StatusCode::NOT_FOUND, PLAIN, "not found\n");
        }
        // hyper leaves the body of an answer to HEAD out by itself, and says
        // how long it would have been.
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "method not allowed\n");
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        if path == self.telemetry_path.0 {
            return match (self.exposition)() {
                Ok(text) => response(StatusCode::OK, TEXT_FORMAT, text),
                Err(error) => {
                    error!(error, "cannot make the exposition, which is a bug");
                    response(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, "cannot make the exposition\n")
                }
            };
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

fn response(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    // All of it is as of now.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
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
