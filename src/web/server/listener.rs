//! Listening sockets, and the loop that accepts connections.
//!
//! The loop ignores accept errors that concern a single connection. After any other error,
//! such as running out of file descriptors, it pauses before it retries.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tracing::warn;

use crate::printable::excerpt;
use crate::web::server::address::ListenAddress;
use crate::web::server::connection_limit::{ConnectionLimit, ConnectionTicket};

/// How many connections the system queues until they are accepted.
const BACKLOG: i32 = 1024;

/// How long to pause after an accept error that does not concern a single connection. Before
/// the pause, the loop evicts a connection to free its file descriptor.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// The shortest time between two log messages about accept errors.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// Sockets that are bound and listening.
#[derive(Debug)]
pub struct Listeners(Vec<TcpListener>);

/// Why the exporter cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// An address of `--web.listen-address` cannot be bound.
    #[error("cannot listen on {address}")]
    Address {
        /// The address as given in the flag.
        address: ListenAddress,
        /// The error from the operating system.
        source: io::Error,
    },
    /// `LISTEN_FDS` is not a number of sockets.
    #[error(
        "--web.systemd-socket is set, but LISTEN_FDS is `{0}`; expected the number of sockets that systemd has passed"
    )]
    InvalidNumber(String),
    /// systemd has passed no sockets to this process.
    #[error(
        "--web.systemd-socket is set, but systemd has passed no socket; start the exporter through a socket unit with ListenStream=10144, or remove the flag"
    )]
    NoSocket,
    /// A socket that systemd has passed is not a listening TCP socket.
    #[error(
        "cannot listen on socket {number} passed by systemd; expected a listening TCP socket, as from a socket unit with ListenStream=10144 and Accept=no"
    )]
    Socket {
        /// The position of the socket among those passed, counted from 1.
        number: usize,
        /// The error from the operating system.
        source: io::Error,
    },
}

impl Listeners {
    /// Listens on all `addresses`. Port 0 lets the system choose a port.
    ///
    /// # Errors
    /// An address cannot be bound. The sockets of the addresses before it are closed again.
    pub async fn bind(addresses: &[ListenAddress]) -> Result<Self, ListenError> {
        let mut listeners = Vec::with_capacity(addresses.len());
        for address in addresses {
            let listener = bind(address).await.and_then(|listener| {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)
            });
            listeners
                .push(listener.map_err(|source| ListenError::Address { address: address.clone(), source })?);
        }
        Ok(Self(listeners))
    }

    /// Listens on the sockets that systemd has passed to this process (`LISTEN_FDS`). Takes
    /// ownership of them, so a second call finds none.
    ///
    /// # Errors
    /// systemd has passed no socket, or a socket that is not a listening TCP socket.
    pub fn from_systemd() -> Result<Self, ListenError> {
        // `listenfd` reads anything else as 0, and reserves memory for each socket of any number.
        if let Some(number) = std::env::var_os("LISTEN_FDS")
            && number.to_str().is_none_or(|number| number.parse::<u16>().is_err())
        {
            return Err(ListenError::InvalidNumber(excerpt(&number.to_string_lossy())));
        }
        let mut passed = ListenFd::from_env();
        let mut listeners = Vec::with_capacity(passed.len());
        for index in 0..passed.len() {
            let listener = passed.take_tcp_listener(index).and_then(|listener| {
                let listener = listener.ok_or(io::ErrorKind::NotFound)?;
                if !SockRef::from(&listener).is_listener()? {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket does not listen"));
                }
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)
            });
            listeners.push(listener.map_err(|source| ListenError::Socket { number: index + 1, source })?);
        }
        if listeners.is_empty() { Err(ListenError::NoSocket) } else { Ok(Self(listeners)) }
    }

    /// The bound addresses, with the ports that the system has chosen.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    pub(in crate::web) fn into_inner(self) -> Vec<TcpListener> {
        self.0
    }
}

async fn bind(address: &ListenAddress) -> io::Result<StdListener> {
    let Some(host) = address.host() else {
        // One dual-stack IPv6 socket accepts IPv4 as well. Hosts without IPv6 fall back to
        // IPv4 alone.
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
        return listen(any).or_else(|error| match error.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
            _ => listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()))),
        });
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for address in tokio::net::lookup_host((host, address.port())).await? {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Otherwise a restart fails while connections of the old process are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts connections until the future is dropped. Each connection is passed to `serve`, with
/// its place in the queue for admission. The loop itself does not wait for a permit: a client
/// that is refused one must not delay the next.
pub(in crate::web) async fn accept(
    listener: TcpListener,
    limit: &ConnectionLimit,
    mut serve: impl FnMut(TcpStream, ConnectionTicket),
) {
    let mut last_logged: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                if let Some(socket) = limit.socket().await {
                    serve(stream, limit.request(address.ip().into(), socket));
                }
            }
            // The client disconnected while its connection was queued.
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                // An immediate retry would spin until a connection ends, for example if there
                // are no file descriptors left.
                if last_logged.is_none_or(|last| last.elapsed() > LOG_INTERVAL) {
                    warn!(%error, "cannot accept connections");
                    last_logged = Some(Instant::now());
                }
                limit.evict_one();
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
