//! Verifies what `webpki` refuses although it is no risk and Go accepts it: client certificates of
//! version 1 of X.509, and those with the basic constraints of an authority. `openssl x509 -req`
//! and `openssl req -x509` make them unless told otherwise.
//!
//! No chain is built: the certificate must be signed by a trusted authority itself. Only the
//! algorithms of the TLS provider are accepted, so none with SHA-1 or RSA keys below 2048 bits.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved};
use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::prelude::X509Certificate;

use crate::web::security::certificate;

/// Checks that one of `authorities` has signed `client`, and that it is valid `now` and for clients.
pub(super) fn verify<'a>(
    client: &X509Certificate<'_>,
    authorities: impl Iterator<Item = X509Certificate<'a>>,
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), CertificateError> {
    certificate::check_client(client, now)?;
    let mut refusal = CertificateError::UnknownIssuer;
    for authority in authorities {
        let is_issuer = authority.subject().as_raw() == client.issuer().as_raw();
        // As in Go, another certificate of the same authority is not issued by it.
        let is_same = authority.subject().as_raw() == client.subject().as_raw()
            && authority.public_key().raw == client.public_key().raw;
        // Constraints on the names would have to be checked.
        if !is_issuer
            || is_same
            || matches!(authority.tbs_certificate.name_constraints(), Ok(Some(_)) | Err(_))
        {
            continue;
        }
        if is_signed_by(client, &authority, algorithms) {
            return Ok(());
        }
        refusal = CertificateError::BadSignature;
    }
    Err(refusal)
}

fn is_signed_by(
    client: &X509Certificate<'_>,
    authority: &X509Certificate<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    // The signed part repeats the algorithm, so that it cannot be replaced.
    if client.tbs_certificate.signature != client.signature_algorithm {
        return false;
    }
    let Some(signature_algorithm) = signature_algorithm(client) else { return false };
    let Some((key_algorithm, key)) = public_key(authority) else { return false };
    if client.signature_value.unused_bits != 0 {
        return false;
    }
    let signature = &client.signature_value.data;
    algorithms
        .all
        .iter()
        .filter(|algorithm| {
            algorithm.signature_alg_id().as_ref() == signature_algorithm
                && algorithm.public_key_alg_id().as_ref() == key_algorithm
        })
        .any(|algorithm| algorithm.verify_signature(key, client.tbs_certificate.as_ref(), signature).is_ok())
}

/// Checks the signature of a TLS 1.2 handshake with the key of `client`.
pub(super) fn verify_tls12_signature(
    message: &[u8],
    client: &X509Certificate<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let (key_algorithm, key) = public_key(client).ok_or(CertificateError::BadEncoding)?;
    let (_, candidates) = algorithms
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signature.scheme)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let is_valid = candidates
        .iter()
        .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == key_algorithm)
        .any(|algorithm| algorithm.verify_signature(key, message, signature.signature()).is_ok());
    if is_valid {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

/// Checks the signature of a TLS 1.3 handshake with the key of `client`.
pub(super) fn verify_tls13_signature(
    message: &[u8],
    client: &X509Certificate<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = SubjectPublicKeyInfoDer::from(client.public_key().raw);
    verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
}

/// The contents of the public key's algorithm identifier, and the key.
fn public_key<'a>(certificate: &'a X509Certificate<'_>) -> Option<(&'a [u8], &'a [u8])> {
    let (_, info) = Any::from_der(certificate.public_key().raw).ok()?;
    let (bits, algorithm) = Any::from_der(info.data).ok()?;
    let (_, bits) = Any::from_der(bits).ok()?;
    // The first octet of a bit string is the number of bits that are missing from its last octet.
    let (0, key) = bits.data.split_first().map(|(unused, key)| (*unused, key))? else { return None };
    Some((algorithm.data, key))
}

/// The contents of the algorithm identifier of the certificate's signature.
fn signature_algorithm<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    let (_, parts) = Any::from_der(certificate.as_raw()).ok()?;
    let (rest, _signed) = Any::from_der(parts.data).ok()?;
    let (_, algorithm) = Any::from_der(rest).ok()?;
    Some(algorithm.data)
}
