//! Answers that are whole.

use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use crate::web::body::Streamed;

pub(in crate::web) const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(in crate::web) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// All of it is as of now.
pub(in crate::web) const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");

/// A body, whole or made while it is sent.
pub(in crate::web) type Body = Either<Full<Bytes>, Streamed>;

pub(in crate::web) fn response(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CACHE_CONTROL, NOT_KEPT);
    response
}
