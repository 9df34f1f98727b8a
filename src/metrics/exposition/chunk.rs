//! A few targets that are kept together.
//!
//! A block never changes: when one of its targets has been collected another
//! takes its place, which has all that is still right of it. So whoever reads a
//! block sees each of its targets at one moment. What is written and compressed
//! of it is made when it is first asked for, once for all who ask; of a block that
//! takes another's place, what has changed is written at once.

use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use super::super::registry::SAMPLED;
use super::super::sample_encoding::SampleEncoding;
use super::compress::{CompressedChunk, Compressors};
use super::recent_formats::RecentFormats;
use super::rendered::Rendered;
use crate::model::{Quota, UnixSeconds};
use crate::negotiation::Coding;
use crate::snapshot::{Slot, Store, TargetView};

/// How many targets are in a block. With more of them a body is smaller, but
/// there is more to compress anew when one has been collected.
pub(in crate::metrics) const TARGETS: usize = 8;

/// A few targets.
#[derive(Debug)]
pub(in crate::metrics) struct Chunk {
    targets: Box<[Arc<Known>]>,
    /// In each encoding.
    written: [OnceLock<Rendered>; SampleEncoding::ALL.len()],
    /// In each encoding, with each coding; nothing in [`Coding::Identity`].
    packed: [[OnceLock<Box<Packed>>; Coding::ALL.len()]; SampleEncoding::ALL.len()],
}

/// What is known of a target.
#[derive(Debug)]
struct Known {
    slot: Arc<Slot>,
    view: TargetView,
}

/// Each family of a block, compressed, as far as it has been asked for.
type Packed = [OnceLock<Arc<CompressedChunk>>; SAMPLED];

/// What a block is written with.
#[derive(Debug)]
pub(in crate::metrics) struct RenderContext {
    pub(in crate::metrics) quota: Quota,
    /// Which families may be shown at all.
    pub(in crate::metrics) shown: [bool; SAMPLED],
    pub(in crate::metrics) compressors: Compressors,
    /// What nobody wants any longer is not kept.
    pub(in crate::metrics) recent_formats: Arc<RecentFormats>,
}

impl Known {
    fn new(slot: &Arc<Slot>, store: &Store, now: UnixSeconds) -> Arc<Self> {
        Arc::new(Self { slot: Arc::clone(slot), view: store.view(slot, now) })
    }

    fn is_current(&self, now: UnixSeconds) -> bool {
        self.view.is_current(&self.slot, now)
    }

    fn write(&self, encoding: SampleEncoding, context: &RenderContext) -> Rendered {
        Rendered::new(encoding, &self.view, context.quota, |family| context.shown[family])
    }
}

impl Chunk {
    /// What is known of the targets in `slots`.
    pub(in crate::metrics) fn new(slots: &[Arc<Slot>], store: &Store, now: UnixSeconds) -> Self {
        Self {
            targets: slots.iter().map(|slot| Known::new(slot, store, now)).collect(),
            written: Default::default(),
            packed: Default::default(),
        }
    }

    /// Whether it is of these targets.
    pub(in crate::metrics) fn is_of(&self, slots: &[Arc<Slot>]) -> bool {
        self.targets.iter().map(|known| Arc::as_ptr(&known.slot)).eq(slots.iter().map(Arc::as_ptr))
    }

    /// Whether it is what is known now.
    pub(in crate::metrics) fn is_current(&self, now: UnixSeconds) -> bool {
        self.targets.iter().all(|known| known.is_current(now))
    }

    /// What is known now. What is the same as before is kept as it is, as far as
    /// it is still wanted.
    pub(in crate::metrics) fn renewed(
        &self,
        store: &Store,
        context: &RenderContext,
        now: UnixSeconds,
    ) -> Self {
        let renew = |known: &Arc<Known>| {
            if known.is_current(now) { Arc::clone(known) } else { Known::new(&known.slot, store, now) }
        };
        let targets: Box<[Arc<Known>]> = self.targets.iter().map(renew).collect();
        let asked = Instant::now();
        let written = SampleEncoding::ALL.map(|encoding| match self.written[encoding as usize].get() {
            Some(before)
                if Coding::ALL
                    .iter()
                    .any(|coding| context.recent_formats.wants(encoding, *coding, asked)) =>
            {
                OnceLock::from(self.rewritten(before, &targets, encoding, context))
            }
            _ => OnceLock::new(),
        });
        let packed = SampleEncoding::ALL.map(|encoding| {
            let parts = self.written[encoding as usize].get().zip(written[encoding as usize].get());
            Coding::ALL.map(|coding| match (self.packed_of(encoding, coding).get(), parts) {
                (Some(packed), Some((before, after)))
                    if context.recent_formats.wants(encoding, coding, asked) =>
                {
                    OnceLock::from(Box::new(std::array::from_fn(|family| match packed[family].get() {
                        Some(piece) if before.is_like(after, family) => OnceLock::from(Arc::clone(piece)),
                        _ => OnceLock::new(),
                    })))
                }
                _ => OnceLock::new(),
            })
        });
        Self { targets, written, packed }
    }

    /// Writes those of `targets` that are not as in this block, of which `before`
    /// has been written.
    fn rewritten(
        &self,
        before: &Rendered,
        targets: &[Arc<Known>],
        encoding: SampleEncoding,
        context: &RenderContext,
    ) -> Rendered {
        let changed: Vec<Option<Rendered>> = std::iter::zip(&self.targets, targets)
            .map(|(old, new)| (!Arc::ptr_eq(old, new)).then(|| new.write(encoding, context)))
            .collect();
        let joined: Vec<(&Rendered, usize)> = changed
            .iter()
            .enumerate()
            .map(|(index, changed)| changed.as_ref().map_or((before, index), |part| (part, 0)))
            .collect();
        Rendered::joined(encoding, &joined)
    }

    /// Writes all of its targets in a encoding, unless that has been done. Says
    /// whether there was anything to do.
    pub(in crate::metrics) fn prepare(&self, encoding: SampleEncoding, context: &RenderContext) -> bool {
        let new = self.written[encoding as usize].get().is_none();
        self.part(encoding, context);
        new
    }

    /// Its targets as they are written.
    pub(in crate::metrics) fn part(&self, encoding: SampleEncoding, context: &RenderContext) -> &Rendered {
        self.written[encoding as usize].get_or_init(|| {
            let parts: Vec<Rendered> =
                self.targets.iter().map(|known| known.write(encoding, context)).collect();
            Rendered::joined(encoding, &parts.iter().map(|part| (part, 0)).collect::<Vec<_>>())
        })
    }

    /// All samples of a family, compressed; it must not be one of ages. Also says
    /// whether that was still to do.
    pub(in crate::metrics) fn packed(
        &self,
        family: usize,
        encoding: SampleEncoding,
        coding: Coding,
        context: &RenderContext,
    ) -> (&CompressedChunk, bool) {
        let packed = self.packed_of(encoding, coding).get_or_init(Box::default);
        let mut new = false;
        let piece = packed[family].get_or_init(|| {
            new = true;
            let mut plain = Vec::new();
            self.part(encoding, context).write(family, 0.0, &mut plain);
            Arc::new(context.compressors.piece(coding, &plain))
        });
        (piece, new)
    }

    fn packed_of(&self, encoding: SampleEncoding, coding: Coding) -> &OnceLock<Box<Packed>> {
        &self.packed[encoding as usize][coding as usize]
    }
}
