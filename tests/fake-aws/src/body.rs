//! Response bodies, which are sent in parts so that a huge body takes no memory.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};

pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// Length in bytes to which the chunks of large parts are limited.
const CHUNK: usize = 64 * 1024;

/// Number of digits of a number in [`Part::Numbered`].
const DIGITS: usize = 12;

/// A part of a body.
#[derive(Debug)]
pub(crate) enum Part {
    Text(Bytes),
    Repeated {
        text: String,
        times: u64,
    },
    /// Items with consecutive numbers of 12 digits, separated by commas.
    Numbered {
        before: &'static str,
        after: &'static str,
        next: u64,
        end: u64,
    },
}

impl Part {
    /// The length of what is left of the part in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Repeated { text, times } => times.saturating_mul(text.len() as u64),
            Self::Numbered { before, after, next, end } => {
                let item = (before.len() + DIGITS + after.len() + 1) as u64;
                (end - next).saturating_mul(item).saturating_sub(1)
            }
        }
    }

    /// Removes the next chunk of the part. `None` if nothing is left.
    fn next_chunk(&mut self) -> Option<Bytes> {
        if self.len() == 0 {
            return None;
        }
        match self {
            Self::Text(text) => Some(std::mem::take(text)),
            Self::Repeated { text, times } => {
                let count = usize::try_from(*times).unwrap_or(usize::MAX).min((CHUNK / text.len()).max(1));
                *times -= count as u64;
                Some(text.repeat(count).into())
            }
            Self::Numbered { before, after, next, end } => {
                let mut chunk = String::with_capacity(CHUNK + 1024);
                while next < end && chunk.len() < CHUNK {
                    let _ignored = write!(chunk, "{before}{next:0DIGITS$}{after}");
                    *next += 1;
                    if next < end {
                        chunk.push(',');
                    }
                }
                Some(chunk.into())
            }
        }
    }
}

/// A body that is being sent.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) queue: VecDeque<Part>,
    /// What is left of the current chunk.
    chunk: Bytes,
    /// Number of bytes after which the connection breaks, and how.
    break_after: Option<(u64, io::ErrorKind)>,
    /// The delay before each byte.
    dribble: Option<Duration>,
}

impl Parts {
    pub(crate) fn new(text: Bytes) -> Self {
        Self { queue: [Part::Text(text)].into(), chunk: Bytes::new(), break_after: None, dribble: None }
    }

    /// The length of the body in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.queue.iter().map(Part::len).fold(0, u64::saturating_add)
    }

    /// Breaks the connection after half of the body.
    pub(crate) fn break_in_the_middle(&mut self, how: io::ErrorKind) {
        self.break_after = Some((self.len() / 2, how));
    }

    /// Sends one byte at a time, with a delay before each.
    pub(crate) fn dribble(&mut self, delay: Duration) {
        self.dribble = Some(delay);
    }

    pub(crate) fn into_body(self) -> Body {
        StreamBody::new(stream::unfold(self, async |mut parts| {
            let chunk = parts.next().await?;
            Some((chunk.map(Frame::data), parts))
        }))
        .boxed()
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Some((0, how)) = self.break_after {
            // Give hyper time to send the first half before the error closes the connection.
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Some(Err(how.into()));
        }
        while self.chunk.is_empty() {
            match self.queue.front_mut()?.next_chunk() {
                Some(chunk) => self.chunk = chunk,
                None => drop(self.queue.pop_front()),
            }
        }
        let mut length = self.chunk.len();
        if let Some((left, _)) = &mut self.break_after {
            length = length.min(usize::try_from(*left).unwrap_or(usize::MAX));
        }
        if let Some(delay) = self.dribble {
            tokio::time::sleep(delay).await;
            length = length.min(1);
        }
        if let Some((left, _)) = &mut self.break_after {
            *left -= length as u64;
        }
        Some(Ok(self.chunk.split_to(length)))
    }
}

/// A response whose body is sent as a whole.
pub(crate) fn full(response: Response<Bytes>) -> Response<Body> {
    response.map(|body| Full::new(body).map_err(|never| match never {}).boxed())
}

/// Whether serving the connection failed because a body wants it to be reset.
pub(crate) fn is_reset(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    error.is_user() && cause.is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionReset)
}
