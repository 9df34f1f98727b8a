//! TLS, client certificates, passwords and the rate limit.

pub(in crate::web) mod access;
mod client_cert;
mod password;
pub(in crate::web) mod tls;
mod tls_names;

pub use access::{Guard, InvalidOpenPath, OpenPath, RateLimit, Rules};
pub use client_cert::{
    AllowedSan, Authorities, ClientAuth, ClientAuthType, InvalidAuthorities, InvalidClientAuthType,
};
pub use password::{InvalidPasswordHash, NoRandomness, PasswordHash, Users};
pub use tls::{Identity, InvalidIdentity, InvalidTls, Tls, TlsSettings};
pub use tls_names::{CipherSuite, Curve, InvalidTlsName, TlsVersion};
