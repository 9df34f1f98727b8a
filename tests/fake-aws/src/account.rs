//! `ListRegions`, the only supported operation of Account Management.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fault::Fault;
use crate::paging::Page;
use crate::reply::{ApiError, Reply};
use crate::service::Service;
use crate::validate::Violations;
use crate::world::{Caller, World};

const MAX_PAGE_SIZE: usize = 50;

const STATUSES: [&str; 5] = ["ENABLED", "ENABLING", "DISABLING", "DISABLED", "ENABLED_BY_DEFAULT"];

/// Regions that are enabled in every account.
const DEFAULT_REGIONS: [&str; 17] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ap-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "sa-east-1",
];

/// Regions that are disabled until an account enables them.
const OPT_IN_REGIONS: [&str; 13] = [
    "af-south-1",
    "ap-east-1",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
];

/// The operation that a POST to `path` calls, empty if there is none.
pub(crate) fn operation(path: &str) -> &'static str {
    if path == "/listRegions" { "ListRegions" } else { "" }
}

/// Handles a call of `operation`. `faults` may affect its paging.
pub(crate) fn handle(
    world: &World,
    caller: &Caller,
    operation: &str,
    request: &Value,
    faults: &[Fault],
) -> Reply {
    let result = match operation {
        "ListRegions" => list_regions(world, caller, request, faults),
        _ => Err(ApiError::new("UnknownOperationException", "").status(404)),
    };
    result.map_or_else(Reply::Error, |body| Reply::Json(body.to_string()))
}

fn list_regions(
    world: &World,
    caller: &Caller,
    request: &Value,
    faults: &[Fault],
) -> Result<Value, ApiError> {
    // Listing the regions of another account requires trusted access in the organization, which the
    // fake does not support.
    if let Some(account) = request.get("AccountId").and_then(Value::as_str)
        && account != caller.account
    {
        let message = format!(
            "User: {} is not authorized to perform: account:ListRegions on resource: arn:aws:account::{account}:account",
            caller.arn
        );
        return Err(Service::Account.access_denied(message));
    }
    let mut violations = Violations::default();
    let size = violations.page_size(request, 1..=MAX_PAGE_SIZE, MAX_PAGE_SIZE);
    let wanted = request.get("RegionOptStatusContains").and_then(Value::as_array);
    for index in 0..wanted.map_or(0, Vec::len) {
        violations.one_of(request, &format!("/RegionOptStatusContains/{index}"), &STATUSES);
    }
    violations.check()?;
    let page = Page::new("ListRegions", size, request, faults)
        .ok_or_else(|| ApiError::new("ValidationException", "The specified token is not valid."))?;

    let is_wanted = |status: &str| {
        wanted.is_none_or(|wanted| wanted.is_empty() || wanted.iter().any(|wanted| wanted == status))
    };
    let mut regions: BTreeMap<String, String> = world.region_statuses(&caller.account);
    for (names, status) in
        [(DEFAULT_REGIONS.as_slice(), "ENABLED_BY_DEFAULT"), (OPT_IN_REGIONS.as_slice(), "DISABLED")]
    {
        for name in names {
            regions.entry((*name).to_owned()).or_insert_with(|| status.to_owned());
        }
    }
    regions.retain(|_, status| is_wanted(status));
    let items: Vec<_> = page
        .of(&regions)
        .map(|(name, status)| json!({"RegionName": name, "RegionOptStatus": status}))
        .collect();
    let mut response = json!({"Regions": items});
    if let Some(next) = page.next(regions.len()) {
        response["NextToken"] = next.into();
    }
    Ok(response)
}
