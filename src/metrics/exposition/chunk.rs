//! A chunk: a few targets that are rendered and compressed together.
//!
//! The views of a chunk never change. When one of its targets has been collected,
//! another chunk takes its place, so a reader of a chunk sees one collection of each
//! target. A chunk is rendered and compressed when that is first needed, once for all
//! readers. A chunk that replaces another is rendered immediately in the formats of
//! the old one, because only the targets that changed have to be.

use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use super::compress::{CompressedChunk, Compressors};
use super::recent_formats::RecentFormats;
use super::rendered::Rendered;
use crate::metrics::registry::SNAPSHOT_FAMILY_COUNT;
use crate::metrics::sample_encoding::SampleEncoding;
use crate::model::{Quota, UnixSeconds};
use crate::negotiation::Coding;
use crate::snapshot::{Slot, Store, TargetView};

/// More targets in a chunk make bodies smaller, but more has to be compressed again
/// when one of them has been collected.
pub(super) const TARGETS_PER_CHUNK: usize = 8;

#[derive(Debug)]
pub(super) struct Chunk {
    targets: Box<[Arc<ChunkTarget>]>,
    /// By encoding.
    rendered: [OnceLock<Rendered>; SampleEncoding::ALL.len()],
    /// By encoding and coding; never set for [`Coding::Identity`].
    compressed: [[OnceLock<Box<CompressedFamilies>>; Coding::ALL.len()]; SampleEncoding::ALL.len()],
}

/// A target, as it was when the chunk was made.
#[derive(Debug)]
struct ChunkTarget {
    slot: Arc<Slot>,
    view: TargetView,
}

/// The samples of a chunk by family, where they have been requested in this coding.
type CompressedFamilies = [OnceLock<Arc<CompressedChunk>>; SNAPSHOT_FAMILY_COUNT];

/// What rendering a chunk depends on beside its targets.
#[derive(Debug)]
pub(super) struct RenderContext {
    pub(super) quota: Quota,
    /// By index of the snapshot family. A disabled family is not rendered.
    pub(super) enabled: [bool; SNAPSHOT_FAMILY_COUNT],
    pub(super) compressors: Compressors,
    /// A chunk that replaces another drops what has not been requested recently.
    pub(super) recent_formats: Arc<RecentFormats>,
}

impl ChunkTarget {
    fn new(slot: &Arc<Slot>, store: &Store, now: UnixSeconds) -> Arc<Self> {
        Arc::new(Self { slot: Arc::clone(slot), view: store.view(slot, now) })
    }

    fn is_current(&self, now: UnixSeconds) -> bool {
        self.view.is_current(&self.slot, now)
    }

    fn render(&self, encoding: SampleEncoding, context: &RenderContext) -> Rendered {
        Rendered::of_target(encoding, &self.view, context.quota, &context.enabled)
    }
}

impl Chunk {
    pub(super) fn new(slots: &[Arc<Slot>], store: &Store, now: UnixSeconds) -> Self {
        Self {
            targets: slots.iter().map(|slot| ChunkTarget::new(slot, store, now)).collect(),
            rendered: Default::default(),
            compressed: Default::default(),
        }
    }

    pub(super) fn has_targets(&self, slots: &[Arc<Slot>]) -> bool {
        self.targets.iter().map(|target| Arc::as_ptr(&target.slot)).eq(slots.iter().map(Arc::as_ptr))
    }

    /// Whether the store still says the same of every target.
    pub(super) fn is_current(&self, now: UnixSeconds) -> bool {
        self.targets.iter().all(|target| target.is_current(now))
    }

    /// The chunk that replaces this one. It takes over what has not changed, in the
    /// formats that were requested recently.
    pub(super) fn updated(&self, store: &Store, context: &RenderContext, now: UnixSeconds) -> Self {
        let update = |target: &Arc<ChunkTarget>| {
            if target.is_current(now) {
                Arc::clone(target)
            } else {
                ChunkTarget::new(&target.slot, store, now)
            }
        };
        let targets: Box<[Arc<ChunkTarget>]> = self.targets.iter().map(update).collect();
        let instant = Instant::now();
        let is_recent = |encoding, coding| context.recent_formats.contains(encoding, coding, instant);
        let rendered = SampleEncoding::ALL.map(|encoding| match self.rendered[encoding as usize].get() {
            Some(old) if Coding::ALL.iter().any(|coding| is_recent(encoding, *coding)) => {
                OnceLock::from(self.rerendered(old, &targets, encoding, context))
            }
            _ => OnceLock::new(),
        });
        let compressed = SampleEncoding::ALL.map(|encoding| {
            let index = encoding as usize;
            let old_and_new = self.rendered[index].get().zip(rendered[index].get());
            Coding::ALL.map(|coding| match (self.compressed_families(encoding, coding).get(), old_and_new) {
                (Some(families), Some((old, new))) if is_recent(encoding, coding) => {
                    OnceLock::from(Box::new(std::array::from_fn(|family| match families[family].get() {
                        Some(chunk) if old.has_same_samples(new, family) => OnceLock::from(Arc::clone(chunk)),
                        _ => OnceLock::new(),
                    })))
                }
                _ => OnceLock::new(),
            })
        });
        Self { targets, rendered, compressed }
    }

    /// Renders those of the new `targets` that differ from the targets of this chunk, and
    /// copies the others from `old`, which this chunk was rendered to.
    fn rerendered(
        &self,
        old: &Rendered,
        targets: &[Arc<ChunkTarget>],
        encoding: SampleEncoding,
        context: &RenderContext,
    ) -> Rendered {
        let changed: Vec<Option<Rendered>> = std::iter::zip(&self.targets, targets)
            .map(|(old, new)| (!Arc::ptr_eq(old, new)).then(|| new.render(encoding, context)))
            .collect();
        let sources: Vec<(&Rendered, usize)> = changed
            .iter()
            .enumerate()
            .map(|(index, changed)| changed.as_ref().map_or((old, index), |rendered| (rendered, 0)))
            .collect();
        Rendered::concat(encoding, &sources)
    }

    /// The samples of all targets in an encoding, and whether this call has rendered
    /// them.
    pub(super) fn rendered(&self, encoding: SampleEncoding, context: &RenderContext) -> (&Rendered, bool) {
        let mut is_new = false;
        let rendered = self.rendered[encoding as usize].get_or_init(|| {
            is_new = true;
            let targets: Vec<Rendered> =
                self.targets.iter().map(|target| target.render(encoding, context)).collect();
            Rendered::concat(encoding, &targets.iter().map(|target| (target, 0)).collect::<Vec<_>>())
        });
        (rendered, is_new)
    }

    /// The compressed samples of a family, and whether this call has compressed them. The
    /// family must not be one of ages.
    pub(super) fn compressed(
        &self,
        family: usize,
        encoding: SampleEncoding,
        coding: Coding,
        context: &RenderContext,
    ) -> (&CompressedChunk, bool) {
        let families = self.compressed_families(encoding, coding).get_or_init(Box::default);
        let mut is_new = false;
        let chunk = families[family].get_or_init(|| {
            is_new = true;
            let mut plain = Vec::new();
            self.rendered(encoding, context).0.write(family, 0.0, &mut plain);
            Arc::new(context.compressors.compress_chunk(coding, &plain))
        });
        (chunk, is_new)
    }

    fn compressed_families(
        &self,
        encoding: SampleEncoding,
        coding: Coding,
    ) -> &OnceLock<Box<CompressedFamilies>> {
        &self.compressed[encoding as usize][coding as usize]
    }
}
