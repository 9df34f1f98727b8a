//! Listeners, connections, and their limits and timeouts.

mod address;
pub(in crate::web) mod connection;
pub(in crate::web) mod connection_limit;
mod handshake;
mod header_timeout;
pub(in crate::web) mod listener;
pub(in crate::web) mod scrape_limit;
pub(in crate::web) mod service;
mod write_timeout;

pub use address::{InvalidListenAddress, ListenAddress};
pub use listener::{BindError, Listeners};
