//! Lists the accounts of an organization by calling AWS Organizations.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_organizations::Client;
use aws_sdk_organizations::config::IdentityCache;
use aws_sdk_organizations::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_organizations::operation::list_accounts::ListAccountsError;
use aws_sdk_organizations::operation::list_accounts_for_parent::ListAccountsForParentError;
use aws_sdk_organizations::operation::list_organizational_units_for_parent::ListOrganizationalUnitsForParentError;
use aws_sdk_organizations::types::{Account as AwsAccount, AccountState, AccountStatus, OrganizationalUnit};
use aws_smithy_async::future::pagination_stream::PaginationStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::sources::{Member, Members, Organization};
use crate::aws::{
    CachedCredentials, ObserveRequests, RetryAfterClockSkew, Session, Sessions, errors, own_retry_partition,
};
use crate::fleet::{OrganizationalUnitId, Partition, RegionName};
use crate::model::limits::{
    self, MAX_ACCOUNTS, MAX_ORGANIZATION_PAGES, MAX_ORGANIZATIONS_TOKEN_CHARS, MAX_UNIT_DEPTH, MAX_UNITS,
};
use crate::model::{Failure, Reason};

/// Lists the active accounts.
///
/// # Errors
/// The organization could not be listed completely, or exceeds a limit. A partial list is not returned,
/// because the missing accounts would look as if they had left.
pub(super) async fn members(sessions: &Sessions, organization: &Organization) -> Result<Members, Failure> {
    let session = sessions.get(&organization.administrator).await;
    let cached = session.credentials.get().await?;
    let client = client(&session, &cached);
    let members = list(&client, organization).await;
    match &members {
        Ok(_) => session.credentials.record_acceptance(&cached),
        Err(failure) if failure.rejects_credentials => {
            session.credentials_rejected(&cached, failure).await;
        }
        Err(_) => {}
    }
    members
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

async fn list(client: &Client, organization: &Organization) -> Result<Members, Failure> {
    let mut listing = Listing::default();
    if organization.units.is_empty() {
        let pages = client.list_accounts().into_paginator().send();
        for_each_page(pages, |page| {
            check_token(page.next_token.as_deref())?;
            listing.add(page.accounts.unwrap_or_default())
        })
        .await?;
        // A genuine response contains at least the management account.
        if listing.seen == 0 {
            let message = "the response to ListAccounts has no accounts";
            return Err(Failure::new(Reason::InvalidResponse, message));
        }
    }
    // Units are visited once, even if one configured unit contains another.
    let mut known: BTreeSet<OrganizationalUnitId> = organization.units.iter().cloned().collect();
    // Each unit with its depth below a configured unit.
    let mut to_visit: Vec<(OrganizationalUnitId, usize)> =
        known.iter().map(|unit| (unit.clone(), 0)).collect();
    while let Some((unit, depth)) = to_visit.pop() {
        // The message names the unit, because the most likely cause is a unit in the configuration
        // that does not exist.
        let in_unit = |failure: Failure| failure.in_context(unit.as_str());
        let pages = client.list_accounts_for_parent().parent_id(unit.as_str()).into_paginator().send();
        for_each_page(pages, |page| {
            check_token(page.next_token.as_deref())?;
            listing.add(page.accounts.unwrap_or_default())
        })
        .await
        .map_err(in_unit)?;
        let request = client.list_organizational_units_for_parent().parent_id(unit.as_str());
        for_each_page(request.into_paginator().send(), |page| {
            check_token(page.next_token.as_deref())?;
            for child in page.organizational_units.unwrap_or_default() {
                let child = unit_id(child)?;
                if known.insert(child.clone()) {
                    limits::check_number("organizational units in the organization", known.len(), MAX_UNITS)?;
                    limits::check_number("levels of organizational units", depth + 1, MAX_UNIT_DEPTH)?;
                    to_visit.push((child, depth + 1));
                }
            }
            Ok(())
        })
        .await
        .map_err(in_unit)?;
    }
    let partition = listing.partition.unwrap_or_else(|| administrator_partition(organization));
    check_partition(partition, organization)?;
    Ok(Members { partition, accounts: listing.members.into_values().collect() })
}

fn unit_id(unit: OrganizationalUnit) -> Result<OrganizationalUnitId, Failure> {
    let id = unit.id.unwrap_or_default();
    limits::check_text("the id of an organizational unit", &id)?;
    id.parse().map_err(|error| Failure::new(Reason::InvalidResponse, format!("{error}")))
}

fn check_token(token: Option<&str>) -> Result<(), Failure> {
    limits::check_length("the page token", token.unwrap_or_default(), MAX_ORGANIZATIONS_TOKEN_CHARS)
}

async fn for_each_page<P, E>(
    mut pages: PaginationStream<Result<P, SdkError<E, HttpResponse>>>,
    mut handle: impl FnMut(P) -> Result<(), Failure>,
) -> Result<(), Failure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    // The SDK's paginator returns an error if a page has the same token as the page before.
    // It does not detect longer cycles.
    for _ in 0..MAX_ORGANIZATION_PAGES {
        match pages.next().await {
            None => return Ok(()),
            Some(page) => handle(page.map_err(|error| errors::call_failure(&error))?)?,
        }
    }
    let message = format!("listing the organization did not end within {MAX_ORGANIZATION_PAGES} pages");
    Err(Failure::new(Reason::Pagination, message))
}

/// The active accounts found so far.
#[derive(Default)]
struct Listing {
    members: BTreeMap<String, Member>,
    partition: Option<Partition>,
    /// The number of accounts found, active or not.
    seen: usize,
}

impl Listing {
    fn add(&mut self, accounts: Vec<AwsAccount>) -> Result<(), Failure> {
        for account in accounts {
            self.seen += 1;
            limits::check_number("accounts in the organization", self.seen, MAX_ACCOUNTS)?;
            check_texts(&account)?;
            if !is_active(&account) {
                continue;
            }
            let id = account.id.unwrap_or_default();
            let member = Member {
                id: id.parse().map_err(|error| {
                    let message = format!("the organization has an account with an invalid id: {error}");
                    Failure::new(Reason::InvalidResponse, message)
                })?,
                name: account.name.filter(|name| !name.is_empty()),
            };
            self.members.insert(id, member);
            let partition = account.arn.as_deref().and_then(|arn| arn.split(':').nth(1));
            self.partition = self.partition.or_else(|| partition.and_then(|name| name.parse().ok()));
        }
        Ok(())
    }
}

fn check_texts(account: &AwsAccount) -> Result<(), Failure> {
    for (what, text) in [
        ("the id of an account", account.id.as_deref()),
        ("the name of an account", account.name.as_deref()),
        ("the ARN of an account", account.arn.as_deref()),
        ("the status of an account", account.status.as_ref().map(AccountStatus::as_str)),
        ("the state of an account", account.state.as_ref().map(AccountState::as_str)),
    ] {
        limits::check_text(what, text.unwrap_or_default())?;
    }
    Ok(())
}

/// Whether the account is active: not suspended, not closed, and neither pending
/// closure nor pending activation. An unknown state counts as active.
fn is_active(account: &AwsAccount) -> bool {
    // `State` replaces `Status`, which AWS has announced it will retire on 2026-09-09.
    let status = account.status.as_ref().map(AccountStatus::as_str);
    let state = account.state.as_ref().map(AccountState::as_str);
    let state = state.filter(|state| !state.is_empty()).or(status);
    !matches!(state, Some("SUSPENDED" | "CLOSED" | "PENDING_CLOSURE" | "PENDING_ACTIVATION"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_active_by_its_state_or_else_its_status() {
        for (state, status, active) in [
            (Some("ACTIVE"), None, true),
            (Some("ACTIVE"), Some("SUSPENDED"), true),
            (Some("SUSPENDED"), Some("ACTIVE"), false),
            (Some("CLOSED"), None, false),
            (Some("PENDING_CLOSURE"), None, false),
            (Some("PENDING_ACTIVATION"), None, false),
            (Some("SOMETHING_NEW"), None, true),
            (None, Some("ACTIVE"), true),
            (None, Some("SUSPENDED"), false),
            (None, Some("PENDING_CLOSURE"), false),
            (None, None, true),
        ] {
            let account = AwsAccount::builder()
                .set_state(state.map(AccountState::from))
                .set_status(status.map(AccountStatus::from))
                .build();
            assert_eq!(is_active(&account), active, "{state:?} {status:?}");
        }
    }
}
