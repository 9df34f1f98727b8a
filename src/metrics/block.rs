//! A few targets that are kept together.
//!
//! A block never changes: when one of its targets has been collected another
//! takes its place, which has all that is still right of it. So whoever reads a
//! block sees each of its targets at one moment. What is written and compressed
//! of it is made when it is first asked for, once for all who ask.

use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use super::catalogue::{FAMILIES, SAMPLED};
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
    /// For each dialect, with each of [`PACKING`].
    packed: [[OnceLock<Box<Packed>>; PACKING.len()]; Dialect::ALL.len()],
}

/// What is known of a target, and how it is written.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) slot: Arc<Slot>,
    view: TargetView,
    parts: [OnceLock<Part>; Dialect::ALL.len()],
}

/// Each family of a block, compressed, as far as it has been asked for.
type Packed = [OnceLock<Arc<Piece>>; SAMPLED];

/// The codings that compress.
const PACKING: [Coding; 2] = [Coding::Gzip, Coding::Zstd];

/// What a block is written with.
#[derive(Debug)]
pub(super) struct Press {
    pub(super) quota: Quota,
    /// Which families may be shown at all.
    pub(super) shown: [bool; SAMPLED],
    pub(super) compressors: Compressors,
    /// What nobody wants any longer is not kept.
    pub(super) demand: Demand,
}

impl Known {
    pub(super) fn new(slot: &Arc<Slot>, store: &Store, now: UnixSeconds) -> Arc<Self> {
        Arc::new(Self { slot: Arc::clone(slot), view: store.view(slot, now), parts: Default::default() })
    }

    fn is_current(&self, now: UnixSeconds) -> bool {
        self.view.is_current(&self.slot, now)
    }

    fn part(&self, dialect: Dialect, press: &Press) -> &Part {
        self.parts[dialect as usize]
            .get_or_init(|| Part::new(dialect, &self.view, press.quota, |family| press.shown[family]))
    }
}

impl Block {
    /// Of these targets.
    pub(super) fn new(targets: impl Iterator<Item = Arc<Known>>) -> Self {
        Self { targets: targets.collect(), packed: Default::default() }
    }

    /// Its targets.
    pub(super) fn targets(&self) -> &[Arc<Known>] {
        &self.targets
    }

    /// Whether it is what is known now.
    pub(super) fn is_current(&self, now: UnixSeconds) -> bool {
        self.targets.iter().all(|known| known.is_current(now))
    }

    /// What is known now. What is the same as before is kept as it is.
    pub(super) fn renewed(&self, store: &Store, press: &Press, now: UnixSeconds) -> Self {
        let renew = |known: &Arc<Known>| {
            if known.is_current(now) { Arc::clone(known) } else { Known::new(&known.slot, store, now) }
        };
        let targets: Box<[Arc<Known>]> = self.targets.iter().map(renew).collect();
        let changed: Vec<_> =
            self.targets.iter().zip(&targets).filter(|(before, after)| !Arc::ptr_eq(before, after)).collect();

        let asked = Instant::now();
        let packed = Dialect::ALL.map(|dialect| {
            let same = |family| {
                changed.iter().all(|(before, after)| {
                    before.part(dialect, press).is_like(after.part(dialect, press), family)
                })
            };
            PACKING.map(|coding| match self.packed_of(dialect, coding).get() {
                Some(before) if press.demand.wants(dialect, coding, asked) => {
                    OnceLock::from(Box::new(std::array::from_fn(|family| match before[family].get() {
                        Some(piece) if same(family) => OnceLock::from(Arc::clone(piece)),
                        _ => OnceLock::new(),
                    })))
                }
                _ => OnceLock::new(),
            })
        });
        Self { targets, packed }
    }

    /// Writes all of its targets in a dialect, unless that has been done. Says
    /// whether there was anything to do.
    pub(super) fn prepare(&self, dialect: Dialect, press: &Press) -> bool {
        let unwritten = |known: &Arc<Known>| known.parts[dialect as usize].get().is_none();
        let any = self.targets.iter().any(unwritten);
        if any {
            self.parts(dialect, press).for_each(drop);
        }
        any
    }

    /// Whether there is nothing of a family.
    pub(super) fn is_empty(&self, family: usize, dialect: Dialect, press: &Press) -> bool {
        self.parts(dialect, press).all(|part| part.is_empty(family))
    }

    /// How long a family is in [`Dialect::Protobuf`].
    pub(super) fn length(&self, family: usize, press: &Press) -> usize {
        self.parts(Dialect::Protobuf, press).map(|part| part.length(family)).sum()
    }

    /// Puts all samples of a family behind `out`.
    pub(super) fn write(
        &self,
        family: usize,
        dialect: Dialect,
        press: &Press,
        now: UnixSeconds,
        out: &mut Vec<u8>,
    ) {
        let prefix = dialect.prefix(FAMILIES[family].name);
        self.parts(dialect, press).for_each(|part| part.write(family, &prefix, now, out));
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
            self.write(family, dialect, press, 0.0, &mut plain);
            Arc::new(press.compressors.piece(coding, &plain))
        });
        (piece, new)
    }

    fn packed_of(&self, dialect: Dialect, coding: Coding) -> &OnceLock<Box<Packed>> {
        &self.packed[dialect as usize][usize::from(coding == Coding::Zstd)]
    }

    fn parts<'a>(&'a self, dialect: Dialect, press: &'a Press) -> impl Iterator<Item = &'a Part> {
        self.targets.iter().map(move |known| known.part(dialect, press))
    }
}
