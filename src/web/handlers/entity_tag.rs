//! Evaluates `If-None-Match` (RFC 9110, section 13.1.2).

/// Whether one of the header's values is `*` or names `tag`, by weak comparison: whether either tag
/// is weak does not matter. A malformed value matches nothing from the malformed part on, so that
/// the client gets the whole response.
pub(super) fn matches_any<'a>(values: impl IntoIterator<Item = &'a str>, tag: &str) -> bool {
    values.into_iter().any(|value| value.trim() == "*" || entity_tags(value).any(|listed| listed == tag))
}

/// The entity tags of a list, without their quotes. A tag may contain commas.
fn entity_tags(mut list: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        // Empty items are allowed in a list.
        let item = list.trim_start_matches([' ', '\t', ',']);
        let quoted = item.strip_prefix("W/").unwrap_or(item).strip_prefix('"')?;
        let (tag, rest) = quoted.split_once('"')?;
        let rest = rest.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
        list = rest;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_compared_weakly() {
        for value in [
            "\"a\"",
            "W/\"a\"",
            "*",
            " * ",
            "\"b\", W/\"a\"",
            "\"b\",\"a\"",
            "\"b,c\" , \"a\"",
            ",,\"a\",",
            "\t\"a\" ",
        ] {
            assert!(matches_any([value], "a"), "{value}");
        }
        for value in [
            "",
            "a",
            "\"b\"",
            "\"A\"",
            "\"*\"",
            "w/\"a\"",
            "\"a",
            "a\"",
            "W/ \"a\"",
            "\"b\" \"a\"",
            "\"b,\"a\"",
            "\"a\"x",
        ] {
            assert!(!matches_any([value], "a"), "{value}");
        }
        assert!(matches_any(["\"b\"", "\"a\""], "a"), "the header may be repeated");
        assert!(!matches_any([], "a"));
    }

    proptest! {
        #[test]
        fn a_tag_is_found_in_any_list_of_tags(before in proptest::collection::vec("(W/)?\"[!#-~]{0,5}\"", 0..4), tag in "[!#-~]{0,5}") {
            let list = before.into_iter().chain([format!("W/\"{tag}\"")]).collect::<Vec<_>>().join(", ");
            prop_assert!(matches_any([&*list], &tag), "{}", list);
        }

        #[test]
        fn no_list_causes_a_panic(list in ".{0,100}") {
            matches_any([&*list], "a");
        }
    }
}
