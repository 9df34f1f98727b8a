//! Makes texts from outside safe for terminals and logs.

use std::path::Path;

/// Whether a terminal or an editor shows the character, and it changes neither the lines nor the
/// direction of the text around it.
pub(crate) fn is_printable(character: char) -> bool {
    match character {
        ' '..='~' => true,
        // `escape_debug` escapes control characters, and those of Unicode that are not visible.
        _ => character.escape_debug().len() == 1,
    }
}

/// Makes a text from AWS or the configuration safe for a terminal: escapes characters that are
/// not printable as in a Rust string literal.
pub(crate) fn escape_control_characters(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_printable(character) {
            escaped.push(character);
        } else {
            escaped.extend(character.escape_debug());
        }
    }
    escaped
}

/// The beginning of a text that an error message repeats, without control characters.
pub(crate) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 100;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => escape_control_characters(&text[..end]) + "…",
        None => escape_control_characters(text),
    }
}

/// The text, or its beginning and its end with `…` in between, so that it has at most `max_chars`
/// characters. The cause of an error is at the end of its message. Words are kept whole, unless they
/// are long.
pub(crate) fn shorten_middle(text: &str, max_chars: usize) -> String {
    /// How many characters of a word are left out rather than shown without the rest of the word.
    const MAX_PART: usize = 20;
    let count = text.chars().count();
    if count <= max_chars {
        return text.to_owned();
    }
    let tail_chars = max_chars / 3;
    let head_chars = max_chars.saturating_sub(tail_chars + 1);
    let start_of = |index| text.char_indices().nth(index).map_or(text.len(), |(start, _)| start);
    let (head, tail) = (&text[..start_of(head_chars)], &text[start_of(count - tail_chars)..]);
    let head = head.rfind(' ').filter(|end| head.len() - end <= MAX_PART).map_or(head, |end| &head[..=end]);
    let tail = tail.find(' ').filter(|start| *start < MAX_PART).map_or(tail, |start| &tail[start..]);
    format!("{head}…{tail}")
}

/// The text without the users and passwords of its URLs.
pub(crate) fn redact_url_users(text: &str) -> String {
    const AUTHORITY: &str = "://";
    let (mut redacted, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(AUTHORITY) {
        let (before, after) = rest.split_at(at + AUTHORITY.len());
        redacted += before;
        // A password may contain any character that does not end the URL.
        let url = after.split(char::is_whitespace).next().unwrap_or_default();
        let url = url.find(AUTHORITY).map_or(url, |next| &url[..next]);
        rest = match url.rfind('@') {
            Some(end) => {
                redacted += "(redacted)@";
                &after[end + 1..]
            }
            None => after,
        };
    }
    redacted + rest
}

/// A path in an error message, without control characters. The middle of a long path is left out:
/// its end names the file.
pub(crate) fn path_excerpt(path: &Path) -> String {
    const MAX_CHARS: usize = 300;
    shorten_middle(&escape_control_characters(&path.to_string_lossy()), MAX_CHARS)
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

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt("eu-wset-1 ü"), "eu-wset-1 ü");
        assert_eq!(excerpt("a\r\nb\0\u{1b}[31m"), "a\\r\\nb\\0\\u{1b}[31m");
        assert_eq!(excerpt(&"ü".repeat(1_000_000)), "ü".repeat(100) + "…");
    }

    #[test]
    fn a_long_text_loses_its_middle() {
        assert_eq!(shorten_middle("0123456789", 10), "0123456789");
        assert_eq!(shorten_middle("0123456789x", 10), "012345…89x");
        assert_eq!(shorten_middle(&"ü".repeat(20), 4), "üü…ü");
        assert_eq!(shorten_middle("ab", 1), "…");
        // Words are not cut, if they are not too long for that.
        assert_eq!(shorten_middle("one two three four five six seven", 28), "one two three … seven");
        let long = "x".repeat(50);
        assert_eq!(shorten_middle(&long, 31), format!("{}…{}", "x".repeat(20), "x".repeat(10)));
    }

    #[test]
    fn the_users_of_urls_are_redacted() {
        for (text, expected) in [
            ("no URL, a@b", "no URL, a@b"),
            ("http://host/a b@c", "http://host/a b@c"),
            ("(http://user:s3cr3t@host/path): x", "(http://(redacted)@host/path): x"),
            ("http://s3cr3t@host", "http://(redacted)@host"),
            ("http://user:s3/c#r?3@t@host", "http://(redacted)@host"),
            ("http://s3cr3t@a https://s3cr3t@b", "http://(redacted)@a https://(redacted)@b"),
            ("http://s3cr3t@a,https://s3cr3t@b", "http://(redacted)@a,https://(redacted)@b"),
            ("://s3cr3t@", "://(redacted)@"),
        ] {
            assert_eq!(redact_url_users(text), expected);
        }
    }

    #[test]
    fn a_path_in_an_error_is_one_line_that_ends_with_the_name_of_the_file() {
        assert_eq!(path_excerpt(Path::new("/etc/a b/ü.yaml")), "/etc/a b/ü.yaml");
        assert_eq!(path_excerpt(Path::new("/tmp/a\n\u{1b}[31mb")), "/tmp/a\\n\\u{1b}[31mb");
        let long = format!("/{}/server.key", "x".repeat(100_000));
        let shown = path_excerpt(Path::new(&long));
        assert!(shown.starts_with("/xxx") && shown.ends_with("xx/server.key"), "{shown}");
        assert_eq!(shown.chars().count(), 300);
    }
}
