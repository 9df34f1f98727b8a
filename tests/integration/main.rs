//! The exporter as a whole: the real daemon, driven in process or as a program,
//! against fake-aws over loopback sockets.
//!
//! `cargo test` runs all that needs nothing but Rust. `tests/run` installs what
//! the rest needs, a Python with boto3, moto, `prometheus_client` and checkers of what is
//! in `deploy/`, Prometheus with promtool, `node_exporter`, curl, Helm, and Chromium with
//! playwright-core, and runs everything;
//! there a missing tool is an error.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
#![expect(clippy::float_cmp, reason = "the values are exact, as they were sent")]
#![expect(clippy::cast_precision_loss, reason = "whole seconds of this century")]

mod browser;
mod clients;
mod deploy;
mod exporter;
mod exposition;
mod faults;
mod fire;
mod fleet;
mod formats;
mod http;
mod once;
mod organization;
mod program;
mod prometheus;
mod reload;
mod secrets;
mod secure;
mod soak;
mod status;
mod tools;
mod web;
