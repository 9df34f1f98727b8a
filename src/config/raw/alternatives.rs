//! Values in a request that may be null, or a list of alternatives.

use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::on_one_line;
use crate::config::scalar::{Printable, Shown};
use crate::config::shape::{Shape, allow_list, allow_null, inline_schema};

/// A value, or null for a field that has to be absent. A key that is not set is a `None` around it.
#[derive(Debug)]
pub(in crate::config) enum Nullable<T> {
    Null,
    Value(T),
}

impl<T> Nullable<T> {
    pub(in crate::config) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Nullable<U> {
        match self {
            Self::Null => Nullable::Null,
            Self::Value(value) => Nullable::Value(convert(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Nullable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Value))
    }
}

impl<T: Serialize> Serialize for Nullable<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Value(value) => value.serialize(serializer),
        }
    }
}

/// A list, shown on one line.
#[derive(Debug)]
pub(in crate::config) struct List<T>(pub(in crate::config) Vec<Shown<T>>);

impl<T> List<T> {
    pub(in crate::config) fn into_values(self) -> Vec<T> {
        Shown::into_values(self.0)
    }
}

impl<'de, T: Printable> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self)
    }
}

impl<T> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        on_one_line(&self.0, serializer)
    }
}

/// One value, or a list of values of which any will do.
#[derive(Debug)]
pub(in crate::config) enum AnyOf<T> {
    One(Shown<T>),
    List(List<T>),
}

impl<T> AnyOf<T> {
    pub(in crate::config) fn values(&self) -> &[Shown<T>] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::List(values) => &values.0,
        }
    }

    pub(in crate::config) fn into_values(self) -> Vec<T> {
        match self {
            Self::One(value) => vec![value.into_value()],
            Self::List(values) => values.into_values(),
        }
    }
}

impl<'de, T: Printable> Deserialize<'de> for AnyOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyOfVisitor(PhantomData))
    }
}

struct AnyOfVisitor<T>(PhantomData<T>);

impl<'de, T: Printable> Visitor<'de> for AnyOfVisitor<T> {
    type Value = AnyOf<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or a list of which any will do", T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Shown::deserialize(serde::de::value::StrDeserializer::new(text)).map(AnyOf::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        List::deserialize(serde::de::value::SeqAccessDeserializer::new(list)).map(AnyOf::List)
    }
}

impl<T> Serialize for AnyOf<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(value) => value.serialize(serializer),
            Self::List(values) => values.serialize(serializer),
        }
    }
}

inline_schema! {
    impl<T: JsonSchema> Nullable<T> { |generator| allow_null(T::json_schema(generator)) }
    impl<T: Shape> List<T> { |_| json_schema!({ "type": "array", "items": T::shape(), "minItems": 1 }) }
    impl<T: Shape> AnyOf<T> { |_| allow_list(T::shape()) }
}
