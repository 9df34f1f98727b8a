//! What values of the configuration have to do with each other.

use std::collections::HashMap;
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::error::ConfigError;
use super::key_path::KeyPath;
use super::layers::Layers;
use super::shape::{AccountShape, AwsShape, RoleShape, Shape, Text};
use super::{AccountEntry, Config, Regions};
use crate::collector::AwsSettings;
use crate::model::Quota;
use crate::target::{Access, Account, AccountId, InvalidRegion, RegionName, Role, Target};

const DEFAULT_INTERVAL: Duration = Duration::from_mins(5);
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
const DEFAULT_CONCURRENCY: NonZeroUsize = NonZeroUsize::new(64).unwrap();
const DEFAULT_STALE_AFTER: Duration = Duration::from_mins(30);
const DEFAULT_READY_AFTER: Duration = Duration::from_mins(10);

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

    let accounts = match shape.accounts {
        None => vec![AccountEntry {
            account: Arc::new(Account { id: None, name: None, access: Access::default() }),
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
                entry(account, regions.clone(), &path, layers, &invalid)
            })
            .collect::<Result<_, _>>()?,
    };
    // Regions that only the SDK can tell are looked at again when they are
    // known; all else can be said now.
    expand(&accounts, |_| Ok(Some(Vec::new())))?;

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
        aws: aws(shape.aws),
        warnings,
    })
}

/// What stands behind a lookup of an account's default regions.
pub(super) type Found = Result<Option<Vec<RegionName>>, InvalidRegion>;

/// Every account in each of its regions. `default_regions` tells the regions
/// of accounts that name none; `None` means that there are none to be found.
pub(super) fn expand(
    accounts: &[AccountEntry],
    default_regions: impl Fn(&Account) -> Found,
) -> Result<Vec<Target>, ConfigError> {
    let mut targets = Vec::new();
    let mut by_id: HashMap<(&AccountId, RegionName), &str> = HashMap::new();
    let mut by_access: HashMap<(&Access, RegionName), &str> = HashMap::new();
    for entry in accounts {
        let account = &entry.account;
        let regions = match &entry.regions {
            Regions::Named(regions) => regions.clone(),
            Regions::Default => default_regions(account)
                .map_err(|error| entry.invalid(format!("the default region of its credentials: {error}")))?
                .ok_or_else(|| entry.without_region())?,
        };
        for region in regions {
            entry.check_partition(&region)?;
            if let Some(id) = &account.id
                && let Some(first) = by_id.insert((id, region.clone()), &entry.key)
            {
                return Err(entry.invalid(format!(
                    "{id} in {region} is polled by {first} already; take one of them out"
                )));
            }
            // The same credentials lead to the same account, whatever ids are
            // written beside them.
            if let Some(first) = by_access.insert((&account.access, region.clone()), &entry.key) {
                return Err(entry.invalid(format!(
                    "the same credentials in {region} are used by {first} already; give one of them another `profile` \
                     or a role"
                )));
            }
            targets.push(Target { account: Arc::clone(account), region });
        }
    }
    Ok(targets)
}

impl AccountEntry {
    fn invalid(&self, message: impl Display) -> ConfigError {
        ConfigError::Invalid { place: self.place.clone(), message: format!("{}: {message}", self.key) }
    }

    fn without_region(&self) -> ConfigError {
        match &self.account.access.profile {
            Some(profile) => {
                self.invalid(format!("no region: name one in `regions`, or in the profile `{profile}`"))
            }
            None => self.invalid("no region: name one in `regions`, in AWS_REGION or in the AWS profile"),
        }
    }

    /// No role can be assumed from another partition.
    fn check_partition(&self, region: &RegionName) -> Result<(), ConfigError> {
        let partition = region.partition();
        match self.account.access.roles.iter().find(|role| role.arn.partition() != partition) {
            None => Ok(()),
            Some(role) => Err(self.invalid(format!(
                "the region {region} lies in the partition {partition}, the role {} in {}",
                role.arn,
                role.arn.partition()
            ))),
        }
    }
}

fn entry(
    shape: AccountShape,
    inherited: Regions,
    path: &KeyPath,
    layers: &Layers,
    invalid: &impl Fn(&KeyPath, String) -> ConfigError,
) -> Result<AccountEntry, ConfigError> {
    let regions = regions_of(shape.regions, inherited, &path.join("regions"), invalid)?;
    let roles: Vec<Role> = shape.assume_roles.into_iter().map(role).collect();
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
            access: Access { profile: shape.profile.map(|Text(profile)| profile.0), roles },
        }),
        regions,
        place: layers.place(path),
        key: path.to_string(),
    })
}

/// The regions that are listed at `path`; without a list, the `inherited` ones.
fn regions_of(
    listed: Option<Vec<Text<RegionName>>>,
    inherited: Regions,
    path: &KeyPath,
    invalid: &impl Fn(&KeyPath, String) -> ConfigError,
) -> Result<Regions, ConfigError> {
    let Some(regions) = listed else { return Ok(inherited) };
    if regions.is_empty() {
        let message = "names no region; without the key, the default region of the credentials is polled";
        return Err(invalid(path, message.to_owned()));
    }
    let mut names: Vec<RegionName> = Vec::with_capacity(regions.len());
    for (index, Text(region)) in regions.into_iter().enumerate() {
        if names.contains(&region) {
            return Err(invalid(&path.join(index), format!("{region} is listed twice")));
        }
        names.push(region);
    }
    Ok(Regions::Named(names))
}

fn role(shape: RoleShape) -> Role {
    Role {
        arn: shape.arn.0,
        external_id: shape.external_id.map(|Text(id)| id.0),
        session_name: shape.session_name.map(|Text(name)| name).unwrap_or_default(),
    }
}

fn aws(shape: AwsShape) -> AwsSettings {
    AwsSettings {
        use_fips: shape.use_fips.is_some_and(|Text(on)| on),
        use_dualstack: shape.use_dualstack.is_some_and(|Text(on)| on),
        endpoint_url: shape.endpoint_url.map(|Text(url)| url.0),
        shared_config_file: shape.shared_config_file.map(|Text(path)| path),
        shared_credentials_file: shape.shared_credentials_file.map(|Text(path)| path),
    }
}

fn duration(shape: Option<Text<Duration>>, default: Duration) -> Duration {
    shape.map_or(default, |Text(duration)| duration)
}
