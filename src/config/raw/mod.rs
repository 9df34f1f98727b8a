//! The keys of the configuration, how their values are parsed, and how they are shown on
//! the status page. [`validate`](super::validate) checks the remaining rules, such as those that
//! involve several keys.
//!
//! The comment of a field describes its key in the JSON Schema and in the configuration with all defaults.

mod alternatives;
mod expectations;
mod health;
mod managed_nodes;
mod optional_list;
mod patterns;
mod request_shapes;
mod shapes;
mod values;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

pub(super) use alternatives::{AnyOf, List, Nullable};
pub(super) use expectations::{
    Preset, RawExpectation, RawOrganizationalUnit, RawOrganizationsSource, RawRequest, RawS3Destination,
    RawSyncSource,
};
pub(super) use health::{Limit, RawHealth, RawHealthRule};
pub(super) use managed_nodes::{RawManagedNodes, RawManagedNodesOfEntry};
pub(super) use optional_list::OptionalList;
pub(super) use values::MAX_DURATION;
use values::{EndpointUrl, MAX_NAME, Name, ProfileName};

use super::mapping::mappings;
use super::scalar::{Secret, Shown};
use super::shape::in_order;
use crate::expectations::MAX_EXPECTATIONS;
use crate::fleet::{
    AccountId, ExternalId, MemberRoleTemplate, OrganizationalUnitId, RegionName, RegionOrPattern, RoleArn,
    SessionName,
};
use crate::metrics::FamilyName;

#[derive(Debug, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Configuration of ssm-sync-exporter", transform = in_order::<Self>)]
pub(super) struct RawConfig {
    /// Time from one collection of a target to its next; at least `1s`.
    pub(super) interval: Shown<Duration>,
    /// Limit on one collection, retries included.
    pub(super) timeout: Shown<Duration>,
    /// Number of collections that may run in parallel. The same limit applies to discovery lookups.
    pub(super) concurrency: Shown<NonZeroUsize>,
    /// How long the last good syncs of a failing target are still served.
    pub(super) stale_after: Shown<Duration>,
    /// When `/-/ready` stops waiting for slow targets; also the deadline of `once`.
    pub(super) ready_after: Shown<Duration>,
    /// Regions to poll, by name or by a wildcard such as `*` or `eu-*`, which selects from the regions that
    /// the account has enabled and needs `account:ListRegions`. Without this key, the default region of each
    /// account's credentials is polled.
    #[serde(
        default,
        deserialize_with = "non_null_list",
        serialize_with = "on_one_line",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Vec<Shown<RegionOrPattern>>", extend("minItems" = 1, "uniqueItems" = true))]
    #[schemars(example = ["eu-west-1", "us-east-1"])]
    pub(super) regions: Option<Vec<Shown<RegionOrPattern>>>,
    /// How often the enabled regions of each account, and the accounts of the organization, are looked up
    /// again.
    pub(super) refresh_interval: Shown<Duration>,
    /// How many syncs of each type AWS allows per account and region.
    pub(super) quota: RawQuota,
    /// When a sync counts as stale or stuck. Metrics, status page, `once`, log and alerts follow these
    /// limits.
    pub(super) health: RawHealth,
    /// Whether to look up which targets have managed nodes: EC2 instances and other machines with the SSM Agent.
    pub(super) managed_nodes: RawManagedNodes,
    /// Which syncs should exist, and how they should be set up. Each target that an expectation selects is
    /// compared with it.
    #[serde(default, deserialize_with = "non_null_list", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<RawExpectation>", extend("minItems" = 1, "maxItems" = MAX_EXPECTATIONS))]
    pub(super) expectations: Option<Vec<RawExpectation>>,
    /// Accounts to poll. Without this key, the account of the ambient AWS credentials is polled, or with
    /// `organization` only the organization's accounts.
    #[serde(default, deserialize_with = "non_null_list", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<RawAccount>", extend("minItems" = 1))]
    pub(super) accounts: Option<Vec<RawAccount>>,
    /// Discovers the accounts of an organization, instead of or in addition to listing them. An entry in
    /// `accounts` overrides the organization's.
    #[serde(default, deserialize_with = "non_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawOrganization")]
    pub(super) organization: Option<RawOrganization>,
    /// Which metrics are exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metrics: Option<RawMetrics>,
    /// How AWS is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) aws: Option<RawAws>,
}

/// The settings that have a default, as they would be written in the file.
pub(super) const DEFAULTS: &str = "
interval: 5m
timeout: 1m
concurrency: 64
stale_after: 30m
ready_after: 10m
refresh_interval: 1h
quota: { SyncToDestination: 5, SyncFromSource: 5 }
health: { max_success_age: 48h, max_run_time: 2h }
managed_nodes: { enabled: false, interval: 6h }
";

#[derive(Debug, Default, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self", default)]
#[schemars(title = "Metrics", transform = in_order::<Self>)]
pub(super) struct RawMetrics {
    /// Metric families to leave out, which saves memory and series. The alerts need the families that they
    /// name.
    #[serde(serialize_with = "on_one_line", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []), example = ["aws_ssm_resource_data_sync_created_timestamp_seconds"])]
    pub(super) disable: Vec<Shown<FamilyName>>,
    /// Leaves out the zeros of the families with a label for a state, such as `status`, so that only the
    /// value that holds is exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub(super) sparse_states: Option<Shown<bool>>,
}

#[derive(Debug, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(title = "Quota", transform = in_order::<Self>)]
pub(super) struct RawQuota {
    /// How many syncs to a bucket.
    #[serde(rename = "SyncToDestination")]
    pub(super) to_destination: Shown<u32>,
    /// How many syncs from other accounts and regions.
    #[serde(rename = "SyncFromSource")]
    pub(super) from_source: Shown<u32>,
}

#[derive(Debug, Default, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self", default)]
#[schemars(title = "Account", transform = in_order::<Self>)]
pub(super) struct RawAccount {
    /// Account id. Together with `assume_roles`, it must be the account of the last role. Without a role, it
    /// is checked against AWS. Required beside `organization` if there is no role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Shown<AccountId>>,
    /// Exported as the label `account_name`. Without this key, the organization's name for the account if it
    /// is a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Shown<Name>>,
    /// Profile of the shared AWS configuration whose credentials are used. Without this key, the SDK's
    /// default chain provides them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) profile: Option<Shown<ProfileName>>,
    /// One role, or a chain of roles to assume in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub(super) assume_roles: Vec<RawRole>,
    /// Regions to poll in this account, instead of those of the top level.
    #[serde(
        deserialize_with = "non_null_list",
        serialize_with = "on_one_line",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Vec<Shown<RegionOrPattern>>", extend("minItems" = 1, "uniqueItems" = true))]
    #[schemars(example = ["eu-west-1"])]
    pub(super) regions: Option<Vec<Shown<RegionOrPattern>>>,
    /// Managed-node lookups in this account. Keys that are left out are those of the top level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) managed_nodes: Option<RawManagedNodesOfEntry>,
}

#[derive(Debug, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(title = "Organization", transform = in_order::<Self>)]
pub(super) struct RawOrganization {
    /// Profile whose credentials list the organization and assume the member role. Without this key, the
    /// SDK's default chain provides them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) profile: Option<Shown<ProfileName>>,
    /// Roles that lead to the management account or a delegated administrator, to list the accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub(super) assume_roles: Vec<RawRole>,
    /// The role to assume in each account. It must contain `{account_id}`; `{partition}` is replaced as well.
    /// `{{` and `}}` stand for braces in the path of the role.
    pub(super) member_role: Shown<MemberRoleTemplate>,
    /// Roles to assume before the member role. Without them, the profile or the ambient credentials assume
    /// the member role; those of `assume_roles` never do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub(super) member_assume_roles: Vec<RawRole>,
    /// External id of the member role. A secret: it never appears in logs, errors, metrics or on the status
    /// page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) external_id: Option<Secret<ExternalId>>,
    /// Session name of the member role; see `accounts[].assume_roles[].session_name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = SessionName::DEFAULT))]
    pub(super) session_name: Option<Shown<SessionName>>,
    /// Polls only the accounts of these units and of all units below them.
    #[serde(
        default,
        deserialize_with = "non_null_list",
        serialize_with = "on_one_line",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Vec<Shown<OrganizationalUnitId>>", extend("minItems" = 1))]
    pub(super) organizational_units: Option<Vec<Shown<OrganizationalUnitId>>>,
    /// Accounts not to poll.
    #[serde(default, serialize_with = "on_one_line", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []), example = ["999988887777"])]
    pub(super) exclude_accounts: Vec<Shown<AccountId>>,
    /// How often to list the accounts again, instead of the top level's `refresh_interval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"1h")]
    pub(super) refresh_interval: Option<Shown<Duration>>,
    /// Regions to poll in the organization's accounts, instead of those of the top level; all in one
    /// partition.
    #[serde(
        default,
        deserialize_with = "non_null_list",
        serialize_with = "on_one_line",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Vec<Shown<RegionOrPattern>>", extend("minItems" = 1, "uniqueItems" = true))]
    #[schemars(example = ["eu-west-1"])]
    pub(super) regions: Option<Vec<Shown<RegionOrPattern>>>,
    /// Managed-node lookups in the organization's accounts. Keys that are left out are those of the top level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) managed_nodes: Option<RawManagedNodesOfEntry>,
}

#[derive(Debug, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(title = "Role", transform = in_order::<Self>)]
pub(super) struct RawRole {
    /// ARN of the role to assume.
    pub(super) arn: Shown<RoleArn>,
    /// External id that the role's trust policy requires. A secret: it never appears in logs, errors, metrics
    /// or on the status page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) external_id: Option<Secret<ExternalId>>,
    /// Name of the role session. `{account_id}` is replaced by the role's account, `{region}` by the region
    /// whose STS is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = SessionName::DEFAULT))]
    pub(super) session_name: Option<Shown<SessionName>>,
}

#[derive(Debug, Default, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self", default)]
#[schemars(title = "AWS", transform = in_order::<Self>)]
pub(super) struct RawAws {
    /// Uses FIPS endpoints, which SSM has only in some regions of the United States and Canada. Cannot be
    /// combined with `endpoint_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub(super) use_fips: Option<Shown<bool>>,
    /// Uses dual-stack endpoints (IPv4 and IPv6). Cannot be combined with `endpoint_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub(super) use_dualstack: Option<Shown<bool>>,
    /// Restricts the sessions of roles to the calls that the exporter makes, whatever else the roles allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub(super) session_policy: Option<Shown<bool>>,
    /// Region whose STS is called, for accounts of its partition. Without this key, the region of the
    /// credentials or the first of `regions`, if every account has it enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sts_region: Option<Shown<RegionName>>,
    /// Where to send the calls to all services instead of AWS's own endpoints: `http://host:port` or
    /// `https://host`, without user and query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) endpoint_url: Option<Shown<EndpointUrl>>,
    /// File with the AWS profiles, instead of that of `AWS_CONFIG_FILE`; must be readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/etc/ssm-sync-exporter/aws-config")]
    pub(super) shared_config_file: Option<Shown<PathBuf>>,
    /// File with the profiles' credentials, instead of that of `AWS_SHARED_CREDENTIALS_FILE`; must be readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/etc/ssm-sync-exporter/aws-credentials")]
    pub(super) shared_credentials_file: Option<Shown<PathBuf>>,
}

mappings! {
    shown: RawMetrics, RawQuota, RawAccount, RawOrganization, RawRole, RawAws,
}

/// Deserializes an optional list but rejects null: a list whose entries are all commented
/// out must not become the default.
pub(super) fn non_null_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    Vec::deserialize(deserializer).map(Some)
}

/// Deserializes an optional mapping but rejects null: a mapping whose keys are all
/// commented out must not count as absent.
pub(super) fn non_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Deserializes a mapping; null, which is a mapping whose keys are all commented out,
/// counts as empty.
pub(super) fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Serializes a list as `[a, b]`.
fn on_one_line<S: Serializer, T: Serialize>(list: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serde_saphyr::FlowSeq(list).serialize(serializer)
}
