//! Compressing a body some chunks of which were compressed before.
//!
//! In zstd every chunk is a frame, and a body may have many frames. In gzip a body may
//! have many members, too, but curl and browsers do not read beyond the first. There a
//! chunk is a run of deflate blocks that ends at a byte boundary and never refers to
//! earlier data, and the whole body is one member.

use std::fmt;

use flate2::{Compress, Compression, Crc, FlushCompress};
use parking_lot::Mutex;
use zstd::zstd_safe::compress_bound;

use crate::metrics::sample_encoding::infallible;
use crate::negotiation::Coding;

/// The member header of RFC 1952: magic number, deflate, no flags, no time, fastest
/// compression, Unix.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3];

/// The final block of RFC 1951, with fixed Huffman codes and no data.
const FINAL_BLOCK: [u8; 2] = [3, 0];

/// The samples of one family of one chunk, compressed by themselves.
#[derive(Debug, Default)]
pub(super) struct CompressedChunk {
    bytes: Box<[u8]>,
    /// Of the uncompressed bytes; for gzip only.
    checksum: Crc,
}

/// A pool of compressors. Each takes about 300 kB of memory, so they are reused. There
/// are never more of a coding than threads that compress at the same time.
#[derive(Debug, Default)]
pub(super) struct Compressors {
    idle: Mutex<Vec<(Coding, Compressor)>>,
}

enum Compressor {
    Deflate(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deflate(_) => "Deflate",
            Self::Zstd(_) => "Zstd",
        })
    }
}

impl Compressors {
    /// Compresses a chunk. No input makes no output.
    pub(super) fn compress_chunk(&self, coding: Coding, plain: &[u8]) -> CompressedChunk {
        let mut chunk = CompressedChunk::default();
        if !plain.is_empty() {
            let mut bytes = Vec::new();
            self.compress(coding, plain, &mut bytes);
            chunk.bytes = bytes.into_boxed_slice();
            if coding == Coding::Gzip {
                chunk.checksum.update(plain);
            }
        }
        chunk
    }

    fn compress(&self, coding: Coding, plain: &[u8], out: &mut Vec<u8>) {
        let idle = {
            let mut idle = self.idle.lock();
            idle.iter().position(|(known, _)| *known == coding).map(|index| idle.swap_remove(index).1)
        };
        let Some(mut compressor) = idle.or_else(|| Compressor::new(coding)) else {
            out.extend_from_slice(plain);
            return;
        };
        compressor.compress(plain, out);
        self.idle.lock().push((coding, compressor));
    }
}

impl Compressor {
    /// Both use their fastest level: a higher one takes gzip three times as long and makes
    /// the output a quarter smaller.
    fn new(coding: Coding) -> Option<Self> {
        match coding {
            Coding::Identity => None,
            Coding::Gzip => Some(Self::Deflate(Compress::new(Compression::fast(), false))),
            Coding::Zstd => Some(Self::Zstd(infallible(zstd::bulk::Compressor::new(1)))),
        }
    }

    fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Deflate(deflate) => {
                deflate.reset();
                loop {
                    // Enough for samples, which are repetitive. The loop is for other data.
                    out.reserve(plain.len() / 8 + 64);
                    let read = usize::try_from(deflate.total_in()).unwrap_or(plain.len());
                    infallible(deflate.compress_vec(&plain[read..], out, FlushCompress::Sync));
                    if out.len() < out.capacity() {
                        return;
                    }
                }
            }
            Self::Zstd(zstd) => {
                let start = out.len();
                out.resize(start + compress_bound(plain.len()), 0);
                let length = infallible(zstd.compress_to_buffer(plain, &mut out[start..]));
                out.truncate(start + length);
            }
        }
    }
}

/// Assembles a compressed body from chunks and from data that is compressed now.
#[derive(Debug)]
pub(super) struct BodyCompressor {
    coding: Coding,
    has_begun: bool,
    /// Of all uncompressed bytes so far; for gzip only.
    checksum: Crc,
}

impl BodyCompressor {
    pub(super) fn new(coding: Coding) -> Self {
        Self { coding, has_begun: false, checksum: Crc::new() }
    }

    /// Compresses `plain` and appends it to `out`.
    pub(super) fn write(&mut self, plain: &[u8], compressors: &Compressors, out: &mut Vec<u8>) {
        self.begin(out);
        compressors.compress(self.coding, plain, out);
        if self.coding == Coding::Gzip {
            self.checksum.update(plain);
        }
    }

    /// Appends a chunk to `out`.
    pub(super) fn write_chunk(&mut self, chunk: &CompressedChunk, out: &mut Vec<u8>) {
        if chunk.bytes.is_empty() {
            return;
        }
        self.begin(out);
        out.extend_from_slice(&chunk.bytes);
        if self.coding == Coding::Gzip {
            self.checksum.combine(&chunk.checksum);
        }
    }

    /// Appends the end of the body to `out`.
    pub(super) fn finish(&mut self, compressors: &Compressors, out: &mut Vec<u8>) {
        match self.coding {
            Coding::Identity => {}
            Coding::Gzip => {
                self.begin(out);
                out.extend_from_slice(&FINAL_BLOCK);
                out.extend_from_slice(&self.checksum.sum().to_le_bytes());
                out.extend_from_slice(&self.checksum.amount().to_le_bytes());
            }
            // A body without any frame would not be valid.
            Coding::Zstd if self.has_begun => {}
            Coding::Zstd => compressors.compress(self.coding, &[], out),
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_begun, true) && self.coding == Coding::Gzip {
            out.extend_from_slice(&GZIP_HEADER);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    /// Parts of a body: whether each is a chunk that was compressed before, and its bytes.
    fn any_parts() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
        let repetitive =
            ("[a-c]{1,20}", 1_usize..5000).prop_map(|(text, times)| text.repeat(times).into_bytes());
        let random = proptest::collection::vec(any::<u8>(), 0..50_000);
        proptest::collection::vec((any::<bool>(), prop_oneof![repetitive, random]), 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn chunks_and_new_data_make_one_body(parts in any_parts()) {
            let compressors = Compressors::default();
            let plain: Vec<u8> = parts.iter().flat_map(|(_, plain)| plain).copied().collect();
            for coding in [Coding::Gzip, Coding::Zstd] {
                let (mut compressor, mut body) = (BodyCompressor::new(coding), Vec::new());
                for (is_chunk, plain) in &parts {
                    match is_chunk {
                        true => compressor.write_chunk(&compressors.compress_chunk(coding, plain), &mut body),
                        false => compressor.write(plain, &compressors, &mut body),
                    }
                }
                compressor.finish(&compressors, &mut body);
                let mut read = Vec::new();
                match coding {
                    Coding::Gzip => {
                        // `MultiGzDecoder` would read all members; this one reads the first only.
                        let mut decoder = flate2::bufread::GzDecoder::new(&*body);
                        decoder.read_to_end(&mut read).unwrap();
                        prop_assert!(decoder.into_inner().is_empty(), "there is one member");
                    }
                    _ => {
                        prop_assert!(!body.is_empty());
                        zstd::Decoder::new(&*body).unwrap().read_to_end(&mut read).unwrap();
                    }
                }
                prop_assert!(read == plain);
            }
        }
    }
}
