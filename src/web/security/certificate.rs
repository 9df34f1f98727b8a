//! What TLS needs of a certificate beyond what `webpki` reads, which knows only version 3 of X.509.

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer as _, ParsedExtension, Validity, X509Certificate, X509Version};

/// Parses a certificate of any version of X.509.
pub(super) fn parse<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(certificate)
}

/// Checks that this time is within the validity of a certificate.
pub(super) fn check_validity(validity: &Validity, now: UnixTime) -> Result<(), CertificateError> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < validity.not_before.timestamp() {
        Err(CertificateError::NotValidYet)
    } else if now > validity.not_after.timestamp() {
        Err(CertificateError::Expired)
    } else {
        Ok(())
    }
}

/// Checks that a client may use the certificate now, whoever has issued it.
pub(super) fn check_client(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), CertificateError> {
    check_validity(certificate.validity(), now)?;
    if has_unknown_critical_extension(certificate) {
        return Err(CertificateError::UnhandledCriticalExtension);
    }
    if permits_clients(certificate) { Ok(()) } else { Err(CertificateError::InvalidPurpose) }
}

/// Whether `webpki` refuses the certificate for a client in any case.
pub(super) fn is_refused_by_webpki(certificate: &X509Certificate<'_>) -> bool {
    !is_version_3(certificate) || is_authority(certificate)
}

/// Whether the extended key usage permits clients. Certificates without the extension are for any
/// purpose.
pub(super) fn permits_clients(certificate: &X509Certificate<'_>) -> bool {
    match certificate.extended_key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.any || usage.value.client_auth,
        Err(_) => false,
    }
}

/// Whether this is the certificate of a certificate authority according to its extensions.
fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    certificate
        .basic_constraints()
        .is_ok_and(|constraints| constraints.is_some_and(|constraints| constraints.value.ca))
}

/// Whether certificates that this one has signed may be accepted. Older versions of X.509 have no
/// extensions that could say so.
pub(super) fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    if !is_version_3(certificate) {
        return true;
    }
    let usage = certificate.key_usage();
    is_authority(certificate)
        && !has_unknown_critical_extension(certificate)
        && usage.is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()))
}

/// How many authorities may be between this one and a client; `None` for any number.
pub(super) fn max_path_length(certificate: &X509Certificate<'_>) -> Option<u32> {
    certificate
        .basic_constraints()
        .ok()
        .flatten()
        .and_then(|constraints| constraints.value.path_len_constraint)
}

/// Whether an extension restricts the use of the certificate in a way that is not known here.
fn has_unknown_critical_extension(certificate: &X509Certificate<'_>) -> bool {
    certificate.extensions().iter().any(|extension| {
        let is_known = matches!(
            extension.parsed_extension(),
            ParsedExtension::KeyUsage(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::BasicConstraints(_)
                | ParsedExtension::NameConstraints(_)
                | ParsedExtension::SubjectAlternativeName(_)
                | ParsedExtension::SubjectKeyIdentifier(_)
                | ParsedExtension::AuthorityKeyIdentifier(_)
                | ParsedExtension::CertificatePolicies(_)
                | ParsedExtension::CRLDistributionPoints(_)
        );
        extension.critical && !is_known
    })
}

pub(super) fn is_version_3(certificate: &X509Certificate<'_>) -> bool {
    certificate.version() == X509Version::V3
}
