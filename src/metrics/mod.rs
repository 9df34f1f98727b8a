//! What is known becomes an exposition.
//!
//! A family is data: a name, a help text, a type and a pure function from what
//! is known to samples. What changes only with a collection is written once for
//! each, and compressed once, by [`Metrics::keep_ready`]; a [`Scrape`] strings that
//! together, and makes only the ages and the exporter's own metrics.
//!
//! The `prometheus` crate, which appears in this room only, does the writing and
//! escaping, and keeps the exporter's own counters. It would also write the same
//! series twice without a word; that this does not happen is up to the snapshot,
//! where at no moment two targets, or two syncs of one target, have the same key.

mod exporter_families;
mod exposition;
mod family;
mod format;
mod registry;
mod request;
mod sample_encoding;
mod sync_families;
mod target_families;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use exporter_families::ExporterMetrics;
pub use exposition::scrape::Scrape;
pub use format::{Format, Negotiated};
pub use registry::{Choice, FamilyName, UnknownFamily};

use crate::clock::Clock;
use crate::model::Quota;
use crate::negotiation::Coding;
use crate::snapshot::Store;
use exposition::cache::ChunkCache;
use exposition::chunk::RenderContext;
use exposition::compress::Compressors;
use exposition::recent_formats::RecentFormats;
use registry::Shown;

/// How long [`Metrics::keep_ready`] rests at least before it looks again.
const REST: Duration = Duration::from_secs(1);

/// Makes the exposition.
#[derive(Debug)]
pub struct Metrics {
    store: Arc<Store>,
    own: Arc<ExporterMetrics>,
    clock: Clock,
    recent_formats: Arc<RecentFormats>,
    current: ArcSwap<Generation>,
}

/// What goes by the configuration, and what has been written by it.
#[derive(Debug)]
struct Generation {
    /// The families that may be shown, by name.
    enabled: Vec<Shown>,
    context: Arc<RenderContext>,
    cache: ChunkCache,
}

impl Generation {
    fn new(quota: Quota, disabled: Vec<FamilyName>, recent_formats: &Arc<RecentFormats>) -> Self {
        let disabled = Choice::Without(disabled);
        Self {
            enabled: registry::all().into_iter().filter(|shown| disabled.takes(*shown)).collect(),
            context: Arc::new(RenderContext {
                quota,
                shown: std::array::from_fn(|family| disabled.takes(Shown::Sampled(family))),
                compressors: Compressors::default(),
                recent_formats: Arc::clone(recent_formats),
            }),
            cache: ChunkCache::default(),
        }
    }
}

impl Metrics {
    /// The exposition of `store` and of the exporter's `own` metrics, but for the
    /// families that are `disabled`.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        own: Arc<ExporterMetrics>,
        quota: Quota,
        disabled: Vec<FamilyName>,
        clock: Clock,
    ) -> Self {
        let recent_formats = Arc::new(RecentFormats::new(Instant::now()));
        let current = ArcSwap::from_pointee(Generation::new(quota, disabled, &recent_formats));
        Self { store, own, clock, recent_formats, current }
    }

    /// From now on this is the quota, and these families are `disabled`. All is
    /// written anew, and shown by what the store says now.
    pub fn configure(&self, quota: Quota, disabled: Vec<FamilyName>) {
        self.current.store(Arc::new(Generation::new(quota, disabled, &self.recent_formats)));
        self.store.notify_changed();
    }

    /// Whether a family is among those that are shown.
    #[must_use]
    pub fn is_enabled(&self, family: FamilyName) -> bool {
        self.current.load().enabled.iter().any(|shown| shown.name() == family.as_str())
    }

    /// The families of `choice` as they are now. Nothing is waited for.
    #[must_use]
    pub fn scrape(&self, format: Format, coding: Coding, choice: &Choice) -> Scrape {
        self.recent_formats.note(format.encoding(), coding, Instant::now());
        let now = self.clock.now();
        let Generation { enabled, context, cache } = &*self.current.load_full();
        let layout = cache.layout(&self.store, now);
        let wanted = enabled.iter().copied().filter(|shown| choice.takes(*shown)).collect();
        let from = (Arc::clone(&self.store), layout, Arc::clone(context));
        Scrape::new(from, (format, coding), Arc::clone(&self.own), wanted, now)
    }

    /// Writes and compresses what collections bring as they bring it, in all ways
    /// that have lately been asked for, so that a scrape finds it ready. Does so
    /// until `shutdown`.
    pub async fn keep_ready(self: Arc<Self>, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(self.store.changed()).await.is_some() {
            let began = Instant::now();
            if shutdown.run_until_cancelled(self.make_ready()).await.is_none() {
                return;
            }
            // No more than a fifth of a core, however much is being collected:
            // collecting comes first.
            let rest = REST.max(4 * began.elapsed());
            if shutdown.run_until_cancelled(tokio::time::sleep(rest)).await.is_none() {
                return;
            }
        }
    }

    /// Does once what [`keep_ready`](Self::keep_ready) does.
    pub async fn make_ready(&self) {
        let wanted = self.recent_formats.wanted(Instant::now());
        if wanted.is_empty() {
            return;
        }
        let now = self.clock.now();
        let generation = self.current.load_full();
        let Generation { enabled, context, cache } = &*generation;
        let layout = cache.layout(&self.store, now);
        for index in 0..layout.len() {
            // Nobody will read what goes by another configuration.
            if !Arc::ptr_eq(&generation, &self.current.load()) {
                return;
            }
            let mut any = false;
            for (encoding, coding) in wanted.iter().copied() {
                let (block, new) = layout.block(index, encoding, (&self.store, context), now);
                any |= new;
                if coding != Coding::Identity {
                    let families = enabled.iter().filter_map(|shown| shown.kept());
                    any |= families
                        .fold(false, |any, family| any | block.packed(family, encoding, coding, context).1);
                }
            }
            if any {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
