//! Listeners and connections, with the limits that protect the server from its clients:
//!
//! | limit | value | module |
//! | --- | --- | --- |
//! | open connections | 512, or half of the file descriptors | `connection_limit` |
//! | concurrent scrapes | `--web.max-requests` | `scrape_limit` |
//! | status pages that wait | 256, 30 s | `status` |
//! | password checks that wait | 384, 2 min | `security::password` |
//! | TLS handshake | 10 s | `handshake` |
//! | request headers, from their first byte | 10 s | `header_timeout` |
//! | idle connection | 90 s | `connection` |
//! | HTTP/2 connection before its first request | 10 s | `connection` |
//! | write without progress | 30 s | `write_timeout` |
//! | whole response body | 2 min | `web::body` |
//! | whole response | 150 s | `connection` |

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
pub use listener::{ListenError, Listeners};
