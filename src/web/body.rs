//! A response body that is produced while it is sent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::Instant;

/// How long a client may take to read a body. The timeout is checked when there is room for
/// the next chunk. Prometheus gives up sooner, and a body that is still being sent keeps an
/// outdated snapshot in memory.
const BODY_TIMEOUT: Duration = Duration::from_mins(2);

/// How many chunks are produced before the task yields. A client that reads as fast as
/// the body is written would otherwise occupy the thread until the end of the body.
const CHUNKS_PER_YIELD: u32 = 16;

/// How much of a text is copied into one chunk.
const TEXT_CHUNK: usize = 32 * 1024;

/// The chunks of a body, produced on demand. An empty chunk means that producing the next
/// one takes more work, and that the task should yield first.
pub type BodyChunks = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// A body that produces its next chunk when the connection has room for it, so that only a
/// few chunks are in memory.
pub(in crate::web) struct StreamingBody {
    chunks: BodyChunks,
    /// How many bytes are left, if that is known.
    length: Option<u64>,
    deadline: Instant,
    chunks_since_yield: u32,
    yielding: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// The error of a body whose client reads too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the client did not read the response body within {} s", BODY_TIMEOUT.as_secs())]
pub(in crate::web) struct BodyTimeout;

impl StreamingBody {
    pub(in crate::web) fn new(chunks: BodyChunks) -> Self {
        let deadline = Instant::now() + BODY_TIMEOUT;
        Self { chunks, length: None, deadline, chunks_since_yield: 0, yielding: None }
    }

    /// A body of known length. The chunks are copies, so that the last ones do not keep the whole
    /// text in memory while the connection buffers them.
    pub(in crate::web) fn of_text(text: String) -> Self {
        let length = text.len() as u64;
        let chunks = (0..text.len()).step_by(TEXT_CHUNK).map(move |start| {
            let end = text.len().min(start + TEXT_CHUNK);
            text.as_bytes()[start..end].to_vec()
        });
        Self { length: Some(length), ..Self::new(Box::new(chunks)) }
    }

    /// Yields, so that the runtime polls other tasks, sockets and timers.
    fn poll_yield(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // Two yields, because hyper polls a pending body once more before it returns.
        let yielding = self.yielding.get_or_insert_with(|| {
            Box::pin(async {
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            })
        });
        ready!(yielding.as_mut().poll(context));
        self.yielding = None;
        self.chunks_since_yield = 0;
        Poll::Ready(())
    }
}

impl Body for StreamingBody {
    type Data = Bytes;
    type Error = BodyTimeout;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyTimeout>>> {
        if Instant::now() > self.deadline {
            return Poll::Ready(Some(Err(BodyTimeout)));
        }
        loop {
            if self.yielding.is_some() || self.chunks_since_yield >= CHUNKS_PER_YIELD {
                ready!(self.poll_yield(context));
            }
            match self.chunks.next() {
                None => return Poll::Ready(None),
                Some(chunk) if chunk.is_empty() => self.chunks_since_yield = CHUNKS_PER_YIELD,
                Some(chunk) => {
                    self.chunks_since_yield += 1;
                    let left = |length: u64| length.saturating_sub(chunk.len() as u64);
                    self.length = self.length.map(left);
                    return Poll::Ready(Some(Ok(Frame::data(chunk.into()))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A body of `chunks`, and a count of those that have been produced.
    fn body_of(chunks: Vec<&'static str>) -> (Pin<Box<StreamingBody>>, Arc<AtomicUsize>) {
        let produced = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&produced);
        let chunks = chunks.into_iter().map(move |chunk| {
            count.fetch_add(1, Ordering::Relaxed);
            chunk.as_bytes().to_vec()
        });
        (Box::pin(StreamingBody::new(Box::new(chunks))), produced)
    }

    async fn frame(body: &mut Pin<Box<StreamingBody>>) -> Option<Result<Bytes, BodyTimeout>> {
        let frame = poll_fn(|context| body.as_mut().poll_frame(context)).await?;
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    #[tokio::test]
    async fn a_chunk_is_produced_only_when_the_body_is_polled() {
        let (mut body, produced) = body_of(vec!["a", "", "", "b"]);
        assert_eq!(produced.load(Ordering::Relaxed), 0);
        assert_eq!(frame(&mut body).await.unwrap().unwrap(), "a");
        assert_eq!(produced.load(Ordering::Relaxed), 1);
        assert_eq!(frame(&mut body).await.unwrap().unwrap(), "b");
        assert!(frame(&mut body).await.is_none());
    }

    #[tokio::test]
    async fn the_task_yields_even_if_the_body_is_polled_twice() {
        let (mut body, produced) = body_of(vec!["", "a"]);
        let mut polls = 0;
        poll_fn(|context| {
            polls += 1;
            // As hyper does when its buffer is empty.
            let _first = body.as_mut().poll_frame(context).is_ready();
            match body.as_mut().poll_frame(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(_) => Poll::Ready(()),
            }
        })
        .await;
        assert_eq!((polls, produced.load(Ordering::Relaxed)), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_gets_an_error() {
        let (mut body, _) = body_of(vec!["a", "b", "c"]);
        assert!(frame(&mut body).await.unwrap().is_ok());
        tokio::time::sleep(BODY_TIMEOUT).await;
        assert!(frame(&mut body).await.unwrap().is_ok());
        tokio::time::sleep(Duration::from_millis(1)).await;
        let error = frame(&mut body).await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the client did not read the response body within 120 s");
    }

    #[tokio::test]
    async fn a_text_is_sent_in_chunks_and_its_length_is_known() {
        for length in [0, 1, TEXT_CHUNK, TEXT_CHUNK + 1, 3 * TEXT_CHUNK] {
            let text = "x".repeat(length);
            let mut body = Box::pin(StreamingBody::of_text(text.clone()));
            assert_eq!(body.size_hint().exact(), Some(length as u64));
            let mut received = Vec::new();
            while let Some(chunk) = frame(&mut body).await {
                let chunk = chunk.unwrap();
                assert!(chunk.len() <= TEXT_CHUNK);
                received.extend_from_slice(&chunk);
                assert_eq!(body.size_hint().exact(), Some((length - received.len()) as u64));
            }
            assert_eq!(received, text.as_bytes());
            assert!(body.is_end_stream());
        }
    }
}
