//! Decodes the text of a configuration file.

use super::yaml::{Position, SyntaxError};
use crate::file;

/// The text of a file without a byte order mark, which Windows editors put in front.
pub(super) fn decode(bytes: Vec<u8>) -> Result<String, SyntaxError> {
    file::reject_utf16(&bytes)
        .map_err(|message| SyntaxError { position: Position::START, message: message.to_owned() })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let end = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let before = String::from_utf8_lossy(&bytes[..end]);
        SyntaxError {
            position: Position::after(&before),
            message: format!("the byte 0x{:02x} is not UTF-8; save the file as UTF-8", bytes[end]),
        }
    })?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    match text.split_once('\0') {
        Some((before, _)) => Err(SyntaxError {
            position: Position::after(before),
            message: "the file contains a zero byte; expected text".to_owned(),
        }),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_utf8_with_or_without_a_byte_order_mark() {
        const ZERO: &str = "the file contains a zero byte; expected text";
        const UTF16: &str = "the file is encoded in UTF-16; save it as UTF-8";
        assert_eq!(decode(b"a: b".to_vec()).unwrap(), "a: b");
        assert_eq!(decode("\u{feff}a: ü".into()).unwrap(), "a: ü");
        assert_eq!(decode(Vec::new()).unwrap(), "");
        let utf16 = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        let little = |text: &str| utf16(text).into_iter().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let big = |text: &str| utf16(text).into_iter().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        for (bytes, line, column, message) in [
            (little("\u{feff}a: b"), 1, 1, UTF16),
            (big("\u{feff}a: b"), 1, 1, UTF16),
            (little("a: b"), 1, 1, UTF16),
            (big("a: b"), 1, 1, UTF16),
            (b"a: b\nc: \0".to_vec(), 2, 4, ZERO),
            (b"\0".to_vec(), 1, 1, ZERO),
            (
                b"\xef\xbb\xbfa: b\r\n\xc3\xbc: caf\xe9\n".to_vec(),
                2,
                7,
                "the byte 0xe9 is not UTF-8; save the file as UTF-8",
            ),
            (b"a: \xe2\x82".to_vec(), 1, 4, "the byte 0xe2 is not UTF-8; save the file as UTF-8"),
        ] {
            let error = decode(bytes).unwrap_err();
            assert_eq!((error.position, error.message.as_str()), (Position { line, column }, message));
        }
    }
}
