//! YAML as a tree in which every node has a position and every scalar is the text in the
//! file.
//!
//! A deserializer that infers types would read an account id such as `012345678901` or an
//! external id such as `0777` as a number, so scalars stay text until the setting that they
//! are for parses them. `saphyr` builds the tree.
//!
//! ```text
//! text ─▶ events ─▶ nodes ─▶ merge ─▶ Document
//!         checked   built    `<<`
//! ```

mod events;
mod merge;
mod tag;

use figment::value::{Dict, Empty, Value};
use saphyr::{MarkedYamlOwned, ScalarStyle, YamlDataOwned};
use saphyr_parser::Marker;

pub(super) use events::MAX_DEPTH;

use super::key_path::{KeyPath, Segment};

/// A place in a file; both numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    /// The position of what follows `text`.
    pub(super) fn after(text: &str) -> Self {
        let last_line = text.rsplit('\n').next().unwrap_or_default();
        Self { line: text.matches('\n').count() + 1, column: last_line.chars().count() + 1 }
    }
}

impl From<&Marker> for Position {
    fn from(marker: &Marker) -> Self {
        // The node of an empty document has no marker.
        Self { line: marker.line().max(1), column: marker.col() + 1 }
    }
}

/// The text is not YAML, or outside of the subset of YAML that is accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) position: Position,
    pub(super) message: String,
}

impl SyntaxError {
    fn new(marker: &Marker, message: impl Into<String>) -> Self {
        Self { position: marker.into(), message: message.into() }
    }
}

/// A document. Sequences have no empty items, the keys of a mapping are distinct strings, and merge
/// keys are replaced by what they merge.
#[derive(Clone, Debug)]
pub(super) struct Document(MarkedYamlOwned);

impl Document {
    /// Parses a single document. An empty text is accepted: [`to_dict`](Self::to_dict)
    /// returns an empty mapping for it, and [`to_value`](Self::to_value) a null.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut documents = events::load(text)?.into_iter();
        let mut document = documents.next().unwrap_or(YamlDataOwned::BadValue.into());
        if let Some(second) = documents.next() {
            return Err(SyntaxError::new(
                &second.span.start,
                "a second document begins here; the file may have only one",
            ));
        }
        merge::resolve(&mut document)?;
        reject_empty_list_entries(&document)?;
        Ok(Self(document))
    }

    /// The document for figment, in which every scalar is a string or null.
    pub(super) fn to_value(&self) -> Value {
        to_value(&self.0)
    }

    /// The document as a mapping, empty for an empty document; `None` for a scalar or a
    /// list.
    pub(super) fn to_dict(&self) -> Option<Dict> {
        match to_value(&self.0) {
            Value::Dict(_, dict) => Some(dict),
            Value::Empty(..) => Some(Dict::new()),
            _ => None,
        }
    }

    /// The position of the value at `path`, or of its nearest existing ancestor. A list,
    /// a mapping or a null is located at its key, or at its own start if it is a list item.
    pub(super) fn locate(&self, path: &KeyPath) -> Position {
        let (key_position, value) = self.walk(path);
        if non_null_text(value).is_some() { (&value.span.start).into() } else { key_position }
    }

    /// The position of the key at the end of `path`.
    pub(super) fn locate_key(&self, path: &KeyPath) -> Position {
        self.walk(path).0
    }

    /// The last node on `path` that exists, and the position of its key.
    fn walk(&self, path: &KeyPath) -> (Position, &MarkedYamlOwned) {
        let mut node = untagged(&self.0);
        let mut position = (&node.span.start).into();
        for segment in path.segments() {
            let next = match (segment, &node.data) {
                (Segment::Key(wanted), YamlDataOwned::Mapping(entries)) => {
                    entries.iter().find(|(key, _)| scalar_text(key) == Some(wanted.as_str()))
                }
                (Segment::Index(index), YamlDataOwned::Sequence(items)) => {
                    items.get(*index).map(|item| (item, item))
                }
                _ => None,
            };
            let Some((key, value)) = next else { break };
            position = (&key.span.start).into();
            node = untagged(value);
        }
        (position, node)
    }
}

/// Rejects empty list entries: an entry whose keys are all commented out must not become an
/// entry with all the defaults.
fn reject_empty_list_entries(node: &MarkedYamlOwned) -> Result<(), SyntaxError> {
    match &node.data {
        YamlDataOwned::Tagged(_, inner) => reject_empty_list_entries(inner),
        YamlDataOwned::Sequence(items) => items.iter().try_for_each(|item| {
            if scalar_text(item).is_some() && non_null_text(item).is_none() {
                return Err(SyntaxError::new(
                    &item.span.start,
                    "the list entry is empty; fill it in or remove it",
                ));
            }
            reject_empty_list_entries(item)
        }),
        YamlDataOwned::Mapping(entries) => entries.values().try_for_each(reject_empty_list_entries),
        _ => Ok(()),
    }
}

fn untagged(node: &MarkedYamlOwned) -> &MarkedYamlOwned {
    match &node.data {
        YamlDataOwned::Tagged(_, inner) => inner,
        _ => node,
    }
}

/// The text of a scalar, even of a null; `None` for a collection.
fn scalar_text(node: &MarkedYamlOwned) -> Option<&str> {
    match &node.data {
        YamlDataOwned::Representation(text, ..) => Some(text),
        _ => None,
    }
}

/// The text of a scalar; `None` for a null or a collection.
fn non_null_text(node: &MarkedYamlOwned) -> Option<&str> {
    match &node.data {
        YamlDataOwned::Representation(text, ScalarStyle::Plain, tag) => {
            let is_string = tag.as_ref().is_some_and(tag::is_string);
            Some(text.as_str()).filter(|text| is_string || !is_null(text))
        }
        YamlDataOwned::Representation(text, ..) => Some(text),
        _ => None,
    }
}

/// Whether a scalar without quotes is null in the core schema of YAML 1.2.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn to_value(node: &MarkedYamlOwned) -> Value {
    match &node.data {
        YamlDataOwned::Tagged(_, inner) => to_value(inner),
        YamlDataOwned::Sequence(items) => Value::from(items.iter().map(to_value).collect::<Vec<_>>()),
        YamlDataOwned::Mapping(entries) => {
            let named = entries
                .iter()
                .filter_map(|(key, value)| Some((scalar_text(key)?.to_owned(), to_value(value))));
            Value::from(named.collect::<Dict>())
        }
        _ => non_null_text(node).map_or(Value::from(Empty::None), Value::from),
    }
}

#[cfg(test)]
mod tests;
