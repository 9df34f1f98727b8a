//! One connection: TLS, HTTP/1.1 or HTTP/2, timeouts and shutdown.
//!
//! This module enforces the timeouts that hyper does not provide. They are implemented in
//! [`connection_limit`](super::connection_limit) for idle connections and slow responses,
//! [`header_timeout`](super::header_timeout) for slow request headers and
//! [`write_timeout`](super::write_timeout) for clients that stop reading.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::web::refusals::RefusalReason;
use crate::web::security::tls::H2;
use crate::web::server::connection_limit::{ConnectionPermit, ConnectionTicket};
use crate::web::server::handshake::{self, HANDSHAKE_TIMEOUT};
use crate::web::server::header_timeout::HeaderTimeout;
use crate::web::server::service::RequestService;
use crate::web::server::tracked_body::TrackedBody;
use crate::web::server::write_timeout::with_write_timeout;

/// How long a connection may be idle between two requests: longer than the usual
/// scrape intervals, so that Prometheus can reuse its connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// How long a response may take. A body has a shorter timeout of its own, but over
/// HTTP/2, hyper does not poll the body while the client grants no flow-control window.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(150);

/// Limits on a request's headers, far above what a scrape sends.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// How much of a response is buffered for a client that reads slowly. The chunk that
/// exceeds the limit is buffered whole.
const MAX_SEND_BUFFER: usize = 128 * 1024;

/// How many concurrent requests an HTTP/2 client may have.
const MAX_STREAMS: u32 = 16;

/// How many streams an HTTP/2 client may reset before hyper has seen their requests, and how
/// many it may cause the server to reset, until the connection is closed. The values are the
/// defaults of h2.
const MAX_RESET_STREAMS: usize = 20;
const MAX_ERROR_STREAMS: usize = 1024;

/// How much unsent data the kernel buffers. The limit makes the progress of a response visible in
/// small steps, and keeps slow clients from occupying megabytes of the kernel's memory.
const MAX_UNSENT: u32 = 64 * 1024;

/// The HTTP/2 flow-control window for request bodies, which are not read: the smallest
/// that the protocol allows for a connection.
const RECEIVE_WINDOW: u32 = 65_535;

/// How long an HTTP/2 connection may be silent before it is pinged, and how long the
/// client has to reply.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The error of a request on a connection that has been evicted.
#[derive(Debug, thiserror::Error)]
#[error("the connection was closed to admit another")]
struct Evicted;

/// Serves requests on `stream`, once it is admitted, until the client closes it, it times out, it
/// is evicted, or `shutdown` is cancelled. After `shutdown`, a response that is in progress has
/// `drain_timeout` to complete.
pub(in crate::web) async fn serve(
    stream: TcpStream,
    ticket: ConnectionTicket,
    service: Arc<RequestService>,
    shutdown: CancellationToken,
    drain_timeout: Duration,
) {
    let peer = ticket.peer();
    let Some(admitted) = shutdown.run_until_cancelled(ticket.admitted()).await else { return };
    let Some(permit) = admitted else {
        service.refusals.record(RefusalReason::TooManyConnections, peer);
        return;
    };
    let permit = Arc::new(permit);
    let request_tasks = TaskTracker::new();
    let connection = Connection {
        permit: Arc::clone(&permit),
        service,
        request_tasks: request_tasks.clone(),
        shutdown,
        drain_timeout,
    };
    let close_token = permit.close_token().clone();
    tokio::select! {
        biased;
        () = close_token.cancelled() => {
            // Otherwise an HTTP/1 response was cancelled, which has been recorded.
            if permit.is_evicted() {
                connection.refused(RefusalReason::TooManyConnections);
            }
        }
        () = connection.run(stream) => {}
    }
    // Otherwise the tasks of HTTP/2 requests would outlive the connection.
    close_token.cancel();
    request_tasks.close();
    request_tasks.wait().await;
}

struct Connection {
    permit: Arc<ConnectionPermit>,
    service: Arc<RequestService>,
    /// The tasks of HTTP/2 requests. HTTP/1.1 requests run in the task of the connection.
    request_tasks: TaskTracker,
    shutdown: CancellationToken,
    drain_timeout: Duration,
}

impl Connection {
    async fn run(&self, stream: TcpStream) {
        // Responses are written in large buffers, so Nagle's algorithm would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        #[cfg(target_os = "linux")]
        if let Err(error) = SockRef::from(&stream).set_tcp_notsent_lowat(MAX_UNSENT) {
            debug!(%error, "cannot set TCP_NOTSENT_LOWAT");
        }
        let rules = self.service.access.current_rules();
        let (tls, tls_replaced) = rules.tls();
        let tls_replaced = tls_replaced.clone();
        let Some(tls) = tls.map(|tls| Arc::clone(&tls.config)) else {
            drop(rules);
            return self.http1(with_write_timeout(stream), tls_replaced).await;
        };
        drop(rules);
        let accepted = tokio::select! {
            accepted = handshake::accept(stream, tls) => accepted,
            () = self.shutdown.cancelled() => return,
        };
        match accepted {
            Ok(Some(stream)) => {
                if stream.get_ref().1.alpn_protocol() == Some(H2) {
                    self.http2(stream, tls_replaced).await;
                } else {
                    self.http1(stream, tls_replaced).await;
                }
            }
            Ok(None) => debug!("client disconnected before the TLS handshake"),
            Err(error) => {
                debug!(%error, "TLS handshake failed");
                self.refused(RefusalReason::TlsHandshake);
            }
        }
    }

    async fn http1(&self, stream: impl AsyncRead + AsyncWrite + Unpin, tls_replaced: CancellationToken) {
        let stream = HeaderTimeout::new(stream, self.permit.request_counter());
        let connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE_TIMEOUT)
                .max_headers(MAX_HEADERS)
                .max_header_size(MAX_HEADER_BYTES as usize)
                .max_buf_size(MAX_SEND_BUFFER)
                .serve_connection(TokioIo::new(stream), self.responder(None))
        );
        self.drive(connection, http1::Connection::graceful_shutdown, IDLE_TIMEOUT, tls_replaced).await;
    }

    async fn http2(&self, stream: impl AsyncRead + AsyncWrite + Unpin, tls_replaced: CancellationToken) {
        let next_cancel = NextCancel::default();
        let executor = RequestExecutor {
            tasks: self.request_tasks.clone(),
            close_token: self.permit.close_token().clone(),
            next_cancel: next_cancel.clone(),
        };
        let connection = pin!(
            http2::Builder::new(executor)
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
                .max_local_error_reset_streams(MAX_ERROR_STREAMS)
                .max_header_list_size(MAX_HEADER_BYTES)
                .max_send_buf_size(MAX_SEND_BUFFER)
                .initial_connection_window_size(RECEIVE_WINDOW)
                .initial_stream_window_size(RECEIVE_WINDOW)
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .serve_connection(TokioIo::new(stream), self.responder(Some(next_cancel)))
        );
        // A client that has completed a handshake is expected to send a request soon.
        self.drive(connection, http2::Connection::graceful_shutdown, HANDSHAKE_TIMEOUT, tls_replaced).await;
    }

    /// Polls a connection until it ends, times out or is shut down.
    async fn drive<C: Future<Output = hyper::Result<()>>>(
        &self,
        mut connection: Pin<&mut C>,
        graceful_shutdown: fn(Pin<&mut C>),
        first_request_timeout: Duration,
        tls_replaced: CancellationToken,
    ) {
        let timed_out = async {
            self.permit.timed_out(first_request_timeout, IDLE_TIMEOUT, RESPONSE_TIMEOUT).await;
            debug!("connection closed after a timeout");
        };
        let mut timed_out = pin!(timed_out);
        let mut deadline: Option<Instant> = None;
        let ended = loop {
            tokio::select! {
                ended = connection.as_mut() => break Ok(ended),
                () = &mut timed_out => return,
                () = tls_replaced.cancelled(), if deadline.is_none() => {
                    // The client reconnects under the new TLS settings.
                    graceful_shutdown(connection.as_mut());
                    deadline = Some(Instant::now() + RESPONSE_TIMEOUT);
                }
                // A client may ignore the graceful shutdown.
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => return,
                () = self.shutdown.cancelled() => {
                    graceful_shutdown(connection.as_mut());
                    break tokio::time::timeout(self.drain_timeout, connection).await;
                }
            }
        };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "connection failed"),
            Err(_) => debug!("connection closed before its response was complete, to shut down in time"),
        }
    }

    fn refused(&self, reason: RefusalReason) {
        self.service.refusals.record(reason, self.permit.peer());
    }

    fn responder(&self, next_cancel: Option<NextCancel>) -> Responder {
        Responder { permit: Arc::clone(&self.permit), service: Arc::clone(&self.service), next_cancel }
    }
}

struct Responder {
    permit: Arc<ConnectionPermit>,
    service: Arc<RequestService>,
    /// `None` over HTTP/1, where a request can be cancelled only with its connection.
    next_cancel: Option<NextCancel>,
}

impl hyper::service::Service<Request<Incoming>> for Responder {
    type Response = Response<TrackedBody>;
    type Error = Evicted;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Evicted>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let close = self.permit.close_token();
        let cancel = self.next_cancel.as_ref().map_or_else(|| close.clone(), |next| next.create(close));
        // Called before the future is polled, so that the connection counts as busy immediately.
        let active = self.permit.begin_request(cancel);
        let service = Arc::clone(&self.service);
        // Request bodies are ignored.
        let request = request.map(drop);
        Box::pin(async move { Ok(service.respond(request, active.ok_or(Evicted)?).await) })
    }
}

/// Passes the token that cancels an HTTP/2 request from the service to the executor. hyper
/// spawns a request directly after it has called the service.
#[derive(Clone, Default)]
struct NextCancel(Arc<Mutex<Option<CancellationToken>>>);

impl NextCancel {
    fn create(&self, close_token: &CancellationToken) -> CancellationToken {
        let cancel = close_token.child_token();
        *self.0.lock() = Some(cancel.clone());
        cancel
    }

    fn take(&self) -> Option<CancellationToken> {
        self.0.lock().take()
    }
}

/// Spawns the requests of an HTTP/2 connection, and drops a request when it is cancelled or its
/// connection is evicted. hyper then resets the stream.
#[derive(Clone)]
struct RequestExecutor {
    tasks: TaskTracker,
    close_token: CancellationToken,
    next_cancel: NextCancel,
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for RequestExecutor {
    fn execute(&self, request: F) {
        let cancel = self.next_cancel.take().unwrap_or_else(|| self.close_token.clone());
        self.tasks.spawn(async move { cancel.run_until_cancelled(request).await });
    }
}
