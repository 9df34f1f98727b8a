//! The certificate authorities whose client certificates are accepted.
//!
//! The rules are those of Go, so that all exporters that share a web configuration file accept the
//! same clients. `webpki` builds and verifies chains, but considers trusted authorities to be valid
//! for ever and for every purpose.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, DistinguishedName, Error, RootCertStore};
use x509_parser::prelude::Validity;

use crate::web::security::pem::{self, InvalidPem};
use crate::web::security::{certificate, direct_issuer};

/// The certificate authorities whose client certificates are accepted.
#[derive(Clone, Debug, Default)]
pub struct Authorities {
    trusted: Vec<TrustedCertificate>,
    /// The names that are sent to clients, which use them to choose a certificate.
    hints: Vec<DistinguishedName>,
}

#[derive(Clone, Debug)]
struct TrustedCertificate {
    der: CertificateDer<'static>,
    validity: Validity,
    /// Whether client certificates that it has signed are accepted.
    may_sign: bool,
}

/// Why CA certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAuthorities {
    /// The text is not PEM with certificates.
    #[error(transparent)]
    Pem(InvalidPem),
    /// The certificate at this position, counted from 1, is malformed.
    #[error("certificate {0} cannot be parsed: it is not a valid X.509 certificate")]
    Certificate(usize),
}

impl Authorities {
    /// Parses CA certificates from PEM.
    ///
    /// # Errors
    /// See [`InvalidAuthorities`].
    pub fn from_pem(text: &[u8]) -> Result<Self, InvalidAuthorities> {
        let mut roots = RootCertStore::empty();
        let mut trusted = Vec::new();
        for (index, der) in pem::certificates(text).map_err(InvalidAuthorities::Pem)?.into_iter().enumerate()
        {
            let invalid = InvalidAuthorities::Certificate(index + 1);
            if roots.add(der.clone()).is_err() {
                return Err(invalid);
            }
            trusted.push(TrustedCertificate::new(der).ok_or(invalid)?);
        }
        Ok(Self { trusted, hints: roots.subjects() })
    }

    /// The authorities that the operating system trusts. Empty if it has none or they cannot be
    /// read. Their names are not sent to clients, because they are too many.
    #[must_use]
    pub fn of_system() -> Self {
        let ders = rustls_native_certs::load_native_certs().certs;
        Self { trusted: ders.into_iter().filter_map(TrustedCertificate::new).collect(), hints: Vec::new() }
    }

    pub(super) fn hints(&self) -> &[DistinguishedName] {
        &self.hints
    }

    /// Whether there is none, so that no client certificate is accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trusted.is_empty()
    }

    pub(super) fn ders(&self) -> impl Iterator<Item = &[u8]> {
        self.trusted.iter().map(|trusted| &*trusted.der)
    }

    /// Those whose signatures on client certificates are accepted.
    fn signing(&self) -> impl Iterator<Item = &TrustedCertificate> {
        self.trusted.iter().filter(|trusted| trusted.may_sign)
    }
}

impl TrustedCertificate {
    fn new(der: CertificateDer<'static>) -> Option<Self> {
        let parsed = certificate::parse(&der)?;
        let may_sign = certificate::may_sign(&parsed) && certificate::permits_clients(&parsed);
        let validity = parsed.validity().clone();
        Some(Self { der, validity, may_sign })
    }

    fn is_valid(&self, now: UnixTime) -> bool {
        certificate::check_validity(&self.validity, now).is_ok()
    }
}

/// Verifies that client certificates are issued by one of [`Authorities`].
#[derive(Debug)]
pub(super) struct IssuerVerifier {
    authorities: Authorities,
    provider: Arc<CryptoProvider>,
    /// Verifies chains to all authorities that may sign; `None` if there are none.
    chains: Option<Arc<dyn ClientCertVerifier>>,
}

impl IssuerVerifier {
    pub(super) fn new(authorities: Authorities, provider: &Arc<CryptoProvider>) -> Self {
        let chains = chain_verifier(authorities.signing(), provider);
        Self { authorities, provider: Arc::clone(provider), chains }
    }

    pub(super) fn verify(
        &self,
        client: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let signing_now = || self.authorities.signing().filter(|authority| authority.is_valid(now));
        if let Some(parsed) = certificate::parse(client) {
            if self.authorities.ders().any(|der| der == &**client) {
                return certificate::check_client(&parsed, now).map_err(Error::from);
            }
            if certificate::is_refused_by_webpki(&parsed) {
                let authorities = signing_now().filter_map(|authority| certificate::parse(&authority.der));
                let algorithms = &self.provider.signature_verification_algorithms;
                return direct_issuer::verify(&parsed, authorities, now, algorithms);
            }
        }
        let chains = if signing_now().count() == self.authorities.signing().count() {
            self.chains.clone()
        } else {
            chain_verifier(signing_now(), &self.provider)
        };
        let chains = chains.ok_or(CertificateError::UnknownIssuer)?;
        chains.verify_client_cert(client, intermediates, now).map(drop)
    }
}

fn chain_verifier<'a>(
    authorities: impl Iterator<Item = &'a TrustedCertificate>,
    provider: &Arc<CryptoProvider>,
) -> Option<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.map(|authority| authority.der.clone()));
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    // Fails only without authorities, because there are no lists of revoked certificates.
    builder.build().ok().map(|verifier| verifier as Arc<dyn ClientCertVerifier>)
}
