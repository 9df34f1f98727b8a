//! Where the blocks stand, ready to be sent.
//!
//! Each is behind a lock of its own, which is held for as long as it takes to
//! look whether its targets are as they were, and to make another block of it if
//! not. Collections never come here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::block::{Block, Known, Press, TARGETS};
use super::dialect::Dialect;
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
        let mut layout = locked(&self.layout);
        // Behind the lock: it never goes back to an older list.
        let slots = store.slots();
        if !Arc::ptr_eq(&layout.slots, &slots) {
            *layout = Arc::new(layout.of(slots, store, now));
        }
        Arc::clone(&layout)
    }
}

impl Layout {
    /// The same for another list of targets. What has been written of a target
    /// stays, and so does a block of the same targets at the same place; where
    /// targets have moved up, what was compressed of them goes.
    fn of(&self, slots: Arc<Vec<Arc<Slot>>>, store: &Store, now: UnixSeconds) -> Self {
        let before: Vec<Arc<Block>> = self.blocks.iter().map(|block| Arc::clone(&locked(block))).collect();
        let known: HashMap<*const Slot, &Arc<Known>> = before
            .iter()
            .flat_map(|block| block.targets())
            .map(|known| (Arc::as_ptr(&known.slot), known))
            .collect();
        let mut before = before.iter();
        let block = |slots: &[Arc<Slot>]| {
            let are = |block: &&Arc<Block>| {
                block.targets().iter().map(|known| Arc::as_ptr(&known.slot)).eq(slots.iter().map(Arc::as_ptr))
            };
            let of_slot = |slot: &Arc<Slot>| match known.get(&Arc::as_ptr(slot)) {
                Some(known) => Arc::clone(known),
                None => Known::new(slot, store, now),
            };
            let same = before.next().filter(are).cloned();
            Mutex::new(same.unwrap_or_else(|| Arc::new(Block::new(slots.iter().map(of_slot)))))
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
            let mut block = locked(&self.blocks[index]);
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
