//! Access to AWS: credentials, sessions, connections, and the meaning of errors.
//!
//! The [collector](crate::collector) and the [discovery](crate::discovery) make
//! their calls with what this module provides. Apart from it, they are the only
//! modules that know the AWS SDK. This module makes no calls of its own, except
//! to STS, and does not know when or why others are made.
//!
//! Everything that costs memory or connections is shared: there is one HTTP
//! client with one connection pool, and one credential cache.

mod credentials;
mod endpoints;
pub(crate) mod errors;
mod instrumentation;
mod sdk;
mod session;
mod single_flight;
mod sts;

pub(crate) use credentials::CachedCredentials;
pub use endpoints::EndpointKind;
pub(crate) use instrumentation::{ApiObserver, ApiRequest, ObserveRequests};
pub use sdk::AwsSettings;
pub(crate) use session::{Session, Sessions};
