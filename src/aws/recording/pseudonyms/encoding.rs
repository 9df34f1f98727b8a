//! Texts within JSON strings, XML and forms, decoded so that every character can be replaced where it
//! is encoded.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

/// How a text is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Plain,
    /// The inside of a string in JSON.
    Json,
    /// With the entities of XML.
    Xml,
    /// Percent-encoded, as in forms.
    Form,
}

/// A decoded text, and where each of its bytes is in the encoded one.
#[derive(Debug)]
pub(super) struct Decoded<'a> {
    pub(super) text: Cow<'a, str>,
    /// For each byte of the text and for its end. `None` if they are the same.
    positions: Option<Vec<usize>>,
}

/// What stands for an escape sequence that has no character.
const INVALID: &str = "\0";

impl<'a> Decoded<'a> {
    pub(super) fn new(encoded: &'a str, encoding: Encoding) -> Self {
        let first = match encoding {
            Encoding::Plain => return Self::plain(encoded),
            Encoding::Json => '\\',
            Encoding::Xml => '&',
            Encoding::Form => '%',
        };
        if !encoded.contains(first) {
            return Self::plain(encoded);
        }
        let mut text = String::with_capacity(encoded.len());
        let mut positions = Vec::with_capacity(encoded.len() + 1);
        let mut rest = encoded;
        while let Some(character) = rest.chars().next() {
            let position = encoded.len() - rest.len();
            let escape = (character == first)
                .then(|| match encoding {
                    Encoding::Plain => None,
                    Encoding::Json => Some(json_escape(rest)),
                    Encoding::Xml => xml_entity(rest),
                    Encoding::Form => percent_escapes(rest),
                })
                .flatten();
            let (decoded, length) = escape.unwrap_or_else(|| (character.to_string(), character.len_utf8()));
            text.push_str(&decoded);
            positions.extend(std::iter::repeat_n(position, decoded.len()));
            rest = &rest[length..];
        }
        positions.push(encoded.len());
        if encoding == Encoding::Form {
            spread(&text, encoded, &mut positions);
        }
        Self { text: text.into(), positions: Some(positions) }
    }

    fn plain(text: &'a str) -> Self {
        Self { text: text.into(), positions: None }
    }

    /// Where the characters in `range` of the text are in the encoded text.
    pub(super) fn encoded(&self, range: Range<usize>) -> Range<usize> {
        match &self.positions {
            Some(positions) => positions[range.start]..positions[range.end],
            None => range,
        }
    }
}

/// Encodes a pseudonym. Only the characters in pseudonyms that are not ASCII need it, in forms.
pub(super) fn encode(pseudonym: &str, encoding: Encoding) -> Cow<'_, str> {
    if encoding != Encoding::Form || pseudonym.is_ascii() {
        return pseudonym.into();
    }
    let mut encoded = String::new();
    for character in pseudonym.chars() {
        if character.is_ascii() {
            encoded.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string does not fail.
                _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded.into()
}

/// The character of the escape sequence at the beginning of `rest`, and the length of the sequence.
fn json_escape(rest: &str) -> (String, usize) {
    let unit = |rest: &str| {
        let digits = rest.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let character = match rest.as_bytes().get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let Some(first) = unit(rest) else { return (INVALID.to_owned(), 1) };
            let second = rest.get(6..).and_then(unit);
            let pair = second.and_then(|second| char::decode_utf16([first, second]).next()?.ok());
            return match (char::from_u32(first.into()), pair) {
                (Some(character), _) => (character.to_string(), 6),
                (None, Some(character)) => (character.to_string(), 12),
                (None, None) => (INVALID.to_owned(), 6),
            };
        }
        _ => return (INVALID.to_owned(), 1),
    };
    (character.to_string(), 2)
}

fn xml_entity(rest: &str) -> Option<(String, usize)> {
    /// The longest is a number.
    const MAX_LENGTH: usize = 12;
    let end = rest.bytes().take(MAX_LENGTH).position(|byte| byte == b';')?;
    let name = &rest[1..end];
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((character.to_string(), end + 1))
}

/// The text of all escape sequences at the beginning of `rest` that follow each other, because a
/// character may need several.
fn percent_escapes(rest: &str) -> Option<(String, usize)> {
    let mut bytes = Vec::new();
    while let Some(digits) =
        rest.get(bytes.len() * 3..bytes.len() * 3 + 3).and_then(|escape| escape.strip_prefix('%'))
        && let Ok(byte) = u8::from_str_radix(digits, 16)
    {
        bytes.push(byte);
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            String::from_utf8_lossy(&error.into_bytes()[..valid]).into_owned()
        }
    };
    let length = text.len() * 3;
    (length > 0).then_some((text, length))
}

/// Gives each byte of a run of escape sequences the position of its own sequence.
fn spread(text: &str, encoded: &str, positions: &mut [usize]) {
    for index in 1..text.len() {
        let previous = positions[index - 1];
        if positions[index] <= previous && encoded.as_bytes()[previous] == b'%' {
            positions[index] = previous + 3;
        }
    }
}
