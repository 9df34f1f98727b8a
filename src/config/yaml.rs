//! YAML as a tree that remembers where everything stood and how it was
//! written.
//!
//! Two needs rule out a deserializer that decides on types by itself: an
//! account id such as `012345678901`, or an external id such as `0777`, must
//! stay the text that was typed, and every complaint must name a line. So all
//! scalars stay text, and the typed values read them.

use std::collections::HashMap;
use std::fmt;

use figment::value::{Dict, Empty, Value};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::key_path::{KeyPath, Segment};

/// How deep collections may be nested: far more than any key needs, far less
/// than the stack holds.
const MAX_DEPTH: usize = 32;

/// How many nodes a document may have once its aliases are followed, so that
/// a few lines cannot expand to gigabytes.
const MAX_NODES: usize = 1_000_000;

/// A place in a file; both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl From<&Marker> for Position {
    fn from(marker: &Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A text that is not the YAML we take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) position: Position,
    pub(super) message: String,
}

/// A node of a document.
#[derive(Clone, Debug)]
pub(super) struct Node {
    position: Position,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Null,
    Text(String),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

#[derive(Clone, Debug)]
struct Entry {
    key: String,
    position: Position,
    value: Node,
}

impl Node {
    /// Reads a single document. An empty one is an empty mapping.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        // Windows editors put a byte order mark in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Reader { events: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 }.document()
    }

    /// The same as figment keeps it, with text at the leaves.
    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::from(Empty::None),
            Content::Text(text) => Value::from(text.as_str()),
            Content::Sequence(items) => Value::from(items.iter().map(Self::to_value).collect::<Vec<_>>()),
            Content::Mapping(_) => Value::from(self.to_dict().unwrap_or_default()),
        }
    }

    /// The same for a whole document, which has to be a mapping.
    pub(super) fn to_dict(&self) -> Option<Dict> {
        match &self.content {
            Content::Null => Some(Dict::new()),
            Content::Mapping(entries) => {
                Some(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_value())).collect())
            }
            Content::Text(_) | Content::Sequence(_) => None,
        }
    }

    /// Where the value at `path` stands, or as much of the path as there is.
    pub(super) fn locate(&self, path: &KeyPath) -> Position {
        match self.walk(path) {
            // A list or mapping is better found by its key.
            (key, Content::Sequence(_) | Content::Mapping(_) | Content::Null, _) => key,
            (_, Content::Text(_), value) => value,
        }
    }

    /// Where the key at the end of `path` stands.
    pub(super) fn locate_key(&self, path: &KeyPath) -> Position {
        self.walk(path).0
    }

    fn walk(&self, path: &KeyPath) -> (Position, &Content, Position) {
        let mut node = self;
        let mut position = self.position;
        for segment in path.segments() {
            let next = match (segment, &node.content) {
                (Segment::Key(key), Content::Mapping(entries)) => {
                    entries.iter().find(|entry| entry.key == *key).map(|entry| (entry.position, &entry.value))
                }
                (Segment::Index(index), Content::Sequence(items)) => {
                    items.get(*index).map(|item| (item.position, item))
                }
                _ => None,
            };
            let Some((at, below)) = next else { break };
            position = at;
            node = below;
        }
        (position, &node.content, node.position)
    }
}

struct Reader<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn document(mut self) -> Result<Node, SyntaxError> {
        let mut document = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::Nothing | Event::DocumentStart(_) | Event::DocumentEnd => {}
                _ if document.is_some() => {
                    return Err(error(&span, "a second document; there has to be just one"));
                }
                event => document = Some(self.node(event, span, 0)?),
            }
        }
        Ok(document.unwrap_or(Node { position: Position { line: 1, column: 1 }, content: Content::Null }))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), SyntaxError> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(scan)) => Err(SyntaxError {
                position: scan.marker().into(),
                message: format!("not YAML: {}", scan.info()),
            }),
            None => Ok((Event::StreamEnd, Span::empty(Marker::new(0, 1, 0)))),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, SyntaxError> {
        let position = Position::from(&span.start);
        if depth > MAX_DEPTH {
            return Err(error(&span, "nested too deeply"));
        }
        self.count(1, &span)?;
        let (anchor, content) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let null =
                    style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                (anchor, if null { Content::Null } else { Content::Text(text.into_owned()) })
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => {
                            let item = self.node(event, span, depth + 1)?;
                            // What is left of an entry that was commented out
                            // must not turn into one with all the defaults.
                            if matches!(item.content, Content::Null) {
                                return Err(SyntaxError {
                                    position: item.position,
                                    message: "an entry of a list is empty".to_owned(),
                                });
                            }
                            items.push(item);
                        }
                    }
                }
                (anchor, Content::Sequence(items))
            }
            Event::MappingStart(anchor, _) => (anchor, Content::Mapping(self.entries(depth)?)),
            Event::Alias(anchor) => {
                let node =
                    self.anchors.get(&anchor).cloned().ok_or_else(|| error(&span, "an alias of itself"))?;
                self.count(node.size(), &span)?;
                if depth + node.height() > MAX_DEPTH {
                    return Err(error(&span, "nested too deeply"));
                }
                return Ok(Node { position, ..node });
            }
            _ => return Err(error(&span, "not YAML: a value is missing")),
        };
        let node = Node { position, content };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, SyntaxError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (key, position) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(entries),
                (Event::Scalar(key, ..), span) => (key.into_owned(), Position::from(&span.start)),
                (_, span) => return Err(error(&span, "a key has to be a plain text")),
            };
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let message =
                    format!("the key `{key}` stands here twice, first on line {}", first.position.line);
                return Err(SyntaxError { position, message });
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            entries.push(Entry { key, position, value });
        }
    }

    fn count(&mut self, nodes: usize, span: &Span) -> Result<(), SyntaxError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES { Err(error(span, "too large")) } else { Ok(()) }
    }
}

impl Node {
    fn height(&self) -> usize {
        let below = match &self.content {
            Content::Null | Content::Text(_) => return 0,
            Content::Sequence(items) => items.iter().map(Self::height).max(),
            Content::Mapping(entries) => entries.iter().map(|entry| entry.value.height()).max(),
        };
        1 + below.unwrap_or_default()
    }

    fn size(&self) -> usize {
        1 + match &self.content {
            Content::Null | Content::Text(_) => 0,
            Content::Sequence(items) => items.iter().map(Self::size).sum(),
            Content::Mapping(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
        }
    }
}

fn error(span: &Span, message: &str) -> SyntaxError {
    SyntaxError { position: Position::from(&span.start), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_at(text: &str, key: &str) -> Value {
        Node::parse(text).unwrap().to_dict().unwrap()[key].clone()
    }

    #[test]
    fn scalars_stay_the_text_that_was_typed() {
        for typed in ["012345678901", "0777", "1e3", "0x1F", "true", "no", "1_000", "2026-01-01"] {
            assert_eq!(text_at(&format!("key: {typed}"), "key").as_str(), Some(typed));
        }
        assert_eq!(text_at("key: \"null\"", "key").as_str(), Some("null"));
    }

    #[test]
    fn nothing_at_all_is_an_empty_mapping() {
        assert!(Node::parse("# nothing\n").unwrap().to_dict().unwrap().is_empty());
        assert!(Node::parse("").unwrap().to_dict().unwrap().is_empty());
    }

    #[test]
    fn finds_the_place_of_a_value() {
        let node = Node::parse("a: 1\nb:\n  - id: x\n  - id: y\n    z: [p, q]\n").unwrap();
        let at = |path: &[Segment]| node.locate(&KeyPath::from(path.to_vec())).to_string();
        assert_eq!(at(&["a".into()]), "1:4");
        assert_eq!(at(&["b".into()]), "2:1");
        assert_eq!(at(&["b".into(), 1.into(), "id".into()]), "4:9");
        assert_eq!(at(&["b".into(), 1.into(), "z".into(), 1.into()]), "5:12");
        assert_eq!(at(&["b".into(), 1.into(), "missing".into()]), "4:5");
    }

    #[test]
    fn aliases_are_followed_but_not_into_gigabytes() {
        assert_eq!(text_at("a: &x [1, 2]\nb: *x\n", "b"), text_at("b: [1, 2]\n", "b"),);
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let previous = format!("*a{}", level - 1);
            bomb = format!("{bomb}a{level}: &a{level} [{}]\n", vec![previous; 10].join(", "));
        }
        assert_eq!(Node::parse(&bomb).unwrap_err().message, "too large");
    }

    #[test]
    fn what_is_not_one_plain_document_is_refused_with_its_place() {
        for (text, place, message) in [
            ("a: 1\na: 2\n", "2:1", "the key `a` stands here twice, first on line 1"),
            ("a: 1\n---\nb: 2\n", "3:1", "a second document; there has to be just one"),
            ("a: &x\n  b: *x\n", "2:6", "an alias of itself"),
            ("a: [b, ]\nc:\n  - d\n  -\n", "4:4", "an entry of a list is empty"),
            (
                &format!(
                    "a: &x {}{}\nb: {}*x{}\n",
                    "[".repeat(20),
                    "]".repeat(20),
                    "[".repeat(20),
                    "]".repeat(20)
                ),
                "2:24",
                "nested too deeply",
            ),
            ("? [a, b]\n: 1\n", "1:3", "a key has to be a plain text"),
            (&"[".repeat(100), "1:34", "nested too deeply"),
        ] {
            let error = Node::parse(text).unwrap_err();
            assert_eq!(
                (error.position.to_string().as_str(), error.message.as_str()),
                (place, message),
                "{text}"
            );
        }
        let error = Node::parse("a: [1\nb: 2\n").unwrap_err();
        assert_eq!(error.position.line, 2);
        assert!(error.message.starts_with("not YAML: "), "{}", error.message);
    }
}
