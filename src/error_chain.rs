//! Formats an error with its causes, finds an error among the causes of another, and shortens
//! the texts that an error repeats.

/// An error and all its sources on one line, such as `cannot read x: no such file`.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The first error of type `T` among `error` and its sources.
pub(crate) fn find_cause<'a, T: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a T> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// The beginning of a text that an error message repeats, on one line: control characters
/// are escaped as in a Rust string literal.
pub(crate) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 100;
    let mut excerpt = String::new();
    for character in text.chars().take(MAX_CHARS) {
        if character.is_control() {
            excerpt.extend(character.escape_default());
        } else {
            excerpt.push(character);
        }
    }
    if text.chars().nth(MAX_CHARS).is_some() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt("eu-wset-1 ü"), "eu-wset-1 ü");
        assert_eq!(excerpt("a\r\nb\0\u{1b}[31m"), "a\\r\\nb\\u{0}\\u{1b}[31m");
        assert_eq!(excerpt(&"ü".repeat(1_000_000)), "ü".repeat(100) + "…");
    }
}
