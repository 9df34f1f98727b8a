//! TLS versions, cipher suites and curves under the names of Go's `crypto/tls`, which the
//! exporter-toolkit's file format uses.

use std::fmt;
use std::str::FromStr;

use rustls::SupportedCipherSuite;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{cipher_suite, kx_group};

use crate::web::security::p521::P521;

/// A name that is unknown or not supported. The message lists the supported ones.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTlsName(String);

/// A TLS version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.0, which is not offered.
    Tls10,
    /// TLS 1.1, which is not offered.
    Tls11,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    /// Whether the server can offer the version. Go can offer all of them, so a file may name the
    /// others as the oldest version.
    #[must_use]
    pub fn is_offered(self) -> bool {
        self >= Self::Tls12
    }
}

impl FromStr for TlsVersion {
    type Err = InvalidTlsName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "TLS10" => Ok(Self::Tls10),
            "TLS11" => Ok(Self::Tls11),
            "TLS12" => Ok(Self::Tls12),
            "TLS13" => Ok(Self::Tls13),
            _ => Err(InvalidTlsName(format!("`{text}` is not a TLS version; expected TLS12 or TLS13"))),
        }
    }
}

/// A cipher suite.
#[derive(Clone, Copy, PartialEq)]
pub struct CipherSuite {
    /// The name in Go.
    name: &'static str,
    /// `None` if the suite is not offered.
    suite: Option<SupportedCipherSuite>,
}

impl CipherSuite {
    pub(in crate::web) fn offered(self) -> Option<SupportedCipherSuite> {
        self.suite
    }

    /// The name of a suite that Go has but that is not offered here.
    #[must_use]
    pub fn name_unless_offered(self) -> Option<&'static str> {
        self.suite.is_none().then_some(self.name)
    }
}

impl fmt::Debug for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const SUITES: [(&str, SupportedCipherSuite); 9] = [
    ("TLS_AES_128_GCM_SHA256", cipher_suite::TLS13_AES_128_GCM_SHA256),
    ("TLS_AES_256_GCM_SHA384", cipher_suite::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", cipher_suite::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// Suites that the exporter-toolkit accepts and `rustls` omits on purpose, because they are weak.
/// A file for several exporters may name them next to others.
const NOT_OFFERED: [&str; 8] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
];

impl FromStr for CipherSuite {
    type Err = InvalidTlsName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let offered = SUITES.iter().map(|(name, suite)| Self { name, suite: Some(*suite) });
        let not_offered = NOT_OFFERED.iter().map(|name| Self { name, suite: None });
        offered.chain(not_offered).find(|suite| suite.name == text).ok_or_else(|| {
            // The toolkit refuses Go's other suites as well.
            let why = if ["_CBC_", "_RC4_", "_3DES_", "TLS_RSA_"].iter().any(|weak| text.contains(weak)) {
                "is insecure and not supported"
            } else {
                "is not a cipher suite"
            };
            InvalidTlsName(format!("`{text}` {why}; expected one of {}", names(&SUITES)))
        })
    }
}

/// A key exchange group, which Go calls a curve.
#[derive(Clone, Copy)]
pub struct Curve(pub(in crate::web) &'static dyn SupportedKxGroup);

impl fmt::Debug for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.name())
    }
}

const CURVES: [(&str, &dyn SupportedKxGroup); 5] = [
    ("CurveP256", kx_group::SECP256R1),
    ("CurveP384", kx_group::SECP384R1),
    ("CurveP521", &P521),
    ("X25519", kx_group::X25519),
    ("X25519MLKEM768", kx_group::X25519MLKEM768),
];

impl FromStr for Curve {
    type Err = InvalidTlsName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let group = CURVES.iter().find(|(name, _)| *name == text);
        group.map(|(_, group)| Self(*group)).ok_or_else(|| {
            InvalidTlsName(format!("`{text}` is not a curve; expected one of {}", names(&CURVES)))
        })
    }
}

fn names<T>(table: &[(&str, T)]) -> String {
    table.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
