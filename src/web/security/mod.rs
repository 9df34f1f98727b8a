//! Who may send requests: TLS, client certificates, passwords and the rate limit.
//!
//! [`access`] combines them into rules that can be replaced while the server runs. Nothing
//! here knows where the rules come from.

pub(in crate::web) mod access;
mod client_cert;
mod password;
mod password_hash;
mod rate_limit;
pub(in crate::web) mod tls;
mod tls_names;
mod token_cache;

pub use access::{AccessControl, AccessRules, ExcludedPath, InvalidExcludedPath};
pub use client_cert::{
    AllowedSan, Authorities, ClientAuth, ClientAuthType, InvalidAuthorities, InvalidClientAuthType,
};
pub use password::RandomnessError;
pub use password_hash::{InvalidPasswordHash, PasswordHash, Users};
pub use rate_limit::RateLimit;
pub use tls::{Identity, InvalidIdentity, InvalidTls, Tls, TlsSettings};
pub use tls_names::{CipherSuite, Curve, InvalidTlsName, TlsVersion};
