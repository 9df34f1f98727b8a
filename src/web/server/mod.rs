//! Listeners and connections, with the limits that protect the server from its clients:
//!
//! | limit | value | module |
//! | --- | --- | --- |
//! | open connections | 512, or half of the file descriptors | `connection_limit` |
//! | open connections of one peer | three quarters of them | `connection_limit` |
//! | new connections that wait for a place | an eighth of them, for 12 s | `connection_limit` |
//! | concurrent scrapes | `--web.max-requests` | `response_limit` |
//! | concurrent status pages and documents | 16 | `response_limit` |
//! | concurrent scrapes, or pages, of one peer | three quarters of the limit | `response_limit` |
//! | concurrent scrapes, or pages, of one connection | a quarter of the limit | `response_limit` |
//! | scrapes, or pages, that wait for a place | 256, for 5 s | `response_limit` |
//! | scrape or page without progress, before it can be evicted | 2 s; 500 ms at its start | `progress` |
//! | scrape or page with progress, before it can be evicted | 10 s | `response_limit` |
//! | password checks that wait | 384, 2 min | `security::password` |
//! | TLS handshake | 10 s | `handshake` |
//! | request headers, from their first byte | 10 s | `header_timeout` |
//! | size of request headers | 64 headers, 16 KiB | `connection` |
//! | idle connection | 90 s | `connection` |
//! | HTTP/2 connection before its first request | 10 s | `connection` |
//! | HTTP/2 streams of a connection | 16 | `connection` |
//! | HTTP/2 streams reset before hyper has seen them | 20 | `connection` |
//! | write without progress | 30 s | `write_timeout` |
//! | whole response body | 2 min | `web::body` |
//! | whole response | 150 s | `connection` |
//!
//! A client that reads nothing can therefore make the server hold:
//!
//! - for each connection, the buffers of TLS and of hyper, each up to 128 KiB
//! - for each scrape, 64 KiB and a chunk, and the snapshot from which the next chunk would come
//! - for each of the 16 status pages, the whole page; for each document instead, 64 KiB, a chunk, a
//!   compressor, and the snapshot of its targets
//! - for any other response, a line of text and its headers
//!
//! Data counts until it has been passed to the socket (see [`tracked_body`]). Places are shared
//! fairly between peers (see [`admission`]).

mod address;
mod admission;
pub(in crate::web) mod connection;
pub(in crate::web) mod connection_limit;
mod handshake;
mod header_timeout;
pub(in crate::web) mod listener;
mod progress;
pub(in crate::web) mod response_limit;
pub(in crate::web) mod service;
mod tracked_body;
mod write_timeout;

pub use address::{InvalidListenAddress, ListenAddress};
pub use listener::{ListenError, Listeners};
