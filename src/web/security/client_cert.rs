//! Client certificates: whether they are requested, and how they are verified.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoClientAuth;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use x509_parser::prelude::{GeneralName, X509Certificate};

use crate::web::security::authorities::Authorities;
use crate::web::security::tls_names::InvalidTlsName;
use crate::web::security::{certificate, direct_issuer};

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
            // As in the exporter-toolkit, an empty text counts as not set.
            "" | "NoClientCert" => Ok(Self::NoClientCert),
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
    /// The accepted CAs. If it is `None` and certificates are verified, none is accepted.
    pub authorities: Option<Authorities>,
    /// The accepted subject alternative names; `None` for any. They are checked only if
    /// certificates are verified.
    pub allowed_sans: Option<BTreeSet<AllowedSan>>,
}

pub(in crate::web) fn verifier(
    auth: &ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Arc<dyn ClientCertVerifier> {
    let ClientAuth { auth_type, authorities, allowed_sans } = auth;
    if *auth_type == ClientAuthType::NoClientCert {
        return Arc::new(NoClientAuth);
    }
    let hints = authorities.as_ref().map(Authorities::hints).unwrap_or_default().to_vec();
    Arc::new(ClientVerifier {
        is_mandatory: auth_type.is_mandatory(),
        hints,
        authorities: auth_type.verifies().then(|| authorities.clone().unwrap_or_default()),
        allowed_sans: allowed_sans.clone(),
        algorithms: provider.signature_verification_algorithms,
    })
}

/// Verifies that the client has the private key of its certificate, and whatever else is
/// configured.
#[derive(Debug)]
struct ClientVerifier {
    is_mandatory: bool,
    hints: Vec<DistinguishedName>,
    /// `None` if any issuer is accepted.
    authorities: Option<Authorities>,
    /// `None` if any name is accepted.
    allowed_sans: Option<BTreeSet<AllowedSan>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(authorities) = &self.authorities {
            authorities.verify(end_entity, intermediates, now, &self.algorithms)?;
        }
        if let Some(allowed) = &self.allowed_sans {
            let names = subject_alternative_names(end_entity);
            if !names.iter().any(|name| allowed.contains(name)) {
                return Err(CertificateError::NotValidForName.into());
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match older_version(cert) {
            Some(client) => direct_issuer::verify_tls12_signature(message, &client, dss, &self.algorithms),
            None => verify_tls12_signature(message, cert, dss, &self.algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match older_version(cert) {
            Some(client) => direct_issuer::verify_tls13_signature(message, &client, dss, &self.algorithms),
            None => verify_tls13_signature(message, cert, dss, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The certificate, if it is of a version of X.509 that `rustls` cannot parse.
fn older_version<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    certificate::parse(der).filter(|certificate| !certificate::is_version_3(certificate))
}

/// The subject alternative names of a certificate, if they are of a type that Go supports.
/// Empty if the certificate cannot be parsed.
fn subject_alternative_names(certificate: &CertificateDer<'_>) -> Vec<AllowedSan> {
    let Some(certificate) = certificate::parse(certificate) else { return Vec::new() };
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
