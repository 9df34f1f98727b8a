//! The accounts and the organization that are asked for, and whether they go
//! together: with each other, with their partitions, with the endpoints there
//! are.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use super::error::{ConfigError, Place};
use crate::aws::EndpointKind;
use crate::discovery::{Member, Organization};
use crate::fleet::{Access, Account, AccountId, InvalidRegion, Partition, RegionName, RegionSelection, Role};

/// An account and the regions to poll in it.
#[derive(Debug)]
pub struct AccountEntry {
    /// The account.
    pub account: Arc<Account>,
    /// The regions.
    pub regions: Regions,
    pub(super) place: Place,
    pub(super) key: String,
}

/// An organization and the regions to poll in its accounts.
#[derive(Debug)]
pub struct OrganizationEntry {
    /// The organization, its regions left open.
    pub organization: Organization,
    /// The regions.
    pub regions: Regions,
    pub(super) place: Place,
}

/// The regions to poll in an account.
#[derive(Clone, Debug)]
pub enum Regions {
    /// The one that goes with the account's credentials, which only the SDK
    /// can tell.
    Default,
    /// These.
    Selected(RegionSelection),
}

/// What only the SDK can tell of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
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
                    RegionSelection { named: vec![region.clone()], patterns: Vec::new() }
                }
                (Regions::Default, Some(Ok(None))) => return Err(at.without_region(account)),
                (Regions::Default, Some(Err(error))) => {
                    return Err(at.invalid(format!("the default region of its credentials: {error}")));
                }
            };
            // Without credentials of another partition it is the usual one.
            let of_credentials =
                region.map(|region| region.ok().flatten().unwrap_or_else(|| Partition::Aws.default_region()));
            let home = account.default_region.clone().or(of_credentials);
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
        match chosen.iter().find_map(|region| endpoints.missing_in(region)) {
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
    let Organization { administrator, member_access, .. } = organization;
    let member = Member { id: AccountId::example(), name: None };
    let member = member_access.account(&member, region.partition()).ok()?;
    let role = member.access.roles.last().filter(|role| role.arn.partition() != region.partition());
    let of_member = role.map(|role| {
        let partition = role.arn.partition();
        format!("member_role in {partition}; write `{{partition}}` there, or name other `regions`")
    });
    partition_of_roles(&administrator.access.roles, region)
        .or_else(|| partition_of_roles(&member_access.intermediate_roles, region))
        .or(of_member)
}

impl AccountEntry {
    fn at(&self) -> At<'_> {
        At { place: &self.place, key: &self.key }
    }

    pub(super) fn invalid(&self, message: &str) -> ConfigError {
        self.at().invalid(message)
    }
}
