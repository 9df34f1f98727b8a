//! Reads an item of a list of syncs into the plain data of [`model`](crate::model), within its
//! [limits].
//!
//! A field that is absent, or has a form that the API does not document, is left out. Field names
//! and types are those of `ResourceDataSyncItem` in the API reference.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

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
    // Fails if the item is nested too deeply.
    let item: Value =
        serde_json::from_str(raw.get()).map_err(|_| ItemError::Invalid("a sync is not valid JSON"))?;
    let Value::Object(item) = item else { return Err(ItemError::Invalid("a sync is not a JSON object")) };
    let item = Fields(&item);
    let name = item.text("SyncName", "the name of a sync")?;
    let name = name.ok_or(ItemError::Invalid("a sync has no name"))?;
    let known_type = item.text("SyncType", "the type of a sync")?.map(|text| SyncType::from(text.as_str()));
    let destination = item.object("S3Destination");
    let source = item.object("SyncSource");
    // In AWS's own examples, S3 syncs have no type.
    let known_type = known_type.or(match (destination, source) {
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
            destination: destination.map(read_destination).transpose()?,
            source: source.map(read_source).transpose()?,
        },
    })
}

fn read_destination(from: Fields<'_>) -> Result<Destination, Failure> {
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

fn read_source(from: Fields<'_>) -> Result<Source, Failure> {
    let organization = from.object("AwsOrganizationsSource");
    let (organization_source_type, units) = match organization {
        Some(organization) => {
            let units = organization.list("OrganizationalUnits", "organizational units in a sync")?;
            let what = "the organization source type of a sync";
            (organization.text("OrganizationSourceType", what)?, units)
        }
        None => (None, None),
    };
    let unit_id = |unit: &Value| {
        let unit = Fields(unit.as_object()?);
        unit.text("OrganizationalUnitId", "the id of an organizational unit of a sync").transpose()
    };
    let region = |region: &Value| text(region, "the name of a source region of a sync").transpose();
    Ok(Source {
        source_type: from.text("SourceType", "the source type of a sync")?,
        organization_source_type,
        organizational_units: units.map(|units| distinct(units, unit_id)).transpose()?,
        regions: from
            .list("SourceRegions", "source regions in a sync")?
            .map(|regions| distinct(regions, region))
            .transpose()?,
        include_future_regions: from.boolean("IncludeFutureRegions"),
        enable_all_ops_data_sources: from.boolean("EnableAllOpsDataSources"),
        state: from
            .text("State", "the state of a sync's source")?
            .map(|text| SourceState::from(text.as_str())),
    })
}

/// The usable texts of a list, each once, in their order.
fn distinct(
    list: &[Value],
    read: impl Fn(&Value) -> Option<Result<String, Failure>>,
) -> Result<Vec<String>, Failure> {
    let mut seen = BTreeSet::new();
    let mut texts = Vec::new();
    for text in list.iter().filter_map(read) {
        let text = text?;
        if seen.insert(text.clone()) {
            texts.push(text);
        }
    }
    Ok(texts)
}

/// A text if it is one and not empty. `what` names it in the error if it is too long.
fn text(value: &Value, what: &str) -> Result<Option<String>, Failure> {
    let Some(text) = value.as_str().filter(|text| !text.is_empty()) else { return Ok(None) };
    limits::check_text(what, text)?;
    Ok(Some(text.to_owned()))
}

/// The fields of an item, or of an object within it.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn text(self, name: &str, what: &str) -> Result<Option<String>, Failure> {
        self.0.get(name).map_or(Ok(None), |value| text(value, what))
    }

    fn object(self, name: &str) -> Option<Self> {
        self.0.get(name)?.as_object().map(Self)
    }

    /// A list. `what` names its items in the error if there are too many.
    fn list(self, name: &str, what: &str) -> Result<Option<&'a [Value]>, Failure> {
        let list = self.0.get(name).and_then(Value::as_array).map(Vec::as_slice);
        limits::check_number(what, list.map_or(0, <[Value]>::len), MAX_SOURCE_ITEMS)?;
        Ok(list)
    }

    fn boolean(self, name: &str) -> Option<bool> {
        self.0.get(name)?.as_bool()
    }

    fn time(self, name: &str) -> Option<UnixSeconds> {
        self.0.get(name)?.as_f64().filter(|time| TIMES.contains(time))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
                assert_eq!(sync(&odd), expected, "{pointer}: {wrong}");
            }
        }
    }

    #[test]
    fn an_item_that_does_not_identify_a_sync_is_invalid() {
        let nested = format!("{{\"SyncName\": \"a\", \"Other\": {}{}}}", "[".repeat(500), "]".repeat(500));
        for (item, problem) in [
            ("null", "a sync is not a JSON object"),
            ("[]", "a sync is not a JSON object"),
            (r#""a""#, "a sync is not a JSON object"),
            ("{}", "a sync has no name"),
            (r#"{"SyncName": ""}"#, "a sync has no name"),
            (r#"{"SyncName": null}"#, "a sync has no name"),
            (r#"{"SyncName": 5}"#, "a sync has no name"),
            (&nested, "a sync is not valid JSON"),
        ] {
            let read = read(&RawValue::from_string(item.to_owned()).unwrap(), &SyncType::FromSource);
            assert_eq!(read, Err(ItemError::Invalid(problem)), "{item}");
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
    fn units_and_regions_are_listed_once_and_may_be_none() {
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
        assert_eq!(regions.unwrap(), ["b", "a"]);
        assert_eq!(units.unwrap(), ["ou-1"]);
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
