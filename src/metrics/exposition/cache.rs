//! Where the blocks stand, ready to be sent.
//!
//! Each is behind a lock of its own, which is held for as long as it takes to
//! look whether its targets are as they were, and to make another block of it if
//! not. Collections never come here.

use std::sync::Arc;

use parking_lot::Mutex;

use super::super::sample_encoding::SampleEncoding;
use super::chunk::{Chunk, RenderContext, TARGETS};
use crate::model::UnixSeconds;
use crate::snapshot::{Slot, Store};

/// All blocks.
#[derive(Debug, Default)]
pub(in crate::metrics) struct ChunkCache {
    layout: Mutex<Arc<Layout>>,
}

/// The blocks of one list of targets.
#[derive(Debug, Default)]
pub(in crate::metrics) struct Layout {
    slots: Arc<Vec<Arc<Slot>>>,
    blocks: Vec<Mutex<Arc<Chunk>>>,
}

impl ChunkCache {
    /// The blocks of the targets that there are now.
    pub(in crate::metrics) fn layout(&self, store: &Store, now: UnixSeconds) -> Arc<Layout> {
        let mut layout = self.layout.lock();
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
        let mut before = self.blocks.iter().map(|block| Arc::clone(&block.lock()));
        let block = |slots: &[Arc<Slot>]| {
            let same = before.next().filter(|block| block.is_of(slots));
            Mutex::new(same.unwrap_or_else(|| Arc::new(Chunk::new(slots, store, now))))
        };
        let blocks = slots.chunks(TARGETS).map(block).collect();
        Self { slots, blocks }
    }

    /// How many blocks there are.
    pub(in crate::metrics) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// A block, as of now, written in `encoding`; and whether there was anything to
    /// do for that.
    pub(in crate::metrics) fn block(
        &self,
        index: usize,
        encoding: SampleEncoding,
        (store, context): (&Store, &RenderContext),
        now: UnixSeconds,
    ) -> (Arc<Chunk>, bool) {
        let (block, renewed) = {
            let mut block = self.blocks[index].lock();
            let outdated = !block.is_current(now);
            if outdated {
                *block = Arc::new(block.renewed(store, context, now));
            }
            (Arc::clone(&block), outdated)
        };
        let written = block.prepare(encoding, context);
        (block, renewed || written)
    }
}
