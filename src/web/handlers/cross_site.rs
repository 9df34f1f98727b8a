//! Refuses requests that a page of another site makes a browser send.
//!
//! A browser sends the password and the client certificate of a user with every request to
//! this server, whichever page asks for it. Browsers name that page in `Sec-Fetch-Site` (to
//! HTTPS servers and localhost) or in `Origin` (with every method except GET and HEAD). Other
//! clients send neither header.

use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{Request, Version};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks that a request comes from a page of this server, or from no page at all.
///
/// # Errors
/// Why the request is refused, as a text for the client.
pub(in crate::web) fn check<B>(request: &Request<B>) -> Result<(), &'static str> {
    let headers = request.headers();
    if let Some(site) = single(headers, &SEC_FETCH_SITE)? {
        return match site.as_bytes() {
            b"same-origin" | b"none" => Ok(()),
            _ => Err("cross-site request refused: Sec-Fetch-Site is not same-origin or none\n"),
        };
    }
    let Some(origin) = single(headers, &ORIGIN)? else { return Ok(()) };
    match (origin.to_str().ok().and_then(parse_origin), requested_host(request)?) {
        (Some((origin, default_port)), Some(host)) if is_same(&origin, &host, default_port) => Ok(()),
        _ => Err("cross-site request refused: Origin is not the requested host and port\n"),
    }
}

/// The value of a header that may be given once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, &'static str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err("cross-site request refused: Sec-Fetch-Site, Origin or Host is repeated\n"),
    }
}

/// The host and port of an origin, and the default port of its scheme. `None` for `null`, for
/// schemes other than HTTP, and for anything that is not an origin.
fn parse_origin(origin: &str) -> Option<(Authority, u16)> {
    let (scheme, authority) = origin.split_once("://")?;
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    Some((parse_authority(authority)?, default_port))
}

fn parse_authority(text: &str) -> Option<Authority> {
    text.parse().ok().filter(|authority: &Authority| {
        let port = authority.as_str().strip_prefix(authority.host());
        // `Authority` accepts users, and ports that are no numbers.
        !authority.host().is_empty() && port.is_some_and(|port| port.is_empty() || authority.port().is_some())
    })
}

/// The host and port that the client has requested: `:authority` over HTTP/2, else `Host`.
fn requested_host<B>(request: &Request<B>) -> Result<Option<Authority>, &'static str> {
    let authority = request.uri().authority().filter(|_| request.version() == Version::HTTP_2);
    let host = single(request.headers(), &HOST)?;
    Ok(match authority {
        Some(authority) => parse_authority(authority.as_str()),
        None => host.and_then(|host| parse_authority(host.to_str().ok()?)),
    })
}

/// Whether both name the same host and port. Without a port, `default_port` is meant: a server
/// behind a proxy does not know whether it was requested over HTTPS.
fn is_same(origin: &Authority, host: &Authority, default_port: u16) -> bool {
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default_port);
    origin.host().eq_ignore_ascii_case(host.host()) && port(origin) == port(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::new(());
        for (name, value) in headers {
            let name = HeaderName::from_static(name);
            request.headers_mut().append(name, HeaderValue::from_static(value));
        }
        request
    }

    fn is_admitted(headers: &[(&'static str, &'static str)]) -> bool {
        check(&request(headers)).is_ok()
    }

    #[test]
    fn a_request_without_the_headers_of_a_browser_is_admitted() {
        assert!(is_admitted(&[]));
        assert!(is_admitted(&[("host", "exporter:10144")]));
        assert!(is_admitted(&[("host", "exporter:10144"), ("referer", "https://elsewhere.example/")]));
    }

    #[test]
    fn sec_fetch_site_decides_if_there_is_one() {
        for (site, admitted) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
            ("Same-Origin", false),
            ("same-origin, cross-site", false),
            ("", false),
        ] {
            for origin in ["http://exporter:10144", "https://elsewhere.example", "null"] {
                let headers = [("host", "exporter:10144"), ("origin", origin), ("sec-fetch-site", site)];
                assert_eq!(is_admitted(&headers), admitted, "{site} {origin}");
            }
        }
        assert!(!is_admitted(&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")]));
    }

    #[test]
    fn an_origin_must_be_the_requested_host_and_port() {
        for (host, origin, admitted) in [
            ("exporter:10144", "http://exporter:10144", true),
            ("exporter:10144", "HTTP://Exporter:10144", true),
            ("127.0.0.1:10144", "http://127.0.0.1:10144", true),
            ("[::1]:10144", "http://[::1]:10144", true),
            // Behind a proxy that terminates TLS and keeps the host.
            ("exporter.example", "https://exporter.example", true),
            ("exporter.example:443", "https://exporter.example", true),
            ("exporter.example:80", "http://exporter.example", true),
            ("exporter.example:80", "https://exporter.example", false),
            ("exporter:10144", "http://exporter", false),
            ("exporter:10144", "http://exporter:10145", false),
            ("exporter:10144", "http://exporter.:10144", false),
            ("exporter:10144", "http://exporter.example:10144", false),
            ("exporter:10144", "http://elsewhere.example", false),
            ("exporter:10144", "http://exporter:10144@elsewhere.example", false),
            ("exporter:10144", "http://elsewhere.example@exporter:10144", false),
            ("exporter:10144", "http://exporter:10144/", false),
            ("exporter:10144", "http://exporter:10144 http://exporter:10144", false),
            ("exporter:10144", "ftp://exporter:10144", false),
            ("exporter:10144", "exporter:10144", false),
            ("exporter:99999", "http://exporter:99999", false),
            ("exporter:", "http://exporter:", false),
            ("", "http://", false),
            ("null", "null", false),
            ("exporter:10144", "null", false),
            ("exporter:10144", "", false),
            ("[::1", "http://[::1", false),
        ] {
            assert_eq!(is_admitted(&[("host", host), ("origin", origin)]), admitted, "{host} {origin}");
        }
    }

    #[test]
    fn repeated_and_missing_headers_are_refused() {
        let (host, origin) = (("host", "exporter"), ("origin", "http://exporter"));
        assert!(is_admitted(&[host, origin]));
        assert!(!is_admitted(&[host, origin, origin]));
        assert!(!is_admitted(&[host, host, origin]));
        assert!(!is_admitted(&[origin]));
    }

    #[test]
    fn over_http2_the_origin_must_be_the_authority() {
        let mut request = request(&[("host", "elsewhere.example"), ("origin", "https://exporter:10144")]);
        *request.uri_mut() = "https://exporter:10144/-/reload".parse().unwrap();
        *request.version_mut() = Version::HTTP_2;
        assert!(check(&request).is_ok());
        *request.uri_mut() = "https://elsewhere.example/-/reload".parse().unwrap();
        assert!(check(&request).is_err());
        // HTTP/1 clients can put any host into the request line.
        *request.version_mut() = Version::HTTP_11;
        *request.uri_mut() = "https://exporter:10144/-/reload".parse().unwrap();
        assert!(check(&request).is_err());
    }
}
