//! One scrape: the body of the response, buffer by buffer.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::proto::MetricFamily;
use protobuf::CodedOutputStream;

use super::cache::ChunkList;
use super::chunk::{Chunk, RenderContext};
use super::compress::BodyCompressor;
use crate::metrics::expectation_families;
use crate::metrics::exporter_families::ExporterMetrics;
use crate::metrics::format::Format;
use crate::metrics::registry::{FamilyId, SNAPSHOT_FAMILIES, is_age};
use crate::metrics::sample_encoding::{SampleEncoding, infallible, label_pairs};
use crate::model::UnixSeconds;
use crate::negotiation::ContentCoding;
use crate::snapshot::Store;

/// The approximate length of the buffers: long enough that passing them on costs next to
/// nothing, short enough that thousands of slow readers may each hold one.
const BUFFER_LEN: usize = 128 * 1024;

/// How many uncompressed bytes a scrape accumulates before it compresses them. A larger
/// batch makes the body only a little smaller.
const COMPRESSION_BATCH_LEN: usize = 128 * 1024;

/// How many chunks or batches one call of `next` may render or compress: a few
/// milliseconds, during which the thread runs no other task.
const WORK_BUDGET: usize = 8;

/// The body of a scrape, as an iterator over buffers that are produced on demand. An empty
/// buffer means that the iterator has used up its work budget, and that the caller should
/// yield before it calls `next` again.
///
/// The scrape takes all its chunks before it returns the first non-empty buffer, so all
/// samples of a target are from the same collection, however slowly the body is read.
#[derive(Debug)]
pub struct Scrape {
    store: Arc<Store>,
    /// `None` once all chunks have been taken from it.
    chunk_list: Option<Arc<ChunkList>>,
    context: Arc<RenderContext>,
    format: Format,
    now: UnixSeconds,
    /// The chunks that have been taken so far.
    chunks: Vec<Arc<Chunk>>,
    exporter: Arc<ExporterMetrics>,
    /// By name. Gathered after all chunks have been taken.
    gathered: HashMap<String, MetricFamily>,
    families: std::vec::IntoIter<FamilyId>,
    /// Whether a family is rendered from the chunks. The totals need only the assessments.
    has_samples: bool,
    stage: Stage,
    output: Output,
}

/// What the next call of [`Scrape::step`] does.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Take the next chunk from the cache.
    TakeChunk,
    /// Write the header of the next family.
    StartFamily,
    /// Write the samples of a family in a chunk. Both are indices.
    WriteSamples {
        family: usize,
        chunk: usize,
    },
    Done,
}

/// The part of the body that has not been returned yet.
#[derive(Debug)]
struct Output {
    coding: ContentCoding,
    compressor: BodyCompressor,
    /// Ready to be sent.
    encoded: Vec<u8>,
    /// Still to be compressed.
    uncompressed: Vec<u8>,
}

impl Output {
    fn new(coding: ContentCoding) -> Self {
        let compressor = BodyCompressor::new(coding);
        Self { coding, compressor, encoded: Vec::new(), uncompressed: Vec::new() }
    }

    /// The buffer for uncompressed bytes.
    fn plain(&mut self) -> &mut Vec<u8> {
        match self.coding {
            ContentCoding::Identity => &mut self.encoded,
            ContentCoding::Gzip | ContentCoding::Zstd => &mut self.uncompressed,
        }
    }

    /// Compresses what has not been compressed yet.
    fn flush(&mut self, context: &RenderContext) {
        if !self.uncompressed.is_empty() {
            self.compressor.write(&self.uncompressed, &context.compressors, &mut self.encoded);
            self.uncompressed.clear();
        }
    }
}

impl Scrape {
    pub(super) fn new(
        (store, chunk_list, context): (Arc<Store>, Arc<ChunkList>, Arc<RenderContext>),
        (format, coding): (Format, ContentCoding),
        exporter: Arc<ExporterMetrics>,
        families: Vec<FamilyId>,
        now: UnixSeconds,
    ) -> Self {
        Self {
            chunks: Vec::with_capacity(chunk_list.len()),
            store,
            chunk_list: Some(chunk_list),
            context,
            format,
            now,
            exporter,
            gathered: HashMap::new(),
            has_samples: families.iter().any(|family| matches!(family, FamilyId::Snapshot(_))),
            families: families.into_iter(),
            stage: Stage::TakeChunk,
            output: Output::new(coding),
        }
    }

    /// Does the next step, and returns how much of the work budget it took.
    fn step(&mut self) -> usize {
        match self.stage {
            Stage::TakeChunk => self.take_chunk(),
            Stage::StartFamily => {
                match self.families.next() {
                    Some(FamilyId::Gathered(name)) => {
                        if let Some(family) = self.gathered.get(name) {
                            self.output.plain().extend_from_slice(&self.format.encode_family(family));
                        }
                    }
                    Some(FamilyId::Snapshot(family)) => self.start_family(family),
                    None => {
                        self.output.plain().extend_from_slice(self.format.trailer());
                        self.output.flush(&self.context);
                        self.output.compressor.finish(&self.context.compressors, &mut self.output.encoded);
                        self.stage = Stage::Done;
                    }
                }
                0
            }
            Stage::WriteSamples { family, chunk } => {
                self.stage = match self.chunks.get(chunk + 1) {
                    Some(_) => Stage::WriteSamples { family, chunk: chunk + 1 },
                    None => Stage::StartFamily,
                };
                self.write_samples(family, chunk)
            }
            Stage::Done => 0,
        }
    }

    fn take_chunk(&mut self) -> usize {
        if let Some(chunk_list) = &self.chunk_list
            && self.chunks.len() < chunk_list.len()
        {
            let rendering = (&*self.store, &*self.context);
            let index = self.chunks.len();
            let (chunk, did_work) = if self.has_samples {
                chunk_list.refresh(index, self.format.encoding(), rendering, self.now)
            } else {
                chunk_list.refresh_assessments(index, rendering, self.now)
            };
            self.chunks.push(chunk);
            return usize::from(did_work);
        }
        self.chunk_list = None;
        if self.families.as_slice().iter().any(|family| matches!(family, FamilyId::Gathered(_))) {
            // Gathered after the chunks, so that the API requests of every collection in the
            // body have been counted.
            let mut families = self.exporter.gather(&self.store, self.context.health.quota, self.now);
            families.extend(self.expectation_totals());
            let run_labels = label_pairs(&self.context.run_labels);
            for metric in families.iter_mut().flat_map(MetricFamily::mut_metric) {
                metric.set_label([metric.get_label(), &run_labels].concat());
            }
            self.gathered = families.into_iter().map(|family| (family.name().to_owned(), family)).collect();
        }
        self.stage = Stage::StartFamily;
        0
    }

    /// The totals over the targets of all chunks that the scrape has taken, so that they agree with
    /// the other families of the same scrape.
    fn expectation_totals(&self) -> Vec<MetricFamily> {
        if !self.context.counts_expectations {
            return Vec::new();
        }
        let mut totals = self.context.new_totals();
        for chunk in &self.chunks {
            totals.merge(chunk.totals());
        }
        expectation_families::gather(&self.context.health.expectations, &totals).collect()
    }

    /// Writes the header of a family, unless the family has no samples.
    fn start_family(&mut self, family: usize) {
        let encoding = self.format.encoding();
        let is_empty = |chunk: &Arc<Chunk>| chunk.rendered(encoding, &self.context).0.is_empty(family);
        let Some(first) = self.chunks.iter().position(|chunk| !is_empty(chunk)) else { return };
        let definition = SNAPSHOT_FAMILIES[family];
        let header = self.format.header(definition.name, definition.help, definition.kind.metric_type());
        if encoding == SampleEncoding::Protobuf {
            let chunks = self.chunks.iter();
            let samples: usize =
                chunks.map(|chunk| chunk.rendered(encoding, &self.context).0.protobuf_len(family)).sum();
            let mut coded = CodedOutputStream::vec(self.output.plain());
            infallible(coded.write_raw_varint64((header.len() + samples) as u64));
            infallible(coded.flush());
        }
        self.output.plain().extend_from_slice(&header);
        self.stage = Stage::WriteSamples { family, chunk: first };
    }

    fn write_samples(&mut self, family: usize, chunk: usize) -> usize {
        let (encoding, coding) = (self.format.encoding(), self.output.coding);
        let chunk = &self.chunks[chunk];
        if coding == ContentCoding::Identity || is_age(family) {
            chunk.rendered(encoding, &self.context).0.write(family, self.now, self.output.plain());
            let is_batch_full = self.output.uncompressed.len() >= COMPRESSION_BATCH_LEN;
            if is_batch_full {
                self.output.flush(&self.context);
            }
            return usize::from(is_batch_full);
        }
        self.output.flush(&self.context);
        let (compressed, is_new) = chunk.compressed(family, encoding, coding, &self.context);
        self.output.compressor.write_compressed(compressed, &mut self.output.encoded);
        usize::from(is_new)
    }
}

impl Iterator for Scrape {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut work = 0;
        while self.output.encoded.len() < BUFFER_LEN {
            if matches!(self.stage, Stage::Done) {
                let last = std::mem::take(&mut self.output.encoded);
                return (!last.is_empty()).then_some(last);
            }
            if work >= WORK_BUDGET {
                return Some(Vec::new());
            }
            if self.output.encoded.capacity() == 0 {
                // The capacity has a reserve, because the last write may exceed `BUFFER_LEN`.
                self.output.encoded = Vec::with_capacity(BUFFER_LEN + BUFFER_LEN / 4);
            }
            work += self.step();
        }
        Some(std::mem::take(&mut self.output.encoded))
    }
}
