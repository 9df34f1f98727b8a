//! Validates the TLS settings of the server as a whole, and converts them to a rustls
//! configuration.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{self, SHA256};
use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, InconsistentKeys, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

use crate::web::security::client_cert::{self, ClientAuth};
use crate::web::security::tls_names::{CipherSuite, Curve, TlsVersion};

/// The ALPN protocol name of HTTP/2.
pub(in crate::web) const H2: &[u8] = b"h2";

/// The certificate chain and private key of the server.
#[derive(Clone)]
pub struct Identity {
    certified_key: Arc<CertifiedKey>,
    /// A hash of both PEM texts.
    fingerprint: digest::Digest,
}

/// Why a certificate or its key is invalid. No message contains any part of the key.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIdentity {
    /// The PEM text has no certificate.
    #[error("no certificate found; expected PEM with `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// A certificate is malformed. The number is its position, counted from 1.
    #[error("certificate {0} cannot be parsed")]
    Certificate(usize),
    /// The PEM text has no private key.
    #[error("no private key found; expected PEM with `-----BEGIN PRIVATE KEY-----`")]
    NoKey,
    /// The key is encrypted.
    #[error("the private key is encrypted; expected one without a passphrase")]
    EncryptedKey,
    /// The type or size of the key is not supported.
    #[error("the private key is not supported; expected RSA with 2048 bits or more, ECDSA or Ed25519")]
    Key,
    /// The key belongs to another certificate.
    #[error("the private key does not match the certificate")]
    Mismatch,
}

impl InvalidIdentity {
    /// Whether the certificate is invalid, rather than the key.
    #[must_use]
    pub fn is_certificate_error(&self) -> bool {
        matches!(self, Self::NoCertificate | Self::Certificate(_))
    }
}

impl Identity {
    /// Parses a certificate chain, the server's own certificate first, and its key from PEM.
    ///
    /// # Errors
    /// See [`InvalidIdentity`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, InvalidIdentity> {
        let certificates = CertificateDer::pem_slice_iter(chain)
            .enumerate()
            .map(|(index, der)| der.map_err(|_| InvalidIdentity::Certificate(index + 1)))
            .collect::<Result<Vec<_>, _>>()?;
        if certificates.is_empty() {
            return Err(InvalidIdentity::NoCertificate);
        }
        let mut fingerprint = digest::Context::new(&SHA256);
        fingerprint.update(chain);
        fingerprint.update(key);
        if key.windows(b"ENCRYPTED".len()).any(|text| text == b"ENCRYPTED") {
            return Err(InvalidIdentity::EncryptedKey);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| InvalidIdentity::NoKey)?;
        let certified_key =
            CertifiedKey::from_der(certificates, key, &default_provider()).map_err(|error| match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => InvalidIdentity::Mismatch,
                Error::InvalidCertificate(_) => InvalidIdentity::Certificate(1),
                _ => InvalidIdentity::Key,
            })?;
        Ok(Self { certified_key: Arc::new(certified_key), fingerprint: fingerprint.finish() })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

/// The TLS settings before they are validated.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// The certificate and key of the server.
    pub identity: Identity,
    /// Whether and how client certificates are verified.
    pub client_auth: ClientAuth,
    /// The oldest version to accept.
    pub min_version: TlsVersion,
    /// The newest version to accept.
    pub max_version: TlsVersion,
    /// The cipher suites; empty for all. A list without TLS 1.3 suites enables all TLS 1.3
    /// suites, because Go, whose names the web configuration file uses, does not let TLS 1.3
    /// suites be configured.
    pub cipher_suites: Vec<CipherSuite>,
    /// Whether the server's order of cipher suites takes precedence over the client's.
    pub prefer_server_order: bool,
    /// The key exchange groups, in order of preference; empty for the defaults.
    pub curves: Vec<Curve>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// Settings that contradict each other. The configuration puts the name of the setting in
/// front of the message.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTls {
    /// `min_version` is newer than `max_version`.
    #[error("is above max_version; lower it, or remove one of the two")]
    Versions,
    /// No accepted version has a cipher suite that works with the curves and the key.
    #[error(
        "none of the suites works with the configured versions, curves and type of key; remove cipher_suites, add a suite \
         with ECDHE_{0} for TLS 1.2, or allow TLS 1.3"
    )]
    Suites(&'static str),
    /// No curve works with the accepted versions.
    #[error("none of the curves works with TLS 1.2; add CurveP256, CurveP384 or X25519, or allow TLS 1.3")]
    Curves,
    /// The CA certificates cannot verify client certificates.
    #[error("the CA certificates cannot be used to verify client certificates")]
    Authorities,
}

/// Validated TLS settings.
#[derive(Clone)]
pub struct Tls {
    pub(in crate::web) config: Arc<ServerConfig>,
    /// A hash of all settings.
    fingerprint: digest::Digest,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Validates `settings`.
    ///
    /// # Errors
    /// See [`InvalidTls`].
    pub fn new(settings: &TlsSettings) -> Result<Self, InvalidTls> {
        let (min, max) = (settings.min_version, settings.max_version);
        if min > max {
            return Err(InvalidTls::Versions);
        }
        let mut provider = default_provider();
        if !settings.curves.is_empty() {
            provider.kx_groups = settings.curves.iter().map(|curve| curve.0).collect();
        }
        provider.cipher_suites = suites(&settings.cipher_suites, &provider.cipher_suites);

        let algorithm = settings.identity.certified_key.key.algorithm();
        let versions: Vec<&'static SupportedProtocolVersion> =
            [(TlsVersion::Tls13, &TLS13), (TlsVersion::Tls12, &TLS12)]
                .into_iter()
                .filter(|(version, _)| (min..=max).contains(version))
                .map(|(_, version)| version)
                .collect();
        let versions_with_curve: Vec<_> = versions
            .into_iter()
            .filter(|version| {
                provider.kx_groups.iter().any(|group| group.usable_for_version(version.version))
            })
            .collect();
        if versions_with_curve.is_empty() {
            return Err(InvalidTls::Curves);
        }
        provider.cipher_suites.retain(|suite| suite.usable_for_signature_algorithm(algorithm));
        let versions: Vec<_> = versions_with_curve
            .into_iter()
            .filter(|version| provider.cipher_suites.iter().any(|suite| suite.version() == *version))
            .collect();
        if versions.is_empty() {
            let key_type = if algorithm == rustls::SignatureAlgorithm::RSA { "RSA" } else { "ECDSA" };
            return Err(InvalidTls::Suites(key_type));
        }

        let provider = Arc::new(provider);
        let verifier =
            client_cert::verifier(&settings.client_auth, &provider).map_err(|_| InvalidTls::Authorities)?;
        let mut config =
            builder(provider, &versions)?.with_client_cert_verifier(verifier).with_cert_resolver(Arc::new(
                SingleCertAndKey::from(Arc::clone(&settings.identity.certified_key)),
            ));
        config.ignore_client_order = settings.prefer_server_order;
        if settings.client_auth.auth_type.verifies() {
            // No resumption: a resumed session is not verified again, although its certificate
            // may have expired.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if settings.http2 {
            config.alpn_protocols.insert(0, H2.to_vec());
        }
        Ok(Self { config: Arc::new(config), fingerprint: fingerprint(settings) })
    }

    /// Whether all settings are the same.
    pub(in crate::web) fn is_same_as(&self, other: &Self) -> bool {
        self.fingerprint.as_ref() == other.fingerprint.as_ref()
    }
}

fn builder(
    provider: Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>, InvalidTls> {
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|_| InvalidTls::Suites("RSA or ECDHE_ECDSA"))
}

/// The suites in the order in which they are named, or all if none is named. See
/// [`TlsSettings::cipher_suites`] for TLS 1.3.
fn suites(named: &[CipherSuite], all: &[SupportedCipherSuite]) -> Vec<SupportedCipherSuite> {
    if named.is_empty() {
        return all.to_vec();
    }
    let is_tls13 = |suite: &SupportedCipherSuite| suite.tls13().is_some();
    let mut suites: Vec<_> = named.iter().map(|suite| suite.0).collect();
    if !suites.iter().any(is_tls13) {
        suites.splice(0..0, all.iter().copied().filter(is_tls13));
    }
    suites
}

fn fingerprint(settings: &TlsSettings) -> digest::Digest {
    let mut fingerprint = digest::Context::new(&SHA256);
    fingerprint.update(settings.identity.fingerprint.as_ref());
    for authority in settings.client_auth.authorities.iter().flat_map(|authorities| &authorities.ders) {
        fingerprint.update(authority);
    }
    let ClientAuth { auth_type, allowed_sans, .. } = &settings.client_auth;
    let TlsSettings { min_version, max_version, cipher_suites, prefer_server_order, curves, http2, .. } =
        settings;
    let rest = format!(
        "{auth_type:?} {allowed_sans:?} {min_version:?} {max_version:?} {cipher_suites:?} {prefer_server_order} {curves:?} {http2}"
    );
    fingerprint.update(rest.as_bytes());
    fingerprint.finish()
}
