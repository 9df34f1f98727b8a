//! The policies that a sync to a bucket needs, as in the instructions of the Systems Manager user
//! guide for creating a resource data sync for Inventory, with the values of the sync.

use serde::Serialize;

use super::SyncInTarget;
use crate::fleet::{Partition, RegionName};

/// Stands for the id of the organization, which the exporter does not know.
const ORGANIZATION_ID: &str = "ORGANIZATION_ID";

const SERVICE: &str = "ssm.amazonaws.com";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: &'static str,
    effect: &'static str,
    principal: Principal,
    action: &'static str,
    resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Principal {
    service: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    string_equals: StringEquals,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn_like: Option<ArnLike>,
}

#[derive(Serialize)]
struct StringEquals {
    #[serde(rename = "s3:x-amz-acl")]
    acl: &'static str,
    #[serde(rename = "s3:RequestObjectTag/OrgId", skip_serializing_if = "Option::is_none")]
    organization_id: Option<&'static str>,
    #[serde(rename = "aws:SourceAccount", skip_serializing_if = "Option::is_none")]
    source_account: Option<String>,
}

#[derive(Serialize)]
struct ArnLike {
    #[serde(rename = "aws:SourceArn")]
    source_arn: String,
}

/// The statements that the policy of the bucket needs for the sync. With organization sharing, they
/// are for all accounts of the organization.
pub(super) fn of_bucket(context: SyncInTarget<'_>, bucket: &str, shares_with_organization: bool) -> Policy {
    let account = context.account();
    let partition = context.region().partition();
    let bucket_arn = format!("arn:{partition}:s3:::{bucket}");
    let prefix = context.sync.destination.as_ref().and_then(|destination| destination.prefix.as_deref());
    let prefix = prefix.map(|prefix| prefix.trim_matches('/')).filter(|prefix| !prefix.is_empty());
    let directory = prefix.map_or_else(|| bucket_arn.clone(), |prefix| format!("{bucket_arn}/{prefix}"));
    let statement = |sid, action, resource: &str, condition| Statement {
        sid,
        effect: "Allow",
        principal: principal(context.region()),
        action,
        resource: resource.to_owned(),
        condition,
    };
    let mut statements = vec![statement("SSMBucketPermissionsCheck", "s3:GetBucketAcl", &bucket_arn, None)];
    let acl = "bucket-owner-full-control";
    if shares_with_organization {
        let objects = format!("{directory}/*/accountid=*/*");
        let string_equals =
            StringEquals { acl, organization_id: Some(ORGANIZATION_ID), source_account: None };
        let condition = Condition { string_equals, arn_like: None };
        statements.push(statement("SSMBucketDelivery", "s3:PutObject", &objects, Some(condition)));
        statements.push(statement("SSMBucketDeliveryTagging", "s3:PutObjectTagging", &objects, None));
    } else {
        let objects = format!("{directory}/*/accountid={account}/*");
        let source_arn = format!("arn:{partition}:ssm:*:{account}:resource-data-sync/*");
        let string_equals = StringEquals { acl, organization_id: None, source_account: Some(account) };
        let condition = Condition { string_equals, arn_like: Some(ArnLike { source_arn }) };
        statements.push(statement("SSMBucketDelivery", "s3:PutObject", &objects, Some(condition)));
    }
    Policy { version: "2012-10-17", statement: statements }
}

/// The statement that the policy of the KMS key needs.
pub(super) fn of_key(region: &RegionName, key: &str) -> Policy {
    let statement = Statement {
        sid: "ssm-access-policy-statement",
        effect: "Allow",
        principal: principal(region),
        action: "kms:GenerateDataKey",
        resource: key.to_owned(),
        condition: None,
    };
    Policy { version: "2012-10-17", statement: vec![statement] }
}

/// Systems Manager. In a region that has to be enabled, it writes as a service of that region. The
/// user guide requires that for the regions since ap-east-1, and those are the ones that have to be
/// enabled.
fn principal(region: &RegionName) -> Principal {
    let mut service = vec![SERVICE.to_owned()];
    if region.partition() == Partition::Aws && !region.is_always_enabled() {
        service.push(format!("ssm.{region}.amazonaws.com"));
    }
    Principal { service }
}
