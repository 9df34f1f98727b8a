//! Mappings that cannot be written as lists. What serde derives for a struct reads a list as well, with the
//! values of the fields in order, so `aws: [true]` would be `aws: {use_fips: true}`.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// Provides a struct only from a mapping.
pub(super) struct MappingOnly<D>(pub(super) D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for MappingOnly<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(name, fields, MappingVisitor(visitor))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct MappingVisitor<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for MappingVisitor<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, mapping: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(mapping)
    }
}

/// Implements [`Deserialize`](serde::Deserialize), and after `shown:` also [`Serialize`](serde::Serialize), for
/// structs that derive them with `#[serde(remote = "Self")]`.
macro_rules! mappings {
    ($($type:ident),+ $(,)?) => {
        $(impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $type::deserialize($crate::config::mapping::MappingOnly(deserializer))
            }
        })+
    };
    (shown: $($type:ident),+ $(,)?) => {
        $crate::config::mapping::mappings! { $($type),+ }
        $(impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $type::serialize(self, serializer)
            }
        })+
    };
}
pub(super) use mappings;
