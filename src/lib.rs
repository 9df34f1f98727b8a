//! A Prometheus exporter for AWS Systems Manager resource data syncs.
//!
//! Data flows one way:
//!
//! ```text
//! config ─▶ discovery ─▶ scheduler ─▶ collector ─▶ snapshot ─▶ metrics ─▶ web
//! what is   which        when each    its syncs,   what is     families   HTTP
//! asked     targets      is polled    from AWS     known
//! ```
//!
//! Each stage is a module of that name; [`status`], the page for people, stands beside
//! metrics. A stage may know what stands to its
//! right and the plain types of [`model`], [`target`], [`negotiation`] and [`clock`],
//! never what stands to its left; only [`app`] knows them all, and [`once`] beside it.
//! A target is an account in a region. Each outside crate has one room: the AWS SDK is
//! in [`aws`] and the two that make calls through it, [`discovery`] and [`collector`];
//! `prometheus` is in [`metrics`], maud in [`status`], hyper and rustls in [`web`],
//! figment in [`config`], clap in [`cli`] and [`logging`], and what draws bars and tables
//! in [`once`].
//!
//! Beside the flow, [`security`] hands on from [`config`] to [`web`] who may ask and how,
//! whenever that changes. [`once`] stands in the place of [`web`] where nothing is
//! served: it lets every target have one collection and writes what is known then.
//!
//! What holds everywhere:
//!
//! - A scrape does no I/O, but for what `/proc` says of the process, waits for nobody
//!   and does not fail because AWS does.
//! - What changes only with a collection is written and compressed once for each,
//!   and a scrape strings it together while it is sent.
//! - A target that fails is data: it shows as down with a reason, and its last
//!   good syncs stay for a while. Where nothing is known there is no series,
//!   and never a 0.
//! - No target waits for what becomes of another. All they share is the limit on
//!   collections under way and, within an account, the request for credentials.
//! - What cannot be found out anew stays as it was: no account goes because a
//!   question failed.
//! - There are no globals: clock, counters and cancellation are passed in.
//! - It only ever reads from AWS.
//!
//! The tests drive the daemon from here, in process: see [`app::App`].

pub mod app;
pub mod aws;
pub mod build_info;
pub mod cli;
pub mod clock;
pub mod collector;
pub mod config;
pub mod discovery;
mod duration;
mod error_chain;
pub mod fleet;
mod health;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod negotiation;
pub mod once;
pub mod readiness;
pub mod scheduler;
pub mod signals;
pub mod snapshot;
mod status;
pub mod systemd;
pub mod web;
