//! Names the type of a private key that is not supported.

use std::fmt;

use rustls::pki_types::PrivateKeyDer;
use x509_parser::asn1_rs::{Any, FromDer as _, Oid};

/// The type of a private key as far as it is known, to be added to an error message. Contains
/// nothing of the key but its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyType(Option<String>);

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, ": it is {name}"),
            None => f.write_str(": it is malformed, or of an unknown type"),
        }
    }
}

impl KeyType {
    pub(super) fn of(key: &PrivateKeyDer<'_>) -> Self {
        Self(match key {
            PrivateKeyDer::Pkcs1(der) => rsa(der.secret_pkcs1_der()),
            PrivateKeyDer::Sec1(der) => sec1(der.secret_sec1_der()),
            PrivateKeyDer::Pkcs8(der) => pkcs8(der.secret_pkcs8_der()),
            _ => None,
        })
    }
}

/// The values in a sequence.
fn values(sequence: &[u8]) -> Option<Vec<Any<'_>>> {
    let (_, sequence) = Any::from_der(sequence).ok()?;
    let mut rest = sequence.data;
    let mut values = Vec::new();
    while !rest.is_empty() && values.len() < 16 {
        let (after, value) = Any::from_der(rest).ok()?;
        values.push(value);
        rest = after;
    }
    Some(values)
}

/// `RSAPrivateKey`: version, modulus, …
fn rsa(der: &[u8]) -> Option<String> {
    let modulus = values(der)?.get(1)?.data;
    let significant = modulus.iter().skip_while(|octet| **octet == 0).count();
    Some(format!("RSA with {} bits", significant * 8))
}

/// `ECPrivateKey`: version, key, and the optional curve in the context-specific tag 0.
fn sec1(der: &[u8]) -> Option<String> {
    let curve = values(der)?.get(2)?.data;
    Some(ec(curve))
}

/// `PrivateKeyInfo`: version, algorithm with its parameters, key, …
fn pkcs8(der: &[u8]) -> Option<String> {
    let (_, outer) = Any::from_der(der).ok()?;
    let (rest, _version) = Any::from_der(outer.data).ok()?;
    let (rest, algorithm) = Any::from_der(rest).ok()?;
    let (_, key) = Any::from_der(rest).ok()?;
    let (parameters, oid) = Oid::from_der(algorithm.data).ok()?;
    Some(match oid.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => rsa(key.data)?,
        "1.2.840.113549.1.1.10" => "RSA restricted to PSS".to_owned(),
        "1.2.840.10045.2.1" => ec(parameters),
        "1.2.840.10040.4.1" => "DSA".to_owned(),
        "1.3.101.110" | "1.3.101.111" => "a key for X25519 or X448, which cannot sign".to_owned(),
        "1.3.101.113" => "Ed448".to_owned(),
        other => format!("of the type {other}"),
    })
}

fn ec(curve: &[u8]) -> String {
    let curve = Oid::from_der(curve).map(|(_, oid)| oid.to_id_string());
    match curve.as_deref() {
        Ok("1.3.132.0.10") => "ECDSA on the curve secp256k1, not P-256, P-384 or P-521".to_owned(),
        Ok("1.2.840.10045.3.1.7" | "1.3.132.0.34" | "1.3.132.0.35") => {
            "ECDSA on a supported curve, but malformed".to_owned()
        }
        Ok(other) => format!("ECDSA on the curve {other}, not P-256, P-384 or P-521"),
        Err(_) => "ECDSA on a curve without a name, not P-256, P-384 or P-521".to_owned(),
    }
}
