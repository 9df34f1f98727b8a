//! What values of the configuration have to do with each other.

use std::collections::HashMap;
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::error::{ConfigError, Place};
use super::key_path::KeyPath;
use super::layers::Layers;
use super::shape::{AccountShape, AwsShape, OrganizationShape, RoleShape, Shape, Text};
use super::{AccountEntry, Config, OrganizationEntry, Regions};
use crate::aws::{AwsSettings, EndpointKind};
use crate::discovery::{Member, MemberReach, Organization};
use crate::model::Quota;
use crate::target::{
    Access, Account, AccountId, InvalidRegion, Partition, RegionName, RegionOrPattern, RegionSelection, Role,
    SessionPolicy,
};

const DEFAULT_INTERVAL: Duration = Duration::from_mins(5);
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
const DEFAULT_CONCURRENCY: NonZeroUsize = NonZeroUsize::new(64).unwrap();
const DEFAULT_STALE_AFTER: Duration = Duration::from_mins(30);
const DEFAULT_READY_AFTER: Duration = Duration::from_mins(10);
const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_hours(1);

/// Below this we would only ever run into AWS's rate limits.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn check(shape: Shape, layers: &Layers) -> Result<Config, ConfigError> {
    let invalid = |path: &KeyPath, message: String| ConfigError::Invalid {
        place: layers.place(path),
        message: format!("{path}: {message}"),
    };
    let key = |name: &str| KeyPath::default().join(name);

    let interval = duration(shape.interval, DEFAULT_INTERVAL);
    if interval < MIN_INTERVAL {
        return Err(invalid(&key("interval"), "has to be at least 1s".to_owned()));
    }
    let regions = regions_of(shape.regions, Regions::Default, &key("regions"), &invalid)?;
    let refresh_interval = duration(shape.refresh_interval, DEFAULT_REFRESH_INTERVAL);
    let narrow = shape.aws.session_policy.as_ref().is_none_or(|Text(on)| *on);
    let aws = aws(shape.aws, &key("aws"), &invalid)?;

    let organization = shape
        .organization
        .map(|organization| {
            let (path, regions) = (key("organization"), regions.clone());
            organization_entry(organization, regions, refresh_interval, narrow, &path, layers, &invalid)
        })
        .transpose()?;
    let accounts = match shape.accounts {
        // The accounts are those of the organization then.
        None if organization.is_some() => Vec::new(),
        None => vec![AccountEntry {
            account: Arc::new(Account { home: home(&regions, &[]), ..Account::default() }),
            regions,
            place: layers.place(&key("regions")),
            key: "regions".to_owned(),
        }],
        Some(accounts) if accounts.is_empty() => {
            let message =
                "names no account; without the key, the account of the ambient credentials is polled";
            return Err(invalid(&key("accounts"), message.to_owned()));
        }
        Some(accounts) => accounts
            .into_iter()
            .enumerate()
            .map(|(index, account)| {
                let path = key("accounts").join(index);
                entry(account, regions.clone(), narrow, &path, layers, &invalid)
            })
            .collect::<Result<_, _>>()?,
    };
    // What only the SDK can tell is looked at again when it is known; all else
    // can be said now.
    let entries = Entries { accounts: &accounts, organization: organization.as_ref() };
    entries.checked(|_| None, aws.endpoint_kind())?;

    let stale_after = duration(shape.stale_after, DEFAULT_STALE_AFTER);
    let mut warnings = Vec::new();
    if stale_after < interval {
        warnings.push(
            "stale_after is shorter than interval: one failed collection takes a target's syncs away"
                .to_owned(),
        );
    }

    Ok(Config {
        interval,
        timeout: duration(shape.timeout, DEFAULT_TIMEOUT),
        concurrency: shape.concurrency.map_or(DEFAULT_CONCURRENCY, |Text(number)| number),
        stale_after,
        ready_after: duration(shape.ready_after, DEFAULT_READY_AFTER),
        quota: Quota {
            to_destination: shape
                .quota
                .to_destination
                .map_or(Quota::default().to_destination, |Text(number)| number),
            from_source: shape.quota.from_source.map_or(Quota::default().from_source, |Text(number)| number),
        },
        accounts,
        organization,
        refresh_interval,
        aws,
        warnings,
    })
}

/// What only the SDK can tell of an account.
#[derive(Clone, Debug)]
pub struct Found {
    /// The region that goes with its credentials, if there is one.
    pub region: Result<Option<RegionName>, InvalidRegion>,
    /// How it is called.
    pub endpoints: EndpointKind,
}

/// All that is to be polled.
#[derive(Clone, Copy)]
pub(super) struct Entries<'a> {
    pub(super) accounts: &'a [AccountEntry],
    pub(super) organization: Option<&'a OrganizationEntry>,
}

impl Entries<'_> {
    /// The regions of the accounts and of the organization's. `found` is what
    /// has been found of an account; `None` if it has not been looked for yet,
    /// and then what depends on it is not checked.
    ///
    /// # Errors
    /// Accounts that get into each other's way, or a region that they cannot
    /// be called in.
    pub(super) fn checked(
        self,
        found: impl Fn(&Account) -> Option<Found>,
        settings: EndpointKind,
    ) -> Result<(Vec<Where>, Option<Where>), ConfigError> {
        let resolve = |account: &Account, regions: &Regions, at: &At<'_>| {
            let found = found(account);
            let endpoints = found.as_ref().map_or(settings, |found| found.endpoints);
            let region = found.map(|found| found.region);
            let regions = match (regions, &region) {
                (Regions::Selected(regions), _) => regions.clone(),
                (Regions::Default, None) => RegionSelection::default(),
                (Regions::Default, Some(Ok(Some(region)))) => {
                    RegionSelection { named: vec![region.clone()], wildcards: Vec::new() }
                }
                (Regions::Default, Some(Ok(None))) => return Err(at.without_region(account)),
                (Regions::Default, Some(Err(error))) => {
                    return Err(at.invalid(format!("the default region of its credentials: {error}")));
                }
            };
            // Without credentials of another partition it is the usual one.
            let of_credentials =
                region.map(|region| region.ok().flatten().unwrap_or_else(|| Partition::Aws.home()));
            let home = account.home.clone().or(of_credentials);
            Ok(Where { regions, home, endpoints })
        };
        let mut by_id: HashMap<(&AccountId, RegionName), &str> = HashMap::new();
        let mut by_access: HashMap<(&Access, RegionName), &str> = HashMap::new();
        let mut of_accounts = Vec::with_capacity(self.accounts.len());
        for entry in self.accounts {
            let (account, at) = (&entry.account, entry.at());
            let found = resolve(account, &entry.regions, &at)?;
            for region in at.reachable(&found, |region| partition_of_roles(&account.access.roles, region))? {
                if let Some(id) = &account.id
                    && let Some(first) = by_id.insert((id, region.clone()), &entry.key)
                {
                    return Err(at.invalid(format!(
                        "{id} in {region} is polled by {first} already; take one of them out"
                    )));
                }
                // The same credentials lead to the same account, whatever ids are
                // written beside them.
                if let Some(first) = by_access.insert((&account.access, region.clone()), &entry.key) {
                    return Err(at.invalid(format!(
                        "the same credentials in {region} are used by {first} already; give one of them another `profile` \
                         or a role"
                    )));
                }
            }
            of_accounts.push(found);
        }
        let of_organization = self
            .organization
            .map(|OrganizationEntry { organization, regions, place }| {
                let at = At { place, key: "organization" };
                let found = resolve(&organization.administrator, regions, &at)?;
                at.reachable(&found, |region| partition_of_members(organization, region))?;
                let mut partitions: Vec<Partition> =
                    found.regions.named.iter().map(RegionName::partition).collect();
                partitions.dedup();
                if let [first, second, ..] = partitions.as_slice() {
                    return Err(at.invalid(format!(
                        "its regions lie in the partitions {first} and {second}, an organization in one; give it `regions` \
                         of its own"
                    )));
                }
                Ok(found)
            })
            .transpose()?;
        Ok((of_accounts, of_organization))
    }
}

/// Where to look in an account.
pub(super) struct Where {
    pub(super) regions: RegionSelection,
    /// A region in its partition, if it is known.
    pub(super) home: Option<RegionName>,
    endpoints: EndpointKind,
}

/// A part of the configuration that may be wrong as a whole.
pub(super) struct At<'a> {
    place: &'a Place,
    key: &'a str,
}

impl At<'_> {
    fn invalid(&self, message: impl Display) -> ConfigError {
        ConfigError::Invalid { place: self.place.clone(), message: format!("{}: {message}", self.key) }
    }

    fn without_region(&self, account: &Account) -> ConfigError {
        match &account.access.profile {
            Some(profile) => {
                self.invalid(format!("no region: name one in `regions`, or in the profile `{profile}`"))
            }
            None => self.invalid("no region: name one in `regions`, in AWS_REGION or in the AWS profile"),
        }
    }

    /// The regions that will be polled for sure: the named ones, and those
    /// behind a wildcard that every account has. `foreign` tells what lies in
    /// another partition than a region.
    fn reachable(
        &self,
        Where { regions, home, endpoints }: &Where,
        foreign: impl Fn(&RegionName) -> Option<String>,
    ) -> Result<Vec<RegionName>, ConfigError> {
        for region in &regions.named {
            if let Some(foreign) = foreign(region) {
                // No role can be assumed from another partition.
                let partition = region.partition();
                return Err(
                    self.invalid(format!("the region {region} lies in the partition {partition}, {foreign}"))
                );
            }
        }
        let known: Vec<RegionName> = home.iter().flat_map(|home| home.partition().always_enabled()).collect();
        let chosen = regions.choose(&known);
        match chosen.iter().find_map(|region| endpoints.lacking_in(region)) {
            Some(lacking) => Err(self.invalid(lacking)),
            None => Ok(chosen),
        }
    }
}

fn partition_of_roles(roles: &[Role], region: &RegionName) -> Option<String> {
    let role = roles.iter().find(|role| role.arn.partition() != region.partition())?;
    Some(format!("the role {} in {}", role.arn, role.arn.partition()))
}

fn partition_of_members(organization: &Organization, region: &RegionName) -> Option<String> {
    let Organization { administrator, reach, .. } = organization;
    let member = Member { id: AccountId::example(), name: None };
    let member = reach.account(&member, region.partition()).ok()?;
    partition_of_roles(&administrator.access.roles, region)
        .or_else(|| partition_of_roles(&member.access.roles, region))
}

impl AccountEntry {
    fn at(&self) -> At<'_> {
        At { place: &self.place, key: &self.key }
    }
}

fn entry(
    shape: AccountShape,
    inherited: Regions,
    narrow: bool,
    path: &KeyPath,
    layers: &Layers,
    invalid: &impl Fn(&KeyPath, String) -> ConfigError,
) -> Result<AccountEntry, ConfigError> {
    let regions = regions_of(shape.regions, inherited, &path.join("regions"), invalid)?;
    let mut roles: Vec<Role> = shape.assume_roles.into_iter().map(role).collect();
    if let Some(last) = roles.last_mut().filter(|_| narrow) {
        last.policy = policy_for(&regions);
    }
    let mut id = shape.id.map(|Text(id)| id);
    if let Some(last) = roles.last() {
        // The last role's credentials are those that list, so the account is
        // the role's: no need to ask AWS, and no other can be right.
        let account = last.arn.account();
        if id.as_ref().is_some_and(|id| id != account) {
            let message = format!("the last role belongs to the account {account}");
            return Err(invalid(&path.join("id"), message));
        }
        id = Some(account.clone());
    }
    Ok(AccountEntry {
        account: Arc::new(Account {
            id,
            name: shape.name.map(|Text(name)| name.0),
            home: home(&regions, &roles),
            access: Access { profile: shape.profile.map(|Text(profile)| profile.0), roles },
        }),
        regions,
        place: layers.place(path),
        key: path.to_string(),
    })
}

fn organization_entry(
    shape: OrganizationShape,
    inherited: Regions,
    refresh_interval: Duration,
    narrow: bool,
    path: &KeyPath,
    layers: &Layers,
    invalid: &impl Fn(&KeyPath, String) -> ConfigError,
) -> Result<OrganizationEntry, ConfigError> {
    let regions = regions_of(shape.regions, inherited, &path.join("regions"), invalid)?;
    let units = match shape.organizational_units {
        Some(units) if units.is_empty() => {
            let message = "names no unit; without the key, all accounts of the organization are polled";
            return Err(invalid(&path.join("organizational_units"), message.to_owned()));
        }
        units => units.unwrap_or_default().into_iter().map(|Text(unit)| unit).collect(),
    };
    let profile = shape.profile.map(|Text(profile)| profile.0);
    let mut roles: Vec<Role> = shape.assume_roles.into_iter().map(role).collect();
    if let Some(last) = roles.last_mut().filter(|_| narrow) {
        last.policy = SessionPolicy::ListAccounts;
    }
    let via: Vec<Role> = shape.member_assume_roles.into_iter().map(role).collect();
    let reach = MemberReach {
        profile: profile.clone(),
        role: shape.member_role.0,
        external_id: shape.external_id.map(|Text(id)| id.0),
        session_name: shape.session_name.map(|Text(name)| name).unwrap_or_default(),
        policy: if narrow { policy_for(&regions) } else { SessionPolicy::None },
        home: home(&regions, &via),
        via,
    };
    let administrator = Arc::new(Account {
        id: roles.last().map(|role| role.arn.account().clone()),
        name: None,
        home: home(&regions, &roles),
        access: Access { profile, roles },
    });
    let organization = Organization {
        administrator,
        units,
        excluded: shape.exclude_accounts.into_iter().map(|Text(id)| id).collect(),
        refresh_interval: duration(shape.refresh_interval, refresh_interval),
        reach,
        // Those of the credentials are not known yet.
        regions: RegionSelection::default(),
    };
    Ok(OrganizationEntry { organization, regions, place: layers.place(path) })
}

/// A region in the partition of an account, if what is written tells one.
fn home(regions: &Regions, roles: &[Role]) -> Option<RegionName> {
    let named = match regions {
        Regions::Selected(regions) => regions.named.first().cloned(),
        Regions::Default => None,
    };
    named.or_else(|| roles.first().map(|role| role.arn.partition().home()))
}

/// The least that a session has to be allowed for `regions`.
fn policy_for(regions: &Regions) -> SessionPolicy {
    match regions {
        Regions::Selected(regions) if regions.needs_discovery() => SessionPolicy::ListSyncsAndRegions,
        Regions::Selected(_) | Regions::Default => SessionPolicy::ListSyncs,
    }
}

/// The regions that are listed at `path`; without a list, the `inherited` ones.
fn regions_of(
    listed: Option<Vec<Text<RegionOrPattern>>>,
    inherited: Regions,
    path: &KeyPath,
    invalid: &impl Fn(&KeyPath, String) -> ConfigError,
) -> Result<Regions, ConfigError> {
    let Some(entries) = listed else { return Ok(inherited) };
    if entries.is_empty() {
        let message = "names no region; without the key, the default region of the credentials is polled";
        return Err(invalid(path, message.to_owned()));
    }
    let mut regions = RegionSelection::default();
    for (index, Text(entry)) in entries.into_iter().enumerate() {
        let twice = |entry: &dyn Display| invalid(&path.join(index), format!("{entry} is listed twice"));
        match entry {
            RegionOrPattern::Region(region) if regions.named.contains(&region) => return Err(twice(&region)),
            RegionOrPattern::Region(region) => regions.named.push(region),
            RegionOrPattern::Pattern(wildcard) if regions.wildcards.contains(&wildcard) => {
                return Err(twice(&wildcard));
            }
            RegionOrPattern::Pattern(wildcard) => regions.wildcards.push(wildcard),
        }
    }
    Ok(Regions::Selected(regions))
}

fn role(shape: RoleShape) -> Role {
    Role {
        arn: shape.arn.0,
        external_id: shape.external_id.map(|Text(id)| id.0),
        session_name: shape.session_name.map(|Text(name)| name).unwrap_or_default(),
        policy: SessionPolicy::None,
    }
}

fn aws(
    shape: AwsShape,
    path: &KeyPath,
    invalid: &impl Fn(&KeyPath, String) -> ConfigError,
) -> Result<AwsSettings, ConfigError> {
    let settings = AwsSettings {
        use_fips: shape.use_fips.is_some_and(|Text(on)| on),
        use_dualstack: shape.use_dualstack.is_some_and(|Text(on)| on),
        endpoint_url: shape.endpoint_url.map(|Text(url)| url.0),
        shared_config_file: shape.shared_config_file.map(|Text(path)| path),
        shared_credentials_file: shape.shared_credentials_file.map(|Text(path)| path),
    };
    for (key, on) in [("use_fips", settings.use_fips), ("use_dualstack", settings.use_dualstack)] {
        if on && settings.endpoint_url.is_some() {
            let message =
                "chooses among AWS's own endpoints, and `endpoint_url` names another; take one of them out";
            return Err(invalid(&path.join(key), message.to_owned()));
        }
    }
    Ok(settings)
}

fn duration(shape: Option<Text<Duration>>, default: Duration) -> Duration {
    shape.map_or(default, |Text(duration)| duration)
}
