//! Client certificates: whether they are requested, and how they are verified.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoClientAuth, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::web::security::tls_names::InvalidTlsName;

/// Whether a client certificate is requested, required and verified. The names are those of
/// Go's `crypto/tls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuthType {
    /// No certificate is requested.
    #[default]
    NoClientCert,
    /// A certificate is requested but not required, and any is accepted unverified.
    RequestClientCert,
    /// A certificate is required, and any is accepted unverified.
    RequireAnyClientCert,
    /// No certificate is required, but one that is sent must be signed by a configured CA.
    VerifyClientCertIfGiven,
    /// A certificate signed by a configured CA is required.
    RequireAndVerifyClientCert,
}

impl ClientAuthType {
    /// Whether the issuer of a certificate is verified.
    #[must_use]
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyClientCertIfGiven | Self::RequireAndVerifyClientCert)
    }

    fn is_mandatory(self) -> bool {
        matches!(self, Self::RequireAnyClientCert | Self::RequireAndVerifyClientCert)
    }
}

impl FromStr for ClientAuthType {
    type Err = InvalidClientAuthType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "NoClientCert" => Ok(Self::NoClientCert),
            "RequestClientCert" => Ok(Self::RequestClientCert),
            // `RequireClientCert` is an older name in the exporter-toolkit.
            "RequireAnyClientCert" | "RequireClientCert" => Ok(Self::RequireAnyClientCert),
            "VerifyClientCertIfGiven" => Ok(Self::VerifyClientCertIfGiven),
            "RequireAndVerifyClientCert" => Ok(Self::RequireAndVerifyClientCert),
            _ => Err(InvalidClientAuthType(text.to_owned())),
        }
    }
}

/// Not a name of a [`ClientAuthType`].
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a client_auth_type; expected NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"
)]
pub struct InvalidClientAuthType(String);

/// The certificate authorities whose client certificates are accepted.
#[derive(Clone, Debug)]
pub struct Authorities {
    roots: Arc<RootCertStore>,
    pub(in crate::web) ders: Vec<CertificateDer<'static>>,
}

/// Why CA certificates cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAuthorities {
    /// The PEM text has no certificate.
    #[error("no certificate found; expected PEM with `-----BEGIN CERTIFICATE-----`")]
    None,
    /// A certificate is malformed. The number is its position, counted from 1.
    #[error("certificate {0} cannot be parsed")]
    Certificate(usize),
}

impl Authorities {
    /// Parses CA certificates from PEM.
    ///
    /// # Errors
    /// See [`InvalidAuthorities`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidAuthorities> {
        let mut roots = RootCertStore::empty();
        let mut ders = Vec::new();
        for (index, der) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let invalid = InvalidAuthorities::Certificate(index + 1);
            let Ok(der) = der else { return Err(invalid) };
            if roots.add(der.clone()).is_err() {
                return Err(invalid);
            }
            ders.push(der);
        }
        if ders.is_empty() {
            Err(InvalidAuthorities::None)
        } else {
            Ok(Self { roots: Arc::new(roots), ders })
        }
    }
}

/// A subject alternative name that is accepted in a client certificate: a DNS name, IP address,
/// e-mail address or URI. Names are compared literally, except that IP addresses are
/// normalized.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowedSan(String);

impl FromStr for AllowedSan {
    type Err = InvalidTlsName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // An IPv6 address has several notations.
        let address = text.parse::<IpAddr>().map(|address| address.to_string());
        Ok(Self(address.unwrap_or_else(|_| text.to_owned())))
    }
}

/// The requirements on client certificates.
#[derive(Clone, Debug, Default)]
pub struct ClientAuth {
    /// Whether a certificate is requested, required and verified.
    pub auth_type: ClientAuthType,
    /// The accepted CAs. Required if certificates are verified.
    pub authorities: Option<Authorities>,
    /// The accepted subject alternative names; `None` for any. They are checked only if
    /// certificates are verified.
    pub allowed_sans: Option<BTreeSet<AllowedSan>>,
}

pub(in crate::web) fn verifier(
    auth: &ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
    let roots = match &auth.authorities {
        Some(authorities) => Arc::clone(&authorities.roots),
        None => Arc::new(RootCertStore::empty()),
    };
    let verifier: Arc<dyn ClientCertVerifier> = match auth.auth_type {
        ClientAuthType::NoClientCert => return Ok(Arc::new(NoClientAuth)),
        ClientAuthType::RequestClientCert | ClientAuthType::RequireAnyClientCert => {
            return Ok(Arc::new(AnyCertificateVerifier {
                is_mandatory: auth.auth_type.is_mandatory(),
                root_hints: roots.subjects(),
                provider: Arc::clone(provider),
            }));
        }
        ClientAuthType::VerifyClientCertIfGiven | ClientAuthType::RequireAndVerifyClientCert => {
            let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
            if auth.auth_type.is_mandatory() { builder } else { builder.allow_unauthenticated() }.build()?
        }
    };
    Ok(match &auth.allowed_sans {
        Some(allowed) => Arc::new(SanVerifier { inner: verifier, allowed: allowed.clone() }),
        None => verifier,
    })
}

/// Accepts any certificate if the client proves that it has the private key.
#[derive(Debug)]
struct AnyCertificateVerifier {
    is_mandatory: bool,
    root_hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyCertificateVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.root_hints
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Accepts the certificates that `inner` accepts and that have an allowed subject alternative
/// name.
#[derive(Debug)]
struct SanVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    allowed: BTreeSet<AllowedSan>,
}

impl ClientCertVerifier for SanVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        if subject_alternative_names(end_entity).iter().any(|name| self.allowed.contains(name)) {
            Ok(verified)
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// The subject alternative names of a certificate, if they are of a type that Go supports.
/// Empty if the certificate cannot be parsed.
fn subject_alternative_names(certificate: &CertificateDer<'_>) -> Vec<AllowedSan> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(octets) => <[u8; 4]>::try_from(*octets)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from))
            .ok()
            .map(|address| address.to_string()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(text).map(AllowedSan).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType, string::Ia5String};

    use super::*;

    #[test]
    fn names_of_every_supported_type_are_read() {
        let mut params = CertificateParams::default();
        let text = |text: &str| Ia5String::try_from(text).unwrap();
        params.subject_alt_names = vec![
            SanType::DnsName(text("prometheus.example")),
            SanType::Rfc822Name(text("ops@example")),
            SanType::URI(text("spiffe://example/prometheus")),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
            SanType::IpAddress("192.0.2.1".parse().unwrap()),
        ];
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let names = subject_alternative_names(certificate.der());
        let expected = [
            "prometheus.example",
            "ops@example",
            "spiffe://example/prometheus",
            "2001:0db8:0::1",
            "192.0.2.1",
        ];
        assert_eq!(names, expected.map(|name| name.parse::<AllowedSan>().unwrap()));
    }

    #[test]
    fn a_malformed_certificate_has_no_names() {
        assert_eq!(subject_alternative_names(&CertificateDer::from(vec![1, 2, 3])), []);
    }
}
