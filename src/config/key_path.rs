//! The path to a value in the configuration, such as `accounts[0].id`.

use std::fmt;

use crate::printable::excerpt;

/// A segment of a [`KeyPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    /// The index of a list item, counted from 0.
    Index(usize),
}

impl From<&str> for Segment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Segment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The keys and list indexes from the root to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<Segment>);

impl KeyPath {
    pub(super) fn segments(&self) -> &[Segment] {
        &self.0
    }

    pub(super) fn join(&self, segment: impl Into<Segment>) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment.into());
        Self(segments)
    }

    /// The keys before the first index. figment and environment variables cannot address
    /// the items of a list.
    pub(super) fn leading_keys(&self) -> Vec<&str> {
        self.0
            .iter()
            .map_while(|segment| match segment {
                Segment::Key(key) => Some(key.as_str()),
                Segment::Index(_) => None,
            })
            .collect()
    }
}

impl From<Vec<Segment>> for KeyPath {
    fn from(segments: Vec<Segment>) -> Self {
        Self(segments)
    }
}

impl From<&serde_path_to_error::Path> for KeyPath {
    fn from(path: &serde_path_to_error::Path) -> Self {
        let segments = path.iter().filter_map(|segment| match segment {
            serde_path_to_error::Segment::Map { key } => Some(Segment::Key(key.clone())),
            serde_path_to_error::Segment::Seq { index } => Some(Segment::Index(*index)),
            serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => None,
        });
        Self(segments.collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, segment) in self.0.iter().enumerate() {
            match segment {
                // This key is a bcrypt hash, written in place of a user name. It must not be
                // shown.
                Segment::Key(key) if key.starts_with("$2") => f.write_str("[...]")?,
                Segment::Key(key) if key.is_empty() => f.write_str("\"\"")?,
                Segment::Key(key) if depth == 0 => f.write_str(&excerpt(key))?,
                Segment::Key(key) => write!(f, ".{}", excerpt(key))?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
