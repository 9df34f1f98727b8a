//! A small HTTP server that answers as AWS does around SSM resource data
//! syncs: creating, updating, listing and deleting them by SSM,
//! GetCallerIdentity and AssumeRole of STS, listing the accounts and units of
//! Organizations, and `ListRegions` of Account management.
//!
//! It exists because no public stand-in for AWS implements these SSM calls,
//! and is meant for tests and demonstrations: real clients talk to it over a
//! real socket, and it keeps state the way AWS does, for each account (told
//! from the access key) and region (told from the scope of the signature).
//! Signatures themselves are not verified.
//!
//! Any account may be reached with its static key, see [`World::access_key`];
//! all secret keys are taken, and the access keys of other stand-ins if told so,
//! see [`World::trust_foreign_keys`]. A caller may do everything in its
//! account, unless it is a session with a policy. [`Fault`]s make it misbehave
//! on request.
//!
//! ```
//! # async fn example() -> std::io::Result<()> {
//! use fake_aws::{FakeAws, World};
//!
//! let world = World::new();
//! world.add_account("111122223333");
//! let server = FakeAws::start(world, "127.0.0.1:0").await?;
//! println!("AWS_ENDPOINT_URL={}", server.url());
//! # Ok(())
//! # }
//! ```

mod account;
mod fault;
mod lifecycle;
mod organizations;
mod paging;
mod policy;
mod reply;
mod server;
mod service;
mod sigv4;
mod ssm;
mod sts;
mod validate;
mod world;

pub use fault::{Fault, FaultRule};
pub use lifecycle::Rhythm;
pub use server::FakeAws;
pub use world::{Assumed, SyncKind, World};
