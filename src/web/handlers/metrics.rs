//! `GET /metrics`: parses the query and the headers, and streams the exposition.

use http_body_util::Either;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY,
};
use hyper::{Request, Response, StatusCode};
use tracing::error;

use super::header_texts;
use crate::negotiation::{Accept, ContentCoding};
use crate::web::body::{BodyChunks, StreamingBody};
use crate::web::response::{Body, NO_STORE, TEXT_PLAIN, response};

/// Serves the telemetry path. Implemented in [`metrics`](crate::metrics).
pub trait ServeMetrics: Send + Sync {
    /// The current exposition. Must not block, because it runs on a thread that serves other
    /// connections.
    ///
    /// # Errors
    /// What is wrong with the request, as a text for the client.
    fn serve_metrics(&self, request: &MetricsRequest) -> Result<MetricsResponse, String>;
}

/// The parsed headers and query of a request to the telemetry path.
#[derive(Debug)]
pub struct MetricsRequest {
    /// The parsed `Accept` headers.
    pub accept: Accept,
    /// The content coding negotiated from the `Accept-Encoding` headers.
    pub coding: ContentCoding,
    /// The values of `collect[]`: the families to include; empty for all.
    pub collect: Vec<String>,
    /// The values of `exclude[]`: the families to leave out.
    pub exclude: Vec<String>,
    /// The values of `name[]`: of the families that the other two select, those to include, whether
    /// they exist or not; empty for all.
    pub names: Vec<String>,
}

/// An exposition that is about to be sent.
pub struct MetricsResponse {
    /// The value of `Content-Type`.
    pub content_type: String,
    /// The body, compressed with the coding of the request.
    pub chunks: BodyChunks,
}

pub(in crate::web) fn respond<B>(metrics: &dyn ServeMetrics, request: &Request<B>) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let values_of = |name: &str| {
        let pairs = form_urlencoded::parse(query.as_bytes());
        pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    };
    let request = MetricsRequest {
        accept: Accept::parse(header_texts(request.headers(), &ACCEPT)),
        coding: ContentCoding::negotiate(header_texts(request.headers(), &ACCEPT_ENCODING)),
        collect: values_of("collect[]"),
        exclude: values_of("exclude[]"),
        names: values_of("name[]"),
    };
    let MetricsResponse { content_type, chunks } = match metrics.serve_metrics(&request) {
        Ok(exposition) => exposition,
        Err(message) => return response(StatusCode::BAD_REQUEST, TEXT_PLAIN, message + "\n"),
    };
    let Ok(content_type) = HeaderValue::try_from(content_type) else {
        error!("the content type of the exposition is not a valid header value, which is a bug");
        return response(StatusCode::INTERNAL_SERVER_ERROR, TEXT_PLAIN, "cannot render the metrics\n");
    };
    let mut response = Response::new(Either::Right(StreamingBody::new(chunks)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    if let Some(coding) = request.coding.token() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    headers.insert(CACHE_CONTROL, NO_STORE);
    response
}
