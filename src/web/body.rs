//! A body that is made while it is sent.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use tokio::time::Instant;

/// How long a client may take over a whole body. Prometheus gives up sooner; what
/// takes longer would only hold on to what has long been outdated.
const PATIENCE: Duration = Duration::from_mins(5);

/// Pieces of a body. An empty one means that there is more to do before the next,
/// and that others should have their turn meanwhile.
pub type Pieces = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// A body of which one piece is there at a time: the next is made when the client
/// has taken this one.
pub(super) struct Streamed {
    pieces: Pieces,
    deadline: Instant,
}

/// The client is too slow.
#[derive(Debug, thiserror::Error)]
#[error("the client has not taken the whole body within {} s", PATIENCE.as_secs())]
pub(super) struct TooSlow;

impl Streamed {
    pub(super) fn new(pieces: Pieces) -> Self {
        Self { pieces, deadline: Instant::now() + PATIENCE }
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = TooSlow;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooSlow>>> {
        if Instant::now() > self.deadline {
            return Poll::Ready(Some(Err(TooSlow)));
        }
        match self.pieces.next() {
            None => Poll::Ready(None),
            Some(piece) if piece.is_empty() => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece.into())))),
        }
    }
}
