//! The beginning of a connection: TLS, if it is asked for, and who forgot it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::web::server::write_timeout::{Tcp, limited};

/// How long a handshake may take.
pub(in crate::web) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What Go answers.
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// How much of a request is read that is not going to be answered.
const UNREAD: u64 = 64 * 1024;

/// Shakes hands. A client that speaks plain HTTP is told so.
pub(in crate::web) async fn shake(stream: TcpStream, tls: Arc<ServerConfig>) -> io::Result<TlsStream<Tcp>> {
    let shaking = async {
        let mut first = [0];
        // The type of a TLS record is no letter, the first of a method is.
        if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
            tell(stream).await?;
            return Err(io::Error::other("the client sent an HTTP request to an HTTPS server"));
        }
        match TlsAcceptor::from(tls).accept(limited(stream)).into_fallible().await {
            Ok(stream) => Ok(stream),
            Err((error, stream)) => {
                part(stream).await?;
                Err(error)
            }
        }
    };
    tokio::time::timeout(HANDSHAKE_TIMEOUT, shaking).await?
}

async fn tell(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(NOT_TLS).await?;
    part(stream).await
}

/// If we left without reading what was sent, the last that we said could be lost: why
/// there is no answer.
async fn part(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(UNREAD), &mut tokio::io::sink()).await?;
    Ok(())
}
