//! Sockets that listen, and the loop that accepts.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tracing::warn;

use crate::web::server::address::ListenAddress;
use crate::web::server::connection_limit::{Seat, Seats};

/// How many connections the system may hold until we accept them.
const BACKLOG: i32 = 1024;

/// How long to leave the system alone when it has no room for another
/// connection, beside the one that then has to go.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// How often to say so.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);

/// Sockets that are bound and listen.
#[derive(Debug)]
pub struct Listeners(Vec<TcpListener>);

/// Why it cannot be listened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Address {
        /// The address.
        address: ListenAddress,
        /// Why not.
        source: io::Error,
    },
    /// Nobody has handed sockets to us.
    #[error(
        "systemd has passed no socket: start it by a socket unit with, say, ListenStream=10144, or without --web.systemd-socket"
    )]
    NoSocket,
    /// A socket that has been handed to us is of no use.
    #[error(
        "cannot listen on socket {number} of systemd, which has to be one for TCP, such as of ListenStream=10144, with Accept=no"
    )]
    Socket {
        /// Which, counted from 1.
        number: usize,
        /// Why not.
        source: io::Error,
    },
}

impl Listeners {
    /// Listens on all `addresses`, or on none.
    ///
    /// # Errors
    /// The first address that cannot be listened on.
    pub async fn bind(addresses: &[ListenAddress]) -> Result<Self, BindError> {
        let mut listeners = Vec::with_capacity(addresses.len());
        for address in addresses {
            let listener = bind(address).await.and_then(|listener| {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)
            });
            listeners
                .push(listener.map_err(|source| BindError::Address { address: address.clone(), source })?);
        }
        Ok(Self(listeners))
    }

    /// Listens on the sockets that systemd has passed on. They can be had once only.
    ///
    /// # Errors
    /// There is none, or one that is not for TCP.
    pub fn from_systemd() -> Result<Self, BindError> {
        let mut passed = ListenFd::from_env();
        let mut listeners = Vec::with_capacity(passed.len());
        for index in 0..passed.len() {
            let listener = passed.take_tcp_listener(index).and_then(|listener| {
                let listener = listener.ok_or(io::ErrorKind::NotFound)?;
                if !SockRef::from(&listener).is_listener()? {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"));
                }
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)
            });
            listeners.push(listener.map_err(|source| BindError::Socket { number: index + 1, source })?);
        }
        if listeners.is_empty() { Err(BindError::NoSocket) } else { Ok(Self(listeners)) }
    }

    /// Where they listen.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    pub(in crate::web) fn into_tokio(self) -> Vec<TcpListener> {
        self.0
    }
}

async fn bind(address: &ListenAddress) -> io::Result<StdListener> {
    let Some(host) = address.host() else {
        // All addresses: one IPv6 socket takes IPv4 as well, unless the
        // machine has no IPv6 at all.
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
        return listen(everywhere).or_else(|error| match error.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
            _ => listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()))),
        });
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
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
    // A restart must not wait for the last connections of its predecessor.
    socket.set_reuse_address(true)?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts connections for ever and hands each on with the seat that it has taken.
pub(in crate::web) async fn accept(
    listener: TcpListener,
    seats: &Arc<Seats>,
    mut hand_on: impl FnMut(TcpStream, Seat),
) {
    let mut complained: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // There is always one, if not at once.
                if let Some(seat) = seats.take().await {
                    hand_on(stream, seat);
                }
            }
            // The client went away while it waited; that is its affair.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // No file descriptor, say: trying again at once would only
                // burn a core until some connection ends.
                if complained.is_none_or(|last| last.elapsed() > COMPLAIN_EVERY) {
                    warn!(%error, "cannot accept connections");
                    complained = Some(Instant::now());
                }
                seats.evict();
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
