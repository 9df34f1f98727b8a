//! HTTP: what is served where, and the connections it goes over.
//!
//! This is the only room that knows hyper and rustls. What it serves is handed to it
//! as a [`Site`], so it knows nothing of metrics or of AWS, and who may ask as
//! [`Rules`], so it knows nothing of files.
//!
//! Nobody can tie it up: a connection that waits makes room for a newcomer, a request
//! once begun has to get somewhere, and a scrape gives its place up in time.

mod body;
mod handlers;
mod response;
mod security;
mod server;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use body::Pieces;
pub use handlers::{
    Asked, Asset, Exposed, Exposition, InvalidTelemetryPath, Making, NoPage, Page, Reload, Routes, Site,
    TelemetryPath,
};
pub use security::{
    AllowedSan, Authorities, CipherSuite, ClientAuth, ClientAuthType, Curve, Guard, Identity,
    InvalidAuthorities, InvalidClientAuthType, InvalidIdentity, InvalidOpenPath, InvalidPasswordHash,
    InvalidTls, InvalidTlsName, NoRandomness, OpenPath, PasswordHash, RateLimit, Rules, Tls, TlsSettings,
    TlsVersion, Users,
};
pub use server::{BindError, InvalidListenAddress, ListenAddress, Listeners};

use server::connection_limit::Seats;
use server::scrape_limit::Scrapes;
use server::service::Service;
use server::{connection, listener};

/// How many connections are served at once. Prometheus needs one; the rest is
/// for people, probes and replicas.
const MAX_CONNECTIONS: usize = 512;

/// What is served, and to whom.
#[derive(Debug)]
pub struct Server {
    /// What is served.
    pub routes: Routes,
    /// Who may ask.
    pub guard: Arc<Guard>,
    /// How many scrapes may be under way at once; 0 for no limit.
    pub max_scrapes: usize,
}

/// Serves on all `listeners` until `shutdown`. Requests that are then being
/// answered have `drain` to end.
pub async fn serve(listeners: Listeners, server: Server, shutdown: CancellationToken, drain: Duration) {
    let Server { routes, guard, max_scrapes } = server;
    let service = Arc::new(Service { routes, guard, scrapes: Scrapes::new(max_scrapes) });
    let seats = Seats::new(max_connections());
    let connections = TaskTracker::new();
    let accepting = TaskTracker::new();
    for listener in listeners.into_tokio() {
        let (service, seats, connections) = (Arc::clone(&service), Arc::clone(&seats), connections.clone());
        let shutdown = shutdown.clone();
        accepting.spawn(async move {
            let accept = listener::accept(listener, &seats, |stream, seat| {
                connections.spawn(connection::serve(
                    stream,
                    seat,
                    Arc::clone(&service),
                    shutdown.clone(),
                    drain,
                ));
            });
            // Dropping the listener refuses whoever comes now.
            shutdown.run_until_cancelled(accept).await;
        });
    }
    accepting.close();
    accepting.wait().await;
    connections.close();
    connections.wait().await;
}

/// Where there are few file descriptors, the other half is for what we ask of AWS.
fn max_connections() -> usize {
    let descriptors = rlimit::Resource::NOFILE.get_soft().unwrap_or(1024);
    usize::try_from(descriptors / 2).unwrap_or(usize::MAX).clamp(1, MAX_CONNECTIONS)
}
