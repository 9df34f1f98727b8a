//! The body type of all responses, and a constructor for responses with a complete body.

use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use crate::web::body::StreamingBody;

pub(in crate::web) const TEXT_PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(in crate::web) const TEXT_HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// Forbids caching, because every response shows the current state.
pub(in crate::web) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A body that is either complete or produced while it is sent.
pub(in crate::web) type Body = Either<Full<Bytes>, StreamingBody>;

pub(in crate::web) fn response(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}
