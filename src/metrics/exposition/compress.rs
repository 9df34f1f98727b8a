//! Compressing a body of which parts have been compressed before.
//!
//! What has been compressed by itself is put between what is compressed only
//! then. In zstd each piece is a frame, of which a body may have many. In gzip it
//! may have many members, too, but curl and browsers do not read beyond the first;
//! so there pieces are runs of deflate blocks that end at a full byte and never
//! refer to what stands before them, and the whole is one member.

use std::fmt;

use flate2::{Compress, Compression, Crc, FlushCompress};
use parking_lot::Mutex;
use zstd::zstd_safe::compress_bound;

use super::super::sample_encoding::written;
use crate::negotiation::Coding;

/// RFC 1952: its mark, deflate, no flags, no time, compressed quickly, Unix.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3];

/// RFC 1951: the last block, with fixed codes, with nothing in it.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// A part of a body, compressed by itself.
#[derive(Debug, Default)]
pub(in crate::metrics) struct CompressedChunk {
    bytes: Box<[u8]>,
    /// Of what was compressed; for gzip only.
    checksum: Crc,
}

/// Compressors that are not in use. Each has some 300 kB, so they are used again;
/// for each coding there are never more than threads that compress at once.
#[derive(Debug, Default)]
pub(in crate::metrics) struct Compressors {
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
    /// Compresses a part of a body. Nothing makes an empty piece.
    pub(in crate::metrics) fn piece(&self, coding: Coding, plain: &[u8]) -> CompressedChunk {
        let mut piece = CompressedChunk::default();
        if !plain.is_empty() {
            let mut bytes = Vec::new();
            self.compress(coding, plain, &mut bytes);
            piece.bytes = bytes.into_boxed_slice();
            if coding == Coding::Gzip {
                piece.checksum.update(plain);
            }
        }
        piece
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
    /// Both as quick as can be: trying harder takes gzip three times as long for a
    /// quarter less.
    fn new(coding: Coding) -> Option<Self> {
        match coding {
            Coding::Identity => None,
            Coding::Gzip => Some(Self::Deflate(Compress::new(Compression::fast(), false))),
            Coding::Zstd => Some(Self::Zstd(written(zstd::bulk::Compressor::new(1)))),
        }
    }

    fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Deflate(deflate) => {
                deflate.reset();
                loop {
                    // All of ours is repetitive; more rounds are for what is not.
                    out.reserve(plain.len() / 8 + 64);
                    let read = usize::try_from(deflate.total_in()).unwrap_or(plain.len());
                    written(deflate.compress_vec(&plain[read..], out, FlushCompress::Sync));
                    if out.len() < out.capacity() {
                        return;
                    }
                }
            }
            Self::Zstd(zstd) => {
                let start = out.len();
                out.resize(start + compress_bound(plain.len()), 0);
                let length = written(zstd.compress_to_buffer(plain, &mut out[start..]));
                out.truncate(start + length);
            }
        }
    }
}

/// A body that is being put together.
#[derive(Debug)]
pub(in crate::metrics) struct Stream {
    coding: Coding,
    begun: bool,
    /// Of all so far; for gzip only.
    checksum: Crc,
}

impl Stream {
    pub(in crate::metrics) fn new(coding: Coding) -> Self {
        Self { coding, begun: false, checksum: Crc::new() }
    }

    /// Compresses what comes next, and puts it behind `out`.
    pub(in crate::metrics) fn add(&mut self, plain: &[u8], compressors: &Compressors, out: &mut Vec<u8>) {
        self.begin(out);
        compressors.compress(self.coding, plain, out);
        if self.coding == Coding::Gzip {
            self.checksum.update(plain);
        }
    }

    /// Puts a piece that comes next behind `out`.
    pub(in crate::metrics) fn add_piece(&mut self, piece: &CompressedChunk, out: &mut Vec<u8>) {
        if piece.bytes.is_empty() {
            return;
        }
        self.begin(out);
        out.extend_from_slice(&piece.bytes);
        if self.coding == Coding::Gzip {
            self.checksum.combine(&piece.checksum);
        }
    }

    /// Puts what a body ends with behind `out`.
    pub(in crate::metrics) fn end(&mut self, compressors: &Compressors, out: &mut Vec<u8>) {
        match self.coding {
            Coding::Identity => {}
            Coding::Gzip => {
                self.begin(out);
                out.extend_from_slice(&LAST_BLOCK);
                out.extend_from_slice(&self.checksum.sum().to_le_bytes());
                out.extend_from_slice(&self.checksum.amount().to_le_bytes());
            }
            // No frame at all would not be zstd.
            Coding::Zstd if self.begun => {}
            Coding::Zstd => compressors.compress(self.coding, &[], out),
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) && self.coding == Coding::Gzip {
            out.extend_from_slice(&GZIP_HEADER);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    /// Whether a piece has been compressed before or only now, and what is in it.
    fn pieces() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
        let repetitive =
            ("[a-c]{1,20}", 1_usize..5000).prop_map(|(text, times)| text.repeat(times).into_bytes());
        let random = proptest::collection::vec(any::<u8>(), 0..50_000);
        proptest::collection::vec((any::<bool>(), prop_oneof![repetitive, random]), 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn pieces_make_one_body(pieces in pieces()) {
            let compressors = Compressors::default();
            let plain: Vec<u8> = pieces.iter().flat_map(|(_, plain)| plain).copied().collect();
            for coding in [Coding::Gzip, Coding::Zstd] {
                let (mut stream, mut body) = (Stream::new(coding), Vec::new());
                for (kept, plain) in &pieces {
                    match kept {
                        true => stream.add_piece(&compressors.piece(coding, plain), &mut body),
                        false => stream.add(plain, &compressors, &mut body),
                    }
                }
                stream.end(&compressors, &mut body);
                let mut read = Vec::new();
                match coding {
                    Coding::Gzip => {
                        // Not the decoder that reads member after member.
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
