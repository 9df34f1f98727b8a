//! The four operations of SSM.

use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::paging::{self, Page};
use crate::reply::{ApiError, Reply};
use crate::validate::{self, Violations};
use crate::world::{Alive, LIMIT, Sync, SyncKind, World, millis, now};

/// The longest name, and the longest type.
const MAX_NAME: usize = 64;

const MAX_PAGE: usize = 50;

/// The result of a call that has none.
const NOTHING: &str = "{}";

/// Syncs to buckets whose name begins like this fail, for the most usual of
/// reasons.
const DENYING_BUCKET: &str = "denied-";

/// Answers a call of `operation`, whose paging may be made to go wrong.
pub(crate) fn answer(
    world: &World,
    account: &str,
    region: &str,
    operation: &str,
    request: &Value,
    fault: Option<&Fault>,
) -> Reply {
    let place = Place { world, account, region };
    let answered = match operation {
        "CreateResourceDataSync" => place.create(request).map(|()| NOTHING.to_owned()),
        "UpdateResourceDataSync" => place.update(request).map(|()| NOTHING.to_owned()),
        "ListResourceDataSync" => place.list(request, fault),
        "DeleteResourceDataSync" => place.delete(request).map(|()| NOTHING.to_owned()),
        _ => Err(ApiError::new("UnknownOperationException", "")),
    };
    answered.map_or_else(Reply::Error, Reply::Json)
}

struct Place<'a> {
    world: &'a World,
    account: &'a str,
    region: &'a str,
}

impl Place<'_> {
    fn create(&self, request: &Value) -> Result<(), ApiError> {
        let (name, kind) = name_and_kind(request)?;
        let details = match kind {
            SyncKind::ToDestination => checked_destination(request)?,
            SyncKind::FromSource => checked_source(request)?,
        };
        let now = now();
        self.world.with_syncs(self.account, self.region, kind, |syncs| {
            if syncs.iter().any(|sync| sync.name() == name) {
                return Err(ApiError::new("ResourceDataSyncAlreadyExistsException", "")
                    .fields(json!({"SyncName": name})));
            }
            if syncs.len() >= LIMIT {
                let message = format!("The maximum number of resource data syncs is {LIMIT}");
                return Err(ApiError::new("ResourceDataSyncCountExceededException", message));
            }
            syncs.push(Sync::Alive(Alive { name: name.to_owned(), created: now, modified: now, details }));
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
            return Err(misconfigured("Only a resource data sync of type SyncFromSource can be updated"));
        }
        let details = checked_source(request)?;
        self.world.with_syncs(self.account, self.region, kind, |syncs| {
            let sync =
                syncs.iter_mut().find(|sync| sync.name() == name).ok_or_else(|| not_found(name, kind))?;
            match sync {
                Sync::Alive(alive) => {
                    alive.modified = now();
                    alive.details = details;
                }
                Sync::AsGiven(given) => *given = given.with_source(details),
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

    fn list(&self, request: &Value, fault: Option<&Fault>) -> Result<String, ApiError> {
        let mut violations = Violations::default();
        violations.text(request, "/SyncType", MAX_NAME, false);
        let size = paging::size(request, MAX_PAGE).unwrap_or_else(|value| {
            violations.add(&format!("'{value}'"), "/MaxResults", "Member must have value between 1 and 50");
            MAX_PAGE
        });
        violations.check()?;
        let kind = kind_of(request)?;
        let page = Page::new(kind.as_str(), size, request, fault)
            .ok_or_else(|| ApiError::new("InvalidNextToken", "The specified token is not valid."))?;
        let (rhythm, reports_sharing, now) = (self.world.rhythm(), self.world.reports_sharing(), now());
        let (items, total) = self.world.with_list(self.account, self.region, kind, |syncs| {
            let items = page.of(syncs).map(|sync| match sync {
                Sync::AsGiven(given) => given.text.clone(),
                Sync::Alive(alive) => item(alive, kind, rhythm, reports_sharing, now).to_string(),
            });
            (items.collect::<Vec<_>>(), syncs.len())
        });
        let next = page.next(total).map(|next| format!(",\"NextToken\":{}", Value::from(next)));
        Ok(format!("{{\"ResourceDataSyncItems\":[{}]{}}}", items.join(","), next.unwrap_or_default()))
    }
}

fn checked_destination(request: &Value) -> Result<Value, ApiError> {
    if request.get("SyncSource").is_some_and(|source| !source.is_null()) {
        return Err(misconfigured("SyncSource is not supported for a sync of type SyncToDestination"));
    }
    // Without a bucket there is nothing to check. (The members of an older
    // form of the request, without S3Destination, are not supported.)
    let Some(details) = request.get("S3Destination").filter(|details| !details.is_null()) else {
        return Err(misconfigured("S3Destination is required for a sync of type SyncToDestination"));
    };
    let mut violations = Violations::default();
    validate::destination(request, "/S3Destination", &mut violations);
    violations.check()?;
    let sharing =
        details.pointer("/DestinationDataSharing/DestinationDataSharingType").and_then(Value::as_str);
    match sharing {
        None | Some("Organization") => Ok(details.clone()),
        Some(other) => Err(misconfigured(&format!("DestinationDataSharingType {other} is not supported"))),
    }
}

fn checked_source(request: &Value) -> Result<Value, ApiError> {
    if request.get("S3Destination").is_some_and(|destination| !destination.is_null()) {
        return Err(misconfigured("S3Destination is not supported for a sync of type SyncFromSource"));
    }
    let Some(details) = request.get("SyncSource").filter(|details| !details.is_null()) else {
        return Err(misconfigured("SyncSource is required for a sync of type SyncFromSource"));
    };
    let mut violations = Violations::default();
    validate::source(request, "/SyncSource", &mut violations);
    violations.check()?;
    if details["SourceRegions"].as_array().is_some_and(Vec::is_empty) {
        return Err(misconfigured("SourceRegions must name at least one region"));
    }
    let organization = details.get("AwsOrganizationsSource").filter(|source| !source.is_null());
    // Documented in lower camel case, sent in upper.
    match details["SourceType"].as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("singleaccountmultiregions") if organization.is_none() => Ok(details.clone()),
        Some("singleaccountmultiregions") => {
            Err(misconfigured("AwsOrganizationsSource is not supported for SingleAccountMultiRegions"))
        }
        Some("awsorganizations") => {
            let organization = organization
                .ok_or_else(|| misconfigured("AwsOrganizationsSource is required for AwsOrganizations"))?;
            let units = organization["OrganizationalUnits"].as_array();
            match (organization["OrganizationSourceType"].as_str(), units) {
                (Some("EntireOrganization"), None) | (Some("OrganizationalUnits"), Some(_)) => {
                    Ok(details.clone())
                }
                (Some("EntireOrganization"), Some(_)) => {
                    Err(misconfigured("OrganizationalUnits is not supported for EntireOrganization"))
                }
                (Some("OrganizationalUnits"), None) => {
                    Err(misconfigured("OrganizationalUnits is required for OrganizationalUnits"))
                }
                _ => Err(misconfigured("OrganizationSourceType is not supported")),
            }
        }
        _ => Err(misconfigured("SourceType is not supported")),
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
            .ok_or_else(|| misconfigured(&format!("SyncType {name} is not supported"))),
    }
}

fn misconfigured(message: &str) -> ApiError {
    ApiError::new("ResourceDataSyncInvalidConfigurationException", message)
}

fn not_found(name: &str, kind: SyncKind) -> ApiError {
    ApiError::new("ResourceDataSyncNotFoundException", "The specified sync name wasn't found.")
        .fields(json!({"SyncName": name, "SyncType": kind.as_str()}))
}

/// A sync as a list shows it. Like AWS, it leaves out what there is not: the
/// type of a sync to a destination, the status of one from a source.
fn item(alive: &Alive, kind: SyncKind, rhythm: crate::Rhythm, reports_sharing: bool, now: f64) -> Value {
    let runs = rhythm.runs(alive.created, now);
    let mut item = Map::new();
    let mut put = |key: &str, value: Value| {
        item.insert(key.to_owned(), value);
    };
    put("SyncName", alive.name.clone().into());
    put("SyncCreatedTime", millis(alive.created));
    put("LastSyncTime", millis(runs.last));
    match kind {
        SyncKind::FromSource => {
            put("SyncType", kind.as_str().into());
            put("SyncSource", alive.details.clone());
            put("SyncLastModifiedTime", millis(alive.modified));
            if let Some(time) = runs.last_ended {
                put("LastSuccessfulSyncTime", millis(time));
            }
        }
        SyncKind::ToDestination => {
            let mut details = alive.details.clone();
            if let (false, Some(details)) = (reports_sharing, details.as_object_mut()) {
                details.remove("DestinationDataSharing");
            }
            let bucket = details["BucketName"].as_str().unwrap_or_default().to_owned();
            put("S3Destination", details);
            let denied = bucket.starts_with(DENYING_BUCKET);
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
            if let Some(time) = runs.last_ended.filter(|_| !denied) {
                put("LastSuccessfulSyncTime", millis(time));
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
        let reply = answer(world, ACCOUNT, region, "ListResourceDataSync", &request, None);
        let Reply::Json(text) = reply else { panic!("{reply:?}") };
        let page: Value = serde_json::from_str(&text).unwrap();
        let items = page["ResourceDataSyncItems"].as_array().unwrap();
        let more = page.get("NextToken").map(|_| "more".to_owned());
        items.iter().map(|item| item["SyncName"].as_str().unwrap().to_owned()).chain(more).collect()
    }

    #[test]
    fn what_is_everywhere_is_listed_where_there_is_nothing_else() {
        let world = World::new();
        world.add_account(ACCOUNT);
        let items = ["a", "b", "c"].map(|name| json!({"SyncName": name}));
        world.set_everywhere(SyncKind::ToDestination, items.to_vec());
        world.put_item(ACCOUNT, "us-east-1", SyncKind::ToDestination, json!({"SyncName": "own"}));
        assert_eq!(names(&world, "eu-west-1", SyncKind::ToDestination), ["a", "b", "more"]);
        assert_eq!(names(&world, "us-east-1", SyncKind::ToDestination), ["own"]);
        assert_eq!(names(&world, "eu-west-1", SyncKind::FromSource), [""; 0]);
        world.clear(ACCOUNT, "us-east-1");
        assert_eq!(names(&world, "us-east-1", SyncKind::ToDestination), ["a", "b", "more"]);
    }
}
