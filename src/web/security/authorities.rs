//! The certificate authorities whose client certificates are accepted.
//!
//! The rules are those of Go, so that all exporters that share a web configuration file accept the
//! same clients.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, DistinguishedName};

use crate::web::security::pem::{self, InvalidPem};
use crate::web::security::trusted_certificate::TrustedCertificate;
use crate::web::security::{certificate, chain, direct_issuer};

/// The certificate authorities whose client certificates are accepted.
#[derive(Clone, Debug, Default)]
pub struct Authorities {
    trusted: Vec<TrustedCertificate>,
    /// The names that are sent to clients, which use them to choose a certificate.
    hints: Vec<DistinguishedName>,
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
        let ders = pem::certificates(text).map_err(InvalidAuthorities::Pem)?.into_iter().enumerate();
        let trusted = ders
            .map(|(index, der)| {
                TrustedCertificate::new(der).ok_or(InvalidAuthorities::Certificate(index + 1))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let hints = trusted.iter().map(|trusted| DistinguishedName::in_sequence(&trusted.anchor.subject));
        Ok(Self { hints: hints.collect(), trusted })
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

    /// Those whose signatures on client certificates are accepted now.
    fn signing(&self, now: UnixTime) -> impl Iterator<Item = &TrustedCertificate> {
        self.trusted.iter().filter(move |trusted| trusted.may_sign(now))
    }

    /// Checks that a client certificate is one of these, or issued by one.
    pub(super) fn verify(
        &self,
        client: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), CertificateError> {
        let parsed = certificate::parse(client).ok_or(CertificateError::BadEncoding)?;
        if self.ders().any(|der| der == &**client) {
            return certificate::check_client(&parsed, now);
        }
        let authorities: Vec<_> = self.signing(now).collect();
        if certificate::is_refused_by_webpki(&parsed) {
            let authorities = authorities.iter().filter_map(|authority| certificate::parse(&authority.der));
            return direct_issuer::verify(&parsed, authorities, now, algorithms);
        }
        chain::verify(client, intermediates, &authorities, now, algorithms)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
        KeyPair, KeyUsagePurpose, date_time_ymd,
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
        authorities.verify(client, &[], NOW, &default_provider().signature_verification_algorithms)
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
        // The second client is verified without webpki.
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
            let mut restricted = authority();
            restricted.custom_extensions = vec![unknown_extension()];
            for authority in [expired, for_servers, not_for_signing, restricted, params("no authority")] {
                let (pem, client_der) = signed(authority, &client);
                assert_eq!(verify(&pem, &client_der), Err(CertificateError::UnknownIssuer));
            }
        }
    }

    /// A critical extension that restricts the use of a certificate in an unknown way.
    fn unknown_extension() -> CustomExtension {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        extension
    }

    /// Regression: `webpki` checks neither the length of the path below a trusted authority nor the key
    /// usage of intermediate ones.
    #[test]
    fn intermediate_authorities_must_be_permitted_and_may_sign() {
        let intermediate = || {
            let mut params = params("intermediate");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let verify = |root: CertificateParams, intermediate: CertificateParams| {
            let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
            let pem = root.self_signed(&root_key).unwrap().pem();
            let below = intermediate.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
            let mut client = params("client");
            client.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
            let client_key = KeyPair::generate().unwrap();
            let client = client.signed_by(&client_key, &Issuer::new(intermediate, key)).unwrap();
            let authorities = Authorities::from_pem(pem.as_bytes()).unwrap();
            let algorithms = default_provider().signature_verification_algorithms;
            authorities.verify(client.der(), &[below.der().clone()], NOW, &algorithms).is_ok()
        };
        assert!(verify(authority(), intermediate()));
        for (length, expected) in [(0, false), (1, true)] {
            let mut root = authority();
            root.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
            assert_eq!(verify(root, intermediate()), expected, "{length}");
        }
        for (usage, expected) in
            [(KeyUsagePurpose::DigitalSignature, false), (KeyUsagePurpose::KeyCertSign, true)]
        {
            let mut intermediate = intermediate();
            intermediate.key_usages = vec![usage];
            assert_eq!(verify(authority(), intermediate), expected);
        }
        for usage in [ExtendedKeyUsagePurpose::Any, ExtendedKeyUsagePurpose::ClientAuth] {
            let mut intermediate = intermediate();
            intermediate.extended_key_usages = vec![usage, ExtendedKeyUsagePurpose::ServerAuth];
            assert!(verify(authority(), intermediate));
        }
        let mut for_servers = intermediate();
        for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        assert!(!verify(authority(), for_servers));
    }

    #[test]
    fn another_certificate_with_the_name_and_key_of_an_authority_is_not_issued_by_it() {
        let key = KeyPair::generate().unwrap();
        let trusted = authority().self_signed(&key).unwrap();
        let mut renewed = authority();
        renewed.serial_number = Some(2.into());
        let renewed = renewed.self_signed(&key).unwrap();
        assert_eq!(verify(&trusted.pem(), renewed.der()), Err(CertificateError::UnknownIssuer));
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
        let algorithms = default_provider().signature_verification_algorithms;
        let verify = |pem: &str, client: &CertificateDer<'_>, seconds| {
            let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            authorities(pem).verify(client, &[], now, &algorithms)
        };
        // In 2030, and before and after it is valid.
        let now = 1_900_000_000;
        assert_eq!(verify(authority, &good, now), Ok(()));
        assert_eq!(verify(authority, &good, 1_700_000_000), Err(CertificateError::NotValidYet));
        assert_eq!(verify(authority, &good, 9_000_000_000), Err(CertificateError::Expired));
        assert_eq!(verify(other, &good, now), Err(CertificateError::BadSignature));
        assert_eq!(verify(&format!("{other}{authority}"), &good, now), Ok(()));
        // A signature with SHA-1, and any change of the certificate.
        let sha1 = client(file!("client-sha1.crt"));
        assert_eq!(verify(authority, &sha1, now), Err(CertificateError::BadSignature));
        for index in 0..good.len() {
            let mut changed = good.to_vec();
            changed[index] ^= 1;
            assert!(verify(authority, &CertificateDer::from(changed), now).is_err(), "octet {index}");
        }
    }
}
