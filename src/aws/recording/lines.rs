//! Reads the lines of a file that may be any file.

use std::io::{self, BufRead as _, BufReader, Read};

use crate::file;

/// The maximum length of a line. That of a response of 8 MiB whose characters are all escaped has 48 MiB.
const MAX_LINE: usize = 64 * 1024 * 1024;

/// The beginnings of compressed files, and what decompresses them.
const COMPRESSED: [(&[u8], &str, &str); 5] = [
    (&[0x1f, 0x8b], "gzip", "gunzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", "unzstd"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz", "unxz"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"PK\x03\x04", "zip", "unzip"),
];

/// Reads one line after the other.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    /// The number of the line that was read last, from 1.
    number: usize,
    bytes: Vec<u8>,
}

/// A line without its end. It is not blank.
pub(super) struct TextLine<'a> {
    pub(super) number: usize,
    pub(super) text: &'a str,
    /// Whether the file ends in the line, which may be a part of one.
    pub(super) is_unfinished: bool,
}

/// Why a line cannot be read.
pub(super) enum LineError {
    Io(io::Error),
    /// The number of the line, and what is wrong with it.
    Invalid(usize, String),
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), number: 0, bytes: Vec::new() }
    }

    /// The next line. `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<TextLine<'_>>, LineError> {
        loop {
            self.bytes.clear();
            self.number += 1;
            let limit = MAX_LINE as u64 + 1;
            let length = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.bytes);
            let length = length.map_err(LineError::Io)?;
            if length == 0 {
                return Ok(None);
            }
            let is_blank = self.bytes.iter().all(u8::is_ascii_whitespace);
            if !is_blank || length > MAX_LINE {
                break;
            }
        }
        let number = self.number;
        let invalid = |message: String| LineError::Invalid(number, message);
        if number == 1 {
            check_beginning(&self.bytes).map_err(invalid)?;
        }
        if self.bytes.len() > MAX_LINE {
            return Err(invalid(format!("the line is longer than {} MiB", MAX_LINE / 1024 / 1024)));
        }
        let is_unfinished = !self.bytes.ends_with(b"\n");
        let bytes = if number == 1 { file::without_byte_order_mark(&self.bytes) } else { &self.bytes };
        let text = match str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if is_unfinished && error.error_len().is_none() => {
                return Err(invalid(CUT_OFF.to_owned()));
            }
            Err(error) => {
                let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
                return Err(invalid(format!(
                    "the byte 0x{byte:02x} is not UTF-8; expected a recording that `once --record` wrote"
                )));
            }
        };
        Ok(Some(TextLine { number, text: text.trim(), is_unfinished }))
    }
}

/// The error about a last line without its end.
pub(super) const CUT_OFF: &str =
    "the line is cut off, so the file is not complete; copy it again, or make another recording";

/// Names what a file is that begins with `bytes` and has no lines.
fn check_beginning(bytes: &[u8]) -> Result<(), String> {
    if let Some((_, format, program)) = COMPRESSED.iter().find(|(beginning, ..)| bytes.starts_with(beginning))
    {
        return Err(format!(
            "the file is compressed with {format}; decompress it first, for example with `{program}`"
        ));
    }
    file::reject_utf16(bytes).map_err(ToOwned::to_owned)
}
