//! Checks the host that a request is for.
//!
//! `Host` is required over HTTP/1.1, may be given once, and names a host with an optional port
//! (RFC 9112, section 3.2). It may be empty, which says that the target has no host. Over HTTP/2,
//! `:authority` takes its place. The server responds alike to every host.

use std::net::Ipv6Addr;

use hyper::header::HOST;
use hyper::http::uri::Scheme;
use hyper::{Request, Version};

use super::Malformed;

const MISSING: Malformed = Malformed::new("bad request: the Host header is missing\n");
const REPEATED: Malformed = Malformed::new("bad request: the Host header is repeated\n");
const INVALID_HEADER: Malformed =
    Malformed::new("bad request: the Host header is not a host with an optional port\n");
const INVALID_TARGET: Malformed =
    Malformed::new("bad request: the authority of the request target is not a host with an optional port\n");
const DIFFERENT: Malformed = Malformed::new("bad request: the Host header differs from :authority\n");

pub(super) fn check<B>(request: &Request<B>) -> Result<(), Malformed> {
    let mut values = request.headers().get_all(HOST).iter();
    let header = match (values.next(), values.next()) {
        (None, _) if request.version() == Version::HTTP_11 => return Err(MISSING),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(REPEATED),
        (Some(value), None) => Some(Host::parse(value.as_bytes()).ok_or(INVALID_HEADER)?),
    };
    let Some(authority) = request.uri().authority() else { return Ok(()) };
    let authority = Host::parse(authority.as_str().as_bytes()).filter(|host| !host.name.is_empty());
    let authority = authority.ok_or(INVALID_TARGET)?;
    // Over HTTP/1, the host in the request line has precedence over the header (RFC 9112, section
    // 3.2.2). Over HTTP/2, a header that names another host makes the request malformed (RFC 9113,
    // section 8.3.1).
    let default_port = match request.uri().scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => 80,
        _ => 443,
    };
    let is_same = |header: Host<'_>| header.is_same(authority, default_port);
    if request.version() == Version::HTTP_2 && !header.is_none_or(is_same) {
        return Err(DIFFERENT);
    }
    Ok(())
}

/// A host with an optional port, as in `Host`.
#[derive(Clone, Copy, Debug)]
struct Host<'a> {
    /// A registered name, an IPv4 address, or an IPv6 address in brackets.
    name: &'a [u8],
    port: Option<u16>,
}

impl<'a> Host<'a> {
    /// Parses `uri-host [ ":" port ]` (RFC 9110, section 7.2). The port may be empty, as in
    /// `exporter:`. Users and passwords are not allowed.
    fn parse(text: &'a [u8]) -> Option<Self> {
        let name_len = match text {
            [b'[', ..] => text.iter().position(|byte| *byte == b']')? + 1,
            _ => text.iter().position(|byte| *byte == b':').unwrap_or(text.len()),
        };
        let (name, port) = text.split_at(name_len);
        let is_valid = match name {
            [b'[', address @ .., b']'] => is_ipv6_address(address),
            _ => is_registered_name(name),
        };
        let port = match port {
            [] | [b':'] => None,
            [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
                Some(std::str::from_utf8(digits).ok()?.parse().ok()?)
            }
            _ => return None,
        };
        is_valid.then_some(Self { name, port })
    }

    fn is_same(self, other: Host<'_>, default_port: u16) -> bool {
        let port = |host: Host<'_>| host.port.unwrap_or(default_port);
        self.name.eq_ignore_ascii_case(other.name) && port(self) == port(other)
    }
}

/// Whether this is an IPv6 address, with or without a zone such as `%eth0`.
fn is_ipv6_address(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (address, zone) = text.split_once('%').unwrap_or((text, "eth0"));
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && is_registered_name(zone.as_bytes())
}

/// Whether this is a `reg-name` of RFC 3986, of which IPv4 addresses are a subset.
fn is_registered_name(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        let is_valid = match byte {
            b'%' => {
                bytes.next().is_some_and(u8::is_ascii_hexdigit)
                    && bytes.next().is_some_and(u8::is_ascii_hexdigit)
            }
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte),
        };
        if !is_valid {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn checked(version: Version, target: &str, hosts: &[&[u8]]) -> Result<(), Malformed> {
        let mut request = Request::new(());
        *request.version_mut() = version;
        *request.uri_mut() = target.parse().unwrap();
        for host in hosts {
            request.headers_mut().append(HOST, HeaderValue::from_bytes(host).unwrap());
        }
        check(&request)
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        for host in [
            "",
            ":10144",
            "exporter",
            "exporter:",
            "exporter:10144",
            "exporter:0",
            "EXPORTER.monitoring.svc.cluster.local.:10144",
            "my_exporter-1",
            "127.0.0.1:10144",
            "[::1]",
            "[::1]:10144",
            "[::ffff:127.0.0.1]:10144",
            "[fe80::1%eth0]:10144",
            "[fe80::1%25eth0]:10144",
            "a%2Db",
        ] {
            assert_eq!(checked(Version::HTTP_11, "/", &[host.as_bytes()]), Ok(()), "{host}");
        }
        for host in [
            "a b",
            "ann@exporter",
            "ann:secret@exporter:10144",
            "exporter:x",
            "exporter:+1",
            "exporter:-1",
            "exporter: 80",
            "exporter:65536",
            "exporter:99999999999999999999",
            "exporter:80:80",
            "http://exporter",
            "exporter/metrics",
            "exporter?x",
            "exporter#x",
            "a\\b",
            "a\"b",
            "<script>",
            "a%",
            "a%z1",
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[::1]x",
            "[::1]]",
            "[::1%]",
            "[127.0.0.1]",
            "[exporter]",
            "exportér",
        ] {
            assert_eq!(checked(Version::HTTP_11, "/", &[host.as_bytes()]), Err(INVALID_HEADER), "{host}");
            assert_eq!(checked(Version::HTTP_10, "/", &[host.as_bytes()]), Err(INVALID_HEADER), "{host}");
            assert_eq!(checked(Version::HTTP_2, "/", &[host.as_bytes()]), Err(INVALID_HEADER), "{host}");
        }
        assert_eq!(checked(Version::HTTP_11, "/", &[b"a\xffb"]), Err(INVALID_HEADER));
    }

    #[test]
    fn only_http_1_1_requires_the_header_and_no_version_allows_two() {
        assert_eq!(checked(Version::HTTP_10, "/", &[]), Ok(()));
        assert_eq!(checked(Version::HTTP_11, "/", &[]), Err(MISSING));
        assert_eq!(checked(Version::HTTP_11, "http://exporter/", &[]), Err(MISSING));
        assert_eq!(checked(Version::HTTP_2, "/", &[]), Ok(()));
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            assert_eq!(checked(version, "/", &[b"exporter", b"exporter"]), Err(REPEATED), "{version:?}");
        }
    }

    #[test]
    fn the_host_in_the_request_line_has_precedence_and_must_be_valid() {
        assert_eq!(checked(Version::HTTP_11, "http://exporter:10144/", &[b"elsewhere"]), Ok(()));
        assert_eq!(checked(Version::HTTP_11, "http://exporter:10144/", &[b""]), Ok(()));
        for target in ["http://ann@exporter/", "http://ann:secret@exporter/", "http://exporter:99999/"] {
            assert_eq!(checked(Version::HTTP_11, target, &[b"exporter"]), Err(INVALID_TARGET), "{target}");
            assert_eq!(checked(Version::HTTP_2, target, &[]), Err(INVALID_TARGET), "{target}");
        }
    }

    #[test]
    fn over_http2_the_header_names_the_host_of_the_authority() {
        for (authority, host, expected) in [
            ("https://exporter:10144/", "exporter:10144", Ok(())),
            ("https://exporter:10144/", "Exporter:10144", Ok(())),
            ("https://exporter/", "exporter:443", Ok(())),
            ("http://exporter:80/", "exporter", Ok(())),
            ("https://exporter:80/", "exporter", Err(DIFFERENT)),
            ("https://exporter:10144/", "exporter", Err(DIFFERENT)),
            ("https://exporter/", "elsewhere", Err(DIFFERENT)),
            ("https://exporter/", "", Err(DIFFERENT)),
        ] {
            assert_eq!(
                checked(Version::HTTP_2, authority, &[host.as_bytes()]),
                expected,
                "{authority} {host}"
            );
        }
    }
}
