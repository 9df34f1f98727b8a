//! Where the blocks stand, ready to be sent.
//!
//! Each is behind a lock of its own, which is held for as long as it takes to
//! look whether its targets are as they were, and to make another block of it if
//! not. Collections never come here.

use std::sync::{Arc, Mutex};

use super::block::{Block, Press, TARGETS};
use super::dialect::Dialect;
use crate::lock::lock;
use crate::model::UnixSeconds;
use crate::snapshot::{Slot, Store};

/// All blocks.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    layout: Mutex<Arc<Layout>>,
}

/// The blocks of one list of targets.
#[derive(Debug, Default)]
pub(super) struct Layout {
    slots: Arc<Vec<Arc<Slot>>>,
    blocks: Vec<Mutex<Arc<Block>>>,
}

impl Shelf {
    /// The blocks of the targets that there are now.
    pub(super) fn layout(&self, store: &Store, now: UnixSeconds) -> Arc<Layout> {
        let mut layout = lock(&self.layout);
        // Behind the lock: it never goes back to an older list.
        let slots = store.slots();
        if !Arc::ptr_eq(&layout.slots, &slots) {
            *layout = Arc::new(layout.of(slots, store, now));
        }
        Arc::clone(&layout)
    }
}

impl Layout {
    /// The same for another list of targets. A block of the same targets at the
    /// same place stays; where targets have moved up, all is written anew.
    fn of(&self, slots: Arc<Vec<Arc<Slot>>>, store: &Store, now: UnixSeconds) -> Self {
        let mut before = self.blocks.iter().map(|block| Arc::clone(&lock(block)));
        let block = |slots: &[Arc<Slot>]| {
            let same = before.next().filter(|block| block.is_of(slots));
            Mutex::new(same.unwrap_or_else(|| Arc::new(Block::new(slots, store, now))))
        };
        let blocks = slots.chunks(TARGETS).map(block).collect();
        Self { slots, blocks }
    }

    /// How many blocks there are.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// A block, as of now, written in `dialect`; and whether there was anything to
    /// do for that.
    pub(super) fn block(
        &self,
        index: usize,
        dialect: Dialect,
        (store, press): (&Store, &Press),
        now: UnixSeconds,
    ) -> (Arc<Block>, bool) {
        let (block, renewed) = {
            let mut block = lock(&self.blocks[index]);
            let outdated = !block.is_current(now);
            if outdated {
                *block = Arc::new(block.renewed(store, press, now));
            }
            (Arc::clone(&block), outdated)
        };
        let written = block.prepare(dialect, press);
        (block, renewed || written)
    }
}
