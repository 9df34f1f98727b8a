//! Caches the chunks of the current target list.
//!
//! Each chunk has its own lock, which is held only to compare the chunk with the
//! store and to replace it if it is outdated. Collections never take these locks.

use std::sync::Arc;

use parking_lot::Mutex;

use super::chunk::{Chunk, RenderContext, TARGETS_PER_CHUNK};
use crate::metrics::sample_encoding::SampleEncoding;
use crate::model::UnixSeconds;
use crate::snapshot::{Slot, Store};

#[derive(Debug, Default)]
pub(super) struct ChunkCache {
    list: Mutex<Arc<ChunkList>>,
}

/// The chunks of one target list.
#[derive(Debug, Default)]
pub(super) struct ChunkList {
    slots: Arc<Vec<Arc<Slot>>>,
    chunks: Vec<Mutex<Arc<Chunk>>>,
}

impl ChunkCache {
    /// The chunks of the store's current targets. New chunks have not been rendered yet.
    pub(super) fn current_list(
        &self,
        store: &Store,
        context: &RenderContext,
        now: UnixSeconds,
    ) -> Arc<ChunkList> {
        let mut list = self.list.lock();
        // Loaded under the lock, so that an older list never replaces a newer one.
        let slots = store.slots();
        if !Arc::ptr_eq(&list.slots, &slots) {
            *list = Arc::new(list.for_slots(slots, store, context, now));
        }
        Arc::clone(&list)
    }
}

impl ChunkList {
    /// Builds the chunks of another target list. A chunk is reused if it has the same
    /// targets at the same position. All chunks after an inserted or removed target are
    /// therefore new.
    fn for_slots(
        &self,
        slots: Arc<Vec<Arc<Slot>>>,
        store: &Store,
        context: &RenderContext,
        now: UnixSeconds,
    ) -> Self {
        let mut old_chunks = self.chunks.iter().map(|chunk| Arc::clone(&chunk.lock()));
        let reuse_or_create = |chunk_slots: &[Arc<Slot>]| {
            let same = old_chunks.next().filter(|chunk| chunk.matches_slots(chunk_slots));
            Mutex::new(same.unwrap_or_else(|| Arc::new(Chunk::new(chunk_slots, store, context, now))))
        };
        let chunks = slots.chunks(TARGETS_PER_CHUNK).map(reuse_or_create).collect();
        Self { slots, chunks }
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Returns a chunk that is up to date and rendered in `encoding`, and whether this call
    /// has updated or rendered it.
    pub(super) fn refresh(
        &self,
        index: usize,
        encoding: SampleEncoding,
        (store, context): (&Store, &RenderContext),
        now: UnixSeconds,
    ) -> (Arc<Chunk>, bool) {
        let (chunk, was_outdated) = self.refresh_assessments(index, (store, context), now);
        let (_, was_rendered_now) = chunk.rendered(encoding, context);
        (chunk, was_outdated || was_rendered_now)
    }

    /// Returns a chunk that is up to date and may not be rendered yet, and whether this call has
    /// updated it.
    pub(super) fn refresh_assessments(
        &self,
        index: usize,
        (store, context): (&Store, &RenderContext),
        now: UnixSeconds,
    ) -> (Arc<Chunk>, bool) {
        let mut chunk = self.chunks[index].lock();
        let is_outdated = !chunk.is_current(now);
        if is_outdated {
            *chunk = Arc::new(chunk.updated(store, context, now));
        }
        (Arc::clone(&chunk), is_outdated)
    }
}
