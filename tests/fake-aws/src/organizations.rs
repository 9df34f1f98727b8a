//! The operations of Organizations that describe the organization and list its contents.

use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::paging::{self, Page};
use crate::reply::{ApiError, Reply};
use crate::validate::is_organizational_unit;
use crate::world::{Member, ORGANIZATION, Organization, ROOT, Unit, World, aws_time};

const MAX_PAGE_SIZE: usize = 20;

/// Handles a call of `operation`. `faults` may affect its paging.
pub(crate) fn handle(
    world: &World,
    account: &str,
    operation: &str,
    request: &Value,
    faults: &[Fault],
) -> Reply {
    let result = world.with_organization(|organization| {
        let organization =
            organization.filter(|organization| organization.has_member(account)).ok_or_else(|| {
                ApiError::new(
                    "AWSOrganizationsNotInUseException",
                    "Your account is not a member of an organization.",
                )
            })?;
        // Every member may call this operation. The others are for administrators.
        if operation == "DescribeOrganization" {
            return Ok(describe(organization));
        }
        if !organization.may_list(account) {
            let message = "You don't have permissions to access this resource.";
            return Err(ApiError::new("AccessDeniedException", message));
        }
        let list = ListRequest { organization, request, faults };
        match operation {
            "ListAccounts" => list.accounts(),
            "ListAccountsForParent" => list.accounts_for_parent(),
            "ListOrganizationalUnitsForParent" => list.units_for_parent(),
            "ListRoots" => list.roots(),
            _ => Err(ApiError::new("UnknownOperationException", "")),
        }
    });
    result.map_or_else(Reply::Error, |body| Reply::Json(body.to_string()))
}

/// The ARN of the resource of a call.
pub(crate) fn resource(world: &World, parent: Option<&str>) -> String {
    world.with_organization(|organization| match (organization, parent) {
        (Some(organization), Some(parent)) => {
            arn(organization, if is_root(parent) { "root" } else { "ou" }, parent)
        }
        _ => "*".to_owned(),
    })
}

/// A request for a list.
struct ListRequest<'a> {
    organization: &'a Organization,
    request: &'a Value,
    faults: &'a [Fault],
}

impl ListRequest<'_> {
    fn accounts(&self) -> Result<Value, ApiError> {
        let members: Vec<_> = self.organization.members.iter().collect();
        self.page("ListAccounts", "Accounts", &members, |member| account(self.organization, member))
    }

    fn accounts_for_parent(&self) -> Result<Value, ApiError> {
        let parent = self.parent()?;
        let members = self.organization.members.iter();
        let members: Vec<_> = members.filter(|member| member.parent == parent).collect();
        let list = format!("ListAccountsForParent/{parent}");
        self.page(&list, "Accounts", &members, |member| account(self.organization, member))
    }

    fn units_for_parent(&self) -> Result<Value, ApiError> {
        let parent = self.parent()?;
        let units: Vec<_> = self.organization.units.iter().filter(|unit| unit.parent == parent).collect();
        let list = format!("ListOrganizationalUnitsForParent/{parent}");
        self.page(&list, "OrganizationalUnits", &units, |unit: &Unit| {
            json!({"Id": unit.id, "Name": unit.id, "Arn": arn(self.organization, "ou", &unit.id)})
        })
    }

    fn roots(&self) -> Result<Value, ApiError> {
        self.page("ListRoots", "Roots", &[ROOT], |root| {
            json!({"Id": root, "Name": "Root", "Arn": arn(self.organization, "root", root), "PolicyTypes": []})
        })
    }

    /// The root or unit in the request's `ParentId`.
    fn parent(&self) -> Result<&str, ApiError> {
        let parent = self
            .request
            .get("ParentId")
            .and_then(Value::as_str)
            .ok_or_else(|| invalid("INPUT_REQUIRED", "You must specify a value for ParentId."))?;
        if !is_root(parent) && !is_organizational_unit(parent) {
            let message = "You provided a value that does not match the required pattern.";
            return Err(invalid("INVALID_PATTERN", message));
        }
        if !self.organization.has_parent(parent) {
            let message = "You specified parent that doesn't exist.";
            return Err(ApiError::new("ParentNotFoundException", message));
        }
        Ok(parent)
    }

    /// The requested page of `all`, as a response with the items under `key`. `to_json` converts an
    /// item. `list` names the list, so that a token of this list is rejected by other lists.
    fn page<T: ?Sized>(
        &self,
        list: &str,
        key: &str,
        all: &[&T],
        to_json: impl Fn(&T) -> Value,
    ) -> Result<Value, ApiError> {
        let size = paging::size(self.request, 1..=MAX_PAGE_SIZE, MAX_PAGE_SIZE).map_err(|value| {
            let reason = if value.as_f64().is_some_and(|number| number > 1.0) { "MAX" } else { "MIN" };
            let message =
                format!("You provided a value for MaxResults that is not between 1 and {MAX_PAGE_SIZE}.");
            invalid(&format!("{reason}_VALUE_EXCEEDED"), &message)
        })?;
        let page = Page::new(list, size, self.request, self.faults).ok_or_else(|| {
            invalid("INVALID_NEXT_TOKEN", "You provided a value for NextToken that is not valid.")
        })?;
        let items: Vec<_> = page.of(all).map(|item| to_json(item)).collect();
        let mut response = json!({key: items});
        if let Some(next) = page.next(all.len()) {
            response["NextToken"] = next.into();
        }
        Ok(response)
    }
}

fn invalid(reason: &str, message: &str) -> ApiError {
    ApiError::new("InvalidInputException", message).fields(json!({"Reason": reason}))
}

fn describe(organization: &Organization) -> Value {
    let management = &organization.management;
    json!({"Organization": {
        "Id": ORGANIZATION,
        "Arn": format!("arn:aws:organizations::{management}:organization/{ORGANIZATION}"),
        "FeatureSet": "ALL",
        "MasterAccountId": management,
        "MasterAccountArn": arn(organization, "account", management),
        "MasterAccountEmail": email(management),
        "AvailablePolicyTypes": [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}],
    }})
}

/// An account as an item of a list. Fields without a value are left out.
fn account(organization: &Organization, member: &Member) -> Value {
    let mut item = Map::new();
    let mut put = |key: &str, value: Value| {
        item.insert(key.to_owned(), value);
    };
    let invited = member.id == organization.management;
    put("Id", member.id.clone().into());
    put("Arn", arn(organization, "account", &member.id).into());
    put("Email", email(&member.id).into());
    put("Name", member.name.clone().into());
    put("JoinedMethod", if invited { "INVITED" } else { "CREATED" }.into());
    put("JoinedTimestamp", aws_time(member.joined));
    if organization.reports_paths {
        put("Paths", json!([organization.path(member)]));
    }
    if let Some(state) = &member.state {
        put("State", state.clone().into());
    }
    if let Some(status) = &member.status {
        put("Status", status.clone().into());
    }
    Value::Object(item)
}

fn arn(organization: &Organization, kind: &str, id: &str) -> String {
    format!("arn:aws:organizations::{}:{kind}/{ORGANIZATION}/{id}", organization.management)
}

fn email(account: &str) -> String {
    format!("{account}@example.com")
}

fn is_root(id: &str) -> bool {
    id.strip_prefix("r-").is_some_and(|rest| {
        (4..=32).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}
