//! Verifies chains from client certificates through intermediate authorities to trusted ones.
//!
//! `webpki` builds the chains and verifies signatures, validity, purposes and name constraints.
//! Added here is what Go checks beyond that: the key usage of intermediate authorities, and how many
//! of them a trusted authority permits.

use std::sync::Arc;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, OtherError};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext,
    VerifiedPath,
};

use crate::web::security::certificate;
use crate::web::security::trusted_certificate::TrustedCertificate;

/// Checks that one of `authorities` has issued `client`, directly or through `intermediates`.
pub(super) fn verify(
    client: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    authorities: &[&TrustedCertificate],
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), CertificateError> {
    let client = EndEntityCert::try_from(client).map_err(refusal)?;
    let anchors: Vec<_> = authorities.iter().map(|authority| authority.anchor.clone()).collect();
    let check_path = |path: &VerifiedPath<'_>| check_path(path, authorities);
    client
        .verify_for_usage(algorithms.all, &anchors, intermediates, now, ForClients, None, Some(&check_path))
        .map(drop)
        .map_err(refusal)
}

fn check_path(path: &VerifiedPath<'_>, authorities: &[&TrustedCertificate]) -> Result<(), webpki::Error> {
    let mut length = 0;
    for intermediate in path.intermediate_certificates() {
        if !certificate::parse(&intermediate.der()).is_some_and(|parsed| certificate::may_sign(&parsed)) {
            return Err(webpki::Error::UnknownIssuer);
        }
        length += 1;
    }
    let permits = |authority: &&TrustedCertificate| {
        authority.anchor == *path.anchor() && authority.max_intermediates.is_none_or(|max| length <= max)
    };
    if authorities.iter().any(permits) { Ok(()) } else { Err(webpki::Error::PathLenConstraintViolated) }
}

/// Accepts what [`certificate::permits_clients`] does.
struct ForClients;

impl ExtendedKeyUsageValidator for ForClients {
    fn validate(&self, usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut present = Vec::new();
        for usage in usages {
            present.push(usage?.to_decoded_oid());
        }
        let is_for_clients = |usage: &Vec<usize>| {
            let any = [2, 5, 29, 37, 0];
            *usage == any || KeyUsage::client_auth().oid_values().eq(usage.iter().copied())
        };
        if present.is_empty() || present.iter().any(is_for_clients) {
            return Ok(());
        }
        let required = KeyUsage::client_auth();
        Err(webpki::Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required, present }))
    }
}

fn refusal(error: webpki::Error) -> CertificateError {
    use webpki::Error;
    match error {
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) => CertificateError::BadEncoding,
        Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
        Error::CertExpired { .. } | Error::InvalidCertValidity => CertificateError::Expired,
        Error::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        Error::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        Error::UnknownIssuer => CertificateError::UnknownIssuer,
        Error::UnsupportedCriticalExtension => CertificateError::UnhandledCriticalExtension,
        error => CertificateError::Other(OtherError(Arc::new(error))),
    }
}
