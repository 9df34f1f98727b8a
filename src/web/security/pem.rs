//! Reads certificates and private keys from PEM. If a text has none, the error says what it is
//! instead and how to convert it.

use std::fmt;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::asn1_rs::{FromDer as _, Sequence};

use crate::file::without_byte_order_mark;

/// Why a text has no usable certificate or private key. No message contains any part of the text,
/// which may be a private key.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPem {
    /// The text has no certificate.
    #[error("no certificate found{}; {}", .0.but_found(), .0.certificate_hint())]
    NoCertificate(Found),
    /// The certificate at this position, counted from 1, is malformed.
    #[error("certificate {0} cannot be parsed: {1}")]
    Certificate(usize, &'static str),
    /// The text has no private key.
    #[error("no private key found{}; {}", .0.but_found(), .0.key_hint())]
    NoKey(Found),
    /// The private key is malformed.
    #[error("the private key cannot be parsed: {0}")]
    Key(&'static str),
    /// The private key is encrypted.
    #[error(
        "the private key is encrypted; expected one without a passphrase, as `openssl pkey -in FILE -out server.key` writes"
    )]
    EncryptedKey,
}

/// What was found in place of a certificate or a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing that is known.
    Unknown,
    /// Nothing but white space.
    Nothing,
    /// PEM that is not at the start of a line, as in an indented file.
    IndentedPem,
    /// A certificate or key in binary.
    Der,
    /// A PKCS#12 archive in binary.
    Pkcs12,
    /// A key store of Java in binary.
    JavaKeyStore,
    /// A PEM section of another type.
    Section(Section),
}

/// The types of PEM sections that are often given in place of the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumIter)]
pub enum Section {
    /// `CERTIFICATE`.
    Certificate,
    /// `TRUSTED CERTIFICATE`.
    TrustedCertificate,
    /// `CERTIFICATE REQUEST`.
    Request,
    /// `PKCS7`.
    Pkcs7,
    /// `PUBLIC KEY`.
    PublicKey,
    /// `OPENSSH PRIVATE KEY`.
    OpenSsh,
    /// `DSA PRIVATE KEY`.
    Dsa,
    /// `EC PARAMETERS`.
    EcParameters,
    /// Any other `PRIVATE KEY`.
    PrivateKey,
}

impl Section {
    /// How the label of the section ends. Of several that match, the first variant applies.
    fn label(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::TrustedCertificate => "TRUSTED CERTIFICATE",
            Self::Request => "CERTIFICATE REQUEST",
            Self::Pkcs7 => "PKCS7",
            Self::PublicKey => "PUBLIC KEY",
            Self::OpenSsh => "OPENSSH PRIVATE KEY",
            Self::Dsa => "DSA PRIVATE KEY",
            Self::EcParameters => "EC PARAMETERS",
            Self::PrivateKey => "PRIVATE KEY",
        }
    }
}

impl Found {
    fn in_text(text: &[u8]) -> Self {
        const JAVA_KEY_STORE: &[u8] = &[0xFE, 0xED, 0xFE, 0xED];
        if text.starts_with(JAVA_KEY_STORE) {
            return Self::JavaKeyStore;
        }
        if let Ok(([], sequence)) = Sequence::from_der(text) {
            // PKCS#12 begins with the version 3, which certificates and keys do not have.
            return if sequence.content.starts_with(&[2, 1, 3]) { Self::Pkcs12 } else { Self::Der };
        }
        let text = String::from_utf8_lossy(text);
        if text.trim().is_empty() {
            return Self::Nothing;
        }
        let labels = text.lines().filter_map(|line| line.strip_prefix("-----BEGIN ")?.split("-----").next());
        let section = |label: &str| {
            <Section as strum::IntoEnumIterator>::iter().find(|section| match section {
                Section::Certificate => label == section.label(),
                _ => label.ends_with(section.label()),
            })
        };
        match labels.filter_map(section).next_back() {
            Some(section) => Self::Section(section),
            None if text.lines().any(|line| line.trim_start().starts_with("-----BEGIN ")) => {
                Self::IndentedPem
            }
            None => Self::Unknown,
        }
    }

    /// What follows `no certificate found` or `no private key found`.
    fn but_found(self) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            Self::Unknown => Ok(()),
            Self::Nothing => f.write_str(": the text is empty"),
            Self::IndentedPem => f.write_str(": its lines are indented"),
            Self::Der => f.write_str(": the file is binary (DER)"),
            Self::Pkcs12 => f.write_str(": the file is a PKCS#12 archive"),
            Self::JavaKeyStore => f.write_str(": the file is a Java key store"),
            Self::Section(section) => write!(f, ": the text has only `-----BEGIN {}-----`", section.label()),
        })
    }

    fn certificate_hint(self) -> &'static str {
        match self {
            Self::IndentedPem => "`-----BEGIN CERTIFICATE-----` must be at the start of a line",
            Self::Der => "convert it with `openssl x509 -inform DER -in FILE -out server.crt`",
            Self::Pkcs12 => "convert it with `openssl pkcs12 -in FILE -nokeys -out server.crt`",
            Self::JavaKeyStore => "convert it with `keytool -exportcert -rfc`",
            Self::Section(Section::TrustedCertificate) => {
                "only OpenSSL reads this format; convert it with `openssl x509 -in FILE -out server.crt`"
            }
            Self::Section(Section::Request) => {
                "expected the certificate that a certificate authority has made from the request"
            }
            Self::Section(Section::Pkcs7) => {
                "convert it with `openssl pkcs7 -print_certs -in FILE -out server.crt`"
            }
            _ => "expected PEM with `-----BEGIN CERTIFICATE-----`",
        }
    }

    fn key_hint(self) -> &'static str {
        match self {
            Self::IndentedPem => "`-----BEGIN PRIVATE KEY-----` must be at the start of a line",
            Self::Der => "convert it with `openssl pkey -inform DER -in FILE -out server.key`",
            Self::Pkcs12 => "convert it with `openssl pkcs12 -in FILE -nocerts -nodes -out server.key`",
            Self::JavaKeyStore => {
                "convert it to PKCS#12 with `keytool -importkeystore`, and that with `openssl pkcs12`"
            }
            Self::Section(Section::OpenSsh) => {
                "convert it with `ssh-keygen -p -m PEM -f FILE`, or create one with `openssl genpkey`"
            }
            Self::Section(Section::Dsa) => "expected RSA with 2048 to 8192 bits, ECDSA or Ed25519",
            _ => "expected PEM with `-----BEGIN PRIVATE KEY-----`",
        }
    }
}

/// The certificates of a PEM text, in their order.
///
/// # Errors
/// There is none, or one is malformed. Whether they are X.509 certificates is not checked.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidPem> {
    let certificates = CertificateDer::pem_slice_iter(without_byte_order_mark(text))
        .enumerate()
        .map(|(index, der)| der.map_err(|error| InvalidPem::Certificate(index + 1, reason(&error))))
        .collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err(InvalidPem::NoCertificate(Found::in_text(text)));
    }
    Ok(certificates)
}

/// The first private key of a PEM text.
///
/// # Errors
/// There is none, or it is encrypted or malformed.
pub(super) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, InvalidPem> {
    let is_encrypted = |line: &[u8]| {
        line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY")
            || (line.starts_with(b"Proc-Type:") && line.trim_ascii_end().ends_with(b"ENCRYPTED"))
    };
    if text.split(|byte| *byte == b'\n').any(is_encrypted) {
        return Err(InvalidPem::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(without_byte_order_mark(text)).map_err(|error| match error {
        pem::Error::NoItemsFound => InvalidPem::NoKey(Found::in_text(text)),
        error => InvalidPem::Key(reason(&error)),
    })
}

fn reason(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its `-----END` line is missing",
        pem::Error::IllegalSectionStart { .. } => {
            "its `-----BEGIN` line does not end with `-----`; PEM needs its line breaks"
        }
        _ => "its base64 is invalid",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_section_of_a_text_is_named() {
        let error = private_key(b"-----BEGIN EC PARAMETERS-----\nAAAA\n-----END EC PARAMETERS-----\n");
        let Err(InvalidPem::NoKey(found)) = error else { panic!("{error:?}") };
        assert_eq!(found, Found::Section(Section::EcParameters));
        for (text, expected) in [
            ("", Found::Nothing),
            (" \r\n", Found::Nothing),
            ("nothing known", Found::Unknown),
            ("0, the first octet of a sequence in DER", Found::Unknown),
            ("-----BEGIN NEW CERTIFICATE REQUEST-----\n", Found::Section(Section::Request)),
            ("-----BEGIN RSA PUBLIC KEY-----\n", Found::Section(Section::PublicKey)),
            ("\t-----BEGIN CERTIFICATE-----\n", Found::IndentedPem),
        ] {
            assert_eq!(Found::in_text(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        /// A text may be a private key, so no error repeats a part of it.
        #[test]
        fn no_text_is_repeated_in_an_error(
            label in "(RSA |EC |ENCRYPTED |)(PRIVATE KEY|CERTIFICATE)",
            secret in "[#@A-Z]{12}",
            end in any::<bool>(),
            one_line in any::<bool>(),
        ) {
            let line_end = if one_line { " " } else { "\n" };
            let mut text = format!("-----BEGIN {label}-----{line_end}{secret}{line_end}");
            if end {
                text = format!("{text}-----END {label}-----\n");
            }
            let errors = [
                private_key(text.as_bytes()).err().map(|error| format!("{error} {error:?}")),
                certificates(text.as_bytes()).err().map(|error| format!("{error} {error:?}")),
            ];
            for error in errors.into_iter().flatten() {
                prop_assert!(!error.contains(&secret), "{error}");
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _certificates = certificates(&bytes);
            let _key = private_key(&bytes);
        }
    }
}
