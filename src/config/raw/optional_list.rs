//! A list that may be left out.

use schemars::json_schema;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::{non_null_list, on_one_line};
use crate::config::scalar::{Printable, Shown};
use crate::config::shape::{Shape, inline_schema};

/// A list that may be left out, but is not null: a list whose entries are all commented out must not
/// count as absent. It is shown on one line.
#[derive(Debug)]
pub(in crate::config) struct OptionalList<T>(Option<Vec<Shown<T>>>);

impl<T> OptionalList<T> {
    pub(in crate::config) fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// Whether there is a list, and it has no entries.
    pub(in crate::config) fn is_empty(&self) -> bool {
        self.0.as_ref().is_some_and(Vec::is_empty)
    }

    pub(in crate::config) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten().map(|entry| &entry.value)
    }

    /// The entries; none if there is no list.
    pub(in crate::config) fn into_values(self) -> Vec<T> {
        Shown::into_values(self.0.unwrap_or_default())
    }
}

impl<T> Default for OptionalList<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Printable> Deserialize<'de> for OptionalList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        non_null_list(deserializer).map(Self)
    }
}

impl<T> Serialize for OptionalList<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            None => serializer.serialize_none(),
            Some(entries) => on_one_line(entries, serializer),
        }
    }
}

inline_schema! {
    impl<T: Shape> OptionalList<T> { |_| json_schema!({ "type": "array", "items": T::shape(), "minItems": 1 }) }
}
