//! The timeout for writes to a client that stops reading.

use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;

/// How long a write may make no progress before the connection is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A TCP stream whose writes time out.
pub(in crate::web) type TimedTcpStream = Pin<Box<TimeoutStream<TcpStream>>>;

pub(in crate::web) fn with_write_timeout(stream: TcpStream) -> TimedTcpStream {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    Box::pin(stream)
}
