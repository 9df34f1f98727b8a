//! The snapshot that is served: the current state of every target, including the syncs of
//! its last good collection.
//!
//! The scheduler writes the snapshot, and all stages after it read it:
//!
//! - `store`: all targets, and the entry point for the writer and the readers;
//! - `slot`: a target's entry in the store, whose state is replaced as a whole;
//! - `report`: the result of a collection, which the scheduler records in the store;
//! - `managed_nodes`: the results of the managed-node lookups of a target;
//! - `state`: the state of a target, and how a report changes it;
//! - `view`: a target as served at a given time, which decides whether its last good
//!   syncs are still served;
//! - `owners`: which target owns the series of an account and region;
//! - `stats`: statistics of the scheduler itself.
//!
//! Collections and scrapes do not wait for each other. The list of slots and the state in
//! each slot are immutable values behind atomic pointers, so a scrape never sees a
//! half-updated target. The scheduler is the only writer.
//!
//! This module does not know how syncs are collected or rendered.

mod managed_nodes;
mod owners;
mod report;
mod slot;
mod state;
mod stats;
mod store;
mod view;

pub(crate) use managed_nodes::ManagedNodes;
pub use managed_nodes::NodeReport;
pub use report::{InvalidItems, Report};
pub use slot::Slot;
pub use state::Change;
pub(crate) use state::TargetState;
pub use store::Store;
pub(crate) use view::TargetView;

#[cfg(test)]
mod tests;
