//! TLS versions, cipher suites and curves under the names of Go's `crypto/tls`, which the
//! exporter-toolkit's file format uses.

use std::fmt;
use std::str::FromStr;

use rustls::SupportedCipherSuite;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{cipher_suite, kx_group};

/// A name that is unknown or not supported. The message lists the supported ones.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTlsName(String);

/// A TLS version that can be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl FromStr for TlsVersion {
    type Err = InvalidTlsName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "TLS12" => Ok(Self::Tls12),
            "TLS13" => Ok(Self::Tls13),
            "TLS10" | "TLS11" => Err(InvalidTlsName(format!(
                "`{text}` is insecure and not supported; expected TLS12 or TLS13"
            ))),
            _ => Err(InvalidTlsName(format!("`{text}` is not a TLS version; expected TLS12 or TLS13"))),
        }
    }
}

/// A cipher suite.
#[derive(Clone, Copy, PartialEq)]
pub struct CipherSuite(pub(in crate::web) SupportedCipherSuite);

impl fmt::Debug for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.suite())
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

impl FromStr for CipherSuite {
    type Err = InvalidTlsName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let suite = SUITES.iter().find(|(name, _)| *name == text);
        suite.map(|(_, suite)| Self(*suite)).ok_or_else(|| {
            // Go still has suites with CBC and RC4, which rustls omits on purpose.
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

const CURVES: [(&str, &dyn SupportedKxGroup); 4] = [
    ("CurveP256", kx_group::SECP256R1),
    ("CurveP384", kx_group::SECP384R1),
    ("X25519", kx_group::X25519),
    ("X25519MLKEM768", kx_group::X25519MLKEM768),
];

impl FromStr for Curve {
    type Err = InvalidTlsName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let group = CURVES.iter().find(|(name, _)| *name == text);
        group.map(|(_, group)| Self(*group)).ok_or_else(|| {
            let why = if text == "CurveP521" { "is not supported" } else { "is not a curve" };
            InvalidTlsName(format!("`{text}` {why}; expected one of {}", names(&CURVES)))
        })
    }
}

fn names<T>(table: &[(&str, T)]) -> String {
    table.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
