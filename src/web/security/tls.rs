//! TLS: what is asked for, checked as a whole, and what rustls makes of it.

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

/// What HTTP/2 is called while TLS is negotiated.
pub(in crate::web) const H2: &[u8] = b"h2";

/// The certificate by which the server is known, and its key.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    stamp: digest::Digest,
}

/// What is wrong with a certificate or its key. None of it shows any of the key.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIdentity {
    /// There is no certificate.
    #[error("there is no certificate in it; expected PEM with `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// One of the chain is none.
    #[error("certificate {0} in it cannot be read")]
    Certificate(usize),
    /// There is no key.
    #[error("there is no private key in it; expected PEM with `-----BEGIN PRIVATE KEY-----`")]
    NoKey,
    /// The key can only be read with a password.
    #[error("the private key is encrypted; expected one without a password")]
    EncryptedKey,
    /// It is not a key that can be used.
    #[error("the private key cannot be used; expected one for RSA with 2048 bits or more, ECDSA or Ed25519")]
    Key,
    /// It is the key of another certificate.
    #[error("the private key is not that of the certificate")]
    Mismatch,
}

impl InvalidIdentity {
    /// Whether it is the certificate rather than the key that is wrong.
    #[must_use]
    pub fn is_of_certificate(&self) -> bool {
        matches!(self, Self::NoCertificate | Self::Certificate(_))
    }
}

impl Identity {
    /// Reads a chain of certificates, our own first, and its key from PEM.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, InvalidIdentity> {
        let certificates = CertificateDer::pem_slice_iter(chain)
            .enumerate()
            .map(|(index, der)| der.map_err(|_| InvalidIdentity::Certificate(index + 1)))
            .collect::<Result<Vec<_>, _>>()?;
        if certificates.is_empty() {
            return Err(InvalidIdentity::NoCertificate);
        }
        let mut stamp = digest::Context::new(&SHA256);
        stamp.update(chain);
        stamp.update(key);
        if key.windows(b"ENCRYPTED".len()).any(|text| text == b"ENCRYPTED") {
            return Err(InvalidIdentity::EncryptedKey);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| InvalidIdentity::NoKey)?;
        let key =
            CertifiedKey::from_der(certificates, key, &default_provider()).map_err(|error| match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => InvalidIdentity::Mismatch,
                Error::InvalidCertificate(_) => InvalidIdentity::Certificate(1),
                _ => InvalidIdentity::Key,
            })?;
        Ok(Self { key: Arc::new(key), stamp: stamp.finish() })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

/// What is asked of TLS.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Who we are.
    pub identity: Identity,
    /// Who clients have to be.
    pub client_auth: ClientAuth,
    /// The oldest version to speak.
    pub min_version: TlsVersion,
    /// The newest version to speak.
    pub max_version: TlsVersion,
    /// The cipher suites. A version of which none is named has all of its suites,
    /// if it is TLS 1.3, as in Go, or if none is named at all.
    pub cipher_suites: Vec<CipherSuite>,
    /// Whether our order of cipher suites counts, rather than the client's.
    pub prefer_server_order: bool,
    /// How keys may be agreed on, the preferred way first. Empty for the usual ones.
    pub curves: Vec<Curve>,
    /// Whether HTTP/2 is spoken.
    pub http2: bool,
}

/// What does not go together.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTls {
    /// The oldest version is newer than the newest.
    #[error("it is above max_version; leave one of them out")]
    Versions,
    /// No version has both a suite and a curve.
    #[error(
        "none of them can be used with the versions, the curves and the kind of key that are set: leave cipher_suites \
         out, or name one with ECDHE_{0} for TLS 1.2, or allow TLS 1.3"
    )]
    Suites(&'static str),
    /// None of the curves is one for the versions.
    #[error("none of them can be used with TLS 1.2; name CurveP256, CurveP384 or X25519, or allow TLS 1.3")]
    Curves,
    /// The certificates of the authorities cannot be used.
    #[error("the certificates cannot be used to verify those of clients")]
    Authorities,
}

/// TLS as connections use it.
#[derive(Clone)]
pub struct Tls {
    pub(in crate::web) config: Arc<ServerConfig>,
    /// Of all that it is made from.
    stamp: digest::Digest,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Puts together what is asked for.
    ///
    /// # Errors
    /// It does not go together.
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

        let algorithm = settings.identity.key.key.algorithm();
        let versions: Vec<&'static SupportedProtocolVersion> =
            [(TlsVersion::Tls13, &TLS13), (TlsVersion::Tls12, &TLS12)]
                .into_iter()
                .filter(|(version, _)| (min..=max).contains(version))
                .map(|(_, version)| version)
                .collect();
        let with_curve: Vec<_> = versions
            .into_iter()
            .filter(|version| {
                provider.kx_groups.iter().any(|group| group.usable_for_version(version.version))
            })
            .collect();
        if with_curve.is_empty() {
            return Err(InvalidTls::Curves);
        }
        provider.cipher_suites.retain(|suite| suite.usable_for_signature_algorithm(algorithm));
        let versions: Vec<_> = with_curve
            .into_iter()
            .filter(|version| provider.cipher_suites.iter().any(|suite| suite.version() == *version))
            .collect();
        if versions.is_empty() {
            let kind = if algorithm == rustls::SignatureAlgorithm::RSA { "RSA" } else { "ECDSA" };
            return Err(InvalidTls::Suites(kind));
        }

        let provider = Arc::new(provider);
        let verifier =
            client_cert::verifier(&settings.client_auth, &provider).map_err(|_| InvalidTls::Authorities)?;
        let mut config = builder(provider, &versions)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&settings.identity.key))));
        config.ignore_client_order = settings.prefer_server_order;
        if settings.client_auth.kind.verifies() {
            // A session that is taken up again would bring its certificate along, expired
            // or not.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if settings.http2 {
            config.alpn_protocols.insert(0, H2.to_vec());
        }
        Ok(Self { config: Arc::new(config), stamp: stamp(settings) })
    }

    /// Whether it is made from the same as another.
    pub(in crate::web) fn is_like(&self, other: &Self) -> bool {
        self.stamp.as_ref() == other.stamp.as_ref()
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

/// Those that are named, in that order. In Go the suites of TLS 1.3 cannot be
/// chosen, so a file that names none of them means them all.
fn suites(named: &[CipherSuite], all: &[SupportedCipherSuite]) -> Vec<SupportedCipherSuite> {
    if named.is_empty() {
        return all.to_vec();
    }
    let is_new = |suite: &SupportedCipherSuite| suite.tls13().is_some();
    let mut suites: Vec<_> = named.iter().map(|suite| suite.0).collect();
    if !suites.iter().any(is_new) {
        suites.splice(0..0, all.iter().copied().filter(is_new));
    }
    suites
}

/// Tells settings from others.
fn stamp(settings: &TlsSettings) -> digest::Digest {
    let mut stamp = digest::Context::new(&SHA256);
    stamp.update(settings.identity.stamp.as_ref());
    for authority in settings.client_auth.authorities.iter().flat_map(|authorities| &authorities.ders) {
        stamp.update(authority);
    }
    let ClientAuth { kind, allowed_sans, .. } = &settings.client_auth;
    let TlsSettings { min_version, max_version, cipher_suites, prefer_server_order, curves, http2, .. } =
        settings;
    let rest = format!(
        "{kind:?} {allowed_sans:?} {min_version:?} {max_version:?} {cipher_suites:?} {prefer_server_order} {curves:?} {http2}"
    );
    stamp.update(rest.as_bytes());
    stamp.finish()
}
