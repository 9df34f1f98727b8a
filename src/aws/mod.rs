//! How AWS is reached: credentials, connections, and what its errors mean.
//!
//! The [collector](crate::collector) and the [discovery](crate::discovery) make
//! their calls through this room; beside it they are the only ones that know
//! the AWS SDK. It knows nothing of what is called, or when.
//!
//! Everything that costs memory or connections is shared: one HTTP client with
//! one pool for all, and one cache of credentials.

pub(crate) mod classify;
mod credentials;
mod endpoints;
mod flight;
mod observe;
mod sdk;
mod session;
mod sts;

pub(crate) use credentials::Lent;
pub use endpoints::EndpointKind;
pub(crate) use observe::Observe;
pub use observe::{ApiCall, Finding, Observer};
pub use sdk::AwsSettings;
pub(crate) use session::Session;
pub use session::Sessions;
