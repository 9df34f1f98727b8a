//! What values of the configuration have to do with each other.

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::entries::{AccountEntry, Entries, OrganizationEntry, Regions};
use super::error::ConfigError;
use super::key_path::KeyPath;
use super::layers::Layers;
use super::raw::{RawAccount, RawAws, RawConfig, RawOrganization, RawRole, Text};
use super::{Config, Source};
use crate::aws::AwsSettings;
use crate::discovery::{MemberAccess, Organization};
use crate::fleet::{Access, Account, RegionName, RegionOrPattern, RegionSelection, Role, SessionPolicy};
use crate::model::Quota;

const DEFAULT_INTERVAL: Duration = Duration::from_mins(5);
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
const DEFAULT_CONCURRENCY: NonZeroUsize = NonZeroUsize::new(64).unwrap();
const DEFAULT_STALE_AFTER: Duration = Duration::from_mins(30);
const DEFAULT_READY_AFTER: Duration = Duration::from_mins(10);
const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_hours(1);

/// Below this we would only ever run into AWS's rate limits.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Checks what is written in `source`, which `layers` tell the places of.
pub(super) fn validate(raw: RawConfig, layers: &Layers, source: Source) -> Result<Config, ConfigError> {
    let key = |name: &str| KeyPath::default().join(name);
    let narrow = raw.aws.session_policy.as_ref().is_none_or(|Text(on)| *on);
    let check = Check { layers, narrow };

    let interval = duration(raw.interval, DEFAULT_INTERVAL);
    if interval < MIN_INTERVAL {
        return Err(check.invalid(&key("interval"), "has to be at least 1s"));
    }
    let regions = check.regions(raw.regions, Regions::Default, &key("regions"))?;
    let refresh_interval = duration(raw.refresh_interval, DEFAULT_REFRESH_INTERVAL);
    let aws = check.aws(raw.aws, &key("aws"))?;

    let organization = raw
        .organization
        .map(|raw| check.organization(raw, regions.clone(), refresh_interval, &key("organization")))
        .transpose()?;
    let accounts = match raw.accounts {
        // The accounts are those of the organization then.
        None if organization.is_some() => Vec::new(),
        None => vec![AccountEntry {
            account: Arc::new(Account { default_region: home(&regions, &[]), ..Account::default() }),
            regions,
            place: layers.place(&key("regions")),
            key: "regions".to_owned(),
        }],
        Some(accounts) if accounts.is_empty() => {
            let without = match organization {
                Some(_) => "only those of the organization are polled",
                None => "the account of the ambient credentials is polled",
            };
            return Err(
                check.invalid(&key("accounts"), format!("names no account; without the key, {without}"))
            );
        }
        Some(accounts) => accounts
            .into_iter()
            .enumerate()
            .map(|(index, account)| check.account(account, regions.clone(), &key("accounts").join(index)))
            .collect::<Result<_, _>>()?,
    };
    if organization.is_some()
        && let Some(unknown) = accounts.iter().find(|entry| entry.account.id.is_none())
    {
        return Err(unknown
            .invalid("has to have an `id` beside `organization`, to be told from the accounts of that"));
    }
    // What only the SDK can tell is looked at again when it is known; all else
    // can be said now.
    let entries = Entries { accounts: &accounts, organization: organization.as_ref() };
    entries.checked(|_| None, aws.endpoint_kind())?;

    let stale_after = duration(raw.stale_after, DEFAULT_STALE_AFTER);
    let mut warnings = Vec::new();
    if stale_after < interval {
        warnings.push(
            "stale_after is shorter than interval: one failed collection takes a target's syncs away"
                .to_owned(),
        );
    }

    Ok(Config {
        interval,
        timeout: duration(raw.timeout, DEFAULT_TIMEOUT),
        concurrency: raw.concurrency.map_or(DEFAULT_CONCURRENCY, |Text(number)| number),
        stale_after,
        ready_after: duration(raw.ready_after, DEFAULT_READY_AFTER),
        quota: Quota {
            to_destination: raw
                .quota
                .to_destination
                .map_or(Quota::default().to_destination, |Text(number)| number),
            from_source: raw.quota.from_source.map_or(Quota::default().from_source, |Text(number)| number),
        },
        accounts,
        organization,
        refresh_interval,
        disabled_families: raw.metrics.disable.into_iter().map(|Text(name)| name).collect(),
        aws,
        warnings,
        redacted: String::new(),
        source,
    })
}

/// What checking needs to know at every place.
struct Check<'a> {
    layers: &'a Layers,
    /// Whether sessions of roles are narrowed down.
    narrow: bool,
}

impl Check<'_> {
    fn invalid(&self, path: &KeyPath, message: impl Display) -> ConfigError {
        ConfigError::Invalid { place: self.layers.place(path), message: format!("{path}: {message}") }
    }

    fn account(
        &self,
        raw: RawAccount,
        inherited: Regions,
        path: &KeyPath,
    ) -> Result<AccountEntry, ConfigError> {
        let regions = self.regions(raw.regions, inherited, &path.join("regions"))?;
        let mut roles: Vec<Role> = raw.assume_roles.into_iter().map(role).collect();
        if let Some(last) = roles.last_mut().filter(|_| self.narrow) {
            last.policy = policy_for(&regions);
        }
        let mut id = raw.id.map(|Text(id)| id);
        if let Some(last) = roles.last() {
            // The last role's credentials are those that list, so the account is
            // the role's: no need to ask AWS, and no other can be right.
            let account = last.arn.account();
            if id.as_ref().is_some_and(|id| id != account) {
                let message = format!("the last role belongs to the account {account}");
                return Err(self.invalid(&path.join("id"), message));
            }
            id = Some(account.clone());
        }
        Ok(AccountEntry {
            account: Arc::new(Account {
                id,
                name: raw.name.map(|Text(name)| name.0),
                default_region: home(&regions, &roles),
                access: Access { profile: raw.profile.map(|Text(profile)| profile.0), roles },
            }),
            regions,
            place: self.layers.place(path),
            key: path.to_string(),
        })
    }

    fn organization(
        &self,
        raw: RawOrganization,
        inherited: Regions,
        refresh_interval: Duration,
        path: &KeyPath,
    ) -> Result<OrganizationEntry, ConfigError> {
        let regions = self.regions(raw.regions, inherited, &path.join("regions"))?;
        let units = match raw.organizational_units {
            Some(units) if units.is_empty() => {
                let message = "names no unit; without the key, all accounts of the organization are polled";
                return Err(self.invalid(&path.join("organizational_units"), message));
            }
            units => units.unwrap_or_default().into_iter().map(|Text(unit)| unit).collect(),
        };
        let profile = raw.profile.map(|Text(profile)| profile.0);
        let mut roles: Vec<Role> = raw.assume_roles.into_iter().map(role).collect();
        if let Some(last) = roles.last_mut().filter(|_| self.narrow) {
            last.policy = SessionPolicy::ListAccounts;
        }
        let intermediate_roles: Vec<Role> = raw.member_assume_roles.into_iter().map(role).collect();
        let member_access = MemberAccess {
            profile: profile.clone(),
            role: raw.member_role.0,
            external_id: raw.external_id.map(|Text(id)| id),
            session_name: raw.session_name.map(|Text(name)| name).unwrap_or_default(),
            policy: if self.narrow { policy_for(&regions) } else { SessionPolicy::None },
            home: home(&regions, &intermediate_roles),
            intermediate_roles,
        };
        let administrator = Arc::new(Account {
            id: roles.last().map(|role| role.arn.account().clone()),
            name: None,
            default_region: home(&regions, &roles),
            access: Access { profile, roles },
        });
        let organization = Organization {
            administrator,
            units,
            excluded: raw.exclude_accounts.into_iter().map(|Text(id)| id).collect(),
            refresh_interval: duration(raw.refresh_interval, refresh_interval),
            member_access,
            // Those of the credentials are not known yet.
            regions: RegionSelection::default(),
        };
        Ok(OrganizationEntry { organization, regions, place: self.layers.place(path) })
    }

    /// The regions that are listed at `path`; without a list, the `inherited` ones.
    fn regions(
        &self,
        listed: Option<Vec<Text<RegionOrPattern>>>,
        inherited: Regions,
        path: &KeyPath,
    ) -> Result<Regions, ConfigError> {
        let Some(entries) = listed else { return Ok(inherited) };
        if entries.is_empty() {
            let without = if path.segments().len() > 1 {
                "those of the top level are polled"
            } else {
                "the default region of the credentials is polled"
            };
            return Err(self.invalid(path, format!("names no region; without the key, {without}")));
        }
        let entries: Vec<RegionOrPattern> = entries.into_iter().map(|Text(entry)| entry).collect();
        for (index, entry) in entries.iter().enumerate() {
            if entries[..index].contains(entry) {
                return Err(self.invalid(&path.join(index), format!("{entry} is listed twice")));
            }
        }
        Ok(Regions::Selected(entries.into_iter().collect()))
    }

    fn aws(&self, raw: RawAws, path: &KeyPath) -> Result<AwsSettings, ConfigError> {
        let settings = AwsSettings {
            use_fips: raw.use_fips.is_some_and(|Text(on)| on),
            use_dualstack: raw.use_dualstack.is_some_and(|Text(on)| on),
            endpoint_url: raw.endpoint_url.map(|Text(url)| url.0),
            sts_region: raw.sts_region.map(|Text(region)| region),
            shared_config_file: raw.shared_config_file.map(|Text(path)| path),
            shared_credentials_file: raw.shared_credentials_file.map(|Text(path)| path),
        };
        for (key, on) in [("use_fips", settings.use_fips), ("use_dualstack", settings.use_dualstack)] {
            if on && settings.endpoint_url.is_some() {
                let message = "chooses among AWS's own endpoints, and `endpoint_url` names another; take one of them out";
                return Err(self.invalid(&path.join(key), message));
            }
        }
        Ok(settings)
    }
}

/// A region in the partition of an account, if what is written tells one.
fn home(regions: &Regions, roles: &[Role]) -> Option<RegionName> {
    let named: &[RegionName] = match regions {
        Regions::Selected(regions) => &regions.named,
        Regions::Default => &[],
    };
    let partition = named.first().map(RegionName::partition);
    let partition = partition.or_else(|| roles.first().map(|role| role.arn.partition()))?;
    // Credentials from a region that not every account has enabled are not
    // taken by those that have not.
    let named = named.iter().find(|region| region.is_always_enabled()).cloned();
    Some(named.unwrap_or_else(|| partition.default_region()))
}

/// The least that a session has to be allowed for `regions`.
fn policy_for(regions: &Regions) -> SessionPolicy {
    match regions {
        Regions::Selected(regions) if regions.needs_discovery() => SessionPolicy::ListSyncsAndRegions,
        Regions::Selected(_) | Regions::Default => SessionPolicy::ListSyncs,
    }
}

fn role(raw: RawRole) -> Role {
    Role {
        arn: raw.arn.0,
        external_id: raw.external_id.map(|Text(id)| id),
        session_name: raw.session_name.map(|Text(name)| name).unwrap_or_default(),
        policy: SessionPolicy::None,
    }
}

fn duration(raw: Option<Text<Duration>>, default: Duration) -> Duration {
    raw.map_or(default, |Text(duration)| duration)
}
