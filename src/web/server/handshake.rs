//! The TLS handshake, and the reply to clients that speak plain HTTP instead.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::web::server::write_timeout::{TimedTcpStream, with_write_timeout};

pub(in crate::web) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The reply to a plain HTTP request. Go's HTTP server sends the same, so clients and people
/// recognize it.
const PLAIN_HTTP_REPLY: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// How many bytes from a refused client are read before the connection is closed.
const MAX_DISCARDED: u64 = 64 * 1024;

/// Performs the handshake. A client that speaks plain HTTP gets a reply that explains the
/// mistake. `None` if the client has sent nothing, as a port scan or a TCP health check does.
pub(in crate::web) async fn accept(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
) -> io::Result<Option<TlsStream<TimedTcpStream>>> {
    let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
    let mut first = [0];
    let Ok(Ok(1..)) = timeout_at(deadline, stream.peek(&mut first)).await else { return Ok(None) };
    let handshake = async {
        // A TLS record begins with a content type below 32, an HTTP method with a letter.
        if first[0].is_ascii_uppercase() {
            refuse_plain_http(stream).await?;
            return Err(io::Error::other("the client sent an HTTP request to an HTTPS server"));
        }
        match TlsAcceptor::from(tls).accept(with_write_timeout(stream)).into_fallible().await {
            Ok(stream) => Ok(Some(stream)),
            Err((error, stream)) => {
                close(stream).await?;
                Err(error)
            }
        }
    };
    timeout_at(deadline, handshake).await?
}

async fn refuse_plain_http(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(PLAIN_HTTP_REPLY).await?;
    close(stream).await
}

/// Closes the connection after reading what the client has sent. Closing a connection with
/// unread data resets it, and the client could lose the reply or the TLS alert that explains
/// the refusal.
async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(MAX_DISCARDED), &mut tokio::io::sink()).await?;
    Ok(())
}
