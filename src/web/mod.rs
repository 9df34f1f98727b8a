//! HTTP: what is served where, and the connections it goes over.
//!
//! This is the only room that knows hyper. What it serves is handed to it as a
//! [`Site`], so it knows nothing of metrics or of AWS.

mod address;
mod body;
mod connection;
mod expose;
mod listener;
mod response;
mod routes;
mod telemetry_path;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use address::{InvalidListenAddress, ListenAddress};
pub use body::Pieces;
pub use expose::{Asked, Exposed, Exposition};
pub use listener::{BindError, Listeners};
pub use routes::{Page, Reload, Routes, Site};
pub use telemetry_path::{InvalidTelemetryPath, TelemetryPath};

/// How many connections are served at once. Prometheus needs one; the rest is
/// for people, probes and replicas.
const MAX_CONNECTIONS: usize = 512;

/// Serves `routes` on all `listeners` until `shutdown`. Requests that are then
/// being answered have `drain` to end.
pub async fn serve(listeners: Listeners, routes: Routes, shutdown: CancellationToken, drain: Duration) {
    let routes = Arc::new(routes);
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    let accepting = TaskTracker::new();
    for listener in listeners.into_tokio() {
        let (routes, permits, connections) = (Arc::clone(&routes), Arc::clone(&permits), connections.clone());
        let shutdown = shutdown.clone();
        accepting.spawn(async move {
            let accept = listener::accept(listener, permits, |stream, permit| {
                let serving = connection::serve(stream, Arc::clone(&routes), shutdown.clone(), drain);
                connections.spawn(async move {
                    serving.await;
                    drop(permit);
                });
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
