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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
        KeyUsagePurpose, date_time_ymd,
    };
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    /// The time at which everything is valid that has no other dates: the middle of 2026.
    const NOW: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_782_000_123));

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn authority() -> CertificateParams {
        let mut params = params("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    /// The certificate of `authority` in PEM, and that of a client that it has signed.
    fn signed(authority: CertificateParams, client: &CertificateParams) -> (String, CertificateDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let pem = authority.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(authority, key);
        let client = client.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        (pem, client.der().clone())
    }

    fn verify(authorities: &str, client: &CertificateDer<'_>) -> Result<(), CertificateError> {
        let authorities = Authorities::from_pem(authorities.as_bytes()).unwrap();
        let verifier = IssuerVerifier::new(authorities, &Arc::new(default_provider()));
        verifier.verify(client, &[], NOW).map_err(|error| match error {
            Error::InvalidCertificate(error) => error,
            error => panic!("{error}"),
        })
    }

    #[test]
    fn a_certificate_that_is_trusted_itself_is_accepted_while_it_is_valid_and_for_clients() {
        let self_signed = |params: &CertificateParams| {
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            verify(&certificate.pem(), certificate.der())
        };
        assert_eq!(self_signed(&authority()), Ok(()));
        assert_eq!(self_signed(&params("client")), Ok(()));
        let mut expired = authority();
        expired.not_after = date_time_ymd(2026, 1, 1);
        assert_eq!(self_signed(&expired), Err(CertificateError::Expired));
        let mut future = authority();
        future.not_before = date_time_ymd(2027, 1, 1);
        assert_eq!(self_signed(&future), Err(CertificateError::NotValidYet));
        let mut for_servers = authority();
        for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        assert_eq!(self_signed(&for_servers), Err(CertificateError::InvalidPurpose));
    }

    #[test]
    fn only_valid_authorities_for_clients_may_sign() {
        // The second client takes the way around webpki.
        for client in [params("client"), authority()] {
            let (pem, client_der) = signed(authority(), &client);
            assert_eq!(verify(&pem, &client_der), Ok(()));
            // Another authority of the same name.
            let other = authority().self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
            assert_eq!(verify(&other, &client_der), Err(CertificateError::BadSignature));
            assert_eq!(verify(&format!("{other}{pem}"), &client_der), Ok(()));

            let mut expired = authority();
            expired.not_after = date_time_ymd(2026, 1, 1);
            let mut for_servers = authority();
            for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let mut not_for_signing = authority();
            not_for_signing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            for authority in [expired, for_servers, not_for_signing, params("no authority")] {
                let (pem, client_der) = signed(authority, &client);
                assert_eq!(verify(&pem, &client_der), Err(CertificateError::UnknownIssuer));
            }
        }
    }

    #[test]
    fn a_name_constraint_of_an_authority_is_not_bypassed() {
        let mut constrained = authority();
        constrained.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example.com".to_owned())],
            excluded_subtrees: Vec::new(),
        });
        let mut client = CertificateParams::new(["other.example".to_owned()]).unwrap();
        client.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (pem, client) = signed(constrained, &client);
        assert_eq!(verify(&pem, &client), Err(CertificateError::UnknownIssuer));
    }

    /// The files are from OpenSSL 3.0: `openssl x509 -req` without extensions.
    #[test]
    fn a_certificate_of_version_1_is_accepted_if_a_trusted_one_has_signed_it() {
        let client = |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
        macro_rules! file {
            ($name:literal) => {
                include_str!(concat!("../../../tests/fixtures/x509_version_1/", $name))
            };
        }
        let (authority, other) = (file!("ca.crt"), file!("other.crt"));
        let good = client(file!("client.crt"));
        let authorities = |pem: &str| Authorities::from_pem(pem.as_bytes()).unwrap();
        let provider = Arc::new(default_provider());
        let verify = |pem: &str, client: &CertificateDer<'_>, seconds| {
            let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            IssuerVerifier::new(authorities(pem), &provider).verify(client, &[], now)
        };
        // In 2030, and before and after it is valid.
        let now = 1_900_000_000;
        assert_eq!(verify(authority, &good, now), Ok(()));
        assert_eq!(verify(authority, &good, 1_700_000_000), Err(CertificateError::NotValidYet.into()));
        assert_eq!(verify(authority, &good, 9_000_000_000), Err(CertificateError::Expired.into()));
        assert_eq!(verify(other, &good, now), Err(CertificateError::BadSignature.into()));
        assert_eq!(verify(&format!("{other}{authority}"), &good, now), Ok(()));
        // A signature with SHA-1, and any change of the certificate.
        let sha1 = client(file!("client-sha1.crt"));
        assert_eq!(verify(authority, &sha1, now), Err(CertificateError::BadSignature.into()));
        for index in 0..good.len() {
            let mut changed = good.to_vec();
            changed[index] ^= 1;
            assert!(verify(authority, &CertificateDer::from(changed), now).is_err(), "octet {index}");
        }
    }
}
