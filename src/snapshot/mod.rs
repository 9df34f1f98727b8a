//! The snapshot that is served: the last good collection of every target, and the state
//! of each target now.
//!
//! The scheduler writes, and everything that renders reads:
//!
//! - `store`: all targets, and the entry point for writer and readers;
//! - `slot`: a target's cell in the store, whose state is swapped as a whole;
//! - `state`: the state of a target, and how the report of a collection changes it;
//! - `view`: a target as served at a given time, which decides whether its last good
//!   syncs are still served;
//! - `owners`: which target owns the series of an account and region;
//! - `stats`: counters of the scheduler itself.
//!
//! Collections and scrapes do not wait for each other. The list of slots and the state in
//! each slot are immutable values behind atomic pointers, so a scrape never sees a target
//! half updated. The scheduler is the only writer.
//!
//! This module does not know how syncs are collected or rendered.

mod owners;
mod report;
mod slot;
mod state;
mod stats;
mod store;
mod view;

pub use report::Report;
pub use slot::Slot;
pub use state::Change;
pub(crate) use state::TargetState;
pub use store::Store;
pub(crate) use view::TargetView;

#[cfg(test)]
mod tests;
