//! The shapes of values in a request of `CreateResourceDataSync` that are more than a text.

use schemars::Schema;
use serde_json::json;

use super::patterns::{PLAIN, REGION, UNIT, text_of_request, text_without_wildcards};
use crate::config::shape::{Shape, string};
use crate::model::SyncType;

/// The shape of the region of a bucket.
pub(super) struct BucketRegionShape;

impl Shape for BucketRegionShape {
    fn shape() -> Schema {
        string(&text_of_request(REGION), "eu-west-1")
    }
}

/// The shape of the ARN of a key.
pub(super) struct KmsKeyShape;

impl Shape for KmsKeyShape {
    fn shape() -> Schema {
        let part = r"[^\x00-\x1F\x7F-\x9F:*?{}]*";
        string(
            &text_of_request(&format!("arn:{part}:kms:{part}:{part}:{PLAIN}*")),
            "arn:{partition}:kms:eu-west-1:*:key/*",
        )
    }
}

/// The shape of a region that is a source.
pub(super) struct SourceRegionShape;

impl Shape for SourceRegionShape {
    fn shape() -> Schema {
        string(&text_without_wildcards(REGION), "eu-west-1")
    }
}

/// The shape of the id of a unit that is a source.
pub(super) struct UnitShape;

impl Shape for UnitShape {
    fn shape() -> Schema {
        string(&text_without_wildcards(UNIT), "ou-abcd-11111111")
    }
}

/// A sync has a destination or a source, and a sync with a source has to name its type.
pub(super) fn of_one_type(schema: &mut Schema) {
    let with_type = |sync_type: &SyncType| json!({ "SyncType": { "const": sync_type.as_str() } });
    let dependencies = json!({
        "S3Destination": { "properties": with_type(&SyncType::ToDestination) },
        "SyncSource": { "required": ["SyncType"], "properties": with_type(&SyncType::FromSource) }
    });
    schema.insert("dependencies".to_owned(), dependencies);
    schema.insert("minProperties".to_owned(), 1.into());
}
