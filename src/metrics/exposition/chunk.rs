//! A chunk: a few targets that are rendered and compressed together.
//!
//! A chunk has an assessment of each target: the target's state, health and judgements at one moment. The
//! assessments of a chunk never change: when one of its targets has been collected, or when a
//! health changes with time, a new chunk replaces the old one. A reader of a chunk therefore sees
//! a single collection of each target.
//!
//! A chunk is rendered and compressed when that is first needed, once for all readers. A
//! chunk that replaces another is rendered immediately in the sample encodings of the old
//! chunk that were requested recently. This is cheap, because the targets that have not
//! changed are copied.

use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use super::compress::{CompressedSamples, Compressors};
use super::recent_requests::RecentRequests;
use super::rendered::RenderedSamples;
use crate::expectations::ExpectationTotals;
use crate::health::{AssessedTarget, HealthPolicy};
use crate::metrics::registry::SNAPSHOT_FAMILY_COUNT;
use crate::metrics::sample_encoding::SampleEncoding;
use crate::model::UnixSeconds;
use crate::negotiation::ContentCoding;
use crate::snapshot::{Slot, Store};

/// Larger chunks compress better, but after each collection of a target, more samples have
/// to be compressed again.
pub(super) const TARGETS_PER_CHUNK: usize = 8;

#[derive(Debug)]
pub(super) struct Chunk {
    targets: Box<[Arc<ChunkTarget>]>,
    /// How the targets compare with the expectations. Empty if no enabled family has these totals.
    totals: ExpectationTotals,
    /// By sample encoding.
    rendered: [OnceLock<RenderedSamples>; SampleEncoding::ALL.len()],
    /// By sample encoding and content coding; never set for [`ContentCoding::Identity`].
    compressed: [[OnceLock<Box<CompressedFamilies>>; ContentCoding::ALL.len()]; SampleEncoding::ALL.len()],
}

/// A target and an assessment of it. A chunk shares the unchanged targets of the chunk that it
/// replaces.
#[derive(Debug)]
struct ChunkTarget {
    slot: Arc<Slot>,
    assessed: AssessedTarget,
}

/// The compressed samples of a chunk, by family. A family is compressed when it is first
/// requested.
type CompressedFamilies = [OnceLock<Arc<CompressedSamples>>; SNAPSHOT_FAMILY_COUNT];

/// Everything that rendering a chunk depends on besides its targets.
#[derive(Debug)]
pub(super) struct RenderContext {
    pub(super) health: Arc<HealthPolicy>,
    pub(super) sparse_states: bool,
    /// See [`ExpositionSettings`](super::ExpositionSettings).
    pub(super) run_labels: Vec<(&'static str, String)>,
    /// By index of the snapshot family. A disabled family is not rendered.
    pub(super) is_enabled: [bool; SNAPSHOT_FAMILY_COUNT],
    /// Whether chunks count how their targets compare with the expectations.
    pub(super) counts_expectations: bool,
    pub(super) compressors: Compressors,
    /// A chunk that replaces another drops the sample encodings and content codings that were
    /// not requested recently.
    pub(super) recent_requests: Arc<RecentRequests>,
}

impl ChunkTarget {
    fn new(slot: &Arc<Slot>, store: &Store, context: &RenderContext, now: UnixSeconds) -> Arc<Self> {
        let assessed = AssessedTarget::of_slot(store, slot, &context.health, now);
        Arc::new(Self { slot: Arc::clone(slot), assessed })
    }

    fn is_current(&self, now: UnixSeconds) -> bool {
        self.assessed.is_current(&self.slot, now)
    }

    fn render(&self, encoding: SampleEncoding, context: &RenderContext) -> RenderedSamples {
        let target = (&self.assessed, &*context.health.expectations);
        let RenderContext { is_enabled, sparse_states, run_labels, .. } = context;
        RenderedSamples::of_target(encoding, target, is_enabled, *sparse_states, run_labels)
    }
}

impl RenderContext {
    /// Zeros for each expectation; nothing if the totals are not needed.
    pub(super) fn new_totals(&self) -> ExpectationTotals {
        let is_needed = self.counts_expectations;
        ExpectationTotals::new(if is_needed { self.health.expectations.len() } else { 0 })
    }

    fn totals_of(&self, targets: &[Arc<ChunkTarget>]) -> ExpectationTotals {
        let mut totals = self.new_totals();
        for target in targets.iter().filter(|_| self.counts_expectations) {
            totals.add(target.assessed.judgements());
        }
        totals
    }
}

impl Chunk {
    pub(super) fn new(slots: &[Arc<Slot>], store: &Store, context: &RenderContext, now: UnixSeconds) -> Self {
        let targets: Box<[Arc<ChunkTarget>]> =
            slots.iter().map(|slot| ChunkTarget::new(slot, store, context, now)).collect();
        Self {
            totals: context.totals_of(&targets),
            targets,
            rendered: Default::default(),
            compressed: Default::default(),
        }
    }

    /// Whether the targets are those of `slots`, in the same order.
    pub(super) fn matches_slots(&self, slots: &[Arc<Slot>]) -> bool {
        self.targets.iter().map(|target| Arc::as_ptr(&target.slot)).eq(slots.iter().map(Arc::as_ptr))
    }

    /// How the targets compare with the expectations.
    pub(super) fn totals(&self) -> &ExpectationTotals {
        &self.totals
    }

    /// Whether the assessments of all targets are up to date.
    pub(super) fn is_current(&self, now: UnixSeconds) -> bool {
        self.targets.iter().all(|target| target.is_current(now))
    }

    /// The chunk that replaces this one. It takes over the samples that have not changed, in
    /// the sample encodings and content codings that were requested recently.
    pub(super) fn updated(&self, store: &Store, context: &RenderContext, now: UnixSeconds) -> Self {
        let update = |target: &Arc<ChunkTarget>| {
            if target.is_current(now) {
                Arc::clone(target)
            } else {
                ChunkTarget::new(&target.slot, store, context, now)
            }
        };
        let targets: Box<[Arc<ChunkTarget>]> = self.targets.iter().map(update).collect();
        let instant = Instant::now();
        let is_recent = |encoding, coding| context.recent_requests.contains(encoding, coding, instant);
        let rendered = SampleEncoding::ALL.map(|encoding| match self.rendered[encoding as usize].get() {
            Some(old) if ContentCoding::ALL.iter().any(|coding| is_recent(encoding, *coding)) => {
                OnceLock::from(self.rerendered(old, &targets, encoding, context))
            }
            _ => OnceLock::new(),
        });
        let compressed = SampleEncoding::ALL.map(|encoding| {
            let index = encoding as usize;
            let old_and_new = self.rendered[index].get().zip(rendered[index].get());
            ContentCoding::ALL.map(|coding| {
                match (self.compressed_families(encoding, coding).get(), old_and_new) {
                    (Some(families), Some((old, new))) if is_recent(encoding, coding) => {
                        OnceLock::from(Box::new(std::array::from_fn(|family| match families[family].get() {
                            Some(samples) if old.has_same_encoded_samples(new, family) => {
                                OnceLock::from(Arc::clone(samples))
                            }
                            _ => OnceLock::new(),
                        })))
                    }
                    _ => OnceLock::new(),
                }
            })
        });
        Self { totals: context.totals_of(&targets), targets, rendered, compressed }
    }

    /// Returns the samples of the new `targets`. Renders the targets that have changed, and
    /// copies the others from `old`, the rendered samples of this chunk.
    fn rerendered(
        &self,
        old: &RenderedSamples,
        targets: &[Arc<ChunkTarget>],
        encoding: SampleEncoding,
        context: &RenderContext,
    ) -> RenderedSamples {
        let changed: Vec<Option<RenderedSamples>> = std::iter::zip(&self.targets, targets)
            .map(|(old, new)| (!Arc::ptr_eq(old, new)).then(|| new.render(encoding, context)))
            .collect();
        let sources: Vec<(&RenderedSamples, usize)> = changed
            .iter()
            .enumerate()
            .map(|(index, changed)| changed.as_ref().map_or((old, index), |rendered| (rendered, 0)))
            .collect();
        RenderedSamples::concat(encoding, &sources)
    }

    /// Returns the samples of all targets in a sample encoding, and whether this call has rendered
    /// them.
    pub(super) fn rendered(
        &self,
        encoding: SampleEncoding,
        context: &RenderContext,
    ) -> (&RenderedSamples, bool) {
        let mut is_new = false;
        let rendered = self.rendered[encoding as usize].get_or_init(|| {
            is_new = true;
            let targets: Vec<RenderedSamples> =
                self.targets.iter().map(|target| target.render(encoding, context)).collect();
            RenderedSamples::concat(encoding, &targets.iter().map(|target| (target, 0)).collect::<Vec<_>>())
        });
        (rendered, is_new)
    }

    /// Returns the compressed samples of a family, and whether this call has compressed them.
    /// The samples of the family must not be ages.
    pub(super) fn compressed(
        &self,
        family: usize,
        encoding: SampleEncoding,
        coding: ContentCoding,
        context: &RenderContext,
    ) -> (&CompressedSamples, bool) {
        let families = self
            .compressed_families(encoding, coding)
            .get_or_init(|| Box::new(std::array::from_fn(|_| OnceLock::new())));
        let mut is_new = false;
        let samples = families[family].get_or_init(|| {
            is_new = true;
            let mut plain = Vec::new();
            self.rendered(encoding, context).0.write(family, 0.0, &mut plain);
            Arc::new(context.compressors.compress_samples(coding, &plain))
        });
        (samples, is_new)
    }

    fn compressed_families(
        &self,
        encoding: SampleEncoding,
        coding: ContentCoding,
    ) -> &OnceLock<Box<CompressedFamilies>> {
        &self.compressed[encoding as usize][coding as usize]
    }
}
