//! Tags, such as `!!str`, which say what type a value has.

use saphyr_parser::{Event, Tag};

use super::is_null;
use super::merge::MERGE_KEY;
use crate::printable::excerpt;

/// Checks that the value has the type that its tag says. The types of scalars other than null are
/// not checked here, because the setting that a scalar is for parses its text. All other tags are
/// rejected: other programs take `!env NAME` or `!vault TEXT` for a secret from elsewhere, and to
/// take it for a text would be wrong.
pub(super) fn check(event: &Event<'_>) -> Result<(), String> {
    let (tag, is_supported) = match event {
        Event::Scalar(text, _, _, Some(tag)) => {
            let is_supported = match core_type(tag) {
                Some("null") => is_null(text),
                // `yq` writes `!!merge <<:`.
                Some("merge") => text == MERGE_KEY,
                core_type => is_string(tag) || matches!(core_type, Some("bool" | "int" | "float")),
            };
            (tag, is_supported)
        }
        Event::SequenceStart(_, Some(tag)) => (tag, is_non_specific(tag) || core_type(tag) == Some("seq")),
        Event::MappingStart(_, Some(tag)) => (tag, is_non_specific(tag) || core_type(tag) == Some("map")),
        _ => return Ok(()),
    };
    if is_supported {
        return Ok(());
    }
    let tag = match core_type(tag) {
        Some(name) => format!("!!{name}"),
        None => tag.to_string(),
    };
    Err(format!("the tag `{}` is not supported here; remove it", excerpt(&tag)))
}

/// Whether the tag makes a string of a scalar that would otherwise be something else.
pub(super) fn is_string(tag: &Tag) -> bool {
    is_non_specific(tag) || core_type(tag) == Some("str")
}

/// The tag `!`.
fn is_non_specific(tag: &Tag) -> bool {
    matches!((tag.handle.as_str(), tag.suffix.as_str()), ("", "!") | ("!", ""))
}

/// The name of a type such as `str`, if the tag is one of those that all YAML shares.
fn core_type(tag: &Tag) -> Option<&str> {
    const PREFIX: &str = "tag:yaml.org,2002:";
    match tag.handle.as_str() {
        PREFIX => Some(&tag.suffix),
        // Written in full, as `!<tag:yaml.org,2002:str>`.
        "" => tag.suffix.strip_prefix(PREFIX),
        _ => None,
    }
}
