//! The HTTP server: listeners, connections, access control and routes.
//!
//! - [`server`]: sockets and connections, with their limits and timeouts
//! - [`request`]: rejects malformed requests and normalizes paths
//! - [`security`]: TLS, client certificates, passwords and the rate limit
//! - [`handlers`]: the routes and their responses
//! - [`refusals`]: counts and logs refused requests and connections
//!
//! This is the only module that knows hyper and rustls. The caller passes in the
//! implementation of each route ([`Handlers`]), the access rules ([`AccessRules`]) and the counter
//! of refusals ([`CountRefusals`]), so this module knows neither metrics nor AWS nor
//! configuration files.
//!
//! Every resource that a client can hold is bounded in number and time: see the table in
//! [`server`].

mod body;
mod handlers;
mod paths;
mod peer;
mod refusals;
mod request;
mod response;
mod security;
mod server;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use body::BodyChunks;
pub use handlers::{
    Asset, DocumentError, DocumentFuture, Handlers, InvalidTelemetryPath, MetricsRequest, MetricsResponse,
    PageError, PageFuture, Reload, RenderPage, Router, ServeDocument, ServeMetrics, StatusDocument, SyncPage,
    SyncPageFuture, SyncPageOutcome, TelemetryPath,
};
pub use refusals::{CountRefusals, RefusalReason};
pub use security::{
    AccessControl, AccessRules, AllowedSan, Authorities, CipherSuite, ClientAuth, ClientAuthType, Curve,
    ExcludedPath, Found, Identity, InvalidAuthorities, InvalidClientAuthType, InvalidExcludedPath,
    InvalidIdentity, InvalidPasswordHash, InvalidPem, InvalidTls, InvalidTlsName, KeyType, PasswordHash,
    RandomnessError, RateLimit, Section, Tls, TlsSettings, TlsVersion, Users,
};
pub use server::{InvalidListenAddress, ListenAddress, ListenError, Listeners};

use refusals::Refusals;
use server::connection_limit::ConnectionLimit;
use server::response_limit::ResponseLimit;
use server::service::RequestService;
use server::{connection, listener};

/// The limit on open connections. A Prometheus server needs one connection; the rest are for
/// people, probes and further Prometheus servers.
const MAX_CONNECTIONS: usize = 512;

/// The limit on status pages and documents that are rendered or sent. A page can be megabytes
/// long, and is in memory until it has been sent; a document keeps the states of its targets.
const MAX_PAGES: usize = 16;

/// The configuration of [`serve`], apart from its listeners.
pub struct Server {
    /// Responds to the requests that are admitted.
    pub router: Router,
    /// Decides who may send requests.
    pub access: Arc<AccessControl>,
    /// The limit on concurrent scrapes; 0 for none.
    pub max_scrapes: usize,
    /// Counts refused requests and connections.
    pub refusals: Arc<dyn CountRefusals>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("router", &self.router).finish_non_exhaustive()
    }
}

/// Serves on all `listeners` until `shutdown` is cancelled. Responses that are in progress
/// then have `drain_timeout` to complete.
pub async fn serve(
    listeners: Listeners,
    server: Server,
    shutdown: CancellationToken,
    drain_timeout: Duration,
) {
    let Server { router, access, max_scrapes, refusals } = server;
    let refusals = Refusals::new(refusals);
    let service = Arc::new(RequestService {
        router,
        access,
        scrape_limit: ResponseLimit::new(max_scrapes, Arc::clone(&refusals)),
        page_limit: ResponseLimit::new(MAX_PAGES, Arc::clone(&refusals)),
        refusals: Arc::clone(&refusals),
    });
    let limit = ConnectionLimit::new(max_connections());
    let connections = TaskTracker::new();
    let accept_loops = TaskTracker::new();
    for listener in listeners.into_inner() {
        let (service, limit, connections) = (Arc::clone(&service), Arc::clone(&limit), connections.clone());
        let shutdown = shutdown.clone();
        accept_loops.spawn(async move {
            let accept = listener::accept(listener, &limit, |stream, ticket| {
                connections.spawn(connection::serve(
                    stream,
                    ticket,
                    Arc::clone(&service),
                    shutdown.clone(),
                    drain_timeout,
                ));
            });
            // Dropping the listener makes the kernel refuse further connections.
            shutdown.run_until_cancelled(accept).await;
        });
    }
    accept_loops.close();
    tokio::join!(accept_loops.wait(), refusals.run(&shutdown));
    connections.close();
    connections.wait().await;
}

/// Half of the soft limit on file descriptors, at most [`MAX_CONNECTIONS`]. The other half
/// is for connections to AWS.
fn max_connections() -> usize {
    let descriptors = rlimit::Resource::NOFILE.get_soft().unwrap_or(1024);
    usize::try_from(descriptors / 2).unwrap_or(usize::MAX).clamp(1, MAX_CONNECTIONS)
}
