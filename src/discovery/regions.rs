//! Lists the regions that an account has enabled.

use aws_sdk_account::Client;
use aws_sdk_account::config::IdentityCache;
use aws_sdk_account::operation::list_regions::ListRegionsError;
use aws_sdk_account::types::RegionOptStatus;
use tracing::debug;

use crate::aws::{ObserveRequests, Sessions, errors};
use crate::fleet::{Account, RegionName};
use crate::model::{Failure, Reason};

/// Stops a pagination that would otherwise never end. No account has this many pages of
/// regions.
const MAX_PAGES: usize = 100;

/// Calls `ListRegions` with the account's own credentials.
///
/// # Errors
/// The regions could not be listed completely, or no region has a valid name.
pub(super) async fn enabled(sessions: &Sessions, account: &Account) -> Result<Vec<RegionName>, Failure> {
    let session = sessions.get(account).await;
    let cached = session.credentials.get().await?;
    let config = aws_sdk_account::config::Builder::from(&*session.config)
        .credentials_provider(cached.credentials.clone())
        .identity_cache(IdentityCache::no_cache())
        .interceptor(ObserveRequests::new(&session.observer).with_error::<ListRegionsError>())
        .build();
    let mut pages = Client::from_conf(config)
        .list_regions()
        .region_opt_status_contains(RegionOptStatus::Enabled)
        .region_opt_status_contains(RegionOptStatus::EnabledByDefault)
        .into_paginator()
        .send();
    let mut regions = Vec::new();
    for _ in 0..MAX_PAGES {
        let page = match pages.next().await {
            Some(Ok(page)) => {
                session.credentials.record_acceptance(&cached);
                page
            }
            Some(Err(error)) => {
                let failure = errors::call_failure(&error);
                if failure.reason == Reason::Credentials {
                    session.credentials.reject(&cached, &failure);
                }
                return Err(failure);
            }
            None if regions.is_empty() => {
                let message = "the response to ListRegions has no region with a valid name";
                return Err(Failure::new(Reason::InvalidResponse, message));
            }
            None => return Ok(regions),
        };
        for name in page.regions.unwrap_or_default().into_iter().filter_map(|region| region.region_name) {
            match name.parse() {
                Ok(region) => regions.push(region),
                Err(error) => debug!(%error, "ignoring a region with an invalid name"),
            }
        }
    }
    Err(Failure::new(Reason::Pagination, format!("ListRegions did not end within {MAX_PAGES} pages")))
}
