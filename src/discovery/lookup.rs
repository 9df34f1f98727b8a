//! The lookups that discovery makes, and their implementation with calls to AWS.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::organization::ListedMembers;
use super::regions;
use super::sources::{Organization, OrganizationListing};
use crate::aws::Sessions;
use crate::fleet::{Account, AccountKey, RegionName};
use crate::model::{Failure, Reason};

/// The timeout of listing the accounts of an organization, and then again of finding their units. A
/// thousand organizational units take more than a thousand calls, and AWS allows only a few per
/// second.
const ORGANIZATION_TIMEOUT: Duration = Duration::from_mins(10);

/// The timeout of listing the regions of an account.
const REGIONS_TIMEOUT: Duration = Duration::from_mins(1);

/// The kinds of lookups. Their names are the values of the `kind` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum LookupKind {
    /// The accounts of an organization.
    Organization,
    /// The regions that an account has enabled.
    Regions,
}

/// Counts lookups for the exporter's own metrics.
pub(crate) trait LookupObserver: fmt::Debug + Send + Sync {
    /// An attempt to make a lookup has ended.
    fn lookup_ended(&self, kind: LookupKind, succeeded: bool);
}

/// Makes lookups. The implementation limits how long each lookup takes.
pub(crate) trait Lookups: Send + Sync + 'static {
    /// The active accounts of an organization, and the units that contain them.
    fn members(
        &self,
        organization: &Organization,
    ) -> impl Future<Output = Result<OrganizationListing, Failure>> + Send;

    /// The regions that an account has enabled, at least one, in any order.
    fn regions(&self, account: &Account) -> impl Future<Output = Result<Vec<RegionName>, Failure>> + Send;

    /// Drops everything that is cached for accounts other than `accounts`, because
    /// AWS is no longer called for those other accounts.
    fn retain(&self, accounts: &[&Account]);
}

/// Makes lookups by calling AWS.
#[derive(Debug)]
pub(crate) struct AwsLookups(Arc<Sessions>);

impl AwsLookups {
    /// Calls AWS with the credentials of `sessions`.
    pub(crate) fn new(sessions: Arc<Sessions>) -> Self {
        Self(sessions)
    }
}

impl Lookups for AwsLookups {
    async fn members(&self, organization: &Organization) -> Result<OrganizationListing, Failure> {
        let list = Box::pin(ListedMembers::list(&self.0, organization));
        let mut listed = with_timeout(ORGANIZATION_TIMEOUT, list).await?;
        let units = with_timeout(ORGANIZATION_TIMEOUT, Box::pin(listed.units())).await;
        Ok(listed.with_units(units))
    }

    async fn regions(&self, account: &Account) -> Result<Vec<RegionName>, Failure> {
        with_timeout(REGIONS_TIMEOUT, Box::pin(regions::enabled(&self.0, account))).await
    }

    fn retain(&self, accounts: &[&Account]) {
        self.0.retain(accounts.iter().copied());
    }
}

async fn with_timeout<T>(
    timeout: Duration,
    lookup: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    tokio::time::timeout(timeout, lookup).await.unwrap_or_else(|_elapsed| {
        Err(Failure::new(Reason::Timeout, format!("the lookup did not end within {timeout:?}")))
    })
}

/// Identifies a lookup.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum LookupKey {
    /// The accounts of the organization.
    Organization,
    /// The regions that an account has enabled.
    Regions(AccountKey),
}

impl LookupKey {
    pub(super) fn kind(&self) -> LookupKind {
        match self {
            Self::Organization => LookupKind::Organization,
            Self::Regions(_) => LookupKind::Regions,
        }
    }

    /// The result of a lookup whose task panicked.
    pub(super) fn failed_result(&self, failure: Failure) -> LookupResult {
        match self {
            Self::Organization => LookupResult::Organization(Err(failure)),
            Self::Regions(key) => LookupResult::Regions(key.clone(), Err(failure)),
        }
    }
}

/// A lookup together with the parameters of its calls.
pub(super) enum LookupRequest {
    Organization(Box<Organization>),
    Regions(Arc<Account>),
}

impl LookupRequest {
    pub(super) async fn send(self, lookups: &impl Lookups) -> LookupResult {
        match self {
            Self::Organization(organization) => {
                LookupResult::Organization(lookups.members(&organization).await)
            }
            Self::Regions(account) => LookupResult::Regions(account.key(), lookups.regions(&account).await),
        }
    }
}

#[derive(Debug)]
pub(super) enum LookupResult {
    Organization(Result<OrganizationListing, Failure>),
    Regions(AccountKey, Result<Vec<RegionName>, Failure>),
}
