//! The exposition: rendered once for each collection, served to every scrape.
//!
//! The samples of a target change only when it is collected. Rendering and compressing
//! all of them for every scrape would mostly repeat the same work, so they are cached in
//! the form in which they are sent:
//!
//! ```text
//!                 Generation (one per configuration)
//!               ┌─────────────────────────────────────────────────────┐
//!               │ ChunkCache ── ChunkList (one per target list)       │
//!  Store ──────▶│   Chunk: the views of 8 targets                     │──▶ Scrape ──▶ body
//!  (snapshot)   │     RenderedSamples    by encoding                  │      ▲
//!               │     CompressedSamples  by encoding, coding, family  │      │ headers, ages,
//!               │     ExpectationTotals  of its targets               │      │ exporter families,
//!               └─────────────────────────────────────────────────────┘      │ sums of totals
//! ```
//!
//! - **When a chunk is rendered.** [`Exposition::keep_ready`] renders and compresses a
//!   chunk soon after one of its targets has been collected, in the sample encodings and
//!   content codings that were requested recently ([`RecentRequests`]). A scrape renders
//!   whatever is missing, such as every chunk if its sample encoding or content coding was
//!   not requested recently.
//! - **When a chunk is invalid.** There is no explicit invalidation. A chunk keeps the
//!   assessments that it was rendered from, each the state and health of one target at one
//!   moment. `keep_ready` and scrapes compare these with the store and the time when they take a
//!   chunk from the cache, and replace the chunk if an assessment is outdated: because the target
//!   was collected, or because a health has changed with time. The new chunk takes over
//!   the rendered targets and compressed families that have not changed. A new target list
//!   keeps the chunks that have the same targets at the same position. A new configuration
//!   starts a generation with an empty cache, so all targets are assessed and judged again by
//!   the new limits and expectations, from what was last collected.
//! - **What a scrape concatenates.** For each family, in the order of names: its header,
//!   then its samples from each chunk. The scrape itself computes and compresses the
//!   families whose values are ages, because these change from scrape to scrape, the
//!   families about the exporter, and the totals over all targets. Each chunk has counted its
//!   own targets, so a scrape only adds up the counts of the chunks that it has taken.
//!
//! Each of these imports only later ones: [`Exposition`], [`scrape`], [`cache`], [`chunk`],
//! [`rendered`]. The families must not import this module.

mod cache;
mod chunk;
mod compress;
mod recent_requests;
mod rendered;
mod scrape;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use scrape::Scrape;

use super::expectation_families;
use super::exporter_families::ExporterMetrics;
use super::format::Format;
use super::registry::{FamilyFilter, FamilyId, FamilyName, all_families};
use crate::clock::Clock;
use crate::health::HealthPolicy;
use crate::negotiation::ContentCoding;
use crate::snapshot::Store;
use cache::ChunkCache;
use chunk::RenderContext;
use compress::Compressors;
use recent_requests::RecentRequests;

/// The shortest pause between two runs of [`Exposition::make_ready`].
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The settings of an exposition that a new configuration replaces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpositionSettings {
    /// By which the health of syncs and targets is assessed.
    pub health: Arc<HealthPolicy>,
    /// The families that no scrape includes.
    pub disabled_families: Vec<FamilyName>,
    /// Whether families with a label for a state leave out the states that do not hold, instead of
    /// showing them as 0.
    pub sparse_states: bool,
    /// Labels for the samples that have no account id: those about the exporter, the totals over all
    /// targets, and those of targets whose account id is unknown. They tell the samples of several
    /// expositions apart that one program merges.
    pub run_labels: Vec<(&'static str, String)>,
}

/// The metrics of a store and of the exporter itself, in every format and content coding.
#[derive(Debug)]
pub struct Exposition {
    store: Arc<Store>,
    exporter: Arc<ExporterMetrics>,
    clock: Clock,
    recent_requests: Arc<RecentRequests>,
    generation: ArcSwap<Generation>,
}

/// The part of the exposition that a new configuration replaces.
#[derive(Debug)]
struct Generation {
    /// Sorted by name.
    enabled_families: Vec<FamilyId>,
    context: Arc<RenderContext>,
    cache: ChunkCache,
}

impl Generation {
    fn new(settings: ExpositionSettings, recent_requests: &Arc<RecentRequests>) -> Self {
        let ExpositionSettings { health, disabled_families, sparse_states, run_labels } = settings;
        let filter = FamilyFilter::Except(disabled_families);
        let counts_expectations = !health.expectations.is_empty()
            && expectation_families::TOTALS.iter().any(|name| filter.includes(FamilyId::Gathered(name)));
        Self {
            enabled_families: all_families().into_iter().filter(|family| filter.includes(*family)).collect(),
            context: Arc::new(RenderContext {
                health,
                sparse_states,
                run_labels,
                is_enabled: std::array::from_fn(|index| filter.includes(FamilyId::Snapshot(index))),
                counts_expectations,
                compressors: Compressors::default(),
                recent_requests: Arc::clone(recent_requests),
            }),
            cache: ChunkCache::default(),
        }
    }
}

impl Exposition {
    /// An exposition of `store` and `exporter`.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        exporter: Arc<ExporterMetrics>,
        settings: ExpositionSettings,
        clock: Clock,
    ) -> Self {
        let recent_requests = Arc::new(RecentRequests::new(Instant::now()));
        let generation = ArcSwap::from_pointee(Generation::new(settings, &recent_requests));
        Self { store, exporter, clock, recent_requests, generation }
    }

    /// Applies a new configuration. Scrapes in progress finish with the old one.
    pub(crate) fn configure(&self, settings: ExpositionSettings) {
        self.generation.store(Arc::new(Generation::new(settings, &self.recent_requests)));
        self.store.notify_changed();
    }

    /// Whether scrapes may include a family.
    pub(super) fn is_enabled(&self, family: FamilyName) -> bool {
        self.generation.load().enabled_families.iter().any(|enabled| enabled.name() == family.as_str())
    }

    /// A scrape of the enabled families that `filter` includes, as of now.
    #[must_use]
    pub fn scrape(&self, format: Format, coding: ContentCoding, filter: &FamilyFilter) -> Scrape {
        self.recent_requests.record(format.encoding(), coding, Instant::now());
        let now = self.clock.now();
        let Generation { enabled_families, context, cache } = &*self.generation.load_full();
        let chunks = cache.current_list(&self.store, context, now);
        let families = enabled_families.iter().copied().filter(|family| filter.includes(*family)).collect();
        let rendering = (Arc::clone(&self.store), chunks, Arc::clone(context));
        Scrape::new(rendering, (format, coding), Arc::clone(&self.exporter), families, now)
    }

    /// Renders and compresses chunks whenever the store has changed, so that a scrape finds
    /// them ready if its sample encoding and content coding were requested recently. Runs until
    /// `shutdown` is cancelled.
    pub(crate) async fn keep_ready(self: Arc<Self>, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(self.store.changed()).await.is_some() {
            let started = Instant::now();
            if shutdown.run_until_cancelled(self.make_ready()).await.is_none() {
                return;
            }
            // Rendering takes at most a fifth of a core, however often targets are collected,
            // to leave the rest to the collections.
            let pause = MIN_PAUSE.max(4 * started.elapsed());
            if shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Renders and compresses all outdated chunks once, in the sample encodings and content
    /// codings that were requested recently.
    pub async fn make_ready(&self) {
        let recent = self.recent_requests.all(Instant::now());
        if recent.is_empty() {
            return;
        }
        let now = self.clock.now();
        let generation = self.generation.load_full();
        let Generation { enabled_families, context, cache } = &*generation;
        let chunks = cache.current_list(&self.store, context, now);
        for index in 0..chunks.len() {
            // No new scrape reads the chunks of an old configuration.
            if !Arc::ptr_eq(&generation, &self.generation.load()) {
                return;
            }
            let mut did_work = false;
            for (encoding, coding) in recent.iter().copied() {
                let (chunk, was_refreshed_now) = chunks.refresh(index, encoding, (&self.store, context), now);
                did_work |= was_refreshed_now;
                if coding != ContentCoding::Identity {
                    for family_index in enabled_families.iter().filter_map(|family| family.cacheable_index())
                    {
                        let (_, was_compressed_now) =
                            chunk.compressed(family_index, encoding, coding, context);
                        did_work |= was_compressed_now;
                    }
                }
            }
            if did_work {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
