//! What is known becomes an exposition.
//!
//! A family is data: a name, a help text, a type and a pure function from what
//! is known to samples. The `prometheus` crate, which appears in this room
//! only, writes the text and keeps the exporter's own counters. It would also
//! write the same series twice without a word; that this cannot happen is up
//! to the snapshot, where no two targets and no two syncs of one target have
//! the same key.

mod family;
mod own;
mod sync_families;
mod target_families;

use std::sync::Arc;

use prometheus::TextEncoder;

pub use own::OwnMetrics;

use crate::clock::Clock;
use crate::model::Quota;
use crate::snapshot::Store;

/// Renders the exposition.
#[derive(Debug)]
pub struct Metrics {
    store: Arc<Store>,
    own: Arc<OwnMetrics>,
    quota: Quota,
    clock: Clock,
}

/// The exposition could not be written, which is a bug.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the exposition")]
pub struct RenderError(#[from] prometheus::Error);

impl Metrics {
    /// The exposition of `store` and of the exporter's `own` metrics.
    #[must_use]
    pub fn new(store: Arc<Store>, own: Arc<OwnMetrics>, quota: Quota, clock: Clock) -> Self {
        Self { store, own, quota, clock }
    }

    /// Everything, in the text format 0.0.4, as of now. Nothing is waited for.
    ///
    /// # Errors
    /// Only by a bug.
    pub fn render(&self) -> Result<String, RenderError> {
        let snapshot = self.store.snapshot(self.clock.now());
        let mut families = Vec::new();
        families.extend(sync_families::FAMILIES.iter().filter_map(|family| family.gather(&snapshot)));
        families.extend(target_families::of_types(&snapshot, &self.quota));
        families.extend(target_families::FAMILIES.iter().filter_map(|family| family.gather(&snapshot)));
        families.extend(self.own.gather(&self.store));
        families.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(TextEncoder::new().encode_to_string(&families)?)
    }
}
