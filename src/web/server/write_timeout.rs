//! What a connection goes over.

use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;

/// How long the system may find no room for more of an answer before the client
/// is dropped. On a fast network it finds room in steps of up to a megabyte, so who
/// is slower than that may be dropped in the midst of a large answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// TCP with a limit on how long nothing of an answer can be written.
pub(in crate::web) type Tcp = Pin<Box<TimeoutStream<TcpStream>>>;

/// Sets the limit.
pub(in crate::web) fn limited(stream: TcpStream) -> Tcp {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    Box::pin(stream)
}
