//! Lists the regions that an account has enabled.

use std::collections::BTreeSet;

use aws_sdk_account::Client;
use aws_sdk_account::config::IdentityCache;
use aws_sdk_account::operation::list_regions::ListRegionsError;
use aws_sdk_account::types::RegionOptStatus;
use tracing::debug;

use crate::aws::{ObserveRequests, RetryAfterClockSkew, Sessions, errors, own_retry_partition};
use crate::fleet::{Account, RegionName};
use crate::model::limits::{self, MAX_PAGES, MAX_REGIONS};
use crate::model::{Failure, Reason};

/// Calls `ListRegions` with the account's own credentials.
///
/// # Errors
/// The regions could not be listed completely, no region has a valid name, or the response
/// exceeds a limit.
pub(super) async fn enabled(sessions: &Sessions, account: &Account) -> Result<Vec<RegionName>, Failure> {
    let session = sessions.get(account).await;
    let cached = session.credentials.get().await?;
    let config = aws_sdk_account::config::Builder::from(&*session.config)
        .credentials_provider(cached.credentials.clone())
        .identity_cache(IdentityCache::no_cache())
        .interceptor(ObserveRequests::new(&session.observer).with_error::<ListRegionsError>())
        .retry_classifier(RetryAfterClockSkew)
        .retry_partition(own_retry_partition())
        .build();
    let mut pages = Client::from_conf(config)
        .list_regions()
        .region_opt_status_contains(RegionOptStatus::Enabled)
        .region_opt_status_contains(RegionOptStatus::EnabledByDefault)
        .into_paginator()
        .send();
    let mut regions = BTreeSet::new();
    let mut invalid_names = 0_usize;
    for _ in 0..MAX_PAGES {
        let page = match pages.next().await {
            Some(Ok(page)) => {
                session.credentials.record_acceptance(&cached);
                page
            }
            Some(Err(error)) => {
                let failure = errors::call_failure(&error);
                if failure.rejects_credentials {
                    session.credentials_rejected(&cached, &failure).await;
                }
                return Err(failure);
            }
            None if regions.is_empty() => {
                let message = "the response to ListRegions has no region with a valid name";
                return Err(Failure::new(Reason::InvalidResponse, message));
            }
            None => {
                if invalid_names > 0 {
                    debug!(number = invalid_names, "ignored regions with invalid names");
                }
                return Ok(regions.into_iter().collect());
            }
        };
        let in_response = |failure: Failure| failure.in_context("the response to ListRegions");
        limits::check_text("the page token", page.next_token.as_deref().unwrap_or_default())
            .map_err(in_response)?;
        for name in page.regions.unwrap_or_default().into_iter().filter_map(|region| region.region_name) {
            limits::check_text("the name of a region", &name).map_err(in_response)?;
            match name.parse::<RegionName>() {
                Ok(region) => _ = regions.insert(region),
                Err(_) => invalid_names += 1,
            }
            limits::check_number("enabled regions", regions.len(), MAX_REGIONS).map_err(in_response)?;
        }
    }
    Err(Failure::new(Reason::Pagination, format!("ListRegions did not end within {MAX_PAGES} pages")))
}
