//! One connection, from its first byte to its last.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::routes::Routes;

/// How long a client may take over the head of a request. It is also how long
/// a connection may idle between two, so it is above Prometheus's usual
/// intervals.
const HEADER_TIMEOUT: Duration = Duration::from_secs(90);

/// How long the system may find no room for more of an answer before the client
/// is dropped. On a fast network it finds room in steps of up to a megabyte, so who
/// is slower than that may be dropped in the midst of a large answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Far more than a request for metrics has to say.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// How much of an answer is held for a client that is slower than we are, and the
/// piece that exceeds it.
const MAX_WAITING_BYTES: usize = 128 * 1024;

/// Serves requests on `stream` until the client leaves or `shutdown`. A
/// request that is then being answered has `drain` to end.
pub(super) async fn serve(
    stream: TcpStream,
    routes: Arc<Routes>,
    shutdown: CancellationToken,
    drain: Duration,
) {
    // We write all that there is; waiting for more would only delay it.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot set TCP_NODELAY");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let stream = Box::pin(stream);
    let service = service_fn(|request| {
        let routes = &routes;
        async move { Ok::<_, std::convert::Infallible>(routes.answer(&request).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEADER_BYTES)
            .max_buf_size(MAX_WAITING_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => Ok(ended),
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(drain, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection broke"),
        Err(_) => debug!("a connection was cut to shut down in time"),
    }
}
