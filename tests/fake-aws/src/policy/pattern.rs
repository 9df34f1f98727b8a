//! Wildcards in policies.

/// Whether `text` matches `pattern`, in which `*` and `?` are wildcards.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut position) = (0, 0);
    // The position after the latest `*` of the pattern, and where its match ends at the earliest.
    let mut star = None;
    while position < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, position));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == text[position] => {
                at += 1;
                position += 1;
            }
            _ => {
                let Some((after_star, end)) = star else { return false };
                star = Some((after_star, end + 1));
                (at, position) = (after_star, end + 1);
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

/// Like [`matches()`], ignoring case.
pub(super) fn matches_ignoring_case(pattern: &str, text: &str) -> bool {
    matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_any_text_and_single_characters() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "anything"),
            ("a*c", "abc"),
            ("a*c", "abcabc"),
            ("a**c", "ac"),
            ("a?c", "abc"),
            ("*b*", "abc"),
            ("*bc", "abcbbc"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("a*c", "abd"),
            ("a?c", "ac"),
            ("*bc", "abcb"),
            ("A", "a"),
            ("a*b*c", "acb"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        assert!(matches_ignoring_case("SSM:list*", "ssm:ListResourceDataSync"));
    }
}
