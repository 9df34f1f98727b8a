//! The one operation of Account management: which regions an account has.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fault::Fault;
use crate::paging::{self, Page};
use crate::reply::{ApiError, Reply};
use crate::service::Service;
use crate::validate::Violations;
use crate::world::{Caller, World};

const MAX_PAGE: usize = 50;

const STATUSES: [&str; 5] = ["ENABLED", "ENABLING", "DISABLING", "DISABLED", "ENABLED_BY_DEFAULT"];

/// The regions that every account has.
const DEFAULT: [&str; 17] = [
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

/// The regions that an account has to enable first.
const OPT_IN: [&str; 13] = [
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

/// The operation that is called by a POST to `path`.
pub(crate) fn operation(path: &str) -> &'static str {
    if path == "/listRegions" { "ListRegions" } else { "" }
}

/// Answers a call of `operation`, whose paging may be made to go wrong.
pub(crate) fn answer(
    world: &World,
    caller: &Caller,
    operation: &str,
    request: &Value,
    fault: Option<&Fault>,
) -> Reply {
    let answered = match operation {
        "ListRegions" => list_regions(world, caller, request, fault),
        _ => Err(ApiError::new("UnknownOperationException", "").status(404)),
    };
    answered.map_or_else(Reply::Error, |result| Reply::Json(result.to_string()))
}

fn list_regions(
    world: &World,
    caller: &Caller,
    request: &Value,
    fault: Option<&Fault>,
) -> Result<Value, ApiError> {
    // Other accounts may be asked about only once Organizations trusts the
    // service, which it does not here.
    if let Some(account) = request.get("AccountId").and_then(Value::as_str)
        && account != caller.account
    {
        let why = format!("on resource: arn:aws:account::{account}:account");
        return Err(Service::Account.denial(caller, "ListRegions", &why));
    }
    let mut violations = Violations::default();
    let size = paging::size(request, MAX_PAGE).unwrap_or_else(|value| {
        violations.add(&format!("'{value}'"), "/MaxResults", "Member must have value between 1 and 50");
        MAX_PAGE
    });
    let wanted = request.get("RegionOptStatusContains").and_then(Value::as_array);
    for index in 0..wanted.map_or(0, Vec::len) {
        violations.one_of(request, &format!("/RegionOptStatusContains/{index}"), &STATUSES);
    }
    violations.check()?;
    let page = Page::new("ListRegions", size, request, fault)
        .ok_or_else(|| ApiError::new("ValidationException", "The specified token is not valid."))?;

    let fits = |status: &str| {
        wanted.is_none_or(|wanted| wanted.is_empty() || wanted.iter().any(|wanted| wanted == status))
    };
    let mut regions: BTreeMap<String, String> = world.changed_regions(&caller.account);
    for (names, status) in [(DEFAULT.as_slice(), "ENABLED_BY_DEFAULT"), (OPT_IN.as_slice(), "DISABLED")] {
        for name in names {
            regions.entry((*name).to_owned()).or_insert_with(|| status.to_owned());
        }
    }
    regions.retain(|_, status| fits(status));
    let shown: Vec<_> = page
        .of(&regions)
        .map(|(name, status)| json!({"RegionName": name, "RegionOptStatus": status}))
        .collect();
    let mut answer = json!({"Regions": shown});
    if let Some(next) = page.next(regions.len()) {
        answer["NextToken"] = next.into();
    }
    Ok(answer)
}
