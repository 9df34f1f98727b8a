//! Lists of syncs in valid JSON, with any combination of fields and values, some of a wrong form.

#![no_main]

use arbitrary::Arbitrary;
use fuzz::aws::{Answer, Call};
use fuzz::exporter::{self, Fleet};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

#[derive(Arbitrary, Debug)]
struct Page {
    items: Vec<Item>,
    next_token: Option<Text>,
    replacements: Vec<Replacement>,
}

/// Replaces a value within an item, or an item.
#[derive(Arbitrary, Debug)]
struct Replacement {
    /// The position in depth-first order. Wraps around.
    position: u16,
    value: Odd,
}

#[derive(Arbitrary, Debug)]
enum Odd {
    Null,
    Bool(bool),
    Integer(i64),
    Fraction(f64),
    Text(Text),
    Empty,
    Nested { is_object: bool, levels: u8 },
}

#[derive(Arbitrary, Debug)]
struct Item {
    name: Option<Text>,
    sync_type: Option<SyncType>,
    status: Option<Status>,
    message: Option<Text>,
    last_sync: Option<Time>,
    last_success: Option<Time>,
    created: Option<Time>,
    modified: Option<Time>,
    destination: Option<Destination>,
    source: Option<Source>,
}

#[derive(Arbitrary, Debug)]
struct Destination {
    bucket: Text,
    prefix: Option<Text>,
    region: Text,
    format: Text,
    key: Option<Text>,
    sharing: Option<Text>,
}

#[derive(Arbitrary, Debug)]
struct Source {
    source_type: Option<Text>,
    organization_source_type: Option<Text>,
    units: Option<Vec<Text>>,
    regions: Option<Vec<Text>>,
    include_future_regions: Option<bool>,
    enable_all_ops_data_sources: Option<bool>,
    state: Option<Text>,
}

/// A text, which may be long.
#[derive(Arbitrary, Debug)]
struct Text {
    text: String,
    doublings: u8,
}

#[derive(Arbitrary, Debug)]
enum SyncType {
    ToDestination,
    FromSource,
    Other(Text),
}

#[derive(Arbitrary, Debug)]
enum Status {
    Successful,
    Failed,
    InProgress,
    Other(Text),
}

#[derive(Arbitrary, Debug)]
enum Time {
    Seconds(i64),
    Fraction(f64),
    Text(Text),
}

fuzz_target!(|pages: Vec<Page>| {
    let call = Call::ListResourceDataSync;
    let answers = pages.iter().map(|page| (call, Answer::ok(page.json().to_string())));
    exporter::check_answers(Fleet::OneTarget, answers.collect());
});

impl Page {
    fn json(&self) -> Value {
        let mut items: Value = self.items.iter().map(Item::json).collect();
        for replacement in &self.replacements {
            replacement.apply(&mut items);
        }
        object([("ResourceDataSyncItems", Some(items)), ("NextToken", text(&self.next_token))])
    }
}

impl Replacement {
    fn apply(&self, items: &mut Value) {
        let number = values_within(items);
        if number > 0 {
            let mut left = usize::from(self.position) % number;
            replace(items, &mut left, &self.value.json());
        }
    }
}

impl Odd {
    fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => json!(value),
            Self::Integer(value) => json!(value),
            Self::Fraction(value) => json!(value),
            Self::Text(text) => text.json(),
            Self::Empty => json!({}),
            Self::Nested { is_object: false, levels } => {
                (0..*levels).fold(json!([]), |value, _| json!([value]))
            }
            Self::Nested { is_object: true, levels } => {
                (0..*levels).fold(json!({}), |value, _| json!({"SyncName": value}))
            }
        }
    }
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}

fn values_within(value: &Value) -> usize {
    children(value).into_iter().map(|child| 1 + values_within(child)).sum()
}

/// Replaces the value within `value` that follows `left` others. Returns whether it was there.
fn replace(value: &mut Value, left: &mut usize, replacement: &Value) -> bool {
    let children: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => return false,
    };
    for child in children {
        if *left == 0 {
            *child = replacement.clone();
            return true;
        }
        *left -= 1;
        if replace(child, left, replacement) {
            return true;
        }
    }
    false
}

impl Item {
    fn json(&self) -> Value {
        let sync_type = self.sync_type.as_ref().map(|sync_type| match sync_type {
            SyncType::ToDestination => "SyncToDestination".into(),
            SyncType::FromSource => "SyncFromSource".into(),
            SyncType::Other(text) => text.json(),
        });
        let status = self.status.as_ref().map(|status| match status {
            Status::Other(text) => text.json(),
            known => format!("{known:?}").into(),
        });
        let time = |time: &Option<Time>| {
            time.as_ref().map(|time| match time {
                Time::Seconds(seconds) => json!(seconds),
                Time::Fraction(seconds) => json!(seconds),
                Time::Text(text) => text.json(),
            })
        };
        object([
            ("SyncName", text(&self.name)),
            ("SyncType", sync_type),
            ("LastStatus", status),
            ("LastSyncStatusMessage", text(&self.message)),
            ("LastSyncTime", time(&self.last_sync)),
            ("LastSuccessfulSyncTime", time(&self.last_success)),
            ("SyncCreatedTime", time(&self.created)),
            ("SyncLastModifiedTime", time(&self.modified)),
            ("S3Destination", self.destination.as_ref().map(Destination::json)),
            ("SyncSource", self.source.as_ref().map(Source::json)),
        ])
    }
}

impl Destination {
    fn json(&self) -> Value {
        let sharing =
            self.sharing.as_ref().map(|sharing| json!({"DestinationDataSharingType": sharing.json()}));
        object([
            ("BucketName", Some(self.bucket.json())),
            ("Prefix", text(&self.prefix)),
            ("Region", Some(self.region.json())),
            ("SyncFormat", Some(self.format.json())),
            ("AWSKMSKeyARN", text(&self.key)),
            ("DestinationDataSharing", sharing),
        ])
    }
}

impl Source {
    fn json(&self) -> Value {
        let texts = |texts: &Vec<Text>| texts.iter().map(Text::json).collect::<Value>();
        let units = self.units.as_ref().map(|units| {
            units.iter().map(|unit| json!({"OrganizationalUnitId": unit.json()})).collect::<Value>()
        });
        let organization = self.organization_source_type.as_ref().map(|source_type| {
            object([("OrganizationSourceType", Some(source_type.json())), ("OrganizationalUnits", units)])
        });
        object([
            ("SourceType", text(&self.source_type)),
            ("AwsOrganizationsSource", organization),
            ("SourceRegions", self.regions.as_ref().map(texts)),
            ("IncludeFutureRegions", self.include_future_regions.map(Value::from)),
            ("EnableAllOpsDataSources", self.enable_all_ops_data_sources.map(Value::from)),
            ("State", text(&self.state)),
        ])
    }
}

impl Text {
    fn json(&self) -> Value {
        // Most texts are short.
        self.text.repeat(1 << self.doublings.saturating_sub(242)).into()
    }
}

fn text(text: &Option<Text>) -> Option<Value> {
    text.as_ref().map(Text::json)
}

fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(fields.collect::<Map<_, _>>())
}
