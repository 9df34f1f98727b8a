//! One scrape: the exposition, piece by piece.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::proto::MetricFamily;
use protobuf::CodedOutputStream;

use super::super::exporter_families::ExporterMetrics;
use super::super::format::Format;
use super::super::registry::{FAMILIES, Shown, is_age};
use super::super::sample_encoding::{SampleEncoding, written};
use super::cache::Layout;
use super::chunk::{Chunk, RenderContext};
use super::compress::Stream;
use crate::model::UnixSeconds;
use crate::negotiation::Coding;
use crate::snapshot::Store;

/// How long the pieces of a body are, about: enough that handing them on costs
/// next to nothing, and little enough that thousands of readers may hold one.
const PIECE: usize = 128 * 1024;

/// How much of what is made at the scrape is compressed at once. More makes the
/// body smaller by a little.
const AT_ONCE: usize = 128 * 1024;

/// How many times something is written or compressed in one go. Some milliseconds,
/// which is what others may have to wait for the thread.
const WORK: usize = 8;

/// One scrape. It yields the body, piece by piece; each is made when it is asked
/// for, and an empty one means that there was more to do than should be done in
/// one go. Before the first piece that is not empty it takes hold of all blocks, so
/// what it shows of a target is of one moment.
#[derive(Debug)]
pub struct Scrape {
    store: Arc<Store>,
    /// Until all blocks are taken hold of.
    layout: Option<Arc<Layout>>,
    context: Arc<RenderContext>,
    format: Format,
    now: UnixSeconds,
    blocks: Vec<Arc<Chunk>>,
    own: Arc<ExporterMetrics>,
    own_families: HashMap<String, MetricFamily>,
    wanted: std::vec::IntoIter<Shown>,
    stage: Stage,
    output: Output,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Take hold of the blocks, and have them written.
    Prepare,
    /// Begin with the next family.
    Next,
    /// The samples of a family, from this block on.
    Samples {
        family: usize,
        block: usize,
    },
    Done,
}

/// What has been made and not been handed on yet.
#[derive(Debug)]
struct Output {
    coding: Coding,
    stream: Stream,
    /// As it will be sent.
    ready: Vec<u8>,
    /// What is still to be compressed.
    plain: Vec<u8>,
}

impl Output {
    fn new(coding: Coding) -> Self {
        Self { coding, stream: Stream::new(coding), ready: Vec::new(), plain: Vec::new() }
    }

    /// Where to write what is not compressed.
    fn plain(&mut self) -> &mut Vec<u8> {
        match self.coding {
            Coding::Identity => &mut self.ready,
            Coding::Gzip | Coding::Zstd => &mut self.plain,
        }
    }

    /// Compresses what is not yet.
    fn seal(&mut self, context: &RenderContext) {
        if !self.plain.is_empty() {
            self.stream.add(&self.plain, &context.compressors, &mut self.ready);
            self.plain.clear();
        }
    }
}

impl Scrape {
    pub(in crate::metrics) fn new(
        (store, layout, context): (Arc<Store>, Arc<Layout>, Arc<RenderContext>),
        (format, coding): (Format, Coding),
        own: Arc<ExporterMetrics>,
        wanted: Vec<Shown>,
        now: UnixSeconds,
    ) -> Self {
        Self {
            blocks: Vec::with_capacity(layout.len()),
            store,
            layout: Some(layout),
            context,
            format,
            now,
            own,
            own_families: HashMap::new(),
            wanted: wanted.into_iter(),
            stage: Stage::Prepare,
            output: Output::new(coding),
        }
    }

    /// Does the next thing. Says how much work it was, of which [`WORK`] may be done
    /// in one go.
    fn step(&mut self) -> usize {
        let encoding = self.format.encoding();
        match self.stage {
            Stage::Prepare => self.prepare(encoding),
            Stage::Next => {
                match self.wanted.next() {
                    Some(Shown::Own(name)) => {
                        if let Some(family) = self.own_families.get(name) {
                            self.output.plain().extend_from_slice(&self.format.family(family));
                        }
                    }
                    Some(Shown::Sampled(family)) => self.begin(family),
                    None => {
                        self.output.plain().extend_from_slice(self.format.end());
                        self.output.seal(&self.context);
                        self.output.stream.end(&self.context.compressors, &mut self.output.ready);
                        self.stage = Stage::Done;
                    }
                }
                0
            }
            Stage::Samples { family, block } => {
                self.stage = match self.blocks.get(block + 1) {
                    Some(_) => Stage::Samples { family, block: block + 1 },
                    None => Stage::Next,
                };
                self.samples(family, block)
            }
            Stage::Done => 0,
        }
    }

    /// Takes hold of the next block.
    fn prepare(&mut self, encoding: SampleEncoding) -> usize {
        if let Some(layout) = &self.layout
            && self.blocks.len() < layout.len()
        {
            let with = (&*self.store, &*self.context);
            let (block, new) = layout.block(self.blocks.len(), encoding, with, self.now);
            self.blocks.push(block);
            return usize::from(new);
        }
        self.layout = None;
        if self.wanted.as_slice().iter().any(|shown| matches!(shown, Shown::Own(_))) {
            // After the blocks: no collection is shown whose requests are not.
            let own = self.own.gather(&self.store).into_iter();
            self.own_families = own.map(|family| (family.name().to_owned(), family)).collect();
        }
        self.stage = Stage::Next;
        0
    }

    /// Begins a family, unless there is nothing of it.
    fn begin(&mut self, family: usize) {
        let encoding = self.format.encoding();
        let Some(first) =
            self.blocks.iter().position(|block| !block.part(encoding, &self.context).is_empty(family))
        else {
            return;
        };
        let about = FAMILIES[family];
        let header = self.format.header(about.name, about.help, about.kind.metric_type());
        if encoding == SampleEncoding::Protobuf {
            let samples: usize =
                self.blocks.iter().map(|block| block.part(encoding, &self.context).length(family)).sum();
            let mut coded = CodedOutputStream::vec(self.output.plain());
            written(coded.write_raw_varint64((header.len() + samples) as u64));
            written(coded.flush());
        }
        self.output.plain().extend_from_slice(&header);
        self.stage = Stage::Samples { family, block: first };
    }

    /// Puts out a family's samples of a block.
    fn samples(&mut self, family: usize, block: usize) -> usize {
        let (encoding, coding) = (self.format.encoding(), self.output.coding);
        let block = &self.blocks[block];
        if coding == Coding::Identity || is_age(family) {
            block.part(encoding, &self.context).write(family, self.now, self.output.plain());
            let full = self.output.plain.len() >= AT_ONCE;
            if full {
                self.output.seal(&self.context);
            }
            return usize::from(full);
        }
        self.output.seal(&self.context);
        let (piece, new) = block.packed(family, encoding, coding, &self.context);
        self.output.stream.add_piece(piece, &mut self.output.ready);
        usize::from(new)
    }
}

impl Iterator for Scrape {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut work = 0;
        while self.output.ready.len() < PIECE {
            if matches!(self.stage, Stage::Done) {
                let last = std::mem::take(&mut self.output.ready);
                return (!last.is_empty()).then_some(last);
            }
            if work >= WORK {
                return Some(Vec::new());
            }
            if self.output.ready.capacity() == 0 {
                // With room for what goes beyond the length.
                self.output.ready = Vec::with_capacity(PIECE + PIECE / 4);
            }
            work += self.step();
        }
        Some(std::mem::take(&mut self.output.ready))
    }
}
