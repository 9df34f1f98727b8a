//! Response bodies whose parts are counted until they have been passed to the socket.
//!
//! hyper drops a body as soon as it has taken the last chunk, while its connection may still
//! buffer that chunk for a client that does not read. Every chunk therefore holds what the
//! response holds: its place under a limit, and the state of its connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use hyper::body::{Body as HttpBody, Buf, Bytes, Frame, SizeHint};
use parking_lot::Mutex;

use crate::web::response::Body;
use crate::web::server::connection_limit::ActiveRequest;
use crate::web::server::response_limit::ResponsePermit;

/// How much of an HTTP/2 response is buffered before the next chunk is produced.
const MAX_UNSENT: usize = 64 * 1024;

/// A response body that holds the permit of its response, and keeps the connection busy, until
/// it has been sent or dropped.
pub(in crate::web) struct TrackedBody {
    body: Pin<Box<Body>>,
    sending: Arc<Sending>,
    /// Over HTTP/2, the body does not end before its last chunk has been sent. The task of the
    /// request therefore stays alive, so that cancelling the request resets the stream.
    is_http2: bool,
    has_ended: bool,
}

/// A part of a body.
pub(in crate::web) struct TrackedChunk {
    bytes: Bytes,
    sending: Arc<Sending>,
}

struct Sending {
    unsent: Mutex<Unsent>,
    request: ActiveRequest,
    _permit: Option<ResponsePermit>,
}

#[derive(Default)]
struct Unsent {
    bytes: usize,
    /// The task that waits until there is less.
    waker: Option<Waker>,
}

impl TrackedBody {
    pub(in crate::web) fn new(
        body: Body,
        permit: Option<ResponsePermit>,
        request: ActiveRequest,
        is_http2: bool,
    ) -> Self {
        request.progress().begin();
        let sending = Sending { unsent: Mutex::default(), request, _permit: permit };
        Self { body: Box::pin(body), sending: Arc::new(sending), is_http2, has_ended: false }
    }
}

impl Sending {
    fn poll_unsent_at_most(&self, limit: usize, context: &Context<'_>) -> Poll<()> {
        let mut unsent = self.unsent.lock();
        if unsent.bytes <= limit {
            return Poll::Ready(());
        }
        unsent.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Called when bytes have been sent or dropped.
    fn remove_unsent(&self, bytes: usize) {
        let waker = {
            let mut unsent = self.unsent.lock();
            unsent.bytes -= bytes;
            unsent.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl HttpBody for TrackedBody {
    type Data = TrackedChunk;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<TrackedChunk>, Self::Error>>> {
        if self.is_http2 {
            let limit = if self.has_ended { 0 } else { MAX_UNSENT };
            ready!(self.sending.poll_unsent_at_most(limit, context));
        }
        let frame = if self.has_ended { None } else { ready!(self.body.as_mut().poll_frame(context)) };
        let Some(frame) = frame else {
            self.has_ended = true;
            if self.is_http2 {
                ready!(self.sending.poll_unsent_at_most(0, context));
            }
            return Poll::Ready(None);
        };
        Poll::Ready(Some(frame.map(|frame| {
            frame.map_data(|bytes| {
                self.sending.unsent.lock().bytes += bytes.len();
                TrackedChunk { bytes, sending: Arc::clone(&self.sending) }
            })
        })))
    }

    fn is_end_stream(&self) -> bool {
        let has_unsent = || self.sending.unsent.lock().bytes > 0;
        self.body.is_end_stream() && !(self.is_http2 && has_unsent())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Buf for TrackedChunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.sending.request.progress().sent(count);
        self.sending.remove_unsent(count);
    }
}

impl Drop for TrackedChunk {
    fn drop(&mut self) {
        self.sending.remove_unsent(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::IpAddr;

    use http_body_util::Either;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::web::body::StreamingBody;
    use crate::web::server::connection_limit::{ConnectionLimit, ConnectionPermit};

    async fn connect() -> ConnectionPermit {
        ConnectionLimit::new(1).acquire(IpAddr::from([192, 0, 2, 1]).into()).await.unwrap()
    }

    fn body(connection: &ConnectionPermit, chunks: &[usize], is_http2: bool) -> Pin<Box<TrackedBody>> {
        let chunks: Vec<Vec<u8>> = chunks.iter().map(|length| vec![0; *length]).collect();
        let body = Either::Right(StreamingBody::new(Box::new(chunks.into_iter())));
        let request = connection.begin_request(CancellationToken::new()).unwrap();
        Box::pin(TrackedBody::new(body, None, request, is_http2))
    }

    /// The next chunk; `None` at the end of the body.
    async fn next(body: &mut Pin<Box<TrackedBody>>) -> Option<TrackedChunk> {
        let frame = poll_fn(|context| body.as_mut().poll_frame(context)).await?;
        Some(frame.ok().unwrap().into_data().ok().unwrap())
    }

    fn is_pending(body: &mut Pin<Box<TrackedBody>>) -> bool {
        body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[tokio::test]
    async fn a_connection_is_busy_until_the_last_chunk_has_been_sent() {
        let connection = connect().await;
        let is_idle = || connection.request_counter().next_request_number().is_some();
        let mut body = body(&connection, &[10], false);
        let mut chunk = next(&mut body).await.unwrap();
        assert!(next(&mut body).await.is_none());
        drop(body);
        assert!(!is_idle());
        chunk.advance(10);
        assert!(!is_idle(), "hyper drops the chunk when it has sent it");
        drop(chunk);
        assert!(is_idle());
    }

    #[tokio::test]
    async fn over_http2_a_body_ends_when_it_has_been_sent() {
        let connection = connect().await;
        let mut body = body(&connection, &[10], true);
        let mut chunk = next(&mut body).await.unwrap();
        assert!(is_pending(&mut body));
        chunk.advance(9);
        assert!(is_pending(&mut body));
        chunk.advance(1);
        assert!(next(&mut body).await.is_none());
    }

    #[tokio::test]
    async fn over_http2_no_chunk_is_produced_while_much_is_unsent() {
        let connection = connect().await;
        let mut body = body(&connection, &[MAX_UNSENT, 1, 1], true);
        let first = next(&mut body).await.unwrap();
        let _second = next(&mut body).await.unwrap();
        assert!(is_pending(&mut body));
        // A chunk that is dropped will never be sent.
        drop(first);
        assert!(next(&mut body).await.is_some());
    }
}
