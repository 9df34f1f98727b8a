//! Builds the nodes of a text. The events of the parser are checked before they reach the loader,
//! because the loader limits neither the depth of a document nor its size, accepts an alias inside
//! of the collection that it refers to, and does not say which key is a duplicate.

use std::collections::HashMap;

use saphyr::{MarkedYamlOwned, ScalarStyle, YamlLoader};
use saphyr_parser::{Event, Marker, Parser, ScanError, SpannedEventReceiver as _};

use super::merge::MERGE_KEY;
use super::{KeyPath, Position, SyntaxError, is_null, tag};

/// How deep collections may be nested inside the outermost one: deeper than any key needs, but not so deep that the
/// stack could overflow.
pub(in crate::config) const MAX_DEPTH: usize = 32;

/// How many keys and values a document may have. A node needs some hundreds of bytes of memory, and
/// an account with a role and regions has about twenty nodes.
const MAX_NODES: usize = 300_000;

/// How many bytes all scalars of a document may have together.
const MAX_TEXT: usize = 16 * 1024 * 1024;

/// How many keys a mapping may have. Only the users of the web configuration are more than a few.
const MAX_KEYS: usize = 10_000;

const NOT_A_STRING: &str = "a key must be written as a string, not as null, an alias, a list or a mapping";

/// The size of a node and all nodes in it.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    nodes: usize,
    text: usize,
    /// The number of levels of collections.
    height: usize,
}

impl Size {
    fn of_scalar(text: &str) -> Self {
        Self { nodes: 1, text: text.len(), height: 0 }
    }

    fn add(&mut self, other: Self) {
        self.nodes += other.nodes;
        self.text += other.text;
    }
}

/// A list or mapping whose end has not been parsed yet.
struct OpenCollection {
    anchor: usize,
    is_mapping: bool,
    /// The number of its direct children so far; in a mapping, keys and values alternate.
    children: usize,
    /// The line of each key so far.
    keys: HashMap<String, usize>,
    /// What is in it so far.
    contents: Size,
}

impl OpenCollection {
    fn new(anchor: usize, is_mapping: bool) -> Self {
        Self { anchor, is_mapping, children: 0, keys: HashMap::new(), contents: Size::default() }
    }

    /// Checks a direct child of the collection when it begins.
    fn check_child(&mut self, event: &Event<'_>, start: &Marker) -> Result<(), SyntaxError> {
        let is_key = self.is_mapping && self.children.is_multiple_of(2);
        self.children += 1;
        if !is_key {
            return Ok(());
        }
        let Event::Scalar(key, style, _, tag) = event else {
            return Err(SyntaxError::new(start, NOT_A_STRING));
        };
        let is_string = *style != ScalarStyle::Plain || tag.as_deref().is_some_and(tag::is_string);
        if is_null(key) && !is_string {
            return Err(SyntaxError::new(start, NOT_A_STRING));
        }
        // To the loader, `a` and `"a"` are different keys.
        if let Some(first) = self.keys.insert(key.to_string(), start.line()) {
            let advice = match &**key {
                MERGE_KEY => "merge a list of mappings, such as `<<: [*a, *b]`",
                _ => "remove one of the two",
            };
            // `KeyPath` hides a key that looks like a password hash.
            let key = KeyPath::default().join(&**key);
            let message = format!("the key `{key}` is set twice, first on line {first}; {advice}");
            return Err(SyntaxError::new(start, message));
        }
        if self.keys.len() > MAX_KEYS {
            return Err(SyntaxError::new(start, format!("the mapping has more than {MAX_KEYS} keys")));
        }
        Ok(())
    }

    fn add(&mut self, child: Size) {
        self.contents.add(child);
        self.contents.height = self.contents.height.max(child.height);
    }
}

/// What has been parsed so far.
#[derive(Default)]
struct Progress {
    /// The collections around the next event.
    open: Vec<OpenCollection>,
    /// The size of each node with an anchor.
    anchors: HashMap<usize, Size>,
    /// The size of all nodes that the loader has in memory.
    total: Size,
}

impl Progress {
    /// Checks an event before the loader gets it.
    fn check(&mut self, event: &Event<'_>, start: &Marker) -> Result<(), SyntaxError> {
        let begins_node = matches!(
            event,
            Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..)
        );
        if let Some(parent) = self.open.last_mut().filter(|_| begins_node) {
            parent.check_child(event, start)?;
        }
        tag::check(event).map_err(|message| SyntaxError::new(start, message))?;
        // The node that ends with this event, and whether it is new in memory, or an anchor copies it.
        let (node, new, anchor) = match *event {
            Event::Scalar(ref text, _, anchor, _) => {
                let size = Size::of_scalar(text);
                (size, size, anchor)
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                let is_mapping = matches!(event, Event::MappingStart(..));
                self.open.push(OpenCollection::new(anchor, is_mapping));
                return self.check_limits(Size::default(), start);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(closed) = self.open.pop() else { return Ok(()) };
                let mut size = closed.contents;
                size.nodes += 1;
                size.height += 1;
                (size, Size { nodes: 1, ..Size::default() }, closed.anchor)
            }
            Event::Alias(anchor) if self.open.iter().any(|collection| collection.anchor == anchor) => {
                return Err(SyntaxError::new(start, "the alias refers to the collection that it is in"));
            }
            Event::Alias(anchor) => {
                let size = self.anchors.get(&anchor).copied().unwrap_or_default();
                (size, size, 0)
            }
            _ => return Ok(()),
        };
        self.total.add(new);
        if anchor > 0 {
            // The loader keeps a copy.
            self.total.add(node);
            self.anchors.insert(anchor, node);
        }
        self.check_limits(node, start)?;
        if let Some(parent) = self.open.last_mut() {
            parent.add(node);
        }
        Ok(())
    }

    /// Checks the limits after a node that is as large as this.
    fn check_limits(&self, node: Size, start: &Marker) -> Result<(), SyntaxError> {
        if self.open.len() + node.height > MAX_DEPTH + 1 {
            return Err(too_deep(start));
        }
        if self.total.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} keys and values, with those that aliases repeat");
            return Err(SyntaxError::new(start, message));
        }
        if self.total.text > MAX_TEXT {
            let message =
                format!("more than {} MiB of text, with what aliases repeat", MAX_TEXT / 1024 / 1024);
            return Err(SyntaxError::new(start, message));
        }
        Ok(())
    }
}

/// Loads all documents in `text`.
pub(super) fn load(text: &str) -> Result<Vec<MarkedYamlOwned>, SyntaxError> {
    // The parser keeps all tokens between brackets in memory before it returns the first event.
    if let Some((index, _)) = text.match_indices(',').nth(MAX_NODES) {
        let message = format!("more than {MAX_NODES} commas, and thus keys and values");
        return Err(SyntaxError { position: Position::after(&text[..index]), message });
    }
    let mut loader = YamlLoader::<MarkedYamlOwned>::default();
    loader.early_parse(false);
    loader.alias_limit(MAX_NODES);
    let mut progress = Progress::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| not_yaml(&error))?;
        progress.check(&event, &span.start)?;
        loader.on_event(event, span);
        if let Some(error) = loader.error() {
            return Err(SyntaxError::new(error.marker(), error.info()));
        }
    }
    Ok(loader.into_documents())
}

fn not_yaml(error: &ScanError) -> SyntaxError {
    // The parser looks ahead, so its own limit may be reached before the depth is checked here.
    if error.info() == "recursion limit exceeded" {
        return too_deep(error.marker());
    }
    SyntaxError::new(error.marker(), format!("not YAML: {}", error.info()))
}

fn too_deep(start: &Marker) -> SyntaxError {
    SyntaxError::new(start, format!("nested more than {MAX_DEPTH} levels deep"))
}
