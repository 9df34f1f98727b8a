//! Values that are parsed from the text of a YAML scalar, and how they are shown on the
//! status page.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use super::shape::{Shape, inline_schema};
use crate::printable::excerpt;

/// A value that is parsed from the text of a YAML scalar.
pub(super) trait FromText: Sized {
    /// What comes after "expected" in the error when the file has a list or a mapping instead
    /// of a scalar.
    const EXPECTED: &'static str;

    /// Parses a value. The error says what is wrong and what would be right, and does not
    /// repeat a text that may be a secret.
    fn from_text(text: &str) -> Result<Self, String>;
}

/// A value that is not a secret, so it may be shown.
pub(super) trait Printable: FromText {
    /// How a value that was written as `text` is shown.
    fn printed(text: &str) -> Printed {
        Printed::Text(text.to_owned())
    }
}

/// A boolean in the core schema of YAML 1.2.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A whole number in the core schema of YAML 1.2: decimal, octal as `0o17` or hexadecimal as `0x1F`.
/// `None` for a negative number.
pub(super) fn integer(text: &str) -> Option<u64> {
    let (digits, radix) = match (text.strip_prefix("0o"), text.strip_prefix("0x")) {
        (Some(octal), _) => (octal, 8),
        (_, Some(hexadecimal)) => (hexadecimal, 16),
        _ => (text.strip_prefix('+').unwrap_or(text), 10),
    };
    // `from_str_radix` accepts a sign.
    digits
        .starts_with(|first: char| first.is_digit(radix))
        .then(|| u64::from_str_radix(digits, radix).ok())?
}

/// A value as it is shown. The variant determines the quotes: the boolean is shown as `true`,
/// the text as `"true"`.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub(super) enum Printed {
    Bool(bool),
    Number(u64),
    Text(String),
}

/// A parsed value together with how it is shown. It can be deserialized only if `T` is
/// [`Printable`], so a secret cannot end up in a `Shown`.
#[derive(Debug)]
pub(super) struct Shown<T> {
    pub(super) value: T,
    printed: Printed,
}

impl<T> Shown<T> {
    pub(super) fn into_value(self) -> T {
        self.value
    }

    pub(super) fn into_values(list: Vec<Self>) -> Vec<T> {
        list.into_iter().map(Self::into_value).collect()
    }
}

impl<'de, T: Printable> Deserialize<'de> for Shown<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(
            |text: &str| match T::from_text(text) {
                Ok(value) => Ok(Self { value, printed: T::printed(text) }),
                // Most errors repeat the text.
                Err(error) => Err(if text.is_empty() { error } else { error.replace(text, &excerpt(text)) }),
            },
            PhantomData::<T>,
        ))
    }
}

impl<T> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.printed.serialize(serializer)
    }
}

/// A value that is never shown, neither in a log nor on the status page.
pub(super) struct Secret<T>(T);

impl<T> Secret<T> {
    /// The text that is shown in place of every secret, the same as in Prometheus.
    pub(super) const PLACEHOLDER: &str = "<secret>";

    pub(super) fn into_value(self) -> T {
        self.0
    }
}

impl<'de, T: FromText> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(|text: &str| T::from_text(text).map(Self), PhantomData::<T>))
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Self::PLACEHOLDER)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::PLACEHOLDER)
    }
}

inline_schema! {
    impl<T: Shape> Shown<T> { |_| T::shape() }
    impl<T: Shape> Secret<T> { |_| T::shape() }
}

/// Converts the text of a scalar with a function. `T` names the expected value in errors.
struct TextVisitor<F, T>(F, PhantomData<T>);

impl<O, T: FromText, F: FnOnce(&str) -> Result<O, String>> Visitor<'_> for TextVisitor<F, T> {
    type Value = O;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        (self.0)(text).map_err(E::custom)
    }
}
macro_rules! from_text_by_from_str {
    ($($type:ty: $expected:literal),+ $(,)?) => {
        $(impl $crate::config::scalar::FromText for $type {
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error: <$type as std::str::FromStr>::Err| error.to_string())
            }
        })+
    };
}
pub(super) use from_text_by_from_str;

macro_rules! printable {
    ($($type:ty),+ $(,)?) => {
        $(impl $crate::config::scalar::Printable for $type {})+
    };
}
pub(super) use printable;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The error for a text that `T` does not accept.
    pub(in crate::config) fn error<T: Printable>(text: &str) -> String {
        let value = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
        let Err(error) = Shown::<T>::deserialize(value) else { panic!("{text} is accepted") };
        error.to_string()
    }
}
