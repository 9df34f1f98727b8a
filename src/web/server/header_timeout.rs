//! A connection on which a request, once begun, has to get somewhere.
//!
//! hyper's own limit counts from the end of the request before, so it has to be as
//! long as a connection may idle.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::web::server::connection_limit::Pace;

/// How long a client may take over the head of a request, from its first byte.
pub(in crate::web) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads fail when the head of a request takes too long.
pub(in crate::web) struct Paced<S> {
    stream: S,
    pace: Pace,
    /// Of which request, and until when.
    head: Option<(u64, Pin<Box<Sleep>>)>,
}

impl<S> Paced<S> {
    pub(in crate::web) fn new(stream: S, pace: Pace) -> Self {
        Self { stream, pace, head: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let waits_for = this.pace.waits_for();
        if this.head.as_ref().is_some_and(|(request, _)| waits_for != Some(*request)) {
            this.head = None;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some(request) = waits_for.filter(|_| buffer.filled().len() > before) {
            this.head.get_or_insert_with(|| (request, Box::pin(sleep(HEAD_TIMEOUT))));
        }
        // Looked at whatever was read: it might come in single bytes.
        if this.head.as_mut().is_some_and(|(_, timeout)| timeout.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::{Instant, advance};

    use super::*;
    use crate::web::server::connection_limit::Seats;

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_from_its_first_byte() {
        let seat = Seats::new(1).take().await.unwrap();
        let (mut client, server) = duplex(64);
        let mut server = Paced::new(server, seat.pace());
        // Before it, the connection may idle.
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
        assert_eq!(before.elapsed(), HEAD_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn every_request_has_a_time_of_its_own() {
        let seat = Seats::new(1).take().await.unwrap();
        let (mut client, server) = duplex(64);
        let mut server = Paced::new(server, seat.pace());
        for _ in 0..5 {
            client.write_all(b"a").await.unwrap();
            assert_eq!(server.read_u8().await.unwrap(), b'a');
            advance(HEAD_TIMEOUT / 2).await;
            let answering = seat.answering().unwrap();
            advance(HEAD_TIMEOUT).await;
            // As its body may be read.
            client.write_all(b"b").await.unwrap();
            assert_eq!(server.read_u8().await.unwrap(), b'b');
            drop(answering);
            advance(HEAD_TIMEOUT).await;
        }
    }
}
