//! The keys of a mapping in the order of the fields of its type. A schema has them in alphabetical order.

use schemars::Schema;
use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// The key of a schema under which its keys are listed in order. It is removed before a schema is shown.
pub(in crate::config) const KEY_ORDER: &str = "x-key-order";

/// Adds the order of the fields of `T` to its schema.
pub(in crate::config) fn in_order<'de, T: Deserialize<'de>>(schema: &mut Schema) {
    let mut names: &[&str] = &[];
    // Fails, because nothing is deserialized.
    let _no_value = T::deserialize(FieldNames(&mut names));
    schema.insert(KEY_ORDER.to_owned(), names.into());
}

/// Takes the names of the fields of a struct, and provides no value for it.
struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
