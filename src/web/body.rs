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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A body of these pieces, and how many of them have been made.
    fn streamed(pieces: Vec<&'static str>) -> (Pin<Box<Streamed>>, Arc<AtomicUsize>) {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let pieces = pieces.into_iter().map(move |piece| {
            count.fetch_add(1, Ordering::Relaxed);
            piece.as_bytes().to_vec()
        });
        (Box::pin(Streamed::new(Box::new(pieces))), made)
    }

    async fn frame(body: &mut Pin<Box<Streamed>>) -> Option<Result<Bytes, TooSlow>> {
        let frame = poll_fn(|context| body.as_mut().poll_frame(context)).await?;
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    #[tokio::test]
    async fn a_piece_is_made_when_the_one_before_is_taken() {
        let (mut body, made) = streamed(vec!["a", "", "", "b"]);
        assert_eq!(made.load(Ordering::Relaxed), 0);
        assert_eq!(frame(&mut body).await.unwrap().unwrap(), "a");
        assert_eq!(made.load(Ordering::Relaxed), 1);
        assert_eq!(frame(&mut body).await.unwrap().unwrap(), "b");
        assert!(frame(&mut body).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_too_long_gets_no_more() {
        let (mut body, _) = streamed(vec!["a", "b", "c"]);
        assert!(frame(&mut body).await.unwrap().is_ok());
        tokio::time::sleep(PATIENCE).await;
        assert!(frame(&mut body).await.unwrap().is_ok());
        tokio::time::sleep(Duration::from_millis(1)).await;
        let error = frame(&mut body).await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the client has not taken the whole body within 300 s");
    }
}
