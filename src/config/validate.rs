//! Checks the rules that the parsers of the values do not: the minimum interval, empty
//! lists, duplicates and conflicts between keys. Converts the raw values to the types that
//! the other modules use.
//!
//! Rules that depend on the SDK's defaults are checked in [`entries`](super::entries).

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::entries::{AccountEntry, OrganizationEntry, Regions};
use super::error::ConfigError;
use super::key_path::KeyPath;
use super::layers::Layers;
use super::managed_nodes::ManagedNodes;
use super::raw::{RawAccount, RawAws, RawConfig, RawOrganization, RawRole};
use super::scalar::{Secret, Shown};
use super::setting::Setting;
use super::{Config, MIN_INTERVAL, Source};
use super::{expectations, health, managed_nodes};
use crate::aws::{self, AwsSettings, ExchangeObserver};
use crate::discovery::{MemberAccess, Organization};
use crate::file;
use crate::fleet::{
    Access, Account, Narrowing, RegionName, RegionOrPattern, RegionSelection, Role, SessionPolicy,
};
use crate::model::Quota;

/// Validates and converts a raw configuration that was read from `source`.
pub(super) fn validate(raw: RawConfig, layers: &Layers, source: Source) -> Result<Config, ConfigError> {
    let top_level = |key: &str| KeyPath::default().join(key);
    let raw_aws = raw.aws.unwrap_or_default();
    let restrict_sessions = raw_aws.session_policy.as_ref().is_none_or(|enabled| enabled.value);
    let validator = Validator { layers, restrict_sessions };

    let interval = raw.interval.value;
    if interval < MIN_INTERVAL {
        let message = format!("`{interval:?}` is too short; expected at least {MIN_INTERVAL:?}");
        return Err(validator.invalid(&top_level("interval"), message));
    }
    let regions = validator.regions(raw.regions, Regions::Default, &top_level("regions"))?;
    let refresh_interval = raw.refresh_interval.value;
    let aws = validator.aws(raw_aws, &top_level("aws"))?;

    let settings = Setting::root(layers);
    let inherited = Inherited {
        regions,
        refresh_interval,
        managed_nodes: ManagedNodes::new(&raw.managed_nodes, &settings.at("managed_nodes"))?,
    };
    let ValidEntries { accounts, mut organization, managed_nodes } =
        validator.entries(raw.accounts, raw.organization, inherited)?;

    let quota =
        Quota { to_destination: raw.quota.to_destination.value, from_source: raw.quota.from_source.value };
    let mut health = health::policy(raw.health, quota, organization.is_some(), &settings.at("health"))?;
    let context = expectations::Context {
        directory: source.file.as_deref().map_or(Path::new(""), file::directory),
        polled: &expectations::Polled::new(&accounts, organization.as_ref()),
        quota,
    };
    (health.expectations, health.expectation_rules) =
        expectations::expectations(raw.expectations, &settings.at("expectations"), context)?;
    if let Some(entry) = &mut organization {
        entry.organization.tracked_units = health::named_units(&health);
    }
    let metrics = raw.metrics.unwrap_or_default();

    let stale_after = raw.stale_after.value;
    let mut warnings = Vec::new();
    if stale_after < interval {
        warnings.push(
            "`stale_after` is shorter than `interval`, so the syncs of a target are dropped after a single failed collection"
                .to_owned(),
        );
    }
    if aws.endpoint_url.as_deref().is_some_and(aws::is_unencrypted_endpoint) {
        warnings.push(format!("aws.endpoint_url: {}", aws::UNENCRYPTED_ENDPOINT));
    }
    warnings.extend(managed_nodes::warnings(&managed_nodes, interval));
    let has_lookups = managed_nodes.iter().any(|nodes| nodes.lookup_interval().is_some());
    warnings.extend(health::warnings(&health, has_lookups, &settings.at("health")));

    Ok(Config {
        interval,
        timeout: raw.timeout.value,
        concurrency: raw.concurrency.value,
        stale_after,
        ready_after: raw.ready_after.value,
        health: Arc::new(health),
        accounts,
        organization,
        refresh_interval,
        run_labels: Vec::new(),
        narrowing: Narrowing::default(),
        sparse_states: metrics.sparse_states.is_some_and(Shown::into_value),
        disabled_families: Shown::into_values(metrics.disable),
        aws,
        warnings,
        redacted: String::new(),
        document: serde_json::Value::Null,
        source,
    })
}

/// The settings of the top level that entries inherit.
struct Inherited<'a> {
    regions: Regions,
    refresh_interval: Duration,
    managed_nodes: ManagedNodes<'a>,
}

/// The entries of the configuration, checked and converted.
struct ValidEntries<'a> {
    accounts: Vec<AccountEntry>,
    organization: Option<OrganizationEntry>,
    /// The settings of each entry.
    managed_nodes: Vec<ManagedNodes<'a>>,
}

struct Validator<'a> {
    layers: &'a Layers,
    /// Whether sessions get a policy that allows only the calls that the exporter makes.
    restrict_sessions: bool,
}

impl<'a> Validator<'a> {
    fn invalid(&self, path: &KeyPath, message: impl Display) -> ConfigError {
        ConfigError::Invalid { place: self.layers.place(path), message: format!("{path}: {message}") }
    }

    /// The accounts and the organization. Without either, the account of the ambient credentials.
    fn entries(
        &self,
        raw_accounts: Option<Vec<RawAccount>>,
        raw_organization: Option<RawOrganization>,
        inherited: Inherited<'a>,
    ) -> Result<ValidEntries<'a>, ConfigError> {
        let settings = Setting::root(self.layers);
        let top_level = |key: &str| KeyPath::default().join(key);
        let mut managed_nodes = Vec::new();
        let organization = raw_organization
            .map(|mut raw| {
                let setting = settings.at("organization").at("managed_nodes");
                let nodes = inherited.managed_nodes.of_entry(raw.managed_nodes.take(), &setting)?;
                let entry = self.organization(raw, &inherited, &nodes, &top_level("organization"))?;
                managed_nodes.push(nodes);
                Ok(entry)
            })
            .transpose()?;
        let accounts = match raw_accounts {
            None if organization.is_some() => Vec::new(),
            None => {
                managed_nodes.push(inherited.managed_nodes.clone());
                vec![AccountEntry {
                    account: Arc::new(Account {
                        default_region: default_region(&inherited.regions, &[]),
                        managed_nodes_interval: inherited.managed_nodes.lookup_interval(),
                        ..Account::default()
                    }),
                    regions: inherited.regions,
                    place: self.layers.place(&top_level("regions")),
                    path: "regions".to_owned(),
                }]
            }
            Some(accounts) if accounts.is_empty() => {
                let default = match organization {
                    Some(_) => "only the accounts of the organization",
                    None => "the account of the ambient credentials",
                };
                let message =
                    format!("the list is empty; add an account, or remove the key to poll {default}");
                return Err(self.invalid(&top_level("accounts"), message));
            }
            Some(accounts) => accounts
                .into_iter()
                .enumerate()
                .map(|(index, mut raw)| {
                    let setting = settings.at("accounts").at(index).at("managed_nodes");
                    let nodes = inherited.managed_nodes.of_entry(raw.managed_nodes.take(), &setting)?;
                    let entry = self.account(
                        raw,
                        inherited.regions.clone(),
                        &nodes,
                        &top_level("accounts").join(index),
                    )?;
                    managed_nodes.push(nodes);
                    Ok(entry)
                })
                .collect::<Result<_, _>>()?,
        };
        if organization.is_some()
            && let Some(entry) = accounts.iter().find(|entry| entry.account.id.is_none())
        {
            return Err(entry.invalid(
                "the key `id` is missing; when `organization` is set, every account needs an `id`",
            ));
        }
        Ok(ValidEntries { accounts, organization, managed_nodes })
    }

    fn account(
        &self,
        raw: RawAccount,
        inherited: Regions,
        managed_nodes: &ManagedNodes<'_>,
        path: &KeyPath,
    ) -> Result<AccountEntry, ConfigError> {
        let regions = self.regions(raw.regions, inherited, &path.join("regions"))?;
        let mut roles: Vec<Role> = raw.assume_roles.into_iter().map(role).collect();
        if let Some(last) = roles.last_mut().filter(|_| self.restrict_sessions) {
            last.policy = policy_for(&regions, managed_nodes);
        }
        let mut id = raw.id.map(Shown::into_value);
        if let Some(last) = roles.last() {
            // The last role's credentials list the syncs of the account that the role is in.
            let account = last.arn.account();
            if id.as_ref().is_some_and(|id| id != account) {
                let message = format!(
                    "the last of `assume_roles` is a role of the account {account}; use that id, or omit `id`"
                );
                return Err(self.invalid(&path.join("id"), message));
            }
            id = Some(account.clone());
        }
        Ok(AccountEntry {
            account: Arc::new(Account {
                id,
                name: raw.name.map(|name| name.value.0),
                default_region: default_region(&regions, &roles),
                access: Access { profile: raw.profile.map(|profile| profile.value.0), roles },
                managed_nodes_interval: managed_nodes.lookup_interval(),
                organizational_units: None,
                unlisted_units: Vec::new(),
            }),
            regions,
            place: self.layers.place(path),
            path: path.to_string(),
        })
    }

    fn organization(
        &self,
        raw: RawOrganization,
        inherited: &Inherited<'_>,
        managed_nodes: &ManagedNodes<'_>,
        path: &KeyPath,
    ) -> Result<OrganizationEntry, ConfigError> {
        let regions = self.regions(raw.regions, inherited.regions.clone(), &path.join("regions"))?;
        let units = match raw.organizational_units {
            Some(units) if units.is_empty() => {
                let message = "the list is empty; add a unit, or remove the key to poll all accounts of the organization";
                return Err(self.invalid(&path.join("organizational_units"), message));
            }
            units => Shown::into_values(units.unwrap_or_default()),
        };
        let profile = raw.profile.map(|profile| profile.value.0);
        let mut roles: Vec<Role> = raw.assume_roles.into_iter().map(role).collect();
        if let Some(last) = roles.last_mut().filter(|_| self.restrict_sessions) {
            last.policy = SessionPolicy::ListAccounts;
        }
        let intermediate_roles: Vec<Role> = raw.member_assume_roles.into_iter().map(role).collect();
        let member_access = MemberAccess {
            profile: profile.clone(),
            role: raw.member_role.into_value(),
            external_id: raw.external_id.map(Secret::into_value),
            session_name: raw.session_name.map(Shown::into_value).unwrap_or_default(),
            policy: if self.restrict_sessions {
                policy_for(&regions, managed_nodes)
            } else {
                SessionPolicy::None
            },
            managed_nodes_interval: managed_nodes.lookup_interval(),
            default_region: default_region(&regions, &intermediate_roles),
            intermediate_roles,
        };
        let administrator = Arc::new(Account {
            id: roles.last().map(|role| role.arn.account().clone()),
            name: None,
            default_region: default_region(&regions, &roles),
            access: Access { profile, roles },
            managed_nodes_interval: None,
            organizational_units: None,
            unlisted_units: Vec::new(),
        });
        let organization = Organization {
            administrator,
            units,
            // Set by the caller.
            tracked_units: Vec::new(),
            excluded: raw.exclude_accounts.into_iter().map(Shown::into_value).collect(),
            refresh_interval: raw.refresh_interval.map_or(inherited.refresh_interval, Shown::into_value),
            member_access,
            // Set later, by `Config::account_sources`.
            regions: RegionSelection::default(),
        };
        Ok(OrganizationEntry { organization, regions, place: self.layers.place(path) })
    }

    /// The regions that are `listed` at `path`, or the `inherited` ones if there is no
    /// list.
    fn regions(
        &self,
        listed: Option<Vec<Shown<RegionOrPattern>>>,
        inherited: Regions,
        path: &KeyPath,
    ) -> Result<Regions, ConfigError> {
        let Some(entries) = listed else { return Ok(inherited) };
        if entries.is_empty() {
            let default = if path.segments().len() > 1 {
                "the regions of the top-level key `regions`"
            } else {
                "the default region of the credentials"
            };
            let message = format!("the list is empty; add a region, or remove the key to poll {default}");
            return Err(self.invalid(path, message));
        }
        let entries = Shown::into_values(entries);
        for (index, entry) in entries.iter().enumerate() {
            if entries[..index].contains(entry) {
                return Err(self.invalid(
                    &path.join(index),
                    format!("`{entry}` is listed twice; remove one of the two"),
                ));
            }
        }
        Ok(Regions::Selected(entries.into_iter().collect()))
    }

    fn aws(&self, raw: RawAws, path: &KeyPath) -> Result<AwsSettings, ConfigError> {
        let settings = AwsSettings {
            use_fips: raw.use_fips.is_some_and(Shown::into_value),
            use_dualstack: raw.use_dualstack.is_some_and(Shown::into_value),
            endpoint_url: raw.endpoint_url.map(|url| url.value.0),
            sts_region: raw.sts_region.map(Shown::into_value),
            shared_config_file: raw.shared_config_file.map(Shown::into_value),
            shared_credentials_file: raw.shared_credentials_file.map(Shown::into_value),
            // Not settings of the exporter.
            outbound: Arc::default(),
            recording: None,
            exchange_observer: ExchangeObserver::default(),
        };
        for (key, is_enabled) in [("use_fips", settings.use_fips), ("use_dualstack", settings.use_dualstack)]
        {
            if is_enabled && settings.endpoint_url.is_some() {
                let message =
                    "conflicts with `endpoint_url`, which replaces AWS's endpoints; remove one of the two";
                return Err(self.invalid(&path.join(key), message));
            }
        }
        Ok(settings)
    }
}

/// The [`Account::default_region`] of an account with these regions and roles: a region of
/// its partition, in which to request credentials. `None` if neither the regions nor the
/// roles determine the partition.
fn default_region(regions: &Regions, roles: &[Role]) -> Option<RegionName> {
    let named: &[RegionName] = match regions {
        Regions::Selected(regions) => &regions.named,
        Regions::Default => &[],
    };
    let partition_of_regions = named.first().map(RegionName::partition);
    let partition = partition_of_regions.or_else(|| roles.first().map(|role| role.arn.partition()))?;
    // Only a region that every account has enabled will do, because an account rejects
    // credentials from the STS of a region that it has not enabled.
    let always_enabled = named.iter().find(|region| region.is_always_enabled()).cloned();
    Some(always_enabled.unwrap_or_else(|| partition.default_region()))
}

/// The policy that restricts a session to the calls needed to poll `regions`.
fn policy_for(regions: &Regions, managed_nodes: &ManagedNodes<'_>) -> SessionPolicy {
    let needs_discovery = match regions {
        Regions::Selected(regions) => regions.needs_discovery(),
        Regions::Default => false,
    };
    SessionPolicy::Poll { regions: needs_discovery, managed_nodes: managed_nodes.lookup_interval().is_some() }
}

fn role(raw: RawRole) -> Role {
    Role {
        arn: raw.arn.into_value(),
        external_id: raw.external_id.map(Secret::into_value),
        session_name: raw.session_name.map(Shown::into_value).unwrap_or_default(),
        policy: SessionPolicy::None,
    }
}
