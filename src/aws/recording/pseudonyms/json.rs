//! Replaces names in JSON, without any demands on whether it is valid.

use super::Pseudonyms;
use super::encoding::{Decoded, Encoding};
use super::vocabulary::TextKind;

impl Pseudonyms {
    pub(super) fn json(&mut self, body: &str) -> String {
        let mut replaced = String::with_capacity(body.len());
        let mut key = String::new();
        let mut rest = body;
        while let Some(quote) = rest.find('"') {
            replaced += &self.outside_strings(&rest[..quote]);
            let string = &rest[quote + 1..];
            let end = end_of_string(string);
            let (string, after) = string.split_at(end);
            replaced.push('"');
            let is_key =
                after.strip_prefix('"').is_some_and(|after| after.trim_ascii_start().starts_with(':'));
            if is_key {
                key = Decoded::new(string, Encoding::Json).text.into_owned();
                replaced += &self.replace(string, Encoding::Json, TextKind::Definition);
            } else if super::ENUMS.contains(&key.as_str()) && super::is_identifier(string) {
                replaced.push_str(string);
            } else {
                replaced += &self.value(&key, string, Encoding::Json);
            }
            rest = match after.strip_prefix('"') {
                Some(after) => {
                    replaced.push('"');
                    after
                }
                None => after,
            };
        }
        replaced + &self.outside_strings(rest)
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

fn is_number_or_literal(word: &str) -> bool {
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
