//! Makes texts from outside safe for terminals and logs.

/// Makes a text from AWS or the configuration safe for a terminal: escapes control characters
/// as in a Rust string literal.
pub(crate) fn escape_control_characters(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            // `escape_debug` would escape these as well.
            '"' | '\'' | '\\' => escaped.push(character),
            _ => escaped.extend(character.escape_debug()),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let plain = "plain \"ünï\" \\ 日本";
        assert_eq!(escape_control_characters(plain), plain);
        assert_eq!(
            escape_control_characters("\u{1b}[2J\u{9b}31m\r\n\t\u{7f}\u{202e}"),
            "\\u{1b}[2J\\u{9b}31m\\r\\n\\t\\u{7f}\\u{202e}"
        );
    }
}
