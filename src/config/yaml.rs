//! YAML as a tree in which every node has a position and every scalar is the text in the
//! file.
//!
//! A deserializer that infers types would read an account id such as `012345678901` or an
//! external id such as `0777` as a number, so scalars stay text until the setting that they
//! are for parses them. `saphyr` builds the tree. The events of its parser are checked before they
//! reach its loader, because the loader does not limit the depth of a document, accepts an
//! alias inside of the collection that it refers to, and does not say which key is a
//! duplicate.

use std::collections::HashMap;

use figment::value::{Dict, Empty, Value};
use saphyr::{MarkedYamlOwned, ScalarStyle, ScanError, YamlDataOwned, YamlLoader};
use saphyr_parser::{Event, Marker, Parser, SpannedEventReceiver as _};

use super::key_path::{KeyPath, Segment};

/// How deep collections may be nested inside the outermost one: deeper than any key needs, but not so deep that the
/// stack could overflow.
const MAX_DEPTH: usize = 32;

/// How many nodes aliases may add to a document, so that a few lines cannot
/// expand to gigabytes.
const MAX_ALIASED_NODES: usize = 1_000_000;

/// A place in a file; both numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
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

/// A document. Sequences have no empty items, and the keys of a mapping are distinct
/// strings.
#[derive(Clone, Debug)]
pub(super) struct Document(MarkedYamlOwned);

impl Document {
    /// Parses a single document. An empty text is accepted: [`to_dict`](Self::to_dict)
    /// returns an empty mapping for it, and [`to_value`](Self::to_value) a null.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        // Windows editors put a byte order mark in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut documents = load(text)?.into_iter();
        let document = documents.next().unwrap_or(YamlDataOwned::BadValue.into());
        if let Some(second) = documents.next() {
            return Err(SyntaxError::new(
                &second.span.start,
                "a second document begins here; the file may have only one",
            ));
        }
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

/// A list or mapping whose end has not been parsed yet.
struct OpenCollection {
    anchor: usize,
    is_mapping: bool,
    /// The number of its direct children so far; in a mapping, keys and values alternate.
    nodes: usize,
    /// The line of each key so far.
    keys: HashMap<String, usize>,
    /// The number of levels of collections in it so far.
    height: usize,
}

impl OpenCollection {
    fn new(anchor: usize, is_mapping: bool) -> Self {
        Self { anchor, is_mapping, nodes: 0, keys: HashMap::new(), height: 0 }
    }

    /// Checks a direct child of the collection when it begins.
    fn check_node(&mut self, event: &Event<'_>, start: &Marker) -> Result<(), SyntaxError> {
        let is_key = self.is_mapping && self.nodes.is_multiple_of(2);
        self.nodes += 1;
        if !is_key {
            return Ok(());
        }
        let Event::Scalar(key, ..) = event else {
            return Err(SyntaxError::new(
                start,
                "a key must be written as a string, not as an alias, a list or a mapping",
            ));
        };
        // To the loader, `a` and `"a"` are different keys.
        match self.keys.insert(key.to_string(), start.line()) {
            Some(first) => {
                // `KeyPath` hides a key that looks like a password hash.
                let key = KeyPath::default().join(&**key);
                let message =
                    format!("the key `{key}` is set twice, first on line {first}; remove one of the two");
                Err(SyntaxError::new(start, message))
            }
            None => Ok(()),
        }
    }
}

/// Loads all documents in `text`.
fn load(text: &str) -> Result<Vec<MarkedYamlOwned>, SyntaxError> {
    let mut loader = YamlLoader::<MarkedYamlOwned>::default();
    loader.early_parse(false);
    loader.alias_limit(MAX_ALIASED_NODES);
    let mut open: Vec<OpenCollection> = Vec::new();
    // The height of each collection by its anchor, for the depth that an alias adds.
    let mut heights: HashMap<usize, usize> = HashMap::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error: ScanError| {
            SyntaxError::new(error.marker(), format!("not YAML: {}", error.info()))
        })?;
        let begins_node = matches!(
            event,
            Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..)
        );
        if let Some(parent) = open.last_mut().filter(|_| begins_node) {
            parent.check_node(&event, &span.start)?;
        }
        let height = match event {
            Event::SequenceStart(anchor, _) => {
                open.push(OpenCollection::new(anchor, false));
                0
            }
            Event::MappingStart(anchor, _) => {
                open.push(OpenCollection::new(anchor, true));
                0
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map_or(0, |closed| {
                heights.insert(closed.anchor, closed.height + 1);
                closed.height + 1
            }),
            Event::Alias(anchor) if open.iter().any(|collection| collection.anchor == anchor) => {
                return Err(SyntaxError::new(
                    &span.start,
                    "the alias refers to the collection that it is in",
                ));
            }
            Event::Alias(anchor) => heights.get(&anchor).copied().unwrap_or_default(),
            _ => 0,
        };
        if open.len() + height > MAX_DEPTH + 1 {
            return Err(SyntaxError::new(&span.start, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        if let Some(parent) = open.last_mut() {
            parent.height = parent.height.max(height);
        }
        loader.on_event(event, span);
        if let Some(error) = loader.error() {
            return Err(SyntaxError::new(error.marker(), error.info()));
        }
    }
    Ok(loader.into_documents())
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
        YamlDataOwned::Representation(text, ScalarStyle::Plain, _) => {
            Some(text.as_str()).filter(|text| !matches!(*text, "" | "~" | "null" | "Null" | "NULL"))
        }
        YamlDataOwned::Representation(text, ..) => Some(text),
        _ => None,
    }
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
mod tests {
    use super::*;

    fn value_of(text: &str, key: &str) -> Value {
        Document::parse(text).unwrap().to_dict().unwrap()[key].clone()
    }

    #[test]
    fn scalars_stay_text() {
        for scalar in ["012345678901", "0777", "1e3", "0x1F", "true", "no", "1_000", "2026-01-01"] {
            assert_eq!(value_of(&format!("key: {scalar}"), "key").as_str(), Some(scalar));
        }
        assert_eq!(value_of("key: \"null\"", "key").as_str(), Some("null"));
    }

    #[test]
    fn an_empty_document_is_an_empty_mapping() {
        assert!(Document::parse("# nothing\n").unwrap().to_dict().unwrap().is_empty());
        assert!(Document::parse("").unwrap().to_dict().unwrap().is_empty());
    }

    #[test]
    fn every_value_has_a_position() {
        let document = Document::parse("a: 1\nb:\n  - id: x\n  - id: y\n    z: [p, q]\n").unwrap();
        let at = |path: &[Segment]| {
            let Position { line, column } = document.locate(&KeyPath::from(path.to_vec()));
            (line, column)
        };
        assert_eq!(at(&["a".into()]), (1, 4));
        assert_eq!(at(&["b".into()]), (2, 1));
        assert_eq!(at(&["b".into(), 1.into(), "id".into()]), (4, 9));
        assert_eq!(at(&["b".into(), 1.into(), "z".into(), 1.into()]), (5, 12));
        assert_eq!(at(&["b".into(), 1.into(), "missing".into()]), (4, 5));
    }

    #[test]
    fn aliases_are_followed_up_to_a_limit() {
        assert_eq!(value_of("a: &x [1, 2]\nb: *x\n", "b"), value_of("b: [1, 2]\n", "b"),);
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let previous = format!("*a{}", level - 1);
            bomb = format!("{bomb}a{level}: &a{level} [{}]\n", vec![previous; 10].join(", "));
        }
        let error = Document::parse(&bomb).unwrap_err();
        assert!(error.message.starts_with("alias expansion exceeded"), "{}", error.message);
    }

    #[test]
    fn unsupported_yaml_is_rejected_with_its_position() {
        for (text, position, message) in [
            ("a: 1\na: 2\n", (2, 1), "the key `a` is set twice, first on line 1; remove one of the two"),
            ("a: 1\n\"a\": 2\n", (2, 1), "the key `a` is set twice, first on line 1; remove one of the two"),
            (
                "é: {'b': 1, 'b': [2]}\n",
                (1, 13),
                "the key `b` is set twice, first on line 1; remove one of the two",
            ),
            ("a: 1\n---\nb: 2\n", (3, 1), "a second document begins here; the file may have only one"),
            ("a: &x\n  b: *x\n", (2, 6), "the alias refers to the collection that it is in"),
            ("a: [b, ]\nc:\n  - d\n  -\n", (4, 4), "the list entry is empty; fill it in or remove it"),
            (
                &format!(
                    "a: &x {}{}\nb: {}*x{}\n",
                    "[".repeat(20),
                    "]".repeat(20),
                    "[".repeat(20),
                    "]".repeat(20)
                ),
                (2, 24),
                "nested more than 32 levels deep",
            ),
            (
                "a: &x b\n*x : c\n",
                (2, 1),
                "a key must be written as a string, not as an alias, a list or a mapping",
            ),
            (
                "? [a, b]\n: 1\n",
                (1, 3),
                "a key must be written as a string, not as an alias, a list or a mapping",
            ),
            (&"[".repeat(100), (1, 34), "nested more than 32 levels deep"),
        ] {
            let error = Document::parse(text).unwrap_err();
            let Position { line, column } = error.position;
            assert_eq!(((line, column), error.message.as_str()), (position, message), "{text}");
        }
        let error = Document::parse("a: [1\nb: 2\n").unwrap_err();
        assert_eq!(error.position.line, 2);
        assert!(error.message.starts_with("not YAML: "), "{}", error.message);
    }
}
