//! A certificate whose owner, and whose clients if it is an authority, are accepted.

use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use x509_parser::prelude::Validity;

use crate::web::security::certificate;

/// A trusted certificate with what `webpki` does not keep of it.
#[derive(Clone, Debug)]
pub(super) struct TrustedCertificate {
    pub(super) der: CertificateDer<'static>,
    /// Its name, key and name constraints.
    pub(super) anchor: TrustAnchor<'static>,
    validity: Validity,
    /// Whether its extensions let it sign client certificates.
    is_client_authority: bool,
    /// How many authorities may be between it and a client; `None` for any number.
    pub(super) max_intermediates: Option<u32>,
}

impl TrustedCertificate {
    /// `None` if the certificate cannot be parsed.
    pub(super) fn new(der: CertificateDer<'static>) -> Option<Self> {
        let anchor = webpki::anchor_from_trusted_cert(&der).ok()?.to_owned();
        let parsed = certificate::parse(&der)?;
        let is_client_authority = certificate::may_sign(&parsed) && certificate::permits_clients(&parsed);
        let max_intermediates = certificate::max_path_length(&parsed);
        let validity = parsed.validity().clone();
        Some(Self { der, anchor, validity, is_client_authority, max_intermediates })
    }

    /// Whether client certificates that it has signed are accepted now.
    pub(super) fn may_sign(&self, now: UnixTime) -> bool {
        self.is_client_authority && certificate::check_validity(&self.validity, now).is_ok()
    }
}
