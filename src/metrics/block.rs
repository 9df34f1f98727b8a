//! A few targets that are kept together.
//!
//! A block never changes: when one of its targets has been collected another
//! takes its place, which has all that is still right of it. So whoever reads a
//! block sees each of its targets at one moment. What is written and compressed
//! of it is made when it is first asked for, once for all who ask; of a block that
//! takes another's place, what has changed is written at once.

use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use super::catalogue::SAMPLED;
use super::compress::{Compressors, Piece};
use super::demand::Demand;
use super::dialect::Dialect;
use super::part::Part;
use crate::model::{Quota, UnixSeconds};
use crate::negotiation::Coding;
use crate::snapshot::{Slot, Store, TargetView};

/// How many targets are in a block. With more of them a body is smaller, but
/// there is more to compress anew when one has been collected.
pub(super) const TARGETS: usize = 8;

/// A few targets.
#[derive(Debug)]
pub(super) struct Block {
    targets: Box<[Arc<Known>]>,
    /// In each dialect.
    written: [OnceLock<Part>; Dialect::ALL.len()],
    /// In each dialect, with each coding; nothing in [`Coding::Identity`].
    packed: [[OnceLock<Box<Packed>>; Coding::ALL.len()]; Dialect::ALL.len()],
}

/// What is known of a target.
#[derive(Debug)]
struct Known {
    slot: Arc<Slot>,
    view: TargetView,
}

/// Each family of a block, compressed, as far as it has been asked for.
type Packed = [OnceLock<Arc<Piece>>; SAMPLED];

/// What a block is written with.
#[derive(Debug)]
pub(super) struct Press {
    pub(super) quota: Quota,
    /// Which families may be shown at all.
    pub(super) shown: [bool; SAMPLED],
    pub(super) compressors: Compressors,
    /// What nobody wants any longer is not kept.
    pub(super) demand: Arc<Demand>,
}

impl Known {
    fn new(slot: &Arc<Slot>, store: &Store, now: UnixSeconds) -> Arc<Self> {
        Arc::new(Self { slot: Arc::clone(slot), view: store.view(slot, now) })
    }

    fn is_current(&self, now: UnixSeconds) -> bool {
        self.view.is_current(&self.slot, now)
    }

    fn write(&self, dialect: Dialect, press: &Press) -> Part {
        Part::new(dialect, &self.view, press.quota, |family| press.shown[family])
    }
}

impl Block {
    /// What is known of the targets in `slots`.
    pub(super) fn new(slots: &[Arc<Slot>], store: &Store, now: UnixSeconds) -> Self {
        Self {
            targets: slots.iter().map(|slot| Known::new(slot, store, now)).collect(),
            written: Default::default(),
            packed: Default::default(),
        }
    }

    /// Whether it is of these targets.
    pub(super) fn is_of(&self, slots: &[Arc<Slot>]) -> bool {
        self.targets.iter().map(|known| Arc::as_ptr(&known.slot)).eq(slots.iter().map(Arc::as_ptr))
    }

    /// Whether it is what is known now.
    pub(super) fn is_current(&self, now: UnixSeconds) -> bool {
        self.targets.iter().all(|known| known.is_current(now))
    }

    /// What is known now. What is the same as before is kept as it is, as far as
    /// it is still wanted.
    pub(super) fn renewed(&self, store: &Store, press: &Press, now: UnixSeconds) -> Self {
        let renew = |known: &Arc<Known>| {
            if known.is_current(now) { Arc::clone(known) } else { Known::new(&known.slot, store, now) }
        };
        let targets: Box<[Arc<Known>]> = self.targets.iter().map(renew).collect();
        let asked = Instant::now();
        let written = Dialect::ALL.map(|dialect| match self.written[dialect as usize].get() {
            Some(before) if Coding::ALL.iter().any(|coding| press.demand.wants(dialect, *coding, asked)) => {
                OnceLock::from(self.rewritten(before, &targets, dialect, press))
            }
            _ => OnceLock::new(),
        });
        let packed = Dialect::ALL.map(|dialect| {
            let parts = self.written[dialect as usize].get().zip(written[dialect as usize].get());
            Coding::ALL.map(|coding| match (self.packed_of(dialect, coding).get(), parts) {
                (Some(packed), Some((before, after))) if press.demand.wants(dialect, coding, asked) => {
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
    fn rewritten(&self, before: &Part, targets: &[Arc<Known>], dialect: Dialect, press: &Press) -> Part {
        let changed: Vec<Option<Part>> = std::iter::zip(&self.targets, targets)
            .map(|(old, new)| (!Arc::ptr_eq(old, new)).then(|| new.write(dialect, press)))
            .collect();
        let joined: Vec<(&Part, usize)> = changed
            .iter()
            .enumerate()
            .map(|(index, changed)| changed.as_ref().map_or((before, index), |part| (part, 0)))
            .collect();
        Part::joined(dialect, &joined)
    }

    /// Writes all of its targets in a dialect, unless that has been done. Says
    /// whether there was anything to do.
    pub(super) fn prepare(&self, dialect: Dialect, press: &Press) -> bool {
        let new = self.written[dialect as usize].get().is_none();
        self.part(dialect, press);
        new
    }

    /// Its targets as they are written.
    pub(super) fn part(&self, dialect: Dialect, press: &Press) -> &Part {
        self.written[dialect as usize].get_or_init(|| {
            let parts: Vec<Part> = self.targets.iter().map(|known| known.write(dialect, press)).collect();
            Part::joined(dialect, &parts.iter().map(|part| (part, 0)).collect::<Vec<_>>())
        })
    }

    /// All samples of a family, compressed; it must not be one of ages. Also says
    /// whether that was still to do.
    pub(super) fn packed(
        &self,
        family: usize,
        dialect: Dialect,
        coding: Coding,
        press: &Press,
    ) -> (&Piece, bool) {
        let packed = self.packed_of(dialect, coding).get_or_init(Box::default);
        let mut new = false;
        let piece = packed[family].get_or_init(|| {
            new = true;
            let mut plain = Vec::new();
            self.part(dialect, press).write(family, 0.0, &mut plain);
            Arc::new(press.compressors.piece(coding, &plain))
        });
        (piece, new)
    }

    fn packed_of(&self, dialect: Dialect, coding: Coding) -> &OnceLock<Box<Packed>> {
        &self.packed[dialect as usize][coding as usize]
    }
}
