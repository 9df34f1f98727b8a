//! Validates the TLS settings of the server as a whole, and converts them to a rustls
//! configuration.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{self, SHA256};
use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

use crate::web::security::authorities::Authorities;
use crate::web::security::client_cert::{self, ClientAuth};
use crate::web::security::identity::Identity;
use crate::web::security::tls_names::{CipherSuite, Curve, TlsVersion};

/// The ALPN protocol name of HTTP/2.
pub(in crate::web) const H2: &[u8] = b"h2";

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
    /// The cipher suites; empty for all. Suites that are not offered are ignored. A list without
    /// TLS 1.3 suites enables all of them, because Go, whose names the web configuration file uses,
    /// does not let TLS 1.3 suites be configured.
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
    /// `max_version` is a version that is not offered.
    #[error("TLS 1.0 and 1.1 are insecure and not offered; expected TLS12 or TLS13")]
    MaxVersion,
    /// No accepted version has a cipher suite that works with the curves and the key.
    #[error(
        "none of the suites works with the configured versions, curves and type of key; remove cipher_suites, add a suite \
         with ECDHE_{0} for TLS 1.2, or allow TLS 1.3"
    )]
    Suites(&'static str),
    /// No curve works with the accepted versions.
    #[error(
        "none of the curves works with TLS 1.2; add CurveP256, CurveP384, CurveP521 or X25519, or allow TLS 1.3"
    )]
    Curves,
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
        if !max.is_offered() {
            return Err(InvalidTls::MaxVersion);
        }
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
        let verifier = client_cert::verifier(&settings.client_auth, &provider);
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
    let mut suites: Vec<_> = named.iter().filter_map(|suite| suite.offered()).collect();
    if !suites.iter().any(is_tls13) {
        suites.splice(0..0, all.iter().copied().filter(is_tls13));
    }
    suites
}

fn fingerprint(settings: &TlsSettings) -> digest::Digest {
    let mut fingerprint = digest::Context::new(&SHA256);
    fingerprint.update(settings.identity.fingerprint.as_ref());
    for authority in settings.client_auth.authorities.iter().flat_map(Authorities::ders) {
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
