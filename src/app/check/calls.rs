//! How many calls to AWS a configuration leads to, if all of them succeed.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use crate::aws::ROLE_RENEWAL_INTERVAL;
use crate::config::Config;
use crate::discovery::{AccountSources, ConfiguredAccount, Organization};
use crate::fleet::{Access, Role, Shard, Target};

/// How many types of syncs each collection lists. Each list of up to 50 syncs is one call.
const LISTS_PER_COLLECTION: f64 = 2.0;

/// How many accounts AWS lists in one call.
const ACCOUNTS_PER_PAGE: f64 = 20.0;

const LIST_SYNCS: &str = "ssm:ListResourceDataSync";
const LIST_NODES: &str = "ssm:DescribeInstanceInformation";
const ASSUME_ROLE: &str = "sts:AssumeRole";
pub(super) const GET_IDENTITY: &str = "sts:GetCallerIdentity";
const LIST_REGIONS: &str = "account:ListRegions";

/// Calls per hour.
#[derive(Debug, PartialEq)]
pub(super) struct ApiCalls {
    /// Those for the known targets, the listed accounts, and the organization as such.
    pub(super) certain: Vec<OperationCalls>,
    /// Those for [`MEMBERS`] accounts of an organization. Empty without an organization.
    pub(super) members: Vec<OperationCalls>,
    pub(super) list_syncs_per_target: f64,
    /// How many accounts have no role, so that `sts:GetCallerIdentity` is called for their credentials.
    pub(super) identified_accounts: usize,
    looks_up_nodes: bool,
}

/// For how many accounts of an organization calls are told.
pub(super) const MEMBERS: usize = 100;

/// The calls of one operation per hour.
#[derive(Debug, PartialEq)]
pub(super) struct OperationCalls {
    /// As IAM names it.
    pub(super) operation: &'static str,
    pub(super) number: f64,
}

impl ApiCalls {
    /// `targets` are the known targets of the shard.
    pub(super) fn new(config: &Config, sources: &AccountSources, targets: &[&Target], shard: Shard) -> Self {
        let AccountSources { configured, organization, refresh_interval, .. } = sources;
        let is_used = |entry: &&ConfiguredAccount| {
            let target = |region| Target { account: entry.account.clone(), region };
            let mut named = entry.regions.named.iter().cloned();
            entry.regions.needs_discovery() || named.any(|region| shard.owns(&target(region)))
        };
        let accesses = configured.iter().filter(is_used).map(|entry| &entry.account.access);
        let with_wildcards = configured.iter().filter(|entry| entry.regions.needs_discovery()).count();
        let intermediate = organization.as_ref().map(|organization| Access {
            profile: organization.member_access.profile.clone(),
            roles: organization.member_access.intermediate_roles.clone(),
        });
        let administrator = organization.as_ref().map(|organization| &organization.administrator.access);
        let sessions = role_sessions(accesses.clone().chain(administrator).chain(&intermediate));
        let per_target = LISTS_PER_COLLECTION * per_hour(config.interval);
        let mut certain = vec![
            OperationCalls { operation: LIST_SYNCS, number: count(targets.len()) * per_target },
            OperationCalls {
                operation: LIST_NODES,
                number: targets.iter().map(|target| lookups(target.account.managed_nodes_interval)).sum(),
            },
            OperationCalls {
                operation: ASSUME_ROLE,
                number: count(sessions) * per_hour(ROLE_RENEWAL_INTERVAL),
            },
            OperationCalls {
                operation: LIST_REGIONS,
                number: count(with_wildcards) * per_hour(*refresh_interval),
            },
        ];
        certain.extend(organization.iter().flat_map(unit_calls));
        let members = organization
            .as_ref()
            .map(|organization| member_calls(organization, per_target, *refresh_interval, shard));
        Self {
            certain: without_zeros(certain),
            members: without_zeros(members.unwrap_or_default()),
            list_syncs_per_target: per_target,
            identified_accounts: accesses.filter(|access| access.roles.is_empty()).count(),
            looks_up_nodes: sources.looks_up_managed_nodes(),
        }
    }

    /// The operations that are called.
    pub(super) fn operations(&self) -> BTreeSet<&'static str> {
        let counted = self.certain.iter().chain(&self.members).map(|calls| calls.operation);
        let identity = (self.identified_accounts > 0).then_some(GET_IDENTITY);
        let nodes = self.looks_up_nodes.then_some(LIST_NODES);
        counted.chain([LIST_SYNCS]).chain(nodes).chain(identity).collect()
    }
}

/// The calls that list the organizational units whose accounts are polled. Each is listed by itself.
fn unit_calls(organization: &Organization) -> [OperationCalls; 2] {
    let number = count(organization.units.len()) * per_hour(organization.refresh_interval);
    ["organizations:ListAccountsForParent", "organizations:ListOrganizationalUnitsForParent"]
        .map(|operation| OperationCalls { operation, number })
}

/// The calls for [`MEMBERS`] accounts, in all regions that are named, or in one if only patterns select them.
fn member_calls(
    organization: &Organization,
    list_syncs_per_target: f64,
    refresh_interval: Duration,
    shard: Shard,
) -> Vec<OperationCalls> {
    let members = count(MEMBERS);
    let needs_regions = organization.regions.needs_discovery();
    let targets = members * count(member_regions(organization)) / f64::from(shard.total());
    // Each shard lists the enabled regions of all accounts.
    let sessions = if needs_regions { members } else { targets.min(members) };
    let pages = if organization.units.is_empty() { members / ACCOUNTS_PER_PAGE } else { 0.0 };
    vec![
        OperationCalls { operation: LIST_SYNCS, number: targets * list_syncs_per_target },
        OperationCalls {
            operation: LIST_NODES,
            number: targets * lookups(organization.member_access.managed_nodes_interval),
        },
        OperationCalls { operation: ASSUME_ROLE, number: sessions * per_hour(ROLE_RENEWAL_INTERVAL) },
        OperationCalls {
            operation: "organizations:ListAccounts",
            number: pages * per_hour(organization.refresh_interval),
        },
        OperationCalls {
            operation: LIST_REGIONS,
            number: if needs_regions { members * per_hour(refresh_interval) } else { 0.0 },
        },
    ]
}

/// In how many regions each account of the organization is certainly polled.
pub(super) fn member_regions(organization: &Organization) -> usize {
    organization.regions.named.len().max(1)
}

fn without_zeros(calls: Vec<OperationCalls>) -> Vec<OperationCalls> {
    calls.into_iter().filter(|calls| calls.number > 0.0).collect()
}

/// The number of different sessions of roles. Chains that begin with the same roles share these.
fn role_sessions<'a>(accesses: impl Iterator<Item = &'a Access>) -> usize {
    let mut sessions: HashSet<(Option<&str>, &[Role])> = HashSet::new();
    for Access { profile, roles } in accesses {
        sessions.extend((1..=roles.len()).map(|length| (profile.as_deref(), &roles[..length])));
    }
    sessions.len()
}

/// The number of managed-node lookups of a target in an hour.
fn lookups(interval: Option<Duration>) -> f64 {
    interval.map(per_hour).unwrap_or_default()
}

fn per_hour(period: Duration) -> f64 {
    3600.0 / period.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "no fleet is that large")]
fn count(number: usize) -> f64 {
    number as f64
}
