//! The certificate authorities of a file.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_smithy_http_client::HttpClientError;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::file;
use crate::printable::path_excerpt;

/// The certificate authorities of a PEM file. They replace those of the system, as in the AWS CLI. Cheap
/// to clone.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CaBundle(Arc<Contents>);

struct Contents {
    path: PathBuf,
    /// Those of the file that the TLS library can use.
    authorities: Vec<CertificateDer<'static>>,
    tls_context: TlsContext,
}

/// A file without usable certificate authorities.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableCaBundle {
    #[error("cannot read the certificate authorities in {}: {error}", path_excerpt(path))]
    Unreadable { path: PathBuf, error: String },
    #[error("the certificate authorities in {} cannot be used: {error}", path_excerpt(path))]
    Rejected { path: PathBuf, error: HttpClientError },
    #[error(
        "{} has no certificate authority that can be used; expected a PEM file with `BEGIN CERTIFICATE`",
        path_excerpt(path)
    )]
    Empty { path: PathBuf },
}

/// The files that profiles name, each read once: many profiles may name the same.
#[derive(Debug, Default)]
pub(crate) struct CaBundles(Mutex<HashMap<PathBuf, Result<CaBundle, String>>>);

impl CaBundles {
    pub(crate) fn get(&self, path: &Path) -> Result<CaBundle, String> {
        let read = || CaBundle::read(path).map_err(|error| error.to_string());
        self.0.lock().entry(path.to_path_buf()).or_insert_with(read).clone()
    }
}

impl CaBundle {
    /// Reads a file. Certificates that the TLS library cannot use are ignored, as it does with those of
    /// the system.
    pub(crate) fn read(path: &Path) -> Result<Self, UnusableCaBundle> {
        let path = path.to_path_buf();
        let pem = match file::read(&path, file::MAX_LARGE) {
            Ok(pem) => pem,
            Err(error) => return Err(UnusableCaBundle::Unreadable { path, error: error.to_string() }),
        };
        // A byte order mark would hide the first certificate.
        let pem = file::without_byte_order_mark(&pem);
        let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let certificates = match certificates {
            Ok(certificates) => certificates,
            Err(error) => return Err(UnusableCaBundle::Unreadable { path, error: error.to_string() }),
        };
        let is_usable =
            |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone()).is_ok();
        let authorities: Vec<_> = certificates.into_iter().filter(is_usable).collect();
        if authorities.is_empty() {
            return Err(UnusableCaBundle::Empty { path });
        }
        match TlsContext::builder().with_trust_store(trust_store(&authorities)).build() {
            Ok(tls_context) => Ok(Self(Arc::new(Contents { path, authorities, tls_context }))),
            Err(error) => Err(UnusableCaBundle::Rejected { path, error }),
        }
    }

    /// The TLS settings of a client that trusts these authorities and no others.
    pub(crate) fn tls_context(&self) -> &TlsContext {
        &self.0.tls_context
    }
}

fn trust_store(authorities: &[CertificateDer<'static>]) -> TrustStore {
    authorities.iter().fold(TrustStore::empty(), |store, authority| {
        let base64 = BASE64_STANDARD.encode(authority);
        store.with_pem_certificate(format!(
            "-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n"
        ))
    })
}

impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, &self.authorities) == (&other.path, &other.authorities)
    }
}

impl Eq for Contents {}

impl fmt::Debug for CaBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaBundle")
            .field("path", &self.0.path)
            .field("authorities", &self.0.authorities.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn authority() -> String {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    /// A certificate that the TLS library cannot use.
    const UNUSABLE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

    #[test]
    fn the_authorities_of_a_file_are_those_that_can_be_used() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let number = |text: &str| {
            std::fs::write(&path, text).unwrap();
            CaBundle::read(&path).map(|bundle| bundle.0.authorities.len()).map_err(|error| error.to_string())
        };
        let (one, two) = (authority(), authority());
        assert_eq!(number(&one), Ok(1));
        assert_eq!(number(&format!("\u{feff}{one}")), Ok(1));
        assert_eq!(
            number(&format!("# Our own\n{one}\n# And theirs\n{UNUSABLE}{two}").replace('\n', "\r\n")),
            Ok(2)
        );
        let shown = path.display();
        let empty = format!(
            "{shown} has no certificate authority that can be used; expected a PEM file with `BEGIN CERTIFICATE`"
        );
        let key = KeyPair::generate().unwrap().serialize_pem();
        for text in ["", "text", UNUSABLE, &key] {
            assert_eq!(number(text), Err(empty.clone()), "{text}");
        }
        let cut = &one[..one.len() / 2];
        let error = number(cut).unwrap_err();
        assert!(
            error.starts_with(&format!("cannot read the certificate authorities in {shown}: ")),
            "{error}"
        );
    }

    #[test]
    fn a_file_is_read_once_for_all_profiles_that_name_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        std::fs::write(&path, authority()).unwrap();
        let bundles = CaBundles::default();
        let first = bundles.get(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(Arc::ptr_eq(&first.0, &bundles.get(&path).unwrap().0));
        assert!(CaBundles::default().get(&path).is_err());
    }
}
