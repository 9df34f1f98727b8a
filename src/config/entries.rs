//! The accounts and the organization of a configuration. Checks that they can be polled
//! together: no target is polled twice, every role is in the partition of its regions, and
//! every region has the kind of endpoint that is used.
//!
//! Some checks need defaults that only the SDK knows, so they run after the SDK has been
//! asked for them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Display;
use std::sync::Arc;

use super::error::{ConfigError, Place};
use crate::aws::{CaBundle, Diagnosis, EndpointKind};
use crate::discovery::{Member, Organization};
use crate::fleet::{Access, Account, AccountId, Partition, RegionName, RegionSelection, Role};

/// An account and the regions to poll in it.
#[derive(Debug)]
pub(crate) struct AccountEntry {
    pub(crate) account: Arc<Account>,
    pub(super) regions: Regions,
    pub(super) place: Place,
    /// The path of the entry for error messages, such as `accounts[0]`.
    pub(super) path: String,
}

/// An organization and the regions to poll in its accounts.
#[derive(Debug)]
pub(crate) struct OrganizationEntry {
    /// Its `regions` are empty. [`Config::account_sources`](super::Config::account_sources)
    /// sets them in a copy.
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

/// The SDK's defaults for an account, which come from outside of the configuration: from
/// the environment, the shared AWS configuration and the instance.
#[derive(Clone, Debug)]
pub(crate) struct AccountDefaults {
    /// The default region of the credentials, if there is one.
    pub(crate) region: Result<Option<RegionName>, String>,
    /// The kind of endpoint that calls use.
    pub(crate) endpoints: EndpointKind,
    /// The URL that replaces the endpoints, for a recording. The exporter itself does not use it.
    pub(crate) endpoint_url: Option<String>,
    /// The certificate authorities that the profile names.
    pub(crate) ca_bundle: Option<CaBundle>,
    pub(crate) diagnosis: Diagnosis,
}

/// The [`AccountDefaults`] of accounts. If those of an account are absent, the checks that
/// need them are skipped.
#[derive(Debug, Default)]
pub(crate) struct SdkDefaults(HashMap<DefaultsKey, AccountDefaults>);

/// The credentials of an account and its [`Account::default_region`].
type DefaultsKey = (Access, Option<RegionName>);

impl SdkDefaults {
    /// Adds the defaults of an account.
    pub(crate) fn insert(&mut self, account: &Account, defaults: AccountDefaults) {
        self.0.insert(Self::key(account), defaults);
    }

    /// Whether all accounts that are in both have the same defaults in both.
    pub(crate) fn agree_with(&self, other: &Self) -> bool {
        let compared = |defaults: &AccountDefaults| {
            (defaults.region.clone(), defaults.endpoints, defaults.ca_bundle.clone())
        };
        self.0.iter().all(|(key, defaults)| {
            other.0.get(key).is_none_or(|others| compared(others) == compared(defaults))
        })
    }

    /// The different warnings of all accounts.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        let warnings: BTreeSet<&String> =
            self.0.values().filter_map(|defaults| defaults.diagnosis.unencrypted_endpoint.as_ref()).collect();
        warnings.into_iter().cloned()
    }

    /// The defaults of all accounts.
    pub(super) fn all(&self) -> impl Iterator<Item = &AccountDefaults> {
        self.0.values()
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
    /// Describes the profiles that provide no credentials at the moment, each once. Their targets
    /// are down, but the profiles may be corrected while the exporter runs.
    pub(super) fn unusable_profiles(self, defaults: &SdkDefaults) -> Vec<String> {
        let mut described = HashSet::new();
        let accounts = self.accounts.iter().map(|entry| (&*entry.account, entry.location()));
        let organization = self.organization.iter().map(|entry| {
            let location = EntryLocation { place: &entry.place, path: "organization" };
            (&*entry.organization.administrator, location)
        });
        let warning = |(account, location): (&Account, EntryLocation<'_>)| {
            let problem = defaults.get(account)?.diagnosis.unusable_profile.clone()?;
            described.insert(problem.clone()).then(|| location.invalid(problem).to_string())
        };
        accounts.chain(organization).filter_map(warning).collect()
    }

    /// Resolves the regions of the accounts and of the organization, and checks that
    /// the entries can be polled together.
    ///
    /// # Errors
    /// Two entries poll the same target, an entry has no region, or its roles or endpoints
    /// do not allow calls in one of its regions.
    pub(super) fn resolve(
        self,
        defaults: &SdkDefaults,
        endpoints: EndpointKind,
    ) -> Result<(Vec<ResolvedRegions>, Option<ResolvedRegions>), ConfigError> {
        let mut by_id: HashMap<(&AccountId, RegionName), &str> = HashMap::new();
        let mut by_access: HashMap<(&Access, RegionName), &str> = HashMap::new();
        let mut resolved_accounts = Vec::with_capacity(self.accounts.len());
        for entry in self.accounts {
            let (account, location) = (&entry.account, entry.location());
            let resolved = location.resolve(account, &entry.regions, defaults, endpoints)?;
            for region in
                location.certain_regions(&resolved, |region| foreign_role(&account.access.roles, region))?
            {
                if let Some(id) = &account.id
                    && let Some(first) = by_id.insert((id, region.clone()), &entry.path)
                {
                    return Err(location.invalid(format!(
                        "{id} in {region} is already polled by {first}; remove it from one of the two"
                    )));
                }
                // The same credentials belong to the same account, even if the ids of the
                // entries differ.
                if let Some(first) = by_access.insert((&account.access, region.clone()), &entry.path) {
                    return Err(location.invalid(format!(
                        "{first} polls {region} with the same credentials; give one of the two another `profile` or \
                         another role"
                    )));
                }
            }
            resolved_accounts.push(resolved);
        }
        let resolved_organization = self
            .organization
            .map(|OrganizationEntry { organization, regions, place }| {
                let location = EntryLocation { place, path: "organization" };
                let resolved = location.resolve(&organization.administrator, regions, defaults, endpoints)?;
                location.certain_regions(&resolved, |region| foreign_member_role(organization, region))?;
                let mut partitions: Vec<Partition> =
                    resolved.regions.named.iter().map(RegionName::partition).collect();
                partitions.dedup();
                if let [first, second, ..] = partitions.as_slice() {
                    return Err(location.invalid(format!(
                        "its regions are in the partitions {first} and {second}, but an organization is in one; set \
                         `organization.regions` to regions of one partition"
                    )));
                }
                Ok(resolved)
            })
            .transpose()?;
        Ok((resolved_accounts, resolved_organization))
    }
}

/// The regions of an entry, with the defaults of the SDK filled in.
pub(super) struct ResolvedRegions {
    pub(super) regions: RegionSelection,
    /// The [`Account::default_region`] to use; `None` if the account's partition is unknown.
    pub(super) default_region: Option<RegionName>,
    endpoints: EndpointKind,
}

/// Where an entry is, for error messages.
pub(super) struct EntryLocation<'a> {
    place: &'a Place,
    path: &'a str,
}

impl EntryLocation<'_> {
    fn invalid(&self, message: impl Display) -> ConfigError {
        ConfigError::Invalid { place: self.place.clone(), message: format!("{}: {message}", self.path) }
    }

    fn resolve(
        &self,
        account: &Account,
        regions: &Regions,
        defaults: &SdkDefaults,
        endpoints: EndpointKind,
    ) -> Result<ResolvedRegions, ConfigError> {
        let defaults = defaults.get(account);
        if let Some(error) = defaults.and_then(|defaults| defaults.diagnosis.invalid_setting.as_ref()) {
            return Err(self.invalid(error));
        }
        let regions = match (regions, defaults.map(|defaults| &defaults.region)) {
            (Regions::Selected(regions), _) => regions.clone(),
            (Regions::Default, None) => RegionSelection::default(),
            (Regions::Default, Some(Ok(Some(region)))) => {
                RegionSelection { named: vec![region.clone()], patterns: Vec::new() }
            }
            (Regions::Default, Some(Ok(None))) => return Err(self.no_region(account, defaults)),
            (Regions::Default, Some(Err(error))) => {
                return Err(
                    self.invalid(format!("the default region of the credentials is invalid: {error}"))
                );
            }
        };
        // Credentials without a region are assumed to belong to the partition `aws`.
        let credentials_region = defaults.map(|defaults| {
            defaults.region.clone().ok().flatten().unwrap_or_else(|| Partition::Aws.default_region())
        });
        let default_region = account.default_region.clone().or(credentials_region);
        let endpoints = defaults.map_or(endpoints, |defaults| defaults.endpoints);
        Ok(ResolvedRegions { regions, default_region, endpoints })
    }

    fn no_region(&self, account: &Account, defaults: Option<&AccountDefaults>) -> ConfigError {
        let why = defaults.map(|defaults| defaults.diagnosis.missing_region.as_str()).unwrap_or_default();
        self.invalid(match &account.access.profile {
            Some(profile) => {
                format!("no region is set; set `regions`, or `region` in the profile `{profile}`{why}")
            }
            None => {
                format!("no region is set; set `regions`, AWS_REGION, or `region` in the AWS profile{why}")
            }
        })
    }

    /// Checks the regions that are known to be polled before any lookup, and returns them:
    /// the named regions, and those that match a pattern and are enabled in every account.
    /// `foreign_role` describes a role that is not in the partition of the region.
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
        let always_enabled: Vec<RegionName> = default_region
            .iter()
            .flat_map(|default_region| default_region.partition().always_enabled())
            .collect();
        let certain = regions.choose(&always_enabled);
        match certain.iter().find_map(|region| endpoints.missing_in(region)) {
            Some(missing) => Err(self.invalid(missing)),
            None => Ok(certain),
        }
    }
}

/// Describes the first role that is not in the partition of `region`, if there is one.
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
    fn location(&self) -> EntryLocation<'_> {
        EntryLocation { place: &self.place, path: &self.path }
    }

    pub(super) fn invalid(&self, message: &str) -> ConfigError {
        self.location().invalid(message)
    }
}
