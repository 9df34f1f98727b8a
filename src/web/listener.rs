//! Sockets that listen, and the loop that accepts.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use super::address::ListenAddress;

/// How many connections the system may hold until we accept them.
const BACKLOG: i32 = 1024;

/// How long to leave the system alone when it has no room for another
/// connection.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

/// Sockets that are bound and listen.
#[derive(Debug)]
pub struct Listeners(Vec<TcpListener>);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    address: ListenAddress,
    source: io::Error,
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
            listeners.push(listener.map_err(|source| BindError { address: address.clone(), source })?);
        }
        Ok(Self(listeners))
    }

    /// Where they listen.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    pub(super) fn into_tokio(self) -> Vec<TcpListener> {
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

/// Accepts connections for ever and hands each on with the permit that it has
/// to hold. Without a free permit none is accepted.
pub(super) async fn accept(
    listener: TcpListener,
    permits: Arc<Semaphore>,
    mut hand_on: impl FnMut(TcpStream, OwnedSemaphorePermit),
) {
    let mut failing = false;
    // The semaphore is never closed.
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                failing = false;
                hand_on(stream, permit);
            }
            // The client went away while it waited; that is its affair.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // No file descriptor, say: trying again at once would only
                // burn a core until some connection ends.
                if !std::mem::replace(&mut failing, true) {
                    warn!(%error, "cannot accept connections");
                }
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
