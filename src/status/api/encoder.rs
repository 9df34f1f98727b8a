//! Compresses a body while it is rendered.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use zstd::stream::write::Encoder as ZstdEncoder;

use crate::negotiation::ContentCoding;

/// A compressor that has not been given the end of the body yet. Both codings use their fastest
/// level.
pub(super) enum BodyEncoder {
    Identity(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

impl BodyEncoder {
    pub(super) fn new(coding: ContentCoding) -> io::Result<Self> {
        Ok(match coding {
            ContentCoding::Identity => Self::Identity(Vec::new()),
            ContentCoding::Gzip => Self::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::fast()))),
            ContentCoding::Zstd => Self::Zstd(ZstdEncoder::new(Vec::new(), 1)?),
        })
    }

    /// Compresses the next part of the body. Returns what is ready to be sent, which may be nothing.
    pub(super) fn encode(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let ready = match self {
            Self::Identity(ready) => {
                ready.extend_from_slice(plain);
                ready
            }
            Self::Gzip(encoder) => {
                encoder.write_all(plain)?;
                encoder.get_mut()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(plain)?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(ready))
    }

    /// Returns the rest of the compressed body.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity(ready) => Ok(ready),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}
