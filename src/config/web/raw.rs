//! The shape of the web configuration, which is the exporter-toolkit's: which keys
//! there are, and how the text under each is read.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::str::FromStr as _;
use std::time::Duration;

use http::HeaderValue;
use secrecy::SecretString;

use super::super::raw::{FromText, LONGEST, Text, filled, from_text_by_from_str, list, or_default};
use crate::web::{AllowedSan, CipherSuite, ClientAuthType, Curve, ExcludedPath, PasswordHash, TlsVersion};

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawWebConfig {
    #[serde(deserialize_with = "filled")]
    pub(super) tls_server_config: Option<RawTls>,
    #[serde(deserialize_with = "or_default")]
    pub(super) http_server_config: RawHttp,
    /// If its key is there, so have the users to be: with all of them commented out
    /// everybody could come in.
    #[serde(deserialize_with = "filled")]
    pub(super) basic_auth_users: Option<BTreeMap<String, Text<PasswordHash>>>,
    #[serde(deserialize_with = "list")]
    pub(super) auth_excluded_paths: Option<Vec<Text<ExcludedPath>>>,
    #[serde(deserialize_with = "or_default")]
    pub(super) rate_limit: RawRateLimit,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTls {
    pub(super) cert: Option<Text<Pem>>,
    pub(super) cert_file: Option<Text<FileName>>,
    pub(super) key: Option<Text<Pem>>,
    pub(super) key_file: Option<Text<FileName>>,
    pub(super) client_ca: Option<Text<Pem>>,
    pub(super) client_ca_file: Option<Text<FileName>>,
    pub(super) client_auth_type: Option<Text<ClientAuthType>>,
    #[serde(deserialize_with = "list")]
    pub(super) client_allowed_sans: Option<Vec<Text<AllowedSan>>>,
    pub(super) min_version: Option<Text<TlsVersion>>,
    pub(super) max_version: Option<Text<TlsVersion>>,
    #[serde(deserialize_with = "list")]
    pub(super) cipher_suites: Option<Vec<Text<CipherSuite>>>,
    pub(super) prefer_server_cipher_suites: Option<Text<bool>>,
    #[serde(deserialize_with = "list")]
    pub(super) curve_preferences: Option<Vec<Text<Curve>>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHttp {
    pub(super) http2: Option<Text<bool>>,
    #[serde(deserialize_with = "or_default")]
    pub(super) headers: RawHeaders,
}

/// Those that the toolkit lets be set.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHeaders {
    #[serde(rename = "Content-Security-Policy")]
    pub(super) content_security_policy: Option<Text<HeaderText>>,
    #[serde(rename = "X-Frame-Options")]
    pub(super) x_frame_options: Option<Text<FrameOptions>>,
    #[serde(rename = "X-Content-Type-Options")]
    pub(super) x_content_type_options: Option<Text<ContentTypeOptions>>,
    #[serde(rename = "X-XSS-Protection")]
    pub(super) x_xss_protection: Option<Text<HeaderText>>,
    #[serde(rename = "Strict-Transport-Security")]
    pub(super) strict_transport_security: Option<Text<HeaderText>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRateLimit {
    pub(super) interval: Option<Text<Interval>>,
    pub(super) burst: Option<Text<u32>>,
}

impl RawRateLimit {
    /// How many may come at once, if any may.
    pub(super) fn burst(&self) -> Option<NonZeroU32> {
        self.burst.as_ref().and_then(|burst| NonZeroU32::new(burst.0))
    }
}

/// A certificate or key in the file itself.
#[derive(Debug)]
pub(super) struct Pem(pub(super) SecretString);

impl FromText for Pem {
    const EXPECTED: &'static str = "PEM, behind a `|` and indented";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self(text.into()))
    }
}

/// The name of a file; the toolkit takes an empty one for none.
#[derive(Debug)]
pub(super) struct FileName(pub(super) String);

impl FromText for FileName {
    const EXPECTED: &'static str = "the path of a file";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.contains('\n') || text.contains("-----BEGIN") {
            // Not repeated: it may well be a key.
            return Err("not the path of a file; PEM goes under the key without `_file`".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// The time between two requests, which may be none.
#[derive(Debug)]
pub(super) struct Interval(pub(super) Duration);

impl FromText for Interval {
    const EXPECTED: &'static str = "a duration, such as 1s or 100ms, or 0";

    fn from_text(text: &str) -> Result<Self, String> {
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        jiff::SignedDuration::from_str(text)
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok())
            .filter(|duration| *duration <= LONGEST)
            .map(Self)
            .ok_or_else(|| {
                format!("`{text}` is not a duration of at most 720h, such as 1s or 100ms, or 0 for no limit")
            })
    }
}

/// What a header says; nothing at all if it is empty.
#[derive(Debug)]
pub(super) struct HeaderText(pub(super) HeaderValue);

impl FromText for HeaderText {
    const EXPECTED: &'static str = "a text";

    fn from_text(text: &str) -> Result<Self, String> {
        HeaderValue::from_str(text).map(Self).map_err(|_| {
            format!("{text:?} cannot be sent in a header: it has line breaks or control characters in it")
        })
    }
}

#[derive(Debug)]
pub(super) struct FrameOptions(pub(super) HeaderValue);

impl FromText for FrameOptions {
    const EXPECTED: &'static str = "deny or sameorigin";

    fn from_text(text: &str) -> Result<Self, String> {
        one_of(&["deny", "sameorigin"], text).map(Self)
    }
}

#[derive(Debug)]
pub(super) struct ContentTypeOptions(pub(super) HeaderValue);

impl FromText for ContentTypeOptions {
    const EXPECTED: &'static str = "nosniff";

    fn from_text(text: &str) -> Result<Self, String> {
        one_of(&["nosniff"], text).map(Self)
    }
}

fn one_of(right: &[&'static str], text: &str) -> Result<HeaderValue, String> {
    let found = right.iter().chain([&""]).find(|right| **right == text);
    found
        .map(|right| HeaderValue::from_static(right))
        .ok_or_else(|| format!("`{text}` is not {}", right.join(" or ")))
}

from_text_by_from_str! {
    AllowedSan: "a name that a certificate may have",
    CipherSuite: "the name of a cipher suite",
    ClientAuthType: "a way to deal with certificates of clients, such as RequireAndVerifyClientCert",
    Curve: "the name of a curve",
    ExcludedPath: "a path",
    PasswordHash: "the bcrypt hash of a password",
    TlsVersion: "TLS12 or TLS13",
}
