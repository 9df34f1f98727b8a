//! One connection, from its first byte to its last.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::web::security::tls::H2;
use crate::web::server::connection_limit::Seat;
use crate::web::server::handshake::{self, HANDSHAKE_TIMEOUT};
use crate::web::server::header_timeout::Paced;
use crate::web::server::service::{Answer, Service};
use crate::web::server::write_timeout::limited;

/// How long a connection may idle between two requests. It is above Prometheus's
/// usual intervals.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// How long an answer may take in all. A body ends before that, but over HTTP/2 a
/// client may give no room for more of it, and nobody looks at it then.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(150);

/// Far more than a request for metrics has to say.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// How much of an answer is held for a client that is slower than we are, and the
/// piece that exceeds it.
const MAX_WAITING_BYTES: usize = 128 * 1024;

/// How many requests of a client are answered at once over HTTP/2.
const MAX_STREAMS: u32 = 16;

/// How much a client may send along with requests over HTTP/2: the least that it has to
/// be given.
const MAX_UPLOAD_BYTES: u32 = 65_535;

/// How long a client may be silent over HTTP/2 until it is asked whether it is there,
/// and how long it then has to say so.
const PING_AFTER: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// A request came on a connection that had to go.
#[derive(Debug, thiserror::Error)]
#[error("the connection has made room for another")]
struct Evicted;

/// Serves requests on `stream` until the client leaves, `seat` is needed for
/// another, or `shutdown`. A request that is then being answered has `drain` to end.
pub(in crate::web) async fn serve(
    stream: TcpStream,
    seat: Seat,
    service: Arc<Service>,
    shutdown: CancellationToken,
    drain: Duration,
) {
    let seat = Arc::new(seat);
    let streams = TaskTracker::new();
    let connection =
        Connection { seat: Arc::clone(&seat), service, streams: streams.clone(), shutdown, drain };
    let cut = seat.cut().clone();
    tokio::select! {
        biased;
        () = cut.cancelled() => debug!("a connection was cut to make room"),
        () = connection.begin(stream) => {}
    }
    // What is left of requests over HTTP/2 has nobody to go to.
    cut.cancel();
    streams.close();
    streams.wait().await;
}

struct Connection {
    seat: Arc<Seat>,
    service: Arc<Service>,
    /// Requests over HTTP/2.
    streams: TaskTracker,
    shutdown: CancellationToken,
    drain: Duration,
}

impl Connection {
    async fn begin(&self, stream: TcpStream) {
        // We write all that there is; waiting for more would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        let in_force = self.service.guard.in_force();
        let (tls, outdated) = in_force.tls();
        let outdated = outdated.clone();
        let Some(tls) = tls.map(|tls| Arc::clone(&tls.config)) else {
            drop(in_force);
            return self.http1(limited(stream), outdated).await;
        };
        drop(in_force);
        let shaken = tokio::select! {
            shaken = handshake::shake(stream, tls) => shaken,
            () = self.shutdown.cancelled() => return,
        };
        match shaken {
            Ok(stream) => {
                if stream.get_ref().1.alpn_protocol() == Some(H2) {
                    self.http2(stream, outdated).await;
                } else {
                    self.http1(stream, outdated).await;
                }
            }
            Err(error) => debug!(%error, "a client could not be agreed with"),
        }
    }

    async fn http1(&self, stream: impl AsyncRead + AsyncWrite + Unpin, outdated: CancellationToken) {
        let stream = Paced::new(stream, self.seat.pace());
        let connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE_TIMEOUT)
                .max_headers(MAX_HEADERS)
                .max_header_size(MAX_HEADER_BYTES as usize)
                .max_buf_size(MAX_WAITING_BYTES)
                .serve_connection(TokioIo::new(stream), self.responder())
        );
        self.drive(connection, http1::Connection::graceful_shutdown, IDLE_TIMEOUT, outdated).await;
    }

    async fn http2(&self, stream: impl AsyncRead + AsyncWrite + Unpin, outdated: CancellationToken) {
        let streams = Streams { tasks: self.streams.clone(), cut: self.seat.cut().clone() };
        let connection = pin!(
            http2::Builder::new(streams)
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .max_header_list_size(MAX_HEADER_BYTES)
                .max_send_buf_size(MAX_WAITING_BYTES)
                .initial_connection_window_size(MAX_UPLOAD_BYTES)
                .initial_stream_window_size(MAX_UPLOAD_BYTES)
                .keep_alive_interval(PING_AFTER)
                .keep_alive_timeout(PONG_WITHIN)
                .serve_connection(TokioIo::new(stream), self.responder())
        );
        // Who has gone through a handshake has something to ask.
        self.drive(connection, http2::Connection::graceful_shutdown, HANDSHAKE_TIMEOUT, outdated).await;
    }

    /// Drives a connection to its end.
    async fn drive<C: Future<Output = hyper::Result<()>>>(
        &self,
        mut connection: Pin<&mut C>,
        wind_up: fn(Pin<&mut C>),
        first: Duration,
        outdated: CancellationToken,
    ) {
        let outstayed = async {
            self.seat.outstayed(first, IDLE_TIMEOUT, ANSWER_TIMEOUT).await;
            debug!("a connection was idle, or slow, for too long");
        };
        let mut outstayed = pin!(outstayed);
        let mut end: Option<Instant> = None;
        let ended = loop {
            tokio::select! {
                ended = connection.as_mut() => break Ok(ended),
                () = &mut outstayed => return,
                () = outdated.cancelled(), if end.is_none() => {
                    // The next one is of the new kind.
                    wind_up(connection.as_mut());
                    end = Some(Instant::now() + ANSWER_TIMEOUT);
                }
                // A client may not care that it is to end.
                () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => return,
                () = self.shutdown.cancelled() => {
                    wind_up(connection.as_mut());
                    break tokio::time::timeout(self.drain, connection).await;
                }
            }
        };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "a connection broke"),
            Err(_) => debug!("a connection was cut to shut down in time"),
        }
    }

    /// What hyper calls with each request.
    fn responder(&self) -> Responder {
        Responder { seat: Arc::clone(&self.seat), service: Arc::clone(&self.service) }
    }
}

struct Responder {
    seat: Arc<Seat>,
    service: Arc<Service>,
}

impl hyper::service::Service<Request<Incoming>> for Responder {
    type Response = Response<Answer>;
    type Error = Evicted;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Evicted>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        // At once, so that the connection counts as answering from now on.
        let answering = self.seat.answering();
        let service = Arc::clone(&self.service);
        // What a client sends along is nobody's business, and not kept.
        let request = request.map(drop);
        Box::pin(async move { Ok(service.answer(&request, answering.ok_or(Evicted)?).await) })
    }
}

/// Runs the requests of a connection that come over HTTP/2.
#[derive(Clone)]
struct Streams {
    tasks: TaskTracker,
    cut: CancellationToken,
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let cut = self.cut.clone();
        self.tasks.spawn(async move { cut.run_until_cancelled(stream).await });
    }
}
