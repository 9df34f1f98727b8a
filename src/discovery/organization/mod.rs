//! Lists the accounts of an organization by calling AWS Organizations, and determines which of the
//! organizational units that the configuration names contain each account.
//!
//! - If `organizational_units` selects accounts, the accounts of these units and of all units
//!   below them are listed. Other units that the configuration names are walked afterwards, as
//!   far as they have not been walked. They add no accounts.
//! - Otherwise, `ListAccounts` lists all accounts. If it returns the path of each account, the
//!   paths tell the units. If not, the units that the configuration names are walked.
//!
//! No account may be missing because of a unit that only says more about accounts. The accounts
//! are therefore listed first, and a failure in the second step leaves only the units unknown. The
//! second step delays the accounts, but most often it makes no calls: AWS returns paths.

mod members;
mod pages;
mod paths;
#[cfg(test)]
mod tests;
mod unit_tree;

use std::sync::Arc;

use aws_sdk_organizations::Client;
use aws_sdk_organizations::config::IdentityCache;
use aws_sdk_organizations::operation::list_accounts::ListAccountsError;
use aws_sdk_organizations::operation::list_accounts_for_parent::ListAccountsForParentError;
use aws_sdk_organizations::operation::list_organizational_units_for_parent::ListOrganizationalUnitsForParentError;

use super::sources::{AccountUnits, Members, Organization, OrganizationListing};
use crate::aws::{
    CachedCredentials, ObserveRequests, RetryAfterClockSkew, Session, Sessions, own_retry_partition,
};
use crate::fleet::{OrganizationalUnitId, Partition, RegionName};
use crate::model::{Failure, Reason};
use members::MemberList;
use pages::{check_token, for_each_page};
use paths::PathUnits;
use unit_tree::UnitTree;

/// An organization whose accounts have been listed, but not all units that the configuration names.
pub(super) struct ListedMembers<'a> {
    organization: &'a Organization,
    calls: Calls,
    partition: Partition,
    members: MemberList,
    /// The units of the accounts, if their paths tell them.
    units_by_paths: Option<AccountUnits>,
    tree: UnitTree,
}

/// Calls AWS with the credentials of the administrator account.
struct Calls {
    session: Arc<Session>,
    cached: Arc<CachedCredentials>,
    client: Client,
}

impl<'a> ListedMembers<'a> {
    /// Lists the active accounts.
    ///
    /// # Errors
    /// The accounts could not be listed completely, or exceed a limit. A partial list is not
    /// returned, because the missing accounts would look as if they had left.
    pub(super) async fn list(sessions: &Sessions, organization: &'a Organization) -> Result<Self, Failure> {
        let session = sessions.get(&organization.administrator).await;
        let cached = session.credentials.get().await?;
        let calls = Calls { client: client(&session, &cached), session, cached };
        let (mut members, mut tree) = (MemberList::default(), UnitTree::default());
        let listed = if organization.units.is_empty() {
            list_all(&calls.client, &organization.tracked_units, &mut members).await
        } else {
            let walk = tree.walk(&calls.client, &organization.units, |accounts| members.add(accounts));
            walk.await.map(|()| None)
        };
        calls.record_verdict(listed.as_ref().err()).await;
        let units_by_paths = listed?;
        let partition = members.partition.unwrap_or_else(|| administrator_partition(organization));
        check_partition(partition, organization)?;
        Ok(Self { organization, calls, partition, members, units_by_paths, tree })
    }

    /// The units that contain each account. Walks the units that have to be walked for that.
    ///
    /// # Errors
    /// A unit could not be listed completely, or the organization exceeds a limit.
    pub(super) async fn units(&mut self) -> Result<AccountUnits, Failure> {
        if let Some(units) = self.units_by_paths.take() {
            return Ok(units);
        }
        let Organization { units, tracked_units, .. } = self.organization;
        let walked = self.tree.walk(&self.calls.client, tracked_units, |_accounts| Ok(())).await;
        self.calls.record_verdict(walked.as_ref().err()).await;
        walked?;
        Ok(self.tree.units_of_accounts(units.iter().chain(tracked_units)))
    }

    /// The accounts together with the result of [`units`](Self::units).
    pub(super) fn with_units(self, units: Result<AccountUnits, Failure>) -> OrganizationListing {
        let accounts = self.members.into_members();
        let (units, units_failure) = match units {
            Ok(mut units) => {
                for member in &accounts {
                    units.entry(member.id.clone()).or_default();
                }
                (Some(units), None)
            }
            Err(failure) => (None, Some(failure)),
        };
        let listed_units = self.organization.tracked_units.clone();
        let members = Members { partition: self.partition, accounts, units, listed_units };
        OrganizationListing { members, units_failure }
    }
}

impl Calls {
    /// Records whether AWS accepts the credentials, given how calls with them ended.
    async fn record_verdict(&self, failure: Option<&Failure>) {
        let Self { session, cached, .. } = self;
        match failure {
            None => session.credentials.record_acceptance(cached),
            Some(failure) if failure.rejects_credentials => {
                session.credentials_rejected(cached, failure).await;
            }
            Some(_) => {}
        }
    }
}

fn client(session: &Session, cached: &CachedCredentials) -> Client {
    let observe = ObserveRequests::new(&session.observer)
        .with_error::<ListAccountsError>()
        .with_error::<ListAccountsForParentError>()
        .with_error::<ListOrganizationalUnitsForParentError>();
    let config = aws_sdk_organizations::config::Builder::from(&*session.config)
        .credentials_provider(cached.credentials.clone())
        .identity_cache(IdentityCache::no_cache())
        .interceptor(observe)
        .retry_classifier(RetryAfterClockSkew)
        .retry_partition(own_retry_partition())
        .build();
    Client::from_conf(config)
}

/// Adds all accounts of the organization to `members`. Returns which of the units `tracked` contain
/// each account, if all accounts have paths.
async fn list_all(
    client: &Client,
    tracked: &[OrganizationalUnitId],
    members: &mut MemberList,
) -> Result<Option<AccountUnits>, Failure> {
    let mut path_units = PathUnits::new(tracked);
    for_each_page(client.list_accounts().into_paginator().send(), |page| {
        check_token(page.next_token.as_deref())?;
        let accounts = page.accounts.unwrap_or_default();
        path_units.add(&accounts);
        members.add(accounts)
    })
    .await?;
    // A genuine response contains at least the management account.
    if members.seen == 0 {
        let message = "the response to ListAccounts has no accounts";
        return Err(Failure::new(Reason::InvalidResponse, message));
    }
    Ok(path_units.into_units())
}

fn administrator_partition(organization: &Organization) -> Partition {
    organization.administrator.default_region.as_ref().map_or(Partition::Aws, RegionName::partition)
}

/// Rejects configured regions of another partition than the organization's. The roles of
/// its accounts give no access to such regions.
fn check_partition(partition: Partition, organization: &Organization) -> Result<(), Failure> {
    match organization.regions.named.iter().find(|region| region.partition() != partition) {
        None => Ok(()),
        Some(region) => Err(Failure::new(
            Reason::Other,
            format!(
                "the organization is in the partition {partition}, but the configured region {region} is in {}",
                region.partition()
            ),
        )),
    }
}
