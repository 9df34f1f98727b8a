//! A Prometheus exporter for AWS Systems Manager resource data syncs.
//!
//! The daemon periodically lists the syncs of every target (an account in a region) and
//! serves their state as metrics. It changes nothing in AWS.
//!
//! # Data flow
//!
//! At startup, on reload and whenever the organization changes, the configuration becomes
//! a list of targets:
//!
//! ```text
//!  file, environment          accounts, region patterns       accounts × enabled regions
//! ──────────────────▶ config ──────────────────────────▶ discovery ───────────▶ scheduler
//!                     validates                          lists accounts         decides when each
//!                     everything once                    and regions (aws)      target is collected
//! ```
//!
//! Once per interval, the syncs of each target are collected for later scrapes:
//!
//! ```text
//!            ListResourceDataSync     DataSync              target state
//! scheduler ─────▶ collector ───────────────────▶ snapshot ──────────────▶ health
//! starts a         calls AWS, converts (aws)      keeps the last good      one verdict for each
//! collection       the answer to plain data       collection               sync and target
//!                                                                             │
//!             renders once per collection, serves every scrape from it:       ├──▶ metrics ──▶ web
//!             the page and the API:                                           ├──▶ status ───▶ web
//!             one-shot mode:                                                  └──▶ once
//! ```
//!
//! [`app`] builds and connects the stages of the daemon and applies new configurations.
//! [`once`] connects the same stages, runs each target once and writes the result instead
//! of serving it. [`doctor`] does the same and writes which steps failed, and what to do about
//! them. [`readiness`] decides whether `/-/ready` succeeds. The plain types that
//! stages exchange are in [`fleet`] (what is polled) and [`model`] (what AWS reports).
//!
//! # Dependency order
//!
//! A module imports only modules on lines below its own. `tests/integration/layering.rs`
//! checks this.
//!
//! ```text
//! cli fuzzing
//! once doctor
//! app
//! config
//! discovery scheduler
//! collector
//! metrics status
//! health aws web
//! readiness terminal
//! snapshot expectations
//! fleet failure_log
//! logging systemd
//! clock
//! model negotiation gate
//! duration error_chain file printable suggestion wildcard build_info signals
//! ```
//!
//! Each external crate stays in one place: the AWS SDK in [`aws`] and the two modules that
//! make calls through it, [`discovery`] and [`collector`]; `prometheus` in [`metrics`];
//! `maud` in `status`; `hyper` and `rustls` in [`web`] (and the errors of `hyper` in [`aws`]);
//! `figment` in [`config`]; `clap` in [`cli`] and [`logging`], and what writes completions and the
//! manual page in [`cli`]; progress bars, terminal colours and the width of characters in
//! [`terminal`].
//!
//! # Invariants
//!
//! - A scrape does no I/O apart from reading `/proc` for the process metrics. It never waits
//!   for a collection and does not fail when AWS does.
//! - Everything that changes only with a collection is rendered and compressed once per
//!   collection. A scrape concatenates the results.
//! - A failing target is exported as down with a reason, and its last good syncs are served
//!   for a limited time. An unknown value has no series; it is never exported as 0.
//! - Targets do not delay each other. All they share is the limit on concurrent collections
//!   and, within an account, the requests for credentials.
//! - An AWS response affects only the target or lookup that it is for. Its size is limited, and
//!   nothing that the SDK remembers from it affects another target.
//! - Discovery keeps the last known accounts, organizational units and regions when a lookup fails.
//! - Every task is owned, every wait has a deadline, and every queue has a bound.
//! - Nothing waits for the reader of stderr or for the service manager.
//! - There are no globals except the log of events and of panics: clock, counters and
//!   cancellation are passed in.
//!
//! # Example
//!
//! The daemon in process, as the integration tests run it:
//!
//! ```no_run
//! use ssm_sync_exporter::app::{App, Options};
//! use ssm_sync_exporter::clock::Clock;
//! use ssm_sync_exporter::config::Config;
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load(None, std::env::vars_os())?;
//! let app = App::build(config, Options::new("127.0.0.1:0".parse()?), Clock::system()).await?;
//! let addresses = app.local_addresses();
//! let shutdown = CancellationToken::new();
//! // `app.run` returns soon after another task cancels `shutdown`.
//! app.run(shutdown).await?;
//! # Ok(())
//! # }
//! ```

pub mod app;
pub mod aws;
pub mod build_info;
pub mod cli;
pub mod clock;
pub mod collector;
pub mod config;
pub mod discovery;
pub mod doctor;
mod duration;
mod error_chain;
mod expectations;
mod failure_log;
mod file;
pub mod fleet;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gate;
pub mod health;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod negotiation;
pub mod once;
mod printable;
pub mod readiness;
pub mod scheduler;
pub mod signals;
pub mod snapshot;
mod status;
mod suggestion;
pub mod systemd;
pub mod terminal;
pub mod web;
mod wildcard;
