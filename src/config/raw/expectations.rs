//! The keys of `expectations`, how their values are parsed, and how they are shown on the status page.
//! The keys of a request are the names of the parameters of `CreateResourceDataSync`.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use strum::VariantArray as _;

use super::health::Limit;
use super::{OptionalList, non_null, on_one_line};
use crate::config::scalar::{FromText, Printable, Shown, printable};
use crate::expectations::{Presence, TextPattern};
use crate::fleet::{AccountEntry, OrganizationalUnitId, RegionOrPattern};
use crate::model::limits::MAX_TEXT_CHARS;
use crate::model::{ManagedBy, SyncType};
use crate::printable::excerpt;

#[derive(Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawExpectation {
    pub(in crate::config) name: Shown<ExpectationName>,
    #[serde(default, skip_serializing_if = "OptionalList::is_absent")]
    pub(in crate::config) accounts: OptionalList<AccountEntry>,
    #[serde(default, skip_serializing_if = "OptionalList::is_absent")]
    pub(in crate::config) organizational_units: OptionalList<OrganizationalUnitId>,
    #[serde(default, skip_serializing_if = "OptionalList::is_absent")]
    pub(in crate::config) regions: OptionalList<RegionOrPattern>,
    #[serde(default, skip_serializing_if = "OptionalList::is_absent")]
    pub(in crate::config) managed_by: OptionalList<ManagedBy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::config) presence: Option<Shown<Presence>>,
    #[serde(default, deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) request: Option<RawRequest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::config) request_file: Option<Shown<RequestFile>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::config) preset: Option<Shown<Preset>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::config) max_success_age: Option<Shown<Limit>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::config) max_run_time: Option<Shown<Limit>>,
}

/// The parameters of `CreateResourceDataSync`.
#[derive(Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "PascalCase")]
pub(in crate::config) struct RawRequest {
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) sync_name: Option<AnyOf<ExpectedName>>,
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) sync_type: Option<Shown<SyncType>>,
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) s3_destination: Option<RawS3Destination>,
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) sync_source: Option<RawSyncSource>,
}

#[derive(Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "PascalCase")]
pub(in crate::config) struct RawS3Destination {
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) bucket_name: Option<Nullable<AnyOf<TextPattern>>>,
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) prefix: Option<Nullable<AnyOf<TextPattern>>>,
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) sync_format: Option<Nullable<AnyOf<TextPattern>>>,
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) region: Option<Nullable<AnyOf<TextPattern>>>,
    #[serde(rename = "AWSKMSKeyARN", deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) kms_key_arn: Option<Nullable<AnyOf<TextPattern>>>,
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) destination_data_sharing: Option<RawDestinationDataSharing>,
}

#[derive(Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "PascalCase")]
pub(in crate::config) struct RawDestinationDataSharing {
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) destination_data_sharing_type: Option<Nullable<AnyOf<TextPattern>>>,
}

#[derive(Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "PascalCase")]
pub(in crate::config) struct RawSyncSource {
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) source_type: Option<Nullable<AnyOf<TextPattern>>>,
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) aws_organizations_source: Option<RawOrganizationsSource>,
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) source_regions: Option<Nullable<List<TextPattern>>>,
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) include_future_regions: Option<Nullable<Shown<bool>>>,
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) enable_all_ops_data_sources: Option<Nullable<Shown<bool>>>,
}

#[derive(Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "PascalCase")]
pub(in crate::config) struct RawOrganizationsSource {
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) organization_source_type: Option<Nullable<AnyOf<TextPattern>>>,
    #[serde(deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) organizational_units: Option<Nullable<Vec<RawOrganizationalUnit>>>,
}

#[derive(Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(in crate::config) struct RawOrganizationalUnit {
    pub(in crate::config) organizational_unit_id: Shown<TextPattern>,
}

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

/// The maximum length of the name of a sync, as the model of the API declares it.
const MAX_SYNC_NAME: usize = 64;

/// The maximum length of a path on Linux.
const MAX_PATH: usize = 4096;

/// The maximum length of the name of an expectation.
const MAX_EXPECTATION_NAME: usize = 64;

/// The name of an expectation: letters, digits, `-` and `_`.
#[derive(Debug)]
pub(in crate::config) struct ExpectationName(pub(in crate::config) String);

impl FromText for ExpectationName {
    const EXPECTED: &'static str = "a name of letters, digits, `-` and `_`";

    fn from_text(text: &str) -> Result<Self, String> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if text.is_empty() {
            return Err("the name is empty; expected letters, digits, `-` and `_`, such as `org-inventory`"
                .to_owned());
        }
        if text.len() > MAX_EXPECTATION_NAME || !text.bytes().all(is_allowed) {
            return Err(format!(
                "`{text}` is not the name of an expectation; expected at most {MAX_EXPECTATION_NAME} letters, digits, `-` and `_`"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromText for Presence {
    const EXPECTED: &'static str = "required, allowed or forbidden";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            let names: Vec<&str> = Self::VARIANTS.iter().map(|presence| presence.as_str()).collect();
            format!("`{text}` is not valid; expected one of {}", names.join(", "))
        })
    }
}

/// A pattern for the names of syncs.
#[derive(Debug)]
pub(in crate::config) struct ExpectedName(pub(in crate::config) TextPattern);

impl FromText for ExpectedName {
    const EXPECTED: &'static str = "the name of a sync";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err(
                "the name of the sync is empty; set a name, or remove the key for any name".to_owned()
            );
        }
        let name = TextPattern::from_text(text)?;
        match name.literal_text() {
            Some(literal) if literal.chars().count() > MAX_SYNC_NAME => {
                Err(format!("the name `{text}` is too long; expected at most {MAX_SYNC_NAME} characters"))
            }
            _ => Ok(Self(name)),
        }
    }
}

/// The name of a file with a request in JSON.
#[derive(Debug)]
pub(in crate::config) struct RequestFile(pub(in crate::config) PathBuf);

impl FromText for RequestFile {
    const EXPECTED: &'static str = "the path of a file";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the path is empty; set the path of a file, such as `request.json`".to_owned());
        }
        if text.len() > MAX_PATH || text.contains('\0') {
            return Err(format!(
                "`{text}` is not the path of a file; expected at most {MAX_PATH} bytes without NUL characters"
            ));
        }
        Ok(Self(text.into()))
    }
}

/// A sync that a service of AWS creates, by the service that needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub(in crate::config) enum Preset {
    Inspector,
    UnifiedConsole,
}

impl FromText for Preset {
    const EXPECTED: &'static str = "the name of a preset";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            let names: Vec<&str> = Self::VARIANTS.iter().map(Into::into).collect();
            format!("`{text}` is not a preset; expected one of {}", names.join(", "))
        })
    }
}

impl FromText for TextPattern {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err(format!("the text \"{}\" contains control characters; remove them", excerpt(text)));
        }
        if text.len() > MAX_TEXT_CHARS {
            return Err(format!("the text `{text}` is too long; expected at most {MAX_TEXT_CHARS} bytes"));
        }
        Self::parse(text).map_err(|error| error.to_string())
    }
}

printable! { ExpectationName, ExpectedName, Presence, Preset, RequestFile, TextPattern }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scalar::tests::error;

    #[test]
    fn an_error_repeats_only_the_beginning_of_a_long_or_multi_line_text() {
        let long = "x".repeat(1_000_000);
        for text in ["s\n", "s\0", "s\u{1b}[31m", "", &long] {
            for error in [
                error::<ExpectationName>(text),
                error::<ExpectedName>(text),
                error::<Presence>(text),
                error::<Preset>(text),
                error::<TextPattern>(text),
            ] {
                assert!(!error.contains(char::is_control), "{error:?}");
                assert!(error.len() < 500, "{error}");
            }
        }
    }
}
