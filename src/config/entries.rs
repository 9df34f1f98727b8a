//! The accounts and the organization of a configuration, and the check that they can
//! be polled together: no target twice, no role of another partition, no endpoint
//! that does not exist.
//!
//! Part of the check depends on defaults that only the SDK knows, so it runs once, after
//! the SDK was asked. `--config.check` asks nobody and skips that part.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use super::error::{ConfigError, Place};
use crate::aws::EndpointKind;
use crate::discovery::{Member, Organization};
use crate::fleet::{Access, Account, AccountId, InvalidRegion, Partition, RegionName, RegionSelection, Role};

/// An account and the regions to poll in it.
#[derive(Debug)]
pub(crate) struct AccountEntry {
    pub(crate) account: Arc<Account>,
    pub(super) regions: Regions,
    pub(super) place: Place,
    pub(super) key: String,
}

/// An organization and the regions to poll in its accounts.
#[derive(Debug)]
pub(crate) struct OrganizationEntry {
    /// Its regions are empty until they are resolved.
    pub(crate) organization: Organization,
    pub(super) regions: Regions,
    pub(super) place: Place,
}

/// The regions to poll in an account.
#[derive(Clone, Debug)]
pub(super) enum Regions {
    /// The default region of the account's credentials, which only the SDK knows.
    Default,
    Selected(RegionSelection),
}

/// The defaults that the SDK takes from outside of the configuration: from the
/// environment, the shared AWS configuration and the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountDefaults {
    /// The region of the credentials, if there is one.
    pub(crate) region: Result<Option<RegionName>, InvalidRegion>,
    /// The kind of endpoint that services are called at.
    pub(crate) endpoints: EndpointKind,
}

/// The [`AccountDefaults`] of accounts. What depends on those of an account that is not
/// in here is not checked.
#[derive(Debug, Default)]
pub(crate) struct SdkDefaults(HashMap<DefaultsKey, AccountDefaults>);

/// The credentials of an account, and its region as far as the configuration names one.
type DefaultsKey = (Access, Option<RegionName>);

impl SdkDefaults {
    /// Adds the defaults of an account.
    pub(crate) fn insert(&mut self, account: &Account, defaults: AccountDefaults) {
        self.0.insert(Self::key(account), defaults);
    }

    /// Whether the accounts that are in both have the same defaults.
    pub(crate) fn agree_with(&self, other: &Self) -> bool {
        self.0.iter().all(|(key, defaults)| other.0.get(key).is_none_or(|before| before == defaults))
    }

    fn get(&self, account: &Account) -> Option<&AccountDefaults> {
        self.0.get(&Self::key(account))
    }

    fn key(account: &Account) -> DefaultsKey {
        (account.access.clone(), account.default_region.clone())
    }
}

/// The accounts and the organization of a configuration.
#[derive(Clone, Copy)]
pub(super) struct Entries<'a> {
    pub(super) accounts: &'a [AccountEntry],
    pub(super) organization: Option<&'a OrganizationEntry>,
}

impl Entries<'_> {
    /// Resolves the regions of the accounts and of the organization, and checks that
    /// the entries can be polled together.
    ///
    /// # Errors
    /// Two entries poll the same target, or an entry cannot be called in a region.
    pub(super) fn resolve(
        self,
        defaults: &SdkDefaults,
        endpoints: EndpointKind,
    ) -> Result<(Vec<ResolvedRegions>, Option<ResolvedRegions>), ConfigError> {
        let mut by_id: HashMap<(&AccountId, RegionName), &str> = HashMap::new();
        let mut by_access: HashMap<(&Access, RegionName), &str> = HashMap::new();
        let mut of_accounts = Vec::with_capacity(self.accounts.len());
        for entry in self.accounts {
            let (account, at) = (&entry.account, entry.at());
            let resolved = at.resolve(account, &entry.regions, defaults, endpoints)?;
            for region in
                at.certain_regions(&resolved, |region| foreign_role(&account.access.roles, region))?
            {
                if let Some(id) = &account.id
                    && let Some(first) = by_id.insert((id, region.clone()), &entry.key)
                {
                    return Err(at.invalid(format!(
                        "{id} in {region} is already polled by {first}; remove it from one of the two"
                    )));
                }
                // The same credentials lead to the same account, whatever the entries
                // call it.
                if let Some(first) = by_access.insert((&account.access, region.clone()), &entry.key) {
                    return Err(at.invalid(format!(
                        "{first} polls {region} with the same credentials; give one of the two another `profile` or \
                         another role"
                    )));
                }
            }
            of_accounts.push(resolved);
        }
        let of_organization = self
            .organization
            .map(|OrganizationEntry { organization, regions, place }| {
                let at = At { place, key: "organization" };
                let resolved = at.resolve(&organization.administrator, regions, defaults, endpoints)?;
                at.certain_regions(&resolved, |region| foreign_member_role(organization, region))?;
                let mut partitions: Vec<Partition> =
                    resolved.regions.named.iter().map(RegionName::partition).collect();
                partitions.dedup();
                if let [first, second, ..] = partitions.as_slice() {
                    return Err(at.invalid(format!(
                        "its regions are in the partitions {first} and {second}, but an organization is in one; set \
                         `organization.regions` to regions of one partition"
                    )));
                }
                Ok(resolved)
            })
            .transpose()?;
        Ok((of_accounts, of_organization))
    }
}

/// The regions of an entry, with the defaults of the SDK filled in.
pub(super) struct ResolvedRegions {
    pub(super) regions: RegionSelection,
    /// A region in the partition of the account, if the partition is known.
    pub(super) default_region: Option<RegionName>,
    endpoints: EndpointKind,
}

/// An entry that an error is about.
pub(super) struct At<'a> {
    place: &'a Place,
    key: &'a str,
}

impl At<'_> {
    fn invalid(&self, message: impl Display) -> ConfigError {
        ConfigError::Invalid { place: self.place.clone(), message: format!("{}: {message}", self.key) }
    }

    fn resolve(
        &self,
        account: &Account,
        regions: &Regions,
        defaults: &SdkDefaults,
        endpoints: EndpointKind,
    ) -> Result<ResolvedRegions, ConfigError> {
        let defaults = defaults.get(account);
        let regions = match (regions, defaults.map(|defaults| &defaults.region)) {
            (Regions::Selected(regions), _) => regions.clone(),
            (Regions::Default, None) => RegionSelection::default(),
            (Regions::Default, Some(Ok(Some(region)))) => {
                RegionSelection { named: vec![region.clone()], patterns: Vec::new() }
            }
            (Regions::Default, Some(Ok(None))) => return Err(self.without_region(account)),
            (Regions::Default, Some(Err(error))) => {
                return Err(
                    self.invalid(format!("the default region of the credentials is invalid: {error}"))
                );
            }
        };
        // Without a region the credentials are taken to be of the partition `aws`.
        let of_credentials = defaults.map(|defaults| {
            defaults.region.clone().ok().flatten().unwrap_or_else(|| Partition::Aws.default_region())
        });
        let default_region = account.default_region.clone().or(of_credentials);
        let endpoints = defaults.map_or(endpoints, |defaults| defaults.endpoints);
        Ok(ResolvedRegions { regions, default_region, endpoints })
    }

    fn without_region(&self, account: &Account) -> ConfigError {
        match &account.access.profile {
            Some(profile) => self
                .invalid(format!("no region is set; set `regions`, or `region` in the profile `{profile}`")),
            None => {
                self.invalid("no region is set; set `regions`, AWS_REGION, or `region` in the AWS profile")
            }
        }
    }

    /// The regions that are polled in any case: those that are named, and those that
    /// match a wildcard and are enabled in every account. `foreign_role` describes a
    /// role of another partition than the region's.
    fn certain_regions(
        &self,
        ResolvedRegions { regions, default_region, endpoints }: &ResolvedRegions,
        foreign_role: impl Fn(&RegionName) -> Option<String>,
    ) -> Result<Vec<RegionName>, ConfigError> {
        for region in &regions.named {
            // No role can be assumed from another partition.
            if let Some(role) = foreign_role(region) {
                let partition = region.partition();
                return Err(self.invalid(format!("{region} is in the partition {partition}, but {role}")));
            }
        }
        let known: Vec<RegionName> = default_region
            .iter()
            .flat_map(|default_region| default_region.partition().always_enabled())
            .collect();
        let chosen = regions.choose(&known);
        match chosen.iter().find_map(|region| endpoints.missing_in(region)) {
            Some(lacking) => Err(self.invalid(lacking)),
            None => Ok(chosen),
        }
    }
}

fn foreign_role(roles: &[Role], region: &RegionName) -> Option<String> {
    let role = roles.iter().find(|role| role.arn.partition() != region.partition())?;
    Some(format!(
        "the role {} is in {}; use regions and roles of one partition",
        role.arn,
        role.arn.partition()
    ))
}

fn foreign_member_role(organization: &Organization, region: &RegionName) -> Option<String> {
    let Organization { administrator, member_access, .. } = organization;
    let member = Member { id: AccountId::example(), name: None };
    let member = member_access.account(&member, region.partition()).ok()?;
    let role = member.access.roles.last().filter(|role| role.arn.partition() != region.partition());
    let member_role = role.map(|role| {
        let partition = role.arn.partition();
        format!(
            "`member_role` is in {partition}; use `{{partition}}` in `member_role`, or set other `regions`"
        )
    });
    foreign_role(&administrator.access.roles, region)
        .or_else(|| foreign_role(&member_access.intermediate_roles, region))
        .or(member_role)
}

impl AccountEntry {
    fn at(&self) -> At<'_> {
        At { place: &self.place, key: &self.key }
    }

    pub(super) fn invalid(&self, message: &str) -> ConfigError {
        self.at().invalid(message)
    }
}
