//! The TLS handshake, and the reply to clients that speak plain HTTP instead.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
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
/// mistake.
pub(in crate::web) async fn accept(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
) -> io::Result<TlsStream<TimedTcpStream>> {
    let handshake = async {
        let mut first = [0];
        // A TLS record begins with a content type below 32, an HTTP method with a letter.
        if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
            refuse_plain_http(stream).await?;
            return Err(io::Error::other("the client sent an HTTP request to an HTTPS server"));
        }
        match TlsAcceptor::from(tls).accept(with_write_timeout(stream)).into_fallible().await {
            Ok(stream) => Ok(stream),
            Err((error, stream)) => {
                close(stream).await?;
                Err(error)
            }
        }
    };
    tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await?
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
