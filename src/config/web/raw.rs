//! The keys of the web configuration, the same as in the exporter-toolkit, and how their
//! values are parsed.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::str::FromStr as _;
use std::time::Duration;

use http::HeaderValue;
use secrecy::SecretString;

use super::super::mapping::mappings;
use super::super::raw::{MAX_DURATION, non_null, non_null_list, null_as_default};
use super::super::scalar::{FromText, Secret, Shown, from_text_by_from_str, printable};
use crate::printable::excerpt;
use crate::web::{AllowedSan, CipherSuite, ClientAuthType, Curve, ExcludedPath, PasswordHash, TlsVersion};

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawWebConfig {
    #[serde(deserialize_with = "non_null")]
    pub(super) tls_server_config: Option<RawTls>,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) http_server_config: RawHttp,
    /// Must not be null: if all users are commented out, treating the key as absent would
    /// allow requests without a password.
    #[serde(deserialize_with = "non_null")]
    pub(super) basic_auth_users: Option<BTreeMap<String, Secret<PasswordHash>>>,
    #[serde(deserialize_with = "non_null_list")]
    pub(super) auth_excluded_paths: Option<Vec<Shown<ExcludedPath>>>,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) rate_limit: RawRateLimit,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, remote = "Self", default)]
pub(super) struct RawTls {
    pub(super) cert: Option<Secret<Pem>>,
    pub(super) cert_file: Option<Shown<FileName>>,
    pub(super) key: Option<Secret<Pem>>,
    pub(super) key_file: Option<Shown<FileName>>,
    pub(super) client_ca: Option<Secret<Pem>>,
    pub(super) client_ca_file: Option<Shown<FileName>>,
    pub(super) client_auth_type: Option<Shown<ClientAuthType>>,
    #[serde(deserialize_with = "non_null_list")]
    pub(super) client_allowed_sans: Option<Vec<Shown<AllowedSan>>>,
    pub(super) min_version: Option<Shown<TlsVersion>>,
    pub(super) max_version: Option<Shown<TlsVersion>>,
    #[serde(deserialize_with = "non_null_list")]
    pub(super) cipher_suites: Option<Vec<Shown<CipherSuite>>>,
    pub(super) prefer_server_cipher_suites: Option<Shown<bool>>,
    #[serde(deserialize_with = "non_null_list")]
    pub(super) curve_preferences: Option<Vec<Shown<Curve>>>,
}

impl RawTls {
    /// Whether no key is set, as in `tls_server_config: {}`.
    pub(super) fn is_empty(&self) -> bool {
        let Self { cert, cert_file, key, key_file, client_ca, client_ca_file, .. } = self;
        let Self { client_auth_type, client_allowed_sans, min_version, max_version, .. } = self;
        let Self { cipher_suites, prefer_server_cipher_suites, curve_preferences, .. } = self;
        [cert, key, client_ca].into_iter().all(Option::is_none)
            && [cert_file, key_file, client_ca_file].into_iter().all(Option::is_none)
            && client_auth_type.is_none()
            && client_allowed_sans.is_none()
            && [min_version, max_version].into_iter().all(Option::is_none)
            && cipher_suites.is_none()
            && prefer_server_cipher_suites.is_none()
            && curve_preferences.is_none()
    }
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, remote = "Self", default)]
pub(super) struct RawHttp {
    pub(super) http2: Option<Shown<bool>>,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) headers: RawHeaders,
}

/// The headers that the toolkit can set.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, remote = "Self", default)]
pub(super) struct RawHeaders {
    #[serde(rename = "Content-Security-Policy")]
    pub(super) content_security_policy: Option<Shown<HeaderText>>,
    #[serde(rename = "X-Frame-Options")]
    pub(super) x_frame_options: Option<Shown<FrameOptions>>,
    #[serde(rename = "X-Content-Type-Options")]
    pub(super) x_content_type_options: Option<Shown<ContentTypeOptions>>,
    #[serde(rename = "X-XSS-Protection")]
    pub(super) x_xss_protection: Option<Shown<HeaderText>>,
    #[serde(rename = "Strict-Transport-Security")]
    pub(super) strict_transport_security: Option<Shown<HeaderText>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, remote = "Self", default)]
pub(super) struct RawRateLimit {
    pub(super) interval: Option<Shown<Interval>>,
    pub(super) burst: Option<Shown<u32>>,
}

impl RawRateLimit {
    /// The number of requests that may arrive together; `None` if the key is
    /// absent or 0.
    pub(super) fn burst(&self) -> Option<NonZeroU32> {
        self.burst.as_ref().and_then(|burst| NonZeroU32::new(burst.value))
    }
}

mappings! {
    RawTls, RawHttp, RawHeaders, RawRateLimit,
}

/// A certificate or a private key as PEM in the configuration file itself.
pub(super) struct Pem(pub(super) SecretString);

impl FromText for Pem {
    const EXPECTED: &'static str = "PEM, indented after a `|`";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self(text.into()))
    }
}

/// A path; an empty one counts as absent, as it does in the toolkit.
#[derive(Debug)]
pub(super) struct FileName(pub(super) String);

impl FromText for FileName {
    const EXPECTED: &'static str = "the path of a file";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.contains('\n') || text.contains("-----BEGIN") {
            // The text is not repeated: it may be a private key.
            return Err("expected the path of a file; PEM belongs under the key without `_file`".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// The time between two requests; zero for no limit.
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
            .filter(|duration| *duration <= MAX_DURATION)
            .map(Self)
            .ok_or_else(|| {
                format!("`{text}` is not a valid duration; expected at most 720h, such as 1s or 100ms, or 0 for no limit")
            })
    }
}

/// The value of a header; an empty one is not sent.
#[derive(Debug)]
pub(super) struct HeaderText(pub(super) HeaderValue);

impl FromText for HeaderText {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Result<Self, String> {
        HeaderValue::from_str(text).map(Self).map_err(|_| {
            format!(
                "\"{}\" cannot be sent in a header: it contains line breaks or control characters",
                excerpt(text)
            )
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

/// One of the `allowed` values, or an empty one.
fn one_of(allowed: &[&'static str], text: &str) -> Result<HeaderValue, String> {
    let found = allowed.iter().chain([&""]).find(|allowed| **allowed == text);
    found
        .map(|value| HeaderValue::from_static(value))
        .ok_or_else(|| format!("`{text}` is not supported; expected {}", allowed.join(" or ")))
}

from_text_by_from_str! {
    AllowedSan: "a subject alternative name",
    CipherSuite: "a cipher suite",
    ClientAuthType: "a client authentication type, such as RequireAndVerifyClientCert",
    Curve: "a curve",
    ExcludedPath: "a path",
    PasswordHash: "the bcrypt hash of a password",
    TlsVersion: "TLS12 or TLS13",
}

// `Pem` and `PasswordHash` are missing here because they are secrets.
printable! {
    AllowedSan, CipherSuite, ClientAuthType, Curve, ExcludedPath, TlsVersion, FileName, Interval, HeaderText, FrameOptions,
    ContentTypeOptions,
}
