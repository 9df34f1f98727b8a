//! Replaces names in JSON, without any demands on whether it is valid.

use super::Pseudonyms;
use super::encoding::{Decoded, Encoding};
use super::vocabulary::TextKind;

/// A part of a text that may be JSON.
pub(super) enum Part<'a> {
    /// The text between two strings.
    OutsideStrings(&'a str),
    /// A string without its quotation marks. A truncated one has no second mark.
    String { text: &'a str, is_key: bool, is_closed: bool },
}

/// The parts of a text, which need not be valid JSON.
pub(super) fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let (mut rest, mut is_string) = (text, false);
    std::iter::from_fn(move || {
        if !is_string {
            let (outside, after) = rest.split_once('"').unwrap_or((rest, ""));
            is_string = outside.len() < rest.len();
            rest = after;
            return (is_string || !outside.is_empty()).then_some(Part::OutsideStrings(outside));
        }
        is_string = false;
        let (text, after) = rest.split_at(end_of_string(rest));
        let closed = after.strip_prefix('"');
        rest = closed.unwrap_or(after);
        let is_key = closed.is_some_and(|after| after.trim_ascii_start().starts_with(':'));
        Some(Part::String { text, is_key, is_closed: closed.is_some() })
    })
}

impl Pseudonyms {
    pub(super) fn json(&mut self, body: &str) -> String {
        let mut replaced = String::with_capacity(body.len());
        let mut key = String::new();
        for part in parts(body) {
            match part {
                Part::OutsideStrings(text) => replaced += &self.outside_strings(text),
                Part::String { text, is_key, is_closed } => {
                    replaced.push('"');
                    if is_key {
                        key = Decoded::new(text, Encoding::Json).text.into_owned();
                        replaced += &self.replace(text, Encoding::Json, TextKind::Definition);
                    } else if super::ENUMS.contains(&key.as_str()) && super::is_identifier(text) {
                        replaced.push_str(text);
                    } else {
                        replaced += &self.value(&key, text, Encoding::Json);
                    }
                    if is_closed {
                        replaced.push('"');
                    }
                }
            }
        }
        replaced
    }

    /// What is between the strings: numbers, which are times or amounts unless they have the form of an
    /// account id, and in invalid JSON anything.
    fn outside_strings(&mut self, text: &str) -> String {
        let is_part_of_word = |character: char| character.is_alphanumeric() || "+-._".contains(character);
        let mut replaced = String::with_capacity(text.len());
        let (mut copied, mut position) = (0, 0);
        while let Some(start) = text[position..].find(is_part_of_word).map(|offset| position + offset) {
            let end = text[start..].find(|character| !is_part_of_word(character));
            position = end.map_or(text.len(), |end| start + end);
            let word = &text[start..position];
            let is_account_id = word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_digit());
            if is_number_or_literal(word) && !is_account_id {
                replaced += &self.replace(&text[copied..start], Encoding::Plain, TextKind::Name);
                replaced.push_str(word);
                copied = position;
            }
        }
        replaced + &self.replace(&text[copied..], Encoding::Plain, TextKind::Name)
    }
}

pub(super) fn is_number_or_literal(word: &str) -> bool {
    matches!(word, "true" | "false" | "null") || word.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The end of the string that begins with `text`: its closing quote, or the end of a truncated body.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return index,
            _ => {}
        }
    }
    text.len()
}
