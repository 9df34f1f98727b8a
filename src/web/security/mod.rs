//! Who may send requests: TLS, client certificates, passwords and the rate limit.
//!
//! [`access`] combines them into rules that can be replaced while the server runs. Nothing
//! here knows where the rules come from.

pub(in crate::web) mod access;
mod authorities;
mod certificate;
mod chain;
mod client_cert;
mod direct_issuer;
mod identity;
mod key_type;
mod p521;
mod password;
mod password_hash;
mod pem;
mod rate_limit;
pub(in crate::web) mod tls;
mod tls_names;
mod token_cache;
mod trusted_certificate;

pub use access::{AccessControl, AccessRules, ExcludedPath, InvalidExcludedPath};
pub use authorities::{Authorities, InvalidAuthorities};
pub use client_cert::{AllowedSan, ClientAuth, ClientAuthType, InvalidClientAuthType};
pub use identity::{Identity, InvalidIdentity};
pub use key_type::KeyType;
pub use password::RandomnessError;
pub use password_hash::{InvalidPasswordHash, PasswordHash, Users};
pub use pem::{Found, InvalidPem, Section};
pub use rate_limit::RateLimit;
pub use tls::{InvalidTls, Tls, TlsSettings};
pub use tls_names::{CipherSuite, Curve, InvalidTlsName, TlsVersion};
