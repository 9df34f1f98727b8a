//! The timeout for request headers, counted from their first byte.
//!
//! hyper's `header_read_timeout` starts at the end of the previous request. It therefore
//! has to be as long as the idle timeout, far too long for a client that sends its
//! headers byte by byte.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::web::server::connection_limit::RequestCounter;

/// How long a client may take to send the headers of a request.
pub(in crate::web) const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A stream whose reads fail when the headers of a request take too long.
pub(in crate::web) struct HeaderTimeout<S> {
    stream: S,
    counter: RequestCounter,
    /// The number of the request whose headers are being read, and its timeout.
    reading: Option<(u64, Pin<Box<Sleep>>)>,
}

impl<S> HeaderTimeout<S> {
    pub(in crate::web) fn new(stream: S, counter: RequestCounter) -> Self {
        Self { stream, counter, reading: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeaderTimeout<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // `None` while the connection is busy. The timeout does not apply then.
        let awaited_request = this.counter.next_request_number();
        if this.reading.as_ref().is_some_and(|(request, _)| awaited_request != Some(*request)) {
            this.reading = None;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some(request) = awaited_request.filter(|_| buffer.filled().len() > before) {
            this.reading.get_or_insert_with(|| (request, Box::pin(sleep(HEADER_TIMEOUT))));
        }
        // Checked even when bytes were read, because bytes might keep arriving one by one.
        if this.reading.as_mut().is_some_and(|(_, timeout)| timeout.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeaderTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::{Instant, advance};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::web::server::connection_limit::{ConnectionLimit, ConnectionPermit};

    async fn permit() -> ConnectionPermit {
        let peer = IpAddr::from([192, 0, 2, 1]).into();
        ConnectionLimit::new(1).acquire(peer).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn headers_time_out_from_their_first_byte() {
        let permit = permit().await;
        let (mut client, server) = duplex(64);
        let mut server = HeaderTimeout::new(server, permit.request_counter());
        // The idle time before the first byte does not count.
        advance(Duration::from_hours(1)).await;
        client.write_all(b"a").await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), b'a');
        let before = Instant::now();
        let drip = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if client.write_all(b"b").await.is_err() {
                    return;
                }
            }
        };
        let read = async { while server.read_u8().await.is_ok() {} };
        tokio::select! {
            () = drip => {}
            () = read => {}
        }
        assert_eq!(before.elapsed(), HEADER_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn every_request_has_its_own_timeout() {
        let permit = permit().await;
        let (mut client, server) = duplex(64);
        let mut server = HeaderTimeout::new(server, permit.request_counter());
        for _ in 0..5 {
            client.write_all(b"a").await.unwrap();
            assert_eq!(server.read_u8().await.unwrap(), b'a');
            advance(HEADER_TIMEOUT / 2).await;
            let active = permit.begin_request(CancellationToken::new()).unwrap();
            advance(HEADER_TIMEOUT).await;
            // The timeout does not apply to the body of a request.
            client.write_all(b"b").await.unwrap();
            assert_eq!(server.read_u8().await.unwrap(), b'b');
            drop(active);
            advance(HEADER_TIMEOUT).await;
        }
    }
}
