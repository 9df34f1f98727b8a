//! How AWS is reached: credentials, connections, and what its errors mean.
//!
//! The [collector](crate::collector) and the [discovery](crate::discovery) make
//! their calls through this room; beside it they are the only ones that know
//! the AWS SDK. It knows nothing of what is called, or when.
//!
//! Everything that costs memory or connections is shared: one HTTP client with
//! one pool for all, and one cache of credentials.

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
pub(crate) use instrumentation::Observe;
pub use instrumentation::{ApiCall, Finding, Observer};
pub use sdk::AwsSettings;
pub(crate) use session::Session;
pub use session::Sessions;
