//! Rejects malformed requests that hyper accepts, and normalizes the path of all others.
//!
//! A request that is malformed by RFC 9112 or RFC 9113 gets status 400 before it is
//! authenticated, as from Go's `net/http`. The response says which rule was violated and repeats
//! nothing that the client has sent. Its connection is closed, because the client and the server
//! may disagree about where the request ends.
//!
//! - [`host`]: the host in `Host`, in `:authority` or in the request line
//! - [`path`]: percent-encoding, dot segments and repeated slashes

mod host;
pub(in crate::web) mod path;

use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};

use crate::web::response::{Body, TEXT_PLAIN, response};

/// Closes the connection after the response.
pub(in crate::web) const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Why a request is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) struct Malformed {
    status: StatusCode,
    /// One line for the client.
    reason: &'static str,
}

impl Malformed {
    const fn new(reason: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, reason }
    }

    /// The response to the request.
    pub(in crate::web) fn response(self, version: Version) -> Response<Body> {
        let mut response = response(self.status, TEXT_PLAIN, self.reason);
        // HTTP/2 knows no such header, and a malformed request affects only its stream there.
        if version <= Version::HTTP_11 {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        response
    }
}

/// Checks a request, and normalizes its path.
///
/// # Errors
/// The request is malformed.
pub(in crate::web) fn normalize<B>(request: &mut Request<B>) -> Result<(), Malformed> {
    host::check(request)?;
    check_transfer_encoding(request.headers())?;
    check_target(request)?;
    if let Some(uri) = path::normalize(request.uri())? {
        *request.uri_mut() = uri;
    }
    Ok(())
}

/// Accepts the one transfer coding that hyper decodes. It ignores every coding but the last, so
/// the server and a proxy in front of it could disagree about where the body ends.
fn check_transfer_encoding(headers: &HeaderMap) -> Result<(), Malformed> {
    let mut values = headers
        .get_all(TRANSFER_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let Some(first) = values.next() else { return Ok(()) };
    let is_chunked = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    let mut all_chunked = is_chunked(first);
    let mut repeated = false;
    for coding in values {
        all_chunked &= is_chunked(coding);
        repeated = true;
    }
    match (all_chunked, repeated) {
        (true, false) => Ok(()),
        (true, true) => Err(Malformed::new("bad request: the transfer coding chunked is repeated\n")),
        (false, _) => Err(Malformed {
            status: StatusCode::NOT_IMPLEMENTED,
            reason: "the only supported transfer coding is chunked\n",
        }),
    }
}

/// Checks the form of the request target: a path, a URL, `*` for OPTIONS, or a host and port for
/// CONNECT.
fn check_target<B>(request: &Request<B>) -> Result<(), Malformed> {
    let uri = request.uri();
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    let is_options = *request.method() == Method::OPTIONS;
    let is_valid = match target {
        "*" => is_options,
        "" => *request.method() == Method::CONNECT,
        _ if target.starts_with('/') => true,
        // The path of a URL may be empty, as in `http://exporter?q=x`.
        _ => target.starts_with('?') && uri.scheme().is_some() && request.version() <= Version::HTTP_11,
    };
    if is_valid {
        Ok(())
    } else {
        Err(Malformed::new("bad request: the request target is neither a path nor a URL\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, target: &str, version: Version) -> Request<()> {
        Request::builder()
            .method(method)
            .uri(target)
            .version(version)
            .header("host", "exporter")
            .body(())
            .unwrap()
    }

    #[test]
    fn the_request_target_has_the_form_that_its_method_requires() {
        for (method, target, is_valid) in [
            ("GET", "/", true),
            ("GET", "/metrics?collect[]=x", true),
            ("GET", "http://exporter/metrics", true),
            ("GET", "http://exporter", true),
            ("GET", "http://exporter?q=x", true),
            ("OPTIONS", "*", true),
            ("GET", "*", false),
            ("HEAD", "*", false),
            ("POST", "*", false),
            ("CONNECT", "exporter:10144", true),
            ("GET", "exporter:10144", false),
            ("OPTIONS", "exporter:10144", false),
        ] {
            let checked = check_target(&request(method, target, Version::HTTP_11));
            assert_eq!(checked.is_ok(), is_valid, "{method} {target}");
        }
    }

    #[test]
    fn chunked_is_the_only_transfer_coding_and_given_once() {
        for (values, status) in [
            (&[][..], None),
            (&["chunked"], None),
            (&["Chunked"], None),
            (&["chunked, chunked"], Some(400)),
            (&["chunked,chunked"], Some(400)),
            (&["chunked", "chunked"], Some(400)),
            (&["gzip, chunked"], Some(501)),
            (&["gzip", "chunked"], Some(501)),
            (&["chunked, gzip, chunked"], Some(501)),
            (&["identity"], Some(501)),
            (&["identity, chunked"], Some(501)),
            (&[", chunked"], Some(501)),
            (&["chunked;x=y"], Some(501)),
            (&["\"chunked\""], Some(501)),
            (&[""], Some(501)),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(TRANSFER_ENCODING, HeaderValue::from_static(value));
            }
            let checked = check_transfer_encoding(&headers).err().map(|malformed| malformed.status.as_u16());
            assert_eq!(checked, status, "{values:?}");
        }
    }
}
