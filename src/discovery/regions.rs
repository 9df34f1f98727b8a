//! The regions that an account has enabled.

use aws_sdk_account::Client;
use aws_sdk_account::config::IdentityCache;
use aws_sdk_account::types::RegionOptStatus;
use tracing::debug;

use crate::aws::{Observe, Sessions, errors};
use crate::fleet::{Account, RegionName};
use crate::model::{Failure, Reason};

/// No account has so many regions. Whatever needs more pages would never end.
const MAX_PAGES: usize = 100;

/// Asks the account itself.
///
/// # Errors
/// They could not be listed, or not all of them.
pub(super) async fn enabled(sessions: &Sessions, account: &Account) -> Result<Vec<RegionName>, Failure> {
    let session = sessions.of(account).await;
    let lent = session.credentials.get().await?;
    let config = aws_sdk_account::config::Builder::from(&*session.config)
        .credentials_provider(lent.credentials.clone())
        .identity_cache(IdentityCache::no_cache())
        .interceptor(Observe::new(sessions.observer()))
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
            Some(Ok(page)) => page,
            Some(Err(error)) => {
                let failure = errors::failure(&error);
                if failure.reason == Reason::Credentials {
                    session.credentials.discard(&lent);
                }
                return Err(failure);
            }
            None if regions.is_empty() => {
                let message = "the answer to ListRegions holds no region";
                return Err(Failure::new(Reason::InvalidResponse, message));
            }
            None => return Ok(regions),
        };
        for name in page.regions.unwrap_or_default().into_iter().filter_map(|region| region.region_name) {
            match name.parse() {
                Ok(region) => regions.push(region),
                Err(error) => debug!(%error, "AWS names a region that this version does not understand"),
            }
        }
    }
    Err(Failure::new(Reason::Pagination, format!("ListRegions has more than {MAX_PAGES} pages")))
}
