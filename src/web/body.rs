//! A body that is made while it is sent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use tokio::time::Instant;

/// How long a client may take over a body, about: it is looked at when there is room
/// for the next piece. Prometheus gives up sooner, and what is still being sent then holds on to
/// what has long been outdated.
const PATIENCE: Duration = Duration::from_mins(2);

/// After how many pieces others have their turn: a client that reads as fast as we
/// write would otherwise never let go of the thread.
const PIECES: u32 = 16;

/// Pieces of a body. An empty one means that there is more to do before the next,
/// and that others should have their turn meanwhile.
pub type Pieces = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// A body of which few pieces are there at a time: the next is made when there is
/// room for it on the way to the client.
pub(in crate::web) struct Streamed {
    pieces: Pieces,
    deadline: Instant,
    /// How many pieces there have been since others had their turn.
    run: u32,
    /// While others have it.
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// The client is too slow.
#[derive(Debug, thiserror::Error)]
#[error("the client has not taken the whole body within {} s", PATIENCE.as_secs())]
pub(in crate::web) struct TooSlow;

impl Streamed {
    pub(in crate::web) fn new(pieces: Pieces) -> Self {
        Self { pieces, deadline: Instant::now() + PATIENCE, run: 0, pause: None }
    }

    /// Lets others have their turn, those who wait for sockets and timers too.
    fn poll_pause(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // Twice: hyper asks once more before it lets go of the thread.
        let pause = self.pause.get_or_insert_with(|| {
            Box::pin(async {
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            })
        });
        ready!(pause.as_mut().poll(context));
        self.pause = None;
        self.run = 0;
        Poll::Ready(())
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
        loop {
            if self.pause.is_some() || self.run >= PIECES {
                ready!(self.poll_pause(context));
            }
            match self.pieces.next() {
                None => return Poll::Ready(None),
                Some(piece) if piece.is_empty() => self.run = PIECES,
                Some(piece) => {
                    self.run += 1;
                    return Poll::Ready(Some(Ok(Frame::data(piece.into()))));
                }
            }
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

    #[tokio::test]
    async fn others_have_their_turn_even_if_it_is_asked_twice() {
        let (mut body, made) = streamed(vec!["", "a"]);
        let mut asked = 0;
        poll_fn(|context| {
            asked += 1;
            // As hyper does when all that there was has gone out.
            let _first = body.as_mut().poll_frame(context).is_ready();
            match body.as_mut().poll_frame(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(_) => Poll::Ready(()),
            }
        })
        .await;
        assert_eq!((asked, made.load(Ordering::Relaxed)), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_too_long_gets_no_more() {
        let (mut body, _) = streamed(vec!["a", "b", "c"]);
        assert!(frame(&mut body).await.unwrap().is_ok());
        tokio::time::sleep(PATIENCE).await;
        assert!(frame(&mut body).await.unwrap().is_ok());
        tokio::time::sleep(Duration::from_millis(1)).await;
        let error = frame(&mut body).await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the client has not taken the whole body within 120 s");
    }
}
