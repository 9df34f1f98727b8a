//! The control API, for tests in other languages.
//!
//! - `PUT /_fake/faults` replaces all faults with a JSON list of [`FaultRule`]s.
//! - `PUT /_fake/items` adds a JSON list of [`FixedSync`]s.
//! - `PUT /_fake/nodes` sets managed nodes from a JSON list of [`NodesOfRegion`]s.
//! - `PUT /_fake/policies` applies a JSON list of [`Setting`]s.
//! - `GET /_fake/calls` returns the number of calls of each operation by account and region.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use hyper::{Method, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::fault::FaultRule;
use crate::reply;
use crate::world::{Identity, OrganizationPolicyType, SyncKind, World};

/// A sync that is listed exactly as `item`, see [`World::put_item`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FixedSync {
    account: String,
    region: String,
    sync_type: String,
    item: Value,
}

/// The managed nodes of an account in a region. Either `number` or `items`, see
/// [`World::set_managed_nodes`] and [`World::set_managed_node_items`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodesOfRegion {
    account: String,
    region: String,
    number: Option<u32>,
    items: Option<Vec<Value>>,
}

/// A setting of policies.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Setting {
    /// See [`World::set_policies`]. Without `role`, the policies of the user.
    Identity { account: String, role: Option<String>, policies: BTreeMap<String, Value> },
    /// See [`World::set_trust_policy`].
    Trust { account: String, role: String, policy: Value },
    /// See [`World::set_permissions_boundary`]. Without `role`, that of the user.
    Boundary { account: String, role: Option<String>, name: String, policy: Option<Value> },
    /// See [`World::attach_policy`] and, without `policy`, [`World::detach_policy`].
    Organization {
        target: String,
        #[serde(rename = "type")]
        policy_type: OrganizationPolicyType,
        id: String,
        policy: Option<Value>,
        #[serde(default = "yes")]
        named: bool,
    },
    /// See [`World::set_organization_policy`].
    OrganizationResource { policy: Option<Value> },
    /// See [`World::set_vpc_endpoint_policy`].
    VpcEndpoint { service: String, region: Option<String>, policy: Option<Value> },
}

fn yes() -> bool {
    true
}

/// Handles a request to a path below `/_fake/`.
pub(crate) fn handle(world: &World, method: &Method, path: &str, body: &[u8]) -> Response<Bytes> {
    let result = match (method, path) {
        (&Method::PUT, "/_fake/faults") => parse(body).map(|rules: Vec<FaultRule>| world.set_faults(rules)),
        (&Method::PUT, "/_fake/items") => parse(body).and_then(|items| each(items, |item| put(world, item))),
        (&Method::PUT, "/_fake/nodes") => {
            parse(body).and_then(|regions| each(regions, |region| set_nodes(world, region)))
        }
        (&Method::PUT, "/_fake/policies") => {
            parse(body).and_then(|settings| each(settings, |setting| apply(world, setting)))
        }
        (&Method::GET, "/_fake/calls") => return reply::plain(200, world.calls_as_json().to_string()),
        _ => return reply::plain(404, "not found\n"),
    };
    match result {
        Ok(()) => reply::plain(204, ""),
        Err(error) => reply::plain(400, format!("{error}\n")),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// Calls `work` with each item until it fails.
fn each<T>(items: Vec<T>, work: impl FnMut(T) -> Result<(), String>) -> Result<(), String> {
    items.into_iter().try_for_each(work)
}

fn put(world: &World, FixedSync { account, region, sync_type, item }: FixedSync) -> Result<(), String> {
    let kind = SyncKind::from_name(&sync_type).ok_or_else(|| format!("unknown sync type {sync_type}"))?;
    world.put_item(&account, &region, kind, item);
    Ok(())
}

fn set_nodes(world: &World, nodes: NodesOfRegion) -> Result<(), String> {
    let NodesOfRegion { account, region, number, items } = nodes;
    match (number, items) {
        (Some(number), None) => world.set_managed_nodes(&account, &region, number),
        (None, Some(items)) => world.set_managed_node_items(&account, &region, items),
        _ => return Err(format!("the nodes of {account} in {region} need either `number` or `items`")),
    }
    Ok(())
}

fn apply(world: &World, setting: Setting) -> Result<(), String> {
    let identity = |role: Option<String>| role.map_or(Identity::User, Identity::Role);
    let text = |policy: Option<Value>| policy.map(|policy| policy.to_string());
    let needs_organization =
        matches!(setting, Setting::Organization { .. } | Setting::OrganizationResource { .. });
    if needs_organization && world.with_organization(|organization| organization.is_none()) {
        return Err("there is no organization".to_owned());
    }
    match setting {
        Setting::Identity { account, role, policies } => {
            let policies: Vec<_> = policies.iter().map(|(name, policy)| (name, policy.to_string())).collect();
            let policies: Vec<_> =
                policies.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            world.set_policies(&account, &identity(role), &policies)
        }
        Setting::Trust { account, role, policy } => {
            world.set_trust_policy(&account, &role, &policy.to_string())
        }
        Setting::Boundary { account, role, name, policy } => {
            let policy = text(policy);
            let boundary = policy.as_ref().map(|text| (name.as_str(), text.as_str()));
            world.set_permissions_boundary(&account, &identity(role), boundary)
        }
        Setting::Organization { target, policy_type, id, policy: Some(policy), named } => {
            world.attach_policy(&target, policy_type, &id, &policy.to_string(), named)
        }
        Setting::Organization { target, policy_type, id, policy: None, named: _ } => {
            world.detach_policy(&target, policy_type, &id);
            Ok(())
        }
        Setting::OrganizationResource { policy } => world.set_organization_policy(text(policy).as_deref()),
        Setting::VpcEndpoint { service, region, policy } => {
            world.set_vpc_endpoint_policy(&service, region.as_deref(), text(policy).as_deref())
        }
    }
}
