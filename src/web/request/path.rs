//! Normalizes the paths of requests.

use hyper::Uri;
use hyper::http::uri::{Parts, PathAndQuery};

use super::Malformed;

const MALFORMED_ESCAPE: Malformed =
    Malformed::new("bad request: the path has a percent sign without two hexadecimal digits\n");

/// The URI with each percent-encoded character of its path decoded, if it is one of those that
/// need no encoding (RFC 3986, section 6.2.2.2). `None` if there is none. Other encoded characters
/// stay encoded, such as `%2F`, which does not separate segments. No path of this server has any.
///
/// # Errors
/// A percent sign is not followed by two hexadecimal digits.
pub(super) fn normalize(uri: &Uri) -> Result<Option<Uri>, Malformed> {
    let Some(decoded) = decode_unreserved(uri.path())? else { return Ok(None) };
    let target = match uri.query() {
        Some(query) => format!("{decoded}?{query}"),
        None => decoded,
    };
    let Parts { scheme, authority, .. } = uri.clone().into_parts();
    let mut parts = Parts::default();
    // Decoding changes letters, digits and `-._~` only, so the URI stays valid.
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_invalid| MALFORMED_ESCAPE)?);
    (parts.scheme, parts.authority) = (scheme, authority);
    Uri::from_parts(parts).map(Some).map_err(|_invalid| MALFORMED_ESCAPE)
}

fn decode_unreserved(path: &str) -> Result<Option<String>, Malformed> {
    let mut decoded = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let digits = digits.ok_or(MALFORMED_ESCAPE)?;
        let byte = u8::from_str_radix(digits, 16).map_err(|_invalid| MALFORMED_ESCAPE)?;
        decoded.push_str(before);
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            decoded.push(char::from(byte));
        } else {
            decoded.push('%');
            decoded.push_str(digits);
        }
        rest = &after[2..];
    }
    if decoded.is_empty() {
        return Ok(None);
    }
    decoded.push_str(rest);
    Ok(Some(decoded))
}

/// The path without `.` and `..` segments and without repeated slashes, as Go's `ServeMux` cleans
/// it. A trailing slash is kept. `None` if the path is clean.
pub(in crate::web) fn cleaned(path: &str) -> Option<String> {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut clean: String = segments.iter().flat_map(|segment| ["/", segment]).collect();
    if clean.is_empty() || path.ends_with('/') {
        clean.push('/');
    }
    (clean != path).then_some(clean)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normalized(target: &str) -> Result<String, Malformed> {
        let uri: Uri = target.parse().unwrap();
        Ok(normalize(&uri)?.unwrap_or(uri).to_string())
    }

    #[test]
    fn characters_that_need_no_encoding_are_decoded() {
        for (target, expected) in [
            ("/metrics", "/metrics"),
            ("/%6detrics", "/metrics"),
            ("/%6Detrics", "/metrics"),
            ("/%6d%65%74%72%69%63%73", "/metrics"),
            ("/%2D/health%79", "/-/healthy"),
            ("/%2e%2E/%7e", "/../~"),
            // The query belongs to the handler.
            ("/%6detrics?%6d=%zz", "/metrics?%6d=%zz"),
            ("http://exporter:10144/%6detrics?x", "http://exporter:10144/metrics?x"),
            // A separator or anything else that is encoded is part of a name.
            ("/%2Fmetrics", "/%2Fmetrics"),
            ("/%2fmetrics", "/%2fmetrics"),
            ("/metrics%3Fx", "/metrics%3Fx"),
            ("/metrics%00", "/metrics%00"),
            ("/metrics%0d%0aX-A:%20b", "/metrics%0d%0aX-A:%20b"),
            ("/%C3%A4", "/%C3%A4"),
            // Decoded once only.
            ("/%256detrics", "/%256detrics"),
        ] {
            assert_eq!(normalized(target).as_deref(), Ok(expected), "{target}");
        }
    }

    #[test]
    fn malformed_escapes_are_rejected() {
        for target in ["/%", "/metrics%", "/%6", "/%zz", "/%6gx", "/%%6d", "/% 6d", "/%+6", "/%6%64", "/%ä"]
        {
            if let Ok(uri) = target.parse::<Uri>() {
                assert_eq!(normalize(&uri), Err(MALFORMED_ESCAPE), "{target}");
            }
        }
    }

    #[test]
    fn dot_segments_and_repeated_slashes_are_removed() {
        for (path, expected) in [
            ("//", "/"),
            ("//metrics", "/metrics"),
            ("///metrics", "/metrics"),
            ("/./metrics", "/metrics"),
            ("/a/../metrics", "/metrics"),
            ("/../../metrics", "/metrics"),
            ("/-//healthy", "/-/healthy"),
            ("/metrics/.", "/metrics"),
            ("/metrics//", "/metrics/"),
            ("//elsewhere.example/..", "/"),
            ("//elsewhere.example/../metrics", "/metrics"),
        ] {
            assert_eq!(cleaned(path).as_deref(), Some(expected), "{path}");
        }
        for path in ["/", "/metrics", "/metrics/", "/a/b", "/...", "/.a", "/%2e%2f"] {
            assert_eq!(cleaned(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_clean_path_begins_with_one_slash_and_stays_clean(path in "/[a./-]{0,12}") {
            let clean = cleaned(&path).unwrap_or(path);
            prop_assert!(clean.starts_with('/') && !clean.starts_with("//"), "{}", clean);
            prop_assert_eq!(cleaned(&clean), None);
        }

        #[test]
        fn no_path_causes_a_panic(path in "/[ -~ä]{0,40}") {
            if let Ok(uri) = path.parse::<Uri>() {
                let _normalized = normalize(&uri);
            }
        }
    }
}
