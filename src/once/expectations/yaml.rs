//! Scalars, lists and comments of limited width.

use std::fmt::Write as _;

use crate::printable::is_printable;

/// The width of lists and comments, without the indentation.
pub(super) const MAX_WIDTH: usize = 80;

/// Texts that YAML reads as something else than a string.
const KEYWORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// A text as a scalar, in lists on one line as well.
pub(super) fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        && !KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(text));
    if is_plain { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if is_printable(character) => quoted.push(character),
            // Writing to a string does not fail.
            _ => drop(write!(quoted, "\\U{:08x}", u32::from(character))),
        }
    }
    quoted.push('"');
    quoted
}

/// A key with a list on one line, or on several if it is long.
pub(super) fn flow_list(key: &str, items: &[String]) -> Vec<String> {
    let one_line = format!("{key}: [{}]", items.join(", "));
    if one_line.len() <= MAX_WIDTH {
        return vec![one_line];
    }
    let mut lines = vec![format!("{key}:"), "  [".to_owned()];
    let mut line = String::new();
    for (index, item) in items.iter().enumerate() {
        let comma = if index + 1 < items.len() { "," } else { "" };
        if !line.is_empty() && line.len() + item.len() + comma.len() + 1 > MAX_WIDTH {
            lines.push(format!("    {line}"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(item);
        line.push_str(comma);
    }
    lines.push(format!("    {line}"));
    lines.push("  ]".to_owned());
    lines
}

/// A comment. The lines after the first of an item of a list or of a step are indented below its text.
pub(super) fn comment(text: &str) -> impl Iterator<Item = String> {
    let marker =
        text.split_once(' ').filter(|(first, _)| first.ends_with('.') && first.len() == 2 || *first == "-");
    let indentation = " ".repeat(marker.map_or(0, |(first, _)| first.len() + 1));
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        if !line.trim_start().is_empty() && line.chars().count() + 1 + word.chars().count() > MAX_WIDTH {
            lines.push(std::mem::replace(&mut line, indentation.clone()));
        }
        if !line.trim_start().is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.into_iter().map(|line| format!("# {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_that_yaml_could_misread_are_quoted() {
        for (text, written) in [
            ("org-inventory", "org-inventory"),
            ("a.b/c_d", "a.b/c_d"),
            ("111122223333", "\"111122223333\""),
            ("No", "\"No\""),
            ("org-{region}", "\"org-{region}\""),
            ("a: b", "\"a: b\""),
            ("a\"\\b", r#""a\"\\b""#),
            ("*", "\"*\""),
            ("", "\"\""),
            ("ü", "\"ü\""),
            ("a\u{202e}b", "\"a\\U0000202eb\""),
        ] {
            assert_eq!(scalar(text), written);
        }
    }

    #[test]
    fn a_long_list_is_wrapped() {
        assert_eq!(flow_list("a", &["b".to_owned(), "c".to_owned()]), ["a: [b, c]"]);
        let ids: Vec<String> = (0..12).map(|id| format!("\"{id:012}\"")).collect();
        let lines = flow_list("accounts", &ids);
        assert_eq!(lines[..2], ["accounts:", "  ["]);
        assert_eq!(lines[2].matches('"').count(), 10);
        assert_eq!(lines.len(), 6);
        assert!(lines.iter().all(|line| line.len() <= MAX_WIDTH + 4), "{lines:?}");
    }

    #[test]
    fn a_long_comment_is_wrapped_between_words() {
        let lines: Vec<String> = comment(&format!("- {}", "word ".repeat(20))).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("# - word") && lines[1].starts_with("#   word"), "{lines:?}");
        assert_eq!(comment("1. a").collect::<Vec<_>>(), ["# 1. a"]);
    }
}
