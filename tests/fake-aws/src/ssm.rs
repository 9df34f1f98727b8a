//! The SSM operations: four on resource data syncs, and `DescribeInstanceInformation`.

use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::nodes;
use crate::paging::Page;
use crate::reply::{ApiError, Reply};
use crate::schedule::Runs;
use crate::validate::{self, Violations};
use crate::world::{CreatedSync, SYNC_QUOTA, Sync, SyncKind, World, aws_time, now};

/// Maximum length of a sync's name and type.
const MAX_NAME: usize = 64;

const MAX_PAGE_SIZE: usize = 50;

/// The response of an operation without a result.
const EMPTY_RESULT: &str = "{}";

/// Syncs to buckets whose name has this prefix fail as if the bucket policy denied access, which is
/// the most common cause.
const FAILING_BUCKET_PREFIX: &str = "denied-";

/// Handles a call of `operation`. `faults` may affect its paging.
pub(crate) fn handle(
    world: &World,
    account: &str,
    region: &str,
    operation: &str,
    request: &Value,
    faults: &[Fault],
) -> Reply {
    let at = AccountRegion { world, account, region };
    let result = match operation {
        "CreateResourceDataSync" => at.create(request).map(|()| EMPTY_RESULT.to_owned()),
        "UpdateResourceDataSync" => at.update(request).map(|()| EMPTY_RESULT.to_owned()),
        "ListResourceDataSync" => at.list(request, faults),
        "DeleteResourceDataSync" => at.delete(request).map(|()| EMPTY_RESULT.to_owned()),
        "DescribeInstanceInformation" => nodes::describe(world, account, region, request, faults),
        _ => Err(ApiError::new("UnknownOperationException", "")),
    };
    result.map_or_else(Reply::Error, Reply::Json)
}

/// An account and region whose syncs a call reads or changes.
struct AccountRegion<'a> {
    world: &'a World,
    account: &'a str,
    region: &'a str,
}

impl AccountRegion<'_> {
    fn create(&self, request: &Value) -> Result<(), ApiError> {
        let (name, kind) = name_and_kind(request)?;
        let details = match kind {
            SyncKind::ToDestination => validated_destination(request)?,
            SyncKind::FromSource => validated_source(request)?,
        };
        let now = now();
        self.world.with_syncs(self.account, self.region, kind, |syncs| {
            if syncs.iter().any(|sync| sync.name() == name) {
                return Err(ApiError::new("ResourceDataSyncAlreadyExistsException", "")
                    .fields(json!({"SyncName": name})));
            }
            if syncs.len() >= SYNC_QUOTA {
                let message = format!("The maximum number of resource data syncs is {SYNC_QUOTA}");
                return Err(ApiError::new("ResourceDataSyncCountExceededException", message));
            }
            syncs.push(Sync::Created(CreatedSync {
                name: name.to_owned(),
                created: now,
                modified: now,
                details,
            }));
            Ok(())
        })
    }

    fn update(&self, request: &Value) -> Result<(), ApiError> {
        let mut violations = Violations::default();
        violations.text(request, "/SyncName", MAX_NAME, true);
        violations.text(request, "/SyncType", MAX_NAME, true);
        if request.get("SyncSource").is_none_or(Value::is_null) {
            violations.add("null", "/SyncSource", "Member must not be null");
        }
        violations.check()?;
        let (name, kind) = name_and_kind(request)?;
        if kind != SyncKind::FromSource {
            return Err(invalid_configuration(
                "Only a resource data sync of type SyncFromSource can be updated",
            ));
        }
        let details = validated_source(request)?;
        self.world.with_syncs(self.account, self.region, kind, |syncs| {
            let sync =
                syncs.iter_mut().find(|sync| sync.name() == name).ok_or_else(|| not_found(name, kind))?;
            match sync {
                Sync::Created(sync) => {
                    sync.modified = now();
                    sync.details = details;
                }
                Sync::Fixed(fixed) => *fixed = fixed.with_source(details),
            }
            Ok(())
        })
    }

    fn delete(&self, request: &Value) -> Result<(), ApiError> {
        let (name, kind) = name_and_kind(request)?;
        self.world.with_syncs(self.account, self.region, kind, |syncs| {
            let before = syncs.len();
            syncs.retain(|sync| sync.name() != name);
            if syncs.len() == before { Err(not_found(name, kind)) } else { Ok(()) }
        })
    }

    fn list(&self, request: &Value, faults: &[Fault]) -> Result<String, ApiError> {
        let mut violations = Violations::default();
        violations.text(request, "/SyncType", MAX_NAME, false);
        let size = violations.page_size(request, 1..=MAX_PAGE_SIZE, MAX_PAGE_SIZE);
        violations.check()?;
        let kind = kind_of(request)?;
        let page = Page::new(kind.as_str(), size, request, faults)
            .ok_or_else(|| ApiError::new("InvalidNextToken", "The specified token is not valid."))?;
        let (schedule, reports_sharing, now) =
            (self.world.run_schedule(), self.world.reports_sharing(), now());
        let until = self.world.runs_until(self.account, self.region);
        let item = |sync: &Sync, kind| match sync {
            Sync::Fixed(fixed) => fixed.text.clone(),
            Sync::Created(sync) => {
                let runs = schedule.runs(sync.created, until, now);
                list_item(sync, kind, runs, reports_sharing).to_string()
            }
        };
        let (items, total) = if faults.contains(&Fault::AllTypes) {
            let of_kind = |kind| {
                self.world.with_listed_syncs(self.account, self.region, kind, |syncs| {
                    syncs.iter().map(|sync| item(sync, kind)).collect::<Vec<_>>()
                })
            };
            let all = [SyncKind::ToDestination, SyncKind::FromSource].map(of_kind).concat();
            let total = all.len();
            (page.of(all).collect::<Vec<_>>(), total)
        } else {
            self.world.with_listed_syncs(self.account, self.region, kind, |syncs| {
                (page.of(syncs).map(|sync| item(sync, kind)).collect(), syncs.len())
            })
        };
        let next = page.next(total).map(|next| format!(",\"NextToken\":{}", Value::from(next)));
        Ok(format!("{{\"ResourceDataSyncItems\":[{}]{}}}", items.join(","), next.unwrap_or_default()))
    }
}

fn validated_destination(request: &Value) -> Result<Value, ApiError> {
    if request.get("SyncSource").is_some_and(|source| !source.is_null()) {
        return Err(invalid_configuration(
            "SyncSource is not supported for a sync of type SyncToDestination",
        ));
    }
    // The fake does not support the older form of the request, with the members of S3Destination at
    // the top level.
    let Some(details) = request.get("S3Destination").filter(|details| !details.is_null()) else {
        return Err(invalid_configuration("S3Destination is required for a sync of type SyncToDestination"));
    };
    let mut violations = Violations::default();
    validate::destination(request, "/S3Destination", &mut violations);
    violations.check()?;
    let sharing =
        details.pointer("/DestinationDataSharing/DestinationDataSharingType").and_then(Value::as_str);
    match sharing {
        None | Some("Organization") => Ok(details.clone()),
        Some(other) => {
            Err(invalid_configuration(&format!("DestinationDataSharingType {other} is not supported")))
        }
    }
}

fn validated_source(request: &Value) -> Result<Value, ApiError> {
    if request.get("S3Destination").is_some_and(|destination| !destination.is_null()) {
        return Err(invalid_configuration(
            "S3Destination is not supported for a sync of type SyncFromSource",
        ));
    }
    let Some(details) = request.get("SyncSource").filter(|details| !details.is_null()) else {
        return Err(invalid_configuration("SyncSource is required for a sync of type SyncFromSource"));
    };
    let mut violations = Violations::default();
    validate::source(request, "/SyncSource", &mut violations);
    violations.check()?;
    if details["SourceRegions"].as_array().is_some_and(Vec::is_empty) {
        return Err(invalid_configuration("SourceRegions must name at least one region"));
    }
    let organization = details.get("AwsOrganizationsSource").filter(|source| !source.is_null());
    // The documentation spells the values in lower camel case, but AWS sends upper camel case.
    match details["SourceType"].as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("singleaccountmultiregions") if organization.is_none() => Ok(details.clone()),
        Some("singleaccountmultiregions") => Err(invalid_configuration(
            "AwsOrganizationsSource is not supported for SingleAccountMultiRegions",
        )),
        Some("awsorganizations") => {
            let organization = organization.ok_or_else(|| {
                invalid_configuration("AwsOrganizationsSource is required for AwsOrganizations")
            })?;
            let units = organization["OrganizationalUnits"].as_array();
            match (organization["OrganizationSourceType"].as_str(), units) {
                (Some("EntireOrganization"), None) | (Some("OrganizationalUnits"), Some(_)) => {
                    Ok(details.clone())
                }
                (Some("EntireOrganization"), Some(_)) => {
                    Err(invalid_configuration("OrganizationalUnits is not supported for EntireOrganization"))
                }
                (Some("OrganizationalUnits"), None) => {
                    Err(invalid_configuration("OrganizationalUnits is required for OrganizationalUnits"))
                }
                _ => Err(invalid_configuration("OrganizationSourceType is not supported")),
            }
        }
        _ => Err(invalid_configuration("SourceType is not supported")),
    }
}

fn name_and_kind(request: &Value) -> Result<(&str, SyncKind), ApiError> {
    let mut violations = Violations::default();
    let name = violations.text(request, "/SyncName", MAX_NAME, true);
    violations.text(request, "/SyncType", MAX_NAME, false);
    violations.check()?;
    Ok((name.unwrap_or_default(), kind_of(request)?))
}

fn kind_of(request: &Value) -> Result<SyncKind, ApiError> {
    match request.get("SyncType").and_then(Value::as_str) {
        None => Ok(SyncKind::ToDestination),
        Some(name) => SyncKind::from_name(name)
            .ok_or_else(|| invalid_configuration(&format!("SyncType {name} is not supported"))),
    }
}

fn invalid_configuration(message: &str) -> ApiError {
    ApiError::new("ResourceDataSyncInvalidConfigurationException", message)
}

fn not_found(name: &str, kind: SyncKind) -> ApiError {
    ApiError::new("ResourceDataSyncNotFoundException", "The specified sync name wasn't found.")
        .fields(json!({"SyncName": name, "SyncType": kind.as_str()}))
}

/// A sync as an item of a list. As in AWS, a sync to a destination has no type, and a sync from a
/// source has no status.
fn list_item(sync: &CreatedSync, kind: SyncKind, runs: Runs, reports_sharing: bool) -> Value {
    let mut item = Map::new();
    let mut put = |key: &str, value: Value| {
        item.insert(key.to_owned(), value);
    };
    put("SyncName", sync.name.clone().into());
    put("SyncCreatedTime", aws_time(sync.created));
    put("LastSyncTime", aws_time(runs.last_start));
    match kind {
        SyncKind::FromSource => {
            put("SyncType", kind.as_str().into());
            put("SyncSource", sync.details.clone());
            put("SyncLastModifiedTime", aws_time(sync.modified));
            if let Some(time) = runs.last_finished_start {
                put("LastSuccessfulSyncTime", aws_time(time));
            }
        }
        SyncKind::ToDestination => {
            let mut details = sync.details.clone();
            if let (false, Some(details)) = (reports_sharing, details.as_object_mut()) {
                details.remove("DestinationDataSharing");
            }
            let bucket = details["BucketName"].as_str().unwrap_or_default().to_owned();
            put("S3Destination", details);
            let denied = bucket.starts_with(FAILING_BUCKET_PREFIX);
            let (status, message) = match (runs.running, denied) {
                (true, _) => ("InProgress", String::new()),
                (false, false) => ("Successful", "The sync was successfully completed".to_owned()),
                (false, true) => (
                    "Failed",
                    format!(
                        "Failed to write to the bucket {bucket}: its policy does not allow ssm.amazonaws.com to call s3:PutObject"
                    ),
                ),
            };
            put("LastStatus", status.into());
            if !message.is_empty() {
                put("LastSyncStatusMessage", message.into());
            }
            if let Some(time) = runs.last_finished_start.filter(|_| !denied) {
                put("LastSuccessfulSyncTime", aws_time(time));
            }
        }
    }
    Value::Object(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "111122223333";

    fn names(world: &World, region: &str, kind: SyncKind) -> Vec<String> {
        let request = json!({"SyncType": kind.as_str(), "MaxResults": 2});
        let reply = handle(world, ACCOUNT, region, "ListResourceDataSync", &request, &[]);
        let Reply::Json(text) = reply else { panic!("{reply:?}") };
        let page: Value = serde_json::from_str(&text).unwrap();
        let items = page["ResourceDataSyncItems"].as_array().unwrap();
        let more = page.get("NextToken").map(|_| "more".to_owned());
        items.iter().map(|item| item["SyncName"].as_str().unwrap().to_owned()).chain(more).collect()
    }

    #[test]
    fn default_syncs_are_listed_where_there_are_no_others() {
        let world = World::new();
        world.add_account(ACCOUNT);
        let items = ["a", "b", "c"].map(|name| json!({"SyncName": name}));
        world.set_default_syncs(SyncKind::ToDestination, items.to_vec());
        world.put_item(ACCOUNT, "us-east-1", SyncKind::ToDestination, json!({"SyncName": "own"}));
        assert_eq!(names(&world, "eu-west-1", SyncKind::ToDestination), ["a", "b", "more"]);
        assert_eq!(names(&world, "us-east-1", SyncKind::ToDestination), ["own"]);
        assert_eq!(names(&world, "eu-west-1", SyncKind::FromSource), [""; 0]);
        world.clear_syncs(ACCOUNT, "us-east-1");
        assert_eq!(names(&world, "us-east-1", SyncKind::ToDestination), ["a", "b", "more"]);
    }
}
