//! The accounts of an organization.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_organizations::Client;
use aws_sdk_organizations::config::IdentityCache;
use aws_sdk_organizations::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_organizations::types::{Account as Answered, AccountState, AccountStatus};
use aws_smithy_async::future::pagination_stream::PaginationStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::sources::{Member, Members, Organization};
use crate::aws::{CachedCredentials, Observe, Session, Sessions, errors};
use crate::fleet::{Partition, RegionName};
use crate::model::{Failure, Reason};

/// No organization has so many units. Whatever needs more would never end.
const MAX_UNITS: usize = 10_000;

/// No list is so long: an organization has some ten thousand accounts at the
/// most, and a page of them holds some.
const MAX_PAGES: usize = 20_000;

/// Lists the accounts that can be polled.
///
/// # Errors
/// It could not be listed whole. Nothing is to be concluded from a part.
pub(super) async fn members(sessions: &Sessions, organization: &Organization) -> Result<Members, Failure> {
    let session = sessions.of(&organization.administrator).await;
    let lent = session.credentials.get().await?;
    let client = client(&session, &lent, Observe::new(sessions.observer()));
    let listed = list(&client, organization).await;
    if listed.as_ref().is_err_and(|failure| failure.reason == Reason::Credentials) {
        session.credentials.discard(&lent);
    }
    listed
}

fn client(session: &Session, lent: &CachedCredentials, observe: Observe) -> Client {
    let config = aws_sdk_organizations::config::Builder::from(&*session.config)
        .credentials_provider(lent.credentials.clone())
        .identity_cache(IdentityCache::no_cache())
        .interceptor(observe)
        .build();
    Client::from_conf(config)
}

async fn list(client: &Client, organization: &Organization) -> Result<Members, Failure> {
    let mut found = Found::default();
    if organization.units.is_empty() {
        let pages = client.list_accounts().into_paginator().send();
        pages_of(pages, |page| found.take_in(page.accounts.unwrap_or_default())).await?;
        // The management account is always among them.
        if found.seen == 0 {
            return Err(Failure::new(Reason::InvalidResponse, "the answer to ListAccounts holds no account"));
        }
    }
    // Units may be named that lie within each other.
    let mut units: Vec<String> = organization.units.iter().map(|unit| unit.as_str().to_owned()).collect();
    let mut visited = BTreeSet::new();
    while let Some(unit) = units.pop() {
        if !visited.insert(unit.clone()) {
            continue;
        }
        if visited.len() > MAX_UNITS {
            return Err(Failure::new(Reason::Pagination, format!("there are more than {MAX_UNITS} units")));
        }
        let pages = client.list_accounts_for_parent().parent_id(&unit).into_paginator().send();
        pages_of(pages, |page| found.take_in(page.accounts.unwrap_or_default()))
            .await
            .map_err(in_unit(&unit))?;
        let pages = client.list_organizational_units_for_parent().parent_id(&unit).into_paginator().send();
        let below = |below: aws_sdk_organizations::types::OrganizationalUnit| below.id;
        pages_of(pages, |page| {
            units.extend(page.organizational_units.unwrap_or_default().into_iter().filter_map(below));
            Ok(())
        })
        .await
        .map_err(in_unit(&unit))?;
    }
    let partition = match found.partition {
        Some(partition) => partition,
        None => administrators_partition(organization),
    };
    check_partition(partition, organization)?;
    Ok(Members { partition, accounts: found.members.into_values().collect() })
}

/// Says in which unit it went wrong: an id that does not exist is the most
/// likely mistake.
fn in_unit(unit: &str) -> impl Fn(Failure) -> Failure {
    move |failure| Failure { message: format!("{unit}: {}", failure.message), ..failure }
}

/// Reads all pages of a list.
async fn pages_of<P, E>(
    mut pages: PaginationStream<Result<P, SdkError<E, HttpResponse>>>,
    mut take_in: impl FnMut(P) -> Result<(), Failure>,
) -> Result<(), Failure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    // The SDK ends with an error where a page names itself as the next.
    for _ in 0..MAX_PAGES {
        match pages.next().await {
            None => return Ok(()),
            Some(page) => take_in(page.map_err(|error| errors::failure(&error))?)?,
        }
    }
    Err(Failure::new(Reason::Pagination, format!("there are more than {MAX_PAGES} pages")))
}

#[derive(Default)]
struct Found {
    members: BTreeMap<String, Member>,
    partition: Option<Partition>,
    /// How many accounts there were, whatever their state.
    seen: usize,
}

impl Found {
    fn take_in(&mut self, accounts: Vec<Answered>) -> Result<(), Failure> {
        for account in accounts {
            self.seen += 1;
            if !can_be_polled(&account) {
                continue;
            }
            let id = account.id.unwrap_or_default();
            let member = Member {
                id: id
                    .parse()
                    .map_err(|error| Failure::new(Reason::InvalidResponse, format!("an account: {error}")))?,
                name: account.name.filter(|name| !name.is_empty()),
            };
            self.members.insert(id, member);
            let partition = account.arn.as_deref().and_then(|arn| arn.split(':').nth(1));
            self.partition = self.partition.or_else(|| partition.and_then(|name| name.parse().ok()));
        }
        Ok(())
    }
}

/// Whether the account is at work: neither suspended nor closed, and neither
/// about to be closed nor not activated yet. A state that this version does not
/// know is given a try: it will show what comes of it.
fn can_be_polled(account: &Answered) -> bool {
    // `Status` was to be retired on 2026-09-09; `State` says more.
    let status = account.status.as_ref().map(AccountStatus::as_str);
    let state = account.state.as_ref().map(AccountState::as_str);
    let state = state.filter(|state| !state.is_empty()).or(status);
    !matches!(state, Some("SUSPENDED" | "CLOSED" | "PENDING_CLOSURE" | "PENDING_ACTIVATION"))
}

fn administrators_partition(organization: &Organization) -> Partition {
    organization.administrator.default_region.as_ref().map_or(Partition::Aws, RegionName::partition)
}

/// Roles of one partition are of no use in the regions of another.
fn check_partition(partition: Partition, organization: &Organization) -> Result<(), Failure> {
    match organization.regions.named.iter().find(|region| region.partition() != partition) {
        None => Ok(()),
        Some(region) => Err(Failure::new(
            Reason::Other,
            format!(
                "the organization lies in the partition {partition}, the region {region} in {}",
                region.partition()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_counts_and_without_it_the_status() {
        for (state, status, polled) in [
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
            let account = Answered::builder()
                .set_state(state.map(AccountState::from))
                .set_status(status.map(AccountStatus::from))
                .build();
            assert_eq!(can_be_polled(&account), polled, "{state:?} {status:?}");
        }
    }
}
