//! Reads an item of a list of syncs into the plain data of [`model`](crate::model), within its
//! [limits].
//!
//! A field that is absent, or has a form that the API does not document, is left out. Field names
//! and types are those of `ResourceDataSyncItem` in the API reference.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use serde_json::value::RawValue;

use crate::model::limits::{self, MAX_SOURCE_ITEMS};
use crate::model::{
    DataSync, Destination, Failure, SharingType, Source, SourceState, SyncStatus, SyncType, UnixSeconds,
};

/// The times that are accepted, in seconds since the Unix epoch: the years 1 to 9999.
const TIMES: RangeInclusive<UnixSeconds> = -62_135_596_800.0..=253_402_300_799.0;

/// A sync as listed.
#[derive(Debug, PartialEq)]
pub(super) struct ListedSync {
    pub(super) sync: DataSync,
    /// Whether nothing in the item tells its type, so that it was taken from the request.
    pub(super) is_type_assumed: bool,
}

/// Why an item cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ItemError {
    /// The item does not identify a sync. Says what is wrong.
    Invalid(&'static str),
    /// The item exceeds a limit, so the whole response is rejected.
    Limit(Failure),
}

impl From<Failure> for ItemError {
    fn from(failure: Failure) -> Self {
        Self::Limit(failure)
    }
}

/// Reads an item of a list that was requested for `requested_type`.
///
/// # Errors
/// See [`ItemError`].
pub(super) fn read(raw: &RawValue, requested_type: &SyncType) -> Result<ListedSync, ItemError> {
    let item = Fields::of(raw).ok_or(ItemError::Invalid("a sync is not a JSON object"))?;
    let name = item.text("SyncName", "the name of a sync")?;
    let name = name.ok_or(ItemError::Invalid("a sync has no name"))?;
    let known_type = item.text("SyncType", "the type of a sync")?.map(|text| SyncType::from(text.as_str()));
    let destination = item.object("S3Destination");
    let source = item.object("SyncSource");
    // In AWS's own examples, S3 syncs have no type.
    let known_type = known_type.or(match (&destination, &source) {
        (Some(_), None) => Some(SyncType::ToDestination),
        (None, Some(_)) => Some(SyncType::FromSource),
        _ => None,
    });
    Ok(ListedSync {
        is_type_assumed: known_type.is_none(),
        sync: DataSync {
            sync_type: known_type.unwrap_or_else(|| requested_type.clone()),
            name,
            last_status: item
                .text("LastStatus", "the status of a sync")?
                .map(|text| SyncStatus::from(text.as_str())),
            last_status_message: item.text("LastSyncStatusMessage", "the status message of a sync")?,
            last_sync: item.time("LastSyncTime"),
            last_successful_sync: item.time("LastSuccessfulSyncTime"),
            created: item.time("SyncCreatedTime"),
            last_modified: item.time("SyncLastModifiedTime"),
            destination: destination.as_ref().map(read_destination).transpose()?,
            source: source.as_ref().map(read_source).transpose()?,
        },
    })
}

fn read_destination(from: &Fields<'_>) -> Result<Destination, Failure> {
    let sharing = match from.object("DestinationDataSharing") {
        Some(sharing) => sharing.text("DestinationDataSharingType", "the sharing type of a bucket")?,
        None => None,
    };
    Ok(Destination {
        bucket_name: from.text("BucketName", "the name of a bucket")?,
        prefix: from.text("Prefix", "the prefix of a bucket")?,
        region: from.text("Region", "the region of a bucket")?,
        format: from.text("SyncFormat", "the format of a sync")?,
        kms_key_arn: from.text("AWSKMSKeyARN", "the ARN of a KMS key")?,
        sharing: sharing.map(|text| SharingType::from(text.as_str())),
    })
}

fn read_source(from: &Fields<'_>) -> Result<Source, Failure> {
    let organization = from.object("AwsOrganizationsSource");
    let (organization_source_type, units) = match organization {
        Some(organization) => {
            let units = organization.list("OrganizationalUnits", "organizational units in a sync")?;
            let what = "the organization source type of a sync";
            (organization.text("OrganizationSourceType", what)?, units)
        }
        None => (None, None),
    };
    let unit_id = |unit: &RawValue| match Fields::of(unit) {
        Some(unit) => unit.text("OrganizationalUnitId", "the id of an organizational unit of a sync"),
        None => Ok(None),
    };
    let region = |region: &RawValue| text(region, "the name of a source region of a sync");
    let regions = from.list("SourceRegions", "source regions in a sync")?;
    let listed = [&units, &regions].map(|list| list.as_ref().map_or(0, Vec::len));
    let (units, regions) = (usable(units, unit_id)?, usable(regions, region)?);
    let read = [&units, &regions].map(|list| list.as_ref().map_or(0, Vec::len));
    Ok(Source {
        source_type: from.text("SourceType", "the source type of a sync")?,
        organization_source_type,
        organizational_units: units,
        regions,
        has_unreadable_entries: read != listed,
        include_future_regions: from.boolean("IncludeFutureRegions"),
        enable_all_ops_data_sources: from.boolean("EnableAllOpsDataSources"),
        state: from
            .text("State", "the state of a sync's source")?
            .map(|text| SourceState::from(text.as_str())),
    })
}

/// The usable texts of a list, in their order and as often as AWS lists them. `None` if there is
/// no list, or if none of its items is usable, because a list without items would be a false claim.
fn usable(
    list: Option<Vec<&RawValue>>,
    read: impl Fn(&RawValue) -> Result<Option<String>, Failure>,
) -> Result<Option<Vec<String>>, Failure> {
    let Some(list) = list else { return Ok(None) };
    let texts: Vec<String> =
        list.iter().filter_map(|item| read(item).transpose()).collect::<Result<_, _>>()?;
    Ok(Some(texts).filter(|texts| list.is_empty() || !texts.is_empty()))
}

/// A text if it is one and not empty. `what` names it in the error if it is too long.
fn text(raw: &RawValue, what: &str) -> Result<Option<String>, Failure> {
    let text: Option<String> = serde_json::from_str(raw.get()).ok();
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    limits::check_text(what, &text)?;
    Ok(Some(text))
}

/// The fields of an item, or of an object within it. If a name occurs twice, the last value counts.
///
/// Each value is read on its own. One that cannot be read, such as a number beyond the range of
/// `f64`, an invalid escape or deep nesting, affects no other.
struct Fields<'a>(HashMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    /// The fields if the value is an object.
    fn of(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok().map(Self)
    }

    fn text(&self, name: &str, what: &str) -> Result<Option<String>, Failure> {
        self.0.get(name).map_or(Ok(None), |raw| text(raw, what))
    }

    fn object(&self, name: &str) -> Option<Self> {
        self.0.get(name).and_then(|raw| Self::of(raw))
    }

    /// A list. `what` names its items in the error if there are too many.
    fn list(&self, name: &str, what: &str) -> Result<Option<Vec<&'a RawValue>>, Failure> {
        let list: Option<Vec<&RawValue>> =
            self.0.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok());
        limits::check_number(what, list.as_ref().map_or(0, Vec::len), MAX_SOURCE_ITEMS)?;
        Ok(list)
    }

    fn boolean(&self, name: &str) -> Option<bool> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    fn time(&self, name: &str) -> Option<UnixSeconds> {
        // Of the values that JSON allows, Rust parses exactly the numbers. `serde_json` may round the
        // last digit.
        self.0.get(name)?.get().parse().ok().filter(|time| TIMES.contains(time))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::limits::MAX_TEXT_CHARS;

    fn read_json(item: &Value) -> Result<ListedSync, ItemError> {
        read(&RawValue::from_string(item.to_string()).unwrap(), &SyncType::ToDestination)
    }

    fn sync(item: &Value) -> DataSync {
        read_json(item).unwrap().sync
    }

    /// An item with every field. Its texts are all `text`, and its lists have `list_len` items.
    fn item(text: &str, list_len: usize) -> Value {
        let numbered = |number| if number == 0 { text.to_owned() } else { format!("{text:.20}{number}") };
        let texts: Vec<String> = (0..list_len).map(numbered).collect();
        let units: Vec<Value> = texts.iter().map(|id| json!({"OrganizationalUnitId": id})).collect();
        json!({
            "SyncName": text, "SyncType": text, "LastStatus": text, "LastSyncStatusMessage": text,
            "LastSyncTime": 1.5, "LastSuccessfulSyncTime": 2, "SyncCreatedTime": 3, "SyncLastModifiedTime": 4,
            "S3Destination": {
                "BucketName": text, "Prefix": text, "Region": text, "SyncFormat": text, "AWSKMSKeyARN": text,
                "DestinationDataSharing": {"DestinationDataSharingType": text},
            },
            "SyncSource": {
                "SourceType": text, "State": text, "SourceRegions": texts,
                "AwsOrganizationsSource": {"OrganizationSourceType": text, "OrganizationalUnits": units},
                "IncludeFutureRegions": false, "EnableAllOpsDataSources": true,
            },
        })
    }

    /// The JSON pointers of all values of [`item`] but the name: the value itself, and every value within
    /// it.
    fn pointers(value: &Value, prefix: &str) -> Vec<String> {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
            }
            _ => Vec::new(),
        };
        let mut all = Vec::new();
        for (name, value) in children {
            let pointer = format!("{prefix}/{name}");
            all.extend(pointers(value, &pointer));
            all.push(pointer);
        }
        all.retain(|pointer| pointer != "/SyncName");
        all
    }

    #[test]
    fn every_field_is_read() {
        assert_eq!(
            sync(&item("text", 2)),
            DataSync {
                sync_type: SyncType::Unknown("text".to_owned()),
                name: "text".to_owned(),
                last_status: Some(SyncStatus::Unknown("text".to_owned())),
                last_status_message: Some("text".to_owned()),
                last_sync: Some(1.5),
                last_successful_sync: Some(2.0),
                created: Some(3.0),
                last_modified: Some(4.0),
                destination: Some(Destination {
                    bucket_name: Some("text".to_owned()),
                    prefix: Some("text".to_owned()),
                    region: Some("text".to_owned()),
                    format: Some("text".to_owned()),
                    kms_key_arn: Some("text".to_owned()),
                    sharing: Some(SharingType::Unknown("text".to_owned())),
                }),
                source: Some(Source {
                    source_type: Some("text".to_owned()),
                    organization_source_type: Some("text".to_owned()),
                    organizational_units: Some(vec!["text".to_owned(), "text1".to_owned()]),
                    regions: Some(vec!["text".to_owned(), "text1".to_owned()]),
                    has_unreadable_entries: false,
                    include_future_regions: Some(false),
                    enable_all_ops_data_sources: Some(true),
                    state: Some(SourceState::Unknown("text".to_owned())),
                }),
            }
        );
    }

    #[test]
    fn a_value_of_a_wrong_form_costs_only_itself() {
        // Regression: the SDK rejected the whole response.
        let complete = item("text", 2);
        let all = pointers(&complete, "");
        assert_eq!(all.len(), 30);
        for pointer in &all {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let mut without = complete.clone();
            match without.pointer_mut(parent).unwrap() {
                Value::Object(fields) => drop(fields.remove(name)),
                Value::Array(items) => drop(items.remove(name.parse().unwrap())),
                other => panic!("{other}"),
            }
            let expected = sync(&without);
            let right = complete.pointer(pointer).unwrap();
            for wrong in [
                json!(null),
                json!("2026-01-01T00:00:00Z"),
                json!(1e300),
                json!(7),
                json!([]),
                json!({}),
                json!(false),
            ] {
                // These are of the right form.
                let is_same_form = match right {
                    Value::String(_) => wrong.is_string(),
                    Value::Number(_) => wrong == json!(7),
                    Value::Array(_) => wrong.is_array(),
                    Value::Object(_) => wrong.is_object(),
                    _ => wrong.is_boolean(),
                };
                if is_same_form {
                    continue;
                }
                let mut odd = complete.clone();
                *odd.pointer_mut(pointer).unwrap() = wrong.clone();
                let is_entry = |list: &str| pointer.contains(&format!("/{list}/"));
                let has_unreadable_entries = is_entry("SourceRegions") || is_entry("OrganizationalUnits");
                let mut expected = expected.clone();
                if let Some(source) = &mut expected.source {
                    source.has_unreadable_entries = has_unreadable_entries;
                }
                assert_eq!(sync(&odd), expected, "{pointer}: {wrong}");
            }
        }
    }

    fn read_text(item: &str) -> Result<ListedSync, ItemError> {
        read(&RawValue::from_string(item.to_owned()).unwrap(), &SyncType::FromSource)
    }

    /// An array of 1,000 levels, which `serde_json` does not read.
    fn nested() -> String {
        "[".repeat(1000) + &"]".repeat(1000)
    }

    #[test]
    fn a_value_that_cannot_be_read_costs_only_itself() {
        // Regression: these made the whole item unreadable.
        let nested = nested();
        for odd in ["1e400", "-1e400", r#""\ud800""#, r#""\ud800\u0041""#, &nested] {
            for field in ["Other", "LastSyncTime", "LastSyncStatusMessage", "SyncType", "SyncSource"] {
                let item = format!(r#"{{"SyncName": "a", "{field}": {odd}, "LastStatus": "Failed"}}"#);
                let sync = read_text(&item).unwrap().sync;
                assert_eq!(
                    (sync.name.as_str(), sync.last_status),
                    ("a", Some(SyncStatus::Failed)),
                    "{item:.80}"
                );
                assert_eq!((sync.last_sync, sync.last_status_message, sync.source), (None, None, None));
            }
            let item = format!(
                r#"{{"SyncName": "a", "SyncSource": {{"State": {odd}, "SourceRegions": [{odd}, "b"]}}}}"#
            );
            let source = read_text(&item).unwrap().sync.source.unwrap();
            assert_eq!((source.state, source.regions), (None, Some(vec!["b".to_owned()])), "{item:.80}");
        }
    }

    #[test]
    fn the_last_of_several_values_of_a_field_counts() {
        let sync = read_text(r#"{"SyncName": 5, "SyncName": "a", "LastStatus": "b", "LastStatus": null}"#);
        let sync = sync.unwrap().sync;
        assert_eq!((sync.name.as_str(), sync.last_status), ("a", None));
    }

    #[test]
    fn an_item_that_does_not_identify_a_sync_is_invalid() {
        let nested = nested();
        let nested_name = format!(r#"{{"SyncName": {nested}}}"#);
        for (item, problem) in [
            ("null", "a sync is not a JSON object"),
            ("[]", "a sync is not a JSON object"),
            (r#""a""#, "a sync is not a JSON object"),
            (&nested, "a sync is not a JSON object"),
            ("{}", "a sync has no name"),
            (r#"{"SyncName": ""}"#, "a sync has no name"),
            (r#"{"SyncName": null}"#, "a sync has no name"),
            (r#"{"SyncName": 5}"#, "a sync has no name"),
            (&nested_name, "a sync has no name"),
        ] {
            assert_eq!(read_text(item), Err(ItemError::Invalid(problem)), "{item:.80}");
        }
    }

    #[test]
    fn the_type_follows_from_the_content_and_only_then_from_the_request() {
        let typed = |item: Value| {
            let read =
                read(&RawValue::from_string(item.to_string()).unwrap(), &SyncType::FromSource).unwrap();
            (read.sync.sync_type, read.is_type_assumed)
        };
        let (to_destination, from_source) = (SyncType::ToDestination, SyncType::FromSource);
        for no_type in [json!(null), json!(""), json!(5)] {
            let item = |fields: Value| {
                let mut item = fields;
                item["SyncName"] = json!("a");
                item["SyncType"] = no_type.clone();
                typed(item)
            };
            assert_eq!(item(json!({"S3Destination": {}})), (to_destination.clone(), false));
            assert_eq!(item(json!({"SyncSource": {}})), (from_source.clone(), false));
            assert_eq!(item(json!({"S3Destination": {}, "SyncSource": {}})), (from_source.clone(), true));
            assert_eq!(item(json!({})), (from_source.clone(), true));
            assert_eq!(item(json!({"S3Destination": null})), (from_source.clone(), true));
        }
        let contradicting = json!({"SyncName": "a", "SyncType": "SyncToDestination", "SyncSource": {}});
        assert_eq!(typed(contradicting), (to_destination, false));
    }

    #[test]
    fn times_are_those_of_four_digit_years() {
        for (time, expected) in [
            (json!(1_763_800_000.25), Some(1_763_800_000.25)),
            // Regression: one digit less than AWS sends.
            (json!(1_763_800_000.123_456_7), Some(1_763_800_000.123_456_7)),
            (json!(-1), Some(-1.0)),
            (json!(0), Some(0.0)),
            (json!(253_402_300_800_i64), None),
            (json!(-62_135_596_801_i64), None),
            (json!("1763800000"), None),
        ] {
            let sync = sync(&json!({"SyncName": "a", "LastSyncTime": time}));
            assert_eq!(sync.last_sync, expected, "{time}");
        }
    }

    #[test]
    fn units_and_regions_are_listed_as_aws_sends_them_without_unusable_ones() {
        let source = |regions: Value, units: Value| {
            let organization = json!({"OrganizationalUnits": units});
            let source = json!({"SourceRegions": regions, "AwsOrganizationsSource": organization});
            let source = sync(&json!({"SyncName": "a", "SyncSource": source})).source.unwrap();
            (source.regions, source.organizational_units)
        };
        assert_eq!(source(json!([]), json!([])), (Some(vec![]), Some(vec![])));
        assert_eq!(source(json!(null), json!("ou")), (None, None));
        let unit = json!({"OrganizationalUnitId": "ou-1"});
        let (regions, units) = source(json!(["b", "a", "b", 5]), json!([unit, unit, {}, null]));
        assert_eq!(regions.unwrap(), ["b", "a", "b"]);
        assert_eq!(units.unwrap(), ["ou-1", "ou-1"]);
        // Their number would be 0, as if AWS listed none.
        assert_eq!(source(json!([5, ""]), json!([{}, null])), (None, None));
    }

    #[test]
    fn texts_and_lists_up_to_the_limits_are_accepted() {
        let text = "ü".repeat(MAX_TEXT_CHARS);
        let sync = sync(&item(&text, MAX_SOURCE_ITEMS));
        assert_eq!(sync.name, text);
        assert_eq!(sync.source.unwrap().regions.unwrap().len(), MAX_SOURCE_ITEMS);
    }

    #[test]
    fn every_text_beyond_the_limit_is_rejected_by_name() {
        // Regression: a text of any length became a label, a part of the page and a log line.
        for (pointer, name) in [
            ("/SyncName", "the name of a sync"),
            ("/SyncType", "the type of a sync"),
            ("/LastStatus", "the status of a sync"),
            ("/LastSyncStatusMessage", "the status message of a sync"),
            ("/S3Destination/BucketName", "the name of a bucket"),
            ("/S3Destination/Prefix", "the prefix of a bucket"),
            ("/S3Destination/Region", "the region of a bucket"),
            ("/S3Destination/SyncFormat", "the format of a sync"),
            ("/S3Destination/AWSKMSKeyARN", "the ARN of a KMS key"),
            (
                "/S3Destination/DestinationDataSharing/DestinationDataSharingType",
                "the sharing type of a bucket",
            ),
            ("/SyncSource/SourceType", "the source type of a sync"),
            (
                "/SyncSource/AwsOrganizationsSource/OrganizationSourceType",
                "the organization source type of a sync",
            ),
            (
                "/SyncSource/AwsOrganizationsSource/OrganizationalUnits/0/OrganizationalUnitId",
                "the id of an organizational unit of a sync",
            ),
            ("/SyncSource/SourceRegions/0", "the name of a source region of a sync"),
            ("/SyncSource/State", "the state of a sync's source"),
        ] {
            let mut item = item("text", 1);
            *item.pointer_mut(pointer).unwrap() = json!("x".repeat(MAX_TEXT_CHARS + 1));
            let message = format!("{name} has more than 2048 characters, the limit of the exporter");
            assert_rejected(&item, &message);
        }
    }

    #[test]
    fn a_list_beyond_the_limit_is_rejected() {
        let message = "there are more than 1000 organizational units in a sync, the limit of the exporter";
        assert_rejected(&item("text", MAX_SOURCE_ITEMS + 1), message);
        let mut many_regions = item("text", 1);
        many_regions["SyncSource"]["SourceRegions"] = json!(vec!["r"; MAX_SOURCE_ITEMS + 1]);
        let message = "there are more than 1000 source regions in a sync, the limit of the exporter";
        assert_rejected(&many_regions, message);
    }

    fn assert_rejected(item: &Value, message: &str) {
        match read_json(item).unwrap_err() {
            ItemError::Limit(failure) => assert_eq!(failure.message, message),
            invalid @ ItemError::Invalid(_) => panic!("{invalid:?}"),
        }
    }
}
