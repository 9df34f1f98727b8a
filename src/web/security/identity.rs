//! The certificate chain and private key of the server.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{self, SHA256};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::UnixTime;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::X509Certificate;

use crate::web::security::certificate;
use crate::web::security::key_type::KeyType;
use crate::web::security::pem::{self, InvalidPem};

/// The certificate chain and private key of the server.
#[derive(Clone)]
pub struct Identity {
    pub(super) certified_key: Arc<CertifiedKey>,
    /// A hash of both PEM texts.
    pub(super) fingerprint: digest::Digest,
}

/// Why a certificate or its key is invalid. No message contains any part of the key.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIdentity {
    /// The certificates are not PEM.
    #[error(transparent)]
    CertificatePem(InvalidPem),
    /// A certificate is malformed. The number is its position, counted from 1.
    #[error(
        "certificate {0} cannot be parsed: it is not a valid X.509 certificate; `openssl x509 -in FILE -noout` tells more"
    )]
    Certificate(usize),
    /// The key is not PEM.
    #[error(transparent)]
    KeyPem(InvalidPem),
    /// The type or size of the key is not supported.
    #[error("the private key is not supported{0}; expected RSA with 2048 to 8192 bits, ECDSA or Ed25519")]
    Key(KeyType),
    /// The key belongs to another certificate.
    #[error(
        "the private key does not match the certificate; `openssl x509 -noout -pubkey` and `openssl pkey -pubout` must print the same"
    )]
    Mismatch,
    /// The key belongs to a certificate of the chain that is not the first.
    #[error(
        "the private key does not match certificate 1 but certificate {0}; the server's own certificate must come first"
    )]
    Order(usize),
}

impl InvalidIdentity {
    /// Whether the certificate is invalid, rather than the key.
    #[must_use]
    pub fn is_certificate_error(&self) -> bool {
        matches!(self, Self::CertificatePem(_) | Self::Certificate(_) | Self::Order(_))
    }
}

impl Identity {
    /// Parses a certificate chain, the server's own certificate first, and its key from PEM.
    ///
    /// Certificates of any version of X.509 are accepted, because the server only presents them.
    ///
    /// # Errors
    /// See [`InvalidIdentity`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, InvalidIdentity> {
        let certificates = pem::certificates(chain).map_err(InvalidIdentity::CertificatePem)?;
        let mut fingerprint = digest::Context::new(&SHA256);
        fingerprint.update(chain);
        fingerprint.update(key);
        let key = pem::private_key(key).map_err(InvalidIdentity::KeyPem)?;
        let key_type = KeyType::of(&key);
        let key = default_provider()
            .key_provider
            .load_private_key(key)
            .map_err(|_| InvalidIdentity::Key(key_type))?;
        let mut parsed = Vec::with_capacity(certificates.len());
        for (index, der) in certificates.iter().enumerate() {
            parsed.push(certificate::parse(der).ok_or(InvalidIdentity::Certificate(index + 1))?);
        }
        if let Some(public_key) = key.public_key() {
            let is_of_key = |certificate: &X509Certificate<'_>| certificate.public_key().raw == &*public_key;
            match parsed.iter().position(is_of_key) {
                Some(0) => {}
                Some(index) => return Err(InvalidIdentity::Order(index + 1)),
                None => return Err(InvalidIdentity::Mismatch),
            }
        }
        let certified_key = CertifiedKey::new(certificates, key);
        Ok(Self { certified_key: Arc::new(certified_key), fingerprint: fingerprint.finish() })
    }

    /// What is valid but makes clients refuse the certificate.
    #[must_use]
    pub fn warnings(&self, now: UnixTime) -> Vec<String> {
        let parsed = self.certified_key.cert.first().and_then(certificate::parse);
        let Some(parsed) = parsed else { return Vec::new() };
        let mut warnings = Vec::new();
        let validity = parsed.validity();
        match certificate::check_validity(validity, now) {
            Err(rustls::CertificateError::Expired) => {
                let date = validity.not_after;
                warnings.push(format!("the server certificate expired on {date}; clients will refuse it"));
            }
            Err(_) => {
                let date = validity.not_before;
                warnings.push(format!(
                    "the server certificate is not valid before {date}; clients will refuse it"
                ));
            }
            Ok(()) => {}
        }
        if !matches!(parsed.subject_alternative_name(), Ok(Some(_))) {
            let version = if certificate::is_version_3(&parsed) { "" } else { " (it is X.509 version 1)" };
            warnings.push(format!(
                "the server certificate has no subject alternative name{version}, so Prometheus and other clients will \
                 refuse it; create one with `openssl req -addext subjectAltName=DNS:HOST`, and sign it with \
                 `openssl x509 -req -copy_extensions copy`"
            ));
        }
        warnings
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}
