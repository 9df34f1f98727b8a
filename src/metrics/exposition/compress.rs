//! Assembles a compressed body from samples that were compressed earlier and from data that
//! is compressed now.
//!
//! With zstd, each piece is a frame, and a body may have any number of frames. With gzip, a
//! body may have several members, too, but curl and browsers do not read beyond the first.
//! The whole body is therefore one member, and each piece is a run of deflate blocks that
//! ends at a byte boundary and never refers to earlier data.

use std::fmt;

use flate2::{Compress, Compression, Crc, FlushCompress};
use parking_lot::Mutex;
use zstd::zstd_safe::compress_bound;

use crate::metrics::sample_encoding::infallible;
use crate::negotiation::ContentCoding;

/// The member header of RFC 1952: magic number, deflate, no flags, no time, fastest
/// compression, Unix.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3];

/// The final block of RFC 1951, with fixed Huffman codes and no data.
const FINAL_BLOCK: [u8; 2] = [3, 0];

/// The samples of one family in one chunk, compressed independently of all other data.
#[derive(Debug, Default)]
pub(super) struct CompressedSamples {
    bytes: Box<[u8]>,
    /// The checksum of the uncompressed bytes; used for gzip only.
    checksum: Crc,
}

/// A pool of compressors, which are reused because each takes about 300 kB of memory. For each
/// coding, the pool grows to the largest number of threads that have compressed concurrently.
#[derive(Debug, Default)]
pub(super) struct Compressors {
    idle: Mutex<Vec<(ContentCoding, Compressor)>>,
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
    /// Compresses samples. Empty input yields empty output.
    pub(super) fn compress_samples(&self, coding: ContentCoding, plain: &[u8]) -> CompressedSamples {
        let mut samples = CompressedSamples::default();
        if !plain.is_empty() {
            let mut bytes = Vec::new();
            self.compress(coding, plain, &mut bytes);
            samples.bytes = bytes.into_boxed_slice();
            if coding == ContentCoding::Gzip {
                samples.checksum.update(plain);
            }
        }
        samples
    }

    fn compress(&self, coding: ContentCoding, plain: &[u8], out: &mut Vec<u8>) {
        let reused = {
            let mut idle = self.idle.lock();
            idle.iter()
                .position(|(idle_coding, _)| *idle_coding == coding)
                .map(|index| idle.swap_remove(index).1)
        };
        let Some(mut compressor) = reused.or_else(|| Compressor::new(coding)) else {
            out.extend_from_slice(plain);
            return;
        };
        compressor.compress(plain, out);
        self.idle.lock().push((coding, compressor));
    }
}

impl Compressor {
    /// Both codings use their fastest level. At a higher level, gzip takes three times as long
    /// and makes the output a quarter smaller.
    fn new(coding: ContentCoding) -> Option<Self> {
        match coding {
            ContentCoding::Identity => None,
            ContentCoding::Gzip => Some(Self::Deflate(Compress::new(Compression::fast(), false))),
            ContentCoding::Zstd => Some(Self::Zstd(infallible(zstd::bulk::Compressor::new(1)))),
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

#[derive(Debug)]
pub(super) struct BodyCompressor {
    coding: ContentCoding,
    has_begun: bool,
    /// The checksum of all uncompressed bytes so far; used for gzip only.
    checksum: Crc,
}

impl BodyCompressor {
    pub(super) fn new(coding: ContentCoding) -> Self {
        Self { coding, has_begun: false, checksum: Crc::new() }
    }

    /// Compresses `plain` and appends it to `out`.
    pub(super) fn write(&mut self, plain: &[u8], compressors: &Compressors, out: &mut Vec<u8>) {
        self.begin(out);
        compressors.compress(self.coding, plain, out);
        if self.coding == ContentCoding::Gzip {
            self.checksum.update(plain);
        }
    }

    /// Appends samples that were compressed earlier to `out`.
    pub(super) fn write_compressed(&mut self, samples: &CompressedSamples, out: &mut Vec<u8>) {
        if samples.bytes.is_empty() {
            return;
        }
        self.begin(out);
        out.extend_from_slice(&samples.bytes);
        if self.coding == ContentCoding::Gzip {
            self.checksum.combine(&samples.checksum);
        }
    }

    /// Appends the end of the body to `out`.
    pub(super) fn finish(&mut self, compressors: &Compressors, out: &mut Vec<u8>) {
        match self.coding {
            ContentCoding::Identity => {}
            ContentCoding::Gzip => {
                self.begin(out);
                out.extend_from_slice(&FINAL_BLOCK);
                out.extend_from_slice(&self.checksum.sum().to_le_bytes());
                out.extend_from_slice(&self.checksum.amount().to_le_bytes());
            }
            // A zstd body needs at least one frame.
            ContentCoding::Zstd if self.has_begun => {}
            ContentCoding::Zstd => compressors.compress(self.coding, &[], out),
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_begun, true) && self.coding == ContentCoding::Gzip {
            out.extend_from_slice(&GZIP_HEADER);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    /// The pieces of a body: whether each was compressed earlier, and its bytes.
    fn any_pieces() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
        let repetitive =
            ("[a-c]{1,20}", 1_usize..5000).prop_map(|(text, times)| text.repeat(times).into_bytes());
        let random = proptest::collection::vec(any::<u8>(), 0..50_000);
        proptest::collection::vec((any::<bool>(), prop_oneof![repetitive, random]), 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn samples_compressed_earlier_and_new_data_make_one_body(pieces in any_pieces()) {
            let compressors = Compressors::default();
            let plain: Vec<u8> = pieces.iter().flat_map(|(_, plain)| plain).copied().collect();
            for coding in [ContentCoding::Gzip, ContentCoding::Zstd] {
                let (mut compressor, mut body) = (BodyCompressor::new(coding), Vec::new());
                for (was_compressed_earlier, plain) in &pieces {
                    match was_compressed_earlier {
                        true => compressor.write_compressed(&compressors.compress_samples(coding, plain), &mut body),
                        false => compressor.write(plain, &compressors, &mut body),
                    }
                }
                compressor.finish(&compressors, &mut body);
                let mut read = Vec::new();
                match coding {
                    ContentCoding::Gzip => {
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
