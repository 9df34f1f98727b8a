//! Compressing pieces of a body, each by itself.
//!
//! Members of gzip, and frames of zstd, that stand one behind the other are one
//! stream. So what has been compressed once can be sent as often as it is asked
//! for, in the midst of what is compressed only then.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use flate2::{Compress, Compression, FlushCompress, Status};
use zstd::zstd_safe::compress_bound;

use super::dialect::written;
use crate::negotiation::Coding;

/// The window of gzip, as a power of two: the largest.
const WINDOW: u8 = 15;

/// Compressors that are not in use. Each has some 300 kB, so they are used again;
/// there are never more than threads that compress at once.
#[derive(Debug, Default)]
pub(super) struct Compressors {
    idle: Mutex<Vec<(Coding, Compressor)>>,
}

enum Compressor {
    Gzip(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
        })
    }
}

impl Compressors {
    /// Puts `plain` behind `out`, as a member or frame of its own.
    pub(super) fn compress(&self, coding: Coding, plain: &[u8], out: &mut Vec<u8>) {
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.iter().position(|(known, _)| *known == coding).map(|index| idle.swap_remove(index).1)
        };
        let Some(mut compressor) = idle.or_else(|| Compressor::new(coding)) else {
            out.extend_from_slice(plain);
            return;
        };
        compressor.compress(plain, out);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((coding, compressor));
    }
}

impl Compressor {
    /// Both as quick as can be: what is kept lasts no longer than an interval, and
    /// trying harder takes gzip three times as long for a quarter less.
    fn new(coding: Coding) -> Option<Self> {
        match coding {
            Coding::Identity => None,
            Coding::Gzip => Some(Self::Gzip(Compress::new_gzip(Compression::fast(), WINDOW))),
            Coding::Zstd => Some(Self::Zstd(written(zstd::bulk::Compressor::new(1)))),
        }
    }

    fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Gzip(gzip) => {
                gzip.reset();
                // All of ours is repetitive; the loop is for what is not.
                out.reserve(plain.len() / 8 + 64);
                loop {
                    let read = usize::try_from(gzip.total_in()).unwrap_or(plain.len());
                    if written(gzip.compress_vec(&plain[read..], out, FlushCompress::Finish))
                        == Status::StreamEnd
                    {
                        return;
                    }
                    out.reserve(plain.len() / 8 + 64);
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
