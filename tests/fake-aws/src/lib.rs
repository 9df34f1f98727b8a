//! A fake AWS server for tests and demos of SSM resource data syncs.
//!
//! It supports these calls:
//!
//! - SSM: creating, updating, listing and deleting resource data syncs, and
//!   `DescribeInstanceInformation`, which lists the managed nodes
//! - STS: `GetCallerIdentity` and `AssumeRole`
//! - Organizations: describing the organization and listing its roots, units and accounts
//! - Account Management: `ListRegions`
//! - IAM: reading and changing the policies of roles and users
//!
//! No public AWS emulator implements the SSM calls. Clients connect over a real socket. State is
//! kept per account, which is taken from the access key, and per region, which is taken from the
//! credential scope of the signature. Signatures are not verified, but a request that was signed
//! more than five minutes ago or ahead is rejected.
//!
//! Every account has a static access key, see [`World::access_key`], that works with any secret
//! key. Access keys of other emulators are accepted after [`World::trust_foreign_keys`]. A caller
//! may do everything in its own account until it is given policies, for example with
//! [`World::set_policies`] or [`World::attach_policy`]. They are evaluated as by AWS, and denied calls
//! fail with AWS's messages. A [`Fault`] makes calls fail.
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
mod authorization;
mod body;
mod control;
mod effects;
mod fault;
mod iam;
mod nodes;
mod organizations;
mod paging;
mod policy;
mod reply;
mod schedule;
mod server;
mod service;
mod sigv4;
mod ssm;
mod sts;
mod validate;
mod world;

pub use fault::{Fault, FaultRule};
pub use schedule::RunSchedule;
pub use server::FakeAws;
pub use world::{AssumedRole, Identity, OrganizationPolicyType, SessionCredentials, SyncKind, World};
