//! Validates requests against the constraints of the SSM API model 2014-11-06 (lengths, patterns and
//! required members), with the error messages of AWS.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::paging;
use crate::reply::ApiError;

/// The violated constraints of a request.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<String>);

impl Violations {
    /// The string at `path`, a JSON pointer, if it is present and valid. Adds a violation if the string
    /// is invalid, or missing and `required`. `max` is the maximum length in characters.
    pub(crate) fn text<'a>(
        &mut self,
        request: &'a Value,
        path: &str,
        max: usize,
        required: bool,
    ) -> Option<&'a str> {
        match request.pointer(path) {
            None | Some(Value::Null) => {
                if required {
                    self.add("null", path, "Member must not be null");
                }
                None
            }
            Some(Value::String(text)) if text.is_empty() => {
                self.add("''", path, "Member must have length greater than or equal to 1");
                None
            }
            Some(Value::String(text)) if text.chars().count() > max => {
                let constraint = format!("Member must have length less than or equal to {max}");
                self.add(&format!("'{text}'"), path, &constraint);
                None
            }
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                self.add(&format!("'{other}'"), path, "Member must be a string");
                None
            }
        }
    }

    pub(crate) fn one_of(&mut self, request: &Value, path: &str, values: &[&str]) {
        if let Some(text) = request.pointer(path).and_then(Value::as_str)
            && !values.contains(&text)
        {
            let constraint = format!("Member must satisfy enum value set: [{}]", values.join(", "));
            self.add(&format!("'{text}'"), path, &constraint);
        }
    }

    /// The page size that the request asks for, `default` if it asks for none. Adds a violation if
    /// it is not in `range`.
    pub(crate) fn page_size(
        &mut self,
        request: &Value,
        range: RangeInclusive<usize>,
        default: usize,
    ) -> usize {
        let (min, max) = (*range.start(), *range.end());
        paging::size(request, range, default).unwrap_or_else(|value| {
            let is_too_large = value.as_u64().is_some_and(|number| number > max as u64);
            let (bound, limit) = if is_too_large { ("less", max) } else { ("greater", min) };
            let constraint = format!("Member must have value {bound} than or equal to {limit}");
            self.add(&format!("'{value}'"), "/MaxResults", &constraint);
            default
        })
    }

    pub(crate) fn flag(&mut self, request: &Value, path: &str) {
        if let Some(other) = request.pointer(path).filter(|value| !value.is_boolean() && !value.is_null()) {
            self.add(&format!("'{other}'"), path, "Member must be a boolean");
        }
    }

    pub(crate) fn add(&mut self, value: &str, path: &str, constraint: &str) {
        let member = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| {
                let mut letters = part.chars();
                letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
            })
            .collect::<Vec<String>>()
            .join(".");
        self.0.push(format!("Value {value} at '{member}' failed to satisfy constraint: {constraint}"));
    }

    pub(crate) fn check(self) -> Result<(), ApiError> {
        match self.0.len() {
            0 => Ok(()),
            1 => Err(ApiError::new(
                "ValidationException",
                format!("1 validation error detected: {}", self.0[0]),
            )),
            number => Err(ApiError::new(
                "ValidationException",
                format!("{number} validation errors detected: {}", self.0.join("; ")),
            )),
        }
    }
}

/// Validates the `S3Destination` at the JSON pointer `at`.
pub(crate) fn destination(request: &Value, at: &str, violations: &mut Violations) {
    violations.text(request, &format!("{at}/BucketName"), 2048, true);
    violations.text(request, &format!("{at}/Prefix"), 256, false);
    violations.text(request, &format!("{at}/SyncFormat"), 1024, true);
    violations.one_of(request, &format!("{at}/SyncFormat"), &["JsonSerDe"]);
    violations.text(request, &format!("{at}/Region"), 64, true);
    let key = format!("{at}/AWSKMSKeyARN");
    if let Some(arn) = violations.text(request, &key, 512, false)
        && !arn.starts_with("arn:")
    {
        violations.add(&format!("'{arn}'"), &key, "Member must satisfy regular expression pattern: arn:.*");
    }
    violations.text(request, &format!("{at}/DestinationDataSharing/DestinationDataSharingType"), 64, false);
}

/// Validates the `SyncSource` at the JSON pointer `at`.
pub(crate) fn source(request: &Value, at: &str, violations: &mut Violations) {
    violations.text(request, &format!("{at}/SourceType"), 64, true);
    let organization = format!("{at}/AwsOrganizationsSource");
    if request.pointer(&organization).is_some_and(|value| !value.is_null()) {
        violations.text(request, &format!("{organization}/OrganizationSourceType"), 64, true);
        let units = format!("{organization}/OrganizationalUnits");
        if let Some(list) = request.pointer(&units).and_then(Value::as_array) {
            if list.is_empty() || list.len() > 1000 {
                violations.add("'[...]'", &units, "Member must have length between 1 and 1000");
            }
            for index in 0..list.len() {
                let path = format!("{units}/{index}/OrganizationalUnitId");
                if let Some(id) = violations.text(request, &path, 128, false)
                    && !is_organizational_unit(id)
                {
                    violations.add(
                        &format!("'{id}'"),
                        &path,
                        "Member must satisfy regular expression pattern: ^ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}$",
                    );
                }
            }
        }
    }
    let regions = format!("{at}/SourceRegions");
    match request.pointer(&regions) {
        Some(Value::Array(list)) => {
            for index in 0..list.len() {
                violations.text(request, &format!("{regions}/{index}"), 64, true);
            }
        }
        _ => violations.add("null", &regions, "Member must not be null"),
    }
    violations.flag(request, &format!("{at}/IncludeFutureRegions"));
    violations.flag(request, &format!("{at}/EnableAllOpsDataSources"));
}

/// Whether `id` is the id of an organizational unit.
pub(crate) fn is_organizational_unit(id: &str) -> bool {
    let word = |text: &str, min| {
        (min..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    matches!(id.split('-').collect::<Vec<_>>().as_slice(), ["ou", root, unit] if word(root, 4) && word(unit, 8))
}
